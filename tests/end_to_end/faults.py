"""What vendors do wrong, and what becomes of the call: data, run by ``test_faults.py``.

``python -m tests.end_to_end.faults --write`` writes the table into ``docs/operating.md``.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Literal

from simulators import deepgram, elevenlabs
from simulators.model import Fault as ModelFault
from simulators.model import Reply

OPERATING = Path(__file__).parents[2] / "docs" / "operating.md"
BEGIN = "<!-- faults: written by `python -m tests.end_to_end.faults --write`; do not edit -->"
END = "<!-- /faults -->"

When = Literal["connecting", "the caller speaks", "thinking", "before the voice", "in the answer"]
Lasts = Literal["once", "a while", "for good"]
Vendor = Literal["deepgram", "deepgram-flux", "claude", "openai", "elevenlabs", "elevenlabs, whole"]
RECOGNISERS: tuple[Vendor, ...] = ("deepgram", "deepgram-flux")


class Outcome(Enum):
    """What becomes of a question, as its caller hears it."""

    ANSWERED = "answered"
    PARTLY = "answered in part; the rest goes to a person"
    APOLOGISED = "an apology"
    HANDED_OVER = "goes to a person"
    ENDED = "the call ends"


ANSWERED, PARTLY, APOLOGISED, HANDED_OVER, ENDED = Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One thing that goes wrong.

    Parameters:
        vendor: Whose simulator does it.
        what: It, in words.
        when: The moment: of the first question, or when the call connects.
        lasts: ``once``; ``a while``: until the second question; ``for good``.
        faults: It, in the simulator's terms. Where they wait for audio, it is counted from the
            moment.
        reply: Instead: what the simulated model replies.
        alone: What becomes of the first and the second question without a reserve.
        reserved: The same with a reserve.
        takes_over: Whether the reserve, where there is one, answers the first question.
        within_secs: How long after the caller's last word words are heard, or the call's end is
            told, at the most; with a reserve and without.
    """

    vendor: Vendor
    what: str
    when: When
    lasts: Lasts
    faults: tuple[Any, ...] = ()
    reply: Reply | None = None
    alone: tuple[Outcome, Outcome] = (ANSWERED, ANSWERED)
    reserved: tuple[Outcome, Outcome] = (ANSWERED, ANSWERED)
    takes_over: bool = False
    within_secs: float = 2.0

    @property
    def name(self) -> str:
        """For the test's id."""
        return f"{self.vendor}: {self.what}, {self.when}, {self.lasts}"


def _stt(what: str, when: When, lasts: Lasts, *faults: deepgram.Fault, **rest: Any) -> Row:
    return Row(vendor="deepgram", what=what, when=when, lasts=lasts, faults=faults, **rest)


def _brain(
    vendor: Vendor, what: str, when: When, lasts: Lasts, *faults: ModelFault, **rest: Any
) -> Row:
    return Row(vendor=vendor, what=what, when=when, lasts=lasts, faults=faults, **rest)


def _tts(
    what: str,
    when: When,
    lasts: Lasts,
    *faults: elevenlabs.Fault,
    vendor: Vendor = "elevenlabs",
    **rest: Any,
) -> Row:
    return Row(vendor=vendor, what=what, when=when, lasts=lasts, faults=faults, **rest)


