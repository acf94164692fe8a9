/** What the check before a call has measured, in words. No DOM, no I/O. */

/**
 * The two notes that are played: hertz, and amplitude of 1. What comes back of them is told from
 * speech by their pitch.
 */
export const NOTES = [659.3, 880];
export const NOTE_AMPLITUDE = 0.25;

/** Of the microphone, in decibels of full scale; chosen by ear, not tuned on recordings. */
const HEARD_OVER_ROOM_DB = 8;
const FAINT_DB = -50;
const NOISY_DB = -42;
const CLIPPED = 32_700;

/** What comes back of the notes: more disturbs, and less than that is not told from the room. */
const ECHO_DB = -40;
const RETURNED_OVER_ROOM = 3;

/** What a call in PCM needs, with a third to spare, in kbit/s. */
const UP_KBITS = 340;
const DOWN_KBITS = 510;
const LATE_MS = 300;
const UNSTEADY_MS = 60;

/** The level of a frame. @param {Int16Array} samples @returns {number} In decibels of full scale. */
export function decibels(samples) {
  let energy = 0;
  for (const sample of samples) energy += sample * sample;
  return 10 * Math.log10(Math.max(1e-12, energy / samples.length / 32_768 ** 2));
}

/** How much of a note is in a frame. @returns {number} Its amplitude, of 1. */
export function amplitudeOf(hertz, samples, rate) {
  let [sine, cosine] = [0, 0];
  samples.forEach((sample, at) => {
    const window = 1 - Math.cos((2 * Math.PI * (at + 0.5)) / samples.length);
    const angle = (2 * Math.PI * hertz * at) / rate;
    sine += window * sample * Math.sin(angle);
    cosine += window * sample * Math.cos(angle);
  });
  return (2 * Math.hypot(sine, cosine)) / samples.length / 32_768;
}

/**
 * @typedef {object} Measured
 * @property {Int16Array[]} quiet Frames of the microphone while nothing is played.
 * @property {Int16Array[]} played Frames while the notes are.
 * @property {Int16Array[]} spoken Frames while the caller is asked to speak.
 * @property {number} rate Their samples a second.
 * @property {number[]} trips Round trips, in milliseconds.
 * @property {number | null} up In kbit/s; null if it did not come through.
 * @property {number | null} down
 */

/**
 * @param {Measured} measured
 * @returns {{said: {kind: 'good' | 'warn' | 'bad', text: string}[], hold: boolean}} `hold`: to hold a
 *   button to talk would help.
 */
export function verdictOf({ quiet, played, spoken, rate, trips, up, down }) {
  const room = percentile(quiet.map(decibels), 50);
  const echo = echoOf(quiet, played, rate);
  const noisy = room > NOISY_DB;
  const echoes = echo !== null && echo > ECHO_DB;
  const said = [microphone(room, quiet, spoken), loudspeaker(echo), connection(trips, up, down)];
  if (noisy) said.splice(1, 0, { kind: 'warn', text: 'It is loud around you, or others are talking.' });
  return { said, hold: noisy || echoes };
}

function microphone(room, quiet, spoken) {
  const level = percentile(spoken.map(decibels), 90);
  const silent = [...quiet, ...spoken].every((frame) => frame.every((sample) => sample === 0));
  const clipped = spoken.filter((frame) => frame.some((sample) => Math.abs(sample) >= CLIPPED));
  if (silent) return bad('No sound comes from the microphone. Switch it on, or choose another one.');
  if (level < room + HEARD_OVER_ROOM_DB) {
    return bad('Your voice was not heard above the room. If you said nothing, check once more.');
  }
  if (level < FAINT_DB) return warn('You are heard faintly. Come nearer to the microphone.');
  if (clipped.length > spoken.length / 20) {
    return warn('You are too loud for the microphone. Go further from it, or turn it down.');
  }
  return good('You are heard well.');
}

/** What comes back of the notes, in decibels of what was played; null if nothing does. */
function echoOf(quiet, played, rate) {
  const heard = (frames) => percentile(frames.map((frame) => (
    Math.max(...NOTES.map((hertz) => amplitudeOf(hertz, frame, rate))))), 50);
  const returned = heard(played);
  if (returned <= RETURNED_OVER_ROOM * heard(quiet) || returned < 1e-4) return null;
  return 20 * Math.log10(returned / NOTE_AMPLITUDE);
}

function loudspeaker(echo) {
  if (echo === null) {
    return good('None of the two notes came back, as with headphones. If you did not hear them, choose '
      + 'another loudspeaker.');
  }
  const back = `${Math.round(-echo)} dB below what was played`;
  if (echo > ECHO_DB) {
    return warn(`Much of the loudspeaker comes back into the microphone, ${back}. Use headphones, turn `
      + 'it down, or hold a button to talk.');
  }
  return good(`The loudspeaker plays, and little of it comes back, ${back}.`);
}

function connection(trips, up, down) {
  if (!trips.length) return bad('Viva could not be reached. The network may be down.');
  const trip = percentile(trips, 50);
  const jitter = trips.slice(1).reduce((sum, each, at) => sum + Math.abs(each - trips[at]), 0)
    / Math.max(1, trips.length - 1);
  const figures = `${Math.round(trip)} ms, ± ${Math.round(jitter)} ms, ${rateOf(down)} down, `
    + `${rateOf(up)} up`;
  if (up === null || down === null || up < UP_KBITS || down < DOWN_KBITS) {
    return warn(`The connection is slow: ${figures}. The voice may stutter; typing needs less.`);
  }
  if (trip > LATE_MS || jitter > UNSTEADY_MS) {
    return warn(`The connection is ${trip > LATE_MS ? 'long' : 'unsteady'}: ${figures}. Answers come later.`);
  }
  return good(`The connection is good: ${figures}.`);
}

function rateOf(kbits) {
  if (kbits === null) return 'too little';
  return kbits < 1000 ? `${Math.round(kbits)} kbit/s` : `${(kbits / 1000).toFixed(1)} Mbit/s`;
}

function percentile(values, percent) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * percent) / 100))] ?? -120;
}

const good = (text) => ({ kind: 'good', text });
const warn = (text) => ({ kind: 'warn', text });
const bad = (text) => ({ kind: 'bad', text });
