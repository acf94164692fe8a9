/**
 * The instruments beside the call: who is at work, how the last answer came about, how fast answers
 * are, what they cost, and what went wrong. Drawn at most once a frame, and only what has changed.
 */

import { REASONS } from './captions.js';
import { failedOf, isLeft, isRefusal } from './outcome.js';
import { percentile } from './figures.js';
import { against, dollars, inColumn } from './money.js';
import { scaleOf, sparkline, stacked } from './pictures.js';
import { sourcesOf } from './sources.js';
import { waterfall } from './waterfall.js';

const WORK = { vad: 'Listening', stt: 'Hearing', brain: 'Answering', tts: 'Speaking' };
const PAID = ['stt', 'brain', 'tts'];
const IN_ITS_WORDS = "answered in the document's own words";

/** Where they stand in a column of their own, as in instruments.css; elsewhere they fold away. */
const WIDE = '(min-width: 85rem)';

const MOST_BARS = 48;
const MOST_ROWS = 8;

/** From this part of a cap on, what is spent is near it. */
const NEAR = 0.8;

/** Why an embedded engine costs nothing. */
const FREE = 'free, runs here';

export class Instruments {
  #find;
  #titleOf;
  #details;
  #figures = null;
  #frame = 0;
  #drawn = new Map();

