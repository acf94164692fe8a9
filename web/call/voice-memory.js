/** The voice of a call, so that an answer can be heard again: its samples as they came. No DOM. */

/** Of longer calls, the oldest is forgotten: ten minutes at 24 kHz. */
const MOST_SAMPLES = 10 * 60 * 24_000;

export class VoiceMemory {
  #chunks = []; // {epoch, start, samples}, in order
  #samples = 0;

  /** @param {{epoch: number, start: number, samples: Int16Array}} audio As the wire brings it. */
  add({ epoch, start, samples }) {
    this.#chunks.push({ epoch, start, samples: samples.slice() });
    this.#samples += samples.length;
    while (this.#samples > MOST_SAMPLES) this.#samples -= this.#chunks.shift().samples.length;
  }

  /**
   * All of some sentences, joined; empty if it is forgotten.
   *
   * @param {{epoch: number, start: number, end?: number}[]} sentences `end` where it was cut.
   * @returns {Int16Array}
   */
  of(sentences) {
    const parts = sentences.flatMap(({ epoch, start, end = Infinity }) => this.#chunks
      .filter((chunk) => chunk.epoch === epoch && chunk.start < end
        && chunk.start + chunk.samples.length > start)
      .map(({ start: from, samples }) => (
        samples.subarray(Math.max(0, start - from), Math.min(samples.length, end - from)))));
    const joined = new Int16Array(parts.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const part of parts) {
      joined.set(part, at);
      at += part.length;
    }
    return joined;
  }
}
