/**
 * The wire of docs/protocol.md, without I/O: what arrives becomes events, what is to be said
 * becomes text. Keeps the two numbers that both sides must agree on: the epoch, and how many
 * samples of it have arrived.
 */

export const CAPTURE_RATE = 16_000;
export const VOICE_RATE = 24_000;
/** A message of the microphone: 32 ms, one window of Viva's voice activity detector. */
export const CAPTURE_SAMPLES = 512;

const LABEL = 'rtvi-ai';
const VERSION = '2.2.0';

/** Something arrived that the protocol does not allow; the message names it. */
export class ProtocolError extends Error {}

export class Wire {
  /** How many `bot-interrupted` have arrived. */
  epoch = 0;

  /** Samples of this epoch that have arrived, at 24 kHz. */
  received = 0;

  /** What Viva's voice comes in: `pcm` or `opus`. */
  #voice = 'pcm';

  /** By what the call is resumed on another socket: `{token, place, secs}`, or null. */
  resumption = null;

  #messages = 0;
  #call = '';
  #counted = 0;
  #texts = [];

  /**
   * One message from Viva as an event `{type, …fields}`. A binary message is
   * `{type: 'audio', epoch, start, samples: Int16Array}`, or, of a voice that comes in Opus, with
   * `packets: Uint8Array[], skipped, count` in place of the samples; RTVI's `server-message` is
   * unwrapped.
   *
   * @param {string | ArrayBuffer} message
   * @throws {ProtocolError}
   */
  receive(message) {
    return typeof message === 'string' ? this.#text(message) : this.#audio(message);
  }

  /**
   * @param {boolean} record Whether the caller agrees to be recorded.
   * @param {{microphone: string, voice: string}} codecs What both voices are to come in.
   */
  clientReady(record, codecs) {
    this.#voice = codecs.voice;
    const can = { record, address: true, resume: true, ...codecs };
    return this.#say('client-ready', { version: VERSION, about: { library: 'viva-web' }, ...can });
  }

  /** The first message on a socket on which the call goes on. */
  resume() {
    const { token } = this.resumption;
    const d = { call: this.#call, token, received: this.#counted };
    return this.#say('client-message', { t: 'resume', d });
  }

  /** The typed questions that have not arrived. @param {number} typed How many have. */
  textsAfter(typed) {
    return this.#texts.slice(typed);
  }

  /** @param {{epoch: number, samples: number, final: boolean}} report */
  playback({ epoch, samples, final }) {
    return this.#say('client-message', { t: 'playback', d: { epoch, samples, final } });
  }

  /**
   * Asks for the server's time.
   *
   * @param {number} sent The page's own, in seconds.
   * @param {number} [late] By how many seconds later than it is spoken the caller's voice comes.
   */
  clock(sent, late) {
    const received = this.resumption ? this.#counted : undefined;
    return this.#say('client-message', { t: 'clock', d: { sent, received, late } });
  }

  /** How far ahead the voice is to be sent. @param {number} secs */
  lead(secs) {
    return this.#say('client-message', { t: 'lead', d: { secs } });
  }

  /** @param {{epoch: number, sample: number, at: number}} report `at` in the server's clock. */
  audible({ epoch, sample, at }) {
    return this.#say('client-message', { t: 'audible', d: { epoch, sample, at } });
  }

  /** A typed question. @param {string} text */
  text(text) {
    const message = this.#say('send-text', { content: text });
    this.#texts.push(message);
    return message;
  }

  /** The caller is typing one. */
  typing() {
    return this.#say('client-message', { t: 'typing', d: {} });
  }

  /** The caller has pressed the button that they hold to talk, or let it go. @param {boolean} on */
  talk(on) {
    return this.#say('client-message', { t: 'talk', d: { on } });
  }

  hangup() {
    return this.#say('client-message', { t: 'hangup', d: {} });
  }

  #say(type, data) {
    this.#messages += 1;
    return JSON.stringify({ label: LABEL, type, id: String(this.#messages), data });
  }

  /** Messages are counted behind the first `resume`, which does not count itself. */
  #count() {
    if (this.resumption) this.#counted += 1;
  }

  #audio(buffer) {
    const audio = this.#voice === 'opus' ? opus(buffer) : pcm(buffer);
    this.#count();
    const start = this.received;
    this.received += audio.count ?? audio.samples.length;
    return { type: 'audio', epoch: this.epoch, start, ...audio };
  }

  #text(text) {
    let message;
    try {
      message = JSON.parse(text);
    } catch (error) {
      throw new ProtocolError(`not JSON: ${error.message}`);
    }
    if (message?.label !== LABEL || typeof message.type !== 'string') {
      throw new ProtocolError(`label is ${JSON.stringify(message?.label)}; it must be "${LABEL}"`);
    }
    const data = message.data ?? {};
    if (data.type === 'resume' && message.type === 'server-message') {
      this.resumption = { token: data.token, place: data.place, secs: data.secs };
      return data;
    }
    this.#count();
    if (message.type === 'server-message') {
      if (typeof data.type !== 'string') throw new ProtocolError('server-message without a type');
      return data;
    }
    if (message.type === 'bot-ready') this.#call = data.about?.call ?? '';
    if (message.type === 'bot-interrupted') {
      this.epoch += 1;
      this.received = 0;
    }
    return { ...data, type: message.type };
  }
}

function pcm(buffer) {
  if (buffer.byteLength % 2) {
    throw new ProtocolError(`audio of ${buffer.byteLength} bytes; samples have two`);
  }
  return { samples: new Int16Array(buffer) };
}

function opus(buffer) {
  const view = new DataView(buffer);
  try {
    const [count, skipped] = [view.getUint16(0, true), view.getUint16(2, true)];
    const packets = [];
    for (let at = 4; at < buffer.byteLength;) {
      const length = view.getUint16(at, true);
      packets.push(new Uint8Array(buffer, at + 2, length));
      at += 2 + length;
    }
    return { packets, skipped, count };
  } catch {
    throw new ProtocolError(`audio of ${buffer.byteLength} bytes; its packets are not all there`);
  }
}
