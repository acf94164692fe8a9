"""Parses front matter: a document's persona, sensitive topics and sources."""

import json
import re
import tomllib
from collections.abc import Callable, Mapping
from datetime import date
from typing import Annotated, Any, Literal

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

from knowledge.loading import limits
from knowledge.loading.section import DocumentError, Persona, SensitiveTopic
from validation import what_is_allowed

_SALARY = """
salary; wage; wages; how much * she earn; what does she earn; what did she earn $; what does she
make $; how much * she make; how much * she paid; how much * she get paid; how much * pay she;
how much money * she make;
how much money * she have; how much money * she get; how much money * she earn; earn * year;
her pay; her income; her earnings; her compensation; pay package;
net worth; day rate; hourly rate; salary expectation; get paid; was she paid; is she paid; were
she paid; she paid * year; well paid; her pension; her bank; her finances; she rich; she wealthy;
how much * paid; how much * pay; earn a lot; earn much; her paycheck; bonus; stock options; her
savings; her debts; how rich; how wealthy; money * she; what * pay she; she cost; her rate;
desired salary; salary range; remuneration; stipend; how much * give she; well off; cost to hire;
cost of hiring; she earning; she making; what * she on; how much * she on; her wage; her salary
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
her health; health problem; health condition; health issue; in good health; in poor health; her
medical; medical condition; medical history; medical problem; medical issue; medical leave; medical
record; medical reason; medical certificate; medical exam*; illness; disease; disability; disabled;
sick; sick leave; was she ill; is she ill; she ever ill; been ill; she * ill; seriously ill; get
sick; her illness; fall ill; fell ill; medication; diagnos*; depress*; alcohol*; drinking problem;
drink problem; mental health; cause of death; how did she die; what did she die of; die from;
pregnan*; her weight; surgery; doctor's note; smoke; vaccin*; therap*; she suffer; suffer from; how
heavy; how much did she weigh; her condition; hospital; she healthy; her disability; cancer; heart
attack; her eyesight; handicap*
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


# The same topics in German, French and Spanish.
_SALARY_ELSEWHERE = """
gehalt*; lohn; verdien*; einkommen; gehaltsvorstellung*; was * kostet sie; stundensatz; tagessatz;
salaire*; rémunération; combien gagne*; gagne *; gagne-t-*; revenus; prétentions salariales;
salario; sueldo; gana; cuánto gana; cuanto gana; cuánto cobra; cobra; ingresos
"""
_REFERENCES_ELSEWHERE = """
referenzen; arbeitszeugnis*; empfehlungsschreiben; references professionnelles; références;
lettre de recommandation; referencias; carta de recomendación
"""
_CONTACT_ELSEWHERE = """
telefonnummer; handynummer; telefon; e-mail-adresse; mailadresse; adresse; anschrift; wo wohnt;
wohnort; erreiche ich; erreichen; kontaktdaten; numéro de téléphone; téléphone; adresse e-mail;
où habite; habite-t-*; coordonnées; joindre; número de teléfono; teléfono; móvil; correo; dirección;
dónde vive; donde vive; contactar
"""
_HEALTH_ELSEWHERE = """
krankheit*; krank; gesundheit*; schwanger*; behindert*; behinderung*; woran ist * gestorben;
allergi*; maladie*; malade; santé; enceinte; handicap*; enfermedad*; enfermo; enferma; salud;
embarazada; discapacidad
"""
_AGE_ELSEWHERE = """
wie alt; ihr alter; sein alter; geburtsdatum; geburtstag; wann * geboren; jahrgang; quel âge; âge;
date de naissance; né en; née en; quand est * née; qué edad; edad; cuántos años tiene;
cuantos años tiene; fecha de nacimiento; cumpleaños
"""
_FAMILY_ELSEWHERE = """
verheiratet; ehemann; ehefrau; ihr mann; seine frau; kinder; kind; tochter; sohn; eltern; mutter;
vater; geschwister; bruder; schwester; familie; familienstand; geschieden; ledig; mariée; marié;
mari; épouse; sa femme; enfants; fille; fils; parents; mère; père; famille; divorcé*; célibataire;
casada; casado; marido; esposa; esposo; su mujer; hijos; hijas; hijo; hija; padres; madre; padre;
familia; divorciad*; soltera; soltero; novio; novia
"""
_BELIEFS_ELSEWHERE = """
religion; religiös*; konfession; partei; wählt; politisch*; vorbestraft; sexuelle orientierung;
religieu*; croyante; croyant; opinions politiques; parti politique; vote; casier judiciaire;
religión; religios*; creyente; partido político; vota; antecedentes penales
"""


def _phrases(text: str) -> tuple[str, ...]:
    return tuple(" ".join(phrase.split()) for phrase in text.split(";"))


_USUAL = {
    "salary": (_SALARY, _SALARY_ELSEWHERE),
    "references": (_REFERENCES, _REFERENCES_ELSEWHERE),
    "contact details": (_CONTACT, _CONTACT_ELSEWHERE),
    "health": (_HEALTH, _HEALTH_ELSEWHERE),
    "age": (_AGE, _AGE_ELSEWHERE),
    "family": (_FAMILY, _FAMILY_ELSEWHERE),
    "beliefs": (_BELIEFS, _BELIEFS_ELSEWHERE),
}

SENSITIVE: tuple[SensitiveTopic, ...] = tuple(
    SensitiveTopic(name, _phrases(english)) for name, (english, _) in _USUAL.items()
)
"""Topics that an English CV refuses if it declares none."""

_SENSITIVE_ELSEWHERE: tuple[SensitiveTopic, ...] = tuple(
    SensitiveTopic(name, _phrases(f"{english}; {others}"))
    for name, (english, others) in _USUAL.items()
)
LISTED_LANGUAGES = ("en", "de", "fr", "es")
"""Languages that have default sensitive topics."""


def usual_topics(language: str) -> tuple[SensitiveTopic, ...]:
    """The topics that a CV in a language refuses by default.

    Other languages include the English phrases, since callers may ask in English. The reverse would
    refuse innocent words: German ``Kind`` is a child.
    """
    return SENSITIVE if language.partition("-")[0] == "en" else _SENSITIVE_ELSEWHERE


def _says_ai(greeting: str) -> str:
    words = greeting.lower().replace(",", " ").replace(".", " ").split()
    if "ai" not in words and "artificial" not in words:
        raise ValueError('it must say that the speaker is an AI, as in "Hello, I\'m Viva, an AI."')
    return greeting


def _listed(value: object) -> object:
    return (
        [_in_words(item) for item in value]
        if isinstance(value, list)
        else ([value] if isinstance(value, str) else value)
    )


def _in_words(value: object) -> object:
    """Join a source that is given as fields (title, author, url) into one line."""
    if isinstance(value, Mapping):
        return ", ".join(str(item) for item in value.values() if item not in (None, ""))
    return value


def _written(value: object) -> object:
    """Restore a title that YAML has parsed as a number or a date."""
    return str(value) if isinstance(value, (int, float, date)) else value


_LANGUAGES = {
    "english": "en", "german": "de", "deutsch": "de", "french": "fr", "français": "fr",
    "spanish": "es", "español": "es", "italian": "it", "italiano": "it", "dutch": "nl",
    "nederlands": "nl", "portuguese": "pt", "português": "pt", "polish": "pl", "polski": "pl",
    "swedish": "sv", "svenska": "sv", "danish": "da", "dansk": "da", "norwegian": "no",
    "norsk": "no", "finnish": "fi", "suomi": "fi", "czech": "cs", "turkish": "tr",
    "japanese": "ja", "chinese": "zh", "korean": "ko", "russian": "ru", "ukrainian": "uk",
}  # fmt: skip


def _tag(value: object) -> object:
    """Convert ``en_US`` (a locale) and ``English`` (a name) to BCP 47 tags."""
    if not isinstance(value, str):
        return value
    tag = _LANGUAGES.get(value.strip().lower(), value.strip().split(".")[0].replace("_", "-"))
    if not re.fullmatch(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*", tag):
        raise ValueError('it must be a language, such as "en-GB" or "English"')
    return tag


Text = Annotated[
    str,
    BeforeValidator(_written),
    StringConstraints(strip_whitespace=True, min_length=1, max_length=500),
]
Texts = Annotated[list[Text], BeforeValidator(_listed), Field(max_length=500)]

MAX_SUGGESTIONS = 12
"""Most questions that a page suggests."""

Suggestion = Annotated[Text, Field(max_length=120)]


def _in_one_line(text: str) -> str:
    return " ".join(text.split())


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class _Persona(_Strict):
    name: Text = "Viva"
    greeting: Annotated[Text, AfterValidator(_says_ai)] | None = None
    voice: Text = "heart"
    pronunciations: dict[str, Text] = Field(default_factory=dict)
    contact: Annotated[
        str, BeforeValidator(_written), AfterValidator(_in_one_line), Field(max_length=200)
    ] = ""
    suggestions: Annotated[
        list[Suggestion], BeforeValidator(_listed), Field(max_length=MAX_SUGGESTIONS)
    ] = Field(default_factory=list)


class _Topic(_Strict):
    name: Text
    phrases: Texts = Field(default_factory=list)
    refusal: str = ""


class FrontMatter(BaseModel):
    """The fields that Viva reads. Misspelt fields are rejected; other tools' are ignored."""

    model_config = ConfigDict(extra="ignore", str_strip_whitespace=True)

    title: Text | None = None
    subtitle: Annotated[str, BeforeValidator(_written)] = ""
    language: Annotated[str, BeforeValidator(_tag)] = "en"
    persona: _Persona = Field(default_factory=_Persona)
    sensitive: list[_Topic | Text] | None = None
    sources: Texts = Field(default_factory=list)

    def speaker(self, title: str) -> Persona:
        """The persona; the title makes a default greeting."""
        named = self.persona
        greeting = named.greeting or (
            f"Hello, I'm {named.name}, an AI. Ask me anything about {title}."
        )
        return Persona(
            named.name,
            greeting,
            named.voice,
            dict(named.pronunciations),
            contact=named.contact,
            suggestions=tuple(named.suggestions),
        )

    def topics(self, *, about_person: bool = True) -> tuple[SensitiveTopic, ...]:
        """The sensitive topics; a topic without phrases gets the default ones.

        Parameters:
            about_person: Whether the document is a person's CV. Other documents have only the
                topics that their front matter declares.
        """
        if self.sensitive is None:
            return usual_topics(self.language) if about_person else ()
        usual = {topic.name: topic for topic in usual_topics(self.language)}
        found = []
        for entry in self.sensitive:
            topic = entry if isinstance(entry, _Topic) else _Topic(name=entry)
            known = usual.get(topic.name.lower())
            own = tuple(topic.phrases)
            phrases = own + (known.phrases if known else ()) or (topic.name.lower(),)
            found.append(SensitiveTopic(topic.name, phrases, topic.refusal))
        return tuple(found)


