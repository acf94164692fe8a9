/** Viva's page: one document, one call at a time. Wires the modules together. */

import { showAccount } from './account.js';
import { Address } from './address.js';
import { Again } from './again.js';
import { BrailleLine } from './braille.js';
import { Call } from './call.js';
import { Captions } from './captions.js';
import { SoundCheck } from './check.js';
import { Devices } from './devices.js';
import { Disturbance } from './disturbance.js';
import { DocumentView } from './document.js';
import { Figures } from './figures.js';
import { HoldToTalk } from './hold.js';
import { Instruments } from './instruments.js';
import { Keepsake } from './keepsake.js';
import { wishOf } from './keys.js';
import { showAbout } from './landing.js';
import { Line } from './line.js';
import { OwnCall } from './own-call.js';
import { Page } from './page.js';
import { Recording } from './recording.js';
import { directionOf } from './script.js';
import { Sentences } from './sentences.js';
import { Suggestions } from './suggestions.js';
import { Transcript } from './transcript.js';
import { Trouble } from './trouble.js';
import { asVisitor } from './visitor.js';
import { VoiceLine } from './voice-line.js';
import { VoiceMemory } from './voice-memory.js';
import { wish } from './wishes.js';

const find = (id) => document.getElementById(id);
/** While models load, the landing page looks so often whether they are there. */
const LOADING_SECS = 2;

const now = () => performance.now() / 1000;

const page = new Page(document);
const text = new DocumentView(find('document'));
const captions = new Captions(find('log'), find('interim'), (id) => text.title(id));
const devices = new Devices(find('microphone'), find('speaker'));
const recording = new Recording(document);
const braille = new BrailleLine(find('braille'), find('braille-line'));
const voiceLine = new VoiceLine(find('voice-line'));
const instruments = new Instruments(document, (id) => text.title(id));
const figures = new Figures();
const address = new Address(document);
const suggestions = new Suggestions(find('suggestions'), find('suggested'));
const keepsake = new Keepsake(find('keepsake'), find('kept'));
const again = new Again();
const hold = new HoldToTalk(document);
const check = new SoundCheck(document);
const call = new Call(show);

let line = null;
let sentences = new Sentences();
let transcript = new Transcript();
let memory = new VoiceMemory();
let disturbance = new Disturbance();
let ownCall = null; // once it has begun
let began = new Date();
let title = '';
let voiceName = 'Viva';
let played = { epoch: 0, samples: 0 };
let stopped = { epoch: -1, samples: 0 }; // where the last answer ended
let muted = false;
let volume = 1; // of the voice, as the caller wishes it
let awake = null;

/**
 * For tests and the curious; read-only.
 * `samplesPlayed` counts the current epoch. `litLines` are the document's lines lit now, and
 * `sentencesLit` every sentence that has begun to be played, with the sample at which the page lit
 * it. `audible` is the last answer's first audible sample as it was reported, and `clock` how far the
 * server's clock is ahead; `late` is by how many seconds the caller is heard late. `recorded` is whether Viva records the call, null if it said nothing.
 * `turns` are the turns' records so far. `tap()` records what is handed to the loudspeaker from then on: it resolves to a Tap, whose
 * `samples()` is all of it so far at `sampleRate`. Called before the call starts, it waits for it.
 */
const counters = { audioReceived: 0, reports: 0, sentencesLit: [] };
const tapsWanted = [];
window.viva = Object.freeze({
  get state() { return call.state; },
  get ended() { return call.ended; },
  get muted() { return muted; },
  get epoch() { return played.epoch; },
  get samplesPlayed() { return played.samples; },
  get samplesReceived() { return line?.counters.received ?? 0; },
  get messagesSent() { return line?.counters.sent ?? 0; },
  get messagesDropped() { return line?.counters.dropped ?? 0; },
  get late() { return line?.late ?? 0; },
  get reports() { return counters.reports; },
  get audible() { return structuredClone(line?.audible ?? null); },
  get clock() { return line?.clock ?? null; },
  get recorded() { return recording.on; },
  get turns() { return structuredClone(figures.turns); },
  get litLines() { return text.lit; },
  get sentencesLit() { return structuredClone(counters.sentencesLit); },
  get transcript() { return structuredClone(transcript.entries); },
  tap() {
    if (line && call.running) return line.player.tap();
    return new Promise((resolve) => { tapsWanted.push(resolve); });
  },
});

