/** What was said in a call as a file to keep: text, JSON, or WebVTT. No DOM. */

const VOICE_RATE = 24_000;

/** A cue of words without a known length is shown for so many seconds a character, and at least one. */
const SECS_A_CHARACTER = 0.06;

/** What was heard of an entry's answer. @param {import('./transcript.js').Entry} entry */
export function heardOf({ interrupted, record, said }) {
  if (interrupted && record) return record.heard_text.trim();
  return said.map(({ text }) => text).join(' ');
}

/**
 * @param {import('./transcript.js').Entry[]} entries
 * @param {{title: string, voice: string, at: Date, titleOf: (id: string) => string | undefined}} about
 */
export function asText(entries, { title, voice, at, titleOf }) {
  const parts = [`${title}, ${at.toISOString().slice(0, 16).replace('T', ' ')} UTC`];
  for (const entry of entries) {
    const lines = [];
    if (entry.question) lines.push(`You: ${entry.question}`);
    const heard = heardOf(entry);
    if (heard) lines.push(`${voice}: ${heard}${entry.interrupted ? ' (interrupted)' : ''}`);
    const from = sectionsOf(entry).map((id) => titleOf(id) ?? id);
    if (from.length) lines.push(`(from ${from.join(', ')})`);
    if (lines.length) parts.push(lines.join('\n'));
  }
  return `${parts.join('\n\n')}\n`;
}

/** The same, with what stands behind each answer. */
export function asJson(entries, { title, voice, at, titleOf }) {
  const turns = entries.map((entry) => ({
    turn: entry.turn,
    question: entry.question,
    asked_at: entry.askedAt,
    heard: heardOf(entry),
    said_at: entry.said[0]?.at ?? null,
    interrupted: entry.interrupted,
    decision: entry.decision?.decision ?? null,
    confidence: entry.decision?.confidence ?? null,
    sections: sectionsOf(entry).map((id) => ({ id, title: titleOf(id) ?? id })),
    lines: entry.decision?.lines ?? [],
    was_right: entry.right,
  }));
  return `${JSON.stringify({ title, voice, began_at: at.toISOString(), turns }, null, 2)}\n`;
}

/** The same as captions, in seconds of the call. */
export function asVtt(entries, { title, voice }) {
  const cues = entries.flatMap((entry) => cuesOf(entry, voice)).sort((a, b) => a.from - b.from);
  const blocks = cues.map(({ from, to, who, text }, index) => {
    const next = cues[index + 1]?.from ?? Infinity;
    const end = Math.max(from + 0.1, Math.min(to, next));
    return `${index + 1}\n${stamp(from)} --> ${stamp(end)}\n<v ${escaped(who)}>${escaped(text)}`;
  });
  return `${['WEBVTT', `NOTE ${oneLine(title).replaceAll('-->', '→')}`, ...blocks].join('\n\n')}\n`;
}

function cuesOf(entry, voice) {
  const cues = [];
  if (entry.question && entry.askedAt !== null) {
    cues.push({ from: entry.askedAt, to: entry.askedAt + lasting(entry.question), who: 'You', text: entry.question });
  }
  let left = entry.interrupted && entry.record ? entry.record.heard_text.trim() : null;
  for (const { text, at, start, end } of entry.said) {
    const secs = end === null ? undefined : (end - start) / VOICE_RATE;
    const shown = left === null ? text : left.slice(0, text.length);
    if (left !== null) left = left.slice(text.length).trimStart();
    if (shown) cues.push({ from: at, to: at + (secs ?? lasting(shown)), who: voice, text: shown });
  }
  return cues;
}

function lasting(text) {
  return Math.max(1, text.length * SECS_A_CHARACTER);
}

function sectionsOf({ decision, said }) {
  return decision?.sections ?? [...new Set(said.flatMap(({ sections }) => sections))];
}

function stamp(secs) {
  const millis = Math.round(secs * 1000);
  const two = (number) => String(number).padStart(2, '0');
  const [hours, minutes] = [Math.floor(millis / 3_600_000), Math.floor(millis / 60_000) % 60];
  const rest = `${two(Math.floor(millis / 1000) % 60)}.${String(millis % 1000).padStart(3, '0')}`;
  return `${two(hours)}:${two(minutes)}:${rest}`;
}

function oneLine(text) {
  return text.replace(/\s+/g, ' ').trim();
}

function escaped(text) {
  return oneLine(text).replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
