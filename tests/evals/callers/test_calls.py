"""Simulated callers call a real server, and what they said and when is the truth of it."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from client.wav import INPUT_RATE, read_wav, speech_secs
from conversation.records import Used
from evals.callers.batch import Batch, plan
from evals.callers.caller import SimulatedCall, SimulatedCaller
from evals.callers.lead import LeadError, ModelLead, ScriptLead, Spoken, next_of, persona_model
from evals.callers.persona import Background, Habit, Line, Patience, Persona, WrongIdea
from evals.callers.ray_sites import Parcel, RaySites
from evals.callers.site import Held, Planned, SiteError, Target
from evals.callers.truth import HEAD, truth_of
from evals.callers.voice import Speech
from evals.forced_call import Given
from evals.scoring.truth import Truth
from pipeline.engines import Engines
from recording.recording import Recording
from server import Server
from settings import Settings
from simulators.model import Fault, Model, Reply
from simulators.openai import OpenAISimulator
from tests.conftest import AUDIO, with_instant_engines

WHERE, COMPUTER = "Where did she study mathematics?", "What was the first computer she used?"
SOUNDS = {WHERE: "where-studied.wav", COMPUTER: "first-computer.wav", "Mm-hm.": "mm-hm.wav"}


class Recorded:
    """A voice that has been recorded; of what it has not, a second of a tone."""

    async def speak(self, text: str) -> Speech:
        tone = 3_000 * np.sin(2 * np.pi * 300 * np.arange(INPUT_RATE) / INPUT_RATE)
        pcm = read_wav(AUDIO / SOUNDS[text]) if text in SOUNDS else tone.astype("<i2").tobytes()
        return Speech(np.frombuffer(pcm, "<i2").astype(np.float32), speech_secs(pcm))


def asks(*texts: str, **fields: Any) -> Persona:
    script = tuple(Line(text, sections=("education",)) for text in texts)
    return Persona("ada", "Ada", "Know where she studied", script=script, **fields)


async def call(url: str, persona: Persona, seed: int = 1) -> SimulatedCall:
    lead = ScriptLead(persona.script)
    return await SimulatedCaller(url, persona, Recorded(), lead, seed=seed).hold()


@pytest.mark.thorough
@with_instant_engines
async def test_a_caller_cuts_in_and_the_truth_says_what_and_when(
    remembering: Engines, tmp_path: Path
) -> None:
    persona = asks(
        WHERE,
        COMPUTER,
        interruptions=Habit(1.0, (1.5, 1.5)),
        reached=("Yale",),
    )
    settings = remembering.settings.model_copy(
        update={"data_dir": tmp_path, "auth": "off", "record": "all"}
    )
    ours = replace(remembering, settings=settings)
    server = Server(settings, ours.document, ours.choices, engines=ours)
    async with TestServer(server.app()) as listening:
        url = str(listening.make_url("/call")).replace("http", "ws", 1)
        went = await call(url, persona)
    assert went.recorded
    recording = Recording.load(tmp_path / "recordings" / f"{went.call}.mcap")
    (tmp_path / "truth.toml").write_text(
        HEAD + truth_of("ada-001.mcap", persona, went, began=recording.started_at)
    )
    truth = Truth.load(tmp_path / "truth.toml").calls["ada-001.mcap"]
    assert (truth.goal, truth.reached) == ("Know where she studied", ("Yale",))
    asked = [utterance for utterance in truth.utterances if utterance.takes_turn]
    assert [utterance.text for utterance in asked] == [WHERE, COMPUTER]
    assert (asked[1].kind, asked[1].over_agent) == ("bargein", True), went.spoken
    assert asked[1].sections == ("education",)
    heard = np.abs(np.frombuffer(recording.caller_audio(), "<i2").astype(np.int32))
    for utterance in truth.utterances:
        start, end = (round(at * INPUT_RATE) for at in (utterance.start, utterance.end))
        faint = 0.08 * heard[start:end].max()
        assert heard[start : start + 800].max() > faint, "it sounds from its start"
        assert heard[start - 1600 : start - 320].max() < faint, "and not before"
        assert heard[end + 480 : end + 1600].max() < faint, "nor behind its end"


SILENT, TALKS_SECS = bytes(640), 4.0


@asynccontextmanager
async def agent(*, mute: bool = False, sentences: int = 1) -> AsyncIterator[str]:
    """A server that greets, and talks for some seconds once a caller has talked; or never."""

    async def answer(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)

        async def tell(kind: str, **data: Any) -> None:
            message = {"label": "rtvi-ai", "type": kind, "data": data}
            await socket.send_str(json.dumps(message))

        async def talk(turn: int) -> None:
            await tell("bot-started-speaking")
            sentence = {"epoch": turn, "start": 0, "text": f"Answer {turn}.", "sections": []}
            for _ in range(sentences):
                await tell("server-message", type="sentence", turn=turn, lines=[], **sentence)
                for _ in range(round(TALKS_SECS / sentences / 0.1)):
                    await socket.send_bytes(bytes([0, 16]) * 2400)
                    await asyncio.sleep(0.1)
            await tell("bot-stopped-speaking")

        await tell("bot-ready", about={"call": "c-1"})
        talking = asyncio.create_task(talk(0)) if not mute else None
        turn = loud = silent = 0
        async for message in socket:
            if message.type is web.WSMsgType.TEXT and '"hangup"' in message.data:
                break
            if message.type is not web.WSMsgType.BINARY or talking is None:
                continue
            silent = silent + 1 if message.data == SILENT else 0
            loud += not silent
            if loud > 25 and silent == 1 and not talking.done():  # half a second over the agent
                talking.cancel()
                await tell("bot-interrupted")
            if loud > 25 and silent == 25:
                turn, loud = turn + 1, 0
                talking = asyncio.create_task(talk(turn))
        return socket

    app = web.Application()
    app.router.add_get("/call", answer)
    async with TestServer(app) as listening:
        yield str(listening.make_url("/call")).replace("http", "ws", 1)


@with_instant_engines
async def test_a_caller_whom_nobody_answers_asks_twice_and_hangs_up() -> None:
    persona = asks(WHERE, patience=Patience(3.0, ("Hello?",), times=2))
    async with agent(mute=True) as url:
        went = await call(url, persona)
    assert went.gave_up
    assert not went.recorded
    assert [said.line.text for said in went.said] == ["Hello?", "Hello?"]
    assert went.said[1].start - went.said[0].end == pytest.approx(3.0, abs=0.1)


@with_instant_engines
async def test_a_caller_listens_to_the_end_and_then_takes_their_time() -> None:
    async with agent() as url:
        went = await call(url, asks("Where?", "When?", reaction_secs=(1.0, 1.0)))
    assert [said.kind for said in went.said] == ["question", "question"]
    assert went.spoken[0] == Spoken(caller=False, text="Answer 0.")
    assert went.spoken[-1] == Spoken(caller=False, text="Answer 2.")
    first, second = went.said
    # Half a second until the agent notices, its answer, and the caller's own second.
    assert second.start - first.end == pytest.approx(0.5 + TALKS_SECS + 1.0, abs=0.2)
    assert went.waits_secs == [pytest.approx(0.5, abs=0.2)] * 2


@with_instant_engines
async def test_a_caller_who_is_impatient_cuts_in_and_one_who_listens_says_so() -> None:
    async with agent() as url:
        cut = await call(url, asks("Where?", "When?", interruptions=Habit(1.0, (1.5, 1.5))))
        nodded = await call(url, asks(WHERE, backchannels=Habit(1.0, (1.0, 1.0), ("Mm-hm.",))))
    assert [(said.kind, said.over_agent) for said in cut.said] == [("bargein", True)] * 2
    assert [(said.kind, said.over_agent) for said in nodded.said] == [
        ("backchannel", True),
        ("question", False),
        ("backchannel", True),
    ]


@with_instant_engines
@pytest.mark.parametrize(
    ("wanted", "cut"),
    [
        pytest.param("Answer 1", (2.2, 2.8), id="said by the first of two sentences"),
        pytest.param("Answer 2", None, id="not said"),
        pytest.param("", (1.0, 2.0), id="nothing"),
    ],
)
async def test_a_caller_cuts_in_once_they_have_heard_what_they_asked_for(
    wanted: str, cut: tuple[float, float] | None
) -> None:
    """An answer begins half a second after its question; each of its sentences takes two."""
    where = Line("Where?", says=(wanted,) if wanted else ())
    habit = Habit(1.0, (1.15, 1.15), once_heard=True)
    persona = Persona("ada", "Ada", "Know", script=(where, Line("When?")), interruptions=habit)
    async with agent(sentences=2) as url:
        went = await call(url, persona)
    first, second = went.said
    assert first.over_agent, "nothing has been asked, so the greeting has nothing to say first"
    assert second.over_agent == (cut is not None)
    if cut is not None:
        assert cut[0] <= second.start - first.end <= cut[1]


# A model leads.


def at(vendor: OpenAISimulator) -> Settings:
    endpoint = {"brain_base_url": vendor.url, "brain_model": "simulated"}
    return Settings(_env_file=None, **endpoint)  # type: ignore[call-arg, arg-type]


async def led(*replies: Reply, **behaviour: Any) -> tuple[list[Any], OpenAISimulator]:
    persona = Persona(
        "ada", "A journalist", "Know where", manner="Curt", wrong_idea=WrongIdea("It was Harvard")
    )
    so_far = (Spoken(False, "Hello, I am an AI."), Spoken(True, "Hi."))
    async with OpenAISimulator(Model(script=replies), **behaviour) as vendor:
        model = persona_model(at(vendor))
        lead = ModelLead(persona, model, seed=7)
        try:
            said = [await lead.next(so_far, cutting_in=True) for _ in range(len(replies))]
        finally:
            await model.close()
    return said, vendor


async def test_a_model_plays_a_persona_until_it_hangs_up() -> None:
    said, vendor = await led(
        Reply("speak", {"say": "Was it Harvard?", "hang_up": False}),
        Reply("speak", {"say": "", "hang_up": True}),
    )
    assert said[0].line.text == "Was it Harvard?"
    assert not said[0].hang_up
    assert (said[1].line, said[1].hang_up) == (None, True)
    body = vendor.requests[0].body
    assert (body["temperature"], body["seed"]) == (0, 7)
    told, *so_far, cut = body["messages"]
    assert "It was Harvard" in told["content"]
    assert "Your manner: Curt" in told["content"]
    assert [message["role"] for message in so_far] == ["user", "assistant"]
    assert "interrupt" in cut["content"]


async def test_a_model_that_fails_or_is_not_set_is_told() -> None:
    async with OpenAISimulator(Model(faults=(Fault("status", status=401),))) as vendor:
        model = persona_model(at(vendor))
        lead = ModelLead(Persona("ada", "A journalist", "Know where"), model, seed=7)
        with pytest.raises(LeadError, match="simulated: Error code: 401"):
            await lead.next((), cutting_in=False)
        await model.close()
    with pytest.raises(LeadError, match="BRAIN_BASE_URL is not set; a persona without"):
        persona_model(Settings(_env_file=None), "qwen3")  # type: ignore[call-arg]


def test_words_without_a_call_are_said_and_nothing_is_an_error() -> None:
    spoken = next_of(Given(None, "Where did she  study?", Used())).line
    assert spoken is not None
    assert spoken.text == "Where did she study?"
    said = next_of(Given({"say": "Hello.", "hang_up": True}, "", Used()))
    assert said.line is not None
    assert (said.line.kind, said.hang_up) == ("courtesy", True)
    with pytest.raises(LeadError, match="the model says nothing"):
        next_of(Given({"say": "…"}, "", Used()))


# Many calls.


class Exchange:
    """Calls that are held as they are planned, the third of which never ends."""

    nodes = 1

    def __init__(self) -> None:
        self.most = self.now = 0

    async def __aenter__(self) -> "Exchange":
        return self

    async def __aexit__(self, *error: object) -> None:
        pass

    async def hold(self, planned: Planned) -> Held:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(3600 if planned.number == 3 else 1)
        self.now -= 1
        truth = f'[[call]]\nfile = "{planned.file}"\n'
        return Held(planned.file, "ada", planned.seed, truth=truth, recording=b"mcap")


@with_instant_engines
async def test_calls_that_are_finished_are_kept_when_the_others_are_interrupted(
    tmp_path: Path,
) -> None:
    batch = Batch(plan([asks(WHERE)], 5, seed=3), tmp_path / "run", at_once=2, seed=3)
    batch.open_folder()
    line = Exchange()
    held: list[Held] = []
    running = asyncio.create_task(batch.run(line, lambda: None, held.append))
    await asyncio.sleep(30)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert line.most == 2
    names = [f"ada-00{number}.mcap" for number in (1, 2, 4, 5)]
    assert sorted(path.name for path in (tmp_path / "run").glob("*.mcap")) == names
    assert list(Truth.load(tmp_path / "run" / "truth.toml").calls) == names
    told = json.loads((tmp_path / "run" / "callers.json").read_text())
    assert [call["file"] for call in told["calls"]] == names
    assert told["planned"] == 5
    with pytest.raises(SiteError, match=r"has ada-001.mcap already; take another folder"):
        batch.open_folder()


def test_the_same_seed_plans_the_same_calls_and_no_two_callers_are_alike() -> None:
    def seeds(seed: int) -> Sequence[int]:
        return [planned.seed for planned in plan([asks(WHERE)], 50, seed)]

    assert seeds(1) == seeds(1)
    assert len({*seeds(1), *seeds(2)}) == 100


# On a cluster.


class RayHere:
    """Ray's names, with actors in this process; the node that is named loses its calls."""

    class exceptions:  # noqa: N801 - as Ray has it
        RayError = type("RayError", (Exception,), {})

    class util:  # noqa: N801 - as Ray has it
        class scheduling_strategies:  # noqa: N801 - as Ray has it
            NodeAffinitySchedulingStrategy = staticmethod(lambda node_id, soft: node_id)

    def __init__(self, loses: str) -> None:
        self._loses = loses
        self.over = False
        self.held: list[tuple[str, int]] = []

    def init(self, **_: Any) -> None:
        pass

    def shutdown(self) -> None:
        self.over = True

    def nodes(self) -> list[dict[str, Any]]:
        kinds = (
            ("a", 2.0, True),
            ("b", 1.0, True),
            ("no-processor", 0.0, True),
            ("gone", 1, False),
        )
        return [
            {"NodeID": name, "Resources": {"CPU": cpus} if cpus else {}, "Alive": alive}
            for name, cpus, alive in kinds
        ]

    def remote(self, _site: Any) -> Any:
        def on(scheduling_strategy: str, **_: Any) -> Any:
            async def done(_given: Any = None) -> str:
                return ""

            async def hold(planned: Planned) -> Held:
                await asyncio.sleep(1.0)
                if scheduling_strategy == self._loses:
                    raise self.exceptions.RayError("the node died")
                self.held.append((scheduling_strategy, planned.number))
                return Held(planned.file, "ada", planned.seed)

            methods = {"open": done, "close": done, "hold": hold}
            actor = SimpleNamespace(
                **{name: SimpleNamespace(remote=work) for name, work in methods.items()}
            )
            return SimpleNamespace(remote=lambda _parcel: _Actor(actor))

        return SimpleNamespace(options=on)


