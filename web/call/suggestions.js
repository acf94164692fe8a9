/** Questions that a caller could ask, before and after a call: a press asks one. */

export class Suggestions {
  /** Called with the question that was chosen. */
  onask = () => {};

  #section;
  #list;
  #waiting = '';

  /** @param {HTMLElement} section @param {HTMLElement} list */
  constructor(section, list) {
    this.#section = section;
    this.#list = list;
    list.addEventListener('click', ({ target }) => {
      const button = target.closest('button');
      if (button) this.onask(button.textContent);
    });
  }

  /** @param {{suggestions?: string[]}} about */
  about({ suggestions = [] }) {
    if (suggestions.length === this.#list.childElementCount) return;
    this.#list.replaceChildren(...suggestions.map((question) => {
      const item = this.#list.ownerDocument.createElement('li');
      const button = item.ownerDocument.createElement('button');
      Object.assign(button, { type: 'button', textContent: question });
      item.append(button);
      return item;
    }));
  }

  /** @param {{live: boolean}} call Shown before and after a call. */
  show({ live }) {
    this.#section.hidden = live || !this.#list.childElementCount;
  }

  /** Keeps a question until the greeting of the call that it has begun is over. */
  keep(question) {
    this.#waiting = question;
  }

  /** One event of the wire: the question to ask now, or ''. */
  receive(event) {
    if (event.type !== 'bot-stopped-speaking' && event.type !== 'end') return '';
    const question = event.type === 'end' ? '' : this.#waiting;
    this.#waiting = '';
    return question;
  }
}
