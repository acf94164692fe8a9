/**
 * The voice's way to the loudspeaker: the playback worklet in the call's AudioContext.
 *
 * To the worklet: an ArrayBuffer of s16le samples, `{watch}`, `{duck}`, `{gather}`, `{flush}`, `{close}`. From
 * it: `{kind: 'running'}` once; `{kind: 'progress', epoch, samples, level}` every 20 ms while there
 * is something to hear; `{kind: 'first' | 'tick' | 'empty' | 'final', epoch, samples, final}`, which
 * are the reports that docs/protocol.md asks for; `{kind: 'passed', epoch, sample, time}` for each
 * watched sample, with its time in the AudioContext.
 */

import { heardAt } from './audible.js';
import { Tap } from './tap.js';
import { Trouble } from './trouble.js';
import { addWorklet } from './worklets.js';

const START_SECS = 5;

/**
 * Firefox asks its sound server for the device's latency while it holds a lock that the server's
 * next callback needs. With PulseAudio both wait for each other, and the page stands still for 20 s.
 * There, a sample counts as heard when it is rendered.
 */
const MAY_HANG = navigator.userAgent.includes('Firefox/');

/** A change of volume that takes so long is no click. */
const VOLUME_SECS = 0.02;

export class Player {
  /** Called with each report for the wire. */
  onreport = () => {};

  /** Called every 20 ms of sound with `{epoch, samples, level}`. */
  onprogress = () => {};

  /** Called for each watched sample, `{epoch, sample, at}`: `at` in seconds of `performance.now()`. */
  onheard = () => {};

  /** Called with the context's state when it changes: `running`, `suspended`, `interrupted`. */
  onstate = () => {};

  #node = null;
  #loaded = null;
  #loudness;

  /** @param {AudioContext} context The call's; it closes with the player. */
  constructor(context) {
    this.context = context;
    this.#loudness = new GainNode(context);
    this.#loudness.connect(context.destination);
    context.onstatechange = () => this.onstate(context.state);
  }

  /** Resolves when the worklet runs on the device's clock. @param {string} [sinkId] */
  async start(sinkId = '') {
    const { context } = this;
    this.#loaded = addWorklet(context, 'playback-worklet.js');
    await this.#loaded;
    if (sinkId) await this.setSink(sinkId).catch(() => {});
    const node = new AudioWorkletNode(context, 'viva-playback', {
      numberOfInputs: 0,
      outputChannelCount: [1],
    });
    this.#node = node;
    const running = new Promise((resolve, reject) => {
      setTimeout(() => reject(new Trouble('silent-output')), START_SECS * 1000);
      node.port.onmessage = ({ data }) => {
        if (data.kind === 'running') resolve();
        else if (data.kind === 'progress') this.onprogress(data);
        else if (data.kind === 'passed') this.#passed(data);
        else this.onreport(data);
      };
    });
    node.connect(this.#loudness);
    await running;
  }

  /** How loud the caller wishes the voice to be. @param {number} share Of its own loudness, 0 to 1. */
  set volume(share) {
    this.#loudness.gain.setTargetAtTime(share, this.context.currentTime, VOLUME_SECS);
  }

  /** Plays s16 samples at 24 kHz; the buffer moves to the worklet. @param {Int16Array} samples */
  write(samples) {
    this.#node.port.postMessage(samples.buffer, [samples.buffer]);
  }

  /** Asks when a sample of the newest epoch is heard; it must not have been written. */
  watch(sample) {
    this.#node.port.postMessage({ watch: sample });
  }

  /** How much voice to gather before an answer starts. */
  gather(secs) {
    this.#node.port.postMessage({ gather: secs });
  }

  duck(on) {
    this.#node.port.postMessage({ duck: on });
  }

  flush() {
    this.#node?.port.postMessage({ flush: true });
  }

  /** Goes on after the system has paused audio (a telephone call, a sleeping tab). */
  resume() {
    return this.context.resume();
  }

  static get canChooseSink() {
    return typeof AudioContext === 'function' && 'setSinkId' in AudioContext.prototype;
  }

  setSink(sinkId) {
    return this.context.setSinkId(sinkId);
  }

  /** Records what is handed to the device from now on. @returns {Promise<Tap>} */
  tap() {
    return Tap.on(this.context, this.#loudness);
  }

  #passed({ epoch, sample, time }) {
    const { context } = this;
    const device = { now: performance.now() / 1000, currentTime: context.currentTime };
    if (!MAY_HANG) {
      device.outputLatency = context.outputLatency;
      device.stamp = context.getOutputTimestamp?.() ?? null;
    }
    this.onheard({ epoch, sample, at: heardAt(time, device) });
  }

  async close() {
    this.#node?.port.postMessage({ close: true });
    this.#node?.disconnect();
    this.context.onstatechange = null;
    await this.#loaded?.catch(() => {});
    if (this.context.state !== 'closed') await this.context.close();
  }
}
