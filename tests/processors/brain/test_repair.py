"""Models answer in many ways: what is certain is the same answer, the rest is never spoken."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.brain.contract import ArgumentsDelta, BrainEvent, Repaired, ToolStart
from processors.brain.repair import WAYS, ModelReply
from processors.brain.tool_call import Complete, ToolCallStream
from processors.brain.tools import FunctionTool
from tests.processors.brain import answering
from tests.processors.brain.answering import ARGUMENTS, SOURCE, Way, deltas, wrapped
from tests.processors.brain.deciding import DOCUMENT, FIRST


async def hours(_arguments: object) -> str:
    return "From nine to five."


TOOL = FunctionTool(
    name="hours",
    description="When the office is open.",
    arguments={"day": {"type": "string", "description": "The day."}},
    run=hours,
)


def read(way: Way) -> list[BrainEvent]:
    """What is read of a way, piece by piece."""
    reply = ModelReply(DOCUMENT)
    events: list[BrainEvent] = []
    for delta, _ in deltas(way):
        events += reply.text(delta.get("content", ""))
        for call in delta.get("tool_calls", ()):
            function = call["function"]
            name, id = function.get("name") or "", call.get("id", "")
            events += reply.call(call.get("index"), id, name, function["arguments"])
    return events + reply.close()


def source_of(events: list[BrainEvent]) -> str:
    return "".join(event.json for event in events if isinstance(event, ArgumentsDelta))


def repairs(events: list[BrainEvent]) -> set[str]:
    return {way for event in events if isinstance(event, Repaired) for way in event.ways}


def whole(events: list[BrainEvent]) -> bool:
    """Whether it is exactly one call that the parser takes."""
    names = [event.name for event in events if isinstance(event, ToolStart)]
    if names not in (["respond"], ["escalate"]):
        return False
    stream = ToolCallStream(names[0])  # type: ignore[arg-type]
    try:
        return Complete() in stream.feed(source_of(events))
    except ValueError:
        return False


STREAMED = [way for way in answering.WAYS if way.body is None and way.finish and not way.legacy]


@pytest.mark.parametrize("way", STREAMED, ids=lambda way: way.name)
def test_a_way_of_answering_whose_meaning_is_certain_is_the_same_call(way: Way) -> None:
    events = read(way)
    assert whole(events)
    given = json.loads(source_of(events))
    assert given == {**ARGUMENTS, "answer": way.answer}
    assert repairs(events) == set(way.repaired)
    assert set(way.repaired) <= set(WAYS)


UNCERTAIN = [way for way in answering.UNCERTAIN if way.body is None]


@pytest.mark.parametrize("way", UNCERTAIN, ids=lambda way: way.name)
def test_nothing_is_made_up_where_the_meaning_is_not_certain(way: Way) -> None:
    assert not whole(read(way))


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (0.8, "high"), (1, "high"), ("0.95", "high"), (0.79, "medium"), ("60 %", "medium"),
        (0.2, "low"), (0, "low"), (45, "low"), (None, "low"), ("", "low"), ("HIGH.", "high"),
        ("**medium**", "medium"),
        (True, None), (101, None), ("very", None), (-1, None), (["high"], None),
    ],
)  # fmt: skip
def test_a_confidence_is_never_higher_than_what_was_claimed(given: object, meant: object) -> None:
    way = answering.with_field("", "confidence", given)
    level = json.loads(source_of(read(way)))["confidence"]
    assert level == (meant or given)  # What is left as it came is refused.


def test_a_confidence_that_is_missing_is_the_lowest() -> None:
    events = read(answering.by_call("", answering.without("confidence")))
    assert json.loads(source_of(events))["confidence"] == "low"
    assert repairs(events) == {"confidence"}


def test_an_escalation_needs_no_words() -> None:
    for source in ('{"reason": "sensitive"}', '{"reason": "Sensitive", "message": null}'):
        events = read(answering.by_call("", source, tool="escalate"))
        assert json.loads(source_of(events)) == {"reason": "sensitive", "message": ""}
    events = read(answering.by_call("", "{}", tool="escalate"))
    assert json.loads(source_of(events))["reason"] == "unsupported"


def test_an_id_that_no_section_has_stays_as_it_came() -> None:
    events = read(answering.with_field("", "sections", ["Education", "no-such"]))
    assert json.loads(source_of(events))["sections"] == ["Education", "no-such"]


@pytest.mark.parametrize("text", [wrapped(), f"```json\n{wrapped()}\n```", SOURCE])
def test_what_is_certain_leaves_while_the_rest_still_arrives(text: str) -> None:
    reply = ModelReply(DOCUMENT)
    half = text[: text.index(FIRST) + len(FIRST) + 1]
    if text == SOURCE:
        events = reply.call(0, "call_1", "functions.respond", half)
    else:
        events = reply.text(half)
    assert source_of(events).endswith(FIRST + " ")


def test_a_registered_tools_call_is_repaired_too() -> None:
    reply = ModelReply(DOCUMENT, [TOOL])
    events = reply.text('<tool_call>{"name": "hours", "arguments": {"day": "Monday",}}</tool_call>')
    events += reply.close()
    assert [event.name for event in events if isinstance(event, ToolStart)] == ["hours"]
    assert json.loads(source_of(events)) == {"day": "Monday"}
    reply = ModelReply(DOCUMENT, [TOOL])
    events = [*reply.call(0, "1", "functions.hours", "{'day': 'Monday'}"), *reply.close()]
    assert json.loads(source_of(events)) == {"day": "Monday"}
    assert repairs(events) == {"name", "quotes"}


PARTS = [*"{}[]\"'`,:\\<>|/ \n", "respond", "escalate", "sections", "call", "name", "é", "😀"]
ANYTHING = st.lists(st.sampled_from(PARTS)).map("".join)


@given(ANYTHING, st.booleans(), st.integers(1, 9))
def test_whatever_is_sent_is_read_to_its_end(text: str, called: bool, size: int) -> None:
    reply = ModelReply(DOCUMENT)
    events: list[BrainEvent] = []
    for at in range(0, len(text), size):
        piece = text[at : at + size]
        events += reply.call(0, "1", "respond", piece) if called else reply.text(piece)
    events += reply.close()
    assert not whole(events)


@given(st.data())
def test_a_call_as_asked_for_passes_unchanged_however_it_is_cut(data: st.DataObject) -> None:
    answer = data.draw(st.text(min_size=1))
    source = json.dumps({**ARGUMENTS, "answer": answer}, ensure_ascii=data.draw(st.booleans()))
    reply = ModelReply(DOCUMENT)
    events: list[BrainEvent] = []
    at = 0
    while at < len(source):
        size = data.draw(st.integers(1, 40))
        events += reply.call(0, "1", "respond", source[at : at + size])
        at += size
    assert source_of(events) == source
    assert reply.close() == []
