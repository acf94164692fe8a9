/**
 * What both sides say, turn by turn, with what stands behind each answer. It is no live region: a
 * screen reader that read it out would talk over the voice that says it.
 */

import { isLeft } from './outcome.js';
import { directionOf } from './script.js';
import { sourcesOf } from './sources.js';

/** Why a question was left for a person. */
export const REASONS = {
  sensitive: 'It does not talk about this.',
  unsupported: 'The document does not say.',
  off_topic: 'Not what the document is about.',
  unclear: 'It did not understand the question.',
  fault: 'Something went wrong.',
};
/** From the caller's last word to the first sound, one after another. */
const TIMES = [
  ['end_of_turn_delay', 'hearing'],
  ['llm_ttfs', 'answering'],
  ['tts_ttfb', 'speaking'],
];

/** So near its end, a log is followed. */
const NEAR_PIXELS = 80;

export class Captions {
  /** Called with each thing that is said, once, with who says it: 'Viva: Hello.' */
  onsaid = () => {};

  /** Called with an entry and whether the caller found its answer right; null takes it back. */
  onright = () => {};

  /** Called with an entry whose answer the caller wants to hear again. */
  onagain = () => {};

  #log;
  #interim;
  #titleOf;
  #voiceName = 'Viva';
  #language = 'en';
  #shown = new Map();
  #following = true;
  #over = false;

  /**
   * @param {HTMLElement} log
   * @param {HTMLElement} interim
   * @param {(id: string) => string | undefined} titleOf The title of a section of the document.
   */
  constructor(log, interim, titleOf) {
    this.#log = log;
    this.#interim = interim;
    this.#titleOf = titleOf;
    log.addEventListener('scroll', () => {
      if (this.#over) return;
      this.#following = log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_PIXELS;
    }, { passive: true });
    new ResizeObserver(() => this.#follow()).observe(log);
  }

  /** What callers and voice speak: that of the document. @param {string} language A BCP 47 tag. */
  set language(language) {
    this.#language = language;
  }

  set voiceName(name) {
    this.#voiceName = name;
  }

  clear() {
    this.#shown.clear();
    this.#log.replaceChildren();
    this.#following = true;
    this.#over = false;
    this.#interim.hidden = true;
  }

  /** Shows it from its beginning: the call is over. */
  rewind() {
    this.#following = false;
    this.#over = true;
    this.#log.scrollTop = 0;
  }

  /** Shows a transcript; touches only what has changed. */
  show(transcript) {
    for (const entry of transcript.entries) this.#entry(entry);
    const { pending } = transcript;
    this.#interim.hidden = !pending;
    this.#interim.classList.toggle('final', Boolean(pending?.final));
    if (pending && this.#interim.textContent !== pending.text) {
      this.#interim.textContent = pending.text;
    }
    this.#follow();
  }

  /** Keeps the latest in sight, unless somebody has gone back to read. */
  #follow() {
    if (this.#following) this.#log.scrollTop = this.#log.scrollHeight;
  }

  #entry(entry) {
    let view = this.#shown.get(entry);
    if (!view) {
      view = this.#make();
      this.#shown.set(entry, view);
      this.#log.append(view.item);
    }
    if (entry.question && entry.question !== view.question.textContent) {
      this.onsaid(`You: ${entry.question}`);
    }
    write(view.question, entry.question);
    view.caller.hidden = !entry.question;
    view.voice.hidden = !entry.said.length;
    this.#said(view, entry);
    this.#grounds(view, entry);
    write(view.times, timesOf(entry.record));
    this.#after(view, entry);
  }

  /** What can be done with an answer once it is over. */
  #after(view, entry) {
    const { turn, record, said, right } = entry;
    if (!(turn && record && said.length)) return;
    if (!view.after.childElementCount) {
      const asks = make('span', '', 'Was this right?');
      asks.id = `right-${turn}`;
      const group = make('span', 'right');
      group.setAttribute('role', 'group');
      group.setAttribute('aria-labelledby', asks.id);
      view.right = button('Yes', () => this.onright(entry, entry.right === true ? null : true));
      view.wrong = button('No', () => this.onright(entry, entry.right === false ? null : false));
      group.append(view.right, view.wrong);
      view.again = button('Hear again', () => this.onagain(entry));
      view.again.classList.add('again');
      view.again.setAttribute('aria-label', `Hear again: answer ${turn}`);
      view.after.append(asks, group, view.again);
    }
    view.right.setAttribute('aria-pressed', String(right === true));
    view.wrong.setAttribute('aria-pressed', String(right === false));
  }

  #said(view, entry) {
    const cut = entry.interrupted && entry.record;
    if (cut) {
      write(view.answer, entry.record.heard_text.trim());
      view.sentences = -1;
    } else if (view.sentences >= 0) {
      for (const { text } of entry.said.slice(view.sentences)) {
        view.answer.append(view.sentences ? ' ' : '', text);
        view.sentences += 1;
        this.onsaid(`${this.#voiceName}: ${text}`);
      }
    }
    view.cut.hidden = !entry.interrupted;
  }

  #grounds(view, { decision, said, record }) {
    const sections = decision?.sections ?? [...new Set(said.flatMap((each) => each.sections))];
    const outcome = decision ?? record;
    const escalated = outcome?.decision === 'escalate';
    const lookedUp = outcome?.looked_up ?? [];
    const key = `${sections} ${lookedUp.length} ${outcome?.decision} ${outcome?.confidence}`;
    if (view.key === key) return;
    view.key = key;
    const { titles, texts } = sourcesOf(sections, lookedUp, this.#titleOf);
    const parts = titles.length ? ['from ', ...titles, ...texts] : [];
    if (outcome?.confidence) {
      parts.unshift(`${outcome.confidence} confidence`, parts.length ? ', ' : '');
    }
    if (escalated) {
      const why = REASONS[decision?.reason] ?? 'It could not answer.';
      const left = isLeft(outcome) ? ' The question is left for a person.' : '';
      parts.splice(0, parts.length, `${why}${left}`);
    }
    view.grounds.replaceChildren(...parts);
    view.grounds.hidden = !parts.length;
  }

  #make() {
    const item = make('li', 'turn');
    const caller = make('p', 'caller');
    const question = make('span');
    caller.append(make('span', 'unseen', 'You: '), question);
    const voice = make('p', 'voice');
    const answer = make('span');
    const cut = make('span', 'cut', ' — interrupted');
    cut.hidden = true;
    // A sentence may be in another language than the document, as those are that Viva always says.
    question.dir = answer.dir = 'auto';
    voice.append(make('span', 'unseen', `${this.#voiceName}: `), answer, cut);
    for (const said of [caller, voice]) {
      Object.assign(said, { lang: this.#language, dir: directionOf(this.#language) });
    }
    const grounds = make('p', 'grounds');
    grounds.hidden = true;
    const times = make('p', 'times');
    const after = make('div', 'after');
    item.append(caller, voice, grounds, times, after);
    return { item, caller, question, voice, answer, cut, grounds, times, after, sentences: 0, key: '' };
  }
}

function timesOf(record) {
  if (!record || record.e2e_latency === null) return '';
  const parts = TIMES.filter(([field]) => record[field] !== null);
  const listed = parts.map(([field, name]) => `${name} ${record[field].toFixed(2)}`).join(', ');
  return `${record.e2e_latency.toFixed(2)} s${listed ? ` — ${listed}` : ''}`;
}

function button(text, press) {
  const element = make('button', '', text);
  element.type = 'button';
  element.addEventListener('click', press);
  return element;
}

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function make(tag, name = '', text = '') {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (text) element.textContent = text;
  return element;
}
