"""Deque's axe-core on a page: which rules of WCAG 2.2 AA, and of good practice, it breaks."""

from pathlib import Path

import pytest
from playwright.sync_api import Page

SCRIPT = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
MISSING = "axe-core is missing: make axe, which needs npm"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

RUN = """(rules) => axe.run(document, { runOnly: rules }).then(({ violations }) =>
  violations.flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) =>
    `${id}: ${html.slice(0, 120)}: ${failureSummary}`)))"""


def violations(page: Page) -> list[str]:
    """Every place of the page that breaks a rule, with the rule."""
    if not SCRIPT.exists():
        pytest.skip(MISSING)
    if not page.evaluate("'axe' in window"):
        page.evaluate(SCRIPT.read_text(encoding="utf-8"))
    found: list[str] = page.evaluate(RUN, RULES)
    return found