  /**
   * @param {Document} page
   * @param {(id: string) => string | undefined} titleOf The title of a section of the document.
   */
  constructor(page, titleOf) {
    this.#find = (id) => page.getElementById(id);
    this.#titleOf = titleOf;
    this.#details = this.#find('instruments');
    this.#details.addEventListener('toggle', () => this.#ask());
    const wide = matchMedia(WIDE);
    const unfold = () => { this.#details.open = wide.matches; };
    wide.addEventListener('change', unfold);
    unfold();
  }

  /** Shows them, with the next frame. @param {import('./figures.js').Figures} figures */
  show(figures) {
    this.#figures = figures;
    this.#ask();
  }

  #ask() {
    if (this.#frame || !this.#figures) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      this.#draw(this.#figures);
    });
  }

  #draw(figures) {
    const { last, latencies, money, services, turns, working, failovers } = figures;
    this.#part('digest', [last, money], () => write(this.#find('digest'), digest(last, money)));
    if (!this.#details.open) return;
    this.#part('services', [JSON.stringify(services), working, failovers], () => {
      this.#find('services').replaceChildren(...services.map((each) => serviceOf(each, working)));
      this.#find('failovers').replaceChildren(...failovers.map(({ stage, failed, vendor }) => make(
        'li', '', `${figures.nameOf(stage, failed)} failed. ${figures.nameOf(stage, vendor)} took over.`,
      )));
    });
    this.#part('last', [last], () => this.#last(last));
    this.#part('times', [turns], () => this.#times(turns, latencies));
    this.#part('money', [money, JSON.stringify(services)], () => this.#money(money, services));
    this.#part('turns', [turns], () => this.#turns(turns, figures));
    this.#part('counts', [turns, failovers], () => this.#counts(figures.counts, turns.length));
    this.#find('awaited').hidden = turns.length > 0;
  }

  /** Draws a part, unless it was last drawn of the very same things. */
  #part(name, things, draw) {
    const before = this.#drawn.get(name);
    if (before?.every((thing, at) => thing === things[at])) return;
    this.#drawn.set(name, things);
    draw();
  }

  #last(turn) {
    this.#find('last').hidden = !turn;
    if (!turn) return;
    const heard = turn.e2e_latency !== null;
    write(this.#find('last-title'), `Answer to turn ${turn.turn}`);
    write(this.#find('last-total'), heard ? seconds(turn.e2e_latency) : 'not heard');
    this.#find('waterfall').replaceChildren(waterfall(turn));
    this.#find('last-grounds').replaceChildren(...this.#grounds(turn));
    const failed = failedOf(turn);
    const checks = this.#find('last-checks');
    checks.classList.toggle('warn', failed.length > 0);
    write(checks, checksOf(turn.checks, failed));
  }

  #grounds(turn) {
    if (turn.decision === 'escalate') {
      return [`${REASONS[turn.reason] ?? 'It could not answer.'}${isLeft(turn) ? ' Left for a person.' : ''}`];
    }
    const { titles, texts } = sourcesOf(turn.sections, turn.looked_up ?? [], this.#titleOf);
    const confidence = turn.confidence ? capital(`${turn.confidence} confidence`) : '';
    const said = turn.checks.some(({ name }) => name === 'wording') ? `. ${capital(IN_ITS_WORDS)}` : '';
    const from = titles.length ? [confidence ? ', from ' : 'From ', ...titles] : [];
    return [confidence, ...from, said, '.', ...texts];
  }

  #times(turns, latencies) {
    this.#find('times').hidden = !latencies.length;
    if (!latencies.length) return;
    for (const percent of [50, 95]) {
      write(this.#find(`p${percent}`), seconds(percentile(latencies, percent)));
    }
    const recorded = turns.filter((turn) => turn.type === 'turn' && !turn.withdrawn);
    const shown = recorded.map((turn) => turn.e2e_latency).slice(-MOST_BARS);
    const told = shown.map((secs) => (secs === null ? 'not heard' : secs.toFixed(2))).join(', ');
    const top = Math.max(...shown.map((secs) => secs ?? 0));
    const picture = sparkline(shown, scaleOf(top), `Seconds to each answer: ${told}`);
    this.#find('sparkline').replaceChildren(picture);
  }

  #money({ call, callCap, day, dayCap }, services) {
    const find = this.#find;
    const kinds = new Map(services.map(({ stage, kind }) => [stage, kind]));
    const free = PAID.every((stage) => kinds.get(stage) === 'embedded') && !call?.total;
    find('money').hidden = !call && callCap === null && dayCap === null && !free;
    find('day').hidden = !day && dayCap === null;
    write(find('money-title'), call ? 'Cost of the call' : 'Cost of a call');
    write(find('call-spent'), free ? FREE : told(call?.total ?? null, callCap));
    write(find('day-title'), day === null ? 'All calls of a day' : 'All calls today');
    write(find('day-spent'), told(day, dayCap));
    const spent = free ? null : call;
    const parts = PAID.map((stage) => ({ amount: spent?.[stage] ?? 0, kind: stage }));
    this.#gauge('call-gauge', parts, spent?.total ?? null, callCap);
    this.#gauge('day-gauge', [{ amount: day ?? 0, kind: 'all' }], day, dayCap);
    find('stages').replaceChildren(...(spent ? PAID : []).map((stage) => {
      const row = make('div');
      const term = make('dt', '', WORK[stage]);
      term.prepend(make('i', `dot ${stage}`));
      const here = !spent[stage] && kinds.get(stage) === 'embedded';
      row.append(term, make('dd', '', here ? FREE : inColumn(spent[stage], spent.total)));
      return row;
    }));
  }

  /** A bar against a cap; without one there is nothing to hold it against but itself. */
  #gauge(id, parts, spent, cap) {
    const place = this.#find(id);
    place.hidden = spent === null || !(cap || (spent && parts.length > 1));
    if (place.hidden) return;
    place.classList.toggle('near', cap !== null && spent >= NEAR * cap);
    place.replaceChildren(stacked(parts, cap || spent));
  }

  #turns(turns, figures) {
    const shown = turns.slice(-MOST_ROWS).reverse();
    const most = Math.max(...shown.map(({ cost }) => cost?.total ?? 0), 1);
    this.#find('turns').hidden = !shown.length;
    const rows = shown.flatMap((turn) => rowsOf(turn, most, figures));
    this.#find('turn-rows').replaceChildren(...rows);
    const earlier = turns.length - shown.length;
    write(this.#find('earlier'), earlier ? `and ${earlier} earlier` : '');
  }

  #counts({ escalated, interrupted, checks, failed, failovers, errors }, turns) {
    this.#find('counts').hidden = !turns;
    const told = {
      escalated,
      interrupted,
      'checks-failed': checks ? `${failed} of ${checks}` : 0,
      'taken-over': failovers,
      errors,
    };
    for (const [id, count] of Object.entries(told)) write(this.#find(id), String(count));
    for (const [id, count] of [['checks-failed', failed], ['taken-over', failovers], ['errors', errors]]) {
      this.#find(id).classList.toggle('warn', count > 0);
    }
  }
}

