/** Copies what was said, or saves it as a file, once the call is over. */

import { asJson, asText, asVtt } from './transcript-file.js';

const FILES = {
  text: { write: asText, type: 'text/plain', ending: 'txt' },
  json: { write: asJson, type: 'application/json', ending: 'json' },
  vtt: { write: asVtt, type: 'text/vtt', ending: 'vtt' },
};

export class Keepsake {
  #group;
  #said;

  /** @param {HTMLElement} group With buttons whose value is `copy` or a kind of file. */
  constructor(group, said) {
    this.#group = group;
    this.#said = said;
    group.addEventListener('click', ({ target }) => {
      const kind = target.closest('button')?.value;
      if (kind === 'copy') this.#copy();
      else if (kind) this.#save(kind);
    });
  }

  /** Called for what there is: `{entries, about}` as transcript-file.js takes them. */
  transcript = () => ({ entries: [], about: {} });

  show(shown) {
    if (this.#group.hidden === !shown) return;
    this.#group.hidden = !shown;
    this.#said.textContent = '';
  }

  async #copy() {
    const { entries, about } = this.transcript();
    try {
      await navigator.clipboard.writeText(asText(entries, about));
      this.#said.textContent = 'Copied.';
    } catch {
      this.#said.textContent = 'The browser did not allow it. Save it as text instead.';
    }
  }

  #save(kind) {
    const { entries, about } = this.transcript();
    const { write, type, ending } = FILES[kind];
    const link = this.#group.ownerDocument.createElement('a');
    link.href = URL.createObjectURL(new Blob([write(entries, about)], { type: `${type};charset=utf-8` }));
    link.download = `call-${about.at.toISOString().slice(0, 16).replace(/[T:]/g, '-')}.${ending}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    this.#said.textContent = `Saved as ${link.download}.`;
  }
}
