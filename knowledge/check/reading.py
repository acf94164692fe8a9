"""Parses a sentence into clauses and words, each word with what it depends on."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from knowledge.check.meaning import forms, is_past, is_verb, opposites, phrases
from knowledge.check.spelling import spelled
from knowledge.claims import MONTHS, Claim, measures
from knowledge.words import PRONOUNS, STOPWORDS, Token, spaced, stem, token_keys, tokens

WordKind = Literal["word", "measure", "quantity"]

_QUANTITIES = {
    word: f"q:{name}"
    for name, words in {
        "first": "first firstly initial earliest",
        "only": "only sole solely exclusively singlehandedly",
        "alone": "alone",
        "second": "second secondly",
        "all": "all every each entire whole everywhere completely entirely",
        "all:thing": "everything",
        "all:one": "everyone everybody",
        "all:time": "always daily",
        "most": "most mostly majority",
        "last": "last final latest",
        "many": "many numerous countless plenty lots hundreds thousands millions dozens scores "
        "multiple endless innumerable tons large huge vast",
        "several": "several few couple handful",
        "dozen": "dozen",
        "half": "half halfway",
        "twice": "twice double",
        "thrice": "thrice triple",
        "decades": "decades centuries",
        "best": "best",
        "worst": "worst",
        "least": "least",
    }.items()
    for word in words.split()
}
_NO_SUPERLATIVES = frozenset(
    spaced("interest request forest harvest invest honest guest contest protest suggest digest "
           "modest priest arrest west northwest southwest behest conquest inquest crest chest "
           "quest nest vest test rest pest manifest infest detest attest dishonest")
)  # fmt: skip
_SUPERLATIVE = re.compile(r"[a-z]{2,}(?:i?est)$")

NEGATIONS = frozenset(
    spaced("not no never none nobody nothing nowhere neither nor cannot n't hardly scarcely "
           "unable unless except impossible forbidden excluding untrue false unlike")
)  # fmt: skip
_EXCEPTIONS = frozenset(spaced("except apart excluding unless but other besides"))

# Words of a spoken answer that claim nothing of their own.
_FREE = STOPWORDS | frozenset(
    spaced("""
    without
    according document documents cv resume résumé text says mention mentions mentioned states
    stated shows information section question asked ask answer far see seem seems seemed
    apparently appears perhaps maybe probably possibly likely think believe guess sure certain
    certainly indeed actually currently basically essentially simply
    sorry right okay correct exactly absolutely definitely true
    also additionally furthermore moreover besides meanwhile however instead otherwise therefore
    thus hence still already ever yet even else next afterwards afterward thereafter later
    subsequently eventually finally initially originally supposedly
    time times way thing things one ones part among amongst between across along throughout within
    around about approximately roughly nearly almost over above upon onto via per plus both
    middle mid century year years
    go went going come came comes use used using put set called known
    regards regarding concerning overall namely including
    please well able would should could might shall may can must need
    since apart together rest right own so long
    today now once done make sure away enough person persons people man men
    hers his its theirs ours yours their himself herself themselves itself who
    another others other various different certain further afraid moment
    been being having yourself altogether
    ms mr mrs dr
    """)
)  # fmt: skip
_DOCUMENTS = frozenset(spaced("cv cvs resume résumé"))  # also in capitals
# Words that need no support if a sentence has only one of them: they only vary the phrase.
_BLAND = frozenset(
    form
    for word in spaced("""
    bring find carry draw move put keep run show turn need want try help look meet
    become serve spend take give work stay appear remain involve concern cover apply provide
    offer include contain describe mean refer consist belong name follow reach
    kind type form area field side place point case fact detail example amount level
    role job task career industry period moment title subject topic list product service
    system project activity process method result event occasion member group team
    general special particular usual regular available
    choose decide prefer little directly really quite
    officially formally personally
    addition aspect background basis course design development direction duration entry
    experience expertise feature focus function interest life location matter measure nature
    option order origin past plan position presence purpose range result
    rule situation skill sort step story structure style support table
    term trip use value variety version view visit world
    approach arrange choose contact enjoy enter expect explore learn like listen note
    observe plan prefer receive regard represent request require see settle share speak stand
    suggest tend think travel visit walk watch live base worth
    additional basic central clear close common complete detailed direct due
    essential extra familiar formal further individual initial involved
    known local necessary normal ordinary overall present
    proper recent related relevant responsible short standard suitable
    typical useful various
    shortly nearby around
    possible software instead fully specifically particularly mainly usually document
    count drop manage buy drink throw place light hang last
    goes gone spend hand reach start begin share occur happen last gain obtain achieve undertake
    conduct perform continue involve pursue pick feature boast situate locate focus specialise
    specialize handle cater ensure enable allow consider possess acquire collect pass head
    welcome deal touch face sit lie wait lay post accept agree
    colleague guest visitor individual item piece bit set chance choice opportunity matter folk
    tell say show see think try like seem beforehand already usually generally normally
    together altogether total recently previously currently spare
    raise treat gather bear sort hear understand recognise recognize complete
 """)
    for form in forms(word)
)
# Their participles claim something: "closed on Mondays".
_STATES = frozenset(spaced("closed shut"))
# Verbs that say how rather than what; a long sentence may have one that no record has.
_CONCRETE = frozenset(
    form
    for word in spaced("""
    tie moor fasten train practise exercise remove show display swim bathe manage light bake cook
    prepare fly drive ride cycle walk park store stow wash clean dry switch turn push pull press
    click type log sign book reserve phone ring email mail send post ask answer reply check test
    welcome greet invite guide assist host deliver ship transport load unload fill empty pack
    unpack wrap open shut close lock unlock measure weigh count mark label list print copy scan
    save install download upload execute launch configure connect link join combine mix add attach
    separate split divide arrange organise organize coordinate schedule plan supply equip furnish
    fit house accommodate sleep rest stop pause resume renew extend last span cover total amount
    equal number range vary differ depend apply concern regard relate address tackle discuss
    present introduce summarise summarize outline describe explain mention note state specify
    highlight emphasise emphasize indicate point train experience undergo encounter
    """)
    for form in forms(word)
)
# Verbs with a claim of their own: nothing beside them makes up for one that no record has.
_LOADED = frozenset(
    form
    for word in spaced("""
    abandon abolish abuse accuse achieve acquit admire adore afford ally apologise apologize
    appeal arrest assault attack avoid await ban bankrupt bear beat befriend bet betray blame
    bless boast boil bore boycott brag breach break bribe bully burn buy cancel cause censor
    chair change charge chase cheat choose claim close collapse compensate compete complain
    conceal concede condemn confess conquer convert convict copy count cover crack crash
    credit criticise criticize cry cure damage decline defeat defend defraud delay deny
    deserve despise destroy detest die disagree disappoint discourage discover discriminate
    dislike dismiss disobey disown disprove dispute divorce double doubt drop earn elect
    embarrass embezzle employ encourage end endanger endorse enjoy envy escape exaggerate
    exceed excel except exclude execute exempt expel experiment exploit export expose fail
    fake fall falsify fancy fear fight finance fine fire flee flunk follow forbid force forge
    forget forgive found freeze fund gain gamble graduate grow guarantee hack halt harass harm
    hate haunt hide hire hospitalise humiliate hurt idolise ignore imitate import imprison
    improve increase influence inherit injure inspire insult insure interrupt invade invent
    invest investigate jail join kill know lack laugh lead leak learn lend liberate license
    lie lobby long lose love lower manipulate marry master merge mislead miss mistreat mock
    motivate move murder need neglect object oblige offend oppose outlaw outrank outsell
    overcharge overcome overrule oversell oversleep overthrow owe own pardon patent pay
    persuade pioneer plagiarise plagiarize plead poison praise predate predict prefer pretend
    prevent prohibit promise prosecute protect protest prove provoke publish punish qualify
    quarrel quit race raid rank ration recall refund refuse regret reject remarry replace
    require rescue resent resign respect restrict retire retract reveal revolutionise reward
    ridicule rig risk rob ruin rule rush sabotage sack sail sanction save scam score scrap
    sell serve shame share shock shoot shrink shut sing slander sleep smoke smuggle spoil
    sponsor spy stand start stay steal stop strike struggle succeed sue suffer supervise
    support surpass surrender survive suspect suspend swear swindle teach tease tempt
    terminate test threaten tire tolerate torture train triple trust underestimate understand
    unite upset urge value victimise violate visit vote wait want warn waste water wed welcome
    win withdraw witness work worry worsen worship wound wreck yield
    """)
    for form in forms(word)
)
# Nouns that only say what kind of thing the name before them is: "the Mark I computer".
_KINDS = frozenset(
    stem(word)
    for word in spaced("""
    computer machine company firm corporation business college university school team group
    project programme program system language compiler award medal prize room building hall
    hotel restaurant ship vessel book manual textbook paper article journal magazine newspaper
    conference course class museum office department laboratory lab library shop store street
    city town country river show series degree title tool package framework database service
    app website tram bus train line workshop talk session dish wine club society foundation
    organisation organization institute
    """)
)
_COPULAS = frozenset(spaced("is was are were be been being am 's 're isn't wasn't aren't weren't"))
AUXILIARIES = _COPULAS | frozenset(
    spaced("has have had do does did will would shall should can could may might must "
           "can't couldn't won't wouldn't doesn't don't didn't hasn't haven't hadn't mustn't "
           "shouldn't cannot there's it's that's she's he's we're they're you're we've they've "
           "i'm i've she'd he'd they'd we'd you'd we'll you'll they'll it'll")
)  # fmt: skip
_CONTRACTED = frozenset(("ll", "ve", "re", "d"))  # there'll, who've
_PREPOSITIONS = frozenset(
    spaced("of in at on from by for with to until till since during as under aboard into within "
           "between before after near through via against over beside behind about around per")
)  # fmt: skip
_CONJUNCTIONS = frozenset(
    spaced("and or but nor while whereas which who whom whose where because so then though "
           "although when if unless except apart that before after until since plus rather "
           "instead yet including")
)  # fmt: skip
_CONDITIONS = frozenset(("if", "when", "once", "unless"))
_PAUSE = re.compile(r"[,;:()\u2014]|\s-\s|[.!?]\s")
_SAYING = frozenset(spaced("we you they i she he"))
_TELLING_LAST = frozenset(spaced("go come use"))
_COMPLEMENTS = frozenset(spaced("that what where how why whether"))
_LETTERED = frozenset(spaced("to and or is are was were has for on at in with costs from"))
_INCLUDED = frozenset(spaced("included provided supplied served needed required covered"))
_GOVERNING = frozenset(spaced("by of with for from"))
_BOTH = frozenset(spaced("cut put set read run come become shut"))  # participles and base forms
_WITH_BASE = frozenset(
    spaced("do does did don't doesn't didn't will would won't can could can't cannot may might "
           "must mustn't shall should shouldn't couldn't wouldn't")
)  # fmt: skip
_TIMES_OF = frozenset(
    f"{unit}{ending}"
    for unit in spaced("day week weekend weekday month year hour morning afternoon evening night "
                       "time shift person head Monday Tuesday Wednesday Thursday Friday Saturday "
                       "Sunday".lower())
    for ending in ("", "s")
)  # fmt: skip
_WITH_TO = frozenset(spaced("have has had need needs ought going able allowed want wants"))
_DETERMINERS = frozenset(spaced("the a an every each all her his their our its my your this that"))
_EXCEPTING = frozenset(spaced("except apart besides excluding unless"))
_BY_A_PRONOUN = re.compile(r"\bby (?:her|him|them|us|you|me)\b", re.IGNORECASE)
_ANYBODY = frozenset(spaced("others one everyone everybody anyone anybody someone somebody nobody"))
_PERSONS = frozenset(spaced("she he her him i me we us you they them"))


@dataclass(slots=True)
class Word:
    """A word that claims something; several words may count as one.

    Parameters:
        text: As written, for the log.
        key: Its normalized form, for comparison.
        kind: A ``"measure"`` is a number or a date; a ``"quantity"`` says how many or which.
        found: A source contains the word if it has any of these.
        needs: For a word of several parts: of each of these sets, a source must have one.
        denied: A source that has one of these says the opposite.
        clause: Index of its clause.
        verb: Whether it is a verb.
        preposition: The preposition before its noun, if any.
        at: Index of its token.
        loaded: Whether it is a verb with a claim of its own: to refuse, to win.
        possessive: Whether it has a possessive ending.
        bland: Whether it claims so little that one such word needs no support.
        concrete: Whether one such word needs no support in a long sentence.
        without: Whether it follows "without" or precedes "-free".
    """

    text: str
    key: str
    kind: WordKind
    found: frozenset[str]
    needs: tuple[frozenset[str], ...] = ()
    denied: frozenset[str] = frozenset()
    clause: int = 0
    verb: bool = False
    preposition: str = ""
    at: int = 0
    possessive: bool = False
    bland: bool = False
    concrete: bool = False
    loaded: bool = False
    without: bool = False


@dataclass(slots=True)
class Clause:
    """A clause of a sentence, which may have a record of its own as support.

    Parameters:
        words: The words that claim something.
        negative: Whether it has a negation.
        opens: The conjunction or preposition that it begins with.
        joined: Whether it depends on the clause before it.
        subject: Whether it has words before its verb.
        exception: Whether it names an exception.
        auxiliary: Whether it has a verb that claims nothing, such as ``is``.
        appositive: Whether it only explains the word before it.
        complement: Whether it completes the clause before it: "means that", "says where".
        linked_at: Token index of its first auxiliary or copula.
    """

    words: list[Word] = field(default_factory=list)
    negative: bool = False
    opens: str = ""
    joined: bool = False
    subject: bool = False
    exception: bool = False
    auxiliary: bool = False
    appositive: bool = False
    complement: bool = False
    linked_at: int = -1

    @property
    def denies(self) -> bool:
        """Whether it denies its statement; a condition states nothing."""
        return self.negative and self.opens not in _CONDITIONS

    @property
    def conditional(self) -> bool:
        """Whether it is a condition."""
        return self.opens in _CONDITIONS

    @property
    def verbs(self) -> list[Word]:
        """Its verbs."""
        return [word for word in self.words if word.verb]


@dataclass(slots=True)
class Reading:
    """A parsed text.

    Parameters:
        text: The text.
        tokens: Its tokens.
        clauses: Its clauses, in order.
        passive: Token indices of verbs in the passive voice.
        agent: Whether a pronoun is the agent of a passive verb.
        auxiliary: Whether it has a verb that claims nothing, such as ``is``.
    """

    text: str
    tokens: tuple[Token, ...]
    clauses: list[Clause]
    passive: frozenset[int]
    agent: bool
    auxiliary: bool

    @property
    def words(self) -> list[Word]:
        """All its words."""
        return [word for clause in self.clauses for word in clause.words]


def read(text: str) -> Reading:
    """Parse a sentence."""
    return _Reader(spelled(text)).read()


class _Reader:
    """Walks the tokens of one sentence once, tracking the current clause and phrase."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tokens(text)
        self._keys = [token.key for token in self._tokens]
        self._lowered = [token.text.lower() for token in self._tokens]
        self._measures = {at: (taken, found) for at, taken, found in measures(self._tokens)}
        self._phrases = dict(_phrases(self._keys))
        self._passive = frozenset(_passives(self._lowered))
        self._clauses = [Clause()]
        self._auxiliary = False
        self._preposition = ""
        self._filled = False  # Whether the phrase after the preposition has a word yet.
        self._lacking = False  # Whether the following words are said to be absent.

    def read(self) -> Reading:
        at = end = 0
        while at < len(self._tokens):
            self._open_clause(at, self._text[end : self._tokens[at].start])
            self._mark(at)
            before = len(self._clauses[-1].words)
            taken = self._take(at)
            added = self._clauses[-1].words[before:]
            for word in added:
                word.without = self._lacking or self._lowered[at].endswith("-free")
            if added and _is_dated(added[-1]) and not self._goes_on_dated(at + taken):
                self._preposition = ""  # in 1947 operators found it
            self._filled = self._filled or bool(added)
            last = self._tokens[at + taken - 1]
            end = last.start + len(last.text)
            at += taken
        return self._whole()

    def _next(self, at: int) -> str:
        return self._lowered[at + 1] if at + 1 < len(self._lowered) else ""

    def _before(self, at: int) -> str:
        return self._lowered[at - 1] if at else ""

    def _open_clause(self, at: int, gap: str) -> None:
        """Begin a clause at a pause or a conjunction; note its first word."""
        low, clause = self._lowered[at], self._clauses[-1]
        pause = bool(at and _PAUSE.search(gap))
        token = self._tokens[at]
        conjunction = low in _CONJUNCTIONS and not (token.capital and not token.initial)
        if (pause or conjunction) and (clause.words or clause.opens):
            if clause.words:
                clause = Clause(
                    appositive=not conjunction and low in ("a", "an", "the"),
                    complement=not pause and low in _COMPLEMENTS,
                )
                self._clauses.append(clause)
            self._preposition, self._lacking = "", False
        if clause.words:
            return
        if low == "as" and self._lowered[at + 1 : at + 3] == ["long", "as"]:
            clause.opens = "if"
        elif not clause.opens and (conjunction or low in _PREPOSITIONS):
            clause.opens = low
        elif clause.opens not in _CONJUNCTIONS and low in _PREPOSITIONS and not pause:
            clause.opens = low if clause.opens else ""

    def _mark(self, at: int) -> None:
        """Note the effect of a word on its clause: it may deny, except, or open a phrase."""
        low, key, clause = self._lowered[at], self._keys[at], self._clauses[-1]
        following = self._next(at)
        if (
            low == "without"
            or (low == "free" and following in ("of", "from") and at + 2 not in self._measures)
            or (low == "no" and self._before(at) in _PREPOSITIONS)
            or (low == "nothing" and clause.words)
        ):
            self._lacking = True
            clause.negative = clause.negative or (low == "nothing" and not following)
        elif _negates(low, key, following) and not self._is_named(low):
            clause.negative = True
            clause.exception = clause.exception or key in _EXCEPTIONS
        if (low, following) in (("instead", "of"), ("rather", "than")):
            clause.negative = True
        if key in _EXCEPTING:
            clause.exception = clause.negative = True
        if low in AUXILIARIES:
            self._auxiliary = clause.auxiliary = True
            clause.linked_at = at if clause.linked_at < 0 else clause.linked_at
            if low.split("'")[0] in _PERSONS and not clause.verbs:
                clause.subject = True  # you'll find it
            self._preposition = ""
        elif low in _PREPOSITIONS:
            self._preposition, self._filled = low, False
        elif low in _DETERMINERS and self._filled:
            self._preposition = ""  # Its phrase has ended.
        elif low in PRONOUNS or low in _PERSONS or low in _ANYBODY:
            clause.subject = clause.subject or not clause.verbs

    def _is_named(self, low: str) -> bool:
        """Whether a word of refusal stands in a phrase, and so is a noun: "on trawling bans"."""
        return (
            bool(self._preposition)
            and not is_past(low)
            and low not in NEGATIONS
            and bool(forms(low) & _VERBS_OF_REFUSAL)
        )

    def _take(self, at: int) -> int:
        """Add the claim of the word or words at a position; return how many words it takes."""
        token, low, clause = self._tokens[at], self._lowered[at], self._clauses[-1]
        if at in self._measures:
            taken, found = self._measures[at]
            clause.words.extend(_measure(claim, self._preposition, at) for claim in found)
            return taken
        if at in self._phrases:
            taken, meaning = self._phrases[at]
            clause.negative = clause.negative or bool(forms(meaning) & _VERBS_OF_REFUSAL)
            if meaning not in _FREE:
                word = _word(token, meaning, meaning)
                word.verb = is_verb(meaning) or is_verb(self._keys[at])
                self._add(word, at)
            return taken
        content = _content(token, self._keys[at], low, article=self._opens_title(at))
        if low == "last" and at and self._before(at) not in _DETERMINERS:
            content = _word(token, self._keys[at], low)  # loans last a week
        if content is None and low in _TELLING_LAST and at == len(self._tokens) - 1:
            content = _word(token, self._keys[at], low)  # a green light means go
            content.bland = False
        if content is None:
            return 1
        rated = self._next(at) in _TIMES_OF or (low == "each" and not self._next(at))
        if is_all(content) and rated:
            content.found |= {"q:each"}
        if low in ("only", "just") and at and self._before(at) not in _DETERMINERS:
            content.found |= {"q:only:cell"}
        content.verb = at in self._passive or (
            content.kind == "word"
            and not (token.capital and not token.initial)
            and (_after_auxiliary(self._lowered, at) or self._may_be_verb(at))
        )
        if at and content.found & _KINDS and not token.capital and self._tokens[at - 1].capital:
            content.bland = content.bland or not self._tokens[at - 1].initial
        if content.kind == "word" and not (content.verb or clause.verbs or clause.auxiliary):
            bare = not self._preposition or clause.opens == self._preposition
            clause.subject = clause.subject or bare
        self._add(content, at)
        return 1

    def _add(self, word: Word, at: int) -> None:
        word.preposition = self._preposition
        word.at = at
        self._clauses[-1].words.append(word)
        if word.verb:
            self._preposition = ""

    def _may_be_verb(self, at: int) -> bool:
        """Whether a word that is mostly a verb may be one at its position."""
        low, before = self._lowered[at], self._before(at)
        if low in ("cost", "costs") and at + 1 in self._measures:
            return True
        if before in _SAYING and not low.endswith("ly"):
            return True  # we close at five
        if not is_verb(low):
            return False
        if before not in ("that", "this") and before in _DETERMINERS | {"some", "no"}:
            return False
        following = self._next(at)
        if is_past(low) and before in _GOVERNING and following.isalpha():
            return following in STOPWORDS or following in _PREPOSITIONS  # by registered nurses
        if is_past(low) or not low.endswith("s"):
            return True
        if self._preposition and self._ends_clause(at):
            return False  # for urgent private calls
        if not at and (self._next(at) in _DETERMINERS or self._next(at) == "on"):
            return True  # "Leads the team", an entry of a CV
        return bool(at) and at - 1 not in self._measures and before not in _PREPOSITIONS

    def _ends_clause(self, at: int) -> bool:
        if at + 1 >= len(self._tokens):
            return True
        here, after = self._tokens[at], self._tokens[at + 1]
        return bool(_PAUSE.search(self._text[here.start + len(here.text) : after.start]))

    def _opens_title(self, at: int) -> bool:
        """Whether another capital follows, and a verb precedes: "published A Manual"."""
        after = self._tokens[at + 1] if at + 1 < len(self._tokens) else None
        before = self._before(at)
        if after is None or len(after.text) == 1:
            return False
        if not after.capital and after.text.isalpha() and after.key not in _LETTERED:
            return True  # called A coast that moves
        return after.capital and (is_verb(before) or before in ("of", "called", "by", "and"))

    def _goes_on_dated(self, at: int) -> bool:
        if at >= len(self._tokens):
            return True
        following = self._tokens[at]
        return following.text[:1].isdigit() or following.key in MONTHS

    def _whole(self) -> Reading:
        _join(self._clauses)
        if any(is_all(word) for clause in self._clauses for word in clause.words):
            for clause in self._clauses:  # every day but Monday
                if clause.opens == "but" and not clause.verbs and not clause.auxiliary:
                    clause.negative = clause.exception = True
        kept = [clause for clause in self._clauses if clause.words or clause.negative]
        for place, clause in enumerate(kept):
            for word in clause.words:
                word.clause = place
            _money(clause)
        return Reading(
            text=self._text,
            tokens=self._tokens,
            clauses=kept,
            passive=self._passive,
            agent=bool(_BY_A_PRONOUN.search(self._text)),
            auxiliary=self._auxiliary,
        )