def _deepgram() -> Iterator[Row]:
    fault = deepgram.Fault
    ended = {"alone": (ENDED, ENDED), "takes_over": True}
    lost = {"alone": (APOLOGISED, ANSWERED), "takes_over": True, "within_secs": 4.0}
    for status, words in ((401, "key refused"), (402, "out of credit"), (403, "not allowed")):
        what = f"{status}, {words}"
        yield _stt(what, "connecting", "for good", fault("status", code=status), **ended)
    for status, words in ((408, "too slow"), (425, "too early"), (429, "too many")):
        passing = fault("status", code=status, connection=0)
        yield _stt(f"{status}, {words}", "connecting", "once", passing)
    yield _stt("429, too many", "connecting", "a while", fault("status", code=429), **lost)
    error = fault("status", code=500)
    yield _stt("500", "connecting", "once", fault("status", code=500, connection=0))
    yield _stt("500", "connecting", "a while", error, **lost)
    yield _stt("500", "connecting", "for good", error, **lost | {"alone": (APOLOGISED, ENDED)})
    yield _stt(
        "no answer to the handshake",
        "connecting",
        "a while",
        fault("hang"),
        **lost,
    )
    speaking: When = "the caller speaks"
    for kind, what in _DROPS:
        yield _stt(what, speaking, "once", fault(kind, at_secs=0.9, connection=0))
    stall = fault("stall", at_secs=0.9, connection=0)
    yield _stt("goes silent", speaking, "once", stall, within_secs=4.0)
    yield _stt("goes silent", speaking, "a while", stall, fault("stall"), **lost)
    drop = fault("drop", at_secs=0.9, connection=0)
    yield _stt("connection drops, then 500", speaking, "a while", drop, error, **lost)
    refused = fault("status", code=401)
    yield _stt("connection drops, then 401", speaking, "for good", drop, refused, **ended)
    for kind, what in _DROPS:
        yield _stt(what, "in the answer", "once", fault(kind, connection=0))
    yield _stt("goes silent", "in the answer", "once", fault("stall", connection=0))


def _flux() -> Iterator[Row]:
    """What is its own: handshakes and turns; the connection is the same as Nova's."""

    def flux(what: str, when: When, lasts: Lasts, *faults: deepgram.Fault, **rest: Any) -> Row:
        return Row(vendor="deepgram-flux", what=what, when=when, lasts=lasts, faults=faults, **rest)

    fault = deepgram.Fault
    ended = {"alone": (ENDED, ENDED), "takes_over": True}
    lost = {"alone": (APOLOGISED, ANSWERED), "takes_over": True, "within_secs": 4.0}
    for status, words in ((401, "key refused"), (403, "not allowed")):
        refused = fault("status", code=status)
        yield flux(f"{status}, {words}", "connecting", "for good", refused, **ended)
    passing = fault("status", code=429, connection=0)
    yield flux("429, too many", "connecting", "once", passing)
    yield flux("429, too many", "connecting", "a while", fault("status", code=429), **lost)
    yield flux("500", "connecting", "once", fault("status", code=500, connection=0))
    speaking: When = "the caller speaks"
    for kind, what in _DROPS:
        yield flux(what, speaking, "once", fault(kind, at_secs=0.9, connection=0))
    drop = fault("drop", at_secs=0.9, connection=0)
    yield flux(
        "connection drops, then 500", speaking, "a while", drop, fault("status", code=500), **lost
    )
    yield flux("connection drops", "in the answer", "once", fault("drop", connection=0))


_DROPS: tuple[tuple[Any, str], ...] = (
    ("drop", "connection drops"),
    ("cut", "connection drops in the midst of a message"),
    ("close", "connection is closed"),
    ("garbage", "sends garbage"),
)


