"""Front matter: persona, limits and sources of a document."""

from collections.abc import Mapping
from typing import Annotated, Any

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)
from rapidfuzz.distance import OSA

from knowledge.loading.section import DocumentError, Persona, SensitiveTopic

_SALARY = """
salary; wage; wages; how much * she earn; what does she earn; what did she earn $; what does she
make $; how much * she make; how much * she paid; how much * she get paid; how much * pay she;
how much money; earn * year; her pay; her income; her earnings; her compensation; pay package;
net worth; day rate; hourly rate; salary expectation; get paid; was she paid; is she paid; were
she paid; she paid * year; well paid; her pension; her bank; her finances; she rich; she wealthy;
how much * paid; how much * pay; earn a lot; earn much; her paycheck; bonus; stock options; her
savings; her debts; how rich; how wealthy; money * she; what * pay she; she cost; her rate;
desired salary; salary range; remuneration; stipend; how much * give she; well off; cost to hire;
cost of hiring
"""
_REFERENCES = """
references; her reference; reference from; as a reference; referee; letter of recommendation;
recommendation letter; vouch; character reference; reference check; who * recommend she; who
would recommend; what * think of she; what do * colleagues say; what do * say about she; what did
* boss say; who can i ask about she; a referee; recommend she; recommendation from; speak to her
boss; talk to her boss; former employer say; performance review; what * say about she
"""
_CONTACT = """
phone number; telephone; mobile number; cell number; her phone; her cell; her mobile; her number;
her email; her e-mail; email address; e-mail address; email she; her address; home address;
postal address; street address; mailing address; contact details; contact information; contact
she; her contact; reach she; call she directly; phone she; ring she up; get in touch with she; in
touch with she; write to she; text she; where does she live; where do she live; where is she
living; post code; postcode; zip code; social security; passport number; bank account; her house;
where * she live; where she live; number * call; call she on; speak to she directly; her
whereabouts; how do i reach; how can i reach; her home; her linkedin; linkedin; her twitter
"""
_HEALTH = """
her health; health problem; health condition; health issue; in good health; in poor health;
medical; illness; disease; disability; disabled; sick; sick leave; was she ill; is she ill; she
ever ill; been ill; she * ill; seriously ill; get sick; her illness; fall ill; fell ill;
medication; diagnos*; depress*; alcohol*; drinking problem; drink problem; mental health; cause
of death; how did she die; what did she die of; die from; pregnan*; her weight; surgery; doctor's
note; smoke; vaccin*; therap*; she suffer; suffer from; how heavy; how much did she weigh; her
condition; hospital; she healthy; her disability; cancer; heart attack; her eyesight; handicap*
"""
_AGE = """
how old; her age; what age; which age; her birthday; years old; too old; too young; how many
years old; how many years * she * old; her date of birth; age was she; she young; retirement age;
what year was she * old; was she old; she old when; year of her life; year of life
"""
_FAMILY = """
husband; wife; spouse; fiancé; fiancée; married; marry; marriage; divorc*; children; kids; have a
child; have any child; she child; son; daughter; her partner; boyfriend; girlfriend; her parents;
her mother; her mom; her mum; her father; her dad; her brother; her sister; siblings; her uncle;
her aunt; her cousin; her family; family life; her relatives; brothers or sisters; brothers and
sisters; her love life; in a relationship; widow*; her private life; her personal life;
grandchildren; any family; a family; her grandmother; her grandfather; her grandparents; nephew;
niece; remarr*; she single; her fiancé; her spouse; her in-laws; a mother; a father $; wedding;
her marriage; engaged to; she date; dating; her lover; her divorce; stepchild*; her ancestors;
born into; tie the knot; tied the knot; little ones; her offspring
"""
_BELIEFS = """
her religion; religious; her faith; her church; believe in god; her politics; political views;
political party; vote; voted; her ethnicity; her race; sexuality; sexual orientation; criminal
record; arrested; was she gay; is she gay; republican; democrat; a democrat; a republican; vote
for; conservative or liberal; she christian; she jewish; she muslim; believe in; atheist;
feminist; trade union; her views on; her opinion on abortion; security clearance
"""


def _phrases(text: str) -> tuple[str, ...]:
    return tuple(" ".join(phrase.split()) for phrase in text.split(";"))


SENSITIVE: tuple[SensitiveTopic, ...] = tuple(
    SensitiveTopic(name, _phrases(phrases))
    for name, phrases in {
        "salary": _SALARY,
        "references": _REFERENCES,
        "contact details": _CONTACT,
        "health": _HEALTH,
        "age": _AGE,
        "family": _FAMILY,
        "beliefs": _BELIEFS,
    }.items()
)
"""Topics refused by a document that names none of its own."""


