"""What was understood, decided, cited and paid, scored: worked examples with their numbers."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from evals.scoring.matching import MatchedCall, match
from evals.scoring.metrics import (
    answers,
    calibration,
    citations,
    cost,
    decisions,
    goals,
    grounding,
    latency,
    words,
)
from evals.scoring.metrics.metric import Metric
from evals.scoring.truth import CallTruth, Utterance
from knowledge.loading.document import load
from tests.evals.scoring.recorded import Recorded, noise, question

DOCUMENT = load()


def by_name(metrics: Sequence[Metric]) -> dict[str, Metric]:
    return {metric.name: metric for metric in metrics}


def answered(name: str = "call.mcap", question: str = "", **record: Any) -> Recorded:
    """A call of one turn that ends at 3 s."""
    return Recorded(name).turn(1, 3.0, question, **record).ends(20.0)


# Word error rate.


@pytest.mark.parametrize(
    ("said", "heard", "wrong", "of"),
    [
        ("Where did she study mathematics?", "where did she study mathematics", 0, 5),
        ("Where did she study mathematics?", "Where does she study math", 2, 5),
        ("What did she do?", "", 4, 4),
        ("What's her name?", "What is her name", 0, 4),
        ("She won twenty awards.", "She won 20 awards.", 0, 4),
        ("Um, what colour was it?", "What color was it?", 0, 4),
        ("COBOL", "Co ball and more", 4, 1),
    ],
)
def test_words_are_counted_as_whisper_normalises_them(
    said: str, heard: str, wrong: int, of: int
) -> None:
    assert words.errors(said, heard) == (wrong, of)


def test_word_error_rate_is_over_all_words_not_the_mean_of_calls() -> None:
    short = answered("short.mcap", "What").matched(question(1.0, 3.0, "Why?"), tags=("noise",))
    long = answered("long.mcap", "Where did she study mathematics?").matched(
        question(1.0, 3.0, "Where did she study mathematics?"), tags=("clean",)
    )
    (metric,) = words.measure([short, long])
    assert metric.value == pytest.approx(1 / 6)
    assert metric.evidence[0].note == "'Why?' was heard as 'What'"
    assert words.by_tag([short, long]) == [
        {"tag": "clean", "calls": 1, "words": 5, "wer": 0.0},
        {"tag": "noise", "calls": 1, "words": 1, "wer": 1.0},
    ]


def test_a_question_that_became_no_turn_was_not_understood_at_all() -> None:
    call = Recorded().ends(20.0).matched(question(1.0, 3.0, "Where did she study?"))
    (metric,) = words.measure([call])
    assert metric.value == 1.0


def test_two_questions_in_one_turn_are_compared_together() -> None:
    call = answered(question="Where did she study? And when?")
    matched = call.matched(question(0.5, 1.5, "Where did she study?"), question(2, 3, "And when?"))
    (metric,) = words.measure([matched])
    assert (metric.value, len(metric.samples)) == (0.0, 1)


def test_a_question_that_the_caller_went_on_from_is_compared_with_the_turn_that_holds_both() -> (
    None
):
    call = Recorded().turn(1, 1.5, "Where did she study?", withdrawn=True)
    call.turn(2, 3.0, "Where did she study? And when?").ends(20.0)
    matched = call.matched(question(0.5, 1.5, "Where did she study?"), question(2, 3, "And when?"))
    (metric,) = words.measure([matched])
    assert (metric.value, len(metric.samples)) == (0.0, 1)


# Latency.


def test_latencies_are_the_page_s_and_withdrawn_turns_have_none() -> None:
    figures = [0.4, 0.5, 0.6, 0.7, 1.8]
    calls = [
        answered(f"{index}.mcap", e2e_latency=secs, llm_ttft=secs / 4).matched()
        for index, secs in enumerate(figures)
    ]
    calls.append(answered("gone.mcap", e2e_latency=9.0, withdrawn=True).matched())
    calls.append(answered("mute.mcap", e2e_latency=None).matched())
    found = by_name(latency.measure(calls))
    assert found["e2e_latency_p50"].value == pytest.approx(0.6)
    assert found["e2e_latency_p95"].value == pytest.approx(np.percentile(figures, 95))
    assert found["llm_ttft_p50"].value == pytest.approx(0.15)
    assert [item.call for item in found["e2e_latency_p95"].evidence] == ["4.mcap"]
    assert len(found["e2e_latency_p99"].samples) == 5
    assert found["tts_ttfb_p99"].value is None


# Decisions.


def decided(
    number: int, truth: str, decision: str | None, *, sensitive: bool = False, **record: Any
) -> Any:
    call = answered(f"{number}.mcap", decision=decision, **record)
    return call.matched(question(1.0, 3.0, decision=truth, sensitive=sensitive))


def test_escalations_have_precision_and_recall() -> None:
    calls = [
        decided(0, "respond", "respond"),
        decided(1, "respond", "escalate", reason="unsupported"),
        decided(2, "escalate", "escalate"),
        decided(3, "escalate", "escalate"),
        decided(4, "escalate", "respond"),
        decided(5, "respond", None),
        decided(6, "", "escalate"),  # either will do: it is not judged
    ]
    found = by_name(decisions.measure(calls))
    assert found["escalation_accuracy"].value == pytest.approx(3 / 6)
    assert found["escalation_precision"].value == pytest.approx(2 / 3)
    assert found["escalation_recall"].value == pytest.approx(2 / 3)
    notes = [item.note for item in found["escalation_precision"].evidence]
    assert notes[0] == "'Where did she study?': escalate (unsupported), should be respond"


def test_what_is_sensitive_must_not_be_answered_for_whatever_reason() -> None:
    calls = [
        decided(0, "escalate", "escalate", sensitive=True, reason="sensitive"),
        decided(1, "escalate", "escalate", sensitive=True, reason="unsupported"),
        decided(2, "escalate", "respond", sensitive=True),
        decided(3, "escalate", None, sensitive=True),  # the caller went on: nothing was said
        decided(4, "respond", "respond"),
    ]
    refusals = by_name(decisions.measure(calls))["sensitive_refusals"]
    assert refusals.value == pytest.approx(3 / 4)
    assert len(refusals.samples) == 4


# Citations.


@pytest.mark.parametrize(
    ("cited", "right"),
    [
        ("education", True),
        ("education/yale", True),
        ("career", True),
        ("educational", False),
        ("career/navy", True),
        ("career/navy/reserve", True),
        ("career/harvard", False),
    ],
)
def test_a_section_matches_itself_and_what_is_above_or_below(cited: str, right: bool) -> None:
    assert citations.matches(cited, ("education", "career/navy/reserve")) == right


def asked(number: int, wanted: tuple[str, ...], *cited: str, decision: str = "respond") -> Any:
    call = answered(f"{number}.mcap", sections=list(cited), decision=decision)
    return call.matched(question(1.0, 3.0, decision="respond", sections=wanted))


def test_precision_is_over_citations_and_recall_over_questions() -> None:
    calls = [
        asked(0, ("education",), "education/yale", "career"),
        asked(1, ("education", "career"), "career"),
        asked(2, ("awards",), "career"),
        asked(3, ("awards",), decision="escalate"),
    ]
    found = by_name(citations.measure(calls))
    assert found["citation_precision"].value == pytest.approx(2 / 4)
    assert found["citation_recall"].value == pytest.approx(2 / 4)


# Grounding.


def grounded(name: str, sentence: str, *sections: str, **record: Any) -> Recorded:
    call = Recorded(name, document_hash=DOCUMENT.sha256)
    call.turn(1, 3.0, "Where did she study?", sections=list(sections), **record)
    return call.says(3.5, sentence, 2.0, turn=1, sections=sections).ends(20.0)


def test_what_the_cited_sections_do_not_say_is_a_violation() -> None:
    education = next(id for id in DOCUMENT.section_ids if "education" in id)
    line = next(line for line in DOCUMENT.section(education).lines if line.kind != "heading").text
    calls = [
        grounded("right.mcap", line, education).matched(),
        grounded("wrong.mcap", "She studied at Stanford in 1961.", education).matched(),
    ]
    found = by_name(grounding.measure(calls, [DOCUMENT]))["grounding_violations"]
    assert found.value == 0.5
    assert found.evidence[0].call == "wrong.mcap"
    assert "'Stanford'" in found.evidence[0].note
    assert "'1961'" in found.evidence[0].note


def test_a_sentence_that_was_never_heard_violates_nothing() -> None:
    call = grounded("cut.mcap", "She studied.", "education")
    call.says(3.5, "It was at Stanford.", 2.0, turn=1).interrupted(4.5, played=1.0)
    found = by_name(grounding.measure([call.matched()], [DOCUMENT]))["grounding_violations"]
    assert (found.value, len(found.samples)) == (0.0, 1)


def test_a_call_of_another_document_is_not_checked_again() -> None:
    other = dataclasses.replace(DOCUMENT, sha256="0" * 64)
    call = grounded("wrong.mcap", "She studied at Stanford.", "education").matched()
    found = by_name(grounding.measure([call], [other]))["grounding_violations"]
    assert found.value is None
    assert found.note == "the document of 1 calls is not at hand (--knowledge)"


def test_claims_that_a_check_stopped_are_counted() -> None:
    failed = {"name": "support", "passed": False, "detail": "'1961' in 'In 1961.'"}
    sensitive = {"name": "sensitive", "passed": False, "detail": "the question is about salary"}
    calls = [
        answered("0.mcap", checks=[failed], decision="escalate").matched(),
        answered("1.mcap", checks=[sensitive], decision="escalate").matched(),
        answered("2.mcap", checks=[]).matched(),
        answered("3.mcap", checks=[failed], withdrawn=True).matched(),
    ]
    found = by_name(grounding.measure(calls, []))["stopped_claims"]
    assert found.value == pytest.approx(1 / 3)
    assert found.evidence[0].note == "support: '1961' in 'In 1961.'"


# Answers.


def said(number: int, answer: str, decided: str | None = "respond", **truth: Any) -> Any:
    call = answered(f"{number}.mcap", decision=decided, answer=answer)
    return call.matched(question(1.0, 3.0, **truth))


def test_an_answer_is_right_if_it_says_what_was_asked_for_whatever_it_cites() -> None:
    calls = [
        said(0, "She studied at Yale.", says=("Yale|Vassar",), decision="respond"),
        said(1, "She is a backend engineer.", says=("Yale|Vassar",), decision="respond"),
        said(2, "She studied at Yale and Harvard.", says=("Yale",), never=("Harvard",)),
        said(3, "I pass that on.", "escalate", says=("Yale",), decision="respond"),
        said(4, "", None, says=("Yale",), decision="respond"),
        said(5, "She is fine.", decision="respond"),  # of this nobody knows what is right
        said(6, "I pass that on.", "escalate", decision="escalate"),
    ]
    (metric,) = answers.measure(calls, {})
    assert metric.value == pytest.approx(1 / 5)
    escalations = by_name(decisions.measure(calls))["escalation_accuracy"]
    of_the_decision_alone = [item.call for item in escalations.samples if item.value]
    assert of_the_decision_alone == ["0.mcap", "1.mcap", "5.mcap", "6.mcap"]
    notes = {item.call: item.note for item in metric.evidence}
    asked = "'Where did she study?'"
    assert notes["1.mcap"] == f"{asked}: 'She is a backend engineer.', should say 'Yale|Vassar'"
    assert notes["3.mcap"] == f"{asked}: handed to a person, should say 'Yale'"


def test_a_criterion_in_words_waits_for_a_judge() -> None:
    calls = [
        said(0, "She studied at Yale.", says=("Yale",), expect="names the town"),
        said(1, "She studied at Rice.", says=("Yale",), expect="names the town"),
    ]
    (without,) = answers.measure(calls, {})
    assert [item.call for item in without.samples] == ["1.mcap"]
    assert without.note == answers.NEEDS_JUDGE
    (ruled,) = answers.measure(calls, {("0.mcap", 1): True})
    assert (ruled.value, ruled.note) == (0.5, "")


def test_a_truth_that_says_of_no_answer_what_is_right_gives_no_accuracy() -> None:
    (metric,) = answers.measure([said(0, "Yale.", decision="respond")], {})
    assert (metric.value, metric.note) == (None, answers.NEEDS_SAYS)


# Calibration.


def confident(number: int, level: str, *, right: bool) -> Any:
    call = answered(f"{number}.mcap", confidence=level, answer="She studied at Yale.")
    wanted = "Yale" if right else "Stanford"
    return call.matched(question(1.0, 3.0, decision="respond", says=(wanted,)))


def test_confidence_is_held_against_how_often_answers_were_right() -> None:
    calls = [
        *(confident(number, "high", right=number != 0) for number in range(4)),
        confident(4, "low", right=True),
        confident(5, "low", right=False),
    ]
    found = by_name(calibration.measure(calls, {}))
    # high claims 0.95 and is right 3 of 4: a gap of 4 * 0.95 - 3; low claims 0.5, right 1 of 2.
    assert found["calibration_error"].value == pytest.approx((4 * 0.95 - 3 + 0.0) / 6)
    brier = (3 * 0.05**2 + 0.95**2 + 2 * 0.5**2) / 6
    assert found["brier_score"].value == pytest.approx(brier)
    assert found["brier_score"].evidence[0].call == "0.mcap"
    high, medium, low = calibration.reliability(calls, {})
    assert (high["n"], high["accuracy"], high["claimed"]) == (4, 0.75, 0.95)
    assert (medium["n"], medium["accuracy"], medium["ci95"]) == (0, None, None)
    assert (low["n"], low["accuracy"]) == (2, 0.5)


def test_an_answer_where_a_person_should_have_answered_is_wrong_however_it_cites() -> None:
    call = answered(confidence="high", sections=["education"])
    matched = call.matched(question(1.0, 3.0, decision="escalate"))
    (high, *_) = calibration.reliability([matched], {})
    assert high["accuracy"] == 0.0


# Cost.


def test_what_a_turn_and_a_call_cost() -> None:
    call = Recorded().turn(1, 3.0, cost={"stt": 300, "brain": 700, "tts": 1500})
    call.turn(2, 9.0, cost={"stt": 0, "brain": 500, "tts": 0}).ends(
        20.0, stt=300, brain=1200, tts=1500
    )
    found = by_name(cost.measure([call.matched()]))
    assert found["turn_cost"].value == pytest.approx(0.0015)
    assert found["call_cost"].value == pytest.approx(0.003)
    assert [item.value for item in found["turn_cost"].evidence] == [0.0025, 0.0005]


def test_noise_alone_has_no_words_no_decision_and_no_citation() -> None:
    cough: Utterance = noise(1.0, 1.2)
    call = Recorded().ends(20.0).matched(cough)
    metrics = [*words.measure([call]), *decisions.measure([call]), *citations.measure([call])]
    assert all(metric.value is None for metric in metrics)


# Goals.


def test_a_goal_is_reached_once_all_of_its_facts_were_heard() -> None:
    def wanting(name: str, *heard: str, **wanted: Any) -> MatchedCall:
        call = answered(name).speaks(1.0, 3.0)
        for at, text in enumerate(heard):
            call.says(4.0 + 3 * at, text, 2.0, turn=1)
        return match(call.facts, CallTruth(name, "", (), "", (), goal="Know", **wanted))

    vassar, yale = "She studied at Vassar College.", "Her doctorate is from Yale."
    measured = by_name(
        goals.measure(
            [
                wanting("both.mcap", vassar, yale, reached=("Vassar", "Yale|New Haven")),
                wanting("one.mcap", vassar, reached=("Vassar", "Yale|New Haven")),
                wanting("put-right.mcap", yale, corrected=("Yale",)),
                wanting("neither.mcap", yale),
            ]
        )
    )
    reached, corrected = measured["goals_reached"], measured["wrong_ideas_corrected"]
    assert (reached.value, len(reached.samples)) == (0.5, 2)
    assert reached.evidence[0].note == "Know: not heard: 'Yale|New Haven'"
    assert (corrected.value, len(corrected.samples)) == (1.0, 1)
