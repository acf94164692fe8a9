/**
 * The page that a link opens. The link's token is behind the `#` of its address, which browsers
 * keep to themselves: no server, proxy or log sees it until the button is pressed.
 */

const form = document.getElementById('enter');
const button = form.querySelector('button');

function show() {
  const token = location.hash.slice(1);
  const whole = /^[0-9a-f]{64}$/.test(token);
  form.elements.token.value = token;
  form.hidden = !whole;
  document.getElementById('cut').hidden = whole;
}

// The link works once: a second press would find it used, and the first one's answer be lost.
form.addEventListener('submit', () => { button.disabled = true; });
addEventListener('pageshow', () => { button.disabled = false; });
addEventListener('hashchange', show);
show();
