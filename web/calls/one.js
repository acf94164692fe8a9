/** One call of the log: its turns, and its recording when there is one. */

import { isLeft } from '../call/outcome.js';
import { bars, share } from './bars.js';
import { courseOf } from './course.js';
import { make, write } from './element.js';
import { Player } from './player.js';
import { fetchJson, wayOut } from './source.js';
import { stagesOf } from './totals.js';
import { turnView } from './turn.js';
import { scaleOf } from './waterfall.js';
import {
  STAGES, callerOf, count, dayInFull, dayOf, duration, lengthOf, seconds, timeOfDay, usd, usdExactly, whereYouAre,
  whyOf,
} from './words.js';

/** Somebody who scrolls is left alone for so long. */
const READER_SECS = 4;

const find = (id) => document.getElementById(id);
const id = decodeURIComponent(location.pathname.split('/').at(-1));
let readerAt = -Infinity;

async function show() {
  try {
    const [found, text] = await Promise.all([fetchJson(`${encodeURIComponent(id)}.json`), documentOf()]);
    find('trouble').replaceChildren();
    head(found.call);
    figures(found.call, found.turns);
    transcript(found, text);
    if (location.hash) document.querySelector(`[id="${CSS.escape(location.hash.slice(1))}"]`)?.scrollIntoView();
  } catch (error) {
    trouble(error);
  }
  find('main').removeAttribute('aria-busy');
}

/** What calls are answered from now; a call shows it only where it is the same document. */
async function documentOf() {
  return fetchJson('../document.json').catch(() => null);
}

function head(call) {
  const caller = callerOf(call);
  write(find('id'), call.id);
  document.title = `${caller}, ${dayOf(call.started_at)} – Viva`;
  write(find('who'), caller);
  const began = make('time', {
    datetime: new Date(call.started_at * 1000).toISOString(), title: whereYouAre(call.started_at),
  }, `${dayInFull(dayOf(call.started_at))}, ${timeOfDay(call.started_at)} UTC`);
  const length = lengthOf(call);
  const how = length === null
    ? '. It goes on; load the page again for more.'
    : `. It lasted ${duration(length)} and ended: ${whyOf(call)}.`;
  find('when').replaceChildren(began, how);
}

function figures(call, turns) {
  const spoken = turns.filter(({ number }) => number > 0);
  const measured = spoken.filter((turn) => turn.e2e_latency !== null);
  const escalated = spoken.filter(isLeft).length;
  const interrupted = spoken.filter((turn) => turn.interrupted).length;
  const figure = (name, value, more, ...below) => make('div.figure', {},
    make('h2', {}, name), make('p.value', {}, value), make('p.more', {}, ...more), ...below);
  const latencies = measured.map((turn) => turn.e2e_latency).sort((one, other) => one - other);
  const slowest = measured.find((turn) => turn.e2e_latency === latencies.at(-1));
  find('figures').replaceChildren(
    figure('Cost', make('span', { title: usdExactly(call.cost) }, usd(call.cost)), stagesOf(call),
      call.cost > 0 && share(STAGES.map(([stage, name]) => [name, call[`${stage}_cost`]]))),
    figure('Last word to first sound', seconds(latencies[Math.ceil(latencies.length / 2) - 1] ?? null),
      [slowest ? `median; slowest ${seconds(slowest.e2e_latency)}, turn ${slowest.number}` : 'nothing was heard'],
      measured.length > 1 && bars(measured.map((turn) => ({
        key: turn.number, layers: [['deciding', turn.e2e_latency]],
      })), `turn ${measured[0].number}`, measured.at(-1).number)),
    figure('Turns', String(spoken.length), [
      make('span', escalated ? { class: 'handed' } : {}, `${escalated} to a person`), `, ${interrupted} interrupted`,
    ]),
    figure('Answered from', call.document || '–', [
      STAGES.map(([stage]) => call[stage]).filter(Boolean).join(', '),
    ]),
  );
}

function transcript({ call, turns, recording }, text) {
  const same = text !== null && text.sha256 === call.document_hash;
  const sections = new Map(text?.sections.map((section) => [section.id, section]));
  const lines = new Map(same ? text.sections.flatMap((each) => each.lines.map((line) => [line.number, line.text])) : []);
  const course = courseOf(call, turns);
  const starts = new Map(course.map(({ number, start }) => [number, start]));
  const scale = scaleOf(turns);
  find('transcript').replaceChildren(...turns.map((turn) => turnView(turn, {
    scale,
    from: recording ? starts.get(turn.number) ?? null : null,
    at: turn.at - call.started_at,
    titleOf: (section) => sections.get(section)?.title ?? section,
    lineOf: (number) => lines.get(number),
  })));
  find('transcript-title').hidden = !turns.length;
  find('none').hidden = turns.length > 0;
  write(find('none'), call.ended_at === null ? 'Nothing has been asked yet.' : 'Nothing was asked in this call.');
  if (recording) play(course);
}

function play(course) {
  const list = find('transcript');
  find('player').hidden = false;
  document.body.classList.add('recorded');
  const player = new Player(find('player'), course, follow);
  player.load(`${encodeURIComponent(id)}/audio`);
  list.addEventListener('click', (event) => {
    const button = event.target.closest('button.place');
    const text = event.target.closest('.said') && !event.target.closest('a') && getSelection().isCollapsed;
    if (!button && !text) return;
    const { number } = event.target.closest('.turn').dataset;
    const stretch = course.find((each) => each.number === Number(number));
    if (stretch) player.playFrom(stretch.start);
  });
}

/** Marks the turn that is heard, and keeps it in sight of whoever is not reading elsewhere. */
function follow(heard) {
  for (const item of document.querySelectorAll('.turn.playing')) {
    if (Number(item.dataset.number) === heard?.number) continue;
    item.classList.remove('playing');
    item.removeAttribute('aria-current');
  }
  const item = heard && find(`turn-${heard.number}`);
  if (!item) return;
  item.dataset.part = heard.part;
  if (item.classList.contains('playing')) return;
  item.classList.add('playing');
  item.setAttribute('aria-current', 'true');
  if (performance.now() - readerAt < READER_SECS * 1000) return;
  const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
  item.scrollIntoView({ block: 'nearest', behavior: calm ? 'instant' : 'smooth' });
}

function trouble(error) {
  write(find('who'), error.status === 404 || error.status === 400 ? 'No such call' : 'This call cannot be shown');
  write(find('when'), '');
  const way = wayOut(error) ?? (error.status >= 400 && error.status < 500 ? ['To all calls', '../calls'] : null);
  const retry = make('button', { type: 'button' }, 'Try again');
  retry.addEventListener('click', show);
  find('trouble').replaceChildren(make('p', {}, error.message),
    make('p', {}, way ? make('a', { href: way[1] }, way[0]) : retry));
}

for (const event of ['wheel', 'touchmove', 'keydown']) {
  addEventListener(event, () => { readerAt = performance.now(); }, { passive: true });
}
find('back').href += sessionStorage.getItem('calls') ?? '';
show();
