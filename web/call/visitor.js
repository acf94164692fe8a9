/** The pass of a visitor who calls from a page of another site; see accounts/visitors.py. */

const PASS = globalThis.document?.querySelector('meta[name="viva-visitor"]')?.content ?? '';

/** An address of Viva's, with the pass if there is one. @param {string} path */
export function asVisitor(path) {
  return PASS ? `${path}?visitor=${encodeURIComponent(PASS)}` : path;
}
