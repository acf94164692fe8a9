"""The templates of pages and mails, filled in."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=select_autoescape(("html.j2",)),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    auto_reload=False,
)


def render(template: str, **values: object) -> str:
    """A template with its values filled in; escaped where it is HTML (``.html.j2``)."""
    return _TEMPLATES.get_template(template).render(values)
