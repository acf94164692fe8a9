"""The chain of a call: the page to edit when a stage is to be done differently.

Each stage is a pipecat ``FrameProcessor``; anything of pipecat's that takes and gives the same
frames can stand in its place. Which vendor does a stage is a setting (``STT``, ``BRAIN``, ``TTS``,
``VAD``), and :mod:`pipeline.vendors` is where one is added.
"""

from pipecat.pipeline.pipeline import Pipeline
from pipecat.transports.base_transport import BaseTransport

from conversation.turns import Conversation
from pipeline.engines import Engines
from processors.brain.responder import GroundedResponder
from processors.turns.keeper import TurnKeeper
from processors.turns.processor import TurnTaking
from processors.turns.state_machine import TurnTakingTimes
from recording.recorder import Recorder


def build(
    transport: BaseTransport,
    conversation: Conversation,
    engines: Engines,
    recorder: Recorder | None = None,
) -> Pipeline:
    """One call's chain.

    Args:
        transport: Where its frames enter and leave.
        conversation: Its turns.
        engines: What it shares with the other calls.
        recorder: Told what each stage gives; ``None`` for a call that is not recorded.
    """
    settings = engines.settings
    meter = conversation.meter
    brain = engines.brain if recorder is None else recorder.brain(engines.brain)

    voice_activity = engines.processor("vad")
    speech_to_text = engines.processor("stt", meter)
    turn_taking = TurnTaking(
        conversation,
        times=TurnTakingTimes(
            confirm=settings.barge_in_confirm_secs,
            unfinished=settings.end_of_turn_wait_secs,
            transcript=settings.transcript_timeout_secs,
            silence=settings.silence_prompt_secs,
            after_silence=settings.silence_end_secs,
        ),
        instant=settings.barge_in == "instant",
        ending=engines.ending,
        preemptive=engines.preemptive,
    )
    responder = GroundedResponder(
        conversation,
        brain=brain,
        document=engines.document,
        first_token_timeout_secs=settings.first_token_timeout_secs,
        decision_timeout_secs=settings.decision_timeout_secs,
        speculation=engines.speculation,
        on_aborted=lambda turn: meter.tokens(turn.turn, turn.brain, turn.usage, wasted=turn.wasted),
    )
    text_to_speech = engines.processor("tts", meter)

    if recorder is not None:
        recorder.tap("vad", voice_activity)
        recorder.tap("stt", speech_to_text)
        recorder.tap("turn", turn_taking)
        recorder.tap("brain", responder)
        recorder.tap("tts", text_to_speech)

    return Pipeline(
        [
            transport.input(),
            voice_activity,
            speech_to_text,
            turn_taking,
            responder,
            text_to_speech,
            TurnKeeper(conversation),
            transport.output(),
        ]
    )
