/** The log as a table: a group of rows a day, newest first. */

import { make } from './element.js';
import {
  callerOf, clock, count, dayInFull, lengthOf, minutesOf, seconds, timeOfDay, usd, usdExactly, whereYouAre, whyOf,
} from './words.js';

export class LogTable {
  #table;
  #days = new Map();
  #totals = new Map();

  /** @param {HTMLTableElement} table With its head. */
  constructor(table) {
    this.#table = table;
  }

  get empty() {
    return this.#days.size === 0;
  }

  clear() {
    for (const body of this.#days.values()) body.remove();
    this.#days.clear();
    this.#totals.clear();
  }

  /**
   * Adds calls below those that are there.
   * @param {object[]} calls As `GET /calls.json` tells them.
   * @param {{days: object[]}} [totals] Of all days, when they are told.
   * @returns {HTMLElement | undefined} The link of the first call added.
   */
  append(calls, totals) {
    for (const day of totals?.days ?? []) this.#totals.set(day.day, day);
    const links = calls.map((call) => {
      const row = rowOf(call);
      this.#day(call.day).append(row);
      return row.querySelector('a');
    });
    return links[0];
  }

  #day(day) {
    let body = this.#days.get(day);
    if (!body) {
      body = make('tbody', { role: 'rowgroup' }, headOf(day, this.#totals.get(day)));
      this.#days.set(day, body);
      this.#table.append(body);
    }
    return body;
  }
}

function headOf(day, totals) {
  const sums = totals && [
    count(totals.calls, 'call'),
    `${minutesOf(totals.minutes)} min`,
    usd(totals.cost),
  ].join(', ');
  return make('tr.day', { role: 'row' },
    make('th', { role: 'rowheader', scope: 'rowgroup', colspan: 7 },
      make('span', {}, dayInFull(day)),
      sums ? make('span.sums', {}, sums) : null));
}

function rowOf(call) {
  const length = lengthOf(call);
  const number = (name, ...text) => make(`td.number.${name}`, { role: 'cell' }, ...text);
  return make('tr.call', { role: 'row' },
    make('td.time', { role: 'cell' },
      make('time', { datetime: new Date(call.started_at * 1000).toISOString(), title: whereYouAre(call.started_at) },
        timeOfDay(call.started_at))),
    make('td.asked', { role: 'cell' },
      make('a', { href: hrefOf(call) }, call.question || silenceOf(call)),
      make('p', {}, make('span.caller', {}, callerOf(call)), ...marksOf(call))),
    make('td.ended', { role: 'cell' }, whyOf(call)),
    number('turns', String(call.turns), make('span.unit', {}, call.turns === 1 ? ' turn' : ' turns')),
    number('length', length === null ? '–' : clock(length)),
    number('latency', seconds(call.e2e_p50)),
    number('cost', make('span', { title: usdExactly(call.cost) }, usd(call.cost))));
}

/** To the turn that was looked for, where it is not the first. */
function hrefOf(call) {
  return `calls/${call.id}${call.turn > 1 ? `#turn-${call.turn}` : ''}`;
}

function silenceOf(call) {
  if (call.ended_at === null) return 'Nothing asked yet';
  return call.turns ? 'The transcript has been deleted' : 'Nothing was asked';
}

function marksOf(call) {
  const marks = [];
  if (call.escalations) {
    marks.push(make('span.handed', {}, `${call.escalations} to a person`));
  }
  if (call.interruptions) marks.push(make('span', {}, `${call.interruptions} interrupted`));
  return marks;
}
