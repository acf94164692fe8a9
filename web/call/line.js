/** The line of one call: microphone, loudspeaker and socket, held together and taken down together. */

import { Onsets } from './audible.js';
import { Claim } from './claim.js';
import { ServerClock } from './clock.js';
import { Lead } from './lead.js';
import { Microphone } from './microphone.js';
import { MicrophoneEncoder, codecsOf } from './opus.js';
import { Player } from './player.js';
import { VOICE_RATE } from './protocol.js';
import { Pulse } from './pulse.js';
import { Socket } from './socket.js';
import { Trouble } from './trouble.js';
import { Uplink } from './uplink.js';

/** How long one attempt to go on on another socket may take, and how long the next one waits. */
const ATTEMPT_SECS = 4;
const RETRY_SECS = 1;

/** How long Viva may take to answer a goodbye. */
const END_SECS = 1.5;

/** How long Viva may take to say whether it takes a call. */
const ADMIT_SECS = 15;

/** How often Viva is told that the caller goes on typing; it asks after 8 s of silence. */
const TYPING_SECS = 3;

/** A network that takes so long has no room for a report of playback every 100 ms. */
const CROWDED_SECS = 0.25;
const RARE_REPORT_SECS = 0.3;

/** What is later is told as that. */
const MOST_LATE_SECS = 60;

/** A little more than the player's ramp to silence. */
const RAMP_SECS = 0.08;

export class Line {
  /** Called with each event of the wire but audio, in order. */
  onevent = () => {};

  /** Called with the voice as it comes: `{epoch, start, samples}`; the samples are lent. */
  onvoice = () => {};

  /** Called every 20 ms of the voice: `{epoch, samples, level}`. */
  onprogress = () => {};

  /** Called with each report of the player: `{kind, epoch, samples, final}`. */
  onreport = () => {};

  /** Called every 32 ms with the caller's level, 0 to 1. */
  onlevel = () => {};

  /** Called when the speaker changes under the call: `running`, `suspended`… */
  ondevice = () => {};

  /** Called with why the microphone is not heard, '' when it is again; see InputWatch. */
  oncause = () => {};

  /** Called when the caller comes to be heard late, and when they no longer are. */
  onslow = () => {};

  /** Called when the network is gone, and when the call goes on. */
  onlost = () => {};
  onback = () => {};

  /** Called once, when the call has no socket any more. */
  onclose = () => {};

  /** The last report of an answer becoming audible, as it was sent: `{epoch, sample, at}`. */
  audible = null;

  #url;
  #socket = null;
  #clock = new ServerClock((sent) => this.#askClock(sent));
  #pulse = new Pulse((sent) => this.#askClock(sent), () => this.lose());
  #uplink = new Uplink((message) => this.#socket.audio(message), (sent) => this.#askClock(sent));
  #encoder = new MicrophoneEncoder();
  #codecs = null;
  #lead = new Lead();
  #onsets = new Onsets();
  #claim = new Claim();
  #answered = () => {};
  #playing = null;
  #ready = false;
  #lost = false;
  #slow = false;
  #closed = false;
  #report = null;
  #reportedAt = -Infinity;
  #typedAt = -Infinity;

  /** Must be constructed while a press is handled. @param {URL} url Of the socket. */
  constructor(url) {
    this.#url = url;
    // One for both, at the device's rate: Firefox takes the echo of no other away.
    const context = new AudioContext({ latencyHint: 'interactive' });
    context.resume();
    this.player = new Player(context);
    this.microphone = new Microphone(context);
  }