def _after_auxiliary(lowered: Sequence[str], at: int) -> bool:
    """Whether a base form follows "did", "may" or "has to", with at most "not" between."""
    if lowered[at].endswith("s"):
        return False
    before = [word for word in lowered[max(0, at - 3) : at] if word not in ("not", "never")]
    if before[-1:] == ["to"]:
        return bool(before[-2:-1]) and before[-2] in _WITH_TO
    return bool(before) and before[-1] in _WITH_BASE


def _is_dated(word: Word) -> bool:
    return word.kind == "measure" and (
        (len(word.key) == len(word.text) == 4 and word.key < "2200")
        or any(form.startswith("m:") for form in word.found)
    )


def _phrases(keys: Sequence[str]) -> Iterator[tuple[int, tuple[int, str]]]:
    taken = -1
    for at, length, meaning in phrases(keys):
        if at >= taken:
            yield at, (length, meaning)
            taken = at + length


def _passives(lowered: Sequence[str]) -> Iterator[int]:
    for at, word in enumerate(lowered):
        if not (is_past(word) or word in _BOTH):
            continue
        before = [
            other
            for other in lowered[max(0, at - 3) : at]
            if other not in ("also", "later", "first", "only", "not", "never", "heavily", "often")
        ]
        included = word in _INCLUDED and at + 1 == len(lowered) and not AUXILIARIES & set(lowered)
        if (
            included
            or (before and (before[-1] in _COPULAS or before[-1] in ("get", "got", "gets")))
            or lowered[at + 1 : at + 2] == ["by"]
        ):
            yield at


