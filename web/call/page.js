/** The state of the call in words: which parts of the page are shown, and what they say. */

const WORDS = {
  admitting: ['One moment', 'Checking for a free line.'],
  asking: ['One moment', 'Please allow this page to use your microphone.'],
  preparing: ['One moment', 'Starting the loudspeaker.'],
  connecting: ['Connecting', 'Connecting to Viva.'],
  loading: ['Loading', 'Models are loading; the call starts by itself.'],
  listening: ['Listening', 'Ask away.'],
  hearing: ['Hearing you', 'Stop when you have asked.'],
  thinking: ['Thinking', 'Looking for it in the document.'],
  speaking: ['Speaking', 'Talk over it to interrupt.'],
  interrupted: ['Interrupted', 'It has stopped. Go on.'],
  lost: ['Reconnecting', 'The network is gone. The call goes on as soon as it is back.'],
};

/** Why the microphone is not heard: what to do about it, and what is said once the call is over. */
const UNHEARD = {
  silent: [
    'No sound comes from the microphone. Switch it on, or choose another one.',
    'No sound came from the microphone.',
  ],
  'system-muted': [
    'The system has muted the microphone. Unmute it, or choose another one.',
    'The system had muted the microphone.',
  ],
  unplugged: [
    'The microphone was disconnected. Connect it again and press Speak, or choose another one.',
    'The microphone was disconnected.',
  ],
  withdrawn: [
    'The browser no longer lets this page use the microphone. Allow it beside the address and press '
      + 'Speak, or type your question.',
    'The browser no longer let this page use the microphone.',
  ],
};

const SLOW = 'Your connection is slow: Viva hears you late. Typing your question may be quicker.';

const ENDINGS = {
  dropped: 'The line dropped',
  hangup: 'You hung up',
  cap: 'Time is up',
  capacity: 'All lines are busy',
  budget: 'No more calls today',
  call_budget: 'The money is spent',
  daily_calls: 'No more calls today',
  open_calls: 'You have other calls open',
  silence: 'It went quiet',
  fault: 'Something failed',
  shutdown: 'Viva is closing',
  stalled: 'This page fell behind',
  protocol: 'The call broke off',
  lost: 'The line dropped',
};

/** The same of a caller who types. */
const TYPED = {
  listening: 'Type your question.',
  speaking: 'Type over it to interrupt.',
  interrupted: 'It has stopped.',
};

/** The same of a caller who holds a button to talk. */
const HELD = {
  listening: 'Hold the space bar or the button while you speak.',
  speaking: 'Hold the space bar or the button to interrupt.',
};

/** What the voice itself, or the caller, makes known as it happens: a screen reader leaves them it. */
const AUDIBLE = ['listening', 'hearing', 'thinking', 'speaking', 'interrupted'];

/** A browser's question about the microphone that is not answered for so long was not seen. */
const UNANSWERED_SECS = 8;
const UNANSWERED = 'The browser is waiting for your answer. Look for its question at the top of the '
  + 'window, or for a symbol of a microphone beside the address.';

/** After so many seconds of life, an error is old news. */
const NOTICE_SECS = 8;

export class Page {
  #find;
  #announced = '';
  #muted = false;
  #since = 0;
  #error = '';
  #errorAt = -Infinity;

  /** What stands in the call's notice beside errors: that audio is paused, or a device lost. */
  notice = '';

  /** Whether the network carries what the caller says too slowly. */
  slow = false;

  /** Why the microphone is not heard, as InputWatch has it; '' if it is. */
  unheard = '';

  /** @param {Document} page */
  constructor(page) {
    this.#find = (id) => page.getElementById(id);
    this.body = page.body;
  }

  /**
   * @param {import('./call.js').Call} call
   * @param {{muted: boolean, silent: boolean, holds: boolean, now: number}} with_ `silent` is a call
   *   without a microphone; `holds` one whose caller holds a button to talk.
   */
  show(call, { muted, silent, holds, now }) {
    const find = this.#find;
    const { state, running } = call;
    const live = running || call.starting;
    const before = this.body.dataset.state;
    this.body.dataset.state = state;
    this.body.classList.toggle('live', live);
    find('landing').hidden = state !== 'landing';
    find('before').hidden = live;
    find('live').hidden = !live;
    find('controls').hidden = !running;
    find('cancel').hidden = !call.starting;
    if (state !== before) this.#since = now;
    find('devices').hidden = !running;
    this.#typing(running && !['connecting', 'loading'].includes(state), silent);
    const said = find('log').childElementCount > 0;
    find('captions').hidden = !(running || (state === 'ended' && said));
    find('ended').hidden = state !== 'ended';
    find('particulars').hidden = state !== 'landing';
    const unanswered = state === 'asking' && now - this.#since >= UNANSWERED_SECS;
    this.#words(call, { muted, silent, holds, unanswered });
    find('mute').hidden = holds;
    this.#time(call, now);
    this.#notices(call, now);
    this.#trouble(call.trouble);
    find('mute').classList.toggle('on', muted);
    const unmuted = silent ? 'Speak' : 'Mute';
    find('mute').textContent = muted ? 'Unmute' : unmuted;
    if (state === 'ended') this.#ended(call, before);
    // The pressed button is gone: its focus goes to what took its place, never to a control.
    const started = ['admitting', 'asking', 'preparing'].includes(before);
    if (started && !live && (call.trouble || state !== 'ended')) find('press').focus();
    if (live && ['landing', 'ended'].includes(before)) {
      find('state').focus({ preventScroll: true });
      find('state').scrollIntoView({ block: 'nearest', behavior: 'instant' });
    }
  }

