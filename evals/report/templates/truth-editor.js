// Corrects the ground truth of calls: listen, change, save as truth.toml.
const truth = document.getElementById('truth');
const calls = JSON.parse(truth.dataset.calls);
const labels = JSON.parse(truth.dataset.labels);
const TAKES_TURN = ['question', 'bargein', 'courtesy'];
const SHORTEST = 0.05;
let changed = false;

const clock = (secs) => `${Math.floor(secs / 60)}:${(secs % 60).toFixed(1).padStart(4, '0')}`;
const round = (secs) => Math.round(secs * 1000) / 1000;

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function tell(text) {
  truth.querySelector('[role=status]').textContent = text;
}

function noteChange() {
  changed = true;
}

// One utterance: a group of fields, each with its label.

const LISTS = ['sections', 'says', 'never'];

function field(form, name, label, input) {
  input.name = name;
  form.append(make('label', {}, make('span', { textContent: label }), input));
  return input;
}

function choice(options, value) {
  const input = make('select');
  for (const [name, label] of Object.entries(options)) input.append(new Option(label, name));
  input.value = value;
  return input;
}

const seconds = (value) =>
  make('input', { type: 'number', step: 'any', min: 0, value, required: true, inputMode: 'decimal' });

function editor(call, utterance, player) {
  const form = make('fieldset');
  const legend = make('legend');
  form.append(legend);
  form.dataset.utterance = '';
  const listen = make('button', { type: 'button', textContent: 'Listen' });
  form.append(listen);
  field(form, 'kind', 'What it is', choice(labels.kind, utterance.kind));
  field(form, 'text', 'Words', make('input', { value: utterance.text ?? '' }));
  field(form, 'start', 'From, s', seconds(utterance.start));
  field(form, 'end', 'To, s', seconds(utterance.end));
  const pauses = field(form, 'pauses', 'Pauses, s', make('input', {
    value: (utterance.pauses ?? []).map(([from, to]) => `${from}-${to}`).join(', '),
    placeholder: '7.0-7.6, 8.1-8.5',
  }));
  const mark = make('button', { type: 'button', textContent: 'Mark a pause here' });
  form.append(mark);
  const takes = utterance.takes_turn ?? TAKES_TURN.includes(utterance.kind);
  field(form, 'takes_turn', 'Must be answered', make('input', { type: 'checkbox', checked: takes }));
  field(form, 'over_agent', 'Over the agent’s voice', make('input', {
    type: 'checkbox', checked: utterance.over_agent ?? false,
  }));
  field(form, 'sensitive', 'Sensitive', make('input', {
    type: 'checkbox', checked: utterance.sensitive ?? false,
  }));
  field(form, 'decision', 'Right is', choice(labels.decision, utterance.decision ?? ''));
  const named = { sections: 'Sections, by ;', says: 'A right answer says, by ;', never: 'and never, by ;' };
  for (const [name, label] of Object.entries(named)) {
    field(form, name, label, make('input', { value: (utterance[name] ?? []).join('; ') }));
  }
  field(form, 'expect', 'or, for a judge', make('input', { value: utterance.expect ?? '' }));
  const remove = make('button', { type: 'button', textContent: 'Remove' });
  form.append(remove);
  form.append(make('p', { className: 'trouble', role: 'alert' }));

  const at = (name) => Number(form.querySelector(`[name=${name}]`).value);
  const entitle = () => {
    const kind = labels.kind[form.querySelector('[name=kind]').value];
    legend.textContent = `${clock(at('start'))} ${kind}`;
    listen.setAttribute('aria-label', `Listen to ${legend.textContent}`);
    remove.setAttribute('aria-label', `Remove ${legend.textContent}`);
  };
  entitle();
  form.addEventListener('input', (event) => {
    if (event.target.name === 'kind') {
      form.querySelector('[name=takes_turn]').checked = TAKES_TURN.includes(event.target.value);
    }
    noteChange();
    entitle();
  });
  listen.addEventListener('click', () => {
    const until = at('end') + 0.2;
    player.currentTime = Math.max(0, at('start') - 0.2);
    const stop = () => {
      if (player.currentTime < until && !player.paused) return;
      player.removeEventListener('timeupdate', stop);
      player.pause();
    };
    player.addEventListener('timeupdate', stop);
    player.play().catch(() => tell('The sound of this call cannot be played here.'));
  });
  mark.addEventListener('click', () => {
    const from = Math.min(Math.max(player.currentTime, at('start')), at('end'));
    const to = Math.min(from + 0.5, at('end'));
    if (to - from < SHORTEST) {
      tell('Stop the sound within the utterance, where the pause begins.');
      return;
    }
    pauses.value = [pauses.value.trim(), `${round(from)}-${round(to)}`].filter(Boolean).join(', ');
    noteChange();
    tell(`A pause from ${round(from)} to ${round(to)} s; correct it in the field.`);
    pauses.focus();
  });
  remove.addEventListener('click', () => {
    const next = form.nextElementSibling?.querySelector('button') ?? form.parentElement.querySelector('.add');
    form.remove();
    noteChange();
    tell(`Removed: ${legend.textContent}.`);
    next.focus();
  });
  form.original = utterance;
  return form;
}

