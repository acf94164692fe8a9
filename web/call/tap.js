/**
 * A recorder on the very node that feeds the loudspeaker, for tests and for the curious: what it
 * returns is what the page played, sample for sample, ramps and silences included. Nothing of it
 * leaves the page.
 */

export class Tap {
  /** Rate of the recording, in Hz: the AudioContext's own. */
  sampleRate;

  #blocks = [];
  #node;

  static async on(context, source) {
    await context.audioWorklet.addModule(new URL('./tap-worklet.js', import.meta.url));
    return new Tap(context, source);
  }

  constructor(context, source) {
    this.sampleRate = context.sampleRate;
    this.#node = new AudioWorkletNode(context, 'viva-tap', {
      channelCount: 1,
      channelCountMode: 'explicit',
    });
    this.#node.port.onmessage = ({ data }) => this.#blocks.push(data);
    source.connect(this.#node);
    this.#node.connect(context.destination);
  }

  /** Everything recorded so far, from -1 to 1. @returns {Float32Array} */
  samples() {
    const length = this.#blocks.reduce((sum, block) => sum + block.length, 0);
    const all = new Float32Array(length);
    let at = 0;
    for (const block of this.#blocks) {
      all.set(block, at);
      at += block.length;
    }
    return all;
  }
}
