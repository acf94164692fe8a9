/**
 * What was said in a call, by turn: the caller's words as transcribed, the voice's as they were
 * *played*, the decision behind them and what they took. No DOM.
 */

/**
 * @typedef {object} Entry
 * @property {number} turn The caller's turn, from 1; 0 for what Viva says outside one.
 * @property {string} question
 * @property {number | null} askedAt When the caller was first heard, in seconds of the call.
 * @property {{text: string, sections: string[], lines: number[], epoch: number, start: number,
 *   end: number | null, at: number}[]} said Sentences that were begun: their samples from `start` to
 *   `end`, once it is known, and when they began, in seconds of the call.
 * @property {object | null} decision The `decision` message.
 * @property {object | null} record The `turn` message.
 * @property {boolean} interrupted
 * @property {boolean} over Whether Viva's words outside a turn are complete.
 * @property {boolean | null} right What the caller said of the answer.
 */

export class Transcript {
  /** @type {Entry[]} In the order in which they began. */
  entries = [];

  /** What the caller is saying, or has said and nobody has taken up: `{text, final}` or null. */
  pending = null;

  #last = null; // the sentence that began last

  /** One event of the wire. @param {number} [now] In seconds of the call. */
  receive(event, now = 0) {
    switch (event.type) {
      case 'user-transcription': {
        const { at = now } = this.pending ?? {};
        this.pending = { text: event.text, final: Boolean(event.final), over: false, at };
        break;
      }
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

  /** A sentence has begun to be played. @param {number} [now] In seconds of the call. */
  begin(sentence, now = 0) {
    this.end(sentence.epoch, sentence.start);
    this.#last = { ...sentence, at: now, end: null };
    this.#turn(sentence.turn).said.push(this.#last);
  }

  /** The sentence that began last goes on no further than to this sample of its epoch. */
  end(epoch, sample) {
    const last = this.#last;
    if (last && last.epoch === epoch && last.end === null && sample > last.start) last.end = sample;
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
    Object.assign(entry, { interrupted: false, over: false, askedAt: null, right: null });
    if (turn && this.pending) {
      entry.question = this.pending.text;
      entry.askedAt = this.pending.at;
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
