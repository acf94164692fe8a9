"""The embedded brain on the project's own questions, and on documents it was not made for."""

import asyncio
import json
import threading
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.questions import Outcome, ask, cases
from conversation.frames import Exchange
from knowledge.check.sensitive import topic_of
from knowledge.check.support import unsupported_claims
from knowledge.loading.document import Document, load
from processors.brain.contract import ArgumentsDelta, BrainError, BrainEvent, Question, ToolStart
from processors.brain.extractive import ExtractiveBrain, Reply
from processors.brain.small_talk import courtesy, reply

OTHERS = Path(__file__).parents[2] / "knowledge" / "loading"


@pytest.fixture(scope="module")
def cv(document: Document) -> Document:
    return document


@pytest.fixture(scope="module")
def brain(extractive: ExtractiveBrain) -> ExtractiveBrain:
    return extractive


@pytest.fixture(scope="module")
def outcomes(brain: ExtractiveBrain, cv: Document) -> tuple[Outcome, ...]:
    return ask(brain, cv, cases())


NURSE = """# Mia Torres

## Summary

Nurse with twelve years in intensive care, since 2017 at St Mary's Hospital in London, where she
leads a team of nine.

## Career

From 2011 to 2017 she worked on the cardiac ward of the Hospital Cl\u00ednic in Barcelona. In 2017
she moved to London.
"""
OF_WORK = (
    "Where does she work?",
    "Where is she working now?",
    "Where does she live and work?",
    "Where does he work and live?",
    "Who is her employer?",
    "Who does she work for?",
    "What's her job?",
    "Which city does she work in?",
    "Where is she based?",
    "What does she do for a living?",
    "When did she start working?",
    "Where is her office?",
)
OF_HOME = (
    "Where does she live?",
    "Which town does she live in?",
    "Where is her home?",
    "Where does she live now, and who is her employer?",
    "How do I get hold of her?",
    "When was she born?",
)


def decided(brain: ExtractiveBrain, text: str, *before: Exchange) -> Reply:
    return brain.reply(Question(text, before))


class TestTheProjectsQuestions:
    def test_are_many_and_of_every_kind(self, outcomes: tuple[Outcome, ...]) -> None:
        kinds = Counter(outcome.case.kind for outcome in outcomes)
        assert len(outcomes) >= 70
        assert kinds["answer"] >= 40
        assert min(kinds[kind] for kind in ("follow_up", "unanswerable", "sensitive")) >= 12

    def test_none_is_one_that_the_document_lists(self, cv: Document) -> None:
        listed = {
            question.lower().strip(" ?.")
            for section in cv.sections
            for line in section.lines
            for question in (*line.questions, *section.questions)
        }
        assert not listed & {case.question.text.lower().strip(" ?.") for case in cases()}

    def test_are_decided_rightly(self, outcomes: tuple[Outcome, ...]) -> None:
        wrong = [outcome.case.question.text for outcome in outcomes if not outcome.right]
        assert len(wrong) <= 0.15 * len(outcomes), wrong

    @pytest.mark.parametrize("kind", ["answer", "follow_up", "unanswerable", "small_talk"])
    def test_are_decided_rightly_in_each_kind(
        self, outcomes: tuple[Outcome, ...], kind: str
    ) -> None:
        of = [outcome for outcome in outcomes if outcome.case.kind == kind]
        wrong = [outcome.case.question.text for outcome in of if not outcome.right]
        assert len(wrong) <= 0.15 * len(of), wrong

    def test_answers_hold_what_was_asked_for(self, outcomes: tuple[Outcome, ...]) -> None:
        missing = [
            outcome.case.question.text
            for outcome in outcomes
            if outcome.case.says and not outcome.told
        ]
        assert len(missing) <= 0.15 * sum(bool(outcome.case.says) for outcome in outcomes), missing

    def test_sensitive_ones_are_never_answered(self, outcomes: tuple[Outcome, ...]) -> None:
        for outcome in outcomes:
            if outcome.case.kind == "sensitive":
                assert outcome.reply.tool == "escalate", outcome
                assert outcome.reply.arguments["reason"] == "sensitive", outcome

    def test_no_statement_is_ungrounded(self, outcomes: tuple[Outcome, ...], cv: Document) -> None:
        for outcome in outcomes:
            assert outcome.ungrounded == (), outcome
            assert topic_of(str(outcome.reply.arguments.get("answer", "")), cv) is None

    def test_answers_are_short_enough_to_listen_to(self, outcomes: tuple[Outcome, ...]) -> None:
        for outcome in outcomes:
            assert len(str(outcome.reply.arguments.get("answer", "")).split()) <= 40, outcome