function show() {
  const silent = call.running && !line.microphone.present;
  hold.show({ live: call.running && !silent });
  page.show(call, { muted, silent, holds: hold.holding, now: now() });
  check.show({ live: call.running || call.starting });
  suggestions.show({ live: call.running || call.starting });
  keepsake.show(call.state === 'ended' && transcript.entries.length > 0);
  voiceLine.state = call.state;
}

/** Places a call. @param {boolean} types Whether without a microphone: the caller will type. */
async function press(types) {
  if (call.running || call.starting) return;
  muted = false;
  call.press();
  const lacking = Trouble.ofBrowser(globalThis, { types });
  if (lacking) {
    call.refuse(lacking);
    return;
  }
  line = new Line(new URL(asVisitor('call'), document.baseURI.replace(/^http/, 'ws')));
  const own = line;
  own.player.volume = volume;
  const starting = () => own === line && call.starting;
  own.onevent = (event) => { if (own === line) take(event, own); };
  own.onclose = () => {
    own.close();
    if (own !== line) return;
    call.close();
    over();
  };
  const { microphoneId, speakerId } = devices.chosen;
  try {
    await own.open(speakerId);
    if (!starting()) return;
    if (types) call.type();
    else call.admit();
    await own.prepare(types ? null : microphoneId);
  } catch (error) {
    own.leave();
    if (starting()) call.refuse(error);
    return;
  }
  if (tapsWanted.length) {
    const tap = await own.player.tap();
    for (const resolve of tapsWanted.splice(0)) resolve(tap);
  }
  if (!starting()) return;
  begin(own);
  devices.refresh(own.microphone.deviceId);
  own.begin(recording.agreed);
}

function begin(own) {
  sentences = new Sentences();
  transcript = new Transcript();
  memory = new VoiceMemory();
  disturbance = new Disturbance();
  ownCall = null;
  began = new Date();
  find('after-said').textContent = '';
  address.begin();
  again.stop();
  played = { epoch: 0, samples: 0 };
  stopped = { epoch: -1, samples: 0 };
  Object.assign(counters, { reports: 0, sentencesLit: [] });
  page.notice = page.unheard = '';
  page.slow = false;
  recording.begin();
  captions.clear();
  text.clear();
  figures.begin();
  instruments.show(figures);
  own.onlevel = (level) => { voiceLine.callerLevel = own.microphone.muted ? 0 : level; };
  own.onprogress = (progress) => {
    voiceLine.voiceLevel = progress.level;
    heard(progress);
  };
  own.onreport = (report) => {
    counters.reports += 1;
    if (report.epoch !== own.counters.epoch) return;
    // What plays on behind the end of an answer, which a busy page was late with, begins none.
    const over = report.epoch === stopped.epoch && report.samples <= stopped.samples;
    if (report.kind === 'first' && !over) call.heard();
    heard(report);
  };
  own.onvoice = (audio) => memory.add(audio);
  own.ondevice = (state) => device(state);
  own.oncause = (cause) => unheard(cause, own);
  own.onslow = (slow) => {
    if (own !== line) return;
    page.slow = slow;
    show();
  };
  own.onlost = () => { if (own === line) call.lose(true); };
  own.onback = () => {
    if (own !== line) return;
    call.lose(false);
    if (hold.holding) own.talk(hold.talking); // what it did meanwhile was lost
  };
  call.connect();
  listen();
  stayAwake();
}

/** One event of the wire, in order. */
function take(event, own) {
  const trouble = event.type === 'end' && call.starting && Trouble.ofEnd(event);
  if (trouble) {
    own.close();
    call.refuse(trouble);
    return;
  }
  if (event.type === 'sentence') {
    sentences.add(event);
  } else if (event.type === 'bot-ready' && event.about?.call) {
    ownCall = new OwnCall(event.about.call);
    address.call = ownCall;
  } else if (event.type === 'bot-interrupted') {
    transcript.end(own.counters.epoch - 1, played.samples);
    sentences.cut(own.counters.epoch - 1);
    played = { epoch: own.counters.epoch, samples: 0 };
    text.light([]);
  } else if (event.type === 'bot-stopped-speaking') {
    stopped = { epoch: own.counters.epoch, samples: own.counters.received };
    sentences.end(own.counters.epoch, own.counters.received);
    transcript.end(own.counters.epoch, own.counters.received);
    heard(played);
  }
  transcript.receive(event, secsOfCall());
  address.receive(event);
  if (disturbance.receive(event, now())) hold.offer();
  const question = suggestions.receive(event);
  if (question) own.ask(question);
  recording.receive(event);
  call.receive(event.type === 'failover' ? named(event) : event, now());
  captions.show(transcript);
  text.mark(transcript.cited());
  if (figures.receive(event)) instruments.show(figures);
  if (event.type === 'end') {
    own.close();
    over();
  }
}

