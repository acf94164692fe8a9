/**
 * When an answer could first be heard: which sample of it is the first that is not silence, and
 * when that sample left the loudspeaker. No I/O.
 */

/** A sample of less than -50 dBFS, of 32,768, counts as silence. */
export const SILENCE = Math.ceil(32768 * 10 ** (-50 / 20));

/** More than a slow Bluetooth speaker takes; a longer delay is a device's mistake. */
const MOST_LATENCY_SECS = 0.5;

export class Onsets {
  #waiting = null;
  #found = 0;

  /**
   * A `sentence` message: its audio comes next. Only the first sentence of an answer counts, and
   * what Viva says outside a turn is no answer.
   *
   * @param {{turn: number, start: number}} sentence
   */
  sentence({ turn, start }) {
    if (this.#waiting?.turn === turn) return;
    this.#waiting = turn > this.#found ? { turn, start } : null;
  }

  /**
   * Audio as it arrives.
   *
   * @param {{start: number, samples: Int16Array}} audio
   * @returns {number | null} The sample of the epoch at which the answer begins to be audible, once
   *   an answer.
   */
  audio({ start, samples }) {
    if (!this.#waiting) return null;
    const from = Math.max(0, this.#waiting.start - start);
    for (let at = from; at < samples.length; at += 1) {
      if (Math.abs(samples[at]) < SILENCE) continue;
      this.#found = this.#waiting.turn;
      this.#waiting = null;
      return start + at;
    }
    return null;
  }

  /** The epoch was cut: what had not begun will not be heard. */
  cut() {
    this.#waiting = null;
  }
}

/**
 * When a sample comes out of the loudspeaker, in seconds of `performance.now()`.
 *
 * The device says which sample it is playing at a moment (`AudioContext.getOutputTimestamp`). Where
 * that is missing or cannot be, the time at which the sample was rendered and
 * `AudioContext.outputLatency` must do.
 *
 * @param {number} rendered The sample's time in the AudioContext, in seconds.
 * @param {object} device What the AudioContext says now.
 * @param {number} device.now `performance.now()` in seconds.
 * @param {number} device.currentTime
 * @param {number} [device.outputLatency]
 * @param {{contextTime: number, performanceTime: number} | null} [device.stamp]
 */
export function heardAt(rendered, { now, currentTime, outputLatency = 0, stamp = null }) {
  const handed = now + rendered - currentTime;
  const measured = stamp?.contextTime > 0
    ? stamp.performanceTime / 1000 + rendered - stamp.contextTime - handed
    : NaN;
  const possible = measured >= 0 && measured <= MOST_LATENCY_SECS;
  const told = Math.min(MOST_LATENCY_SECS, Math.max(0, outputLatency || 0));
  return handed + (possible ? measured : told);
}