def _negates(low: str, key: str, after: str) -> bool:
    if low in ("stop", "stops", "stopped", "ceased") and after.endswith("ing"):
        return True
    if low.endswith("n't") or key in NEGATIONS or low.split("'", maxsplit=1)[0] in NEGATIONS:
        return True
    return not low.endswith(_OF_NOUNS) and bool(forms(low) & _VERBS_OF_REFUSAL)


_VERBS_OF_REFUSAL = frozenset(
    stem(word)
    for word in spaced("refuse reject decline deny lack fail forbid prohibit ban exclude")
)


_OF_NOUNS = ("al", "als", "ion", "ions", "ure", "ures")  # a refusal denies nothing


def _measure(claim: Claim, preposition: str, at: int) -> Word:
    found = frozenset(_measure_forms(claim))
    return Word(claim.text, claim.value, "measure", found, preposition=preposition, at=at)


def _measure_forms(claim: Claim) -> tuple[str, ...]:
    """The forms that a number or a date may have in a source."""
    match claim.kind:
        case "month":
            return (f"m:{claim.value}",)
        case "century":
            return (f"c:{claim.value}", f"#{claim.value}")
        case _:
            return (f"#{claim.value}",)


def _content(token: Token, key: str, low: str, *, article: bool = False) -> Word | None:
    """The claim of a word, if it has any.

    Args:
        token: The word.
        key: Its key.
        low: The word in lower case.
        article: Whether an "A" may be the first word of a title.
    """
    if low in _QUANTITIES:
        name = _QUANTITIES[low]
        return Word(token.text, low, "quantity", frozenset((name,)))
    if is_superlative(low):
        found = frozenset(f"q:most:{form}" for form in forms(low))
        return Word(token.text, low, "quantity", found, denied=opposites(low))
    if key in NEGATIONS or low.split("'", maxsplit=1)[0] in NEGATIONS or low.endswith("n't"):
        return None
    if low in AUXILIARIES:
        return None
    named = token.capital and not token.initial
    if token.text == "A" and article:
        return None
    if low.partition("'")[2] in _CONTRACTED:
        return None
    if named and len(token.text) == 1 and token.text != "I" and token.text.isalpha():
        return Word(token.text, low, "measure", frozenset((f"#={low}",)))  # jetty A
    empty = low in STOPWORDS or low in _PREPOSITIONS or (low in _CONJUNCTIONS and not named)
    if not key or empty or low in _DOCUMENTS or ((low in _FREE or key in _FREE) and not named):
        return None
    return _word(token, key, low)