function digest(last, { call }) {
  const heard = last && last.e2e_latency !== null ? seconds(last.e2e_latency) : '';
  return [heard, call?.total ? dollars(call.total) : ''].filter(Boolean).join(', ');
}

function serviceOf({ stage, label, kind, detail, model }, working) {
  const item = make('li', stage === working ? 'working' : '');
  if (stage === working) item.setAttribute('aria-current', 'true');
  const who = make('span', 'who', label);
  // "Claude claude-haiku-4-5" says it twice, and an embedded engine's label is its model.
  const family = `${label.toLowerCase()}-`;
  const short = model.startsWith(family) ? model.slice(family.length) : model;
  if (model && kind !== 'embedded') who.append(' ', make('span', 'model', short));
  item.append(make('i', `dot ${stage}`), make('span', 'what', WORK[stage]), who);
  item.append(make('span', 'detail', detail));
  return item;
}

function checksOf(checks, failed) {
  if (!checks.length) return '';
  const repaired = checks.find(({ name, passed, detail }) => name === 'form' && passed && detail);
  const mended = repaired ? ` Repaired in the model's reply: ${repaired.detail}.` : '';
  const refusal = checks.find(isRefusal);
  if (refusal) return `${capital(refusal.detail)}: refused.${mended}`;
  if (!failed.length) return `All ${checks.length} checks passed.${mended}`;
  const why = failed.map(({ name, detail }) => (detail ? `${name}: ${detail}` : name)).join('; ');
  return `${failed.length} of ${checks.length} checks failed: ${why}.${mended}`;
}

/** A turn in the list: its figures, and what was out of the ordinary in a line below. */
function rowsOf(turn, most, figures) {
  const row = make('tr');
  const known = turn.type === 'turn';
  const heard = known && turn.e2e_latency !== null;
  const number = make('th', '', String(turn.turn));
  number.scope = 'row';
  const picture = make('td', 'picture');
  if (known) {
    const parts = PAID.map((stage) => ({ amount: turn.cost[stage], kind: stage }));
    picture.append(stacked(parts, most));
  }
  row.append(
    number,
    make('td', 'number', heard ? seconds(turn.e2e_latency) : '—'),
    make('td', 'confidence', turn.confidence ?? ''),
    picture,
    make('td', 'number', known ? inColumn(turn.cost.total, most) : '…'),
  );
  const remarks = remarksOf(turn, figures);
  if (!remarks.length) return [row];
  const below = make('tr', 'remarks');
  const cell = make('td', '', capital(`${remarks.join('; ')}.`));
  cell.colSpan = 4;
  below.append(make('td'), cell);
  return [row, below];
}

function remarksOf(turn, figures) {
  const { interrupted, withdrawn, checks, failovers = [], errors = [] } = turn;
  const failed = failedOf(turn).map(({ name }) => name);
  return [
    withdrawn ? 'taken up in the next turn' : '',
    isLeft(turn) && !withdrawn ? 'left for a person' : '',
    interrupted ? 'interrupted' : '',
    checks.some(({ name }) => name === 'wording') ? IN_ITS_WORDS : '',
    failed.length ? `check failed: ${failed.join(', ')}` : '',
    ...failovers.map(({ stage, vendor }) => `${figures.nameOf(stage, vendor)} took over`),
    ...errors,
  ].filter(Boolean);
}

/** What was spent, or could be. */
function told(spent, cap) {
  if (spent !== null) return against(spent, cap);
  return cap === null ? 'no cap' : `up to ${dollars(cap)}`;
}

function seconds(secs) {
  return `${secs.toFixed(2)} s`;
}

function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
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
