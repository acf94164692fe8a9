"""The fields of JSON Resume, schema 1.0, that Viva uses. See https://jsonresume.org/schema."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

_DATE = r"^([1-2][0-9]{3}-[0-1][0-9]-[0-3][0-9]|[1-2][0-9]{3}-[0-1][0-9]|[1-2][0-9]{3})$"

Date = Annotated[str, StringConstraints(pattern=_DATE)]
Text = Annotated[str, StringConstraints(strip_whitespace=True)]


class Part(BaseModel):
    """Base of all parts: absent, ``null`` and empty mean the same."""

    model_config = ConfigDict(extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _without_empty(cls, fields: Any) -> Any:
        if not isinstance(fields, dict):
            return fields
        return {name: value for name, value in fields.items() if value not in (None, "")}


class Location(Part):
    """Where someone is based; the street is left out."""

    city: Text = ""
    region: Text = ""
    countryCode: Text = ""  # noqa: N815 — the schema's names


class Basics(Part):
    """Who it is; contact details are left out."""

    name: Text = ""
    label: Text = ""
    summary: Text = ""
    location: Location | None = None


class Spell(Part):
    """Something with a start and an end."""

    startDate: Date | None = None  # noqa: N815
    endDate: Date | None = None  # noqa: N815
    summary: Text = ""
    highlights: list[Text] = Field(default_factory=list)


class Work(Spell):
    """A job."""

    name: Text = ""
    position: Text = ""
    location: Text = ""
    description: Text = ""


class Volunteer(Spell):
    """Unpaid work."""

    organization: Text = ""
    position: Text = ""


class Education(Spell):
    """Studies."""

    institution: Text = ""
    area: Text = ""
    studyType: Text = ""  # noqa: N815
    score: Text = ""
    courses: list[Text] = Field(default_factory=list)


class Project(Spell):
    """A project."""

    name: Text = ""
    description: Text = ""
    keywords: list[Text] = Field(default_factory=list)
    roles: list[Text] = Field(default_factory=list)
    entity: Text = ""


class Award(Part):
    """An award."""

    title: Text = ""
    date: Date | None = None
    awarder: Text = ""
    summary: Text = ""


class Certificate(Part):
    """A certificate."""

    name: Text = ""
    date: Date | None = None
    issuer: Text = ""


class Publication(Part):
    """A publication."""

    name: Text = ""
    publisher: Text = ""
    releaseDate: Date | None = None  # noqa: N815
    summary: Text = ""


class Skill(Part):
    """A skill."""

    name: Text = ""
    level: Text = ""
    keywords: list[Text] = Field(default_factory=list)


class Language(Part):
    """A language."""

    language: Text = ""
    fluency: Text = ""


class Interest(Part):
    """An interest."""

    name: Text = ""
    keywords: list[Text] = Field(default_factory=list)


class Resume(Part):
    """The fields that Viva uses; the schema allows others."""

    basics: Basics = Field(default_factory=Basics)
    work: list[Work] = Field(default_factory=list)
    volunteer: list[Volunteer] = Field(default_factory=list)
    education: list[Education] = Field(default_factory=list)
    projects: list[Project] = Field(default_factory=list)
    awards: list[Award] = Field(default_factory=list)
    certificates: list[Certificate] = Field(default_factory=list)
    publications: list[Publication] = Field(default_factory=list)
    skills: list[Skill] = Field(default_factory=list)
    languages: list[Language] = Field(default_factory=list)
    interests: list[Interest] = Field(default_factory=list)
