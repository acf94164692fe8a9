/**
 * Opus, where the browser has it (WebCodecs): the caller's voice encoded, Viva's decoded. The wire
 * carries it as docs/protocol.md says; the rest of the page has samples.
 */

import { CAPTURE_RATE, VOICE_RATE } from './protocol.js';

const MICROPHONE = {
  codec: 'opus',
  sampleRate: CAPTURE_RATE,
  numberOfChannels: 1,
  bitrate: 16_000,
  opus: { application: 'voip', signal: 'voice', frameDuration: 40_000 },
};

const VOICE = { codec: 'opus', sampleRate: VOICE_RATE, numberOfChannels: 1 };

/** Samples in a packet of Viva's: 20 ms. */
const PACKET_SAMPLES = VOICE_RATE / 50;

/**
 * What this browser can do of what Viva can: `{microphone, voice}`, each `opus` or `pcm`.
 *
 * @param {string[]} codecs Viva's.
 */
export async function codecsOf(codecs) {
  if (!codecs?.includes('opus')) return { microphone: 'pcm', voice: 'pcm' };
  const [microphone, voice] = await Promise.all([
    supports(globalThis.AudioEncoder, MICROPHONE),
    supports(globalThis.AudioDecoder, VOICE),
  ]);
  return { microphone: microphone ? 'opus' : 'pcm', voice: voice ? 'opus' : 'pcm' };
}

async function supports(coder, config) {
  try {
    return (await coder.isConfigSupported(config)).supported === true;
  } catch {
    return false; // it has none, or none that is told of Opus
  }
}

/** Encodes the microphone's messages. */
export class MicrophoneEncoder {
  /** Called with each packet, an ArrayBuffer. */
  onpacket = () => {};

  #encoder = null;
  #samples = 0;

  /** @param {ArrayBuffer} message s16le at 16 kHz. */
  encode(message) {
    if (this.#encoder?.state !== 'configured') this.#begin();
    const data = new Int16Array(message);
    const timestamp = Math.round((this.#samples / CAPTURE_RATE) * 1e6);
    this.#samples += data.length;
    const audio = new AudioData({
      format: 's16',
      sampleRate: CAPTURE_RATE,
      numberOfFrames: data.length,
      numberOfChannels: 1,
      timestamp,
      data,
    });
    this.#encoder.encode(audio);
    audio.close();
  }

  close() {
    if (this.#encoder && this.#encoder.state !== 'closed') this.#encoder.close();
    this.#encoder = null;
  }

  /** One that failed is closed: another takes its place. */
  #begin() {
    this.#encoder = new AudioEncoder({
      output: (chunk) => {
        const packet = new ArrayBuffer(chunk.byteLength);
        chunk.copyTo(packet);
        this.onpacket(packet);
      },
      error: () => {},
    });
    this.#encoder.configure(MICROPHONE);
  }
}

/** Decodes Viva's messages; what cannot be decoded is silence. */
export class VoiceDecoder {
  #decoder = null;
  #packets = 0;
  #waiting = [];

  /**
   * @param {{packets: Uint8Array[], skipped: number, count: number}} voice
   * @returns {Promise<Int16Array>} Its samples, once those before have come.
   */
  decode({ packets, skipped, count }) {
    if (this.#decoder?.state !== 'configured') this.#begin();
    return new Promise((resolve) => {
      const decoded = new Int16Array(packets.length * PACKET_SAMPLES);
      this.#waiting.push({ decoded, filled: 0, resolve, skipped, count });
      for (const data of packets) {
        const timestamp = this.#packets * 20_000;
        this.#packets += 1;
        const chunk = new EncodedAudioChunk({ type: 'key', timestamp, duration: 20_000, data });
        this.#decoder.decode(chunk);
      }
    });
  }

  close() {
    if (this.#decoder && this.#decoder.state !== 'closed') this.#decoder.close();
    this.#decoder = null;
    this.#giveUp();
  }

  #begin() {
    this.#decoder = new AudioDecoder({
      output: (audio) => {
        this.#fill(audio);
        audio.close();
      },
      error: () => this.#giveUp(),
    });
    this.#decoder.configure(VOICE);
  }

  /** Decoders give 48 kHz of what has nothing above 12 kHz: every other sample is all of it. */
  #fill(audio) {
    const all = new Float32Array(audio.numberOfFrames);
    audio.copyTo(all, { planeIndex: 0, format: 'f32-planar' });
    const step = audio.sampleRate / VOICE_RATE;
    for (let at = 0; at < all.length; at += step) {
      const waiting = this.#waiting[0];
      if (!waiting) return;
      const sample = Math.round(all[Math.floor(at)] * 32768);
      waiting.decoded[waiting.filled] = Math.max(-32768, Math.min(32767, sample));
      waiting.filled += 1;
      if (waiting.filled === waiting.decoded.length) this.#resolve();
    }
  }

  #giveUp() {
    while (this.#waiting.length) this.#resolve();
  }

  #resolve() {
    const { decoded, skipped, count, resolve } = this.#waiting.shift();
    resolve(decoded.slice(skipped, skipped + count));
  }
}
