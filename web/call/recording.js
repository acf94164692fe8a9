/** Whether a call is recorded: what a caller is asked or told first, and what the page says meanwhile. */

export class Recording {
  #find;
  #mode = 'off';

  /** What Viva said last of the call: null before it said anything. */
  on = null;

  /** @param {Document} page */
  constructor(page) {
    this.#find = (id) => page.getElementById(id);
  }

  /** @param {{record?: 'off' | 'calls' | 'all', recording_days?: number}} about */
  about({ record = 'off', recording_days: days = 0 }) {
    this.#mode = record;
    const kept = days ? `for ${days === 1 ? 'one day' : `${days} days`}` : 'until they are deleted';
    const what = `both voices and what was said are kept ${kept}.`;
    this.#find('record').hidden = record !== 'calls';
    this.#find('record-what').textContent = `If it is, ${what}`;
    this.#find('record-all').hidden = record !== 'all';
    this.#find('record-all').textContent = `Calls are recorded: ${what} By calling you agree to it.`;
  }

  /** Whether the caller agrees to be recorded. */
  get agreed() {
    return this.#mode === 'all' || (this.#mode === 'calls' && this.#find('record-yes').checked);
  }

  /** A call begins: nothing is known of it yet. */
  begin() {
    this.on = null;
    this.#show('');
  }

  /** One event of the wire. */
  receive(event) {
    if (event.type !== 'recorded') return;
    const before = this.on;
    this.on = event.on;
    if (event.on) this.#show('This call is being recorded.');
    else this.#show(before === null ? 'This call is not recorded.' : 'The recording has ended.');
  }

  #show(text) {
    const place = this.#find('recorded');
    place.hidden = !text;
    place.textContent = text;
    place.classList.toggle('on', this.on === true);
  }
}
