/**
 * The WebSocket to `/call`: messages of the wire in and out. When it is lost, the call can go on on
 * another one: nothing that Viva said is missed, and no typed question is lost.
 */

import { VoiceDecoder } from './opus.js';
import { ProtocolError, Wire } from './protocol.js';

/** Closes a socket whose call goes on on another one. */
const RESUMING = 4000;

export class Socket {
  /** Called with each event of the wire, in order but for `clock`, which is not kept waiting. */
  onevent = () => {};

  /** Called once, when it is over or could not be opened: `{code, reason}`. */
  onclose = () => {};

  /** Audio messages sent. */
  sent = 0;

  /** How many `bot-interrupted` were told of, and how many samples since. */
  epoch = 0;
  received = 0;

  #url;
  #socket;
  #wire = new Wire();
  #resumed = () => {};
  #decoder = null;
  #last = Promise.resolve(); // what came last, once it has been told

  /** @param {URL} url */
  constructor(url) {
    this.#url = url;
    this.#open(url);
  }

  /** How long Viva waits for this page to come back, in seconds; 0 if it does not. */
  get resumableSecs() {
    return this.#wire.resumption?.secs ?? 0;
  }

  /**
   * Tries to go on with the call on another socket.
   *
   * @param {number} secs How long to try.
   * @returns {Promise<boolean>} Whether it goes on. If Viva has ended the call, an `end` has come.
   */
  resume(secs) {
    this.#socket.close(RESUMING);
    const url = new URL(this.#url);
    url.searchParams.set('resume', this.#wire.resumption.place);
    const socket = this.#open(url);
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, secs * 1000, false);
      this.#resumed = () => {
        clearTimeout(timer);
        resolve(true);
      };
      socket.onopen = () => this.#send(this.#wire.resume());
      socket.onclose = () => resolve(false);
    }).then((resumed) => {
      this.#resumed = () => {};
      if (resumed) this.#watch(socket);
      return resumed;
    });
  }

  /**
   * @param {boolean} record Whether the caller agrees to be recorded.
   * @param {{microphone: string, voice: string}} codecs What both voices are to come in.
   */
  ready(record, codecs) {
    if (codecs.voice === 'opus') this.#decoder = new VoiceDecoder();
    this.#send(this.#wire.clientReady(record, codecs));
  }

  playback(report) {
    this.#send(this.#wire.playback(report));
  }

  clock(sent, late) {
    this.#send(this.#wire.clock(sent, late));
  }

  lead(secs) {
    this.#send(this.#wire.lead(secs));
  }

  audible(report) {
    this.#send(this.#wire.audible(report));
  }

  text(text) {
    this.#send(this.#wire.text(text));
  }

  talk(on) {
    this.#send(this.#wire.talk(on));
  }

  typing() {
    this.#send(this.#wire.typing());
  }

  hangup() {
    this.#send(this.#wire.hangup());
  }

  /** @param {ArrayBuffer} message s16le at 16 kHz, or a packet of Opus. */
  audio(message) {
    this.#send(message);
    this.sent += 1;
  }

  close() {
    this.#socket.close(1000);
    this.#decoder?.close();
    this.#decoder = null;
  }

  #open(url) {
    const socket = new WebSocket(url);
    this.#socket = socket;
    socket.binaryType = 'arraybuffer';
    this.#watch(socket);
    socket.onmessage = ({ data }) => { if (socket === this.#socket) this.#receive(data); };
    return socket;
  }

  #watch(socket) {
    socket.onclose = ({ code, reason }) => {
      if (socket === this.#socket) this.#inOrder(() => this.onclose({ code, reason }));
    };
  }

  #receive(data) {
    try {
      const event = this.#wire.receive(data);
      if (event.type === 'resume') this.#resume(event);
      else if (event.type === 'clock') this.onevent(event);
      else if (event.packets) this.#decode(event);
      else this.#inOrder(() => this.#tell(event));
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.onevent({ type: 'error', error: `Viva sent ${error.message}`, fatal: false });
    }
  }

  /** Tells it behind what is still being decoded. */
  #inOrder(tell) {
    if (this.#decoder) this.#last = this.#last.then(tell).catch(reportError);
    else tell();
  }

  #decode({ packets, skipped, count, ...audio }) {
    const decoded = this.#decoder?.decode({ packets, skipped, count });
    if (decoded) this.#inOrder(async () => this.#tell({ ...audio, samples: await decoded }));
  }

  #tell(event) {
    if (event.type === 'audio') this.received = event.start + event.samples.length;
    if (event.type === 'bot-interrupted') [this.epoch, this.received] = [this.epoch + 1, 0];
    this.onevent(event);
  }

  #resume({ typed }) {
    this.#resumed();
    for (const text of this.#wire.textsAfter(typed)) this.#send(text);
  }

  #send(message) {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(message);
  }
}
