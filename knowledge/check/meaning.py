"""Which words may replace others: the source's "doctorate" may become "degree" in an answer.

The table combines WordNet (synonyms, hypernyms and derived words, in their common senses only) and
``synonyms.txt``, which adds what WordNet lacks: that the director of a thing runs it.
"""

import gzip
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources

from knowledge.words import spaced, stem

# Past forms by base form.
_IRREGULAR = """
arise arose arisen; be am is are was were been being; bear bore borne; beat beaten; become became;
begin began begun; bend bent; bind bound; bite bit bitten; blow blew blown; break broke broken;
bring brought; build built; burn burnt; buy bought; catch caught; choose chose chosen; come came;
cut cutting; deal dealt; die dying; dig dug; do did done does; draw drew drawn; dream dreamt; drink
drank drunk; drive drove driven; eat ate eaten; fall fell fallen; feed fed; feel felt; fight fought;
find found; flee fled; fly flew flown; forbid forbade forbidden; forget forgot forgotten; forgive
forgave forgiven; freeze froze frozen; get got gotten getting; give gave given; go went gone goes;
grow grew grown; hang hung; have has had; hear heard; hide hid hidden; hold held; keep kept; know
knew known; lay laid; lead led; learn learnt; leave left; lend lent; let letting; lie lay lain
lying; lose lost losing; make made making; mean meant; meet met; pay paid; put putting; quit
quitting; read reading; ride rode ridden; ring rang rung; rise rose risen; run ran running; say
said; see saw seen; seek sought; sell sold; send sent; set setting; shake shook shaken; shine shone;
shoot shot; show shown; shut shutting; sing sang sung; sink sank sunk; sit sat; sleep slept; speak
spoke spoken; spend spent; spread spreading; stand stood; steal stole stolen; stick stuck; strike
struck; swear swore sworn; sweep swept; swim swam swum; take took taken; teach taught; tear tore
torn; tell told; think thought; throw threw thrown; understand understood; wake woke woken; wear
wore worn; win won winning; withdraw withdrew withdrawn; write wrote written; man men; woman women;
child children; person people persons; foot feet; mouse mice; life lives; wife wives; leaf leaves;
half halves; rebuild rebuilt; rewrite rewrote rewritten; undertake undertook undertaken; overtake
overtook overtaken; oversee oversaw overseen; foresee foresaw foreseen; mislead misled; undergo
underwent undergone; overcome overcame; uphold upheld; withhold withheld; mistake mistook mistaken;
retake retook retaken; repay repaid; rerun reran; undo undid undone; sow sown; sew sewn; weave wove
woven; slide slid; spin spun; kneel knelt; light lit; lean leant; spell spelt; spill spilt; mow
mown; prove proven; breed bred; creep crept; cling clung; sting stung; swing swung; spring sprang
sprung; shrink shrank shrunk; hit hitting; fit fitting; reset resetting; unwind unwound
"""
_BASES = {
    form: base
    for base, *forms in (group.split() for group in _IRREGULAR.split(";"))
    for form in forms
}
# Forms with a second base form: to found a firm, to find a moth.
_OWN_BASE_TOO = frozenset(spaced("lay saw fell wound ground left people lives lost found"))
_ENDINGS = (
    ("ies", "y"), ("ied", "y"), ("ses", "s"), ("shes", "sh"), ("ches", "ch"), ("xes", "x"),
    ("es", "e"), ("es", ""), ("s", ""), ("ed", "e"), ("ed", ""), ("ing", "e"), ("ing", ""),
    ("ily", "y"), ("ly", ""), ("ly", "le"),
    ("iest", "y"), ("est", "e"), ("est", ""),
)  # fmt: skip


_SHORT_WITH_UN = 5  # letters: "under" and "unit" deny nothing


@dataclass(frozen=True, slots=True)
class _Table:
    """Both sources combined.

    Parameters:
        implied: For a word, the words that it may become.
        opposites: For a word, the words that deny it.
        phrases: For several consecutive words, the one word that they count as.
        known: Every base form.
        verbs: Words that are mostly verbs.
        pairs: First words of phrases.
    """

    implied: Mapping[str, frozenset[str]]
    opposites: Mapping[str, frozenset[str]]
    phrases: Mapping[str, str]
    known: frozenset[str]
    verbs: frozenset[str]
    pairs: frozenset[str]