  /**
   * Opens the socket, and resolves when Viva has admitted the call, or refused it by an `end`. From
   * then on, its closing comes as `onclose`.
   *
   * @param {string} [speakerId]
   * @throws {Trouble} There is no answer, or another tab has a call.
   */
  async open(speakerId = '') {
    const { player } = this;
    player.onstate = (state) => this.ondevice(state);
    player.onprogress = (progress) => this.onprogress(progress);
    player.onreport = (report) => {
      this.#report = report;
      if (this.#isDue(report)) this.#socket?.playback(report); // a call may be taken back without one
      this.onreport(report);
    };
    player.onheard = (heard) => this.#heard(heard);
    this.#playing = player.start(speakerId);
    this.#playing.catch(() => {}); // who waits for it, in prepare, is told
    if (!(await this.#claim.take())) throw new Trouble('elsewhere');
    if (this.#closed) return;
    const socket = new Socket(this.#url);
    this.#socket = socket;
    socket.onevent = (event) => this.#take(event);
    try {
      await new Promise((resolve, reject) => {
        this.#answered = resolve;
        socket.onclose = reject;
        setTimeout(reject, ADMIT_SECS * 1000);
      });
    } catch {
      this.close();
      throw await Trouble.ofSocket();
    }
    socket.onclose = ({ code }) => (code === 1000 ? this.onclose() : this.lose());
  }

  /**
   * Resolves when the caller can be heard and can hear.
   *
   * @param {string | null} [microphoneId] '' for the system's own choice, null for none: the caller
   *   will type.
   * @throws {Trouble}
   */
  async prepare(microphoneId = '') {
    const { microphone } = this;
    microphone.oncause = (cause) => this.oncause(cause);
    microphone.onmessage = (message, level) => {
      if (this.#ready && !this.#lost) this.#say(message);
      this.onlevel(level);
    };
    this.#encoder.onpacket = (packet) => {
      if (this.#ready && !this.#lost) this.#uplink.push(packet, now());
    };
    const open = [this.#codecs, microphone.open(microphoneId), this.#playing];
    [this.#codecs] = await Promise.all(open);
  }

  /** Says that the page is ready: the call begins. @param {boolean} record As the caller agreed. */
  begin(record) {
    this.player.gather(this.#lead.gathered(now()));
    this.#socket.ready(record, this.#codecs);
    this.#ready = true;
  }

  /** Asks a typed question. @param {string} question */
  ask(question) {
    this.#socket.text(question);
  }

  /** Says that the caller is typing, at most every few seconds. */
  type() {
    if (!this.#ready || now() - this.#typedAt < TYPING_SECS) return;
    this.#typedAt = now();
    this.#socket.typing();
  }

  /** Says that the button to talk is held, or no more. @param {boolean} on */
  talk(on) {
    if (this.#ready) this.#socket.talk(on);
  }

  /** The server's clock: `{offset, roundTrip}` in seconds, null while it is not known. */
  get clock() {
    const { offset, roundTrip } = this.#clock;
    return { offset, roundTrip };
  }

  /** By how many seconds later than it is spoken the caller's voice comes to Viva. */
  get late() {
    return this.#uplink.lateSecs(now());
  }

  /** Counters: the epoch, samples received in it, and microphone messages sent and dropped. */
  get counters() {
    const { epoch = 0, received = 0, sent = 0 } = this.#socket ?? {};
    return { epoch, received, sent, dropped: this.#uplink.dropped };
  }

  resume() {
    return this.player.resume();
  }

  /** Says goodbye, and takes everything down as soon as Viva has answered it. */
  hangUp() {
    if (this.#closed) return;
    this.#ready = false;
    this.#clock.stop();
    this.#pulse.stop();
    this.#claim.release();
    this.player.flush();
    this.microphone.close();
    // Behind the last report, so that Viva knows how much was heard.
    setTimeout(() => this.#socket?.hangup(), RAMP_SECS * 1000);
    setTimeout(() => this.close(), END_SECS * 1000);
  }

  /** Says goodbye without waiting: the page is going away, or cannot hold the call. */
  leave() {
    this.#socket?.hangup();
    this.close();
  }

  close() {
    if (this.#closed) return;
    this.#closed = true;
    this.#ready = false;
    this.#clock.stop();
    this.#pulse.stop();
    this.#socket?.close();
    this.#encoder.close();
    this.#claim.release();
    this.microphone.close();
    this.player.flush();
    setTimeout(() => this.player.close(), RAMP_SECS * 1000);
  }

  /** The network is gone, whether the socket knows it or not. */
  lose() {
    if (this.#closed || this.#lost) return;
    if (this.#ready && this.#socket.resumableSecs) this.#comeBack();
    else this.#giveUp();
  }

  /** The network is gone, as the browser says; the socket is given up only if the call goes on. */
  suspect() {
    if (this.#socket?.resumableSecs) this.lose();
  }

  async #comeBack() {
    this.#lost = true;
    this.#uplink.reset();
    this.#pulse.stop();
    this.onlost();
    const until = performance.now() + this.#socket.resumableSecs * 1000;
    while (!this.#closed && performance.now() < until) {
      if (await this.#socket.resume(ATTEMPT_SECS)) {
        this.#lost = false;
        if (this.#report) this.#socket.playback(this.#report);
        this.#pulse.start();
        this.onback();
        return;
      }
      await networkOr(RETRY_SECS);
    }
    this.#giveUp();
  }

  #giveUp() {
    if (this.#closed) return;
    this.#socket.onclose = () => {};
    this.close();
    this.onclose();
  }

  #take(event) {
    this.#pulse.heard();
    switch (event.type) {
      case 'audio':
        this.#play(event);
        return;
      case 'clock':
        this.#clock.answer(event);
        this.#lead.roundTrip(now() - event.sent, now());
        this.#uplink.answered(event.sent, this.#lateness(event), now());
        this.#follow();
        return;
      case 'admitted':
        this.#socket.clock(now());
        this.#codecs = codecsOf(event.codecs);
        this.#answered();
        break;
      case 'end':
        this.#answered();
        break;
      case 'bot-ready':
        // Until now Viva may have been loading, and slow to answer.
        this.#clock.start();
        this.#pulse.start();
        break;
      case 'sentence':
        this.#lead.sentence();
        this.#onsets.sentence(event);
        break;
      case 'duck':
        this.player.duck(event.on);
        break;
      case 'bot-interrupted':
        this.#onsets.cut();
        this.player.flush();
        break;
      default:
    }
    this.onevent(event);
  }

  /** What the microphone heard, in what Viva was told it would come in. */
  #say(message) {
    if (this.#codecs.microphone === 'opus') this.#encoder.encode(message);
    else this.#uplink.push(message, now());
    const slow = this.#uplink.slow(now());
    if (slow === this.#slow) return;
    this.#slow = slow;
    this.onslow(slow);
  }

  /** Whether a report is to be sent: where the caller is heard late, those in between give way. */
  #isDue({ kind }) {
    const rare = kind === 'tick' && this.#uplink.lateSecs(now()) > CROWDED_SECS;
    if (rare && now() - this.#reportedAt < RARE_REPORT_SECS) return false;
    this.#reportedAt = now();
    return true;
  }

  #askClock(sent) {
    const late = this.#uplink.lateSecs(now());
    this.#uplink.asked(sent);
    this.#socket.clock(sent, Math.min(MOST_LATE_SECS, Math.round(late * 1000) / 1000));
  }

  /** By how many seconds later than it was asked an answered question came; null if that is not known. */
  #lateness({ sent, now: there }) {
    const { offset } = this.#clock;
    return offset === null ? null : Math.max(0, there - offset - sent);
  }

  /** Tells Viva and the player what the network asks for. */
  #follow() {
    const lead = this.#lead.change(now());
    if (lead === null) return;
    this.#socket.lead(lead);
    if (this.#ready) this.player.gather(this.#lead.gathered(now()));
  }

  #play(audio) {
    this.#lead.audio(audio.samples.length / VOICE_RATE, now());
    this.#follow();
    const onset = this.#onsets.audio(audio);
    if (onset !== null) this.player.watch(onset);
    this.onvoice(audio);
    this.player.write(audio.samples);
  }

  /** The first audible sample of an answer has left the loudspeaker, or is about to. */
  #heard({ epoch, sample, at }) {
    const there = this.#clock.at(at);
    if (there === null || epoch !== this.#socket.epoch) return;
    const report = { epoch, sample, at: there };
    this.audible = report;
    this.#socket.audible(report);
  }
}

function now() {
  return performance.now() / 1000;
}

/** Resolves when the browser has found a network, or after so many seconds. */
function networkOr(secs) {
  return new Promise((resolve) => {
    const go = () => {
      clearTimeout(timer);
      removeEventListener('online', go);
      resolve();
    };
    const timer = setTimeout(go, secs * 1000);
    addEventListener('online', go);
  });
}