class TestOtherDocuments:
    @pytest.mark.parametrize(
        ("name", "asked"),
        [
            (
                "kestrel.md",
                {
                    "What is Kestrel?": "kestrel",
                    "How many ships use it?": "kestrel",
                    "How do I install it?": "installation",
                    "Which version of Python does it need?": "installation",
                    "How long does the first start take on a Raspberry Pi?": "installation",
                    "Which port does the status page use?": "configuration",
                    "How is the data encrypted?": "configuration/encryption",
                    "How many readings are in a batch?": "how-it-works",
                    "Does it run on Windows?": "limitations",
                    "Can two processes write at once?": "limitations",
                    "What's the license?": "licence",
                    "Who wrote it?": "licence",
                    "How do I report a bug?": "contributing",
                    "Does it support Kubernetes?": "",
                    "How much does it cost per month?": "",
                    "Is there a mobile app?": "",
                    "Can I use it with Kafka?": "",
                    "Who is the prime minister?": "",
                },
            ),
            pytest.param(
                "resume.json",
                {
                    "Where does Amara work?": "work/larkfield-bridges",
                    "What did she do before Larkfield?": "work/halloran-and-partners",
                    "How long is the Severn Beach footbridge?": "work/larkfield-bridges",
                    "Where did she study?": "education/university-of-sheffield",
                    "Is she chartered?": "certificates",
                    "Has she won any awards?": "awards",
                    "What languages does she speak?": "languages",
                    "What has she published?": "publications",
                    "What are her hobbies?": "interests",
                    "Which city is she based in?": "about",
                    "Has she worked in Japan?": "",
                    "Does she know JavaScript?": "",
                    "What car does she drive?": "",
                    "Did she work for Arup?": "",
                    "What is her phone number?": "",
                    "What does she earn?": "",
                },
                marks=pytest.mark.thorough,
            ),
        ],
    )
    def test_are_answered_from_or_not_at_all(self, name: str, asked: dict[str, str]) -> None:
        document = load(OTHERS / name)
        brain = ExtractiveBrain.load(document)
        wrong = []
        for text, section in asked.items():
            found = decided(brain, text)
            cited = found.arguments.get("sections", [])
            if (section not in cited) if section else found.tool == "respond":
                wrong.append((text, found))
            sections = [document.section(id) for id in cited]
            answer = str(found.arguments.get("answer", ""))
            assert unsupported_claims(answer, sections, f"{text} {document.title}") == ()
        assert len(wrong) <= 0.15 * len(asked), wrong


class TestMisheard:
    @pytest.mark.parametrize(
        ("heard", "says"),
        [
            ("What did she have to do with Cobalt?", "COBOL"),
            ("When was flow matic developed?", "1955"),
            ("What was the A zero?", "A-0"),
            ("Who was Howard Aitken?", "Aiken"),
            ("When did she graduate from Vasser?", "1928"),
            ("what year did grace hooper get her p h d from yale", "1934"),
        ],
    )
    def test_names_are_recognised_all_the_same(
        self, brain: ExtractiveBrain, heard: str, says: str
    ) -> None:
        assert says in str(decided(brain, heard).arguments.get("answer"))

    def test_a_name_that_only_looks_alike_is_not_taken_for_another(
        self, brain: ExtractiveBrain
    ) -> None:
        assert decided(brain, "Did she ever work at Google?").tool == "escalate"


