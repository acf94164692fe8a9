/** The line of one call: microphone, loudspeaker and socket, held together and taken down together. */

import { Microphone } from './microphone.js';
import { Player } from './player.js';
import { Socket } from './socket.js';

/** How long Viva may take to answer a goodbye. */
const END_SECS = 1.5;

/** A little more than the player's ramp to silence. */
const RAMP_SECS = 0.08;

export class Line {
  /** Called with each event of the wire but audio, in order. */
  onevent = () => {};

  /** Called every 20 ms of the voice: `{epoch, samples, level}`. */
  onprogress = () => {};

  /** Called with each report of the player: `{kind, epoch, samples, final}`. */
  onreport = () => {};

  /** Called every 20 ms with the caller's level, 0 to 1. */
  onlevel = () => {};

  /** Called when microphone or speaker change under the call: `lost`, `running`, `suspended`… */
  ondevice = () => {};

  /** Called once, when the socket is over. */
  onclose = () => {};

  #url;
  #socket = null;
  #ready = false;
  #closed = false;

  /** Must be constructed while a press is handled. @param {URL} url Of the socket. */
  constructor(url) {
    this.#url = url;
    this.player = new Player();
    this.microphone = new Microphone();
  }

  /** Resolves when the caller can be heard and can hear. @throws {import('./trouble.js').Trouble} */
  async prepare({ microphoneId = '', speakerId = '' } = {}) {
    const { player, microphone } = this;
    microphone.onlost = () => this.ondevice('lost');
    microphone.onmessage = (message, level) => {
      if (this.#ready) this.#socket.audio(message);
      this.onlevel(level);
    };
    player.onstate = (state) => this.ondevice(state);
    player.onprogress = (progress) => this.onprogress(progress);
    player.onreport = (report) => {
      this.#socket?.playback(report);
      this.onreport(report);
    };
    await Promise.all([microphone.open(microphoneId), player.start(speakerId)]);
  }

  /** Opens the socket and says that the page is ready. Failures come as `onclose`. */
  async connect() {
    if (this.#closed) return;
    const socket = new Socket(this.#url);
    this.#socket = socket;
    socket.onevent = (event) => this.#take(event);
    socket.onclose = (close) => this.onclose(close);
    try {
      await socket.opened();
    } catch {
      return;
    }
    socket.ready();
    this.#ready = true;
  }

  /** Counters: the epoch, samples received in it, and microphone messages sent and dropped. */
  get counters() {
    const { epoch = 0, received = 0, sent = 0, dropped = 0 } = this.#socket ?? {};
    return { epoch, received, sent, dropped };
  }

  resume() {
    return Promise.all([this.player.resume(), this.microphone.resume()]);
  }

  /** Says goodbye, and takes everything down as soon as Viva has answered it. */
  hangUp() {
    if (this.#closed) return;
    this.#ready = false;
    this.player.flush();
    this.microphone.close();
    // Behind the last report, so that Viva knows how much was heard.
    setTimeout(() => this.#socket?.hangup(), RAMP_SECS * 1000);
    setTimeout(() => this.close(), END_SECS * 1000);
  }

  /** Says goodbye without waiting: the page is going away. */
  leave() {
    this.#socket?.hangup();
    this.close();
  }

  close() {
    if (this.#closed) return;
    this.#closed = true;
    this.#ready = false;
    this.#socket?.close();
    this.microphone.close();
    this.player.flush();
    setTimeout(() => this.player.close(), RAMP_SECS * 1000);
  }

  #take(event) {
    switch (event.type) {
      case 'audio':
        this.player.write(event.samples);
        return;
      case 'duck':
        this.player.duck(event.on);
        break;
      case 'bot-interrupted':
        this.player.flush();
        break;
      default:
    }
    this.onevent(event);
  }
}
