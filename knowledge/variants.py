"""British spellings as Americans write them, so that both find and support each other.

Rules of spelling where there is one, single words where there is none. Words that mean different
things in American English ("cheque", "storey") are left as they are.
"""

import re
from functools import lru_cache

_SINGLE = {
    "aluminium": "aluminum",
    "annexe": "annex",
    "cosy": "cozy",
    "doughnut": "donut",
    "enrol": "enroll",
    "fulfil": "fulfill",
    "grey": "gray",
    "instalment": "installment",
    "instal": "install",
    "jewellery": "jewelry",
    "kerb": "curb",
    "manoeuvre": "maneuver",
    "mould": "mold",
    "moustache": "mustache",
    "plough": "plow",
    "programme": "program",
    "pyjamas": "pajamas",
    "sceptic": "skeptic",
    "skilful": "skillful",
    "tyre": "tire",
    "whisky": "whiskey",
    "yoghurt": "yogurt",
}
_ENDINGS = r"(?P<rest>s|d|ed|ing|er|ers|able|ful|less|ly|ist|ists|hood|hoods|ite|ites|al)?"
_RULES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), instead)
    for pattern, instead in (
        # licence, defence, offence, pretence, and the verb practise
        (r"^((?:sub)?licen|(?:self)?defen|offen|preten)c(e[sd]?|ing)$", r"\1s\2"),
        (r"^(practi)s(e[sd]?|ing|er|ers)$", r"\1c\2"),
        # colour, harbour, neighbour, favour
        (
            r"^(arm|behavi|cand|clam|col|discol|enam|end?eav|fav|ferv|flav|glam|harb|hon|dishon|hum|"
            r"lab|misbehavi|neighb|od|parl|ranc|rig|rum|sav|splend|tum|val|vap|vig)our"
            rf"{_ENDINGS}$",
            r"\1or\g<rest>",
        ),
        # centre, metre, theatre
        (
            r"^(cent|epicent|(?:kilo|centi|milli|deca)?met|(?:milli|centi|hecto|deci)?lit|theat|fib|calib|"
            r"sab|lust|meag|spect|somb)re(s?)$",
            r"\1er\2",
        ),
        (r"^(cent|calib)red$", r"\1ered"),
        # organise, organisation: with s, so that no American word becomes another one
        (r"^(\w{2,}[^\W_aeiou])iz(e[sdr]?|ing|ers|ations?|ational|able)$", r"\1is\2"),
        (r"^(\w+l)yz(e[sdr]?|ing|ers)$", r"\1ys\2"),
        # travelled, cancelling, modeller
        (
            r"^(bevel|cancel|channel|counsel|dial|duel|equal|fuel|grovel|initial|jewel|label|level|libel|"
            r"marvel|model|panel|pedal|pencil|quarrel|refuel|rival|shovel|signal|snorkel|spiral|total|"
            r"towel|travel|tunnel)l(ed|ing|er|ers|ings)$",
            r"\1\2",
        ),
        # catalogue, dialogue
        (r"^(catal|dial|anal|monol|epil|prol)ogue(s|d)?$", r"\1og\2"),
        # paediatric, anaesthesia, archaeology, encyclopaedia, oesophagus, foetus
        (
            r"^(p|an|arch|encyclop|gyn|h|orthop|medi|leuk|f|h)ae(diat|sth|olog|d|col|mo|v|mi|c)(\w*)$",
            r"\1e\2\3",
        ),
        (r"^oe(soph|str)(\w+)$", r"e\1\2"),
        (r"^(f|diarrh)oe(tus|tal|a)(\w*)$", r"\1e\2\3"),
        # judgement, ageing
        (r"^(judg|acknowledg|abridg|lodg)ement(s?)$", r"\1ment\2"),
        (r"^ageing$", "aging"),
    )
)
_ENDED = re.compile(r"(?:e?[sd]|ing|ers?|ments?)$")


@lru_cache(maxsize=65536)
def one_spelling(word: str) -> str:
    """One spelling of a lower-case word for all that it has: ``"licence"`` is ``"license"``."""
    for end in range(len(word), len(word) - 6, -1):
        base = word[:end]
        if base in _SINGLE and (base == word or _ENDED.fullmatch(word[end:])):
            return _SINGLE[base] + word[end:]
    for pattern, instead in _RULES:
        if pattern.match(word):
            return pattern.sub(instead, word)
    return word