function secsOfCall() {
  return (Date.now() - began.getTime()) / 1000;
}

/** A failover, with vendors' names as people know them. */
function named({ type, stage, failed, vendor }) {
  return { type, failed: figures.nameOf(stage, failed), vendor: figures.nameOf(stage, vendor) };
}

/** So much of the voice has been played: the captions and the lit lines follow it. */
function heard({ epoch, samples }) {
  if (!call.running || epoch < played.epoch) return;
  played = { epoch, samples };
  const { begun, current } = sentences.played(epoch, samples);
  for (const sentence of begun) {
    transcript.begin(sentence, secsOfCall());
    const { turn, start, lines } = sentence;
    counters.sentencesLit.push({ turn, epoch, start, lines, text: sentence.text, at: samples });
  }
  text.light(current?.lines ?? []);
  if (begun.length) captions.show(transcript);
}

function device(state) {
  const paused = state === 'suspended' || state === 'interrupted';
  page.notice = paused ? 'The system has paused the sound. Tap the page to continue.' : '';
  show();
}

/** The microphone is not heard, or is again. */
async function unheard(cause, own) {
  page.unheard = cause;
  show();
  if (cause !== 'unplugged') return;
  // Another may be there already, such as a laptop's own.
  try {
    await own.microphone.change('');
  } catch {
    return;
  }
  if (own === line) devices.refresh(own.microphone.deviceId);
}

function refusedChange(error) {
  page.notice = `${error.message}. ${error.advice ?? ''}`;
  show();
}

function mute() {
  if (!call.running) return;
  if (!line.microphone.present) {
    useMicrophone(line);
    return;
  }
  muted = !muted;
  listen();
  show();
}

/** Opens the microphone or shuts it, as the caller wishes to be heard. */
function listen() {
  const shut = hold.holding ? !hold.talking : muted;
  if (line && line.microphone.muted !== shut) line.microphone.muted = shut;
}

/** A caller who types wants to speak after all. */
async function useMicrophone(own) {
  try {
    await own.microphone.change(devices.chosen.microphoneId);
  } catch (error) {
    if (own === line) refusedChange(error);
    return;
  }
  if (own !== line) return;
  devices.refresh(own.microphone.deviceId);
  page.notice = '';
  show();
  listen();
}

function ask(event) {
  event.preventDefault();
  const question = find('typed').value.trim();
  if (!question || find('typing').hidden) return;
  line.ask(question);
  find('typed').value = '';
}

/** A call that has not begun is taken back. */
function cancel() {
  if (!call.starting) return;
  line.leave();
  call.refuse(null);
}

function hangUp() {
  if (!call.running) return;
  line.hangUp();
  call.hangUp();
  over();
}

/** Nothing is spoken any more; what was cited stays marked. */
function over() {
  text.light([]);
  text.mark(transcript.cited());
  captions.show(transcript);
  captions.rewind();
  figures.end();
  instruments.show(figures);
  awake?.release().catch(() => {});
  awake = null;
}

/** A telephone that darkens its screen cuts the microphone too. */
async function stayAwake() {
  awake = await navigator.wakeLock?.request('screen').catch(() => null) ?? null;
}