class TestSemanticTopics:
    @pytest.mark.parametrize(
        "text",
        [
            "Any little ones?",
            "Could I get hold of her somehow?",
            "What was she making a year?",
            "Was there ever a wedding?",
            "How many candles were on her last cake, how old was she?",
        ],
    )
    def test_a_sensitive_question_is_not_answered_however_it_is_put(
        self, brain: ExtractiveBrain, text: str
    ) -> None:
        assert decided(brain, text).arguments["reason"] == "sensitive"

    def test_where_somebody_works_is_not_where_they_live(self, tmp_path: Path) -> None:
        """A CV in sentences, of which none is as near to the question as the topic's example."""
        path = tmp_path / "mia.md"
        path.write_text(NURSE, "utf-8")
        brain = ExtractiveBrain.load(load(path))

        def refused(text: str) -> bool:
            return decided(brain, text).arguments.get("reason") == "sensitive"

        assert [text for text in OF_WORK if refused(text)] == []
        assert [text for text in OF_HOME if not refused(text)] == []
        assert "London" in str(decided(brain, "Where does she work?").arguments["answer"])

    @pytest.mark.parametrize(
        "text", ["Where did she retire?", "Where was she born?", "When did Grace Hopper die?"]
    )
    def test_what_lies_nearer_to_the_document_is_answered(
        self, brain: ExtractiveBrain, text: str
    ) -> None:
        assert decided(brain, text).tool == "respond"


@pytest.mark.parametrize("who", ["she", "he", "they", "Ben", "Mr Okafor"])
def test_a_cv_without_pronouns_is_asked_by_any(tmp_path: Path, who: str) -> None:
    path = tmp_path / "ben.md"
    path.write_text(
        "# Ben Okafor\n\n## Work\n\n### Paystack (2019 to present)\n\nBackend engineer\n\n"
        "## Education\n\n### University of Lagos\n\nBSc Mathematics, 2012 to 2016\n\n"
        "## Languages\n\nYoruba, English\n",
        "utf-8",
    )
    brain = ExtractiveBrain.load(load(path))
    told = decided(brain, f"Where did {who} study?").arguments
    assert "University of Lagos" in str(told.get("answer")), told


class TestTime:
    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("What did she do in 1946?", ("1946", "1944 to 1949")),
            ("What happened between 1966 and 1967?", ("1966", "1967")),
            ("Which award did she get before 1965?", ("1964",)),
            ("What did she do after Harvard?", ("1949",)),
        ],
    )
    def test_a_period_is_matched_by_years_within_it(
        self, brain: ExtractiveBrain, text: str, says: tuple[str, ...]
    ) -> None:
        answer = str(decided(brain, text).arguments.get("answer"))
        assert any(phrase in answer for phrase in says), answer

    @pytest.mark.parametrize("year", ["1890", "1915", "2030"])
    def test_a_year_that_the_document_is_silent_about_is_not_answered(
        self, brain: ExtractiveBrain, year: str
    ) -> None:
        assert decided(brain, f"What did she do in {year}?").arguments["reason"] == "unsupported"


class TestConversation:
    PHD = Exchange(
        "Where did she do her PhD?",
        "She earned her PhD in mathematics from Yale University in 1934.",
        ("education",),
    )

    def test_a_repetition_says_the_whole_sentence_again(self, brain: ExtractiveBrain) -> None:
        cut = Exchange(self.PHD.question, "She earned her PhD in", ("education",), interrupted=True)
        found = decided(brain, "Sorry, can you say that again?", cut)
        assert found.arguments["answer"] == self.PHD.answer

    def test_what_else_is_not_what_was_said(self, brain: ExtractiveBrain) -> None:
        first = decided(brain, "What awards did she win?")
        answer, sections = first.arguments["answer"], first.arguments["sections"]
        said = Exchange("What awards did she win?", str(answer), tuple(sections))
        more = decided(brain, "What else?", said)
        assert more.tool == "respond"
        assert "honours" in more.arguments["sections"]
        assert not set(str(more.arguments["answer"]).split(". ")) & set(str(answer).split(". "))

    def test_a_bare_question_after_a_refused_one_is_refused_too(
        self, brain: ExtractiveBrain
    ) -> None:
        refused = Exchange("Was she married?", "I don't talk about that.", (), "escalate")
        assert decided(brain, "And when was that?", refused).arguments["reason"] == "sensitive"

    def test_without_a_turn_before_it_means_nothing(self, brain: ExtractiveBrain) -> None:
        assert decided(brain, "And when was that?").tool == "escalate"

    def test_courtesy_before_a_question_does_not_hide_it(self, brain: ExtractiveBrain) -> None:
        found = decided(brain, "Hi Viva, thanks. Where did she get her PhD?")
        assert found.arguments["sections"] == ["education"]


