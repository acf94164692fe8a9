"""What the documents name is there: links, files, modules, targets of make."""

import re
import subprocess
import tomllib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`\n]+)`")
PATH = re.compile(r"\.?[\w-]+(?:/[\w.-]+)*/?")
MODULE = re.compile(r"[a-z_]+(?:\.[a-z_]+)*(?:\.[A-Z]\w*)?")
TARGET = re.compile(r"(?<![\w-])make ([a-z]+(?:-[a-z]+)*)(?=[`\s)]|$)", re.MULTILINE)


def kept(*patterns: str) -> list[Path]:
    """Files that are kept in git or about to be."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split("\n")  # fmt: skip
    return sorted({ROOT / name for name in listed if name and (ROOT / name).is_file()})


# Those that calls and evaluations answer from name what is made up.
TO_ANSWER_FROM = ("knowledge", "documents")
DOCUMENTS = [
    path
    for path in kept("*.md")
    if not set(TO_ANSWER_FROM).intersection(path.relative_to(ROOT).parts)
]
TOP = {path.relative_to(ROOT).parts[0] for path in kept() if path.parent != ROOT}
TEXT = (".md", ".py", ".toml", ".yaml", ".yml", ".html", ".js", ".j2", "")


def anchors(document: Path) -> set[str]:
    """The fragments that GitHub gives a document's headings."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", FENCE.sub("", document.read_text()), re.MULTILINE):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        again = sum(anchor == slug or re.fullmatch(rf"{re.escape(slug)}-\d+", anchor) is not None
                    for anchor in found)  # fmt: skip
        found.add(f"{slug}-{again}" if again else slug)
    return found


def named(document: Path) -> Iterator[str]:
    """What is set as code within the text of a document."""
    yield from CODE.findall(FENCE.sub("", document.read_text()))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_something(document: Path) -> None:
    for link in LINK.findall(FENCE.sub("", document.read_text())):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, fragment = link.partition("#")
        target = (document.parent / name) if name else document
        assert target.exists(), f"{document.name} links to {link}"
        if fragment and target.suffix == ".md":
            assert fragment in anchors(target), f"{document.name} links to {link}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_modules_that_are_named_exist(document: Path) -> None:
    for code in named(document):
        if "/" in code and PATH.fullmatch(code) and code.split("/")[0] in TOP:
            assert (ROOT / code).exists() or (document.parent / code).exists(), code
        elif "." in code and MODULE.fullmatch(code) and code.split(".")[0] in TOP:
            module, _, last = code.rpartition(".")
            spec = find_spec(module if last[0].isupper() or not _is_module(code) else code)
            assert spec is not None, code
            if spec.origin and (last[0].isupper() or not _is_module(code)):
                # A variable may be called as its package is: `conversation.turns` beside it.
                folders = spec.submodule_search_locations
                files = Path(folders[0]).glob("*.py") if folders else [Path(spec.origin)]
                assert any(re.search(rf"\b{last}\b", file.read_text()) for file in files), code


def _is_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def test_commands_of_make_that_are_named_exist() -> None:
    made = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for document in DOCUMENTS:
        if document.name == "CHANGELOG.md":
            continue
        code = "\n".join([*named(document), *FENCE.findall(document.read_text())])
        for target in TARGET.findall(code):
            assert target in made, f"{document.name} says make {target}"


def test_the_test_that_is_shown_is_run() -> None:
    blocks = re.findall(
        r"^```python\n(.*?)^```$",
        (ROOT / "docs/developing.md").read_text(),
        re.MULTILINE | re.DOTALL,
    )
    shown = [block for block in blocks if block.startswith("@with")]
    assert len(shown) == 1
    assert shown[0] in (ROOT / "tests/examples/test_a_call.py").read_text()


def test_no_wheel_is_promised() -> None:
    """Viva runs from its checkout: nothing tells anybody to install a package of that name."""
    promise = re.compile(r"pip3? install [^\n]*viva|uvx? [^\n]*viva[-_]voice|viva[-_]voice\[")
    for path in kept():
        if path == Path(__file__) or path.suffix not in TEXT or path.name == "pyproject.toml":
            continue
        found = promise.search(path.read_text(encoding="utf-8"))
        assert found is None, f"{path.relative_to(ROOT)} says {found and found[0]!r}"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "Private :: Do Not Upload" in project["classifiers"]


def test_the_changelog_begins_with_this_version() -> None:
    versions = re.findall(r"^## (\d\S*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert versions[0] == project["version"]
    assert versions == sorted(versions, reverse=True)
