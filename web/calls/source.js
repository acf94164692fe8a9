/** What the server knows of calls, and what it says when it will not tell. */

/** The server refused, or was not there. */
export class SourceError extends Error {
  /** @param {string} message In a sentence. @param {number} status 0 when nobody answered. */
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/**
 * What stands at an address.
 * @param {string} address
 * @param {AbortSignal} [signal]
 * @throws {SourceError} In words that can be shown.
 */
export async function fetchJson(address, signal) {
  let response;
  let text;
  try {
    response = await fetch(address, { signal, headers: { Accept: 'application/json' } });
    text = await response.text();
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new SourceError('Viva cannot be reached. Check your network connection, and that the server is running.', 0);
  }
  const found = parsed(text);
  if (response.ok && found) return found;
  throw new SourceError(found?.error ?? `The server answered ${response.status}.`, response.status);
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** What to do about a refusal: a label and where it leads, or null where only trying again helps. */
export function wayOut(error) {
  const to = (path) => new URL(`../../${path}`, import.meta.url).pathname;
  if (error.status === 401) return ['Sign in', to('sign-in')];
  if (error.status === 403) return ['To the document', to('')];
  return null;
}
