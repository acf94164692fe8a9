/**
 * What the playback worklet does, without the worklet: samples of the voice in at 24 kHz, samples
 * for the device out, and an exact account of what was played. Kept apart so that it can be tested
 * sample by sample.
 *
 * "Played" means handed to the device. What the device adds (`AudioContext.outputLatency`) is not
 * taken off, so a report is early by that much: 10–50 ms on built-in speakers.
 */

import { VOICE_RATE } from './protocol.js';
import { Kernel } from './resampler.js';

/** Ten seconds; Viva never runs more than 400 ms ahead. A power of two. */
const RING = 1 << 18;
const DUCK_GAIN = 10 ** (-18 / 20);

export class Playout {
  /** How many flushes there have been. */
  epoch = 0;

  /** Samples of this epoch that did not fit and were dropped. */
  overflow = 0;

  #ring = new Float32Array(RING);
  #kernel;
  #rate;
  #written = 0;
  #index = 0;
  #phase = 0;
  #state = 'empty';
  #waited = 0;
  #jitter;
  #sinceReport = 0;
  #gain = 1;
  #target = 1;
  #rampFrames;
  #reportFrames;
  #decay;
  #started = false;
  #fade = 0;
  #residue = 0;
  #tail = new Float32Array(0);
  #tailAt = 0;
  #finals = [];
  #reports = [];
  #watched = [];
  #frame = 0;

  /**
   * @param {object} settings
   * @param {number} settings.rate Rate of the device, in Hz.
   * @param {number} [settings.jitterSecs] Voice to gather before an answer starts.
   * @param {number} [settings.rampSecs] Length of the ramps of duck and flush.
   * @param {number} [settings.reportSecs] Between two reports while playing.
   */
  constructor({ rate, jitterSecs = 0.06, rampSecs = 0.03, reportSecs = 0.1 }) {
    this.#rate = rate;
    this.#kernel = new Kernel(VOICE_RATE, rate);
    this.#jitter = jitterSecs;
    this.#rampFrames = Math.round(rampSecs * rate);
    this.#decay = Math.exp(-1 / (0.0015 * rate));
    this.#reportFrames = Math.round(reportSecs * rate);
  }

