// Notes which button is pressed before main.js has come, so that no press is lost.
addEventListener('click', (event) => {
  const button = event.target instanceof Element && event.target.closest('#press, #press-to-type');
  if (button && !globalThis.viva) globalThis.pressedEarly = button.id;
}, { capture: true });