@cache
def _table() -> _Table:
    folder = resources.files("knowledge.check")
    implied: defaultdict[str, set[str]] = defaultdict(set)
    opposites: defaultdict[str, set[str]] = defaultdict(set)
    phrases: dict[str, str] = {}
    verbs: set[str] = set()
    part = ""
    text = gzip.decompress(folder.joinpath("wordnet.txt.gz").read_bytes()).decode()
    for line in text.splitlines():
        first, *rest = line.split()
        if first.startswith("!"):
            part = first
        elif part == "!verbs":
            verbs.update(line.split())
        elif part == "!antonyms":
            opposites[first].update(rest)
        else:
            implied[first].update(rest)
    for line in folder.joinpath("synonyms.txt").read_text(encoding="utf-8").splitlines():
        words = line.partition("#")[0].split()
        match words:
            case []:
                continue
            case ["!", one, other]:
                opposites[one].add(other)
                opposites[other].add(one)
            case [phrase, "=", meaning]:
                phrases[phrase] = meaning
            case [one, ">", *others]:
                implied[one].update(others)
            case _:
                for form in words:
                    implied[form].update(other for other in words if other != form)
    known = set(implied) | verbs | {base for base, *_ in (g.split() for g in _IRREGULAR.split(";"))}
    many = [word for word in (*implied, *phrases) if "_" in word]
    return _Table(
        {word: frozenset(others) for word, others in implied.items()},
        {word: frozenset(others) for word, others in opposites.items()},
        phrases,
        frozenset(known),
        frozenset(verbs),
        frozenset(word.split("_")[0] for word in many),
    )


@lru_cache(maxsize=65536)
def bases(word: str) -> tuple[str, ...]:
    """The possible base forms of a lower-case word, the word itself first."""
    known = _table().known
    found = [word]
    if word in _BASES:
        found.append(_BASES[word])
        if word not in _OWN_BASE_TOO:
            return tuple(found)
    for ending, instead in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 2:
            cut = word[: -len(ending)] + instead
            doubled = cut[:-1] if ending in ("ed", "ing", "est") and cut[-1:] == cut[-2:-1] else ""
            found.extend(base for base in (cut, doubled) if base in known and base not in found)
    return tuple(found)


@lru_cache(maxsize=65536)
def implied(word: str) -> frozenset[str]:
    """Stems that a lower-case word, or words joined by ``_``, may become, its own included."""
    table = _table()
    own = bases(word)
    found = {stem(base) for base in own}
    for base in own:
        found.update(stem(other) for other in table.implied.get(base, ()))
        found.update(stem(verb) for verb in _doing(base))
    return frozenset(found)


def _doing(base: str) -> Iterator[str]:
    """The verbs of an agent noun: programmer, director, winner."""
    if base.endswith(("er", "or")):
        known = _table().known
        for verb in (base[:-2], base[:-1], base[:-3] if base[-3:-2] == base[-4:-3] else ""):
            if verb in known:
                yield verb


@lru_cache(maxsize=65536)
def forms(word: str) -> frozenset[str]:
    """The stems to look up for a lower-case word among the results of :func:`implied`."""
    own = bases(word)
    if word in _BASES and word not in _OWN_BASE_TOO:
        own = own[1:]
    return frozenset(stem(base) for base in own)


@lru_cache(maxsize=16384)
def opposites(word: str) -> frozenset[str]:
    """Stems of the words that deny a lower-case word."""
    table = _table()
    found = {stem(other) for base in bases(word) for other in table.opposites.get(base, ())}
    for form in (word, *bases(word)):
        if form.startswith("un") and len(form) > _SHORT_WITH_UN:
            found |= {stem(base) for base in bases(form[2:]) if base in table.known}
        elif f"un{form}" in table.known or is_past(form):
            found.add(stem(f"un{form}"))
    return frozenset(found)


@lru_cache(maxsize=16384)
def is_past(word: str) -> bool:
    """Whether a lower-case word is a past form or a participle, and not a base form as well."""
    base = _BASES.get(word)
    return (base is not None and word != base and not word.endswith("ing")) or (
        word.endswith("ed") and len(bases(word)) > 1
    )


@lru_cache(maxsize=16384)
def is_verb(word: str) -> bool:
    """Whether a lower-case word is most likely a verb."""
    table = _table()
    own = bases(word)
    return (
        is_past(word)
        or (word in _BASES and own[1] not in ("person", "man", "woman", "child", "foot"))
        or any(base in table.verbs for base in own)
    )


def phrases(words: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """Find consecutive words that count as one: position, number of words, and that word."""
    table = _table()
    own = [bases(word) for word in words]
    for at in range(len(words) - 1):
        if not any(base in table.pairs for base in own[at]):
            continue
        for length in (3, 2):
            if at + length > len(words):
                continue
            for joined in _joined(own[at : at + length]):
                if "_" in joined and (joined in table.phrases or joined in table.implied):
                    yield at, length, table.phrases.get(joined, joined)


def _joined(own: Sequence[tuple[str, ...]]) -> Iterator[str]:
    if len(own) == 1:
        yield from own[0]
        return
    for rest in _joined(own[1:]):
        for base in own[0]:
            yield f"{base}_{rest}"
