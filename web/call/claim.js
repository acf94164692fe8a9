/** The one call that this browser holds, whichever tab it is in: two would hear each other. */

const NAME = 'viva-call';

/** Settles when this tab has given up what it claimed before, which takes the browser a moment. */
let givenUp = Promise.resolve();

export class Claim {
  #release = () => {};

  /**
   * Takes it, unless another tab has. A tab that is closed, or crashes, gives it up.
   *
   * @returns {Promise<boolean>} Whether this tab has it.
   */
  take() {
    if (!navigator.locks) return Promise.resolve(true);
    return new Promise((resolve) => {
      const held = new Promise((release) => { this.#release = release; });
      const claim = (lock) => {
        resolve(lock !== null);
        return lock ? held : undefined;
      };
      givenUp = givenUp
        .then(() => navigator.locks.request(NAME, { ifAvailable: true }, claim))
        .catch(() => resolve(true)); // a browser that refuses locks refuses nobody a call
    });
  }

  release() {
    this.#release();
  }
}
