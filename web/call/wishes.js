/** What a caller wishes of the page, remembered by the browser where it remembers anything. */

/** @param {string} name @param {string} usual */
export function remembered(name, usual) {
  try {
    return localStorage.getItem(name) ?? usual;
  } catch {
    return usual; // a browser that keeps nothing for this page
  }
}

export function remember(name, wish) {
  try {
    localStorage.setItem(name, wish);
  } catch {
    // asked again in the next call
  }
}

/**
 * A control whose value is a wish.
 *
 * @param {HTMLSelectElement | HTMLInputElement} control
 * @param {(value: string) => void} apply Called with it now, and whenever it changes.
 */
export function wish(control, apply) {
  const usual = control.value;
  control.value = remembered(control.id, usual);
  if (!control.value) control.value = usual;
  apply(control.value);
  control.addEventListener('input', () => {
    remember(control.id, control.value);
    apply(control.value);
  });
}
