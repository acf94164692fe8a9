"""What a language model is told about the bundled document."""

import json

from examples.opening_hours import TOOL
from knowledge.loading.document import load
from processors.brain.prompt import CONFIDENCES, REASONS, instructions, tools

DOCUMENT = load()


def test_the_tools_are_the_decision_in_the_order_in_which_it_is_checked() -> None:
    respond, escalate = tools(DOCUMENT)
    assert respond["name"] == "respond"
    assert list(respond["parameters"]["properties"]) == ["sections", "confidence", "answer"]
    assert escalate["name"] == "escalate"
    assert list(escalate["parameters"]["properties"]) == ["reason", "message"]
    for tool in (respond, escalate):
        assert tool["parameters"]["required"] == list(tool["parameters"]["properties"])
        assert tool["parameters"]["additionalProperties"] is False
        assert tool["description"]


def test_only_what_exists_can_be_cited() -> None:
    properties = tools(DOCUMENT)[0]["parameters"]["properties"]
    assert properties["sections"]["items"]["enum"] == list(DOCUMENT.section_ids)
    assert properties["confidence"]["enum"] == list(CONFIDENCES) == ["high", "medium", "low"]
    assert tools(DOCUMENT)[1]["parameters"]["properties"]["reason"]["enum"] == list(REASONS)


def test_the_prompt_holds_every_line_under_its_section() -> None:
    prompt = instructions(DOCUMENT)
    for section in DOCUMENT.sections:
        body = prompt.partition(f'<section id="{section.id}" ')[2].partition("</section>")[0]
        assert section.title in body
        assert all(line.text in body for line in section.lines)


def test_the_prompt_names_the_speaker_and_what_is_not_talked_about() -> None:
    prompt = instructions(DOCUMENT)
    assert DOCUMENT.persona.name in prompt
    assert DOCUMENT.persona.greeting in prompt
    assert all(topic.name in prompt for topic in DOCUMENT.sensitive)
    assert not any(
        phrase in prompt for topic in DOCUMENT.sensitive for phrase in topic.phrases[3:4]
    )


def test_the_prefix_is_the_same_to_the_byte_every_time() -> None:
    assert instructions(DOCUMENT) == instructions(load())
    assert json.dumps(tools(DOCUMENT)) == json.dumps(tools(load()))


def test_a_registered_tool_is_offered_behind_the_two_and_can_be_cited() -> None:
    respond, _, offered = tools(DOCUMENT, [TOOL])
    citable = respond["parameters"]["properties"]["sections"]["items"]["enum"]
    assert citable == [*DOCUMENT.section_ids, "tool/opening_hours"]
    assert offered["name"] == "opening_hours"
    assert offered["parameters"]["required"] == ["day"]


def test_without_a_tool_the_prompt_is_what_it_was() -> None:
    told, untold = instructions(DOCUMENT, [TOOL]), instructions(DOCUMENT)
    (rule,) = (line for line in told.splitlines() if line not in untold)
    assert "`opening_hours`, cited as `tool/opening_hours`" in rule
    assert untold == told.replace(f"{rule}\n", "")
    assert "tool/" not in json.dumps(tools(DOCUMENT))
