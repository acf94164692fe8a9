"""A page whose network was gone comes back to its call, on another socket."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from conversation.turns import OUTPUT_SAMPLE_RATE
from knowledge.loading.document import load
from server import Server
from settings import Settings
from tests.chain import ScriptedCall, ScriptedSocket
from tests.conftest import with_instant_engines
from tests.transports.resuming import ResumingCaller
from tests.transports.test_barge_in import tell
from transports.browser.messages import Resumed
from transports.browser.page import Page
from transports.browser.resumption import (
    AWAY_SECS,
    MAX_RESUMPTIONS,
    RESUME_SECS,
    Resumption,
    Unreceived,
)

QUESTION = "Where did she study?"
ANSWER = "She studied at Vassar. Then she went to Yale."


class Network:
    """What connects a scripted call and its page, and can be gone."""

    def __init__(self, call: ScriptedCall) -> None:
        self.call = call
        self.resumption = Resumption()
        self.socket = call.socket
        self.heard: list[bytes | dict[str, Any]] = []
        self._speaking = asyncio.create_task(self._speak())
        self._over: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        await self.call.page.offer_resumption(self.resumption)

    async def _speak(self) -> None:
        while True:
            self.socket.hear(bytes(640))
            await asyncio.sleep(0.02)

    async def cut(self, unread: int) -> None:
        """It goes without a word; so many of the last messages were still on their way."""
        self._speaking.cancel()
        self.call._playing.cancel()
        came = [message for _, message in self.socket.sent]
        first = next(at for at, message in enumerate(came) if is_token(message)) + 1
        self.heard += came[first : len(came) - unread]
        self.token = next(message for message in reversed(came) if is_token(message))
        self.lost = sum(len(m) // 2 for m in came[len(came) - unread :] if isinstance(m, bytes))
        self.socket.queued -= self.lost

    def come_back(self) -> bool:
        """The page comes back; returns whether it may."""
        again = ScriptedSocket(
            epoch=self.socket.epoch, queued=self.socket.queued, played=self.socket.played
        )
        asked = Resumed(
            call="c-scripted", token=self.token["data"]["token"], received=len(self.heard)
        )
        if not self.call.page.resumes(asked):
            return False
        page = Page(again)  # type: ignore[arg-type]
        self._over.append(asyncio.create_task(self.call.page.take_over(page, asked.received)))
        self.socket = self.call.socket = again
        self.call._playing = asyncio.create_task(again.play())
        self._speaking = asyncio.create_task(self._speak())
        return True

    async def close(self) -> None:
        self._speaking.cancel()
        await self.call.page.close()
        await asyncio.gather(*self._over)


def is_token(message: Any) -> bool:
    return isinstance(message, dict) and message.get("data", {}).get("type") == "resume"


def samples(messages: list[Any]) -> int:
    return sum(len(message) // 2 for message in messages if isinstance(message, bytes))


@pytest.mark.parametrize("unread", [0, 2, 5])
@pytest.mark.parametrize("secs", [0.5, 10.0])
def test_an_answer_goes_on_where_a_cut_stopped_it(secs: float, unread: int) -> None:
    network: Network

    async def story(call: ScriptedCall) -> None:
        nonlocal network
        network = Network(call)
        await network.open()
        await call.ask(QUESTION)
        await asyncio.sleep(0.8)
        await network.cut(unread)
        await asyncio.sleep(secs)
        assert call.page.away is (secs > AWAY_SECS)
        assert call.ended == []
        assert call.socket.own("turn") == [], "nobody has heard it to its end"
        assert network.come_back()
        await asyncio.sleep(6.0)
        await call.ask("And when was that?")
        await asyncio.sleep(6.0)
        await network.close()

    call = tell(story)
    first, second = call.socket.own("turn")
    assert (first["heard_text"], first["interrupted"]) == (ANSWER, False)
    assert second["heard_text"] == ANSWER
    came = [message for _, message in network.socket.sent]
    assert is_token(came[0]), "first of all the new token"
    assert samples(network.heard) + samples(came) == call.conversation.playback.sent
    said = [sentence["text"] for sentence in network.socket.own("sentence")]
    assert not any(text.startswith("Are you still there?") for text in said)


def test_who_does_not_come_back_has_hung_up_and_heard_what_was_played() -> None:
    async def story(call: ScriptedCall) -> None:
        network = Network(call)
        await network.open()
        await call.ask(QUESTION)
        await asyncio.sleep(0.8)
        await network.cut(0)
        await asyncio.sleep(RESUME_SECS)
        assert call.ended == []
        await asyncio.sleep(AWAY_SECS + 0.2)
        assert call.ended == ["disconnected"]
        (turn,) = call.conversation.turns
        played = call.conversation.playback.played(call.conversation.clock())
        assert abs(played - network.socket.played) < 0.2 * OUTPUT_SAMPLE_RATE
        assert call.conversation.heard(turn) != ANSWER
        await network.close()

    tell(story)


def test_a_page_that_is_slow_to_send_is_not_cut_off() -> None:
    """It is silent for two seconds, and goes on, on the same socket."""

    async def story(call: ScriptedCall) -> None:
        network = Network(call)
        await network.open()
        network._speaking.cancel()
        await asyncio.sleep(2.0)
        away = [call.page.away]
        network._speaking = asyncio.create_task(network._speak())
        await asyncio.sleep(0.1)
        assert [*away, call.page.away] == [True, False]
        await call.ask(QUESTION)
        await asyncio.sleep(6.0)
        await network.close()

    (turn,) = tell(story).socket.own("turn")
    assert turn["heard_text"] == ANSWER


def test_a_token_works_once_and_only_for_what_is_kept() -> None:
    resumption = Resumption()
    token = resumption.renew()
    resumption.unreceived.add("one")
    assert not resumption.resume(token[:-1] + "~", 0)
    assert not resumption.resume(token, 2), "more than there was"
    assert resumption.resume(token, 1)
    assert not resumption.resume(token, 1), "it is used up"
    assert not resumption.resume("", 1)
    for _ in range(MAX_RESUMPTIONS - 1):
        assert resumption.resume(resumption.renew(), 1)
    assert not resumption.resume(resumption.renew(), 1)


@asynccontextmanager
async def listening(folder: Any, **chosen: str) -> AsyncIterator[tuple[Server, URL]]:
    """A server with scripted vendors, as `viva serve` runs it: lost sockets cancel no handler."""
    from benchmarks.scripted import choices

    basis = {"auth": "off", "data_dir": folder, "database_url": "", "record": "off"}
    settings = Settings.load(**basis | chosen)
    server = Server(settings, load(None), choices())
    runner = web.AppRunner(server.app(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield server, URL(f"ws://127.0.0.1:{runner.addresses[0][1]}/call")
    finally:
        await runner.cleanup()


@pytest.mark.thorough
@with_instant_engines
async def test_a_call_goes_on_over_another_connection(data_dir: Any) -> None:
    async with listening(data_dir) as (server, url), aiohttp.ClientSession() as session:
        caller = ResumingCaller(url, session)
        wire = caller.wire
        await caller.call()
        wire.type(QUESTION)
        await caller.until("bot-started-speaking")
        (call,) = server.calls
        for _ in range(2):
            caller.lose()
            await asyncio.sleep(10.0)
            assert server.calls == {call}
            await caller.come_back()
        await caller.until("turn")
        assert wire.received == caller.samples, "each sample came once"
        async with session.ws_connect(url.update_query(resume="1")) as other:
            stolen = {"call": wire.call, "token": wire.token[::-1], "received": 0}
            await other.send_json(
                {
                    "label": "rtvi-ai",
                    "type": "client-message",
                    "id": "1",
                    "data": {"t": "resume", "d": stolen},
                }
            )
            told = json.loads((await other.receive()).data)["data"]
            assert (told["type"], told["reason"]) == ("end", "lost")
        wire.hang_up()
        await caller.until("end")
        assert server.state["calls"] == 0
        caller.lose()


@pytest.mark.thorough
@with_instant_engines
async def test_a_visitor_of_another_site_comes_back_from_another_network(data_dir: Any) -> None:
    """From Wi-Fi to mobile, in mid-answer."""
    embedding = {"embed_origins": "https://example.com", "trusted_proxies": "127.0.0.1"}
    wifi, mobile = ({"X-Forwarded-For": address} for address in ("203.0.113.9", "198.51.100.1"))
    async with (
        listening(data_dir, auth="link", **embedding) as (server, url),
        aiohttp.ClientSession(headers=wifi) as before,
        aiohttp.ClientSession(headers=mobile) as after,
    ):
        origin = str(url.origin()).replace("ws:", "http:")
        for session in (before, after):
            session.headers["Origin"] = origin
        async with before.get(f"{origin}/embed") as answer:
            given = re.findall(r"\b\d{10}\.[0-9a-f]{64}\b", await answer.text())[0]
        caller = ResumingCaller(url.update_query(visitor=given), before)
        await caller.call()
        caller.wire.type(QUESTION)
        await caller.until("bot-started-speaking")
        (call,) = server.calls
        caller.lose()
        await asyncio.sleep(2.0)
        caller.session = after
        await caller.come_back()
        await caller.until("turn")
        assert server.calls == {call}
        assert caller.wire.received == caller.samples, "each sample came once"
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await after.ws_connect(url.update_query(visitor=given))
        caller.wire.hang_up()
        await caller.until("end")
        caller.lose()


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(-3, 30)), max_size=12))
def test_what_was_not_received_comes_again_in_order(steps: list[tuple[int, int]]) -> None:
    unreceived = Unreceived()
    sent: list[str] = []
    known = 0
    for further, received in steps:
        for _ in range(further):
            sent.append(str(len(sent) + 1))
            unreceived.add(sent[-1])
        unreceived.acknowledge(received)
        if known < received <= len(sent):
            known = received
        assert unreceived.count == len(sent)
        for at in range(len(sent) + 2):
            assert unreceived.can_follow(at) is (known <= at <= len(sent))
        again, message = known, unreceived.after(known)
        while message is not None:
            assert message == sent[again]
            again += 1
            message = unreceived.after(again)
        assert again == len(sent)
