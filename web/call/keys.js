/** The keyboard during a call: Space or M mutes, Escape hangs up. */

/**
 * What a key press asks for: 'mute', 'hangup' or null. A key that the focused control has its own
 * use for is the control's.
 *
 * @param {KeyboardEvent} event
 */
export function wishOf(event) {
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) {
    return null;
  }
  const on = event.target instanceof Element ? event.target : document.body;
  const typing = on.closest('input:not([type=checkbox]), textarea, select, [contenteditable]');
  if (event.key === 'Escape') return typing ? null : 'hangup';
  if (event.key === 'm' || event.key === 'M') return typing ? null : 'mute';
  if (event.key === ' ') return on.closest('button, a, input, summary, select, textarea') ? null : 'mute';
  return null;
}
