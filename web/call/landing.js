/** What a caller is told before a call, from about.json. */

const STAGES = { vad: 'Listening', stt: 'Hearing', brain: 'Answering', tts: 'Speaking' };
const ORDER = ['vad', 'stt', 'brain', 'tts'];
const KINDS = { embedded: 'embedded engine', cloud: 'cloud service' };

/** @param {object} about As served by `GET /about.json`. @param {Document} page */
export function showAbout(about, page) {
  const find = (id) => page.getElementById(id);
  const name = about.persona.name;
  page.title = `${about.title} — call ${name}`;
  find('title').textContent = about.title;
  find('subtitle').textContent = about.subtitle;
  find('who').textContent = name;
  find('press').textContent = `Call ${name}`;
  find('promise').textContent = promise(about);
  find('refuses').textContent = listed(about.refuses);
  find('unsaid').textContent = unsaid(about.follow_up);
  find('refusals').hidden = !about.refuses.length;
  const engines = [...about.engines].sort((a, b) => ORDER.indexOf(a.stage) - ORDER.indexOf(b.stage));
  find('engines').replaceChildren(...engines.map((engine) => engineLine(engine, page)));
  find('engines-of').hidden = !engines.length;
}

function promise({ limits, ready }) {
  const asks = 'Your browser will ask for the microphone.';
  const limit = limits?.call_secs ? ` A call lasts up to ${minutes(limits.call_secs)}.` : '';
  return `${asks}${limit}${ready === false ? ' Models are still loading; a call waits for them.' : ''}`;
}

function unsaid({ address = false } = {}) {
  const says = 'it says so, and leaves the question for a person';
  return address ? `${says}. You can leave an address for the answer.` : `${says} who can write to you.`;
}

function engineLine({ stage, label, kind, detail }, page) {
  const item = page.createElement('li');
  const what = page.createElement('span');
  what.className = 'stage';
  what.textContent = STAGES[stage] ?? stage;
  const engine = page.createElement('span');
  engine.textContent = [label, KINDS[kind] ?? kind].filter(Boolean).join(', ');
  const more = page.createElement('span');
  more.className = 'detail';
  more.textContent = detail;
  item.append(what, ' ', engine, ' ', more);
  return item;
}

/** @param {number} secs */
export function minutes(secs) {
  if (secs < 90) return `${Math.round(secs)} seconds`;
  const whole = Math.round(secs / 60);
  const words = ['', 'one minute', 'two minutes', 'three minutes', 'four minutes', 'five minutes'];
  return words[whole] ?? `${whole} minutes`;
}

function listed(words) {
  if (words.length < 2) return words.join('');
  return `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}
