"""The call in a frame on a page of another origin, whose policy forbids all but Viva."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from playwright.sync_api import Page, expect

from tests.web.conftest import heeded
from tests.web.scene import ask, decision, greet
from tests.web.server import PageServer, Peer, tone

pytestmark = pytest.mark.browser

QUESTION, ANSWER = "Where did she study?", "At Yale."


async def one_answer(peer: Peer) -> None:
    await greet(peer, secs=0.2)
    await ask(peer, 1, QUESTION)
    await peer.tell(decision(1, QUESTION, ANSWER, sections=["education"], lines=[27]))
    await peer.event("bot-started-speaking")
    await peer.say(ANSWER, tone(0.3), turn=1, sections=["education"], lines=[27])
    await peer.played_out()
    await peer.event("bot-stopped-speaking")
    await peer.closed.wait()


@contextmanager
def site(viva: Callable[[], str]) -> Iterator[str]:
    """A page of another origin, whose policy allows Viva's script and frame, and nothing else."""

    def body() -> str:
        return (
            '<!doctype html><html lang="en"><title>A site</title><link rel="icon" href="data:,">'
            f'<main><h1>A site</h1><script type="module" src="{viva()}/embed.js"></script>'
            '<viva-call label="Ask about Grace Hopper"></viva-call></main>'
        )

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            allowed = f"script-src {viva()}; frame-src {viva()}; img-src data:"
            self.send_header("Content-Security-Policy", f"default-src 'none'; {allowed}")
            self.end_headers()
            self.wfile.write(body().encode())

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}/"
        server.shutdown()


@pytest.mark.thorough
def test_a_call_on_another_sites_page(server: PageServer, tab: Page) -> None:
    server.script = one_answer
    with site(lambda: server.url.rstrip("/")) as address, heeded(tab) as complaints:
        tab.goto(address)
        frame = tab.frame_locator('iframe[title="Ask about Grace Hopper"]')
        frame.get_by_role("button", name="Call Viva").click()
        expect(frame.get_by_text("Doctorate in mathematics")).to_be_visible()
        expect(frame.get_by_text("Master of arts")).to_be_hidden()
        assert any(server.call.audio), "the microphone is delegated"
        assert server.visitors == ["a-pass"]
        frame.get_by_role("button", name="Hang up").click()
        expect(frame.get_by_role("button", name="Call again")).to_be_visible()
        tab.goto("about:blank")
    assert complaints == []


@pytest.mark.thorough
def test_a_visitor_whose_pass_has_expired_gets_another(server: PageServer, tab: Page) -> None:
    """They cannot sign in, least of all in a frame."""
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    with site(lambda: server.url.rstrip("/")) as address:
        tab.goto(address)
        frame = tab.frame_locator('iframe[title="Ask about Grace Hopper"]')
        frame.get_by_role("button", name="Call Viva").wait_for()
        server.accepts = False
        frame.get_by_role("button", name="Call Viva").click()
        alert = frame.get_by_role("alert")
        expect(alert).to_contain_text("Viva could not be reached")
        assert any(url.endswith("about.json?visitor=a-pass") for url in asked)
        server.accepts, server.signed_in = True, False
        frame.get_by_role("button", name="Call Viva").click()
        expect(alert).to_contain_text("This page has been open for too long")
        server.signed_in = True
        alert.get_by_role("link", name="Load it anew").click()
        expect(alert).to_be_empty()
        expect(frame.get_by_role("button", name="Call Viva")).to_be_visible()
        tab.goto("about:blank")
