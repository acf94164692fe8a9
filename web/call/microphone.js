/** The caller's voice: permission, device, mute, and 32 ms messages of s16le at 16 kHz. */

import { InputWatch } from './input-watch.js';
import { CAPTURE_RATE, CAPTURE_SAMPLES } from './protocol.js';
import { Trouble } from './trouble.js';
import { addWorklet } from './worklets.js';

const FIRST_CHUNK_SECS = 5;

export class Microphone {
  /** Called with each message as an ArrayBuffer, and with its level from 0 to 1. */
  onmessage = () => {};

  /** Called when it is no longer heard, with the cause as InputWatch has it, and with '' when it is. */
  oncause = () => {};

  #watch = new InputWatch();
  #cause = '';
  #stream = null;
  #source = null;
  #node = null;
  #muted = false;
  #loaded = null;
  #closed = false;

  /** @param {AudioContext} context The call's. */
  constructor(context) {
    this.context = context;
  }

  /**
   * Asks for the microphone and resolves when it streams.
   *
   * @param {string | null} [deviceId] '' for the system's own choice; null for silence, in a call
   *   without a microphone.
   * @throws {Trouble}
   */
  async open(deviceId = '') {
    this.#loaded = addWorklet(this.context, 'capture-worklet.js');
    this.#loaded.catch(() => {}); // it may fail while the question is still open
    const stream = deviceId === null ? null : await ask(deviceId);
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
        const heard = level(data);
        if (this.#stream && !this.#muted) this.#watch.hear(heard, CAPTURE_SAMPLES / CAPTURE_RATE);
        else this.#watch.pause();
        this.#tell();
        this.onmessage(data, heard);
      };
    });
    if (stream) this.#take(stream);
    else this.#silence();
    await streaming;
  }

  /** Whether there is one. */
  get present() {
    return this.#stream !== null;
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
    if (this.#closed) {
      stop(stream);
      return;
    }
    this.#source?.disconnect();
    stop(this.#stream);
    this.#take(stream);
  }

  close() {
    // It may not have been allowed yet.
    this.#closed = true;
    stop(this.#stream);
    this.#node?.port.postMessage('close');
    this.#node?.disconnect();
  }

  /** Digital silence, as of a microphone that is muted. */
  #silence() {
    this.#source = new ConstantSourceNode(this.context, { offset: 0 });
    this.#source.connect(this.#node);
    this.#source.start();
  }

  #take(stream) {
    this.#stream = stream;
    this.muted = this.#muted;
    this.#source = this.context.createMediaStreamSource(stream);
    this.#source.connect(this.#node);
    const [track] = stream.getAudioTracks();
    this.#watch.begin(track.muted);
    track.onmute = track.onunmute = () => {
      this.#watch.systemMuted = track.muted;
      this.#tell();
    };
    track.onended = () => this.#lose(stream);
    this.#tell();
  }

  /** The device, or the browser's permission, has gone in mid-call: silence takes its place. */
  async #lose(stream) {
    const why = (await withdrawn()) ? 'withdrawn' : 'unplugged';
    if (stream !== this.#stream) return;
    this.#source.disconnect();
    this.#stream = null;
    this.#silence();
    this.#watch.end(why);
    this.#tell();
  }

  #tell() {
    const { cause } = this.#watch;
    if (cause === this.#cause || this.#closed) return;
    this.#cause = cause;
    this.oncause(cause);
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

async function withdrawn() {
  try {
    return (await navigator.permissions.query({ name: 'microphone' })).state !== 'granted';
  } catch {
    return false; // a browser that does not tell
  }
}

function stop(stream) {
  for (const track of stream?.getTracks() ?? []) {
    track.onended = track.onmute = track.onunmute = null;
    track.stop();
  }
}

function level(buffer) {
  const samples = new Int16Array(buffer);
  let energy = 0;
  for (const sample of samples) energy += sample * sample;
  return Math.sqrt(energy / samples.length) / 32768;
}
