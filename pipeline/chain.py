"""The chain of a call: edit this module to replace a stage.

Each stage is a pipecat ``FrameProcessor`` that fulfils a contract, named by its type here: the
frames it takes and gives, and its duties. Any processor that fulfils the contract can replace it.
Settings choose the vendor of a stage (``STT``, ``BRAIN``, ``TTS``, ``VAD``);
:mod:`pipeline.vendors` is where to add one.
"""

from pipecat.pipeline.pipeline import Pipeline

from conversation.turns import Conversation
from pipeline.engines import Engines
from pipeline.transport import Transport
from processors.brain.contract import ResponderStage
from processors.brain.decision_keeper import DecisionKeeper
from processors.brain.responder import GroundedResponder
from processors.contract import ChainStage, FilterStage, in_order
from processors.stage_boundary import observed
from processors.stt.contract import SpeechToTextStage
from processors.tts.contract import TextToSpeechStage
from processors.turns.contract import TurnTakingStage
from processors.turns.keeper import TurnKeeper
from processors.turns.processor import TurnTaking
from processors.turns.state_machine import TurnTakingTimes
from processors.vad.contract import VoiceActivityStage

ASK_SECS = 0.2
"""Speech over the voice after which a recogniser that guesses seldom is asked for its words.

A first word has been said by then in most interruptions, and half of one in the others: it is taken
for a wish to speak only if it is the beginning of one.
"""


def build(transport: Transport, conversation: Conversation, engines: Engines) -> Pipeline:
    """Build the chain of one call.

    Args:
        transport: Where frames enter and leave.
        conversation: Its turns, and who observes it.
        engines: What it shares with the other calls.
    """
    settings = engines.settings
    meter = conversation.meter

    voice_activity: VoiceActivityStage = engines.voice_activity(conversation.far_end)
    speech_to_text: SpeechToTextStage = engines.speech_to_text(meter)
    turn_taking: TurnTakingStage = TurnTaking(
        conversation,
        times=TurnTakingTimes(
            confirm=settings.barge_in_confirm_secs,
            ask=ASK_SECS if engines.slow_interims else None,
            unfinished=settings.end_of_turn_wait_secs,
            transcript=settings.transcript_timeout_secs,
            silence=settings.silence_prompt_secs,
            after_silence=settings.silence_end_secs,
        ),
        instant=settings.barge_in == "instant",
        ending=engines.ending,
        preemptive=engines.preemptive,
        early_answers=engines.early_answers,
        has_turn_model=engines.needs_turn_model,
    )
    normalisation: FilterStage = engines.speech_normalisation()
    text_to_speech: TextToSpeechStage = engines.text_to_speech(meter)

    return Pipeline(
        in_order(
            transport.input(),
            *observed(
                conversation.observer,
                ("vad", [voice_activity]),
                ("stt", [speech_to_text]),
                ("turn", [turn_taking]),
                ("brain", decision_stages(conversation, engines)),
                ("tts", [normalisation, text_to_speech]),
            ),
            TurnKeeper(conversation),
            transport.output(),
        )
    )


def decision_stages(conversation: Conversation, engines: Engines) -> list[ChainStage]:
    """Build the stages that decide each turn, up to the sentences that may be spoken.

    They are those of a call and of a conversation in writing (:mod:`evals.text`).

    Args:
        conversation: Its turns, and who observes it.
        engines: What it shares with the other calls.
    """
    settings = engines.settings
    meter = conversation.meter
    responder: ResponderStage = GroundedResponder(
        conversation,
        brain=engines.brain,
        document=engines.document,
        tools=engines.tools,
        first_token_timeout_secs=engines.first_token_timeout_secs,
        decision_timeout_secs=settings.decision_timeout_secs,
        speculation=engines.speculation,
        by_clause=engines.by_clause,
        on_aborted=lambda turn: meter.tokens(turn.turn, turn.brain, turn.usage, wasted=turn.wasted),
    )
    decision_keeper = DecisionKeeper(conversation)
    # Filters of what is said stand between these two: see docs/developing.md.
    return [responder, decision_keeper]
