/**
 * Small pictures of numbers, as SVG that its table cell or line stretches: bars in a row, and a
 * sparkline. They are decoration beside the numbers themselves, or are named by a label.
 */

const SVG = 'http://www.w3.org/2000/svg';
const WIDTH = 1000;
const HEIGHT = 100;

/** A sparkline of fewer values has bars of the same width, and is not as wide. */
const LEAST_SLOTS = 16;
const BAR = 0.62;

/** Between hairlines, a bar takes this part of the height. */
const INSET = 0.27;
const TICK = 4;
const GAP = 5;

/** A bar is never thinner than this part of the whole, or nobody sees it. */
const LEAST_SHARE = 0.006;

/** Ends of scales: a picture's scale is the next one above its largest value. */
const SCALES = [0.5, 1, 1.5, 2, 3, 5, 8, 12, 20, 30, 60];

/** The end of the scale on which so many seconds are drawn. @param {number} secs */
export function scaleOf(secs) {
  return SCALES.find((end) => secs <= end) ?? Math.ceil(secs);
}

/**
 * Bars on one line, from 0 to `whole`.
 *
 * @param {{from: number, to: number, kind: string}[]} spans `kind` becomes a class.
 * @param {number} whole
 * @param {number[]} [ticks] Where hairlines stand.
 */
export function bars(spans, whole, ticks = []) {
  const picture = drawing('bars');
  const at = (value) => WIDTH * Math.min(1, Math.max(0, value / whole));
  const y = ticks.length ? INSET * HEIGHT : 0;
  for (const tick of ticks) picture.append(rect('tick', at(tick) * (1 - TICK / WIDTH), 0, TICK, HEIGHT));
  for (const { from, to, kind } of spans) {
    const width = Math.max(LEAST_SHARE * WIDTH, at(to) - at(from));
    picture.append(rect(kind, Math.min(at(from), WIDTH - width), y, width, HEIGHT - 2 * y));
  }
  return picture;
}

/** Amounts one after another from 0, as bars. @param {{amount: number, kind: string}[]} parts */
export function stacked(parts, whole) {
  let from = 0;
  const spans = [];
  for (const { amount, kind } of parts) {
    if (amount > 0) spans.push({ from, to: from + amount, kind });
    from += amount;
  }
  return bars(spans, whole);
}

/**
 * Values one after another, the last one marked; null leaves a gap.
 *
 * @param {(number | null)[]} values
 * @param {number} top The value as high as the picture.
 * @param {string} label What they are, in words.
 */
export function sparkline(values, top, label) {
  const picture = drawing('sparkline');
  picture.setAttribute('role', 'img');
  picture.setAttribute('aria-label', label);
  picture.removeAttribute('aria-hidden');
  const slot = WIDTH / Math.max(LEAST_SLOTS, values.length);
  picture.append(rect('base', 0, HEIGHT - 1.5, WIDTH, 1.5));
  values.forEach((value, index) => {
    if (value === null) return;
    const high = Math.max(GAP, (HEIGHT - GAP) * Math.min(1, value / top));
    const kind = index === values.length - 1 ? 'latest' : 'value';
    picture.append(rect(kind, index * slot, HEIGHT - high, slot * BAR, high));
  });
  return picture;
}

function drawing(name) {
  const picture = document.createElementNS(SVG, 'svg');
  picture.setAttribute('class', name);
  picture.setAttribute('viewBox', `0 0 ${WIDTH} ${HEIGHT}`);
  picture.setAttribute('preserveAspectRatio', 'none');
  picture.setAttribute('aria-hidden', 'true');
  return picture;
}

function rect(kind, x, y, width, height) {
  const shape = document.createElementNS(SVG, 'rect');
  shape.setAttribute('class', kind);
  const box = { x, y, width, height };
  for (const [name, value] of Object.entries(box)) shape.setAttribute(name, value.toFixed(1));
  return shape;
}
