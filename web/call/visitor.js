/** The pass of a visitor who calls from a page of another site; see accounts/visitors.py. */

const PASS = globalThis.document?.querySelector('meta[name="viva-visitor"]')?.content ?? '';

/** Whether this is the page of such a visitor. */
export const isVisitor = PASS !== '';

/** An address of Viva's, with the pass if there is one. @param {string} path */
export function asVisitor(path) {
  return PASS ? `${path}?visitor=${encodeURIComponent(PASS)}` : path;
}
