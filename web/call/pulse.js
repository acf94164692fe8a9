/**
 * Whether Viva is still there. A network that goes without a word, such as from Wi-Fi to a telephone's,
 * leaves the socket open for minutes: so Viva is asked, and what answers nothing is gone.
 */

const ASK_SECS = 1;
const LOST_SECS = 7;

export class Pulse {
  #ask;
  #lost;
  #now;
  #every;
  #askedAt = null;
  #timer = null;

  /**
   * @param {(sent: number) => void} ask Sends a question that Viva answers: the page's time.
   * @param {() => void} lost Called once, when nothing has answered for 7 s.
   * @param {{now?: () => number, every?: (run: () => void, secs: number) => any}} [time] The page's
   *   clock, in seconds, and its timer.
   */
  constructor(ask, lost, { now = () => performance.now() / 1000, every = repeat } = {}) {
    this.#ask = ask;
    this.#lost = lost;
    this.#now = now;
    this.#every = every;
  }

  start() {
    this.#timer ??= this.#every(() => this.#beat(), ASK_SECS);
  }

  stop() {
    clearInterval(this.#timer);
    this.#timer = null;
    this.#askedAt = null;
  }

  /** Something came from Viva. */
  heard() {
    this.#askedAt = null;
  }

  #beat() {
    const now = this.#now();
    // Counted from the question, not from what was heard last: a tab in the background asks rarely.
    if (this.#askedAt !== null && now - this.#askedAt >= LOST_SECS) {
      this.stop();
      this.#lost();
      return;
    }
    this.#askedAt ??= now;
    this.#ask(now);
  }
}

function repeat(run, secs) {
  return setInterval(run, secs * 1000);
}
