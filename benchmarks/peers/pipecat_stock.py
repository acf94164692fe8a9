"""Stock pipecat: its FastAPI WebSocket, its voice activity and turn model, its defaults.

    python -m benchmarks.peers.pipecat_stock [--lean]

``--lean`` takes the cheapest settings that its documentation names: turns end by a time of silence
instead of smart-turn, and neither metrics, RTVI messages, turn tracking nor the watch for idle
pipelines (https://docs.pipecat.ai/api-reference/server: utilities/turn-management and
pipeline/pipeline-worker).

All calls share one process, which is the best case for it; its logging is off, as Viva's is.
"""

import argparse
import os
import time
from typing import Any

os.environ.setdefault("LOGURU_AUTOINIT", "False")

import uvicorn
import uvloop
from fastapi import FastAPI, WebSocket
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.frames.frames import OutputAudioRawFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.serializers.protobuf import ProtobufFrameSerializer
from pipecat.transports.websocket.fastapi import (
    FastAPIWebsocketOutputTransport,
    FastAPIWebsocketParams,
    FastAPIWebsocketTransport,
)
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies
from pipecat.workers.runner import WorkerRunner

from benchmarks.meter import Meter
from benchmarks.scripted import (
    MARKS,
    Marks,
    ScriptedLLM,
    ScriptedSTT,
    ScriptedTTS,
    note,
    voice,
)
from client.wav import INPUT_RATE, OUTPUT_RATE

_LEAN: dict[str, Any] = {
    "enable_rtvi": False,
    "enable_turn_tracking": False,
    "check_dangling_tasks": False,
    "idle_timeout_secs": None,
}


async def hold(socket: WebSocket, meter: Meter, *, lean: bool) -> None:
    """Hold one call, as pipecat's own examples do."""
    accepted = time.monotonic()
    marks = Marks()
    meter.calls.append(marks)
    MARKS.set(marks)
    await socket.accept()
    transport = FastAPIWebsocketTransport(
        websocket=socket,
        params=FastAPIWebsocketParams(
            audio_in_enabled=True, audio_out_enabled=True, serializer=ProtobufFrameSerializer()
        ),
    )
    aggregators = LLMContextAggregatorPair(
        LLMContext(),
        user_params=LLMUserAggregatorParams(
            vad_analyzer=SileroVADAnalyzer(),
            user_turn_strategies=UserTurnStrategies(stop=[SpeechTimeoutUserTurnStopStrategy()])
            if lean
            else None,
        ),
    )
    worker = PipelineWorker(
        Pipeline(
            [
                transport.input(),
                ScriptedSTT(),
                aggregators.user(),
                ScriptedLLM(),
                ScriptedTTS(),
                transport.output(),
                aggregators.assistant(),
            ]
        ),
        params=PipelineParams(
            audio_in_sample_rate=INPUT_RATE,
            audio_out_sample_rate=OUTPUT_RATE,
            enable_metrics=not lean,
            enable_usage_metrics=not lean,
        ),
        **(_LEAN if lean else {}),
    )

    @worker.event_handler("on_pipeline_started")  # type: ignore[untyped-decorator]
    async def on_started(*_: object) -> None:
        meter.ready_ms.append((time.monotonic() - accepted) * 1000)

    @transport.event_handler("on_client_disconnected")  # type: ignore[untyped-decorator]
    async def on_disconnected(*_: object) -> None:
        await worker.cancel()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()


def watch() -> None:
    """Note when audio leaves."""
    write = FastAPIWebsocketOutputTransport.write_audio_frame

    async def write_noted(self: FastAPIWebsocketOutputTransport, frame: OutputAudioRawFrame) -> Any:
        note("sent")
        return await write(self, frame)

    FastAPIWebsocketOutputTransport.write_audio_frame = write_noted  # type: ignore[method-assign]


async def serve(*, lean: bool) -> None:
    """Serve until stdin ends."""
    meter = Meter("pipecat-lean" if lean else "pipecat")
    voice()
    watch()
    app = FastAPI()

    @app.websocket("/call")
    async def call(socket: WebSocket) -> None:
        await hold(socket, meter, lean=lean)

    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    server.config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    meter.start(server.servers[0].sockets[0].getsockname()[1])
    await meter.over.wait()
    os._exit(0)  # its open pipelines are not waited for


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--lean", action="store_true", help="with its cheapest settings")
    uvloop.run(serve(lean=parser.parse_args().lean))


if __name__ == "__main__":
    main()