def _says_ai(greeting: str) -> str:
    words = greeting.lower().replace(",", " ").replace(".", " ").split()
    if "ai" not in words and "artificial" not in words:
        raise ValueError('must say that the speaker is an AI, as in "Hello, I\'m Viva, an AI."')
    return greeting


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
Texts = Annotated[list[Text], BeforeValidator(_listed), Field(max_length=500)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class _Persona(_Strict):
    name: Text = "Viva"
    greeting: Annotated[Text, AfterValidator(_says_ai)] | None = None
    voice: Text = "heart"
    pronunciations: dict[str, Text] = Field(default_factory=dict)


class _Topic(_Strict):
    name: Text
    phrases: Texts = Field(default_factory=list)
    refusal: str = ""


class FrontMatter(BaseModel):
    """The fields that Viva reads. Misspelt ones are rejected, others are ignored."""

    model_config = ConfigDict(extra="ignore", str_strip_whitespace=True)

    title: Text | None = None
    subtitle: str = ""
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")] = "en"
    persona: _Persona = Field(default_factory=_Persona)
    sensitive: list[_Topic | Text] | None = None
    sources: Texts = Field(default_factory=list)

    def speaker(self, title: str) -> Persona:
        """The persona; a missing greeting is made from the title."""
        named = self.persona
        greeting = named.greeting or (
            f"Hello, I'm {named.name}, an AI. Ask me anything about {title}."
        )
        return Persona(named.name, greeting, named.voice, dict(named.pronunciations))

    def topics(self) -> tuple[SensitiveTopic, ...]:
        """The sensitive topics; a known name without phrases gets the default phrases."""
        if self.sensitive is None:
            return SENSITIVE
        usual = {topic.name: topic for topic in SENSITIVE}
        found = []
        for entry in self.sensitive:
            topic = entry if isinstance(entry, _Topic) else _Topic(name=entry)
            known = usual.get(topic.name.lower())
            own = tuple(topic.phrases)
            phrases = own + (known.phrases if known else ()) or (topic.name.lower(),)
            found.append(SensitiveTopic(topic.name, phrases, topic.refusal))
        return tuple(found)


_PERSONA_ALONE = ("greeting", "pronunciations")
"""Persona fields that no other tool uses: at the top level they are misplaced."""

_OF_OTHER_TOOLS = frozenset({"personal", "resources", "source"})
"""Fields close to ours that other tools use: ``resources`` is Hugo's, ``source`` comes from
Obsidian's Web Clipper, ``personal`` marks private notes."""


def parse_front_matter(text: str, name: str) -> tuple[FrontMatter, tuple[str, ...]]:
    """Parse YAML front matter.

    Parameters:
        text: The YAML between the ``---`` lines; may be empty.
        name: The file's name, for messages.

    Returns:
        The fields that Viva reads, and the names of the ignored ones.

    Raises:
        DocumentError: The text is not YAML, a field is invalid, or an unknown field is nearly
            spelt like a known one.
    """
    try:
        found = yaml.safe_load(text) if text.strip() else {}
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise DocumentError(f"{name}: its front matter is not YAML: {reason}") from error
    if not isinstance(found, Mapping):
        raise DocumentError(
            f"{name}: its front matter is {str(found)[:80]!r}; it must be fields, one per line, "
            'such as "title: Grace Hopper"'
        )
    others = tuple(str(field) for field in found if field not in FrontMatter.model_fields)
    for field in others:
        if meant := _meant(field):
            raise DocumentError(
                f"{name}: front matter field {field} is not known; did you mean {meant}?"
            )
    try:
        return FrontMatter.model_validate(dict(found)), others
    except ValidationError as error:
        raise DocumentError(f"{name}: {complaint(error, 'front matter field')}") from error


def _meant(field: str) -> str:
    """The known field that an unknown one probably means; empty for a field of another tool."""
    spelt = field.strip().lower().replace("-", "_").replace(" ", "_")
    if spelt in _OF_OTHER_TOOLS:
        return ""
    if "sensitive" in spelt.split("_"):
        return "sensitive"
    known = {own: own for own in FrontMatter.model_fields}
    known |= {own: f"persona.{own}" for own in _PERSONA_ALONE}
    return next((meant for own, meant in known.items() if _close(spelt, own)), "")


def _close(spelt: str, known: str) -> bool:
    """Whether two names differ by a typing error: two in a long name, one in a short one."""
    slips = 1 if len(known) < 7 else 2
    return OSA.distance(spelt, known, score_cutoff=slips) <= slips


def complaint(error: ValidationError, what: str) -> str:
    """One sentence naming the first invalid field, its value and what is allowed."""
    first = error.errors()[0]
    path = [str(part) for part in first["loc"] if not str(part).startswith("_Topic")]
    field = ".".join(path)
    if first["type"] == "extra_forbidden":
        allowed = tuple((_Persona if path[0] == "persona" else _Topic).model_fields)
        meant = next((own for own in allowed if _close(path[-1].lower(), own)), "")
        hint = f"did you mean {meant}?" if meant else f"allowed: {', '.join(allowed)}"
        return f"{what} {field} is {_shown(first['input'])}, but it is not known; {hint}"
    return f"{what} {field} is {_shown(first['input'])}: {_allowed(first['msg'])}"


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else shown[:77] + "..."


def _allowed(message: str) -> str:
    message = message.removeprefix("Value error, ")
    return message[0].lower() + message[1:]
