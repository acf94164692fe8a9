/**
 * Hold to talk: the caller is heard while they hold the space bar or the button, and not otherwise.
 * The wish is remembered. Who cannot hold a button presses it once, by a screen reader or a switch,
 * and once more when they have spoken.
 */

import { remember, remembered } from './wishes.js';

const REMEMBERED = 'hold';

/** The last syllable outlasts the finger. */
const TAIL_SECS = 0.15;

export class HoldToTalk {
  /** Called when the caller begins to talk and when they have. @type {(on: boolean) => void} */
  ontalk = () => {};

  /** Called when the wish has changed. */
  onchange = () => {};

  /** Whether the caller wishes it. */
  wanted = remembered(REMEMBERED, 'no') === 'yes';

  /** Whether the caller is heard. */
  talking = false;

  #boxes;
  #button;
  #offer;
  #possible = false;
  #spaceHeld = false;
  #ending = 0;

  /** @param {Document} page */
  constructor(page) {
    this.#boxes = ['hold', 'hold-live'].map((id) => page.getElementById(id));
    this.#button = page.getElementById('talk');
    this.#offer = page.getElementById('offer');
    for (const box of this.#boxes) box.addEventListener('change', () => this.wish(box.checked));
    page.getElementById('offer-hold').addEventListener('click', () => {
      this.wish(true);
      this.#button.focus({ preventScroll: true });
    });
    this.#listen(page);
    this.#show();
  }

  /** @param {boolean} wanted */
  wish(wanted) {
    if (!wanted) this.#end();
    this.wanted = wanted;
    remember(REMEMBERED, wanted ? 'yes' : 'no');
    this.#show();
    this.onchange();
  }

  /** Offers it in a call that others disturb. */
  offer() {
    this.#offer.hidden = this.wanted || !this.#possible;
  }

  /** @param {{live: boolean}} call Whether the caller has a call with a microphone. */
  show({ live }) {
    if (live === this.#possible) return;
    this.#possible = live;
    if (!live) this.#end();
    this.#offer.hidden = true;
    this.#show();
  }

  get holding() {
    return this.#possible && this.wanted;
  }

  /** @param {boolean} down @returns {boolean} Whether the key was the button's. */
  key(event, down) {
    if (!this.holding || event.key !== ' ') return false;
    if (this.#spaceHeld && (event.repeat || !down)) {
      // Wherever the focus has gone meanwhile: whoever lets go is heard no more.
      event.preventDefault();
      if (!down) this.#letGo();
      return true;
    }
    const on = event.target;
    const other = on instanceof Element && on !== this.#button
      && on.closest('button, a, input, summary, select, textarea, [contenteditable]');
    if (other) return false;
    event.preventDefault();
    if (down && !event.repeat) {
      this.#spaceHeld = true;
      this.#begin();
    } else if (!down) {
      this.#letGo();
    }
    return true;
  }

  #letGo() {
    this.#spaceHeld = false;
    this.#finish();
  }

  #listen(page) {
    const button = this.#button;
    button.addEventListener('pointerdown', (event) => {
      button.setPointerCapture(event.pointerId);
      this.#begin();
    });
    for (const kind of ['pointerup', 'pointercancel', 'lostpointercapture']) {
      button.addEventListener(kind, () => this.#finish());
    }
    button.addEventListener('contextmenu', (event) => event.preventDefault());
    button.addEventListener('click', ({ detail }) => {
      if (detail) return; // a pointer's, which has been held
      if (this.talking) this.#finish();
      else this.#begin();
    });
    page.defaultView.addEventListener('blur', () => this.#letGo());
  }

  #begin() {
    if (!this.holding) return;
    clearTimeout(this.#ending);
    this.#ending = 0;
    if (this.talking) return;
    this.talking = true;
    this.ontalk(true);
    this.#show();
  }

  #finish() {
    if (!this.talking || this.#ending) return;
    this.#ending = setTimeout(() => this.#end(), TAIL_SECS * 1000);
  }

  #end() {
    clearTimeout(this.#ending);
    this.#ending = 0;
    if (!this.talking) return;
    this.talking = false;
    this.ontalk(false);
    this.#show();
  }

  #show() {
    for (const box of this.#boxes) box.checked = this.wanted;
    if (this.wanted) this.#offer.hidden = true;
    this.#button.hidden = !this.holding;
    this.#button.setAttribute('aria-pressed', String(this.talking));
    this.#button.textContent = this.talking ? 'You are heard' : 'Hold to talk';
  }
}
