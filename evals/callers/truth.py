"""The ground truth of a simulated call: what its caller said and when, and what they wanted."""

import json
from collections.abc import Iterator, Sequence

from evals.callers.caller import Said, SimulatedCall
from evals.callers.persona import Persona

HEAD = """\
# What simulated callers said, and when, and what they wanted. Written by `viva simulate-callers`;
# docs/metrics/README.md says what the fields mean.
"""


def truth_of(file: str, persona: Persona, went: SimulatedCall, *, began: float) -> str:
    """The truth of one call, in TOML.

    Args:
        file: The recording's file name.
        persona: Who called.
        went: How the call went.
        began: When the recording began, Unix seconds.
    """
    return "\n".join([*_call(file, persona), *_said(persona, went, began)]) + "\n"


def _call(file: str, persona: Persona) -> Iterator[str]:
    yield "[[call]]"
    yield f"file = {_text(file)}"
    yield f"title = {_text(persona.name)}"
    yield f"tags = {_texts([persona.id])}"
    yield f"voice = {_text(' '.join(filter(None, (persona.voice.vendor, persona.voice.name))))}"
    yield f"goal = {_text(persona.goal)}"
    if persona.reached:
        yield f"reached = {_texts(persona.reached)}"
    if persona.wrong_idea is not None:
        yield f"wrong_idea = {_text(persona.wrong_idea.believes)}"
        if persona.wrong_idea.corrected:
            yield f"corrected = {_texts(persona.wrong_idea.corrected)}"


def _said(persona: Persona, went: SimulatedCall, began: float) -> Iterator[str]:
    for said in went.said:
        yield from _utterance(persona, said, -went.loop_began - began)


def _utterance(persona: Persona, said: Said, offset: float) -> Iterator[str]:
    line = said.line
    takes_turn = said.kind != "backchannel"
    yield ""
    yield "  [[call.utterance]]"
    yield f"  kind = {_text(said.kind)}"
    yield f"  text = {_text(line.text)}"
    yield f"  start = {said.start + offset:.3f}"
    yield f"  end = {said.end + offset:.3f}"
    if said.over_agent:
        yield "  over_agent = true"
    if takes_turn:
        yield f"  decision = {_text(line.decision)}"
        for name in ("sections", "says", "never"):
            if texts := getattr(line, name):
                yield f"  {name} = {_texts(texts)}"
        if line.expect:
            yield f"  expect = {_text(line.expect)}"
        if line.sensitive:
            yield "  sensitive = true"
    if persona.background is not None:
        yield f"  snr_db = {persona.background.snr_db}"


def _texts(texts: Sequence[str]) -> str:
    return f"[{', '.join(map(_text, texts))}]"


def _text(text: str) -> str:
    """A text as a string of TOML."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
