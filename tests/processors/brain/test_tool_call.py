"""A tool call read while it arrives: any call, any split; and what is not a call is refused."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from processors.brain.tool_call import (
    Complete,
    ConfidenceKnown,
    ReasonKnown,
    SectionsKnown,
    TextDelta,
    TextEnd,
    ToolCallError,
    ToolCallEvent,
    ToolCallStream,
)

RESPOND = {
    "sections": ["work/navy", "education"],
    "confidence": "high",
    "answer": 'I joined the U.S. Navy in 1943 \U0001f6a2. She said "yes"\n— twice.',
}

texts = st.text(max_size=60)
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
extras = st.dictionaries(
    texts.filter(lambda key: key not in {"sections", "confidence", "answer", "reason", "message"}),
    values,
    max_size=3,
)
responds = st.fixed_dictionaries(
    {
        "sections": st.lists(texts, max_size=4),
        "confidence": st.sampled_from(["high", "medium", "low"]) | texts,
        "answer": texts,
    }
)
escalates = st.fixed_dictionaries({"reason": texts, "message": texts})


@st.composite
def written(
    draw: st.DrawFn, calls: st.SearchStrategy[dict[str, Any]]
) -> tuple[dict[str, Any], str]:
    """A call, and one of the many ways in which a vendor may write it as JSON."""
    call = draw(calls)
    entries = list({**call, **draw(extras)}.items())
    entries = draw(st.permutations(entries))
    source = json.dumps(
        dict(entries),
        ensure_ascii=draw(st.booleans()),
        indent=draw(st.sampled_from([None, 1, "\t", "\r\n "])),
        separators=draw(st.sampled_from([None, (",", ":"), (" ,\t", "\n:  ")])),
    )
    return call, draw(st.sampled_from(["", " ", "\n"])) + source + draw(
        st.sampled_from(["", "\n "])
    )


@st.composite
def cut(draw: st.DrawFn, source: str) -> list[str]:
    """The same JSON, cut anywhere into pieces, some of them empty."""
    places = sorted(draw(st.lists(st.integers(0, len(source)), max_size=12)))
    if draw(st.booleans()):
        places = list(range(len(source)))
    edges = [0, *places, len(source)]
    return [source[a:b] for a, b in pairwise(edges)]


def read(stream: ToolCallStream, pieces: list[str]) -> list[ToolCallEvent]:
    return [event for piece in pieces for event in stream.feed(piece)]


def text_of(events: list[ToolCallEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def order_of(events: list[ToolCallEvent]) -> list[type]:
    kinds = [type(event) for event in events]
    return [kind for kind, before in zip(kinds, [None, *kinds], strict=False) if kind != before]


@given(st.data())
def test_any_respond_cut_anywhere_reads_the_same(data: st.DataObject) -> None:
    call, source = data.draw(written(responds))
    stream = ToolCallStream("respond")
    events = read(stream, data.draw(cut(source)))
    stream.close()
    assert stream.complete
    assert text_of(events) == call["answer"]
    assert SectionsKnown(tuple(call["sections"])) in events
    assert ConfidenceKnown(call["confidence"]) in events
    delta = [TextDelta] if call["answer"] else []
    assert order_of(events) == [SectionsKnown, ConfidenceKnown, *delta, TextEnd, Complete]


@given(st.data())
def test_any_escalate_cut_anywhere_reads_the_same(data: st.DataObject) -> None:
    call, source = data.draw(written(escalates))
    stream = ToolCallStream("escalate")
    events = read(stream, data.draw(cut(source)))
    stream.close()
    assert text_of(events) == call["message"]
    delta = [TextDelta] if call["message"] else []
    assert order_of(events) == [ReasonKnown, *delta, TextEnd, Complete]


def test_the_answer_grows_with_every_piece_that_holds_some_of_it() -> None:
    stream = ToolCallStream("respond")
    stream.feed('{"sections": ["a"], "confidence": "low", "answer": "I')
    assert stream.feed(" joined") == [TextDelta(" joined")]
    assert stream.feed(" the \\u00") == [TextDelta(" the ")]
    assert stream.feed('c9cole"') == [TextDelta("École"), TextEnd()]
    assert not stream.complete
    assert stream.feed("}") == [Complete()]


def test_an_emoji_written_as_two_escapes_is_never_split() -> None:
    source = json.dumps(RESPOND)
    assert "\\ud83d\\udea2" in source
    stream = ToolCallStream("respond")
    deltas = [e.text for e in read(stream, list(source)) if isinstance(e, TextDelta)]
    assert "\U0001f6a2" in deltas
    assert not any("\ud800" <= c <= "\udfff" for delta in deltas for c in delta)


def test_an_answer_that_comes_before_its_sections_is_withheld() -> None:
    stream = ToolCallStream("respond")
    assert stream.feed('{"answer": "All of it.", "confidence": "high", "sections": ["a"') == []
    assert stream.feed("]") == [
        SectionsKnown(("a",)),
        ConfidenceKnown("high"),
        TextDelta("All of it."),
        TextEnd(),
    ]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("I think it was 1943.", "at character 0: expected '{', found 'I'"),
        ('[{"sections": []}]', "at character 0: expected '{', found an array"),
        ('{"sections": 3', "expected an array of ids for 'sections', found a number"),
        ('{"sections": null,', "expected a string for 'sections', found null"),
        ('{"confidence": true,', "expected a string for 'confidence', found true"),
        ('{"answer": Yes', "expected a string for 'answer', found 'Y'"),
        ('{"sections": ["a", 3]', "expected a string for 'sections', found a number"),
        ('{"sections": ["a",]', "expected a string for 'sections', found ']'"),
        ('{"confidence": 0.9', "expected a string for 'confidence', found a number"),
        ('{"answer": null', "expected a string for 'answer', found null"),
        ('{"answer": ["I did."]', "expected a string for 'answer', found an array"),
        ('{"answer": "a", "answer": "b"}', "expected 'answer' once, found it again"),
        ('{"x": 1, "x": 2}', "expected 'x' once, found it again"),
        ('{"sections": [], "answer": "a"}', "expected a key 'confidence', found '}'"),
        ('{"answer": "\ud83d"', "a character that a JSON string may hold, found '\\ud83d'"),
        ('{"answer": "\\ud83d!"', "a character that a JSON string may hold"),
        ('{"answer": "\\x41"', "a character that a JSON string may hold"),
        ('{"answer": "two\0lines"', "a character that a JSON string may hold, found '\\x00'"),
        ('{"answer": "a" "confidence"', "expected ',' or '}', found a string"),
        ('{"x": 012}', "expected a value, found '012'"),
        ('{"x": NaN}', "expected a value, found 'N'"),
        ('{"x": tru}', "expected a value, found 'tru'"),
        ('{"x": {"y": [1, 2}}', "expected ',' or ']', found '}'"),
        ('{"x" 1}', "expected ':', found a number"),
        ("{'sections': []}", 'expected a key, found "\'"'),
        (json.dumps(RESPOND) + json.dumps(RESPOND), "expected nothing after the call"),
    ],
)  # fmt: skip
def test_what_is_not_a_call_is_refused_by_name(source: str, said: str) -> None:
    for pieces in ([source], list(source)):
        stream = ToolCallStream("respond")
        with pytest.raises(ToolCallError) as refused:
            read(stream, pieces)
        assert said in str(refused.value)
        with pytest.raises(ToolCallError):  # and stays refused
            stream.feed("}")
        assert not stream.complete


def test_the_place_of_the_trouble_counts_from_the_beginning_of_the_call() -> None:
    source = '{"sections": ["a"], "confidence": 1}'
    stream = ToolCallStream("respond")
    with pytest.raises(ToolCallError) as refused:
        read(stream, list(source))
    assert refused.value.position == source.index("1")


def test_a_call_without_end_is_cut_off() -> None:
    stream = ToolCallStream("respond", max_chars=1_000)
    with pytest.raises(ToolCallError, match="at most 1000 characters"):
        read(stream, ['{"answer": "', *["and so on, " * 10] * 20])


@given(st.data(), st.text(alphabet='{}[]",:\\u0d8 \n19abn-.e', max_size=40) | st.text(max_size=40))
@example(None, '{"sections":[],"confidence":"","answer":"\\')
def test_garbage_is_an_error_or_incomplete_and_never_anything_else(
    data: st.DataObject | None, garbage: str
) -> None:
    source = garbage
    if data is not None:
        source = data.draw(written(responds))[1]
        at = data.draw(st.integers(0, len(source)))
        source = source[:at] + garbage + source[at + data.draw(st.integers(0, 3)) :]
    stream = ToolCallStream("respond")
    pieces = data.draw(cut(source)) if data is not None else list(source)
    try:
        events = read(stream, pieces)
        stream.close()
    except ToolCallError:
        return
    (known,) = [event.sections for event in events if isinstance(event, SectionsKnown)]
    (confidence,) = [event.confidence for event in events if isinstance(event, ConfidenceKnown)]
    try:
        call = json.loads(source, strict=False)
    except ValueError:  # a word without its quotes: it is at least one that stands there
        assert all(word in source for word in (*known, confidence))
        return
    # Whatever else passes is what Python's own reader takes for the same call.
    assert text_of(events) == call["answer"]
    assert confidence == call["confidence"]
    if isinstance(call["sections"], list):
        assert known == tuple(call["sections"])
    else:
        assert known == (call["sections"].strip(),) or list(known) == json.loads(call["sections"])


@given(st.data())
def test_a_call_cut_short_is_incomplete(data: st.DataObject) -> None:
    source = data.draw(written(responds))[1].rstrip()
    stream = ToolCallStream("respond")
    read(stream, [source[: data.draw(st.integers(0, len(source) - 1))]])
    assert not stream.complete
    with pytest.raises(ToolCallError, match="expected the rest of the call, found its end"):
        stream.close()


CERTAIN = {
    '{"sections": education, "confidence": high, "answer": "At Yale."}': ("education",),
    '{"sections": "education", "confidence": "high", "answer": "At Yale."}': ("education",),
    r'{"sections": "[\"education\", \"navy\"]", "confidence": "high", "answer": "At Yale."}': (
        "education",
        "navy",
    ),
    '{"sections": [work/navy, "education"], "confidence": high, "answer": "At Yale."}': (
        "work/navy",
        "education",
    ),
    '{"sections": "[education", "confidence": "high", "answer": "At Yale."}': ("[education",),
}
"""Arguments as models have written them, and what they can but mean; the last is for the gate."""


@pytest.mark.parametrize("source", CERTAIN)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_arguments_of_the_wrong_shape_are_read_where_their_meaning_is_certain(
    source: str, size: int
) -> None:
    stream = ToolCallStream("respond")
    events = [
        event for at in range(0, len(source), size) for event in stream.feed(source[at : at + size])
    ]
    stream.close()
    assert events[:2] == [SectionsKnown(CERTAIN[source]), ConfidenceKnown("high")]
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "At Yale."


def test_a_line_may_break_in_an_answer_without_being_escaped() -> None:
    stream = ToolCallStream("escalate")
    events = stream.feed('{"reason": "unknown", "message": "I will\n\\"ask\\"\tfor you."}')
    said = "".join(event.text for event in events if isinstance(event, TextDelta))
    assert said == 'I will\n"ask"\tfor you.'
