/** The log of calls: the filters stand in the address, and the calls that match below them. */

import { make, write } from './element.js';
import { fetchJson, wayOut } from './source.js';
import { LogTable } from './table.js';
import { Totals } from './totals.js';
import { DECIDED, WHY, count, days } from './words.js';

const FIELDS = ['since', 'until', 'caller', 'decision', 'why', 'q'];

const find = (id) => document.getElementById(id);
const form = find('filters');
const table = new LogTable(find('log'));
const totals = new Totals(find('totals'), (day) => choose({ since: day, until: day }));

let next = null;
let asking = null;
/** The query that is being asked for now, and the one that was asked for last. */
let asked = null;
let shown = null;

/** What the filters say: those that are set. @returns {URLSearchParams} */
function chosen() {
  const query = new URLSearchParams();
  for (const field of FIELDS) {
    const value = form.elements[field].value.trim();
    if (value) query.set(field, value);
  }
  return query;
}

/** Fills the filters from the address, where they may have been written by hand. */
function read() {
  const query = new URLSearchParams(location.search);
  for (const field of FIELDS) form.elements[field].value = query.get(field) ?? '';
}

/** Sets filters, and shows what they leave. @param {Record<string, string>} values */
function choose(values) {
  for (const [field, value] of Object.entries(values)) form.elements[field].value = value;
  submit();
}

function submit() {
  const query = chosen().toString();
  if (query !== new URLSearchParams(location.search).toString()) {
    history.pushState(null, '', query ? `?${query}` : location.pathname);
  }
  show();
}

async function show() {
  // Whatever the address says is asked for, so that what is wrong in it is told.
  const query = location.search;
  if (query === asked) return;
  asking?.abort();
  const own = new AbortController();
  asking = own;
  asked = query;
  shown = query;
  sessionStorage.setItem('calls', query);
  find('csv').href = `calls.csv${query}`;
  find('clear').hidden = !query;
  busy(true);
  try {
    const page = await fetchJson(`calls.json${query}`, own.signal);
    table.clear();
    table.append(page.calls, page.totals);
    totals.show(page.totals, page.filter);
    write(find('range'), `${days(page.filter.since, page.filter.until)}. Days and times are UTC.`);
    for (const field of ['since', 'until']) form.elements[field].value = page.filter[field];
    write(find('news'), count(page.totals.calls, 'call'));
    settled(page, query);
  } catch (error) {
    if (error.name === 'AbortError') return; // another query has taken over
    table.clear();
    totals.hide();
    find('calls').hidden = true;
    write(find('range'), '');
    trouble(error, show);
  }
  asked = null;
  busy(false);
}

async function older() {
  const query = new URLSearchParams(location.search);
  query.set('before', next);
  const own = asking;
  find('older').disabled = true;
  try {
    const page = await fetchJson(`calls.json?${query}`, own.signal);
    const first = table.append(page.calls);
    write(find('news'), `${count(page.calls.length, 'older call')} shown`);
    settled(page, location.search);
    first?.focus();
  } catch (error) {
    if (error.name !== 'AbortError') trouble(error, older);
  }
  find('older').disabled = false;
}

function settled(page, query) {
  next = page.next;
  find('trouble').replaceChildren();
  find('calls').hidden = false;
  find('older').hidden = next === null;
  find('log').hidden = table.empty;
  find('none').hidden = !table.empty;
  const narrowed = FIELDS.slice(2).some((field) => new URLSearchParams(query).get(field));
  write(find('none'), narrowed
    ? 'No call on these days matches. Remove a filter, or choose more days.'
    : 'No calls on these days.');
}

function busy(is) {
  find('log').setAttribute('aria-busy', is);
  find('main').classList.toggle('busy', is);
  // What was there stays until its successor has come; only an empty page says that it waits.
  find('loading').hidden = !is || !table.empty;
  if (is) find('none').hidden = true;
}

function trouble(error, again) {
  const way = wayOut(error) ?? (error.status === 400 ? ['Clear all filters', 'calls'] : null);
  const retry = make('button', { type: 'button' }, 'Try again');
  retry.addEventListener('click', again);
  find('older').hidden = true;
  find('trouble').replaceChildren(
    make('p', {}, error.message),
    way ? make('p', {}, make('a', { href: way[1] }, way[0])) : make('p', {}, retry),
  );
}

function options(select, words) {
  select.append(make('option', { value: '' }, 'any'));
  for (const [value, word] of Object.entries(words)) {
    select.append(make('option', { value }, word));
  }
}

options(find('decision'), DECIDED);
options(find('why'), WHY);
form.addEventListener('submit', (event) => {
  event.preventDefault();
  submit();
});
form.addEventListener('change', () => {
  // A year that is still being typed is no day to ask for.
  if (form.checkValidity()) submit();
});
find('older').addEventListener('click', older);
find('clear').addEventListener('click', (event) => {
  event.preventDefault();
  choose(Object.fromEntries(FIELDS.map((field) => [field, ''])));
  form.focus();
});
addEventListener('popstate', () => {
  // A skip link moves within the page, not to other filters.
  if (location.search === shown) return;
  read();
  show();
});
read();
show();
