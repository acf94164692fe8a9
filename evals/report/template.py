"""Renders the report's templates into one file that loads nothing from a network."""

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

FOLDER = Path(__file__).parent / "templates"
"""The templates of the reports' pages."""


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
    )


def render(template: str, *, scripts: Sequence[str] = ("report.js",), **values: object) -> str:
    """Render a page with escaped values.

    Its style and script are inline, and its content security policy allows no others.

    Args:
        template: The template's name.
        scripts: The files that its script consists of.
        values: What the template is rendered with.
    """
    style = (FOLDER / "report.css").read_text("utf-8")
    script = "\n".join((FOLDER / name).read_text("utf-8") for name in scripts)
    policy = (
        "default-src 'none'; media-src data:; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src '{_hash(style)}'; script-src '{_hash(script)}'"
    )
    page = _environment().get_template(template)
    return page.render(style=Markup(style), script=Markup(script), policy=policy, **values)


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