class _YamlLoader(yaml.SafeLoader):
    """YAML of bounded depth, whose aliases may repeat a value but not multiply it."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self._depth += 1
        if self._depth > limits.MAX_DEPTH:
            raise limits.LimitError(f"it is nested more than {limits.MAX_DEPTH} deep")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def get_single_node(self) -> yaml.Node | None:
        root = super().get_single_node()
        if root is not None:
            _count_nodes(root, {})
        return root


def _count_nodes(node: yaml.Node, counted: dict[int, int]) -> int:
    """Number of nodes in a tree, those that aliases repeat counted each time.

    Raises:
        LimitError: There are too many, or a node contains itself.
    """
    if (known := counted.get(id(node))) is not None:
        if known == 0:
            raise limits.LimitError("a value of it contains itself")
        return known
    counted[id(node)] = 0
    count = 1
    if isinstance(node, yaml.SequenceNode):
        count += sum(_count_nodes(part, counted) for part in node.value)
    elif isinstance(node, yaml.MappingNode):
        count += sum(_count_nodes(part, counted) for pair in node.value for part in pair)
    if count > limits.MAX_VALUES:
        raise limits.LimitError(f"it has more than {limits.MAX_VALUES} values")
    counted[id(node)] = count
    return count


def _load_yaml(text: str) -> Any:
    try:
        return yaml.load(text, _YamlLoader)
    except (yaml.YAMLError, limits.LimitError):
        raise
    except (ValueError, ArithmeticError, LookupError, AttributeError, TypeError) as error:
        # PyYAML leaves it to Python to complain of a value that is not what its tag says.
        raise ValueError("a value of it is not what its tag says, or no such date") from error


_PARSERS: Mapping[str, Callable[[str], Any]] = {
    "yaml": _load_yaml,
    "toml": tomllib.loads,
    "json": json.loads,
}

_PERSONA_ALONE = ("greeting", "pronunciations", "suggestions")
"""Persona fields that no other tool uses; at the top level they are an error."""

_OF_OTHER_TOOLS = frozenset({"personal", "resources", "source"})
"""Fields of other tools with names close to Viva's: ``resources`` is Hugo's, ``source`` comes from
Obsidian's Web Clipper, ``personal`` marks private notes."""


