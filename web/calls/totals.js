/** What the calls shown come to: a figure each, with a small bar a day below it. */

import { bars } from './bars.js';
import { make } from './element.js';
import {
  STAGES, count, dayInFull, dayShort, everyDay, minutesOf, seconds, usd, usdExactly,
} from './words.js';

/**
 * The figures: what they are called, what they say of totals, and the layers of their bars from the
 * bottom to the top: a class and a height.
 */
const FIGURES = [
  {
    name: 'Calls',
    value: (of) => of.calls.toLocaleString('en-US'),
    more: (of) => [`${count(of.turns, 'turn')}, ${minutesOf(of.minutes)} min`],
    bars: (of) => [['deciding', of.calls]],
  },
  {
    name: 'Cost',
    value: (of) => usd(of.cost),
    more: (of) => stagesOf(of),
    bars: (of) => STAGES.map(([stage, name]) => [name, of[`${stage}_cost`]]),
  },
  {
    name: 'Last word to first sound',
    value: (of) => seconds(of.e2e_p50),
    more: (of) => [of.e2e_p50 === null ? 'not measured' : `median; p95 ${seconds(of.e2e_p95)}`],
    bars: (of) => [['deciding', of.e2e_p50 ?? 0], ['beyond', (of.e2e_p95 ?? 0) - (of.e2e_p50 ?? 0)]],
  },
  {
    name: 'Handed to a person',
    value: (of) => of.escalations.toLocaleString('en-US'),
    more: (of) => [`${count(of.interruptions, 'answer')} interrupted`],
    bars: (of) => [['handed', of.escalations]],
  },
];

const NOTHING = {
  calls: 0, turns: 0, minutes: 0, stt_cost: 0, brain_cost: 0, tts_cost: 0, cost: 0,
  escalations: 0, interruptions: 0, e2e_p50: null, e2e_p95: null,
};

/** What each stage cost, with its colour. */
export function stagesOf(costs) {
  return STAGES.map(([stage, name]) => make('span.stage', {},
    make(`i.${name}`, { 'aria-hidden': 'true' }), `${name} ${usd(costs[`${stage}_cost`], costs.cost)}`));
}

export class Totals {
  #section;
  #choose;
  #days = new Map();
  #whole = NOTHING;
  #views = [];

  /**
   * @param {HTMLElement} section
   * @param {(day: string) => void} choose Called with a day that was pressed.
   */
  constructor(section, choose) {
    this.#section = section;
    this.#choose = choose;
    const figures = section.querySelector('#figures');
    figures.addEventListener('pointerover', (event) => this.#point(event.target.dataset.key));
    figures.addEventListener('pointerleave', () => this.#point());
    figures.addEventListener('click', ({ target }) => {
      if (target.dataset.key) choose(target.dataset.key);
    });
  }

  hide() {
    this.#section.hidden = true;
  }

  /** @param {object} totals @param {{since: string, until: string}} filter */
  show(totals, filter) {
    this.#whole = totals;
    this.#days = new Map(totals.days.map((day) => [day.day, day]));
    const days = everyDay(filter.since, filter.until);
    this.#section.hidden = totals.calls === 0;
    this.#views = FIGURES.map((figure) => this.#figure(figure, days));
    this.#section.querySelector('#figures').replaceChildren(...this.#views.map(({ view }) => view));
    this.#point();
    this.#table(totals.days);
  }

  #figure(figure, days) {
    const value = make('p.value');
    const more = make('p.more');
    const view = make('div.figure', {}, make('h3', {}, figure.name), value, more);
    if (days.length > 1) {
      const columns = days.map((day) => ({
        key: day,
        layers: figure.bars(this.#days.get(day) ?? NOTHING),
      }));
      view.append(bars(columns, dayShort(days[0]), dayShort(days.at(-1))));
    }
    return { figure, view, value, more };
  }

  /** Shows one day's figures, or those of all. */
  #point(day) {
    const of = day ? this.#days.get(day) ?? NOTHING : this.#whole;
    for (const { figure, value, more } of this.#views) {
      value.replaceChildren(figure.value(of));
      more.replaceChildren(...figure.more(of));
    }
    for (const rect of this.#section.querySelectorAll('.point')) {
      rect.classList.toggle('at', Boolean(day) && rect.dataset.key === day);
    }
    const pointed = this.#section.querySelector('#pointed');
    pointed.textContent = day ? dayInFull(day) : '';
  }

  #table(days) {
    this.#section.querySelector('#days').hidden = days.length < 2;
    this.#section.querySelector('#days tbody').replaceChildren(...[...days].reverse().map((day) => {
      const link = make('a', { href: `?since=${day.day}&until=${day.day}` }, dayShort(day.day));
      link.addEventListener('click', (event) => {
        event.preventDefault();
        this.#choose(day.day);
      });
      const costs = [...STAGES.map(([stage]) => day[`${stage}_cost`]), day.cost];
      return make('tr', {}, make('th', { scope: 'row' }, link),
        make('td', {}, String(day.calls)), make('td', {}, String(day.turns)),
        make('td', {}, day.minutes.toFixed(1)),
        ...costs.map((cost) => make('td', { title: usdExactly(cost) }, usd(cost, day.cost))),
        make('td', {}, String(day.escalations)), make('td', {}, String(day.interruptions)),
        make('td', {}, seconds(day.e2e_p50)), make('td', {}, seconds(day.e2e_p95)));
    }));
  }
}
