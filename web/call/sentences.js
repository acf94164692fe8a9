/**
 * Which sentence is being played: each `sentence` message gives the sample at which it starts, the
 * player says how many samples have been played. No I/O.
 */

export class Sentences {
  #queue = [];
  #ends = new Map();
  #begun = new WeakSet();

  /** @param {{epoch: number, start: number}} sentence A `sentence` message. */
  add(sentence) {
    this.#queue.push(sentence);
  }

  /** No sentence of the epoch goes on behind this sample. */
  end(epoch, samples) {
    this.#ends.set(epoch, samples);
  }

  /** The epoch was cut: what of it had not begun will not be heard. */
  cut(epoch) {
    this.#queue = this.#queue.filter((sentence) => sentence.epoch !== epoch);
    this.#ends.delete(epoch);
  }

  /**
   * Moves on to what has been played.
   *
   * @returns {{begun: object[], current: object | null}} The sentences that have begun since the
   *   last time, and the one that is being played.
   */
  played(epoch, samples) {
    const begun = [];
    let current = null;
    for (const sentence of this.#queue) {
      if (sentence.epoch !== epoch || sentence.start >= samples) continue;
      if (!this.#begun.has(sentence)) begun.push(sentence);
      this.#begun.add(sentence);
      current = sentence;
    }
    if (current) this.#queue = this.#queue.slice(this.#queue.indexOf(current));
    const end = this.#ends.get(epoch);
    if (current && end > current.start && samples >= end) current = null;
    return { begun, current };
  }
}
