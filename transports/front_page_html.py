"""Renders the document into the page, so that it can be read before a script has run.

The markup of a section is the one that ``web/call/document.js`` makes, which takes its place.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

_RIGHT_TO_LEFT = ("ar", "ckb", "dv", "fa", "he", "ks", "ps", "sd", "ug", "ur", "yi")
"""As in ``web/call/script.js``."""


def render(
    template: str,
    about: Mapping[str, Any],
    document: Mapping[str, Any],
    *,
    version: str,
    visitor: str = "",
) -> str:
    """Fill in the page.

    Args:
        template: ``web/call/index.html``, as it is to be loaded.
        about: What ``about.json`` says.
        document: What ``document.json`` says.
        version: The version of the page's files.
        visitor: The pass of a visitor of another site, in whose page this is embedded.
    """
    name = about["persona"]["name"]
    language = document["language"] or "en"
    told = f'lang="{escape(language)}" dir="{_direction(language)}"'
    fills = (
        (r"(<title>)[^<]*", f"{about['title']} — call {name}"),
        (r'(<h1 id="title")>[^<]*', f" {told}>{escape(about['title'])}"),
        (r'(<p id="subtitle")>[^<]*', f" {told}>{escape(about['subtitle'])}"),
        (r'(<ul id="suggested" role="list")>', f" {told}>"),
        (r'(<span id="who">)[^<]*', name),
        (r'(<button type="button" id="press">)[^<]*', f"Call {name}"),
    )
    page = template
    for pattern, text in fills:
        filled = text if text.startswith(" lang") else escape(text)
        page, count = re.subn(pattern, lambda found, text=filled: found[1] + text, page, count=1)  # type: ignore[misc]
        assert count, f"{pattern} is not in the page"
    sections = "".join(
        _section(section, document["title"]) for section in document["sections"]
    ) + _sources(document["sources"])
    page = re.sub(
        r'(<main id="document"[^>]*)>.*?</main>',
        lambda found: f"{found[1]} {told}>{sections}</main>",
        page,
        count=1,
        flags=re.DOTALL,
    )
    page = _shown(page, about)
    data = "".join(
        f'  <script type="application/json" id="{id}">{_json(value)}</script>\n'
        for id, value in (("about-data", about), ("document-data", document))
    )
    if visitor:
        data += f'  <meta name="viva-visitor" content="{escape(visitor)}">\n'
        data += '  <link rel="stylesheet" href="web/call/embed.css">\n'
        page = page.replace("<body ", '<body class="embedded" ', 1)
    page = page.replace("</head>", f"{data}</head>", 1)
    return re.sub(r'((?:href|src)=")web/', rf"\1web/@{version}/", page)


def _shown(page: str, about: Mapping[str, Any]) -> str:
    """Show what stands above or among the rest, which would move when a script showed it later."""
    account, suggestions = about.get("account") or {}, about.get("suggestions") or []
    signed_in = account.get("auth") == "link" and bool(account.get("email"))
    changes = []
    if signed_in or account.get("admin"):
        changes.append(('id="account" hidden>', 'id="account">'))
    if not account.get("admin"):
        changes.append(('id="calls" href', 'id="calls" hidden href'))
    if signed_in:
        changes.append(('<span id="email">', f'<span id="email">{escape(account["email"])}'))
    if suggestions:
        items = "".join(
            f'<li><button type="button">{escape(question)}</button></li>'
            for question in suggestions
        )
        titled = 'aria-labelledby="suggestions-title"'
        changes.append((f"{titled} hidden>", f"{titled}>"))
        page = re.sub(r'<ul id="suggested"[^>]*>', lambda found: found[0] + items, page, count=1)
    for before, after in changes:
        assert page.count(before) == 1, f"{before} is not in the page once"
        page = page.replace(before, after)
    return page


def _json(value: Mapping[str, Any]) -> str:
    """JSON that cannot end its element."""
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")


def _direction(language: str) -> str:
    return "rtl" if language.partition("-")[0].lower() in _RIGHT_TO_LEFT else "ltr"


def _section(section: Mapping[str, Any], title: str) -> str:
    level = section["level"]
    tag = f"h{min(6, max(2, level))}"
    unseen = ' class="unseen"' if level == 1 and section["title"] == title else ""
    anchor = "section-" + re.sub(r"[^\w-]+", "-", section["id"], flags=re.ASCII)
    return (
        f'<section data-id="{escape(section["id"])}" id="{anchor}" data-level="{level}">'
        f'<div class="head"><{tag}{unseen}>{escape(section["title"])}</{tag}>'
        f'<p class="mark" lang="en" hidden></p></div>{"".join(_blocks(section["lines"]))}</section>'
    )


def _blocks(lines: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    block, before = "", -1
    for line in lines:
        if line["kind"] == "heading":
            continue
        tag = "ul" if line["kind"] == "item" else "p"
        goes_on = block == tag and (tag == "ul" or line["number"] == before + 1)
        if not goes_on:
            yield (f"</{block}>" if block else "") + f"<{tag}>"
            block = tag
        elif tag == "p":
            yield " "
        inner = "li" if tag == "ul" else "span"
        number, text = line["number"], escape(line["text"])
        yield f'<{inner} data-number="{number}" class="line">{text}</{inner}>'
        before = line["number"]
    if block:
        yield f"</{block}>"


def _sources(sources: Sequence[str]) -> str:
    if not sources:
        return ""
    items = "".join(f"<li>{_source(source)}</li>" for source in sources)
    return f"<footer><h2>Sources</h2><ol>{items}</ol></footer>"


def _source(source: str) -> str:
    found = re.search(r"https?://\S+", source)
    if found is None:
        return escape(source)
    shown = re.sub(r"^https?://(www\.)?", "", found[0])
    link = f'<a href="{escape(found[0])}" rel="noreferrer">{escape(shown)}</a>'
    return f"{escape(source[: found.start()])}{link}{escape(source[found.end() :])}"
