/** Which microphone and which speaker: two selects, kept up to date. */

import { Player } from './player.js';

export class Devices {
  /** Called with the id when a microphone is chosen. */
  onmicrophone = () => {};

  /** Called with the id when a speaker is chosen. */
  onspeaker = () => {};

  #microphone;
  #speaker;

  /** @param {HTMLSelectElement} microphone @param {HTMLSelectElement} speaker */
  constructor(microphone, speaker) {
    this.#microphone = microphone;
    this.#speaker = speaker;
    microphone.onchange = () => this.onmicrophone(microphone.value);
    speaker.onchange = () => this.onspeaker(speaker.value);
    speaker.closest('p').hidden = !Player.canChooseSink;
    navigator.mediaDevices?.addEventListener?.('devicechange', () => this.refresh());
  }

  get chosen() {
    return { microphoneId: this.#microphone.value, speakerId: this.#speaker.value };
  }

  /** Lists what there is; names are known only once the microphone is allowed. */
  async refresh(microphoneId = this.#microphone.value) {
    const devices = await navigator.mediaDevices.enumerateDevices();
    const named = devices.filter((device) => device.deviceId && device.label);
    fill(this.#microphone, named, 'audioinput', microphoneId);
    fill(this.#speaker, named, 'audiooutput', this.#speaker.value);
  }
}

function fill(select, devices, kind, chosen) {
  const own = devices.filter((device) => device.kind === kind && device.deviceId !== 'default');
  const options = own.map(({ deviceId, label }) => new Option(label, deviceId));
  select.replaceChildren(new Option('System default', ''), ...options);
  select.value = own.some((device) => device.deviceId === chosen) ? chosen : '';
}
