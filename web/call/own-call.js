/** What a caller says of their own call, beside the wire: while it goes on, and afterwards. */

import { asVisitor } from './visitor.js';

/** Viva did not take it; the message says why. */
export class FeedbackError extends Error {}

export class OwnCall {
  #id;

  /** @param {string} id As `bot-ready` names the call. */
  constructor(id) {
    this.#id = id;
  }

  /** @throws {FeedbackError} */
  leaveAddress(address) {
    return this.#send('PUT', 'address', { address });
  }

  /** @throws {FeedbackError} */
  takeAddressBack() {
    return this.#send('DELETE', 'address');
  }

  /** @param {boolean | null} right null takes it back. @throws {FeedbackError} */
  judge(turn, right) {
    return this.#send('PUT', `turns/${turn}/right`, { right });
  }

  async #send(method, what, body) {
    let answer;
    try {
      answer = await fetch(asVisitor(`calls/${this.#id}/${what}`), {
        method,
        headers: body ? { 'Content-Type': 'application/json' } : {},
        body: body && JSON.stringify(body),
      });
    } catch {
      throw new FeedbackError('Viva could not be reached. Please try again.');
    }
    if (answer.ok) return;
    const { error } = await answer.json().catch(() => ({}));
    throw new FeedbackError(error ?? 'It could not be kept. Please try again.');
  }
}
