/**
 * A page of another site that calls Viva with pipecat's official client, as its documentation has
 * it. The media manager is the transport's own that needs no script from a vendor's host.
 */

import { PipecatClient } from '@pipecat-ai/client-js';
import { WavMediaManager, WebSocketTransport } from '@pipecat-ai/websocket-transport';

const events = [];
const audio = [];
window.rtvi = { events, audio, messages: [] };

/** Notes the voice on its way to the loudspeaker. */
class TappedMedia extends WavMediaManager {
  bufferBotAudio(samples, id) {
    audio.push(samples.slice());
    document.getElementById('audio').textContent = String(
      audio.reduce((bytes, one) => bytes + one.byteLength, 0),
    );
    return super.bufferBotAudio(samples, id);
  }
}

const note = (event) => events.push({ event, samples: audio.reduce((n, one) => n + one.length, 0) });

const add = (list, text) => {
  const line = document.createElement('li');
  line.textContent = text;
  document.getElementById(list).append(line);
};

const client = new PipecatClient({
  transport: new WebSocketTransport({ mediaManager: new TappedMedia(512, 16_000) }),
  enableMic: true,
  callbacks: {
    onTransportStateChanged: (state) => {
      document.getElementById('state').textContent = state;
    },
    onBotReady: () => note('ready'),
    onUserStartedSpeaking: () => note('user-started'),
    onUserStoppedSpeaking: () => note('user-stopped'),
    onBotLlmStarted: () => note('llm-started'),
    onBotLlmStopped: () => note('llm-stopped'),
    onBotTtsStarted: () => note('tts-started'),
    onBotTtsStopped: () => note('tts-stopped'),
    onBotStartedSpeaking: () => note('bot-started'),
    onBotStoppedSpeaking: () => note('bot-stopped'),
    onUserTranscript: ({ text, final }) => final && add('transcript', text),
    onBotOutput: ({ text, spoken_status: status }) => status === 'new' && add('output', text),
    onBotTranscript: ({ text }) => add('said', text),
    onMetrics: () => note('metrics'),
    onServerMessage: (message) => {
      window.rtvi.messages.push(message);
      if (message.type === 'turn' && message.interrupted) add('interrupted', message.heard_text);
    },
    onError: ({ data }) => add('errors', data.error),
    onMessageError: ({ data }) => add('refused', data.error),
  },
});

Object.assign(window.rtvi, {
  call: (wsUrl) => client.connect({ wsUrl }),
  ask: (kind) => client.sendClientRequest(kind, {}).catch(({ data }) => data.error),
  tell: (text) => client.sendText(text),
  hangup: () => client.disconnectBot(),
});
