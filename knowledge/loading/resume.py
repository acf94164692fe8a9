"""Turns a JSON Resume into sections of sentences.

Contact details and references are omitted on purpose: they are not for callers.
See https://jsonresume.org/schema for the fields.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import ValidationError

from knowledge.loading import limits
from knowledge.loading.frontmatter import complaint
from knowledge.loading.markdown import DistinctIds, slug
from knowledge.loading.resume_schema import (
    Award,
    Basics,
    Certificate,
    Education,
    Interest,
    Language,
    Part,
    Project,
    Publication,
    Resume,
    Skill,
    Spell,
    Volunteer,
    Work,
)
from knowledge.loading.section import DocumentError, Line, LineKind, Section
from knowledge.telling import is_clause
from knowledge.words import spaced

_MONTHS = spaced(
    "January February March April May June July August September October November December"
)
# Typical questions about each part of a resume.
_ASKED = {
    part: tuple(f"{question}?" for question in questions.split("? "))
    for part, questions in {
        "about": "Who is she? What does she do? Where is she based? Where does she live",
        "work": "Where did she work? What was her job? What experience does she have? "
        "What was her career",
        "volunteering": "Does she volunteer? What voluntary work has she done",
        "education": "Where did she study? What degree does she have? What did she study? "
        "Which university did she go to? What are her qualifications",
        "projects": "What projects has she worked on? What has she built",
        "awards": "What awards has she won? Has she received any prizes or honours",
        "certificates": "What certificates does she hold? Is she certified",
        "publications": "What has she published? Has she written any papers or books",
        "skills": "What skills does she have? What is she good at? Which tools does she know",
        "languages": "Which languages does she speak",
        "interests": "What are her hobbies? What are her interests? What does she do for fun",
    }.items()
}

_NOW = (
    "Where does she work now?",
    "Who does she work for?",
    "What is her current job?",
    "What is her role now?",
)

_MOST_SKIPPED = 100  # each is a line of the log

Path = tuple[str | int, ...]


_PARTS: Mapping[str, type[Part]] = {
    "work": Work,
    "volunteer": Volunteer,
    "education": Education,
    "projects": Project,
    "awards": Award,
    "certificates": Certificate,
    "publications": Publication,
    "skills": Skill,
    "languages": Language,
    "interests": Interest,
}


def parse_resume(source: str, name: str) -> tuple[str, str, tuple[Section, ...], tuple[str, ...]]:
    """Parse a JSON Resume into title, subtitle, sections, and a sentence on each skipped field.

    Parameters:
        source: The file's text.
        name: The file's name, for messages.

    Raises:
        DocumentError: It is not JSON, or has no name.
    """
    try:
        found = json.loads(source)
        limits.check_values(found)
    except json.JSONDecodeError as error:
        raise DocumentError(
            f"{name}: it is not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        ) from error
    except limits.LimitError as error:
        raise DocumentError(f"{name}: it cannot be used: {error}") from error
    except RecursionError as error:
        raise DocumentError(
            f"{name}: it cannot be used: it is nested more than {limits.MAX_DEPTH} deep"
        ) from error
    except ValueError as error:
        raise DocumentError(
            f"{name}: it cannot be used: a number has more than {limits.MAX_DIGITS} digits"
        ) from error
    if not isinstance(found, dict):
        raise DocumentError(f"{name}: it is a JSON {type(found).__name__}; it must be an object")
    numbers = _numbers(source)
    reader = _Reader(name, numbers)
    basics = reader.part(Basics, found.get("basics") or {}, ("basics",))
    if basics is None or not basics.name:
        raise DocumentError(
            f"{name}: JSON Resume field basics.name is missing: whose resume is it?"
        )
    parts = {field: reader.parts(model, found, field) for field, model in _PARTS.items()}
    read: dict[str, Any] = {"basics": basics, **parts}
    resume = Resume.model_construct(**read)
    sections = tuple(_Told(resume, numbers).sections())
    skipped = reader.skipped[:_MOST_SKIPPED]
    if further := len(reader.skipped) - len(skipped):
        skipped.append(f"{name}: {further} further fields are left out")
    return basics.name, basics.label, sections, tuple(skipped)


_P = TypeVar("_P", bound=Part)


class _Reader:
    """Reads parts; skips and names the fields that are invalid."""

    def __init__(self, name: str, numbers: "dict[Path, int]") -> None:
        self._name = name
        self._numbers = numbers
        self.skipped: list[str] = []

    def parts(self, model: type[_P], found: dict[str, Any], field: str) -> list[_P | None]:
        """Every entry of a list; ``None`` for an invalid one."""
        entries = found.get(field)
        if entries in (None, ""):
            return []
        if isinstance(entries, dict):
            entries = [entries]
        if not isinstance(entries, list):
            self._skip((field,), f"it is {str(entries)[:40]!r}, not a list")
            return []
        if len(entries) > limits.MAX_SECTIONS:
            raise DocumentError(
                f"{self._name}: JSON Resume field {field} has {len(entries)} entries; at most "
                f"{limits.MAX_SECTIONS} are allowed"
            )
        return [
            self.part(model, {"name": entry} if isinstance(entry, str) else entry, (field, at))
            for at, entry in enumerate(entries)
        ]

    def part(self, model: type[_P], entry: Any, path: "Path") -> _P | None:
        """One part, without its invalid fields."""
        if not isinstance(entry, dict):
            if entry is not None:
                self._skip(path, f"it is {str(entry)[:40]!r}, not an object")
            return None
        given = dict(entry)
        while True:
            try:
                return model.model_validate(given)
            except ValidationError as error:
                first = error.errors()[0]
                field = str(first["loc"][0])
                wrong = next(
                    (
                        name
                        for name in (field, *(b for b, n in model.once.items() if n == field))
                        if name in given
                    ),
                    None,
                )
                reason = complaint(error, "JSON Resume field").rpartition("; ")[2]
                self._skip((*path, field), reason)
                if wrong is None:
                    return None
                del given[wrong]

    def _skip(self, path: "Path", reason: str) -> None:
        at = path
        while at and at not in self._numbers:
            at = at[:-1]
        field = ".".join(str(part) for part in path)
        line = self._numbers.get(at, 1)
        self.skipped.append(
            f"{self._name}, line {line}: JSON Resume field {field} is left out: {reason}"
        )


class _Told:
    """Writes the sections of one resume. Every sentence names the subject and stands alone."""

    def __init__(self, resume: Resume, numbers: dict[Path, int]) -> None:
        self._resume = resume
        self._numbers = numbers
        self._who = resume.basics.name

    def sections(self) -> Iterator[Section]:
        resume, who = self._resume, self._who
        taken = DistinctIds()
        for title, path, lines in self._told(resume, who):
            if not lines:
                continue
            id = taken.add("/".join(slug(part) for part in title))
            number = self._at(path)
            now = f"{who} works at "
            yield Section(
                id=id,
                title=title[-1],
                level=len(title),
                questions=_ASKED.get(slug(title[0]), ()),
                lines=(
                    Line(number, title[-1], "heading", id),
                    *(
                        Line(self._at(at), text, kind, id, _NOW if text.startswith(now) else ())
                        for at, text, kind in lines
                    ),
                ),
            )

    def _told(
        self, resume: Resume, who: str
    ) -> Iterator[tuple[tuple[str, ...], Path, list[tuple[Path, str, LineKind]]]]:
        basics = resume.basics
        about: list[tuple[Path, str, LineKind]] = []
        if basics.label:
            about.append((("basics", "label"), f"{who} is {_article(basics.label)}.", "text"))
        if basics.summary:
            about.append((("basics", "summary"), _stop(basics.summary), "text"))
        if basics.location and (place := _join(basics.location.city, basics.location.region)):
            about.append((("basics", "location"), f"{who} is based in {place}.", "text"))
        yield ("About",), ("basics",), about

        for at, job in enumerate(resume.work):
            if job is None:
                continue
            place = job.name or "an employer"
            text = f"{who} {'worked' if job.endDate else 'works'} at {place}"
            text += f" as {_article(job.position)}" if job.position else ""
            text += f" in {job.location}" if job.location else ""
            note = [(("work", at, "description"), job.description)]
            yield ("Work", place), ("work", at), self._spell(("work", at), text, job, note)
        for at, post in enumerate(resume.volunteer):
            if post is None:
                continue
            place = post.organization or "an organisation"
            text = f"{who} volunteered at {place}"
            text += f" as {_article(post.position)}" if post.position else ""
            yield (
                ("Volunteering", place),
                ("volunteer", at),
                self._spell(("volunteer", at), text, post),
            )
        for at, school in enumerate(resume.education):
            if school is None:
                continue
            place = school.institution or "a school"
            text = (
                f"{who} studied {school.area} at {place}"
                if school.area
                else f"{who} studied at {place}"
            )
            text += f" for {_article(school.studyType)}" if school.studyType else ""
            note = [
                (
                    ("education", at, "score"),
                    f"The score there was {school.score}" if school.score else "",
                )
            ]
            if school.courses:
                courses = f"Courses at {place} included {_listed(school.courses)}"
                note.append((("education", at, "courses"), courses))
            yield (
                ("Education", place),
                ("education", at),
                self._spell(("education", at), text, school, note),
            )
        for at, project in enumerate(resume.projects):
            if project is None:
                continue
            title = project.name or "a project"
            text = f"{who} worked on {title}"
            text += f" as {_listed(project.roles)}" if project.roles else ""
            text += f" for {project.entity}" if project.entity else ""
            note = [(("projects", at, "description"), project.description)]
            if project.keywords:
                used = f"{title} used {_listed(project.keywords)}"
                note.append((("projects", at, "keywords"), used))
            yield (
                ("Projects", title),
                ("projects", at),
                self._spell(("projects", at), text, project, note),
            )

        yield from self._lists(resume, who)

    def _lists(
        self, resume: Resume, who: str
    ) -> Iterator[tuple[tuple[str, ...], Path, list[tuple[Path, str, LineKind]]]]:
        yield self._list(
            "Awards", "awards", [self._award(award) if award else "" for award in resume.awards]
        )
        yield self._list(
            "Certificates",
            "certificates",
            [self._certificate(c) if c else "" for c in resume.certificates],
        )
        yield self._list(
            "Publications",
            "publications",
            [self._publication(p) if p else "" for p in resume.publications],
        )
        yield self._list(
            "Skills", "skills", [_skill(skill) if skill else "" for skill in resume.skills]
        )
        spoken = [
            f"{who} speaks {language.language}"
            + (f": {language.fluency}" if language.fluency else "")
            if language and language.language
            else ""
            for language in resume.languages
        ]
        yield self._list("Languages", "languages", spoken)
        liked = [
            f"{who} is interested in {interest.name}"
            + (f": {_listed(interest.keywords)}" if interest.keywords else "")
            if interest and interest.name
            else ""
            for interest in resume.interests
        ]
        yield self._list("Interests", "interests", liked)

    def _spell(
        self, path: Path, opening: str, spell: Spell, notes: Iterable[tuple[Path, str]] = ()
    ) -> list[tuple[Path, str, LineKind]]:
        text = opening + _when(spell.startDate, spell.endDate)
        lines: list[tuple[Path, str, LineKind]] = [(path, _stop(text), "text")]
        lines.extend((at, _stop(note), "text") for at, note in notes if note)
        if spell.summary:
            lines.append(((*path, "summary"), _stop(spell.summary), "text"))
        for at, highlight in enumerate(spell.highlights):
            if highlight:
                lines.append(((*path, "highlights", at), _stop(highlight), "item"))
        return lines

    def _list(
        self, title: str, field: str, texts: Sequence[str]
    ) -> tuple[tuple[str, ...], Path, list[tuple[Path, str, LineKind]]]:
        lines: list[tuple[Path, str, LineKind]] = [
            ((field, at), _stop(text), "item") for at, text in enumerate(texts) if text
        ]
        return (title,), (field,), lines

    def _award(self, award: Award) -> str:
        text = f"{self._who} received {award.title}" if award.title else ""
        text += f" from {award.awarder}" if text and award.awarder else ""
        return text and text + _on(award.date) + _after(award.summary)

    def _certificate(self, certificate: Certificate) -> str:
        text = f"{self._who} holds the certificate {certificate.name}" if certificate.name else ""
        text += f" from {certificate.issuer}" if text and certificate.issuer else ""
        return text and text + (f", dated {_date(certificate.date)}" if certificate.date else "")

    def _publication(self, work: Publication) -> str:
        text = f"{self._who} published {work.name}" if work.name else ""
        text += f" with {work.publisher}" if text and work.publisher else ""
        return text and text + _on(work.releaseDate) + _after(work.summary)

    def _at(self, path: Path) -> int:
        while path and path not in self._numbers:
            path = path[:-1]
        return self._numbers.get(path, 1)


def _skill(skill: Skill) -> str:
    text = skill.name
    text += f" ({skill.level.lower()})" if text and skill.level else ""
    return f"{text}: {_listed(skill.keywords)}" if skill.keywords else text


_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],]|[^\s"{}\[\],:]+|[:\n]', re.DOTALL)


def _numbers(source: str) -> dict[Path, int]:
    """Source line of every value by path; the source must be JSON."""
    found: dict[Path, int] = {}
    line = 1
    path: list[str | int] = []
    awaits_name = False  # in an object, before the name of a field
    for match in _TOKEN.finditer(source):
        token = match[0]
        if token == "\n":
            line += 1
        elif token == ",":
            place = path[-1]
            if isinstance(place, int):
                path[-1] = place + 1
            else:
                awaits_name = True
        elif token in "}]":
            path.pop()
        elif awaits_name and token[0] == '"':
            path[-1] = json.loads(token)
        elif token == ":":
            awaits_name = False
        else:
            found[tuple(path)] = line
            if token in "{[":
                path.append("" if token == "{" else 0)
                awaits_name = token == "{"
    return found


def _date(date: str) -> str:
    year, *rest = date.split("-")
    if not rest or not 1 <= int(rest[0]) <= 12:
        return year
    month = _MONTHS[int(rest[0]) - 1]
    return f"{month} {year}" if len(rest) == 1 else f"{int(rest[1])} {month} {year}"


def _when(start: str | None, end: str | None) -> str:
    if start and end:
        return f" from {_date(start)} to {_date(end)}"
    if start:
        return f" since {_date(start)}"
    return f" until {_date(end)}" if end else ""


def _after(summary: str) -> str:
    """A summary after a sentence: of its own, or the end of it ("for her work on COBOL")."""
    if not summary:
        return ""
    if re.match(r"(?:For|In|At|With|By|On|As)\b", summary) and not is_clause(summary):
        return f", {summary[0].lower()}{summary[1:]}"
    return f". {summary}"


def _on(date: str | None) -> str:
    if not date:
        return ""
    return f" {'on' if date.count('-') == 2 else 'in'} {_date(date)}"


def _listed(items: Sequence[str]) -> str:
    items = [item for item in items if item]
    return (
        items[0]
        if len(items) == 1
        else ", ".join(items[:-1]) + " and " + items[-1]
        if items
        else ""
    )


def _join(*items: str) -> str:
    return ", ".join(item for item in items if item)


def _article(words: str) -> str:
    return f"{'an' if words[:1].lower() in 'aeiou' else 'a'} {words}"


def _stop(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