def parse_front_matter(
    text: str, name: str, *, form: Literal["yaml", "toml", "json"] = "yaml"
) -> tuple[FrontMatter, tuple[str, ...]]:
    """Parse front matter.

    Parameters:
        text: The fields, without the marks around them; may be empty.
        name: The file's name, for messages.
        form: Its format.

    Returns:
        The fields that Viva reads, and the names of the ignored ones.

    Raises:
        DocumentError: It is not valid in its format, a field has an invalid value, or an unknown
            field is probably a misspelt one.
    """
    try:
        if len(text) > limits.MAX_FRONT_MATTER_CHARS:
            most = limits.MAX_FRONT_MATTER_CHARS
            raise limits.LimitError(f"it has {len(text)} characters; at most {most} are allowed")
        found = _PARSERS[form](text) if text.strip() else {}
        limits.check_values(found)
    except limits.LimitError as error:
        raise DocumentError(f"{name}: its front matter cannot be used: {error}") from error
    except RecursionError as error:
        raise DocumentError(
            f"{name}: its front matter cannot be used: it is nested more than "
            f"{limits.MAX_DEPTH} deep"
        ) from error
    except (yaml.YAMLError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise DocumentError(f"{name}: its front matter is not {form.upper()}: {reason}") from error
    if found is None:
        found = {}
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
    if "sensitive" in found and found["sensitive"] is None:
        raise DocumentError(
            f"{name}: front matter field sensitive is empty; it must be a list of topics, or [] "
            "for none"
        )
    try:
        given = {field: value for field, value in found.items() if value is not None}
        return FrontMatter.model_validate(given), others
    except ValidationError as error:
        raise DocumentError(f"{name}: {complaint(error, 'front matter field')}") from error


def _meant(field: str) -> str:
    """The field that an unknown one probably means; empty for a field of another tool."""
    spelt = field.strip().lower().replace("-", "_").replace(" ", "_")
    if spelt in _OF_OTHER_TOOLS:
        return ""
    if "sensitive" in spelt.split("_"):
        return "sensitive"
    known = {own: own for own in FrontMatter.model_fields}
    known |= {own: f"persona.{own}" for own in _PERSONA_ALONE}
    return next((meant for own, meant in known.items() if _close(spelt, own)), "")


def _close(spelt: str, known: str) -> bool:
    """Whether two names differ by a typing error only, or by two if they are long."""
    slips = 1 if len(known) < 7 else 2
    return OSA.distance(spelt, known, score_cutoff=slips) <= slips


def complaint(error: ValidationError, what: str) -> str:
    """Describe the first invalid field, its value and what is allowed, in one sentence."""
    first = error.errors()[0]
    path = [str(part) for part in first["loc"] if not str(part).startswith("_Topic")]
    field = ".".join(path)
    if first["type"] == "extra_forbidden":
        allowed = tuple((_Persona if path[0] == "persona" else _Topic).model_fields)
        meant = next((own for own in allowed if _close(path[-1].lower(), own)), "")
        hint = f"did you mean {meant}?" if meant else f"allowed: {', '.join(allowed)}"
        return f"{what} {field} is {_shown(first['input'])}, but it is not known; {hint}"
    if first["type"] == "missing":
        return f"{what} {field} is missing"
    return f"{what} {field} is {_shown(first['input'])}; {what_is_allowed(first)}"


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else shown[:77] + "..."
