/**
 * What a call measures and costs, gathered from the wire: the records that the ledger keeps, turn
 * by turn. No DOM.
 */

import { failedOf, isLeft } from './outcome.js';

/** Who does what the wire's `stage` names, in the order in which a turn passes them. */
const SERVICE_OF = { listening: 'vad', transcribing: 'stt', thinking: 'brain', speaking: 'tts' };
const STAGES = Object.values(SERVICE_OF);

/** Turns that are kept; of older ones only the counts are. */
const MOST_TURNS = 200;
const MOST_FAILOVERS = 4;

const NOTHING = { escalated: 0, interrupted: 0, checks: 0, failed: 0, failovers: 0, errors: 0 };

/**
 * @typedef {object} Service
 * @property {string} stage `vad`, `stt`, `brain` or `tts`.
 * @property {string} vendor Its name in settings and records.
 * @property {string} label Its name for people.
 * @property {string} kind `embedded`, `cloud`, or '' if nobody knows.
 * @property {string} detail
 * @property {string} model '' where the vendor has one.
 */

export class Figures {
  /** The stage of the service that is at work, or ''. */
  working = '';

  /** The latest failovers, oldest first: `{stage, failed, vendor}`. */
  failovers = [];

  /** Turns in order: the `turn` message, or the `decision` message while that is all there is. */
  turns = [];

  /** In micro-dollars: `{call: {stt, brain, tts, total} | null, callCap, day, dayCap}`; null: none. */
  money;

  #known = new Map();
  #first = new Map();
  #now = new Map();
  #limits = {};
  #dropped = { turn: 0, counts: NOTHING };
  #takenOver = 0;

  constructor() {
    this.begin();
  }

  /** Who will be at work, and the caps. @param {object} about As served by `GET /about.json`. */
  about({ engines = [], limits = {} }) {
    for (const { stage, vendor, spares = [], ...words } of engines) {
      this.#first.set(stage, vendor);
      this.#known.set(`${stage} ${vendor}`, words);
      for (const spare of spares) this.#known.set(`${stage} ${spare.vendor}`, spare);
    }
    this.#limits = limits;
    this.begin();
  }

  /** Forgets the last call: another one begins. */
  begin() {
    const { call_spend_cap: callCap = null, daily_spend_cap: dayCap = null } = this.#limits;
    this.money = { call: null, callCap, day: null, dayCap };
    this.working = '';
    this.failovers = [];
    this.turns = [];
    this.#now.clear();
    this.#dropped = { turn: 0, counts: NOTHING };
    this.#takenOver = 0;
  }

  /** The call is over. */
  end() {
    this.working = '';
  }

  /** One event of the wire. @returns {boolean} Whether it is one that changes figures. */
  receive(event) {
    switch (event.type) {
      case 'stage':
        this.working = SERVICE_OF[event.stage] ?? '';
        if (this.working && event.vendor) this.#serves(this.working, event.vendor);
        return true;
      case 'failover':
        this.#takenOver += 1;
        this.failovers = [...this.failovers, event].slice(-MOST_FAILOVERS);
        this.#serves(event.stage, event.vendor);
        return true;
      case 'decision':
        if (!this.#recorded(event.turn)) this.#put(event);
        return true;
      case 'turn':
        this.#put(event);
        for (const [stage, vendor] of Object.entries(event.vendors)) {
          this.#serves(stage, vendor, event.models[stage]);
        }
        return true;
      case 'cost':
        this.money = {
          call: event.call, callCap: event.call_cap, day: event.day, dayCap: event.day_cap,
        };
        return true;
      default:
        return false;
    }
  }

  /** Who is, or will be, at work. @returns {Service[]} */
  get services() {
    return STAGES.filter((stage) => this.#first.has(stage) || this.#now.has(stage)).map((stage) => {
      const { vendor, model = '' } = this.#now.get(stage) ?? { vendor: this.#first.get(stage) };
      const { label = named(vendor), kind = '', detail = '' } =
        this.#known.get(`${stage} ${vendor}`) ?? {};
      return { stage, vendor, label, kind, detail, model };
    });
  }

  /** The last turn that has been recorded, or null. */
  get last() {
    return this.turns.filter((turn) => turn.type === 'turn' && !turn.withdrawn).at(-1) ?? null;
  }

  /** Seconds from the end of speech to the answer, of each turn that was answered. */
  get latencies() {
    return this.turns.map((turn) => turn.e2e_latency ?? null).filter((secs) => secs !== null);
  }

  /** How often things happened in the whole call. */
  get counts() {
    const counts = this.turns.map(countsOf).reduce(sum, this.#dropped.counts);
    return { ...counts, failovers: Math.max(counts.failovers, this.#takenOver) };
  }

  /** A vendor's name for people, as in a sentence. @param {string} stage @param {string} vendor */
  nameOf(stage, vendor) {
    return (this.#known.get(`${stage} ${vendor}`)?.label ?? named(vendor)).split(',')[0];
  }

  #recorded(number) {
    return this.turns.some(({ turn, type }) => turn === number && type === 'turn');
  }

  #serves(stage, vendor, model = '') {
    const now = this.#now.get(stage);
    const same = now?.vendor === vendor;
    this.#now.set(stage, { vendor, model: model || (same ? now.model : '') });
  }

  /** The last of several records of a turn stands; turn 0 is what was spent without one. */
  #put(turn) {
    if (turn.turn <= this.#dropped.turn) return;
    const others = this.turns.filter((each) => each.turn !== turn.turn);
    this.turns = [...others, turn].sort((one, other) => one.turn - other.turn);
    for (const old of this.turns.splice(0, this.turns.length - MOST_TURNS)) {
      this.#dropped = { turn: old.turn, counts: sum(this.#dropped.counts, countsOf(old)) };
    }
  }
}

/**
 * A percentile, between its two neighbours where it falls between them.
 *
 * @param {number[]} values At least one.
 * @param {number} percent 0 to 100.
 */
export function percentile(values, percent) {
  const sorted = [...values].sort((one, other) => one - other);
  const place = (percent / 100) * (sorted.length - 1);
  const below = Math.floor(place);
  const above = Math.ceil(place);
  return sorted[below] + (sorted[above] - sorted[below]) * (place - below);
}

function countsOf(turn) {
  if (turn.type !== 'turn') return NOTHING;
  return {
    escalated: isLeft(turn) && !turn.withdrawn ? 1 : 0,
    interrupted: turn.interrupted ? 1 : 0,
    checks: turn.checks.length,
    failed: failedOf(turn).length,
    failovers: turn.failovers.length,
    errors: turn.errors.length,
  };
}

function sum(one, other) {
  return Object.fromEntries(Object.keys(NOTHING).map((key) => [key, one[key] + other[key]]));
}

function named(vendor) {
  return vendor.charAt(0).toUpperCase() + vendor.slice(1);
}
