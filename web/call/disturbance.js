/** Whether something beside the caller, another voice or an echo, disturbs a call. No DOM. */

/** So many times in so many seconds somebody was heard who then took no turn. */
const TIMES = 3;
const WITHIN_SECS = 45;

export class Disturbance {
  #times = [];
  #wordless = false; // whoever began to speak last has said nothing that was understood

  /** One event of the wire. @returns {boolean} Whether it is disturbed by now. */
  receive(event, now) {
    switch (event.type) {
      case 'second-voice':
        return true;
      case 'duck':
        if (!event.on) this.#times.push(now);
        break;
      case 'user-started-speaking':
        if (this.#wordless) this.#times.push(now);
        this.#wordless = true;
        break;
      case 'user-transcription':
        if (event.text.trim()) this.#wordless = false;
        break;
      case 'decision':
        this.#wordless = false;
        this.#times = this.#times.slice(1);
        break;
      default:
    }
    this.#times = this.#times.filter((at) => now - at < WITHIN_SECS);
    return this.#times.length >= TIMES;
  }
}
