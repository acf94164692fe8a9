/** How an answer came about: its stages one after another, from the end of speech to the first sound. */

import { bars, scaleOf } from './pictures.js';

/**
 * @typedef {object} Step
 * @property {string} name What there is at its end.
 * @property {string} kind Whose time it was: `stt`, `turn`, `brain`, `check`, `tts` or `way`.
 * @property {number | null} from Seconds since the end of speech; null when it did not happen.
 * @property {number | null} to
 */

/**
 * The steps of a turn. Each begins where the one before it ended, even if it was begun early.
 *
 * @param {object} turn A `turn` message.
 * @returns {Step[]}
 */
export function stepsOf(turn) {
  const ended = turn.end_of_turn_delay;
  const sentence = plus(ended, turn.llm_ttfs);
  const ends = [
    ['transcript', 'stt', turn.transcription_delay],
    ['end of turn', 'turn', ended],
    ['first token', 'brain', plus(ended, turn.llm_ttft)],
    ['first sentence', 'check', sentence],
    ['first audio', 'tts', plus(sentence, turn.tts_ttfb)],
    ['audible', 'way', turn.e2e_latency],
  ];
  let reached = 0;
  return ends.map(([name, kind, end]) => {
    if (end === null) return { name, kind, from: null, to: null };
    const from = reached;
    reached = Math.max(reached, end);
    return { name, kind, from, to: reached };
  });
}

/** Seconds as they are read: `310 ms`, `1.06 s`. */
export function duration(secs) {
  return secs < 0.9995 ? `${Math.round(secs * 1000)} ms` : `${secs.toFixed(2)} s`;
}

/** A table of the steps, each with its bar. @param {object} turn A `turn` message. */
export function waterfall(turn) {
  const table = make('table', 'waterfall');
  table.append(make('caption', 'unseen', `From the end of speech to the answer, turn ${turn.turn}`));
  const steps = stepsOf(turn);
  const whole = scaleOf(Math.max(...steps.map(({ to }) => to ?? 0)));
  const ticks = [0, 0.5, 1].map((part) => part * whole);
  const body = make('tbody');
  for (const { name, kind, from, to } of steps) {
    const row = make('tr');
    const head = make('th', '', name);
    head.scope = 'row';
    const picture = make('td', 'picture');
    picture.append(bars(from === null ? [] : [{ from, to, kind }], whole, ticks));
    const took = make('td', 'number', from === null ? '—' : duration(to - from));
    row.append(head, picture, took);
    body.append(row);
  }
  table.append(body, scale(whole));
  return table;
}

function scale(whole) {
  const foot = make('tfoot');
  foot.ariaHidden = 'true';
  const row = make('tr');
  const ends = make('td', 'scale');
  ends.append(make('span', '', '0'), make('span', '', `${whole} s`));
  row.append(make('td'), ends, make('td'));
  foot.append(row);
  return foot;
}

function plus(one, other) {
  return one === null || other === null ? null : one + other;
}

function make(tag, name = '', text = '') {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (text) element.textContent = text;
  return element;
}