class TestSmallTalk:
    @pytest.mark.parametrize(
        ("text", "kind"),
        [
            ("Hello!", "greeting"),
            ("Hi Viva, good morning.", "greeting"),
            ("Okay, thank you very much.", "thanks"),
            ("Thanks, that's all I wanted to know. Bye!", "goodbye"),
            ("Are you a real person?", "robot"),
            ("Am I talking to a human or a machine?", "robot"),
            ("What's your name?", "name"),
            ("So, what can I ask you?", "scope"),
            ("Hi there, how are you?", "wellbeing"),
            ("Can you hear me?", "hearing"),
            ("Stop, please.", "filler"),
        ],
    )
    def test_is_recognised(self, text: str, kind: str) -> None:
        assert courtesy(text, persona="Viva") == (kind, "")

    @pytest.mark.parametrize(
        "text",
        ["Who was her boss?", "Goodness, when did she die?", "High school?", "Is it a robot arm?"],
    )
    def test_is_not_seen_where_there_is_none(self, text: str) -> None:
        assert courtesy(text, persona="Viva") == (None, text)

    def test_replies_state_nothing_and_say_that_it_is_an_ai(self, cv: Document) -> None:
        free = f"{cv.title} {cv.persona.name} {cv.persona.greeting}"
        for kind in (
            "greeting",
            "thanks",
            "goodbye",
            "robot",
            "name",
            "scope",
            "wellbeing",
            "hearing",
            "filler",
        ):
            said = reply(kind, cv)
            assert unsupported_claims(said, (), free) == ()
            assert topic_of(said, cv) is None
        for kind in ("greeting", "robot", "name", "scope"):
            assert " an AI" in reply(kind, cv)  # type: ignore[arg-type]


class TestStreaming:
    async def collected(self, brain: ExtractiveBrain, text: str) -> list[BrainEvent]:
        return [event async for event in brain.decide(Question(text))]

    async def test_an_answer_streams_its_fields_in_order(self, brain: ExtractiveBrain) -> None:
        tool, *deltas = await self.collected(brain, "Where did she get her PhD?")
        assert tool == ToolStart("respond")
        pieces = [delta.json for delta in deltas if isinstance(delta, ArgumentsDelta)]
        assert len(pieces) > 4
        arguments = json.loads("".join(pieces))
        assert list(arguments) == ["sections", "confidence", "answer"]
        assert arguments["sections"] == ["education"]
        assert arguments["confidence"] in ("high", "medium", "low")
        # The sections are complete before the first word of the answer.
        first = next(at for at, piece in enumerate(pieces) if "answer" in piece)
        assert '"sections": ["education"]' in "".join(pieces[:first])

    async def test_an_escalation_too(self, brain: ExtractiveBrain) -> None:
        tool, *deltas = await self.collected(brain, 'Did she say "\\o/" to Zaphod Beeblebrox?')
        assert tool == ToolStart("escalate")
        joined = "".join(delta.json for delta in deltas if isinstance(delta, ArgumentsDelta))
        assert list(json.loads(joined)) == ["reason", "message"]

    async def test_the_event_loop_is_free_meanwhile(self, brain: ExtractiveBrain) -> None:
        threads: list[str] = []
        ticked = threading.Event()
        decide = brain.reply

        def watched(question: Question) -> Reply:
            threads.append(threading.current_thread().name)
            assert ticked.wait(60), "the event loop stood still"
            return decide(question)

        brain.reply = watched  # type: ignore[method-assign]
        try:
            task = asyncio.create_task(self.collected(brain, "Where did she study?"))
            for _ in range(5):
                await asyncio.sleep(0.005)
            ticked.set()
            await task
        finally:
            del brain.reply
        assert threads[0].startswith("extractive")
        assert task.result()[0] == ToolStart("respond")

    async def test_too_many_waiting_questions_are_refused_not_queued(
        self, brain: ExtractiveBrain
    ) -> None:
        all_asked = threading.Event()
        for _ in range(
            16
        ):  # more than it has threads: no question is answered before all are asked
            brain.pool.submit(all_asked.wait)
        asked = asyncio.gather(
            *(self.collected(brain, "Where did she study?") for _ in range(80)),
            return_exceptions=True,
        )
        await asyncio.sleep(0)
        all_asked.set()
        done = await asked
        refused = [result for result in done if isinstance(result, BrainError)]
        assert len(refused) == 80 - (64 - 16)
        assert not any(error.permanent for error in refused)
