/** Whether anything comes of a microphone, and if not, why. No I/O. */

/** A microphone that is on is never silent to the last bit for so long. */
const SILENT_SECS = 3;

export class InputWatch {
  #silentSecs = 0;
  #ended = '';

  /** Whether the system, or a switch of the device, has muted it. */
  systemMuted = false;

  /**
   * Why nothing of it is heard: '' while it is, `silent`, `system-muted`, `unplugged` or `withdrawn`
   * (the browser no longer lets the page use it).
   */
  get cause() {
    if (this.#ended) return this.#ended;
    if (this.systemMuted) return 'system-muted';
    return this.#silentSecs >= SILENT_SECS ? 'silent' : '';
  }

  /** Another device, or the same anew. */
  begin(systemMuted) {
    this.#silentSecs = 0;
    this.#ended = '';
    this.systemMuted = systemMuted;
  }

  /** @param {'unplugged' | 'withdrawn'} why */
  end(why) {
    this.#ended = why;
  }

  /** So much was heard of it. @param {number} level 0 for digital silence. @param {number} secs */
  hear(level, secs) {
    this.#silentSecs = level ? 0 : this.#silentSecs + secs;
  }

  /** The caller has muted it themselves: its silence means nothing. */
  pause() {
    this.#silentSecs = 0;
  }
}
