"""What the server renders of a document is what the page would make of it."""

from typing import Any

import pytest
from playwright.sync_api import Page

from tests.web.scene import ABOUT, DOCUMENT
from transports.front_page import WEB
from transports.front_page_html import render

pytestmark = pytest.mark.browser

BOTH = """async ([html, document_]) => {
  const { DocumentView } = await import('/web/call/document.js');
  const rendered = new DOMParser().parseFromString(html, 'text/html').querySelector('main');
  const made = document.createElement('main');
  new DocumentView(made).set(document_);
  return [rendered, made].map((main) => {
    for (const element of main.querySelectorAll('*')) {
      const attributes = [...element.attributes].map(({ name, value }) => [name, value]);
      attributes.sort();
      for (const [name] of attributes) element.removeAttribute(name);
      for (const [name, value] of attributes) element.setAttribute(name, value);
    }
    return main.innerHTML;
  });
}"""


def test_the_server_writes_the_document_as_the_page_does(blank: Page) -> None:
    odd: dict[str, Any] = {
        "id": "a/b c's <d>",
        "title": "A & <b>",
        "level": 5,
        "lines": [
            {"number": number, "kind": kind, "text": f"{kind} <i>{number}</i> & 'so' \"on\""}
            for number, kind in enumerate(["heading", "text", "text", "item", "item", "text"], 90)
        ],
    }
    told = DOCUMENT | {"sections": [*DOCUMENT["sections"], odd]}
    template = (WEB / "call" / "index.html").read_text("utf-8")
    html = render(template, ABOUT, told, version="v")
    rendered, made = blank.evaluate(BOTH, [html, told])
    assert rendered == made
