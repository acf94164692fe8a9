/** What a turn came to: which checks failed, and whether a person is to answer it. */

/**
 * A question that is about something sensitive is refused: the rule held, and nothing failed.
 *
 * @param {{name: string, passed: boolean, detail: string}} check
 */
export function isRefusal({ name, passed, detail }) {
  return !passed && name === 'sensitive' && detail.startsWith('the question ');
}

/** @param {{checks: {name: string, passed: boolean, detail: string}[]}} turn */
export function failedOf({ checks }) {
  return checks.filter((check) => !check.passed && !isRefusal(check));
}

/** Not what nobody has understood. @param {{decision: string | null, reason: string}} turn */
export function isLeft({ decision, reason }) {
  return decision === 'escalate' && reason !== 'unclear';
}
