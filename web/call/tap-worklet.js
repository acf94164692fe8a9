/** Sends on what it hears, 20 ms at a time; makes no sound of its own. */

class TapProcessor extends AudioWorkletProcessor {
  #block = new Float32Array(Math.round(sampleRate / 50));
  #filled = 0;

  process([[channel]], [[output]]) {
    const length = channel?.length ?? output.length;
    for (let at = 0; at < length; at += 1) {
      this.#block[this.#filled] = channel ? channel[at] : 0;
      this.#filled += 1;
      if (this.#filled === this.#block.length) {
        this.port.postMessage(this.#block);
        this.#filled = 0;
      }
    }
    return true;
  }
}

registerProcessor('viva-tap', TapProcessor);
