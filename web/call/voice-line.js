/**
 * The state of a call in motion: one ruled line that moves with whoever is speaking — the caller
 * in ink from the left, the voice in its accent from the right. Still, but for its weight, for
 * those who ask for less motion.
 */

const ATTACK = 0.45;
const RELEASE = 0.12;

/** Where along the line each side speaks, and how far around it; parts of its width. */
const CALLER_AT = 0.3;
const VOICE_AT = 0.7;
const WAVE_WIDTH = 0.14;
const STEP = 2;
const STOPS = 12;

export class VoiceLine {
  /** Levels from 0 to 1, set as they are measured. */
  callerLevel = 0;
  voiceLevel = 0;

  #canvas;
  #shown = { caller: 0, voice: 0, thinking: 0 };
  #state = 'landing';
  #frame = 0;
  #calm = matchMedia('(prefers-reduced-motion: reduce)');

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.#canvas = canvas;
  }

  set state(state) {
    this.#state = state;
    const moves = !['landing', 'ended'].includes(state);
    if (moves && !this.#frame) this.#frame = requestAnimationFrame((millis) => this.#draw(millis));
    if (!moves) {
      this.callerLevel = 0;
      this.voiceLevel = 0;
    }
  }

  #draw(millis) {
    const over = ['landing', 'ended'].includes(this.#state);
    this.#frame = over ? 0 : requestAnimationFrame((next) => this.#draw(next));
    this.#ease('caller', loudness(this.callerLevel));
    this.#ease('voice', loudness(this.voiceLevel));
    this.#ease('thinking', ['thinking', 'connecting', 'loading'].includes(this.#state) ? 1 : 0);
    const { context, width, height, ink, accent, rule } = this.#prepare();
    const { caller, voice, thinking } = this.#shown;
    const middle = height / 2;
    context.clearRect(0, 0, width, height);
    bar(context, middle, 0, width, rule, 1);
    if (this.#calm.matches) {
      bar(context, middle, 0, width * 0.5 * caller, ink);
      bar(context, middle, width, -width * 0.5 * Math.max(voice, thinking * 0.12), accent);
      return;
    }
    const secs = millis / 1000;
    context.lineWidth = 1.75;
    for (const [level, at, colour] of [[caller, CALLER_AT, ink], [voice, VOICE_AT, accent]]) {
      if (level < 0.01) continue;
      const height = (x) => middle + level * middle * 0.95 * wave(x / width, secs, at);
      stroke(context, width, height, colour, at, WAVE_WIDTH);
    }
    if (thinking > 0.01) {
      const place = ((secs * 0.45) % 1.3) - 0.15;
      const height = (x) => middle - thinking * 7 * bump(x / width - place, 0.045);
      stroke(context, width, height, accent, place, 0.045);
    }
  }

  #ease(which, target) {
    const shown = this.#shown[which];
    this.#shown[which] += (target - shown) * (target > shown ? ATTACK : RELEASE);
  }

  #prepare() {
    const scale = devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    const [wide, high] = [Math.round(width * scale), Math.round(height * scale)];
    if (this.#canvas.width !== wide || this.#canvas.height !== high) {
      this.#canvas.width = wide;
      this.#canvas.height = high;
    }
    const context = this.#canvas.getContext('2d');
    context.setTransform(scale, 0, 0, scale, 0, 0);
    const style = getComputedStyle(this.#canvas);
    // Written as #rrggbb in style.css; stroke adds an alpha.
    const [ink, accent, rule] = ['--ink', '--accent', '--rule']
      .map((name) => style.getPropertyValue(name).trim());
    return { context, width, height, ink, accent, rule };
  }
}

/** Speech lies between -50 and -14 dB; that is what the line shows. */
function loudness(level) {
  return Math.max(0, Math.min(1, (20 * Math.log10(level + 1e-6) + 50) / 36));
}

function wave(place, secs, centre) {
  const turn = 2 * Math.PI;
  const swing = Math.sin(turn * (place * 5.2 - secs * 1.9)) * 0.65
    + Math.sin(turn * (place * 8.7 + secs * 1.3)) * 0.35;
  return swing * bump(place - centre, WAVE_WIDTH);
}

function bump(distance, width) {
  return Math.exp(-((distance / width) ** 2));
}

/** A piece of the line around a centre, fading into the rule; both are parts of its width. */
function stroke(context, width, heightAt, colour, centre, reach) {
  const from = Math.max(0, width * (centre - 2.2 * reach));
  const to = Math.min(width, width * (centre + 2.2 * reach));
  if (to <= from) return;
  const fade = context.createLinearGradient(from, 0, to, 0);
  for (let stop = 0; stop <= STOPS; stop += 1) {
    const x = from + ((to - from) * stop) / STOPS;
    const alpha = Math.min(1, 4 * bump(x / width - centre, reach));
    const hex = Math.round(255 * alpha).toString(16).padStart(2, '0');
    fade.addColorStop(stop / STOPS, `${colour}${hex}`);
  }
  context.strokeStyle = fade;
  context.beginPath();
  context.moveTo(from, heightAt(from));
  for (let x = from + STEP; x < to; x += STEP) context.lineTo(x, heightAt(x));
  context.stroke();
}

function bar(context, middle, from, length, colour, weight = 3) {
  context.fillStyle = colour;
  context.fillRect(from, middle - weight / 2, length, weight);
}