def _models(vendor: Vendor, *, brief: bool = False) -> Iterator[Row]:
    fault = ModelFault
    first = 1 if vendor == "openai" else 0  # before it, such an endpoint is asked what it can do
    handed = {"alone": (HANDED_OVER, ANSWERED), "takes_over": True}
    ended = {"alone": (HANDED_OVER, HANDED_OVER), "takes_over": True}
    yield _brain(
        vendor, "401, key refused", "thinking", "for good", fault("status", status=401), **ended
    )
    later = fault("status", status=429, retry_after="1", request=first)
    # The second that is asked for comes on top of what judges the turn to be over.
    yield _brain(
        vendor, "429, retry after 1 s", "thinking", "once", later, takes_over=True, within_secs=2.5
    )
    yield _brain(vendor, "500", "thinking", "a while", fault("status", status=500), **handed)
    if not brief:
        gone = fault("status", status=404)
        yield _brain(vendor, "404, no such model", "thinking", "for good", gone, **ended)
        later = fault("status", status=429, retry_after="30")
        yield _brain(vendor, "429, retry after 30 s", "thinking", "a while", later, **handed)
        busy = fault("status", status=529)
        yield _brain(vendor, "529, overloaded", "thinking", "a while", busy, **handed)
        yield _brain(
            vendor, "500", "thinking", "once", fault("status", request=first), takes_over=True
        )
        for status, words in ((408, "too slow"), (425, "too early"), (529, "overloaded")):
            passing = fault("status", request=first, status=status)
            what = f"{status}, {words}"
            yield _brain(vendor, what, "thinking", "once", passing, takes_over=True)
    breaks: tuple[tuple[Any, str], ...] = (
        ("drop", "connection drops"),
        ("eof", "stream ends early"),
        ("error", "overloaded in mid-stream"),
        ("garbage", "sends garbage"),
    )
    for kind, what in breaks[: 1 if brief else None]:
        yield _brain(vendor, what, "thinking", "once", fault(kind, request=first), takes_over=True)
        yield _brain(vendor, what, "thinking", "a while", fault(kind), **handed)
        rest = fault(kind, after_chars=_IN_THE_ANSWER)
        partly = {"alone": (PARTLY, ANSWERED), "reserved": (PARTLY, ANSWERED)}
        yield _brain(vendor, what, "in the answer", "a while", rest, **partly)
    yield _brain(
        vendor,
        "goes silent",
        "thinking",
        "once",
        fault("stall", request=first),
        takes_over=True,
        within_secs=4.5,  # 3 s of them for the first token; 4.07 s were measured
    )
    yield _brain(
        vendor, "goes silent", "thinking", "a while", fault("stall"), **handed, within_secs=7.0
    )
    rest = fault("stall", after_chars=_IN_THE_ANSWER)
    yield _brain(vendor, "goes silent", "in the answer", "a while", rest, **partly)
    text = Reply(tool="", text="She studied at Vassar.")
    yield _brain(
        vendor, "writes instead of calling the tool", "thinking", "a while", reply=text, **handed
    )
    if not brief:
        made_up = {"sections": ["hobbies"], "confidence": "high", "answer": "She played chess."}
        section = {"alone": (HANDED_OVER, ANSWERED), "reserved": (HANDED_OVER, ANSWERED)}
        reply = Reply(arguments=made_up)
        yield _brain(
            vendor, "cites a section that is none", "thinking", "a while", reply=reply, **section
        )


_IN_THE_ANSWER = 170
"""So many characters of the arguments: the first sentence is whole, the second is not."""


