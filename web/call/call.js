/**
 * The state of a call: what happens becomes a state that can be shown. No DOM, no I/O, no clock of
 * its own.
 */

/** From each state, where it may go. Within a call the states follow what Viva says. */
const WITHIN = ['loading', 'listening', 'thinking', 'speaking', 'interrupted', 'ended'];
const MOVES = {
  landing: ['admitting'],
  admitting: ['asking', 'preparing', 'landing', 'ended'],
  asking: ['connecting', 'landing', 'ended'],
  preparing: ['connecting', 'landing', 'ended'],
  connecting: WITHIN,
  loading: WITHIN,
  listening: WITHIN,
  thinking: WITHIN,
  speaking: WITHIN,
  interrupted: WITHIN,
  ended: ['admitting'],
};

const DROPPED = {
  reason: 'dropped',
  message:
    'The connection to Viva was lost. Nothing you did ended the call. You can call again at once.',
};

export class Call {
  /** One of the keys of MOVES. */
  state = 'landing';

  /** Whether the caller is being heard speaking. */
  hearing = false;

  /** Whether the voice has been lowered because the caller may be starting to speak. */
  ducked = false;

  /** What keeps the call from starting: a Trouble, or null. */
  trouble = null;

  /** While models load: `{vendor, detail, progress}`; progress is 0 to 1 or null. */
  loading = null;

  /** Who is at work on the answer, as Viva named it. */
  vendor = '';

  /** The time limit as Viva gave it: `{limit, left, at}` in seconds, or null. */
  cap = null;

  /** Whether the network is gone, and the call waits for it. */
  lost = false;

  /** Why the call is over: `{reason, message}`, or null. */
  ended = null;

  /** The last `error` message, or ''. */
  error = '';

  #onchange;
  #before = 'landing';

  /** @param {(call: Call) => void} onchange Called after every change. */
  constructor(onchange = () => {}) {
    this.#onchange = onchange;
  }

  get running() {
    return !this.starting && this.state !== 'landing' && this.state !== 'ended';
  }

  /** Whether it has been pressed and has not begun. */
  get starting() {
    return ['admitting', 'asking', 'preparing'].includes(this.state);
  }

  /** The caller has pressed call. */
  press() {
    this.#before = this.state;
    this.#move('admitting');
    Object.assign(this, { trouble: null, loading: null });
    this.#onchange(this);
  }

  /** Viva takes the call: the browser asks for the microphone. */
  admit() {
    this.#move('asking');
    this.#onchange(this);
  }

  /** Viva takes the call, which needs no microphone: the caller will type. */
  type() {
    this.#move('preparing');
    this.#onchange(this);
  }

  /** It cannot start. @param {Error} trouble */
  refuse(trouble) {
    if (this.starting) this.#move(this.#before);
    this.trouble = trouble;
    this.#onchange(this);
  }

  /** The microphone streams and the loudspeaker runs. */
  connect() {
    this.#move('connecting');
    if (this.loading) this.#move('loading');
    Object.assign(this, { hearing: false, ducked: false, vendor: '' });
    Object.assign(this, { cap: null, ended: null, error: '', lost: false });
    this.#onchange(this);
  }

  /** The first sample of an answer has been played. */
  heard() {
    if (['thinking', 'listening', 'interrupted'].includes(this.state)) this.#move('speaking');
    this.#onchange(this);
  }

  /** The network is gone, or is there again. @param {boolean} lost */
  lose(lost) {
    this.lost = lost;
    this.#onchange(this);
  }

  /** Seconds left, or null. @param {number} now In seconds, of the clock given to `receive`. */
  leftSecs(now) {
    return this.cap && Math.max(0, this.cap.left - (now - this.cap.at));
  }

  /** One event of the wire. @param {number} now In seconds, of any clock. */
  receive(event, now = 0) {
    const take = TAKE[event.type];
    if (!take || !(this.running || this.starting)) return;
    const next = take(this, event, now);
    // Before it has begun, a call can only end: nothing else shows, and loading waits for its turn.
    const goes = this.running || next === 'ended';
    if (goes && next && next !== this.state) this.#move(next);
    this.#onchange(this);
  }

  /** The caller hangs up. */
  hangUp() {
    this.end({ reason: 'hangup', message: 'You hung up.' });
  }

  /** The socket has closed; after an `end` that is as it should be. */
  close() {
    this.end(DROPPED);
  }

  /** @param {{reason: string, message: string}} why */
  end(why) {
    if (!this.running && !this.starting) return;
    this.ended = why;
    this.#move('ended');
    Object.assign(this, { hearing: false, ducked: false });
    this.#onchange(this);
  }

  #move(next) {
    if (!MOVES[this.state].includes(next)) {
      throw new Error(`a call that is ${this.state} cannot become ${next}`);
    }
    this.state = next;
  }
}

/** What each event does to a call, and the state that it leads to, if any. */
const TAKE = {
  'bot-ready': (call) => {
    call.loading = null;
    return call.state === 'connecting' || call.state === 'loading' ? 'listening' : null;
  },
  'user-started-speaking': (call) => {
    call.hearing = true;
    return call.state === 'thinking' ? 'listening' : null;
  },
  'user-stopped-speaking': (call) => {
    call.hearing = false;
    return call.state === 'listening' || call.state === 'interrupted' ? 'thinking' : null;
  },
  'bot-started-speaking': () => 'speaking',
  'bot-stopped-speaking': (call) => (call.state === 'speaking' ? 'listening' : null),
  'bot-interrupted': (call) => {
    call.ducked = false;
    return call.state === 'speaking' || call.state === 'thinking' ? 'interrupted' : null;
  },
  duck: (call, { on }) => {
    call.ducked = on;
    call.hearing = on;
  },
  cap: (call, { limit_secs: limit, left_secs: left }, now) => {
    call.cap = { limit, left, at: now };
  },
  stage: (call, { stage, vendor, detail, progress }) => {
    call.vendor = vendor;
    if (stage === 'loading') {
      call.loading = { vendor, detail, progress };
      return 'loading';
    }
    if (stage === 'thinking') return call.state === 'speaking' ? null : 'thinking';
    if (stage === 'listening') return call.state === 'interrupted' ? null : 'listening';
    return null;
  },
  failover: (call, { failed, vendor }) => {
    call.error = `${failed} failed, and ${vendor} has taken over.`;
  },
  error: (call, { error }) => {
    call.error = error;
  },
  end: (call, { reason, message }) => {
    // Whoever came back to a call that was gone knows no more than that it is.
    call.ended = reason === 'lost' ? { ...DROPPED, reason } : { reason, message };
    call.hearing = false;
    return 'ended';
  },
};
