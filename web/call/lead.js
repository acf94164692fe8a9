/**
 * How far ahead of what is played Viva is to send the voice, and how much of it the player gathers
 * before an answer starts. Both follow the network, up at once and down when it has been better for
 * a while. No I/O.
 */

/** What the player holds beside what the network takes: more than one lost packet makes it wait. */
const BASE_SECS = 0.6;
const MOST_SECS = 2;

/** What was kept waiting once may be kept waiting again before the buffer is full again. */
const LATE_FACTOR = 2;

/** For so long, what the network has done counts. */
const REMEMBERED_SECS = 30;

/** A smaller change is not worth a message. */
const STEP_SECS = 0.05;

const LEAST_GATHERED_SECS = 0.06;
const MOST_GATHERED_SECS = 0.25;
/** What is gathered beside, on a network that is not this machine's own: a packet may be lost at once. */
const FAR_SECS = 0.05;

/** A longer pause within a sentence is the voice's own. */
const MOST_LATE_SECS = 1;

export class Lead {
  /** What Viva has been asked for, in seconds; what it takes unless it is asked. */
  told = 0.4;

  #trips = new Most();
  #late = new Most();
  #last = null;

  /**
   * The clock was answered.
   *
   * @param {number} secs Round trip; a longer one than any lead is of a server that was loading.
   * @param {number} now In seconds.
   */
  roundTrip(secs, now) {
    if (secs < MOST_SECS) this.#trips.add(secs, now);
  }

  /** Another sentence comes: what lies between is not the network's. */
  sentence() {
    this.#last = null;
  }

  /** Voice has come. @param {number} secs Its length. @param {number} now In seconds. */
  audio(secs, now) {
    if (this.#last) {
      const late = now - this.#last.at - this.#last.secs;
      if (late > 0 && late < MOST_LATE_SECS) this.#late.add(late, now);
    }
    this.#last = { at: now, secs };
  }

  /** What to ask Viva for now, in seconds; null if it has been told. */
  change(now) {
    const wanted = BASE_SECS + this.#trips.at(now) + LATE_FACTOR * this.#late.at(now);
    const lead = Math.min(MOST_SECS, wanted);
    if (Math.abs(lead - this.told) < STEP_SECS) return null;
    this.told = Math.round(lead * 1000) / 1000;
    return this.told;
  }

  /** Voice to gather before an answer starts, in seconds. */
  gathered(now) {
    const far = Math.min(FAR_SECS, this.#trips.at(now));
    return Math.min(MOST_GATHERED_SECS, LEAST_GATHERED_SECS + far + this.#late.at(now));
  }
}

/** The greatest of the values of the last while; 0 if there are none. */
class Most {
  #values = [];

  add(value, at) {
    // What is smaller and older will never be the greatest again.
    while (this.#values.length && this.#values.at(-1).value <= value) this.#values.pop();
    this.#values.push({ value, at });
  }

  at(now) {
    while (this.#values.length && now - this.#values[0].at > REMEMBERED_SECS) this.#values.shift();
    return this.#values[0]?.value ?? 0;
  }
}
