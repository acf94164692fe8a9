/** Where the time went between a caller's last word and the first sound of the answer. */

import { make } from './element.js';

/** Distances between two lines of the scale, seconds. */
const GRID = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60];
const MOST_LINES = 5;

/**
 * @typedef {object} Step
 * @property {string} name What had come at its end.
 * @property {string} stage Whose work it was.
 * @property {number} from Seconds after the caller's last word, as `to`.
 * @property {number} to
 */

/**
 * The steps of a turn, each from the end of the one before it.
 * @param {object} turn As `GET /calls/ID.json` tells it.
 * @returns {Step[]} Without those that it never came to.
 */
export function stepsOf(turn) {
  const after = (start, delay) => (start === null || delay === null ? null : start + delay);
  const ended = turn.end_of_turn_delay;
  const sentence = after(ended, turn.llm_ttfs);
  let from = 0;
  return [
    ['transcript', 'hearing', turn.transcription_delay],
    ['end of turn', 'waiting', ended],
    ['first token', 'deciding', after(ended, turn.llm_ttft)],
    ['first sentence', 'deciding', sentence],
    ['first audio', 'speaking', after(sentence, turn.tts_ttfb)],
    ['audible', 'travelling', turn.e2e_latency],
  ].filter(([, , to]) => to !== null).map(([name, stage, to]) => {
    const step = { name, stage, from: Math.min(from, to), to };
    from = Math.max(from, to);
    return step;
  });
}

/** Seconds that a scale must have, so that the steps of all these turns can be compared. */
export function scaleOf(turns) {
  return Math.max(0, ...turns.flatMap((turn) => stepsOf(turn).map(({ to }) => to)));
}

/** @param {Step[]} steps @param {number} scale Seconds from the left to the right. */
export function waterfall(steps, scale) {
  const line = GRID.find((secs) => scale / secs <= MOST_LINES) ?? scale;
  const list = make('dl.waterfall', {}, ...steps.map(({ name, stage, from, to }) => {
    const bar = make(`i.${stage}`);
    bar.style.left = `${(from / scale) * 100}%`;
    bar.style.width = `${((to - from) / scale) * 100}%`;
    return make('div', {},
      make('dt', {}, name),
      make('dd', {}, make('span.track', { 'aria-hidden': 'true' }, bar), `${(to - from).toFixed(2)} s`));
  }));
  list.append(scaleLine(line, scale));
  list.style.setProperty('--line', `${(line / scale) * 100}%`);
  return list;
}

function scaleLine(line, scale) {
  const marks = [];
  for (let secs = 0; secs <= scale * 0.95; secs += line) {
    const mark = make('span', {}, String(Number(secs.toFixed(2))));
    mark.style.left = `${(secs / scale) * 100}%`;
    marks.push(mark);
  }
  marks.at(-1).append(' s');
  const track = make('span.track', {}, ...marks);
  return make('div.scale', { 'aria-hidden': 'true' }, make('dt'), make('dd', {}, track));
}
