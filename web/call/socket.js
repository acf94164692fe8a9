/** One WebSocket to `/call`: messages of the wire in and out. */

import { ProtocolError, Wire } from './protocol.js';

/** Two seconds of audio that the network has not taken: what comes now is dropped. */
const MOST_UNSENT_BYTES = 64_000;

export class Socket {
  /** Called with each event of the wire, in order. */
  onevent = () => {};

  /** Called once, when it is over or could not be opened: `{code, reason}`. */
  onclose = () => {};

  /** Audio messages sent, and dropped because the network was behind. */
  sent = 0;
  dropped = 0;

  #socket;
  #wire = new Wire();

  /** @param {string | URL} url */
  constructor(url) {
    this.#socket = new WebSocket(url);
    this.#socket.binaryType = 'arraybuffer';
    this.#socket.onclose = ({ code, reason }) => this.onclose({ code, reason });
    this.#socket.onmessage = ({ data }) => {
      try {
        this.onevent(this.#wire.receive(data));
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
        this.onevent({ type: 'error', error: `Viva sent ${error.message}`, fatal: false });
      }
    };
  }

  get epoch() {
    return this.#wire.epoch;
  }

  /** Samples of this epoch that have arrived. */
  get received() {
    return this.#wire.received;
  }

  /** @param {boolean} record Whether the caller agrees to be recorded. */
  ready(record) {
    this.#send(this.#wire.clientReady(record));
  }

  playback(report) {
    this.#send(this.#wire.playback(report));
  }

  clock(sent) {
    this.#send(this.#wire.clock(sent));
  }

  audible(report) {
    this.#send(this.#wire.audible(report));
  }

  text(text) {
    this.#send(this.#wire.text(text));
  }

  typing() {
    this.#send(this.#wire.typing());
  }

  hangup() {
    this.#send(this.#wire.hangup());
  }

  /** @param {ArrayBuffer} message s16le at 16 kHz. */
  audio(message) {
    if (this.#socket.bufferedAmount > MOST_UNSENT_BYTES) {
      this.dropped += 1;
      return;
    }
    this.#send(message);
    this.sent += 1;
  }

  close() {
    this.#socket.close(1000);
  }

  #send(message) {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(message);
  }
}
