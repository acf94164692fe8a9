/** Amounts of money in words: whole micro-dollars in, dollars with as many digits as say something. */

const MICROS = 1_000_000;

/**
 * `$0`, `$0.0026`, `$0.013`, `$0.25`, `$5.00`, `$1,234.50`: two significant digits below a cent, a
 * tenth of a cent below a dollar, whole cents above.
 *
 * @param {number} micros Micro-dollars, 0 or more.
 */
export function dollars(micros) {
  if (!micros) return '$0';
  const digits = (micros / MICROS).toFixed(decimals(micros));
  return `$${grouped(digits.replace(/(\.\d\d\d*?)0+$/, '$1'))}`;
}

/**
 * One amount of several that stand above one another: as many decimals as the largest needs.
 *
 * @param {number} micros @param {number} largest
 */
export function inColumn(micros, largest) {
  if (!micros) return '$0';
  const places = decimals(largest);
  const least = 10 ** -places;
  if (micros / MICROS < least / 2) return `<$${least.toFixed(places)}`;
  return `$${grouped((micros / MICROS).toFixed(places))}`;
}

/** What has been spent, against a cap. @param {number} micros @param {number | null} cap */
export function against(micros, cap) {
  if (cap === null) return dollars(micros);
  const percent = cap ? Math.floor((100 * micros) / cap) : 0;
  return `${dollars(micros)} of ${dollars(cap)}${percent ? `, ${percent} %` : ''}`;
}

function decimals(micros) {
  if (micros >= MICROS) return 2;
  if (micros >= MICROS / 100) return 3;
  return Math.min(6, 1 - Math.floor(Math.log10(Math.max(1, micros) / MICROS)));
}

function grouped(digits) {
  const [whole, cents] = digits.split('.');
  return `${whole.replace(/\B(?=(\d{3})+$)/g, ',')}.${cents}`;
}
