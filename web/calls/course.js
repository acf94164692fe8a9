/** When each turn of a call was spoken, in seconds of its recording. No DOM. */

/** How fast people ask, when nobody has measured it. */
const CHARACTERS_PER_SEC = 14;
const BREATH_SECS = 0.4;

/**
 * @typedef {object} Stretch
 * @property {number} number The turn's.
 * @property {number} start Where its question begins, as far as can be told.
 * @property {number} asked Where the caller's speech has ended: it is what the ledger knows.
 * @property {number} answered Where the answer begins to be heard.
 * @property {number} end Where the next turn begins, or the call ends.
 */

/**
 * The stretches of a call's turns, in order, side by side.
 *
 * The ledger keeps when a caller's speech ended, not when it began; that is reckoned from the
 * length of what was said, and never lies before the answer before was begun.
 *
 * @param {{started_at: number, ended_at: ?number}} call
 * @param {object[]} turns As `GET /calls/ID.json` tells them.
 * @returns {Stretch[]}
 */
export function courseOf(call, turns) {
  let before = 0;
  const stretches = turns.filter(({ number }) => number > 0).map((turn) => {
    const asked = Math.max(before, turn.at - call.started_at);
    const lasted = turn.question.length / CHARACTERS_PER_SEC + BREATH_SECS;
    const start = Math.max(before, asked - lasted);
    const answered = asked + (turn.e2e_latency ?? 0);
    before = answered;
    return { number: turn.number, start, asked, answered, end: Infinity };
  });
  const end = call.ended_at === null ? Infinity : call.ended_at - call.started_at;
  stretches.forEach((stretch, at) => {
    stretch.end = stretches[at + 1]?.start ?? Math.max(stretch.asked, end);
  });
  return stretches;
}

/** The stretch in which a moment lies, if any. @param {number} secs */
export function stretchAt(course, secs) {
  return course.find(({ start, end }) => start <= secs && secs < end);
}
