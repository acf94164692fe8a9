/** Audio worklets are fetched when a call is pressed, so they are the first to miss a server. */

import { Trouble } from './trouble.js';

/**
 * @param {AudioContext} context
 * @param {string} file Beside this one.
 * @throws {Trouble}
 */
export async function addWorklet(context, file) {
  try {
    await context.audioWorklet.addModule(new URL(file, import.meta.url));
  } catch (error) {
    if (context.state === 'closed') throw error;
    throw new Trouble('unreachable');
  }
}
