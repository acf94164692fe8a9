from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pipecat.frames.frames import (
    AggregatedTextFrame,
    ErrorFrame,
    Frame,
    InterimTranscriptionFrame,
    InterruptionFrame,
    MetricsFrame,
    OutputAudioRawFrame,
    StartFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.metrics.metrics import (
    STTUsage,
    STTUsageMetricsData,
    TTFBMetricsData,
    TTSUsageMetricsData,
)

from conversation.frames import (
    CallerTextFrame,
    Check,
    DecisionFrame,
    DuckFrame,
    EndCallFrame,
    EndOfTurnFrame,
    EscalationFrame,
    Exchange,
    FailoverFrame,
    SentenceFrame,
    SpeechPauseFrame,
    TurnFrame,
    UnduckFrame,
    Usage,
)
from recording.frames import Contexts, from_message, to_message
from recording.message import Message
from recording.recording import Recording
from recording.schemas import TOPICS
from recording.writer import InlineWriter
from tests.recording.call import START_NS, about

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
secs = st.floats(0, 100, allow_nan=False)
whole = st.integers(0, 10_000)
tuples = st.lists(texts, max_size=3).map(tuple)
lines = st.lists(whole, max_size=3).map(tuple)
truths = st.booleans()
contexts = st.sampled_from(["1", "2", None])
exchanges = st.builds(
    Exchange, texts, texts, tuples, st.sampled_from(["respond", "escalate"]), truths
)
usages = st.builds(Usage, whole, whole, whole, whole)
checks = st.builds(Check, texts, truths, texts)


def _error(text: str, permanent: bool) -> ErrorFrame:
    frame = ErrorFrame(text)
    frame.metadata["permanent"] = permanent
    return frame


def _interruption(turn: int | None) -> InterruptionFrame:
    frame = InterruptionFrame()
    if turn is not None:
        frame.metadata["turn"] = turn
    return frame


def _word(text: str, timed: bool) -> TTSTextFrame:
    frame = TTSTextFrame(text, text_type="word", context_id="1")
    frame.pts = 0 if timed else None
    return frame


vad = st.one_of(
    st.builds(VADUserStartedSpeakingFrame, start_secs=secs),
    st.builds(VADUserStoppedSpeakingFrame, stop_secs=secs),
    st.builds(SpeechPauseFrame, secs),
    st.builds(EndOfTurnFrame, secs, secs),
)
stt = st.one_of(
    st.builds(InterimTranscriptionFrame, texts, st.just("caller"), st.just("")),
    st.builds(TranscriptionFrame, texts, st.just("caller"), st.just(""), finalized=truths),
    st.builds(FailoverFrame, texts, texts, texts, truths),
    st.builds(_error, st.just("the vendor is gone"), truths),
    secs.map(
        lambda value: MetricsFrame(
            [STTUsageMetricsData(processor="", value=STTUsage(audio_seconds=value))]
        )
    ),
)
turn = st.one_of(
    st.builds(TurnFrame, whole, texts, st.lists(exchanges, max_size=2).map(tuple), truths, secs),
    st.builds(_interruption, st.none() | whole),
    st.builds(CallerTextFrame, texts, truths),
    st.builds(TTSSpeakFrame, texts),
    st.builds(EndCallFrame, texts, texts),
    st.sampled_from([DuckFrame, UnduckFrame]).map(lambda make: make()),
)
brain = st.one_of(
    st.builds(SentenceFrame, texts, turn=whole, sections=tuples, lines=lines),
    st.builds(
        DecisionFrame,
        whole,
        st.sampled_from(["respond", "escalate"]),
        tuples,
        lines,
        st.sampled_from(["high", "medium", "low", None]),
        texts,
        texts,
        st.lists(checks, max_size=2).map(tuple),
        usages,
        texts,
        st.none() | secs,
        st.none() | secs,
    ),
    st.builds(EscalationFrame, whole, texts, texts),
)
tts = st.one_of(
    st.builds(AggregatedTextFrame, texts, text_type=st.just("sentence"), context_id=contexts),
    st.builds(SentenceFrame, texts, turn=whole, sections=tuples, context_id=contexts),
    st.builds(TTSStartedFrame, contexts),
    st.builds(TTSStoppedFrame, contexts),
    st.builds(_word, texts, truths),
    st.binary(max_size=50).map(
        lambda audio: TTSAudioRawFrame(audio * 2, 24_000, 1, context_id="1")
    ),
    whole.map(lambda n: MetricsFrame([TTSUsageMetricsData(processor="", value=n)])),
)
staged = st.one_of(
    *(
        st.tuples(st.just(stage), frames)
        for stage, frames in {
            "vad": vad,
            "stt": stt,
            "turn": turn,
            "brain": brain,
            "tts": tts,
        }.items()
    )
)


def _own(frame: Frame) -> dict[str, Any]:
    """What a frame says, without what its process gave it."""
    given = {"id", "name", "broadcast_sibling_id", "transport_source", "transport_destination"}
    fields = {k: v for k, v in vars(frame).items() if k not in given | {"timestamp"}}
    if isinstance(frame, (AggregatedTextFrame, TTSTextFrame)):
        fields["text_type"] = str(fields["text_type"]).rpartition(".")[2].lower()
    return fields


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(staged)
def test_a_frame_comes_back_from_the_file_as_it_went_in(
    tmp_path: Path, staged_frame: tuple[str, Frame]
) -> None:
    stage, frame = staged_frame
    told = to_message(stage, frame)
    assert told is not None
    kind, data = told
    file = InlineWriter().open(tmp_path / "c.mcap", about())
    file.write(START_NS, f"/{stage}/{kind}", data)
    file.close()
    (message,) = Recording.load(tmp_path / "c.mcap").messages
    again = from_message(message)
    assert type(again) is type(frame)
    if isinstance(frame, MetricsFrame):
        assert isinstance(again, MetricsFrame)
        assert again.data == frame.data
    else:
        assert _own(again) == _own(frame)


def test_a_stage_is_recorded_for_what_is_its_own() -> None:
    assert to_message("vad", TranscriptionFrame("hello", "", "")) is None
    assert to_message("tts", OutputAudioRawFrame(b"", 24_000, 1)) is None
    assert to_message("stt", StartFrame()) is None
    assert to_message("stt", MetricsFrame([TTFBMetricsData(processor="", value=1.0)])) is None
    sentence = SentenceFrame("Yes.", turn=1)
    assert to_message("brain", sentence) == (
        "SentenceFrame",
        {"text": "Yes.", "turn": 1, "sections": [], "lines": []},
    )


def test_contexts_are_counted_as_they_appear() -> None:
    known = Contexts()
    names = ["b0f1", "77aa", "b0f1"]
    told = [to_message("tts", TTSStartedFrame(name), known) for name in names]
    assert [data["context"] for entry in told if entry for data in entry[1:]] == ["1", "2", "1"]


def test_what_tells_of_no_frame_says_so() -> None:
    with pytest.raises(ValueError, match="/call/End"):
        from_message(Message(0.0, "/call/End", {}))


def test_every_frame_topic_can_be_read_back() -> None:
    from recording.frames import _CODECS

    others = {"/caller", "/agent", "/call", "/replay"}
    frames = [topic for topic in TOPICS if topic.rpartition("/")[0] not in others]
    missing = [frame for frame in frames if frame.rpartition("/")[2] not in _CODECS]
    assert missing == ["/brain/Asked", "/brain/Event"]


def test_how_surely_words_were_heard_is_kept_where_it_is_known() -> None:
    heard = TranscriptionFrame("hello", "caller", "", finalized=True)
    plain = {"text": "hello", "finalized": True}
    assert to_message("stt", heard) == ("TranscriptionFrame", plain)
    heard.metadata["doubt"] = 0.8
    kind, data = to_message("stt", heard) or ("", {})
    assert data == plain | {"doubt": 0.8}
    read = from_message(Message(0.0, f"/stt/{kind}", data))
    assert read.metadata["doubt"] == 0.8