for (const call of calls) {
  const place = [...document.querySelectorAll('.truth')].find((one) => one.dataset.file === call.file);
  if (!place) continue;
  const player = place.querySelector('audio');
  const add = make('button', { type: 'button', className: 'add', textContent: 'Add an utterance here' });
  for (const utterance of call.utterance) place.append(editor(call, utterance, player));
  place.append(add);
  add.addEventListener('click', () => {
    const start = round(player.currentTime);
    const form = editor(call, { kind: 'question', start, end: round(start + 1) }, player);
    const later = [...place.querySelectorAll('[data-utterance]')].find(
      (other) => Number(other.querySelector('[name=start]').value) > start,
    );
    place.insertBefore(form, later ?? add);
    noteChange();
    form.querySelector('[name=text]').focus();
  });
}

// What is wrong is told beside the field, in the words of viva score.

class Trouble extends Error {
  constructor(input, text) {
    super(text);
    this.input = input;
  }
}

function readPauses(input, start, end) {
  return input.value.split(',').map((part) => part.trim()).filter(Boolean).map((part) => {
    const [from, to, ...more] = part.split(/\s*(?:-|–|to)\s*/).map(Number);
    if (more.length || !(start <= from && from < to && to <= end)) {
      throw new Trouble(input, `Pause ${part}: write pairs of seconds within ${start} and ${end}, such as 7.0-7.6.`);
    }
    return [from, to];
  });
}

function read(form) {
  const input = (name) => form.querySelector(`[name=${name}]`);
  const said = { ...form.original };
  for (const name of ['kind', 'decision', 'text', 'expect']) said[name] = input(name).value.trim();
  for (const name of ['takes_turn', 'over_agent', 'sensitive']) said[name] = input(name).checked;
  for (const name of LISTS) {
    said[name] = input(name).value.split(';').map((part) => part.trim()).filter(Boolean);
  }
  said.start = Number(input('start').value);
  said.end = Number(input('end').value);
  if (input('start').value === '' || !(said.start >= 0 && said.start < said.end)) {
    throw new Trouble(input('start'), 'It must end after it starts.');
  }
  said.pauses = readPauses(input('pauses'), said.start, said.end);
  if (said.takes_turn && !said.text) {
    throw new Trouble(input('text'), 'What must be answered has words.');
  }
  if (said.decision === 'escalate' && (said.says.length || said.never.length || said.expect)) {
    throw new Trouble(input('decision'), 'A person is right, or an answer that says something: keep one.');
  }
  return said;
}

// TOML: JSON's strings are TOML's, but for lone surrogates and the sign DEL.

const text = (value) => JSON.stringify(value.toWellFormed()).replaceAll('\u007f', '\\u007f');

function toml(value) {
  if (Array.isArray(value)) return `[${value.map(toml).join(', ')}]`;
  if (typeof value === 'string') return text(value);
  if (typeof value === 'number') return Number.isInteger(value) ? value.toFixed(1) : String(value);
  return String(value);
}

const NEEDED = ['kind', 'text', 'start', 'end'];
const ORDER = ['kind', 'text', 'start', 'end', 'pauses', 'over_agent', 'takes_turn', 'decision',
  'sections', 'says', 'never', 'expect', 'sensitive', 'snr_db'];

function written(call, utterances) {
  const lines = ['[[call]]', `file = ${text(call.file)}`];
  for (const name of ['title', 'voice']) if (call[name]) lines.push(`${name} = ${text(call[name])}`);
  if (call.tags.length) lines.push(`tags = ${toml(call.tags)}`);
  for (const said of utterances) {
    lines.push('', '  [[call.utterance]]');
    const usual = { takes_turn: TAKES_TURN.includes(said.kind), over_agent: false, sensitive: false };
    for (const name of ORDER) {
      const value = said[name];
      const empty = value === undefined || value === '' || (Array.isArray(value) && !value.length);
      if (NEEDED.includes(name) || (!empty && value !== usual[name])) lines.push(`  ${name} = ${toml(value)}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

function collect() {
  return calls.map((call) => {
    const place = [...document.querySelectorAll('.truth')].find((one) => one.dataset.file === call.file);
    const utterances = place ? [...place.querySelectorAll('[data-utterance]')].map(read) : call.utterance;
    return written(call, [...utterances].sort((one, other) => one.start - other.start));
  }).join('\n');
}

truth.querySelector('.save').addEventListener('click', () => {
  for (const wrong of document.querySelectorAll('.truth [aria-invalid]')) wrong.removeAttribute('aria-invalid');
  for (const alert of document.querySelectorAll('.truth .trouble')) alert.textContent = '';
  let content;
  try {
    content = collect();
  } catch (trouble) {
    if (!(trouble instanceof Trouble)) throw trouble;
    const form = trouble.input.closest('fieldset');
    form.closest('details').open = true;
    trouble.input.setAttribute('aria-invalid', 'true');
    form.querySelector('.trouble').textContent = trouble.message;
    trouble.input.focus();
    tell(`Not saved: ${trouble.message}`);
    return;
  }
  const link = make('a', { download: 'truth.toml', href: `data:application/toml;charset=utf-8,${encodeURIComponent(content)}` });
  changed = false; // before a browser asks whether to leave the page
  link.click();
  tell(`Saved ${calls.length} calls as truth.toml. Put it into the folder of the recordings, and score them again.`);
});

addEventListener('beforeunload', (event) => {
  if (changed) event.preventDefault();
});
