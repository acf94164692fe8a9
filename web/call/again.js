/** Plays an answer again, outside a call. */

import { VOICE_RATE } from './protocol.js';

export class Again {
  #context = null;
  #source = null;

  /** Plays samples, and stops what was playing. @param {Int16Array} samples @param {number} volume */
  play(samples, volume, onend) {
    this.stop();
    if (!samples.length) return false;
    this.#context ??= new AudioContext();
    this.#context.resume();
    const buffer = this.#context.createBuffer(1, samples.length, VOICE_RATE);
    buffer.copyToChannel(Float32Array.from(samples, (sample) => sample / 32_768), 0);
    const gain = new GainNode(this.#context, { gain: volume });
    const source = new AudioBufferSourceNode(this.#context, { buffer });
    source.connect(gain).connect(this.#context.destination);
    source.onended = () => {
      if (this.#source === source) this.#source = null;
      onend();
    };
    source.start();
    this.#source = source;
    return true;
  }

  get playing() {
    return this.#source !== null;
  }

  stop() {
    const source = this.#source;
    this.#source = null;
    source?.stop();
  }
}
