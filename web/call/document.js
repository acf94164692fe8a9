/** The document on the page: set from document.json, its lines lit while they are spoken. */

import { directionOf } from './script.js';

const READER_SECS = 4;

export class DocumentView {
  #root;
  #lines = new Map();
  #titles = new Map();
  #lit = [];
  #readerAt = -Infinity;

  /** @param {HTMLElement} root */
  constructor(root) {
    this.#root = root;
    for (const event of ['wheel', 'touchmove', 'keydown', 'pointerdown']) {
      addEventListener(event, (from) => this.#reader(from), { passive: true });
    }
  }

  /** Sets the document. @param {object} data As served by `GET /document.json`. */
  set(data) {
    this.#root.lang = data.language || 'en';
    this.#root.dir = directionOf(this.#root.lang);
    this.#lines.clear();
    this.#titles.clear();
    this.#root.replaceChildren(
      ...data.sections.map((section) => this.#section(section, data.title)),
      ...sourcesOf(data.sources ?? []),
    );
  }

  /** Line numbers that are lit now. */
  get lit() {
    return [...this.#lit];
  }

  /** A section's title, for those who cite it; undefined if the document has no such section. */
  title(id) {
    return this.#titles.get(id);
  }

  /** Lights these lines and no others. @param {number[]} lines */
  light(lines) {
    if (lines.length === this.#lit.length && lines.every((line, at) => line === this.#lit[at])) {
      return;
    }
    for (const line of this.#lit) this.#lines.get(line)?.classList.remove('lit');
    this.#lit = [...lines];
    const elements = lines.map((line) => this.#lines.get(line)).filter(Boolean);
    for (const element of elements) element.classList.add('lit', 'cited');
    if (elements.length) this.#show(elements[0]);
  }

  /** Marks sections in the margin. @param {Map<string, number[]>} cited Section id to turns. */
  mark(cited) {
    for (const section of this.#root.querySelectorAll('section')) {
      const turns = (cited.get(section.dataset.id) ?? []).filter((turn) => turn > 0);
      const mark = section.querySelector('.mark');
      mark.textContent = turns.length ? `cited in turn${turns.length > 1 ? 's' : ''} ${turns.join(', ')}` : '';
      mark.hidden = !turns.length;
    }
  }

  /** Forgets what was cited: another call begins. */
  clear() {
    this.light([]);
    this.mark(new Map());
    for (const element of this.#root.querySelectorAll('.cited')) element.classList.remove('cited');
  }

  #section({ id, title, level, lines }, documentTitle) {
    const section = make('section');
    section.dataset.id = id;
    section.id = anchorOf(id);
    section.dataset.level = level;
    this.#titles.set(id, title);
    const heading = make(`h${Math.min(6, Math.max(2, level))}`, title);
    // The masthead has said the document's own title already.
    if (level === 1 && title === documentTitle) heading.className = 'unseen';
    const mark = make('p');
    mark.className = 'mark';
    mark.lang = 'en';
    mark.hidden = true;
    const head = make('div');
    head.className = 'head';
    head.append(heading, mark);
    section.append(head);
    let block = null;
    let before = -1;
    for (const line of lines) {
      if (line.kind === 'heading') {
        this.#lines.set(line.number, heading);
        continue;
      }
      const item = line.kind === 'item';
      const goesOn = item ? block?.tagName === 'UL' : block?.tagName === 'P' && line.number === before + 1;
      if (!goesOn) {
        block = make(item ? 'ul' : 'p');
        section.append(block);
      } else if (!item) {
        block.append(' ');
      }
      const element = make(item ? 'li' : 'span', line.text);
      element.dataset.number = line.number;
      element.classList.add('line');
      this.#lines.set(line.number, element);
      block.append(element);
      before = line.number;
    }
    return section;
  }

  /** Somebody who is reading is left alone. */
  #reader(event) {
    if (event.type === 'keydown' && !/^(Arrow|Page|Home|End)/.test(event.key)) return;
    if (event.type === 'pointerdown' && !this.#root.contains(event.target)) return;
    this.#readerAt = performance.now();
  }

  #show(element) {
    if (performance.now() - this.#readerAt < READER_SECS * 1000) return;
    const { top, bottom } = element.getBoundingClientRect();
    const covered = coveredPixels();
    if (covered === null) return;
    const space = innerHeight - covered;
    if (top >= 24 && bottom <= space - 24) return;
    const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
    scrollBy({ top: top - space * 0.35, behavior: calm ? 'instant' : 'smooth' });
  }
}

/**
 * How much of the window's foot the call covers, or null where it stands above the document: there,
 * to scroll to a line would take the call's controls out of sight.
 */
function coveredPixels() {
  const panel = document.getElementById('call');
  switch (getComputedStyle(panel).position) {
    case 'fixed':
      return panel.offsetWidth < innerWidth ? 0 : panel.offsetHeight;
    case 'sticky':
      return 0;
    default:
      return null;
  }
}

/** The anchor of a section in the page. @param {string} id */
export function anchorOf(id) {
  return `section-${id.replace(/[^\w-]+/g, '-')}`;
}

function sourcesOf(sources) {
  if (!sources.length) return [];
  const footer = make('footer');
  const list = make('ol');
  for (const source of sources) {
    const item = make('li');
    const url = /https?:\/\/\S+/.exec(source)?.[0];
    if (url) {
      const link = make('a', url.replace(/^https?:\/\/(www\.)?/, ''));
      link.href = url;
      link.rel = 'noreferrer';
      item.append(...[source.slice(0, source.indexOf(url)), link, source.slice(source.indexOf(url) + url.length)]);
    } else {
      item.textContent = source;
    }
    list.append(item);
  }
  footer.append(make('h2', 'Sources'), list);
  return [footer];
}

function make(tag, text = '') {
  const element = document.createElement(tag);
  if (text) element.textContent = text;
  return element;
}
