/** Whether something beside the caller, another voice or an echo, disturbs a call. No DOM. */

/** So many times in so many seconds the voice was lowered for somebody who then took no turn. */
const TIMES = 3;
const WITHIN_SECS = 45;

export class Disturbance {
  #times = [];

  /** One event of the wire. @returns {boolean} Whether it is disturbed by now. */
  receive(event, now) {
    if (event.type === 'duck' && !event.on) this.#times.push(now);
    if (event.type === 'decision') this.#times = this.#times.slice(1);
    this.#times = this.#times.filter((at) => now - at < WITHIN_SECS);
    return this.#times.length >= TIMES;
  }
}
