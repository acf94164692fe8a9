/** Five seconds before a call: is the caller heard, do they hear, and is the connection good enough? */

import { NOTE_AMPLITUDE, NOTES, verdictOf } from './check-verdict.js';
import { Microphone } from './microphone.js';
import { CAPTURE_RATE } from './protocol.js';
import { asVisitor } from './visitor.js';
import { remember, remembered } from './wishes.js';

const REMEMBERED = 'check';
const KEPT_SECS = 24 * 3600;

const QUIET_SECS = 1;
const PLAYED_SECS = 1.5;
const SPOKEN_SECS = 2.5;
/** So long a note needs to the loudspeaker, and back to the page. */
const LATENCY_SECS = 0.35;

const TRIPS = 8;
const TRIP_PAUSE_SECS = 0.2;
const RATE_SECS = 3;
const UP_BYTES = 49_152;

export class SoundCheck {
  #find;
  #running = false;

  /** @param {Document} page */
  constructor(page) {
    this.#find = (id) => page.getElementById(id);
    this.#find('check').addEventListener('click', () => this.#run());
    const kept = parsed(remembered(REMEMBERED, 'null'));
    if (kept && Date.now() / 1000 - kept.at < KEPT_SECS) this.#show(kept);
  }

  /** @param {{live: boolean}} call Shown before and after a call. */
  show({ live }) {
    this.#find('check-open').hidden = live;
  }

  /** The chosen devices. @type {() => {microphoneId: string, speakerId: string}} */
  devices = () => ({ microphoneId: '', speakerId: '' });

  async #run() {
    if (this.#running) return;
    this.#running = true;
    this.#find('check').disabled = true;
    this.#find('check-said').replaceChildren();
    let microphone = null;
    try {
      const context = new AudioContext({ latencyHint: 'interactive' });
      context.resume();
      microphone = new Microphone(context);
      const [sound, connection] = await Promise.all([this.#listen(microphone), measure()]);
      const kept = { at: Date.now() / 1000, ...verdictOf({ ...sound, ...connection }) };
      remember(REMEMBERED, JSON.stringify(kept));
      this.#show(kept);
    } catch (error) {
      this.#say(`${error.message}. ${error.advice ?? ''}`);
    } finally {
      microphone?.close();
      microphone?.context.close();
      this.#running = false;
      this.#find('check').disabled = false;
      this.#find('check').focus({ preventScroll: true });
    }
  }

  async #listen(microphone) {
    const frames = { quiet: [], played: [], spoken: [] };
    let now = null;
    microphone.onmessage = (message) => { now?.push(new Int16Array(message.slice(0))); };
    this.#say('Allow the microphone, if the browser asks.');
    await microphone.open(this.devices().microphoneId);
    this.#say('Be quiet for a second.');
    now = frames.quiet;
    await pause(QUIET_SECS);
    this.#say('Now two notes: do you hear them?');
    now = null;
    play(microphone.context);
    await pause(LATENCY_SECS);
    now = frames.played;
    await pause(PLAYED_SECS - LATENCY_SECS);
    this.#say('Now say a few words.');
    now = frames.spoken;
    await pause(SPOKEN_SECS);
    return { ...frames, rate: CAPTURE_RATE };
  }

  #say(text) {
    this.#find('check-now').textContent = text;
  }

  #show({ at, said, hold }) {
    const worst = ['bad', 'warn', 'good'].find((kind) => said.some((each) => each.kind === kind));
    const words = { bad: 'Something is wrong.', warn: 'It will do.', good: 'All is well.' }[worst];
    const time = new Date(at * 1000).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
    this.#say(`Checked at ${time}. ${words}`);
    this.#find('check-said').replaceChildren(...said.map(({ kind, text }) => {
      const item = this.#find('check-said').ownerDocument.createElement('li');
      item.className = kind;
      item.textContent = text;
      return item;
    }));
    this.#find('check-hold').hidden = !hold;
  }
}

/** Plays the two notes, one after the other, with soft edges. */
function play(context) {
  const each = (PLAYED_SECS - 0.1) / NOTES.length;
  NOTES.forEach((frequency, index) => {
    const from = context.currentTime + index * each;
    const tone = new OscillatorNode(context, { frequency });
    const gain = new GainNode(context, { gain: 0 });
    gain.gain.setValueAtTime(0, from);
    gain.gain.linearRampToValueAtTime(NOTE_AMPLITUDE, from + 0.03);
    gain.gain.setValueAtTime(NOTE_AMPLITUDE, from + each - 0.03);
    gain.gain.linearRampToValueAtTime(0, from + each);
    tone.connect(gain).connect(context.destination);
    tone.start(from);
    tone.stop(from + each);
  });
}

async function measure() {
  const trips = [];
  for (let count = 0; count < TRIPS; count += 1) {
    const began = performance.now();
    if (await ask('check', {})) trips.push(performance.now() - began);
    await pause(TRIP_PAUSE_SECS);
  }
  // The first has opened the connection.
  return { trips: trips.slice(1), down: await rateDown(), up: await rateUp() };
}

async function ask(path, options) {
  try {
    const signal = AbortSignal.timeout(RATE_SECS * 1000);
    const answer = await fetch(asVisitor(path), { cache: 'no-store', signal, ...options });
    return answer.ok ? answer : null;
  } catch {
    return null;
  }
}

/** In kbit/s, of as much as has come in time; null for nothing. */
async function rateDown() {
  const began = performance.now();
  const answer = await ask('check/down', {});
  let bytes = 0;
  let secs = 0;
  try {
    const reader = answer.body.getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      bytes += part.value.length;
      secs = (performance.now() - began) / 1000;
    }
  } catch {
    secs = (performance.now() - began) / 1000;
  }
  return bytes ? (bytes * 8) / 1000 / Math.max(1e-3, secs) : null;
}

async function rateUp() {
  const began = performance.now();
  const body = crypto.getRandomValues(new Uint8Array(UP_BYTES));
  const answer = await ask('check/up', { method: 'POST', body });
  return answer && (UP_BYTES * 8) / (performance.now() - began);
}

/** What was remembered; nothing if it is damaged. */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function pause(secs) {
  return new Promise((resolve) => { setTimeout(resolve, secs * 1000); });
}
