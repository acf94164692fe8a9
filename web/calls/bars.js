/** Small bars, one a day or a turn, for those who see; the numbers stand beside them in words. */

import { draw, make } from './element.js';

const HEIGHT = 40;
/** Part of its column that a bar fills. */
const FILLED = 0.72;
/** Few columns do not become walls. */
const WIDEST_REM = 1.6;

/**
 * @typedef {object} Column
 * @property {string} key What it stands for; `data-key` of what is pointed at.
 * @property {[string, number][]} layers From the bottom to the top: a class, and a height.
 */

/**
 * A bar for each column, on a line that says what the first and the last stand for.
 * @param {Column[]} columns
 * @param {string} first
 * @param {string} last
 */
export function bars(columns, first, last) {
  const highest = Math.max(...columns.map(({ layers }) => sum(layers)));
  const picture = draw('svg.bars', {
    viewBox: `0 0 ${columns.length} ${HEIGHT}`,
    preserveAspectRatio: 'none',
  }, ...columns.flatMap(({ key, layers }, at) => [
    ...stack(layers, at, highest),
    draw('rect.point', { 'data-key': key, x: at, y: 0, width: 1, height: HEIGHT }),
  ]));
  const chart = make('div.chart', { 'aria-hidden': 'true' }, picture,
    make('p.axis', {}, make('span', {}, first), make('span', {}, last)));
  chart.style.maxWidth = `${columns.length * WIDEST_REM}rem`;
  return chart;
}

/** Parts of a whole, side by side. @param {[string, number][]} parts A class, and a size. */
export function share(parts) {
  const whole = sum(parts) || 1;
  let x = 0;
  return draw('svg.share', { viewBox: '0 0 100 1', preserveAspectRatio: 'none', 'aria-hidden': 'true' },
    ...parts.filter(([, size]) => size).map(([name, size]) => {
      const width = (size / whole) * 100;
      x += width;
      return draw(`rect.${name}`, { x: x - width, y: 0, width, height: 1 });
    }));
}

function stack(layers, at, highest) {
  let base = HEIGHT;
  return layers.filter(([, height]) => height).map(([name, height]) => {
    // What is there at all can be seen.
    const tall = Math.max(1, (height / highest) * (HEIGHT - 1));
    base -= tall;
    return draw(`rect.${name}`, { x: at + (1 - FILLED) / 2, y: base, width: FILLED, height: tall });
  });
}

function sum(layers) {
  return layers.reduce((total, [, size]) => total + size, 0);
}
