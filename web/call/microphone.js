/** The caller's voice: permission, device, mute, and 32 ms messages of s16le at 16 kHz. */

import { Trouble } from './trouble.js';
import { addWorklet } from './worklets.js';

const FIRST_CHUNK_SECS = 5;

export class Microphone {
  /** Called with each message as an ArrayBuffer, and with its level from 0 to 1. */
  onmessage = () => {};

  /** Called when the device goes away in mid-call. */
  onlost = () => {};

  #stream = null;
  #source = null;
  #node = null;
  #muted = false;
  #loaded = null;
  #closed = false;

  /** Must be constructed while a press is handled. */
  constructor() {
    this.context = new AudioContext({ latencyHint: 'interactive' });
    this.context.resume();
  }

  /**
   * Asks for the microphone and resolves when it streams.
   *
   * @param {string} [deviceId] '' for the system's own choice.
   * @throws {Trouble}
   */
  async open(deviceId = '') {
    this.#loaded = addWorklet(this.context, 'capture-worklet.js');
    this.#loaded.catch(() => {}); // it may fail while the question is still open
    const stream = await ask(deviceId);
    try {
      await this.#loaded;
    } catch (error) {
      stop(stream);
      throw error;
    }
    if (this.#closed) {
      stop(stream);
      return;
    }
    this.#node = new AudioWorkletNode(this.context, 'viva-capture', {
      channelCount: 1,
      channelCountMode: 'explicit',
    });
    // Some browsers only run a node that leads to the loudspeaker; this one is silent.
    this.#node.connect(this.context.destination);
    const streaming = new Promise((resolve, reject) => {
      setTimeout(() => reject(new Trouble('silent-input')), FIRST_CHUNK_SECS * 1000);
      this.#node.port.onmessage = ({ data }) => {
        resolve();
        this.onmessage(data, level(data));
      };
    });
    this.#take(stream);
    await streaming;
  }

  get muted() {
    return this.#muted;
  }

  /** A muted microphone goes on sending, digital silence, so that Viva's clock goes on too. */
  set muted(muted) {
    this.#muted = muted;
    for (const track of this.#stream?.getAudioTracks() ?? []) track.enabled = !muted;
  }

  /** The chosen device's id, as the browser names it. */
  get deviceId() {
    return this.#stream?.getAudioTracks()[0]?.getSettings().deviceId ?? '';
  }

  /** Changes the device in mid-call. @throws {Trouble} */
  async change(deviceId) {
    const stream = await ask(deviceId);
    this.#source?.disconnect();
    stop(this.#stream);
    this.#take(stream);
  }

  resume() {
    return this.context.resume();
  }

  async close() {
    // At once: the browser may allow the microphone while the context is still closing.
    this.#closed = true;
    stop(this.#stream);
    this.#node?.port.postMessage('close');
    this.#node?.disconnect();
    await this.#loaded?.catch(() => {});
    if (this.context.state !== 'closed') await this.context.close();
  }

  #take(stream) {
    this.#stream = stream;
    this.muted = this.#muted;
    this.#source = this.context.createMediaStreamSource(stream);
    this.#source.connect(this.#node);
    const [track] = stream.getAudioTracks();
    track.onended = () => this.onlost();
  }
}

async function ask(deviceId) {
  const audio = {
    channelCount: 1,
    echoCancellation: true,
    noiseSuppression: true,
    autoGainControl: true,
  };
  if (deviceId) audio.deviceId = { exact: deviceId };
  try {
    return await navigator.mediaDevices.getUserMedia({ audio });
  } catch (error) {
    if (deviceId && ['OverconstrainedError', 'NotFoundError'].includes(error.name)) return ask('');
    throw await Trouble.ofMicrophone(error);
  }
}

function stop(stream) {
  for (const track of stream?.getTracks() ?? []) {
    track.onended = null;
    track.stop();
  }
}

function level(buffer) {
  const samples = new Int16Array(buffer);
  let energy = 0;
  for (const sample of samples) energy += sample * sample;
  return Math.sqrt(energy / samples.length) / 32768;
}
