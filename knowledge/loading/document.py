"""The document that calls are answered from, and its loading from a file."""

import hashlib
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path

from knowledge.claims import MONTHS
from knowledge.loading import frontmatter, limits, markdown, resume
from knowledge.loading.person import is_about_person
from knowledge.loading.section import (
    DocumentError,
    Line,
    LineKind,
    Persona,
    Section,
    SensitiveTopic,
)
from knowledge.words import STOPWORDS, tokens, unique

__all__ = [
    "MAX_BYTES",
    "Document",
    "DocumentError",
    "Line",
    "LineKind",
    "Persona",
    "Section",
    "SensitiveTopic",
    "load",
]

MAX_BYTES = 250_000
"""Size limit of a document in bytes, about forty thousand words."""

_BUNDLED = "grace-hopper.md"


@dataclass(frozen=True)
class Document:
    """A document, its persona and its limits. Immutable; shared by all calls of a process.

    Parameters:
        title: The subject, such as ``"Grace Hopper"``.
        subtitle: One line under it; may be empty.
        language: BCP 47 tag, such as ``"en"``.
        sections: In the order of the source; never empty.
        persona: Who speaks for it.
        sensitive: Topics that are refused.
        sources: Published sources of its facts.
        name: File name, without the directory.
        sha256: Of the file's bytes, in hexadecimal.
        ignored: Names of front matter fields that belong to other tools.
        about_person: Whether it is a person's CV, which has sensitive topics by default.
        skipped: A sentence on each part that could not be used.
    """

    title: str
    subtitle: str
    language: str
    sections: tuple[Section, ...]
    persona: Persona
    sensitive: tuple[SensitiveTopic, ...]
    sources: tuple[str, ...]
    name: str
    sha256: str
    ignored: tuple[str, ...] = ()
    about_person: bool = False
    skipped: tuple[str, ...] = ()

    @property
    def section_ids(self) -> tuple[str, ...]:
        """Ids of all sections, in the order of the source."""
        return tuple(section.id for section in self.sections)

    @cached_property
    def signs(self) -> str:
        """Every character of its text, without repeats: the script that a voice may be given."""
        text = "".join(line.text for section in self.sections for line in section.lines)
        return "".join(sorted({*text, *self.title, *self.persona.name, *self.persona.greeting}))

    def section(self, id: str) -> Section:
        """The section with that id.

        Raises:
            KeyError: There is none; the message lists those that exist.
        """
        for section in self.sections:
            if section.id == id:
                return section
        known = ", ".join(self.section_ids)
        raise KeyError(f"{self.name} has no section {id!r}; it has: {known}")

    def proper_nouns(self) -> tuple[str, ...]:
        """Names that a recognizer should know, most useful first, without repeats.

        First the title, then names that no dictionary contains (``FLOW-MATIC``, ``A-0``), then the
        others by frequency.
        """
        counted: Counter[str] = Counter()
        for section in self.sections:
            for line in section.lines:
                if line.kind != "heading":
                    counted.update(_names(line.text))
        ranked = sorted(counted, key=lambda name: (not _odd(name), -counted[name]))
        title = [self.title] if any(c.isupper() for c in self.title) else []
        seen: dict[str, str] = {}
        for name in [*title, *ranked]:
            seen.setdefault(name.lower(), name)
        return tuple(seen.values())


def load(path: Path | None = None) -> Document:
    """Load a Markdown file with headings, or a JSON Resume (``.json``, of any schema).

    Parameters:
        path: The file; ``None`` for the bundled CV of Grace Hopper.

    Raises:
        DocumentError: The file cannot be used; the message is one sentence that says why.
    """
    if path is None:
        name = _BUNDLED
        raw = resources.files("knowledge").joinpath(name).read_bytes()
    else:
        name = path.name
        raw = _read(path)
    try:
        source = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise DocumentError(f"{name}: it is not UTF-8 text (line {line})") from error
    if not source.strip():
        raise DocumentError(f"{name}: it is empty")
    source = source.replace("\r\n", "\n").replace("\r", "\n")
    return _document(source, name, hashlib.sha256(raw).hexdigest())


