"""The page as it is served: readable before a script has run, small, and kept by browsers."""

import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from conversation.records import CallerIdentity
from knowledge.loading.document import load
from pipeline.choice import choose
from settings import Settings
from transports.front_page import FrontPage
from transports.web_files import FOREVER, WebFiles

Client = TestClient[web.Request, web.Application]
TITLE = "</script><b>Grace & Co</b>"


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    settings = Settings(_env_file=None, data_dir=tmp_path)  # type: ignore[call-arg]

    async def caller(request: web.Request) -> CallerIdentity | None:
        return CallerIdentity(email="jo@example.com") if "X-In" in request.headers else None

    page = FrontPage(
        settings,
        replace(load(), title=TITLE),
        choose(settings),
        caller=caller,
        loaded=lambda: True,
        embedding=["https://example.com"],
        visitor_pass=lambda _request: "a-pass",
    )
    app = web.Application()
    page.setup(app)
    async with TestClient(TestServer(app), auto_decompress=False) as browser:
        yield browser


async def test_the_document_is_in_the_page_and_its_files_are_kept(client: Client) -> None:
    refused = await client.get("/", allow_redirects=False)
    assert (refused.status, refused.headers["Location"]) == (303, "/sign-in")
    answer = await client.get("/", headers={"X-In": "yes", "Accept-Encoding": "identity"})
    html = await answer.text()
    assert answer.headers["Cache-Control"] == "private, no-cache"
    shown = "&lt;/script&gt;&lt;b&gt;Grace &amp; Co&lt;/b&gt;"
    assert f'<h1 id="title" lang="en" dir="ltr">{shown}</h1>' in html
    assert TITLE not in html
    assert "She earned her PhD in mathematics from Yale University in 1934." in html
    (about,) = re.findall(r'id="about-data">(.*?)</script>', html)
    assert json.loads(about)["title"] == TITLE
    files = set(re.findall(r'(?:href|src)="(web/[^"]+)"', html))
    kinds = sorted(name.rpartition("/")[2] for name in files)
    assert kinds == ["early.js", "icon.svg", "index.bundle.css", "index.bundle.js"]
    for name in files:
        file = await client.get(f"/{name}", headers={"Accept-Encoding": "gzip"})
        body = await file.read()
        assert (file.status, file.headers["Cache-Control"]) == (200, FOREVER), name
        assert len(body) <= 70_000, name
    again = await client.get(f"/{name}", headers={"If-None-Match": file.headers["ETag"]})
    assert again.status == 304
    other = await client.get("/web/@0123/call/main.js")
    assert (other.status, other.headers["Cache-Control"]) == (200, "no-cache")
    for outside in ("/web/%2e%2e/server.py", "/web/@x/..%2f..%2fserver.py", "/web/no", "/web/call"):
        assert (await client.get(outside)).status == 404, outside


async def test_what_a_script_would_move_is_in_its_place_from_the_start(client: Client) -> None:
    answer = await client.get("/", headers={"X-In": "yes", "Accept-Encoding": "identity"})
    html = await answer.text()
    assert 'id="account">\n' in html
    assert '<span id="email">jo@example.com</span>' in html
    assert 'id="calls" hidden href' in html, "they are no admin"
    (about,) = re.findall(r'id="about-data">(.*?)</script>', html)
    suggested = "".join(
        f'<li><button type="button">{question}</button></li>'
        for question in json.loads(about)["suggestions"]
    )
    assert suggested
    assert f'<ul id="suggested" role="list" lang="en" dir="ltr">{suggested}</ul>' in html
    assert 'aria-labelledby="suggestions-title">' in html
    embedded = await client.get("/embed", headers={"Accept-Encoding": "identity"})
    assert 'id="account" hidden>' in await embedded.text(), "nobody is signed in there"


async def test_a_site_that_is_listed_embeds_the_page(client: Client) -> None:
    answer = await client.get("/embed", headers={"Accept-Encoding": "identity"})
    html = await answer.text()
    assert '<meta name="viva-visitor" content="a-pass">' in html
    assert '<body class="embedded" ' in html
    assert "jo@example.com" not in html, "nobody is signed in there"
    policy = answer.headers["Content-Security-Policy"]
    assert policy.endswith("frame-ancestors https://example.com")
    assert f"ws://{client.host}:{client.port}" in policy
    script = await client.get("/embed.js")
    assert script.headers["Access-Control-Allow-Origin"] == "*"


def test_a_changed_file_is_another_version(tmp_path: Path) -> None:
    (tmp_path / "main.js").write_text("import { a } from './a.js';\n")
    (tmp_path / "a.js").write_text("import { b } from './b.js';\nexport const a = b;\n")
    (tmp_path / "b.js").write_text("export const b = 1;\n")
    page = '<link rel="stylesheet" href="web/a.css">\n  <link rel="stylesheet" href="web/b.css">\n'
    module = '<script type="module" src="web/main.js"></script>\n'
    (tmp_path / "page.html").write_text(f"  {page}  {module}")
    (tmp_path / "a.css").write_text("a { color: red }")
    (tmp_path / "b.css").write_text("b { color: red }")
    files = WebFiles(tmp_path)
    before = files.version()
    assert files.page("page.html") == (
        '  <link rel="stylesheet" href="web/page.bundle.css">\n'
        '  <script type="module" src="web/page.bundle.js"></script>\n'
    )
    styles = files.read("page.bundle.css").content.decode()
    assert styles == "/* a.css */\na { color: red }\n/* b.css */\nb { color: red }\n"
    assert "const b = 1;" in files.read("page.bundle.js").content.decode()
    (tmp_path / "b.js").write_text("export const b = 22;\n")
    assert files.version() != before
    assert "const b = 22;" in files.read("page.bundle.js").content.decode()
    with pytest.raises(FileNotFoundError):
        files.read("other.bundle.js")
