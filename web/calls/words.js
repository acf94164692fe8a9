/** How the log of calls says things: money, times, and why a call ended. No DOM. */

const MICROS = 1_000_000;

/** Why calls end, as {@link pipeline/call.py} names it. */
export const WHY = {
  hangup: 'hung up',
  disconnected: 'connection lost',
  silence: 'went quiet',
  cap: 'time limit',
  call_budget: 'its money used up',
  capacity: 'all lines busy',
  budget: 'the day’s money used up',
  daily_calls: 'too many calls',
  open_calls: 'other calls open',
  sign_in: 'not signed in',
  protocol: 'page not understood',
  stalled: 'page fell behind',
  fault: 'a fault',
  shutdown: 'server stopped',
  open: 'goes on',
};

/** What a call was decided to be, in at least one turn. */
export const DECIDED = {
  respond: 'answered',
  escalate: 'handed to a person',
  none: 'nothing was decided',
};

/** Why a question was handed to a person. */
export const REASONS = {
  sensitive: 'it does not speak of this',
  unsupported: 'the document does not say',
  off_topic: 'not what the document is about',
  unclear: 'the question was not understood',
  fault: 'something failed on the way',
};

/** The stages that cost money: the field's name, and what it does. */
export const STAGES = [
  ['stt', 'hearing'],
  ['brain', 'deciding'],
  ['tts', 'speaking'],
];

/** Why a call is over, or that it is not. @param {{why: string, ended_at: ?number}} call */
export function whyOf(call) {
  if (call.ended_at === null) return WHY.open;
  return WHY[call.why] ?? (call.why || 'no reason noted');
}

/**
 * Micro-dollars, short.
 * @param {number} micros
 * @param {number} whole What it is a part of: parts are as exact as their sum.
 */
export function usd(micros, whole = micros) {
  if (!micros) return '$0';
  const digits = whole < MICROS ? 4 : 2;
  const least = 10 ** -digits;
  if (micros / MICROS < least / 2) return `<$${least}`;
  const amount = (micros / MICROS).toLocaleString('en-US', {
    minimumFractionDigits: digits, maximumFractionDigits: digits,
  });
  return `$${amount}`;
}

/** Micro-dollars, every one of them. @param {number} micros */
export function usdExactly(micros) {
  return micros ? `$${(micros / MICROS).toFixed(6)}` : '$0';
}

/** @param {?number} secs */
export function seconds(secs) {
  return secs === null ? '–' : `${secs.toFixed(2)} s`;
}

/** As a clock shows it: 1:24. @param {number} secs */
export function clock(secs) {
  const whole = Math.max(0, Math.floor(secs));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`;
}

/** How long a call was, or null while it goes on. */
export function lengthOf(call) {
  return call.ended_at === null ? null : call.ended_at - call.started_at;
}

/** In words: 1 min 24 s. @param {number} secs */
export function duration(secs) {
  const whole = Math.round(secs);
  const minutes = Math.floor(whole / 60);
  return [minutes ? `${minutes} min` : '', whole % 60 || !minutes ? `${whole % 60} s` : '']
    .filter(Boolean)
    .join(' ');
}

/** A count with its noun. */
export function count(number, one, many = `${one}s`) {
  return `${number.toLocaleString('en-US')} ${number === 1 ? one : many}`;
}

/** Minutes of calls, to be read at a glance. @param {number} minutes */
export function minutesOf(minutes) {
  return minutes < 10 ? minutes.toFixed(1) : Math.round(minutes).toLocaleString('en-US');
}

const formats = new Map();

function format(moment, options) {
  const key = JSON.stringify(options);
  if (!formats.has(key)) {
    formats.set(key, new Intl.DateTimeFormat('en-GB', { timeZone: 'UTC', ...options }));
  }
  return formats.get(key).format(moment);
}

/** A day (`2026-11-24`): 24 Nov. */
export const dayShort = (day) => format(new Date(day), { day: 'numeric', month: 'short' });

/** A day (`2026-11-24`): Tuesday 24 November 2026. */
export function dayInFull(day) {
  return format(new Date(day), { weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' })
    .replace(',', '');
}

/** From the first to the last of two days: 26 October – 24 November 2026. */
export function days(since, until) {
  const full = { day: 'numeric', month: 'long', year: 'numeric' };
  const last = format(new Date(until), full);
  if (since === until) return last;
  const sameYear = since.slice(0, 4) === until.slice(0, 4);
  const first = format(new Date(since), sameYear ? { day: 'numeric', month: 'long' } : full);
  return `${first} – ${last}`;
}

/** A moment in Unix seconds: 14:03. */
export const timeOfDay = (at) => format(at * 1000, { hour: '2-digit', minute: '2-digit' });

/** A moment in Unix seconds: 2026-11-24. */
export const dayOf = (at) => new Date(at * 1000).toISOString().slice(0, 10);

/** A moment in Unix seconds, where the reader is. */
export function whereYouAre(at) {
  const options = { dateStyle: 'medium', timeStyle: 'long' };
  return new Intl.DateTimeFormat('en-GB', options).format(at * 1000);
}

/** Every day from the first to the last. @returns {string[]} */
export function everyDay(since, until) {
  const found = [];
  const day = new Date(since);
  while (found.length < 400 && day <= new Date(until)) {
    found.push(day.toISOString().slice(0, 10));
    day.setUTCDate(day.getUTCDate() + 1);
  }
  return found;
}

/** Who called. */
export const callerOf = (call) => call.caller || call.caller_key || 'Not signed in';
