/**
 * The way of the caller's voice to Viva: whether it comes in time. No I/O.
 *
 * A slow network delivers everything, later and later. So when Viva answers late, what is said is held
 * here, and given to the network in pieces: the next one when the one before has come. A piece is what
 * the network carries in a while, or more where more takes no longer, as when it is Viva that is slow.
 * What has been held for too long is dropped.
 */

/** The caller is told when they are heard so late, and what they say is held when it is twice as late. */
const LATE_SECS = 1;
const BEHIND_SECS = 2;

/** What is given to a slow network at a time is what it carries in so long. */
const PIECE_SECS = 0.5;

/** So much more time for twice as much is none: the network is not what takes it. */
const LONGER = 1.25;

/** What has waited for longer is stale. */
const HELD_SECS = 3;

/** It has caught up when what is given to it is answered so soon, beside the round trip. */
const SOON_SECS = 0.3;

/** For so long the network must be in time until it counts as fast again. */
const CALM_SECS = 4;

export class Uplink {
  /** Messages dropped. */
  dropped = 0;

  #send;
  #ask;
  #bytes = 0; // given to the network
  #asked = []; // unanswered questions, oldest first: {at, bytes}
  #answered = null; // the newest that was: {now, bytes}
  #trip = Infinity;
  #late = 0;
  #held = []; // {message, at}
  #pieceAt = null; // the question behind what the network was given last, while it is behind
  #pieceBytes = 0; // what that was at most
  #room = 0; // what of it is left
  #took = Infinity; // seconds for the piece before
  #slowAt = -Infinity;

  /**
   * @param {(message: ArrayBuffer) => void} send Sends a message of the microphone.
   * @param {(now: number) => void} ask Asks Viva for its clock, and calls `asked`.
   */
  constructor(send, ask) {
    this.#send = send;
    this.#ask = ask;
  }

  /** Whether what is said is held here now. */
  get behind() {
    return this.#pieceAt !== null;
  }

  /** By how much later than it was spoken the caller's voice comes, in seconds. */
  lateSecs(now) {
    const trip = this.#trip === Infinity ? 0 : this.#trip;
    const waiting = this.#asked.length ? now - this.#asked[0].at - trip : 0;
    const held = this.#held.length ? now - this.#held[0].at : 0;
    return Math.max(this.#late, waiting, held);
  }

  /** Whether the caller should know that they are heard late. */
  slow(now) {
    if (this.lateSecs(now) >= LATE_SECS) this.#slowAt = now;
    return now - this.#slowAt < CALM_SECS;
  }

  /** Something was said. @param {ArrayBuffer} message @param {number} now In seconds. */
  push(message, now) {
    if (!this.behind && this.lateSecs(now) >= BEHIND_SECS) this.#mark(now);
    if (!this.behind || this.#room > 0) {
      this.#give(message);
      return;
    }
    this.#held.push({ message, at: now });
    while (now - this.#held[0].at > HELD_SECS) {
      this.#held.shift();
      this.dropped += 1;
    }
  }

  /** Viva was asked for its clock. @param {number} now */
  asked(now) {
    this.#asked.push({ at: now, bytes: this.#bytes });
  }

  /**
   * It has answered.
   *
   * @param {number} sent When it was asked.
   * @param {number | null} late How late the question came, if the two clocks are known.
   * @param {number} now
   */
  answered(sent, late, now) {
    const asked = this.#asked.find(({ at }) => at === sent);
    if (!asked) return;
    this.#asked = this.#asked.filter(({ at }) => at > sent);
    this.#trip = Math.min(this.#trip, now - sent);
    this.#late = late ?? 0;
    const before = this.#answered;
    this.#answered = { now, bytes: asked.bytes };
    if (sent !== this.#pieceAt) return;
    const took = now - sent;
    const rate = before && now > before.now ? (asked.bytes - before.bytes) / (now - before.now) : 0;
    const soon = took - this.#trip < SOON_SECS;
    if (soon) this.#pieceBytes = Infinity;
    else if (this.#took === Infinity || took > LONGER * this.#took) {
      this.#pieceBytes = rate * PIECE_SECS;
    } else if (this.#room <= 0) this.#pieceBytes *= 2;
    this.#room = Math.max(1, this.#pieceBytes);
    while (this.#held.length && this.#room > 0) this.#give(this.#held.shift().message);
    if (soon) this.#catchUp();
    else {
      this.#took = took;
      this.#mark(now);
    }
  }

  /** The call goes on on another socket: what was under way is gone. */
  reset() {
    this.dropped += this.#held.length;
    this.#held = [];
    this.#asked = [];
    this.#answered = null;
    this.#late = 0;
    this.#catchUp();
  }

  #catchUp() {
    this.#pieceAt = null;
    this.#room = 0;
    this.#took = Infinity;
  }

  /** A question behind all that the network was given tells when it has come. */
  #mark(now) {
    this.#pieceAt = now;
    this.#ask(now);
  }

  #give(message) {
    this.#bytes += message.byteLength;
    this.#room -= message.byteLength;
    this.#send(message);
  }
}