  /** Samples of this epoch that have been played. */
  get samples() {
    return Math.min(this.#index, this.#written);
  }

  get playing() {
    return this.#state === 'playing';
  }

  /** Adds samples to the newest epoch. @param {Int16Array} samples s16 at 24 kHz. */
  write(samples) {
    const room = RING - (this.#written - this.#index) - 2 * this.#kernel.half - 1;
    const count = Math.min(samples.length, Math.max(0, room));
    this.overflow += samples.length - count;
    for (let at = 0; at < count; at += 1) {
      this.#ring[(this.#written + at) & (RING - 1)] = samples[at] / 32768;
    }
    this.#written += count;
    if (this.#state === 'empty' && count) {
      this.#state = 'filling';
      this.#waited = 0;
    }
  }

  /**
   * Asks for a report when a sample of the newest epoch is played: `passed`, with the frame of the
   * block in which it is. Samples are watched in order, each before it is written.
   *
   * @param {number} sample
   */
  watch(sample) {
    this.#watched.push(sample);
  }

  /** Lowers the voice by 18 dB, or brings it back. @param {boolean} on */
  duck(on) {
    this.#target = on ? DUCK_GAIN : 1;
  }

  /**
   * Ends the epoch: what is left of it is dropped, the next 30 ms of it are played as a ramp to
   * silence, and the volume of what follows is whole again.
   */
  flush() {
    if (this.#state === 'playing') {
      this.#tail = new Float32Array(this.#rampFrames);
      this.#tailAt = 0;
      let sample = 0;
      for (let at = 0; at < this.#rampFrames; at += 1) {
        if (this.#index < this.#written) sample = this.#next();
        else sample *= this.#decay;
        this.#tail[at] = sample * (1 - (at + 1) / this.#rampFrames);
      }
    }
    this.#finals.push({ kind: 'final', epoch: this.epoch, samples: this.samples, final: true });
    this.epoch += 1;
    this.overflow = 0;
    this.#watched = [];
    this.#written = 0;
    this.#index = 0;
    this.#phase = 0;
    this.#state = 'empty';
    this.#gain = 1;
    this.#target = 1;
  }

  /** Fills a block for the device. @param {Float32Array} output */
  render(output) {
    for (let at = 0; at < output.length; at += 1) {
      const fading = Math.abs(this.#residue) < 1e-5 ? 0 : this.#residue * this.#decay;
      this.#residue = 0;
      this.#frame = at;
      output[at] = this.#voice() + fading;
      this.#residue += fading;
    }
    if (this.#state !== 'playing') return;
    this.#sinceReport += output.length;
    if (this.#started) this.#report('first');
    else if (this.#sinceReport >= this.#reportFrames) this.#report('tick');
  }

  /**
   * What has happened since this was last asked, in order: `{kind, epoch, samples, final}` with
   * kind `first` (an answer starts), `tick` (100 ms on), `empty` or `final`; and for each watched
   * sample `{kind: 'passed', epoch, sample, frame}`.
   */
  reports() {
    const reports = this.#reports;
    this.#reports = [];
    return reports;
  }

  /** One sample, before what still rings of an answer that ran empty. */
  #voice() {
    if (this.#tailAt < this.#tail.length) {
      this.#tailAt += 1;
      return this.#tail[this.#tailAt - 1];
    }
    if (this.#finals.length) this.#reports.push(...this.#finals.splice(0));
    if (this.#state === 'filling') {
      this.#waited += 1;
      const gathered = this.#written - this.#index >= this.#jitter * VOICE_RATE;
      if (gathered || this.#waited >= this.#jitter * this.#rate) this.#start();
    }
    if (this.#state !== 'playing') return 0;
    if (this.#watched.length) this.#pass(this.#index);
    const sample = this.#next();
    if (this.#index >= this.#written) this.#runEmpty(sample);
    return sample;
  }

  #pass(index) {
    while (this.#watched[0] <= index) {
      const sample = this.#watched.shift();
      this.#reports.push({ kind: 'passed', epoch: this.epoch, sample, frame: this.#frame });
    }
  }

  #start() {
    this.#state = 'playing';
    this.#fade = 0;
    this.#started = true;
  }

  /** Nothing more to play: what follows the last sample decays from it instead of stepping. */
  #runEmpty(sample) {
    this.#index = this.#written;
    this.#phase = 0;
    this.#state = 'empty';
    this.#pass(this.#written - 1);
    this.#residue = sample;
    this.#started = false;
    this.#report('empty');
  }

  #report(kind) {
    this.#started = false;
    this.#sinceReport = 0;
    this.#reports.push({ kind, epoch: this.epoch, samples: this.samples, final: false });
  }

  /** The next sample for the device, with duck and start ramps; moves on in the source. */
  #next() {
    const { identity, half, up, down } = this.#kernel;
    let value = 0;
    if (identity) {
      value = this.#ring[this.#index & (RING - 1)];
    } else {
      const row = this.#kernel.row(this.#phase);
      const first = this.#index - half + 1;
      const from = Math.max(0, -first);
      const to = Math.min(row.length, this.#written - first);
      for (let tap = from; tap < to; tap += 1) {
        value += row[tap] * this.#ring[(first + tap) & (RING - 1)];
      }
      // What has not come yet is taken to stand still: a step to zero would be heard.
      const last = this.#ring[(this.#written - 1) & (RING - 1)];
      for (let tap = to; tap < row.length; tap += 1) value += row[tap] * last;
    }
    this.#phase += down;
    this.#index += Math.floor(this.#phase / up);
    this.#phase %= up;
    this.#fade = Math.min(1, this.#fade + 1 / (0.003 * this.#rate));
    const step = (1 - DUCK_GAIN) / this.#rampFrames;
    const apart = this.#target - this.#gain;
    this.#gain += Math.max(-step, Math.min(step, apart));
    return value * this.#gain * this.#fade;
  }
}
