/** The voice, off the main thread: a Playout on the device's clock. See player.js for messages. */

import { Playout } from './playout.js';

const PROGRESS_SECS = 0.02;

class Playback extends AudioWorkletProcessor {
  #playout = new Playout({ rate: sampleRate });
  #running = false;
  #closed = false;
  #frames = 0;
  #energy = 0;
  #level = 0;

  constructor() {
    super();
    this.port.onmessage = ({ data }) => {
      if (data instanceof ArrayBuffer) this.#playout.write(new Int16Array(data));
      else if (data.watch !== undefined) this.#playout.watch(data.watch);
      else if (data.duck !== undefined) this.#playout.duck(data.duck);
      else if (data.gather !== undefined) this.#playout.gather(data.gather);
      else if (data.flush) this.#playout.flush();
      else if (data.close) this.#closed = true;
    };
  }

  process(_inputs, [[channel]]) {
    if (!this.#running) {
      this.#running = true;
      this.port.postMessage({ kind: 'running' });
    }
    this.#playout.render(channel);
    for (const report of this.#playout.reports()) {
      if (report.kind === 'passed') report.time = (currentFrame + report.frame) / sampleRate;
      this.port.postMessage(report);
    }
    for (const sample of channel) this.#energy += sample * sample;
    this.#frames += channel.length;
    if (this.#frames >= PROGRESS_SECS * sampleRate) this.#progress();
    return !this.#closed;
  }

  #progress() {
    const level = Math.sqrt(this.#energy / this.#frames);
    const { epoch, samples, playing } = this.#playout;
    if (playing || level > 0 || this.#level > 0) {
      this.port.postMessage({ kind: 'progress', epoch, samples, level });
    }
    this.#level = level;
    this.#frames = 0;
    this.#energy = 0;
  }
}

registerProcessor('viva-playback', Playback);
