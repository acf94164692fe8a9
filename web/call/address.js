/** Asks for an address once a question is left for a person who would not know where to answer it. */

import { isLeft } from './outcome.js';

export class Address {
  #find;
  #wanted = false;

  #left = 0;
  #own = null;
  #given = '';

  /** @param {Document} page */
  constructor(page) {
    this.#find = (id) => page.getElementById(id);
    this.#find('leave').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#leave();
    });
    this.#find('leave-remove').addEventListener('click', () => this.#takeBack());
  }

  /** @param {{follow_up?: {address: boolean, days: number}}} about As served by about.json. */
  about({ follow_up: { address = false, days = 0 } = {} }) {
    this.#wanted = address;
    const kept = days ? `${days === 1 ? 'one day' : `${days} days`} at most` : 'until it is deleted';
    this.#find('leave-what').textContent = 'By leaving it you agree that it is kept with this call, '
      + `${kept}, and that a person writes to you about your questions. You can remove it here.`;
  }

  /** A call begins. */
  begin() {
    this.#left = 0;
    this.#own = null;
    this.#given = '';
    this.#find('leave-address').value = '';
    this.#show();
  }

  /** @param {import('./own-call.js').OwnCall} own */
  set call(own) {
    this.#own = own;
  }

  /** One event of the wire. */
  receive(event) {
    if (event.type !== 'decision' || !isLeft(event)) return;
    this.#left += 1;
    this.#show();
  }

  async #leave() {
    const address = this.#find('leave-address').value.trim();
    if (!address || !this.#own) return;
    await this.#try(async () => {
      await this.#own.leaveAddress(address);
      this.#given = address;
      this.#say(`A person will write to ${address}.`);
    });
    if (this.#given === address) this.#find('leave-remove').focus({ preventScroll: true });
  }

  async #takeBack() {
    await this.#try(async () => {
      await this.#own.takeAddressBack();
      this.#given = '';
      this.#find('leave-address').value = '';
      this.#say('Your address is removed.');
    });
    if (!this.#given) this.#find('leave-address').focus({ preventScroll: true });
  }

  async #try(what) {
    try {
      await what();
    } catch (error) {
      this.#say(error.message);
    }
    this.#show();
  }

  #say(text) {
    this.#find('leave-said').textContent = text;
  }

  #show() {
    const asks = this.#wanted && this.#left > 0;
    if (this.#find('leave-open').hidden && asks) this.#say('');
    this.#find('leave-open').hidden = !asks;
    this.#find('leave-fields').hidden = Boolean(this.#given);
    this.#find('leave-remove').hidden = !this.#given;
    const questions = this.#left === 1 ? 'A question is' : `${this.#left} questions are`;
    this.#find('leave-title').textContent = this.#given
      ? 'Your address is left'
      : `${questions} left for a person: leave an address for the answer`;
  }
}
