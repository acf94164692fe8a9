"""What a caller can do beside speaking: judge, keep, hear again, and be answered."""

import json
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.web.axe import violations
from tests.web.conftest import until
from tests.web.scene import ask, decision, greet, record
from tests.web.server import PageServer, Peer, tone
from transports.browser.messages import ClientReady, Typed

pytestmark = pytest.mark.browser

QUESTION = "Where did she study?"
LEFT = "I don't have an answer to that."


async def one_answer_and_one_left(peer: Peer) -> None:
    await greet(peer, secs=0.2)
    for turn, (question, answer) in enumerate(((QUESTION, "At Yale."), ("Her diet?", LEFT)), 1):
        more: dict[str, Any] = {"sections": ["education"]}
        if answer == LEFT:
            more = {"decision": "escalate", "reason": "unsupported", "confidence": None}
        await ask(peer, turn, question)
        await peer.tell(decision(turn, question, answer, **more))
        await peer.event("bot-started-speaking")
        await peer.say(answer, tone(0.2), turn=turn, sections=more.get("sections"))
        await peer.played_out()
        await peer.event("bot-stopped-speaking")
        await peer.tell(record(turn, question, answer, **more))
    await peer.closed.wait()


WRITTEN = """async (entries) => {
  const { asText, asJson, asVtt } = await import('/web/call/transcript-file.js');
  const titleOf = (id) => ({ a: 'Arts' })[id];
  const about = { title: 'A <b> --> c', voice: 'Viva', at: new Date(0), titleOf };
  return [asText, asJson, asVtt].map((write) => write(entries, about));
}"""


def entry(**more: Any) -> dict[str, Any]:
    nothing: dict[str, Any] = {
        **{"turn": 1, "question": "", "said": [], "decision": None, "record": None},
        **{"interrupted": False, "askedAt": None, "right": None},
    }
    return nothing | more


def said(text: str, at: float, start: int, end: int | None, *sections: str) -> dict[str, Any]:
    return {
        **{"text": text, "at": at, "epoch": 0, "start": start, "end": end},
        "sections": list(sections),
    }


def test_what_was_said_is_kept_as_text_json_and_captions(blank: Page) -> None:
    entries = [
        entry(turn=0, said=[said("Hello.", 0.5, 0, 24_000)]),
        entry(
            question="Is 1 < 2 & so on?",
            askedAt=3.0,
            said=[said("It is. Yes,", 4.0, 24_000, 60_000, "a"), said("it was", 5.5, 60_000, None)],
            interrupted=True,
            record={"heard_text": "It is. Yes, it"},
            right=False,
        ),
    ]
    text, plain, vtt = blank.evaluate(WRITTEN, entries)
    assert text.startswith("A <b> --> c, 1970-01-01 00:00 UTC\n\nViva: Hello.\n\nYou: Is 1 < 2")
    assert "Viva: It is. Yes, it (interrupted)\n(from Arts)" in text
    told = json.loads(plain)["turns"][1]
    assert (told["asked_at"], told["said_at"], told["was_right"]) == (3.0, 4.0, False)
    assert (told["heard"], told["sections"]) == ("It is. Yes, it", [{"id": "a", "title": "Arts"}])
    head, note, *cues = vtt.strip().split("\n\n")
    assert (head, note) == ("WEBVTT", "NOTE A <b> → c")
    assert cues == [
        "1\n00:00:00.500 --> 00:00:01.500\n<v Viva>Hello.",
        "2\n00:00:03.000 --> 00:00:04.000\n<v You>Is 1 &lt; 2 &amp; so on?",
        "3\n00:00:04.000 --> 00:00:05.500\n<v Viva>It is. Yes,",
        "4\n00:00:05.500 --> 00:00:06.500\n<v Viva>it",
    ]


def test_an_answer_is_remembered_to_the_sample(blank: Page) -> None:
    found = blank.evaluate(
        """async () => {
          const { VoiceMemory } = await import('/web/call/voice-memory.js');
          const memory = new VoiceMemory();
          for (const epoch of [0, 1]) {
            for (let start = 0; start < 40; start += 10) {
              const samples = Int16Array.from({ length: 10 }, (_, at) => 100 * epoch + start + at);
              memory.add({ epoch, start, samples });
              samples.fill(0); // it goes on to the loudspeaker, and is nobody's
            }
          }
          const of = (...spans) => [...memory.of(spans)];
          const both = of({ epoch: 0, start: 5, end: 12 }, { epoch: 1, start: 38 });
          return [both, of({ epoch: 2, start: 0 })];
        }"""
    )
    assert found == [[5, 6, 7, 8, 9, 10, 11, 138, 139], []]


@pytest.mark.thorough
def test_a_call_from_a_suggestion_to_an_address(server: PageServer, page: Page) -> None:
    server.script = one_answer_and_one_left
    page.get_by_role("button", name=QUESTION).focus()
    page.keyboard.press("Enter")
    until(page, "viva.turns.length === 2 && viva.state === 'listening'")
    (ready,) = (message for message in server.call.messages if isinstance(message, ClientReady))
    assert ready.data.address, "the page can take one"
    typed = [message.content for message in server.call.messages if isinstance(message, Typed)]
    assert typed == [QUESTION]
    page.get_by_text("A question is left for a person").click()
    page.get_by_role("textbox", name="Your e-mail address").fill("jo@example.com")
    expect(page.get_by_text("it is kept with this call, 30 days at most")).to_be_visible()
    assert violations(page) == []
    page.keyboard.press("Enter")
    expect(page.get_by_text("A person will write to jo@example.com.")).to_be_visible()
    page.get_by_role("button", name="Hang up").click()
    group = page.get_by_role("group", name="Was this right?").first
    group.get_by_role("button", name="Yes").click()
    expect(group.get_by_role("button", name="Yes")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Hear again: answer 1").click()
    server.takes_feedback = False
    group.get_by_role("button", name="No").click()
    expect(page.get_by_text("It could not be kept.")).to_be_visible()
    expect(group.get_by_role("button", name="Yes")).to_have_attribute("aria-pressed", "true")
    server.takes_feedback = True
    page.get_by_role("button", name="Remove my address").click()
    expect(page.get_by_text("Your address is removed.")).to_be_visible()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Captions (WebVTT)").click()
    assert saved.value.suggested_filename.endswith(".vtt")
    assert "<v Viva>At Yale." in saved.value.path().read_text("utf-8")
    assert violations(page) == []
    assert server.feedback == [
        ("PUT", "/calls/c-1/address", {"address": "jo@example.com"}),
        ("PUT", "/calls/c-1/turns/1/right", {"right": True}),
        ("DELETE", "/calls/c-1/address", None),
    ]
