"""Tells a person's CV from other documents."""

import re
from collections.abc import Sequence

from knowledge.loading.section import Section

# First words of headings; only CVs, and letters about staff, have several of these.
_CV = re.compile(
    r"^(?:(?:work|professional|relevant|employment|career|academic|research|teaching|selected)\s+)*"
    r"(?:experience|employment|education|career|work history|history|publications?|skills|"
    r"qualifications|certifi\w+|awards|honou?rs|languages|references|referees|profile|"
    r"objective|volunteering|interests|hobbies|projects|talks|fieldwork|summary|curriculum vitae|"
    r"resume|personal details|"
    r"lebenslauf|beruf\w*|ausbildung|studium|kenntnisse|sprach\w*|werdegang|person|"
    r"persönliche daten|interessen|auszeichnungen|berufserfahrung|"
    r"expériences?|parcours|formation|compétences|langues|centres d'intérêt|état civil|"
    r"experiencia|formación|educación|idiomas|habilidades|competencias|datos personales)\b",
    re.IGNORECASE,
)
_SURE = re.compile(
    r"^(?:(?:work|professional|employment)\s+)?(?:experience|employment|work history|"
    r"curriculum vitae|lebenslauf|beruf\w*|werdegang|expériences? professionnelles?|"
    r"experiencia(?: laboral| profesional)?)\b",
    re.IGNORECASE,
)
_HE_OR_SHE = re.compile(
    r"\b(?:he|she|his|her|er|sie|ihre?|seine?|elle|il|ella|él)\b", re.IGNORECASE
)
_TITLE = re.compile(
    r"^(?:(?:dr|prof|mr|mrs|ms|cv|resume|curriculum vitae|lebenslauf)\b[.:,]?\s*(?:of\s+)?)*"
    r"(?:[A-ZÀ-Þ][\w'\u2019-]*\.?)(?:\s+(?:[A-ZÀ-Þ][\w'\u2019-]*\.?|van|von|de|der|da|di|al|el|le|la)){1,4}$",
    re.IGNORECASE,
)
# What only a CV in prose has without such headings.
_I = re.compile(r"\b(?:I|I['\u2019](?:m|ve|d)|[Mm]y|[Mm]e)\b")
_STUDIED = re.compile(
    r"\b(?:B\.?Sc|M\.?Sc|B\.?A|M\.?A|B\.?Eng|M\.?Eng|MBA|LL\.?[BM]|Ph\.?D|[Bb]achelor|[Mm]aster(?:'s|\u2019s)"
    r"|[Dd]octorate|[Dd]iploma|[Dd]egree|[Tt]hesis|[Dd]issertation|[Gg]raduated|A-levels|GCSEs?)\b"
)
_WORKED = re.compile(
    r"\b(?:work(?:ed|ing)? (?:at|for|as)|internship|traineeship|apprenticeship|freelance|"
    r"self-employed|"
    r"employ(?:er|ed)|led|lead|managed?|joined|promoted|responsible for|engineer|developer|teacher|"
    r"nurse|consultant|assistant|manager|director|head of)\b",
    re.IGNORECASE,
)
_SPELL = re.compile(
    r"\b(?:19|20)\d\d\s?(?:[-\u2013\u2014]|to|until)\s?(?:[A-Z]\w+ )?"
    r"(?:(?:19|20)\d\d|present|now|today)\b"
    r"|\b[Ss]ince (?:[*_]{0,2}[A-Z]\w+ )?(?:19|20)\d\d\b"
)
_FEW = 4  # with so many such headings, the title need not be a name
_WORKED_LEAST, _SPELLS_LEAST = 3, 2
_OFTEN = 60  # one word of so many


def is_about_person(title: str, sections: Sequence[Section]) -> bool:
    """Whether a document is a CV: by its title with its headings, or with its prose."""
    titles = {section.title for section in sections}
    found = sum(bool(_CV.match(title)) for title in titles)
    sure = any(_SURE.match(title) for title in titles)
    named = bool(_TITLE.match(title.split("|", maxsplit=1)[0].split(" - ", maxsplit=1)[0].strip()))
    text = " ".join(line.text for section in sections for line in section.lines)
    words = len(text.split())
    called = len(_HE_OR_SHE.findall(text)) > words / _OFTEN
    in_prose = (
        (called or len(_I.findall(text)) > words / _OFTEN)
        and _STUDIED.search(text) is not None
        and len(_WORKED.findall(text)) >= _WORKED_LEAST
        and len(_SPELL.findall(text)) >= _SPELLS_LEAST
    )
    return (
        (found >= _FEW and (sure or named))
        or (found >= 2 and named)
        or (found >= 1 and sure and named and called)
        or (named and in_prose)
    )
