/**
 * What is said, for a braille display: a live region that stays empty until somebody asks for it,
 * because a screen reader reads it aloud, too. The wish is remembered.
 */

import { remember, remembered } from './wishes.js';

const REMEMBERED = 'braille';

export class BrailleLine {
  #box;
  #line;

  /** @param {HTMLInputElement} box Whether it is wanted. @param {HTMLElement} line The region. */
  constructor(box, line) {
    this.#box = box;
    this.#line = line;
    box.checked = remembered(REMEMBERED, 'no') === 'yes';
    box.onchange = () => {
      remember(REMEMBERED, box.checked ? 'yes' : 'no');
      if (!box.checked) line.textContent = '';
    };
  }

  /** @param {string} text */
  show(text) {
    if (this.#box.checked) this.#line.textContent = text;
  }
}
