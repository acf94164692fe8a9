/**
 * Sample rate conversion between any two rates: a windowed sinc (Kaiser), one row of taps a
 * phase. 32 zero crossings a side at the lower rate put everything that could alias by more than
 * the last few per cent of the band some 80 dB down, for 2 ms of delay at 16 kHz.
 */

const ZERO_CROSSINGS = 32;
const ROLLOFF = 0.92;
const KAISER_BETA = 8.5;
const MOST_PHASES = 640;

export class Kernel {
  /**
   * @param {number} from Rate of the source in Hz.
   * @param {number} to Rate of the output in Hz.
   */
  constructor(from, to) {
    if (!(from > 0 && to > 0)) throw new RangeError(`rates are ${from} and ${to}; both must be > 0`);
    const divisor = gcd(Math.round(from), Math.round(to));
    this.up = Math.round(to) / divisor;
    this.down = Math.round(from) / divisor;
    this.identity = this.up === this.down;
    const cutoff = ROLLOFF * Math.min(1, to / from);
    this.half = this.identity ? 0 : Math.ceil(ZERO_CROSSINGS * Math.max(1, from / to));
    this.phases = Math.min(this.up, MOST_PHASES);
    this.rows = [];
    for (let phase = 0; !this.identity && phase < this.phases; phase += 1) {
      this.rows.push(taps(this.half, phase / this.phases, cutoff));
    }
  }

  /** The taps for the output that lies `phase / up` of a source sample behind one. */
  row(phase) {
    return this.rows[Math.floor((phase * this.phases) / this.up)];
  }
}

/** Converts a stream, a block at a time; what a block leaves over waits for the next one. */
export class Resampler {
  #kernel;
  #held;
  #index;
  #phase = 0;

  /** @param {number} from @param {number} to Rates in Hz. */
  constructor(from, to) {
    this.#kernel = new Kernel(from, to);
    this.#held = new Float32Array(this.#kernel.half);
    this.#index = this.#kernel.half;
  }

  /**
   * @param {Float32Array} block Source samples; any length.
   * @returns {Float32Array} All output samples that these complete.
   */
  push(block) {
    const { identity, half, up, down } = this.#kernel;
    if (identity) return block.slice();
    const source = new Float32Array(this.#held.length + block.length);
    source.set(this.#held);
    source.set(block, this.#held.length);
    const output = new Float32Array(Math.ceil((source.length * up) / down) + 1);
    let count = 0;
    while (this.#index + half < source.length) {
      const row = this.#kernel.row(this.#phase);
      const first = this.#index - half + 1;
      let sum = 0;
      for (let tap = 0; tap < row.length; tap += 1) sum += row[tap] * source[first + tap];
      output[count] = sum;
      count += 1;
      this.#phase += down;
      this.#index += Math.floor(this.#phase / up);
      this.#phase %= up;
    }
    const keepFrom = Math.min(Math.max(0, this.#index - half + 1), source.length);
    this.#held = source.slice(keepFrom);
    this.#index -= keepFrom;
    return output.subarray(0, count);
  }
}

function taps(half, offset, cutoff) {
  const row = new Float32Array(2 * half);
  let sum = 0;
  for (let tap = 0; tap < row.length; tap += 1) {
    const distance = tap - half + 1 - offset;
    const place = distance / half;
    const window = Math.abs(place) >= 1 ? 0 : bessel(KAISER_BETA * Math.sqrt(1 - place * place));
    row[tap] = sinc(cutoff * distance) * window;
    sum += row[tap];
  }
  return row.map((value) => value / sum);
}

function sinc(x) {
  return Math.abs(x) < 1e-9 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

/** The modified Bessel function of the first kind, order 0, by its series. */
function bessel(x) {
  let term = 1;
  let sum = 1;
  for (let k = 1; term > sum * 1e-12; k += 1) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

function gcd(a, b) {
  return b ? gcd(b, a % b) : a;
}