for (const [id, types] of [['press', false], ['press-to-type', true]]) {
  find(id).addEventListener('click', () => {
    suggestions.keep('');
    press(types);
  });
}
find('choose').addEventListener('click', () => {
  find('devices').open = true;
  find('microphone').focus();
});
find('typing').addEventListener('submit', ask);
find('typed').addEventListener('input', () => { if (call.running) line.type(); });
find('mute').addEventListener('click', mute);
find('cancel').addEventListener('click', cancel);
find('hangup').addEventListener('click', hangUp);
addEventListener('offline', () => {
  if (!call.running) return;
  line.suspect();
  if (call.lost) return;
  page.notice = 'There is no network. The call ends in a moment unless it comes back.';
  show();
});
addEventListener('online', () => {
  page.notice = '';
  show();
});
addEventListener('pagehide', () => line?.leave());
addEventListener('pointerdown', () => { if (call.running) line.resume(); });
hold.ontalk = (on) => {
  if (!on) listen();
  line?.talk(on);
  if (on) listen();
};
hold.onchange = () => {
  muted = false;
  show();
  listen();
};
addEventListener('keyup', (event) => { hold.key(event, false); });
addEventListener('keydown', (event) => {
  if (hold.key(event, true)) return;
  if (!(call.running || call.starting) || !find('keys').checked) return;
  const wish = wishOf(event);
  if (!wish || (wish === 'mute' && (call.starting || hold.holding))) return;
  event.preventDefault();
  if (wish === 'mute') mute();
  else if (call.starting) cancel();
  else hangUp();
});
captions.onsaid = (text) => braille.show(text);
captions.onright = async (entry, right) => {
  const before = entry.right;
  const shown = (value) => {
    entry.right = value;
    captions.show(transcript);
  };
  shown(right);
  try {
    await ownCall?.judge(entry.turn, right);
    find('after-said').textContent = right === null ? 'Taken back.' : 'Thank you, it is noted.';
  } catch (error) {
    shown(before);
    find('after-said').textContent = error.message;
  }
};
captions.onagain = ({ said }) => {
  const playing = again.play(memory.of(said), volume, () => {});
  find('after-said').textContent = playing ? '' : 'This answer is no longer kept.';
};
check.devices = () => devices.chosen;
suggestions.onask = (question) => {
  suggestions.keep(question);
  press(false);
};
keepsake.transcript = () => ({
  entries: transcript.entries,
  about: { title, voice: voiceName, at: began, titleOf: (id) => text.title(id) },
});
wish(find('voice-volume'), (share) => {
  volume = Number(share);
  if (line) line.player.volume = volume;
});
wish(find('caption-size'), (percent) => {
  document.documentElement.style.setProperty('--captions', `${percent}%`);
});
devices.onmicrophone = (id) => {
  if (call.running) line.microphone.change(id).catch(refusedChange);
};
devices.onspeaker = (id) => {
  if (call.running) line.player.setSink(id).catch(refusedChange);
};
// A page that is left takes its call along.
addEventListener('click', (event) => {
  const link = event.target.closest?.('a[href]');
  if (!link || !(call.running || call.starting) || link.getAttribute('href').startsWith('#')) return;
  link.target = '_blank';
  setTimeout(() => { link.removeAttribute('target'); });
}, { capture: true });
setInterval(() => { if (call.running || call.starting) show(); }, 500);

async function tellAbout() {
  const answer = await fetch(asVisitor('about.json'));
  if (answer.status === 401) {
    call.refuse(Trouble.ofStranger());
    return;
  }
  setAbout(await answer.json());
}

/** @param {object} about As served by `GET /about.json`. */
function setAbout(about) {
  captions.voiceName = voiceName = about.persona.name;
  title = about.title;
  address.about(about);
  if (call.state !== 'landing') return;
  showAbout(about, document);
  suggestions.about(about);
  show();
  recording.about(about);
  showAccount(about.account, document).catch(() => {});
  figures.about(about);
  instruments.show(figures);
  if (about.ready === false) setTimeout(() => tellAbout().catch(() => {}), LOADING_SECS * 1000);
}

/** What the server has rendered into the page, or null. */
function rendered(id) {
  const place = find(id);
  return place && JSON.parse(place.textContent);
}

const told = rendered('about-data');
if (told) setAbout(told);
else tellAbout().catch(() => {});

function setDocument(data) {
  text.set(data);
  const language = data.language || 'en';
  captions.language = language;
  for (const place of ['title', 'subtitle', 'suggested', 'interim'].map(find)) {
    Object.assign(place, { lang: language, dir: directionOf(language) });
  }
}

const written = rendered('document-data');
if (written) {
  setDocument(written);
} else {
  fetch(asVisitor('document.json')).then((answer) => answer.json()).then(setDocument).catch(() => {
    find('document-status').textContent = 'The document could not be loaded. Reload the page.';
  });
}

// What was pressed before this script had come.
const early = globalThis.pressedEarly;
if (early) find(early).click();