def _elevenlabs() -> Iterator[Row]:
    fault = elevenlabs.Fault
    ended: dict[str, Any] = {"alone": (ENDED, ENDED), "takes_over": True}
    for status, words in ((401, "key refused"), (402, "not in the plan"), (403, "not allowed")):
        refused = fault("status", status=status)
        yield _tts(f"{status}, {words}", "connecting", "for good", refused, **ended)
    for status, words in ((408, "408, too slow"), (425, "425, too early")):
        yield _tts(words, "connecting", "once", fault("status", status=status))
    for status, words in ((429, "429, too many at once"), (500, "500")):
        yield _tts(words, "connecting", "once", fault("status", status=status))
        yield _tts(words, "connecting", "for good", fault("status", status=status), **ended)
    quota = fault("error", code="quota_exceeded", message="This exceeds your quota.")
    yield _tts("quota exceeded", "before the voice", "for good", quota, **ended)
    gone = fault(
        "error", code="voice_id_does_not_exist", message="A voice with voice_id v does not exist."
    )
    yield _tts("the voice is gone", "before the voice", "for good", gone, **ended)
    busy = fault("error", code="concurrent_limit_exceeded", message="Too many at once.")
    yield _tts("too many at once, in the connection", "before the voice", "once", busy)
    for kind, what in (("drop", "connection drops"), ("close", "connection is closed")):
        yield _tts(what, "before the voice", "once", fault(kind))  # type: ignore[arg-type]
        yield _tts(what, "in the answer", "once", fault(kind, after_secs=1.0))  # type: ignore[arg-type]
    yield _tts("connection drops", "before the voice", "for good", fault("drop"), **ended)
    yield _tts(
        "goes silent", "before the voice", "once", fault("stall"), takes_over=True, within_secs=4.5
    )
    yield _tts(
        "goes silent", "before the voice", "for good", fault("stall"), **ended, within_secs=7.5
    )
    stall = fault("stall", after_secs=1.0)
    yield _tts("goes silent", "in the answer", "once", stall, takes_over=True)
    yield _tts("sends garbage", "before the voice", "for good", fault("garbage"))
    yield _tts("sends garbage", "in the answer", "once", fault("garbage", after_secs=1.0))
    whole: Vendor = "elevenlabs, whole"
    yield _tts(
        "401, key refused",
        "connecting",
        "for good",
        fault("status", status=401),
        vendor=whole,
        **ended,
    )
    yield _tts("500", "before the voice", "once", fault("status", status=500), vendor=whole)
    yield _tts(
        "500", "before the voice", "for good", fault("status", status=500), vendor=whole, **ended
    )
    yield _tts(
        "goes silent", "before the voice", "once", fault("stall"), vendor=whole, within_secs=4.5
    )
    yield _tts(
        "connection drops", "in the answer", "once", fault("drop", after_secs=1.0), vendor=whole
    )
    yield _tts("goes silent", "in the answer", "once", fault("stall", after_secs=1.0), vendor=whole)


ROWS: tuple[Row, ...] = (
    *_deepgram(),
    *_flux(),
    *_models("claude"),
    *_models("openai", brief=True),
    *_elevenlabs(),
)

_TITLES: dict[Vendor, str] = {
    "deepgram": "Deepgram (reserve: `STT=deepgram,whisper`)",
    "deepgram-flux": "Deepgram's Flux (reserve: `STT=deepgram-flux,whisper`)",
    "claude": "Claude (reserve: `BRAIN=claude,extractive`)",
    "openai": "An OpenAI-compatible endpoint (reserve: `BRAIN=openai,extractive`)",
    "elevenlabs": "ElevenLabs (reserve: `TTS=elevenlabs,hibari`)",
    "elevenlabs, whole": "ElevenLabs, `TTS_MODE=whole` (reserve: `TTS=elevenlabs,hibari`)",
}


def table() -> str:
    """The rows as Markdown, a table for each vendor."""
    lines: list[str] = []
    for vendor, title in _TITLES.items():
        lines += ["", f"### {title}", "", "| | when | how long | alone | with a reserve | within |"]
        lines.append("| --- | --- | --- | --- | --- | --- |")
        for row in ROWS:
            if row.vendor == vendor:
                reserved = _told(row.reserved, reserve=row.takes_over)
                cells = (row.what, row.when, row.lasts, _told(row.alone), reserved)
                lines.append(f"| {' | '.join(cells)} | {row.within_secs:g} s |")
    return "\n".join([*lines, ""])


def _told(outcomes: tuple[Outcome, Outcome], *, reserve: bool = False) -> str:
    first, second = outcomes
    told = f"{first.value} by the reserve" if reserve and first is ANSWERED else first.value
    return told if second in (first, ANSWERED) else f"{told}; the next: {second.value}"


def written(text: str) -> str:
    """A text with the table between its markers."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python -m tests.end_to_end.faults --write")
    OPERATING.write_text(written(OPERATING.read_text()))
