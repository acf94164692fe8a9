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

/** Ten seconds; Viva never runs more than two ahead, or what an absent page has missed. A power of two. */
const RING = 1 << 18;
const DUCK_GAIN = 10 ** (-18 / 20);

/**
 * For how long the voice is lowered at most. Of 25 interruptions of the corpus, 18 stop it by then and
 * all but one 0.14 s later; of 25 coughs and "mm-hm", all but one lowered it for longer, 1.05 s at most.
 */
const DUCKED_SECS = 0.4;

/**
 * Where the voice breaks off, its last period is repeated, and fades: 60 ms of silence in a vowel are
 * heard as a click, and of an answer's end, which is silence, nothing is heard.
 */
const CONCEALED_SECS = 0.06;
/** Periods of voices, in samples: 400 to 60 Hz. */
const [SHORTEST, LONGEST] = [60, 400];
/** The stretch that is compared, in samples: 20 ms. */
const COMPARED = 480;

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
  #ducked = 0; // frames for which the voice stays lowered
  #rampFrames;
  #reportFrames;
  #decay;
  #started = false;
  #fade = 0;
  #residue = 0;
  #tail = new Float32Array(0);
  #tailAt = 0;
  #concealment = new Float32Array(0);
  #concealedAt = 0;
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

  /** How much voice to gather before the next answer starts. @param {number} secs */
  gather(secs) {
    this.#jitter = secs;
  }

  /** Lowers the voice by 18 dB for a while, or brings it back. @param {boolean} on */
  duck(on) {
    this.#target = on ? DUCK_GAIN : 1;
    this.#ducked = on ? Math.round(DUCKED_SECS * this.#rate) - this.#rampFrames : 0;
  }

  /**
   * Ends the epoch: what is left of it is dropped, the next 30 ms of it are played as a ramp to
   * silence, and the volume of what follows is whole again.
   */
  flush() {
    const concealing = this.#concealedAt < this.#concealment.length;
    if (this.#state === 'playing' || concealing) {
      this.#tail = new Float32Array(this.#rampFrames);
      this.#tailAt = 0;
      let sample = 0;
      for (let at = 0; at < this.#rampFrames; at += 1) {
        if (this.#state === 'playing' && this.#index < this.#written) sample = this.#next();
        else if (concealing) sample = this.#concealed();
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
    this.#concealment = new Float32Array(0);
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
    if (this.#state !== 'playing') return this.#concealed();
    if (this.#watched.length) this.#pass(this.#index);
    const before = 1 - this.#fade;
    const sample = this.#next() + (before ? before * this.#concealed() : 0);
    if (this.#index >= this.#written) this.#runEmpty(sample);
    return sample;
  }

  /** The next sample in place of voice that has not come, 0 once that has faded. */
  #concealed() {
    if (this.#concealedAt >= this.#concealment.length) return 0;
    this.#concealedAt += 1;
    return this.#concealment[this.#concealedAt - 1];
  }

  /** The last period of the voice again and again, fading, at the device's rate. */
  #repeated(period) {
    const length = period ? Math.round(CONCEALED_SECS * this.#rate) : 0;
    const made = new Float32Array(length);
    for (let at = 0; at < length; at += 1) {
      const place = ((at + 1) * VOICE_RATE) / this.#rate - 1;
      const whole = Math.floor(place);
      const [one, next] = [whole, whole + 1].map((step) => {
        const back = ((step % period) + period) % period;
        return this.#ring[(this.#written - period + back) & (RING - 1)];
      });
      made[at] = (one + (place - whole) * (next - one)) * this.#gain * (1 - (at + 1) / length);
    }
    return made;
  }

  /** The period of the last of the voice, in samples; 0 if there is too little of it. */
  #period() {
    if (this.#written < LONGEST + COMPARED) return 0;
    const past = new Float32Array(LONGEST + COMPARED);
    for (let at = 0; at < past.length; at += 1) {
      past[at] = this.#ring[(this.#written - past.length + at) & (RING - 1)];
    }
    let best = 0;
    let period = 0;
    for (let lag = SHORTEST; lag <= LONGEST; lag += 1) {
      let product = 0;
      let energy = 1e-9;
      for (let at = LONGEST; at < past.length; at += 1) {
        product += past[at] * past[at - lag];
        energy += past[at - lag] ** 2;
      }
      const likeness = product / Math.sqrt(energy);
      if (likeness > best) [best, period] = [likeness, lag];
    }
    return period;
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

  /** Nothing more to play: the voice goes on a little, or what follows its last sample decays from it. */
  #runEmpty(sample) {
    this.#index = this.#written;
    this.#phase = 0;
    this.#state = 'empty';
    this.#pass(this.#written - 1);
    const period = this.#period();
    this.#concealment = this.#repeated(period);
    this.#concealedAt = 0;
    // What differs a period ago would be a step.
    const like = this.#ring[(this.#written - 1 - period) & (RING - 1)] * this.#gain;
    this.#residue = period ? sample - like : sample;
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
    if (this.#target < 1) {
      this.#ducked -= 1;
      if (this.#ducked <= 0) this.#target = 1;
    }
    const apart = this.#target - this.#gain;
    this.#gain += Math.max(-step, Math.min(step, apart));
    return value * this.#gain * this.#fade;
  }
}
