"""The fields of JSON Resume that Viva uses, of every version of its schema.

Before 1.0 an employer was a ``company``, a score a ``gpa``, and a place often plain text. Real
files have dates in any form, numbers in place of texts, and Markdown or HTML in texts. See
https://jsonresume.org/schema.
"""

import re
from datetime import date
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from knowledge.claims import MONTHS
from knowledge.loading.markdown import plain_text

_ISO = re.compile(r"^((?:1|2)\d{3})(?:[-/.](\d{1,2})(?:[-/.](\d{1,2}))?)?(?:[T ].*)?$")
_MONTH_FIRST = re.compile(r"^(\d{1,2})[-/.]((?:1|2)\d{3})$")
_WORDS = re.compile(
    r"(?:(\d{1,2})(?:st|nd|rd|th)?\.?\s+)?([A-Za-z]+)\.?(?:\s+(\d{1,2})(?:st|nd|rd|th)?)?,?\s+((?:1|2)\d{3})"
)
_NOW = frozenset(
    (
        *("present", "now", "current", "currently", "today", "ongoing", "tbd", "n/a", "none"),
        *("heute", "aujourd'hui", "actualidad", "oggi", "-", "\u2013", "\u2014", "...", "\u2026"),
    )
)


def _date(value: Any) -> str | None:
    """Convert a date to ISO 8601, as far as it is known; ``None`` for no date or "present"."""
    text = str(value).strip()
    if not text or text.lower().removeprefix("to ").removeprefix("till ") in _NOW:
        return None
    if match := _ISO.match(text):
        year, month, day = match.groups()
    elif match := _MONTH_FIRST.match(text):
        (month, year), day = match.groups(), None
    elif (match := _WORDS.search(text)) and match[2].lower() in MONTHS:
        year, month, day = match[4], str(MONTHS[match[2].lower()]), match[1] or match[3]
    elif match := re.search(r"\b((?:1|2)\d{3})\b", text):
        year, month, day = match[1], None, None
    else:
        raise ValueError('it must be a date such as "2019-05"')
    if not month or not 1 <= int(month) <= 12:
        return str(year)
    if not day or not 1 <= int(day) <= 31:
        return f"{year}-{int(month):02}"
    return f"{year}-{int(month):02}-{int(day):02}"


def _end(value: Any) -> str | None:
    """Convert an end date; one in the future counts as none."""
    found = _date(value)
    return None if found is not None and found > date.today().isoformat() else found


def _text(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        return str(value)
    return plain_text(value) if isinstance(value, str) else value


def _list(value: Any) -> Any:
    """Drop empty entries; a single text counts as a list."""
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list):
        return value
    kept = [item.get("name", "") if isinstance(item, dict) else item for item in value]
    return [item for item in kept if item is not None and str(item).strip()]


Date = Annotated[str | None, BeforeValidator(_date)]
EndDate = Annotated[str | None, BeforeValidator(_end)]
Text = Annotated[str, BeforeValidator(_text)]
Texts = Annotated[list[Text], BeforeValidator(_list)]


class Part(BaseModel):
    """Base of all parts: absent, ``null`` and empty mean the same."""

    model_config = ConfigDict(extra="ignore")
    once: ClassVar[dict[str, str]] = {}
    """Names of fields before schema 1.0."""

    @model_validator(mode="before")
    @classmethod
    def _without_empty(cls, fields: Any) -> Any:
        if not isinstance(fields, dict):
            return fields
        given = {name: value for name, value in fields.items() if value not in (None, "")}
        for before, name in cls.once.items():
            if before in given and name not in given:
                given[name] = given.pop(before)
        return given


class Location(Part):
    """Where the person is based, without the street."""

    city: Text = ""
    region: Text = ""
    countryCode: Text = ""  # noqa: N815 \u2014 the schema's names


def _place(value: Any) -> Any:
    return {"city": value} if isinstance(value, str) else value


class Basics(Part):
    """Who the person is, without contact details."""

    name: Text = ""
    label: Text = ""
    summary: Text = ""
    location: Annotated[Location | None, BeforeValidator(_place)] = None


def _where(value: Any) -> Any:
    """Convert the place of a job, which some files give as an object."""
    if isinstance(value, dict):
        return ", ".join(str(value[key]) for key in ("city", "region") if value.get(key))
    return value


class Spell(Part):
    """Something with a start and an end."""

    startDate: Date = None  # noqa: N815
    endDate: EndDate = None  # noqa: N815
    summary: Text = ""
    highlights: Texts = Field(default_factory=list)


class Work(Spell):
    """A job."""

    once: ClassVar[dict[str, str]] = {"company": "name", "employer": "name"}

    name: Text = ""
    position: Text = ""
    location: Annotated[Text, BeforeValidator(_where)] = ""
    description: Text = ""


class Volunteer(Spell):
    """Unpaid work."""

    once: ClassVar[dict[str, str]] = {"company": "organization", "name": "organization"}

    organization: Text = ""
    position: Text = ""


class Education(Spell):
    """Studies."""

    once: ClassVar[dict[str, str]] = {"gpa": "score"}

    institution: Text = ""
    area: Text = ""
    studyType: Text = ""  # noqa: N815
    score: Text = ""
    courses: Texts = Field(default_factory=list)


class Project(Spell):
    """A project."""

    name: Text = ""
    description: Text = ""
    keywords: Texts = Field(default_factory=list)
    roles: Texts = Field(default_factory=list)
    entity: Text = ""


class Award(Part):
    """An award."""

    title: Text = ""
    date: Date = None
    awarder: Text = ""
    summary: Text = ""


class Certificate(Part):
    """A certificate."""

    name: Text = ""
    date: Date = None
    issuer: Text = ""


class Publication(Part):
    """A publication."""

    name: Text = ""
    publisher: Text = ""
    releaseDate: Date = None  # noqa: N815
    summary: Text = ""


class Skill(Part):
    """A skill."""

    once: ClassVar[dict[str, str]] = {"skill": "name"}

    name: Text = ""
    level: Text = ""
    keywords: Texts = Field(default_factory=list)


class Language(Part):
    """A language."""

    once: ClassVar[dict[str, str]] = {"name": "language", "level": "fluency"}

    language: Text = ""
    fluency: Text = ""


class Interest(Part):
    """An interest."""

    name: Text = ""
    keywords: Texts = Field(default_factory=list)


class Resume(Part):
    """The fields that Viva uses; the schema allows others."""

    basics: Basics = Field(default_factory=Basics)
    work: list[Work | None] = Field(default_factory=list)
    volunteer: list[Volunteer | None] = Field(default_factory=list)
    education: list[Education | None] = Field(default_factory=list)
    projects: list[Project | None] = Field(default_factory=list)
    awards: list[Award | None] = Field(default_factory=list)
    certificates: list[Certificate | None] = Field(default_factory=list)
    publications: list[Publication | None] = Field(default_factory=list)
    skills: list[Skill | None] = Field(default_factory=list)
    languages: list[Language | None] = Field(default_factory=list)
    interests: list[Interest | None] = Field(default_factory=list)
