/** A call's recording: played, with the turn that is heard made known as it goes by. */

import { stretchAt } from './course.js';
import { make, write } from './element.js';
import { clock } from './words.js';

/** How far the arrow keys go. */
const STEP_SECS = 5;

export class Player {
  #audio;
  #find;
  #course;
  #onturn;
  #at = '';

  /**
   * @param {HTMLElement} section
   * @param {import('./course.js').Stretch[]} course When each turn is heard.
   * @param {(turn: ?{number: number, part: 'question' | 'answer'}) => void} onturn Called when
   *   another turn, or the other part of it, is heard; with null outside of all turns.
   */
  constructor(section, course, onturn) {
    this.#find = (id) => section.querySelector(`#${id}`);
    this.#audio = this.#find('audio');
    this.#course = course;
    this.#onturn = onturn;
    this.#listen();
  }

  /** @param {string} address Of the sound. */
  load(address) {
    this.#audio.src = address;
  }

  /** Goes to a place, and plays from there. @param {number} secs */
  async playFrom(secs) {
    this.#audio.currentTime = secs;
    this.#show();
    await this.#play();
  }

  async #play() {
    try {
      await this.#audio.play();
    } catch (error) {
      // Another press was faster; or the sound cannot be played, which its own event tells.
      if (error.name === 'NotAllowedError') this.#trouble('Press Play to start.');
    }
  }

  #listen() {
    const audio = this.#audio;
    const place = this.#find('place');
    this.#find('play').addEventListener('click', () => (audio.paused ? this.#play() : audio.pause()));
    this.#find('rate').addEventListener('change', ({ target }) => {
      audio.playbackRate = Number(target.value);
    });
    place.addEventListener('input', () => this.#seek(Number(place.value)));
    place.addEventListener('keydown', (event) => {
      const step = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
      if (!step) return;
      event.preventDefault();
      this.#seek(audio.currentTime + step * STEP_SECS);
    });
    audio.addEventListener('loadedmetadata', () => {
      place.max = audio.duration;
      this.#ticks();
      this.#show();
    });
    audio.addEventListener('play', () => {
      this.#trouble('');
      write(this.#find('play'), 'Pause');
      this.#follow();
    });
    audio.addEventListener('pause', () => write(this.#find('play'), 'Play'));
    for (const moved of ['timeupdate', 'seeked', 'ended']) {
      audio.addEventListener(moved, () => this.#show());
    }
    audio.addEventListener('error', () => {
      this.#trouble('The recording cannot be played. It may have been deleted or damaged.');
    });
  }

  #seek(secs) {
    this.#audio.currentTime = Math.min(Math.max(0, secs), this.#audio.duration || 0);
    this.#show();
  }

  /** Shows the place again with every picture, as long as it plays. */
  #follow() {
    if (this.#audio.paused) return;
    this.#show();
    requestAnimationFrame(() => this.#follow());
  }

  #show() {
    const secs = this.#audio.currentTime;
    const place = this.#find('place');
    const whole = this.#audio.duration || 0;
    place.value = secs;
    const stretch = stretchAt(this.#course, secs);
    const turn = stretch ? `, turn ${stretch.number}` : '';
    place.setAttribute('aria-valuetext', `${clock(secs)} of ${clock(whole)}${turn}`);
    write(this.#find('time'), `${clock(secs)} / ${clock(whole)}`);
    const heard = stretch && { number: stretch.number, part: secs < stretch.answered ? 'question' : 'answer' };
    const at = heard ? `${heard.number} ${heard.part}` : '';
    if (at === this.#at) return;
    this.#at = at;
    for (const tick of this.#find('ticks').children) {
      tick.classList.toggle('at', tick.textContent === String(heard?.number));
    }
    this.#onturn(heard ?? null);
  }

  #ticks() {
    const whole = this.#audio.duration;
    const inside = this.#course.filter(({ start }) => start < whole);
    this.#find('ticks').replaceChildren(...inside.map(({ number, start, end }) => {
      const tick = make('i', {}, String(number));
      tick.style.left = `${(start / whole) * 100}%`;
      tick.style.width = `${((Math.min(end, whole) - start) / whole) * 100}%`;
      return tick;
    }));
  }

  #trouble(text) {
    write(this.#find('player-trouble'), text);
  }
}
