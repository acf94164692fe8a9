/** What can keep a call from starting, in words that tell the caller what to do about it. */

import { asVisitor, isVisitor } from './visitor.js';

const WORDS = {
  insecure: [
    'This page was not opened securely',
    'Browsers give a microphone only to pages opened over https, or on localhost. Open this page ' +
      'by such an address and call again.',
  ],
  'no-worklet': [
    'This browser cannot carry a call',
    'It has no audio worklets. Any Chrome, Edge, Firefox or Safari from 2021 on has them.',
  ],
  'no-socket': [
    'This browser cannot carry a call',
    'It has no WebSockets. Any Chrome, Edge, Firefox or Safari from 2021 on has them.',
  ],
  refused: ['The microphone was refused', ''],
  dismissed: [
    'The microphone prompt was not answered',
    'Press call again, and choose “Allow”.',
  ],
  'no-device': [
    'No microphone was found',
    'Connect one, or switch it on in the system’s sound settings, and call again.',
  ],
  busy: [
    'The microphone is in use',
    'Another program or tab is using it. Close it and call again.',
  ],
  'silent-input': [
    'No sound from the microphone',
    'It opened, but sent nothing for five seconds. Choose another one, or connect it again.',
  ],
  'silent-output': [
    'The loudspeaker did not start',
    'The browser is blocking sound. Press call again; if that fails, reload the page.',
  ],
  elsewhere: [
    'This browser is in a call already',
    'Another of its tabs or windows holds it. Hang up there, and call again.',
  ],
  unreachable: [
    'Viva could not be reached',
    'It may be starting, or the network may be down. Call again in a moment.',
  ],
  'signed-out': [
    'You are signed out',
    'Your browser’s sign-in has ended. Sign in again, and then call.',
  ],
  expired: [
    'This page has been open for too long, or the network has changed',
    'Load it anew, and then call.',
  ],
  unknown: ['The microphone could not be opened', ''],
};

/** Where to go about it. */
const LINKS = {
  'signed-out': { href: 'sign-in', text: 'Sign in' },
  expired: { href: 'embed', text: 'Load it anew' },
};

export class Trouble extends Error {
  /**
   * @param {string} kind A key of the words above.
   * @param {string} [advice] In place of the words for that kind.
   */
  constructor(kind, advice = '') {
    super(WORDS[kind][0]);
    this.kind = kind;
    this.advice = advice || WORDS[kind][1];
    this.link = LINKS[kind] ?? null;
  }

  /** What is missing in this browser, or null. `types`: for a call without a microphone. */
  static ofBrowser(scope = globalThis, { types = false } = {}) {
    if (!scope.isSecureContext) return new Trouble('insecure');
    if (!types && !scope.navigator.mediaDevices?.getUserMedia) return new Trouble('insecure');
    if (!scope.AudioContext || !scope.AudioWorkletNode) return new Trouble('no-worklet');
    if (!scope.WebSocket) return new Trouble('no-socket');
    return null;
  }

  /** Why there was no socket: a browser does not say, but the page's own address does. */
  static async ofSocket() {
    const answer = await fetch(asVisitor('about.json')).catch(() => null);
    return answer?.status === 401 ? Trouble.ofStranger() : new Trouble('unreachable');
  }

  /** Viva does not know who calls: a sign-in has ended, or a visitor's pass. */
  static ofStranger(message = '') {
    return isVisitor ? new Trouble('expired') : new Trouble('signed-out', message);
  }

  /** What an end before the beginning asks of the caller, or null. @param {object} end */
  static ofEnd({ reason, message }) {
    if (reason === 'sign_in') return Trouble.ofStranger(message);
    // Viva has waited long enough for the answer about the microphone.
    if (reason === 'stalled') return new Trouble('dismissed');
    return null;
  }

  /** What a failed `getUserMedia` means. @param {DOMException} error */
  static async ofMicrophone(error) {
    switch (error.name) {
      case 'NotAllowedError':
        return (await stillAsks())
          ? new Trouble('dismissed')
          : new Trouble('refused', howToAllow(navigator.userAgent));
      case 'SecurityError':
        return new Trouble('refused', howToAllow(navigator.userAgent));
      case 'NotFoundError':
      case 'OverconstrainedError':
        return new Trouble('no-device');
      case 'NotReadableError':
      case 'AbortError':
        return new Trouble('busy');
      default:
        return new Trouble('unknown', `The browser says: ${error.message || error.name}.`);
    }
  }
}

async function stillAsks() {
  try {
    return (await navigator.permissions.query({ name: 'microphone' })).state === 'prompt';
  } catch {
    return false;
  }
}

/** @param {string} agent The browser's user agent. */
export function howToAllow(agent) {
  if (/iPhone|iPad/.test(agent)) {
    return 'Tap the page menu beside the address, then Website Settings, and set Microphone to Allow. Then call again.';
  }
  if (/Firefox/.test(agent)) {
    return 'Click the crossed-out microphone beside the address, remove the block, and call again.';
  }
  if (/Android/.test(agent)) {
    return 'Tap the symbol left of the address, then Permissions, and allow the microphone. Then call again.';
  }
  if (/Chrome|Edg/.test(agent)) {
    return 'Click the symbol left of the address, switch the microphone on, and call again.';
  }
  return 'In Safari’s menu choose Settings for This Website, set Microphone to Allow, and call again.';
}
