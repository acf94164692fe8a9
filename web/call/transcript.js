/**
 * What was said in a call, by turn: the caller's words as transcribed, the voice's as they were
 * *played*, the decision behind them and what they took. No DOM.
 */

/**
 * @typedef {object} Entry
 * @property {number} turn The caller's turn, from 1; 0 for what Viva says outside one.
 * @property {string} question
 * @property {{text: string, sections: string[], lines: number[]}[]} said Sentences that were begun.
 * @property {object | null} decision The `decision` message.
 * @property {object | null} record The `turn` message.
 * @property {boolean} interrupted
 * @property {boolean} over Whether Viva's words outside a turn are complete.
 */

export class Transcript {
  /** @type {Entry[]} In the order in which they began. */
  entries = [];

  /** What the caller is saying, or has said and nobody has taken up: `{text, final}` or null. */
  pending = null;

  /** One event of the wire. */
  receive(event) {
    switch (event.type) {
      case 'user-transcription':
        this.pending = { text: event.text, final: Boolean(event.final), over: false };
        break;
      case 'user-stopped-speaking':
        if (this.pending) this.pending.over = true;
        break;
      case 'duck':
        // "Mm-hm" was not a turn.
        if (!event.on && !this.pending?.over) this.pending = null;
        break;
      case 'decision':
        this.#turn(event.turn).decision = event;
        this.#turn(event.turn).question = event.question;
        break;
      case 'turn':
        // Turn 0 holds what was spent without one.
        if (event.turn) this.#close(event);
        break;
      case 'bot-stopped-speaking':
        if (this.entries.at(-1)?.turn === 0) this.entries.at(-1).over = true;
        break;
      case 'bot-interrupted':
        this.#interrupt();
        break;
      default:
    }
  }

  /** A sentence has begun to be played. */
  begin(sentence) {
    this.#turn(sentence.turn).said.push(sentence);
  }

  /** Section ids that answers cited, each with the turns that did. @returns {Map<string, number[]>} */
  cited() {
    const cited = new Map();
    for (const { turn, said } of this.entries) {
      for (const section of new Set(said.flatMap((sentence) => sentence.sections))) {
        cited.set(section, [...(cited.get(section) ?? []), turn]);
      }
    }
    return cited;
  }

  #turn(turn) {
    const last = this.entries.at(-1);
    const known = turn
      ? this.entries.find((entry) => entry.turn === turn)
      : last?.turn === 0 && !last.over && last;
    if (known) return known;
    const entry = { turn, question: '', said: [], decision: null, record: null };
    Object.assign(entry, { interrupted: false, over: false });
    if (turn && this.pending) {
      entry.question = this.pending.text;
      this.pending = null;
    }
    this.entries.push(entry);
    return entry;
  }

  #close(record) {
    const entry = this.#turn(record.turn);
    entry.record = record;
    entry.question = record.question;
    entry.interrupted = record.interrupted;
  }

  #interrupt() {
    const last = this.entries.at(-1);
    if (!last?.said.length || last.record || last.over) return;
    last.interrupted = true;
    last.over = true;
  }
}
