/**
 * The server's clock as this page can know it. Each question over the socket gives a reading: the
 * server's time lies somewhere within its round trip, so the shortest one is the best. A reading
 * grows worse as it ages, because two quartz clocks drift apart.
 */

const FIRST_ASKS = 5;
const FIRST_SECS = 0.2;
const NEXT_SECS = 30;

/** Seconds that two clocks may drift apart in a second. */
const DRIFT = 1e-4;

/** Questions without an answer that are remembered. */
const MOST_ASKED = 8;

export class ServerClock {
  #ask;
  #now;
  #later;
  #best = null;
  #asked = new Set();
  #count = 0;
  #timer = null;

  /**
   * @param {(sent: number) => void} ask Sends a question: the page's time, in seconds.
   * @param {{now?: () => number, later?: (run: () => void, secs: number) => any}} [time] The
   *   page's clock, in seconds, and its timer.
   */
  constructor(ask, { now = () => performance.now() / 1000, later = after } = {}) {
    this.#ask = ask;
    this.#now = now;
    this.#later = later;
  }

  /** Seconds that the server's clock is ahead of the page's; null until it has answered. */
  get offset() {
    return this.#best?.offset ?? null;
  }

  /** Round trip of the reading in use, in seconds, or null: the offset is off by half of it at most. */
  get roundTrip() {
    return this.#best?.roundTrip ?? null;
  }

  /** Asks five times, and every 30 s from then on. */
  start() {
    if (!this.#count) this.#next();
  }

  stop() {
    clearTimeout(this.#timer);
  }

  /** Takes an answer. @param {{sent: number, now: number}} answer A `clock` message. */
  answer({ sent, now }) {
    const at = this.#now();
    if (!this.#asked.delete(sent) || !Number.isFinite(now)) return;
    const reading = { offset: now - (sent + at) / 2, roundTrip: at - sent, at };
    if (!this.#best || doubt(reading, at) <= doubt(this.#best, at)) this.#best = reading;
  }

  /** A time of the page in the server's clock; null while that is not known. @param {number} secs */
  at(secs) {
    return this.#best && secs + this.#best.offset;
  }

  #next() {
    const sent = this.#now();
    this.#asked.add(sent);
    if (this.#asked.size > MOST_ASKED) this.#asked.delete(this.#asked.values().next().value);
    this.#count += 1;
    this.#timer = this.#later(() => this.#next(), this.#count < FIRST_ASKS ? FIRST_SECS : NEXT_SECS);
    this.#ask(sent);
  }
}

/** How far a reading can be off by now, in seconds. */
function doubt({ roundTrip, at }, now) {
  return roundTrip / 2 + DRIFT * (now - at);
}

function after(run, secs) {
  return setTimeout(run, secs * 1000);
}