class _Actor:
    def __init__(self, methods: Any) -> None:
        self.open, self.close, self.hold = methods.open, methods.close, methods.hold


@pytest.mark.parametrize(("loses", "on"), [("", {"a", "b"}), ("a", {"b"}), ("b", {"a"})])
@with_instant_engines
async def test_nodes_share_the_calls_and_one_that_is_lost_loses_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, loses: str, on: set[str]
) -> None:
    ray = RayHere(loses)
    monkeypatch.setitem(sys.modules, "ray", ray)
    batch = Batch(plan([asks(WHERE)], 6, seed=1), tmp_path / "run", at_once=2, seed=1)
    batch.open_folder()
    sites = RaySites("local", Target(at_once=2), [asks(WHERE)])
    await batch.run(sites, lambda: None, lambda _held: None)
    assert batch.failed == []
    assert sorted(number for _, number in ray.held) == [1, 2, 3, 4, 5, 6]
    assert {node for node, _ in ray.held} == on
    assert ray.over


def test_a_parcel_has_the_files_that_a_node_lacks(tmp_path: Path) -> None:
    cv, noise = tmp_path / "cv.md", tmp_path / "cafe.wav"
    cv.write_text("# Ada")
    noise.write_bytes(b"RIFF")
    persona = asks(WHERE, background=Background("", noise, 15.0))
    parcel = Parcel.of(Target(knowledge=cv), [persona])
    node = tmp_path / "node"
    node.mkdir()
    target, personas = parcel.unpack(node)
    assert target.knowledge is not None
    assert target.knowledge.parent == node
    assert target.knowledge.read_text() == "# Ada"
    there = personas["ada"].background
    assert there is not None
    assert there.file is not None
    assert there.file.parent == node
    assert there.file.read_bytes() == b"RIFF"
    cv.unlink()
    with pytest.raises(SiteError, match=r"cv.md cannot be read: No such file"):
        Parcel.of(Target(knowledge=cv), [persona])
