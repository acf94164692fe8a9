/** The microphone, off the main thread: any device rate in, 32 ms messages of s16le 16 kHz out. */

import { CAPTURE_RATE, CAPTURE_SAMPLES } from './protocol.js';
import { Resampler } from './resampler.js';

class Capture extends AudioWorkletProcessor {
  #resampler = new Resampler(sampleRate, CAPTURE_RATE);
  #message = new Int16Array(CAPTURE_SAMPLES);
  #filled = 0;
  #closed = false;

  constructor() {
    super();
    this.port.onmessage = () => { this.#closed = true; };
  }

  process([[channel]]) {
    if (!channel) return !this.#closed;
    for (const sample of this.#resampler.push(channel)) {
      this.#message[this.#filled] = Math.round(Math.max(-1, Math.min(1, sample)) * 32767);
      this.#filled += 1;
      if (this.#filled === CAPTURE_SAMPLES) {
        this.port.postMessage(this.#message.buffer, [this.#message.buffer]);
        this.#message = new Int16Array(CAPTURE_SAMPLES);
        this.#filled = 0;
      }
    }
    return !this.#closed;
  }
}

registerProcessor('viva-capture', Capture);