def is_all(word: Word) -> bool:
    """Whether a word means "all" or "every"."""
    return word.kind == "quantity" and any(form.startswith("q:all") for form in word.found)


def is_superlative(low: str) -> bool:
    """Whether a lower-case word is a superlative, as ``oldest``."""
    return len(low) > 5 and low not in _NO_SUPERLATIVES and bool(_SUPERLATIVE.match(low))


def _word(token: Token, key: str, low: str) -> Word:
    split = [part for part in token_keys(token)[1:] if part not in STOPWORDS and part != "free"]
    needs = tuple(forms(part) | {part} for part in split)
    # A possessive is looked up without its ending.
    possessive = low.endswith(("'s", "s'"))
    return Word(
        token.text,
        key,
        "word",
        forms(key) | {key},
        needs,
        opposites(key),
        possessive=possessive,
        bland=bool(forms(low) & _BLAND) and not token.capital and low not in _STATES,
        concrete=bool(forms(low) & _CONCRETE) and not token.capital and low not in _STATES,
        loaded=bool(forms(low) & _LOADED),
    )


def _join(clauses: list[Clause]) -> None:
    """Mark clauses that depend on the one before: mere dates, prepositions, no verb."""
    for clause in clauses[1:]:
        only = all(word.kind != "word" for word in clause.words)
        clause.joined = (
            (only and not (clause.subject and clause.auxiliary))
            or clause.complement
            or (clause.opens in _PREPOSITIONS and clause.opens not in _CONJUNCTIONS)
            or (
                clause.opens in ("before", "after", "until", "since")
                and not (clause.verbs or clause.auxiliary)
            )
        )


def _money(clause: Clause) -> None:
    """Join a sum said in two numbers: "nine pounds twenty-five" is 9.25."""
    words = clause.words
    for at in range(len(words) - 2):
        whole, unit, part = words[at : at + 3]
        if (
            whole.kind == part.kind == "measure"
            and unit.key in ("pound", "pounds", "euro", "euros", "dollar", "dollars")
            and whole.key.isdigit()
            and part.key.isdigit()
            and 0 < int(part.key) < 100
            and part.at - unit.at == 1
        ):
            value = repr(int(whole.key) + int(part.key) / 100)
            whole.key = value
            whole.found = frozenset((f"#{value}",))
            part.found = whole.found
            return


@lru_cache(maxsize=256)
def read_cached(text: str) -> Reading:
    """Parse and cache: a question is needed again for each sentence of its answer."""
    return read(text)
