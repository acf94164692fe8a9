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
_FEW = 4  # with so many such headings, the title need not be a name


def is_about_person(title: str, sections: Sequence[Section]) -> bool:
    """Whether a document is a CV, by its headings, its title and its pronouns."""
    titles = {section.title for section in sections}
    found = sum(bool(_CV.match(title)) for title in titles)
    sure = any(_SURE.match(title) for title in titles)
    named = bool(_TITLE.match(title.split("|", maxsplit=1)[0].split(" - ", maxsplit=1)[0].strip()))
    text = " ".join(line.text for section in sections for line in section.lines)
    called = len(_HE_OR_SHE.findall(text)) > len(text.split()) / 60
    return (
        (found >= _FEW and (sure or named))
        or (found >= 2 and named)
        or (found >= 1 and sure and named and called)
    )
