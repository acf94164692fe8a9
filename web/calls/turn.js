/** One turn of a call: what was said and heard, why, how fast, and what it cost. */

import { failedOf, isLeft, isRefusal } from '../call/outcome.js';
import { make } from './element.js';
import { stepsOf, waterfall } from './waterfall.js';
import { REASONS, STAGES, clock, count, seconds, usdExactly } from './words.js';

/**
 * @typedef {object} Surroundings
 * @property {number} scale Seconds that the waterfall is wide.
 * @property {?number} from Where the recording has it, or null without one.
 * @property {number} at Seconds after the call began at which the caller's speech ended.
 * @property {(id: string) => string} titleOf A section's title.
 * @property {(number: number) => string | undefined} lineOf A line of the document.
 */

/** @param {object} turn As `GET /calls/ID.json` tells it. @param {Surroundings} around */
export function turnView(turn, around) {
  const { number } = turn;
  const name = number ? `Turn ${number}` : 'Outside the turns';
  const item = make('li.turn', { id: `turn-${number}`, 'data-number': number });
  if (turn.withdrawn) item.classList.add('withdrawn');
  item.append(
    make('div.margin', {},
      make('h3', {}, make('a', { href: `#turn-${number}`, 'aria-label': name }, number ? String(number) : '–')),
      number > 0 && placeOf(turn, around)),
    make('div.said', {}, ...said(turn), ...grounds(turn, around), ...troubles(turn)),
    make('div.aside', {}, ...figures(turn), ...times(turn, around), ...costs(turn)),
  );
  return item;
}

function placeOf(turn, { from, at }) {
  if (from === null) return make('p.place', {}, clock(at));
  return make('button.place', {
    type: 'button', 'data-from': from, 'aria-label': `Play turn ${turn.number}, from ${clock(from)}`,
  }, clock(from));
}

// What was said.

function said(turn) {
  const parts = [];
  if (turn.question) parts.push(make('p.caller', {}, make('span.unseen', {}, 'Caller: '), turn.question));
  if (turn.answer) {
    const { heard, unheard } = heardOf(turn);
    parts.push(make('p.voice', {},
      make('span.unseen', {}, 'Viva: '),
      heard,
      unheard && make('span.unheard', {},
        make('span.unseen', {}, ' Not heard: '),
        make('del', {}, `${heard ? ' ' : ''}${unheard}`)),
      turn.interrupted && make('span.cut', {}, ' — interrupted')));
  }
  if (!parts.length && turn.number) parts.push(make('p.fine', {}, 'The transcript has been deleted.'));
  return parts;
}

/** The answer, as it was heard and as it was not. @returns {{heard: string, unheard: string}} */
export function heardOf({ answer, heard_text }) {
  const whole = answer.trim().split(/\s+/);
  const heard = heard_text.trim() ? heard_text.trim().split(/\s+/) : [];
  const same = heard.every((word, at) => word === whole[at]);
  // What was heard may end within a word, or be spelled otherwise than what was to be said.
  if (!same) return { heard: heard.join(' '), unheard: '' };
  return { heard: heard.join(' '), unheard: whole.slice(heard.length).join(' ') };
}

// On what it rests.

function grounds(turn, { titleOf, lineOf }) {
  const parts = [];
  const given = new Map((turn.looked_up ?? []).map((each) => [each.section, each]));
  const verdict = verdictOf(turn, (id) => given.get(id)?.title ?? titleOf(id));
  if (verdict) parts.push(make(`p.grounds${turn.decision === 'escalate' ? '.handed' : ''}`, {}, verdict));
  const lookedUp = [...given.values()].flatMap(({ text }) => text.split('\n'));
  const lines = [...turn.lines.map(lineOf), ...lookedUp].filter(Boolean);
  if (lines.length) parts.push(make('ul.lines', {}, ...lines.map((line) => make('li', {}, line))));
  const passed = turn.checks.filter((check) => check.passed).map((check) => check.name);
  if (passed.length) parts.push(make('p.checks', {}, `Passed: ${[...new Set(passed)].join(', ')}`));
  const refusal = turn.checks.find(isRefusal);
  if (refusal) parts.push(make('p.checks', {}, `Refused: ${refusal.detail}`));
  for (const { name, detail } of failedOf(turn)) {
    parts.push(make('p.checks.failed', {}, `Did not pass ${name}${detail ? `: ${detail}` : ''}`));
  }
  return parts;
}

function verdictOf(turn, titleOf) {
  if (!turn.number) return 'Costs outside of turns.';
  if (turn.withdrawn) return `The caller went on before a word of an answer was heard; turn ${turn.number + 1} has it all.`;
  if (turn.decision === 'escalate' && !isLeft(turn)) return 'Not understood, and asked for again.';
  if (turn.decision === 'escalate') {
    return `Handed to a person: ${REASONS[turn.reason] ?? (turn.reason || 'no reason noted')}.`;
  }
  if (turn.decision === null) return 'The caller went on before a decision.';
  const from = turn.sections.map(titleOf).join(', ');
  return `Answered${turn.confidence ? ` with ${turn.confidence} confidence` : ''}${from ? `, from ${from}` : ''}.`;
}

function troubles(turn) {
  return [
    ...turn.failovers.map(({ stage, failed, vendor }) => {
      const work = Object.fromEntries(STAGES)[stage] ?? stage;
      return make('p.checks.failed', {}, `${vendor} took over ${work} from ${failed}`);
    }),
    ...turn.errors.map((error) => make('p.checks.failed', {}, error)),
  ];
}

// How fast, and what it cost.

function figures(turn) {
  const figure = (value, of) => make('p', {}, make('b', {}, value), ` ${of}`);
  return [make('div.sums', {},
    turn.e2e_latency === null ? null : figure(seconds(turn.e2e_latency), 'to the first sound'),
    figure(usdExactly(turn.cost), ''))];
}

function times(turn, { scale }) {
  const steps = stepsOf(turn);
  return steps.length ? [waterfall(steps, scale)] : [];
}

function costs(turn) {
  const rows = STAGES.filter(([stage]) => turn[stage] || turn[`${stage}_cost`]).map(([stage, name]) => {
    const vendor = vendorOf(turn[stage], turn[`${stage}_model`]);
    const used = usedOf(turn, stage);
    return make('div', {},
      make('dt', {}, make(`i.${name}`, { 'aria-hidden': 'true' }), name),
      make('dd.vendor', {}, vendor, used && make('span.used', {}, used)),
      make('dd.cost', {}, usdExactly(turn[`${stage}_cost`])));
  });
  return rows.length ? [make('dl.costs', {}, ...rows)] : [];
}

function vendorOf(vendor, model) {
  return model.startsWith(vendor) ? model || vendor : `${vendor} ${model}`.trim();
}

function usedOf(turn, stage) {
  if (stage === 'stt') return turn.audio_seconds ? `${turn.audio_seconds.toFixed(1)} s of audio` : '';
  if (stage === 'tts') return turn.characters ? count(turn.characters, 'character') : '';
  const tokens = [
    [turn.input_tokens, 'tokens in'],
    [turn.output_tokens, 'out'],
    [turn.cache_read_tokens, 'from cache'],
    [turn.cache_write_tokens, 'to cache'],
  ].filter(([number], at) => number || !at).map(([number, where]) => `${number.toLocaleString('en-US')} ${where}`);
  if (tokens.length === 1 && !turn.input_tokens) return '';
  const wasted = turn.wasted_tokens ? `; ${turn.wasted_tokens.toLocaleString('en-US')} of them wasted` : '';
  return tokens.join(', ') + wasted;
}
