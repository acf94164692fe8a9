/** Elements of the page, made in one expression; nothing is ever parsed as HTML. */

const SVG = 'http://www.w3.org/2000/svg';

/**
 * An element of HTML.
 * @param {string} name A tag, with a class behind a dot if it has one: `p.fine`.
 * @param {Record<string, string | number | boolean>} attributes Those that are false are left out.
 * @param {...(Node | string | null | false)} children Those that are nothing are left out.
 */
export function make(name, attributes = {}, ...children) {
  const [tag, ...classes] = name.split('.');
  return fill(document.createElement(tag), classes, attributes, children);
}

/** An element of SVG, made as {@link make} makes those of HTML. */
export function draw(name, attributes = {}, ...children) {
  const [tag, ...classes] = name.split('.');
  return fill(document.createElementNS(SVG, tag), classes, attributes, children);
}

function fill(element, classes, attributes, children) {
  if (classes.length) element.classList.add(...classes);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== false) element.setAttribute(key, value === true ? '' : value);
  }
  element.append(...children.filter((child) => child !== null && child !== false && child !== ''));
  return element;
}

/** Writes a text, unless it stands there already: a screen reader hears only what changes. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