def _read(path: Path) -> bytes:
    if path.is_dir():
        raise DocumentError(f"{path}: it is a directory; name a Markdown file or a JSON Resume")
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for whoever writes to it
            raise DocumentError(f"{path}: it is not a file, but a pipe, a device or a socket")
        size = status.st_size
        if size > MAX_BYTES:
            raise DocumentError(f"{path}: it has {size} bytes; at most {MAX_BYTES} are allowed")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise DocumentError(f"{path}: there is no such file") from error
    except OSError as error:
        raise DocumentError(f"{path}: it cannot be read: {error.strerror}") from error


def _document(source: str, name: str, sha256: str) -> Document:
    if name.lower().endswith(".json"):
        head, ignored = frontmatter.parse_front_matter("", name)
        title, subtitle, sections, skipped = resume.parse_resume(source, name)
        about_person = True
    else:
        try:
            front, body = markdown.split_front_matter(source)
        except markdown.FrontMatterError as error:
            raise DocumentError(f"{name}: {error}") from error
        head, ignored = frontmatter.parse_front_matter(front.text, name, form=front.form)
        try:
            title, sections = markdown.parse_markdown(body, offset=front.lines)
        except limits.LimitError as error:
            raise DocumentError(f"{name}: {error}") from error
        skipped = ()
        if not title:
            raise DocumentError(f"{name}: it has no headings; answers cite the sections under them")
        title, subtitle = head.title or title, head.subtitle
        about_person = is_about_person(title, sections)
    if not any(line.kind != "heading" for section in sections for line in section.lines):
        raise DocumentError(f"{name}: it has headings, but nothing under them to answer from")
    if len(sections) > limits.MAX_SECTIONS:
        raise DocumentError(
            f"{name}: it has {len(sections)} sections; at most {limits.MAX_SECTIONS} are allowed"
        )
    lines = sum(len(section.lines) for section in sections)
    if lines > limits.MAX_BLOCKS:
        raise DocumentError(
            f"{name}: it has {lines} lines as it is told; at most {limits.MAX_BLOCKS} are allowed"
        )
    if len(title) > limits.MAX_TITLE_CHARS:
        raise DocumentError(
            f"{name}: its title has {len(title)} characters; at most {limits.MAX_TITLE_CHARS} "
            "are allowed"
        )
    tongue = head.language.split("-")[0]
    if about_person and head.sensitive is None and tongue not in frontmatter.LISTED_LANGUAGES:
        skipped = (
            *skipped,
            f"{name}: sensitive topics are known in {', '.join(frontmatter.LISTED_LANGUAGES)}; "
            f"name those that are not told in {tongue} under `sensitive`, with phrases",
        )
    return Document(
        title=title,
        subtitle=subtitle,
        language=head.language,
        sections=sections,
        persona=head.speaker(title),
        sensitive=head.topics(about_person=about_person),
        sources=tuple(head.sources),
        name=name,
        sha256=sha256,
        ignored=ignored,
        about_person=about_person,
        skipped=skipped,
    )


def _names(text: str) -> Iterator[str]:
    """Runs of capitalized words that do not merely open a sentence."""
    run: list[str] = []
    for token in tokens(text):
        named = (
            token.text[0].isupper()
            and (not token.initial or _odd(token.text))
            and token.key not in STOPWORDS
            and token.key not in MONTHS
        )
        touching = not run or text[token.start - 1 : token.start] == " "
        if named and touching:
            run.append(token.text.removesuffix("'s"))
            continue
        if run:
            yield " ".join(run)
        run = [token.text.removesuffix("'s")] if named else []
    if run:
        yield " ".join(run)


def _odd(name: str) -> bool:
    return any(
        len(word) > 1 and (any(c.isupper() for c in word[1:]) or any(c.isdigit() for c in word))
        for word in unique(name.split())
    )
