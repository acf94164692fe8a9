// Plays one clip at a time, with a playhead on the call's time line.
const players = [...document.querySelectorAll('audio')];

function line(row) {
  const drawing = row.querySelector('svg');
  let head = drawing.querySelector('.playhead');
  if (!head) {
    head = document.createElementNS('http://www.w3.org/2000/svg', 'path');
    head.classList.add('playhead');
    drawing.append(head);
  }
  return head;
}

function show(player) {
  const at = Number(player.dataset.start) + player.currentTime;
  const near = player.closest('.call, .side');
  for (const row of near?.querySelectorAll('.timeline-row') ?? []) {
    const [start, end] = [Number(row.dataset.start), Number(row.dataset.end)];
    const { width, height } = row.querySelector('svg').viewBox.baseVal;
    const here = start <= at && at < end && !player.paused;
    line(row).setAttribute('d', here ? `M${((at - start) / (end - start)) * width} 0V${height}` : '');
  }
}

for (const player of players) {
  player.addEventListener('play', () => {
    for (const other of players) if (other !== player) other.pause();
    const follow = () => {
      show(player);
      if (!player.paused) requestAnimationFrame(follow);
    };
    follow();
  });
  player.addEventListener('pause', () => show(player));
}

// A figure that is linked to opens what is behind it.
function open() {
  const aimed = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const details = aimed?.matches('.figure, .row') ? aimed.querySelector('details') : null;
  if (details) details.open = true;
}
addEventListener('hashchange', open);
open();

// On paper nothing unfolds, and a time line wants its key.
addEventListener('beforeprint', () => {
  for (const fold of document.querySelectorAll('.legend')) fold.open = true;
});
