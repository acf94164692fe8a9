"""Documents made to stop whoever loads them: each is refused in a sentence at once, or served."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from knowledge.loading import limits
from knowledge.loading.document import MAX_BYTES, Document, DocumentError, load

REFUSED_WITHIN_SECS = 2.0
"""Processor time; the slowest takes a tenth of it, or half when another program shares its core."""

BODY = "\n# Bakery\n\nWe bake rye bread.\n"
NAMED = {"basics": {"name": "Ada", "label": "Baker"}}


def yaml(fields: str) -> str:
    return f"---\n{fields}\n---\n{BODY}"


def toml(fields: str) -> str:
    return f"+++\n{fields}\n+++\n{BODY}"


def json_head(fields: str) -> str:
    return f"{{\n{fields}\n}}\n{BODY}"


def under(body: str) -> str:
    return f"# Bakery\n\nWe bake.\n\n{body}"


def resume(**fields: object) -> str:
    return json.dumps(NAMED | fields)


def aliases(first: str, each: str, levels: int = 9) -> str:
    """Each level repeats the one before nine times."""
    further = (
        f"a{level}: &a{level} " + each.replace("*", f"*a{level - 1}")
        for level in range(1, levels + 1)
    )
    return "\n".join((f"a0: &a0 {first}", *further))


NINE = "[" + ", ".join("*" * 9) + "]"
MERGED = "{<<: [" + ", ".join("*" * 9) + "], b: 1}"
DEEP = "nested more than 32 deep"
MANY = "more than 50000 values"

FRONT_MATTER = {
    "aliases that multiply": (yaml(aliases("[x, x]", NINE)), MANY),
    "and are used": (yaml(aliases("[x, x]", NINE) + "\nsources: *a9"), MANY),
    "merges that multiply": (yaml(aliases("{x: 1}", MERGED)), MANY),
    "a value in itself": (yaml("sources: &a [*a]"), "contains itself"),
    "a merge with itself": (yaml("a: &a\n  <<: *a\n  b: 1"), "contains itself"),
    "a chain of aliases": (yaml(aliases("[x]", "[*]", 200)), DEEP),
    "open lists": (yaml("a: " + "[" * 3000), DEEP),
    "lists": (yaml("a: " + "[" * 500 + "]" * 500), DEEP),
    "block lists": (yaml("- " * 10_000), DEEP),
    "maps": (yaml("a: " + "{a: " * 3000), DEEP),
    "keys of keys": (yaml("? " * 5000 + "a"), DEEP),
    "a number in hexadecimal": (yaml("title: 0x" + "f" * 30_000), "more than 300 digits"),
    "a number to base 60": (yaml("title: " + "1:" * 15_000 + "1"), "more than 300 digits"),
    "a fraction to base 60": (yaml("title: " + "1:" * 15_000 + "1.5"), "not what its tag says"),
    "a bool that is none": (yaml("title: !!bool abc"), "not what its tag says"),
    "a time that is none": (yaml("title: !!timestamp abc"), "not what its tag says"),
    "a month that is none": (yaml("title: 2024-99-99"), "no such date"),
    "a Python object": (yaml("title: !!python/object/apply:os.getcwd []"), "not YAML"),
    "too long": (yaml("".join(f"k{number}: 1\n" for number in range(9000))), "at most 32768"),
    "TOML's open lists": (toml("a = " + "[" * 30_000), DEEP),
    "TOML's lists": (toml("a = " + "[" * 300 + "]" * 300), DEEP),
    "TOML's tables": (toml("a = " + "{a=" * 5000), DEEP),
    "TOML's dots": (toml("a" + ".a" * 300 + " = 1"), DEEP),
    "TOML's number": (toml("title = 0x" + "f" * 30_000), "more than 300 digits"),
    "JSON's open lists": (json_head('"a": ' + "[" * 30_000), DEEP),
    "JSON's lists": (json_head('"a": ' + "[" * 500 + "]" * 500), DEEP),
    "JSON's number": (json_head('"a": ' + "9" * 4000), "more than 300 digits"),
}

MARKDOWN = {
    "8,000 headings": ("".join(f"# H {n}\n\nWe bake.\n\n" for n in range(8000)), "lines; at most"),
    "2,001 headings": (2001 * "## a\nb\n", "it has 2001 headings; at most 2000"),
    "empty headings": ("# \n" * 80_000, "at most 10000 are allowed"),
    "underlined headings": (2001 * "a\n=\n", "it has 2001 headings"),
    "old line ends": ("# T\r\rWe bake rye bread\r" * 5000, "lines; at most"),
    "a short line each": (under("- a b\n" * 40_000), "lines; at most"),
    "open brackets": (under("[" * 21_000), "has 21000 characters; at most 20000"),
    "open links": (under("[a](" * 6_000), "has 24000 characters"),
    "a title of links": ("# " + "[a" * 12_000 + "\n\nWe bake.", "has 24000 characters"),
    "a long title": ("# " + "a" * 600 + "\n\nWe bake.", "its title has 600 characters"),
    "a wide table": (under("|a" * 40_000 + "|\n" + "|-" * 40_000 + "|\n"), "more than 400 bars"),
    "a table of 200 columns": (under("|a" * 200 + "|\n" + "|-" * 200 + "|\n"), "100 columns"),
    "blanks in code": (under("```sh\na" + " " * 200_000 + "b\nc\nd\n```"), "blanks in a row"),
    "blanks in an item": (under("- a" + "\u3000" * 600 + "b"), "line 5 has more than 500 blanks"),
    "blanks in a task": (under("- [" + "\t" * 200_000 + "] a"), "blanks in a row"),
    "a byte order mark each": ("\ufeff" * 50_000 + "# T\n\nWe bake.", "characters; at most"),
    "nulls": ("\0" * 200_000, "has 200000 characters"),
    "only a title": ("# " + "*" * 900 + "\n", "nothing under them"),
}

RESUMES = {
    "open lists": ("[" * 200_000, DEEP),
    "open objects": ('{"a":' * 40_000, DEEP),
    "lists": ('{"basics": {"name": "A"}, "x": ' + "[" * 900 + "]" * 900 + "}", DEEP),
    "a name of lists": (resume(work=[{"name": json.loads("[" * 100 + "]" * 100)}]), DEEP),
    "a number of 100,000 digits": ('{"basics": {"name": ' + "9" * 100_000 + "}}", "300 digits"),
    "a number of 4,000 digits": (resume(work=[{"name": int("9" * 4000)}]), "300 digits"),
    "2,001 jobs": (resume(work=[{"name": "c"}] * 2001), "work has 2001 entries; at most 2000"),
    "2,001 numbers": (resume(work=[1] * 2001), "work has 2001 entries"),
    "many fields": (resume(work=[{f"k{n}": 1 for n in range(9)}] * 3000), MANY),
    "a long name": (
        resume(basics={"name": "A" * 600, "label": "x"}),
        "600 characters; at most 500",
    ),
}


HEAVY = {
    "a table of sparse rows": (
        "about.md",
        under("|a" * 100 + "|\n" + "|-" * 100 + "|\n" + "x\n" * 9000),
        "paragraphs, items and cells; at most 15000",
    ),
    "a table that repeats its header": (
        "about.md",
        under("|b|" + "w " * 9000 + "|\n|-|-|\n" + "|c|d|\n" * 5000),
        "more than 1000000 characters",
    ),
    "a table of HTML in one line": (
        "about.md",
        under("<table>" + "<tr><td>a" * 20_000),
        "more than 15000 paragraphs, items and rows",
    ),
    "highlights": ("about.json", resume(work=[{"highlights": ["a"] * 40_000}]), "at most 15000"),
    "sections in all": (
        "about.json",
        resume(work=["a"] * 1500, education=[{"area": "b"}] * 1500),
        "sections; at most 2000",
    ),
}


def read(folder: Path, name: str, text: str) -> Document:
    path = folder / name
    path.write_text(text, newline="")
    assert path.stat().st_size <= MAX_BYTES
    return load(path)


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        *(("about.md", *given) for given in FRONT_MATTER.values()),
        *(("about.md", *given) for given in MARKDOWN.values()),
        *(("about.json", *given) for given in RESUMES.values()),
        *(pytest.param(*given, marks=pytest.mark.thorough) for given in HEAVY.values()),
    ],
    ids=[*FRONT_MATTER, *MARKDOWN, *(f"resume: {name}" for name in RESUMES), *HEAVY],
)
def test_a_document_made_to_harm_is_refused_at_once_in_a_sentence(
    tmp_path: Path, name: str, text: str, why: str
) -> None:
    began = time.process_time()
    with pytest.raises(DocumentError, match=why) as refused:
        read(tmp_path, name, text)
    assert time.process_time() - began < REFUSED_WITHIN_SECS
    assert "\n" not in str(refused.value)
    assert str(refused.value).startswith(name)
    assert len(str(refused.value)) < 500


SERVED = {
    "aliases": yaml("a: &a {b: c}\nd: *a\ne:\n  <<: *a"),
    "a declaration that is none": under("<div>\n<![bad\n</div>\n\nWe bake buns."),
    "a comment that never ends": under("<!-- asked: " * 9000),
    "quotes in quotes": under("> " * 9000 + "We bake buns."),
    "lists in lists": under("- " * 9000 + "We bake buns."),
    "stars": under("*a **b " * 2000),
    "entities": under("&#x10FFFF;" * 1500),
    "HTML that never ends": under("<ul><li>a\n" * 3000),
    "accents on one letter": under("a" + "\u0301" * 9000 + " We bake buns."),
    "the same heading": "# Bakery\n\n" + "## Buns\n\nWe bake.\n\n" * 150,
    "an emphasis of emphases": under("**a " * 2500 + " a**" * 2500),
    "references": under("".join(f"[a{n}]: b\n" for n in range(500)) + "\n[a1]"),
}


@pytest.mark.parametrize("text", SERVED.values(), ids=SERVED)
def test_a_document_that_is_only_odd_is_served(tmp_path: Path, text: str) -> None:
    document = read(tmp_path, "about.md", text)
    assert "We bake" in " ".join(line.text for part in document.sections for line in part.lines)
    assert len(set(document.section_ids)) == len(document.sections)


def test_fields_that_are_left_out_do_not_fill_the_log(tmp_path: Path) -> None:
    jobs = [{"name": "c", "startDate": "someday"}] * 300
    document = read(tmp_path, "about.json", resume(work=jobs))
    assert len(document.skipped) == 101
    assert document.skipped[-1] == "about.json: 200 further fields are left out"


def test_a_resume_gives_each_value_the_line_that_it_stands_on(tmp_path: Path) -> None:
    text = (
        '{"basics": {"name": "A\\"d{a", "label": "x"},\n"x": [[1, {}], "]", null],\n'
        '"work":\n[{"name": "c",\n"highlights": ["a [b]",\n"c: d", "e\\\\"]},\n{"name": "f"}]}'
    )
    document = read(tmp_path, "about.json", text)
    numbers = {line.text: line.number for part in document.sections for line in part.lines}
    assert (numbers["a [b]."], numbers["c: d."], numbers["e\\."]) == (5, 6, 6)
    assert numbers['A"d{a works at f.'] == 7


@pytest.mark.thorough
@pytest.mark.parametrize("make", [under, yaml, toml, json_head, resume], ids=lambda f: f.__name__)
@pytest.mark.parametrize(
    "unit", ["[", "{", "*", "`", "<", "|", "&", "-", "1", "a.", "\\", '"', "'"]
)
def test_any_sign_as_often_as_it_fits_is_refused_or_served(
    tmp_path: Path, make: Callable[..., str], unit: str
) -> None:
    many = unit * (240_000 // len(unit))
    text = make(x=many)[: MAX_BYTES - 1000] if make is resume else make(many)
    try:
        document = read(tmp_path, "about.json" if make is resume else "about.md", text)
    except DocumentError as refused:
        assert len(str(refused)) < limits.MAX_TITLE_CHARS  # noqa: PT017 - or it is served
    else:
        assert document.sections