  /** The field for typed questions; whoever called without a microphone finds themselves in it. */
  #typing(possible, silent) {
    const [form, field] = [this.#find('typing'), this.#find('typed')];
    field.placeholder = silent ? 'Type a question' : 'Or type a question';
    if (form.hidden === !possible) return;
    form.hidden = !possible;
    if (silent && possible) field.focus({ preventScroll: true });
  }

  #words(call, { muted, silent, holds, unanswered }) {
    const { state } = call;
    const heard = state === 'listening' && call.hearing ? 'hearing' : state;
    const key = call.lost && call.running ? 'lost' : heard;
    const [word, hint] = WORDS[key] ?? ['', ''];
    write(this.#find('state'), word);
    const deaf = this.unheard && state === 'listening' ? 'Viva does not hear you.' : '';
    const spoken = deaf || (silent && TYPED[state]) || (holds && HELD[state]) || hint;
    const mute = muted && call.running ? 'You are muted: nothing you say is heard.' : spoken;
    const advice = key === 'lost' ? hint : mute;
    const loading = state === 'loading' ? call.loading : null;
    write(this.#find('hint'), loading?.detail || (unanswered ? UNANSWERED : advice));
    const progress = this.#find('progress');
    progress.hidden = !loading;
    if (typeof loading?.progress === 'number') progress.value = loading.progress;
    else progress.removeAttribute('value');
    if (call.running && muted !== this.#muted) this.#announce(muted ? 'Muted' : 'Unmuted');
    else if (unanswered) this.#announce(UNANSWERED);
    else if (!AUDIBLE.includes(key)) this.#announce(word || this.#ending(call).join('. '));
    this.#muted = muted;
  }

  #announce(word) {
    if (word === this.#announced) return;
    this.#announced = word;
    write(this.#find('announcer'), word);
  }

  #time(call, now) {
    const left = call.running ? call.leftSecs(now) : null;
    const timer = this.#find('left');
    timer.hidden = left === null;
    if (left === null) return;
    const secs = Math.ceil(left);
    write(timer, `${Math.floor(secs / 60)}:${String(secs % 60).padStart(2, '0')} left`);
    timer.classList.toggle('short', secs <= 20);
  }

  #notices(call, now) {
    if (call.error !== this.#error) {
      this.#error = call.error;
      this.#errorAt = now;
    }
    const fresh = this.#error && now - this.#errorAt < NOTICE_SECS;
    const [unheard = ''] = call.running ? UNHEARD[this.unheard] ?? [] : [];
    const reported = fresh ? `Viva reports: ${this.#error}` : '';
    const slow = call.running && !call.lost && this.slow ? SLOW : '';
    write(this.#find('notice'), this.notice || unheard || slow || reported);
    this.#find('choose').hidden = !unheard || this.unheard === 'withdrawn';
  }

  #trouble(trouble) {
    const place = this.#find('trouble');
    if (place.dataset.said === (trouble?.message ?? '')) return;
    place.dataset.said = trouble?.message ?? '';
    place.replaceChildren();
    if (!trouble) return;
    for (const [tag, text] of [['strong', trouble.message], ['p', trouble.advice]]) {
      const element = place.ownerDocument.createElement(tag);
      element.textContent = text ?? '';
      place.append(element);
    }
    if (!trouble.link) return;
    const link = place.ownerDocument.createElement('a');
    Object.assign(link, { href: trouble.link.href, textContent: trouble.link.text });
    place.append(link);
  }

  #ended(call, before) {
    const [title, message = ''] = this.#ending(call);
    write(this.#find('ended-title'), title);
    write(this.#find('ended-message'), message);
    write(this.#find('press'), 'Call again');
    write(this.#find('promise'), '');
    if (before === 'ended') return;
    this.#find('ended-title').focus({ preventScroll: true });
    this.#find('log').scrollTop = 0;
    // On a telephone the call stood over the foot of the document; now it stands above it.
    this.#find('ended').scrollIntoView({ block: 'nearest', behavior: 'instant' });
  }

  /** How a call that is over ended, and what more there is to say of it, if anything. */
  #ending(call) {
    if (call.state !== 'ended') return [];
    const { reason, message } = call.ended;
    const title = ENDINGS[reason] ?? 'The call has ended';
    const more = message && message.replace(/\.$/, '') !== title ? [message] : [];
    if (this.unheard) more.push(UNHEARD[this.unheard][1]);
    return more.length ? [title, more.join(' ')] : [title];
  }
}

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
