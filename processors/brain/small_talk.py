"""Greetings, thanks and questions about the agent, answered by fixed replies.

The replies contain no facts but the document's title and the persona's name, and say that the agent
is an AI wherever that could be in doubt.
"""

import re
from typing import Literal, get_args

from knowledge.loading.document import Document

Courtesy = Literal[
    "greeting", "thanks", "goodbye", "robot", "name", "scope", "wellbeing", "hearing", "filler"
]

KINDS: tuple[Courtesy, ...] = get_args(Courtesy)
"""All kinds of small talk."""

_PATTERNS: tuple[tuple[Courtesy, str], ...] = (
    (
        "goodbye",
        r"(good ?)?bye( ?bye)?( for now| then| now)?|see (you|ya)( later| soon)?|have a (good|"
        r"nice|great|lovely) (day|one|evening|weekend|time)|that('s| is| was| will be|"
        r"'ll be) (all i (wanted|needed)( to know)?|all|it|everything)( for (now|today))?|"
        r"i('m| am) (done|finished)|good ?night|talk to you later|"
        r"(i )?(have|need|got|gotta) (to )?(go|run|leave)( now)?|hang up|take care|so long|cheerio",
    ),
    (
        "thanks",
        r"(many |okay |great )?thanks?( you)?( very much| so much| a lot| a million| again|"
        r" for (your|the) (help|time|answers?|information|that)| for (that|watching|"
        r"telling me|listening|all that))?|thank you( very much| so much| kindly| again)?|"
        r"cheers|much appreciated|"
        r"i appreciate (it|that|your help)|ta",
    ),
    (
        "robot",
        r"(wait |so )?(are|r) you (a |an |really |just |actually |real |actual |human or |"
        r"some kind of |some sort of )*(robot|bot|ai|a\.?i\.?|human|human being|person|"
        r"machine|computer|real|real person|real human|recording|chat ?bot|"
        r"artificial intelligence|artificial|program|alive|llm|language model)( or (a |"
        r"an )?(\w+ )?\w+)?|(am i|are we|is this) (talking|speaking|chatting) (to|with) (a |"
        r"an )?(real |actual )?(person|human|human being|robot|bot|machine|ai|computer|"
        r"someone real|somebody real)( or (a |an )?(\w+ )?\w+)?|is (this|that|it) (a |"
        r"an )?(real )?(robot|bot|ai|recording|person|human|machine|computer|"
        r"artificial)( talking| speaking| person| voice)?|do you have (feelings|a soul|"
        r"a body)|(what|which) (ai|model|llm|language model|kind of ai) are you( using)?|"
        r"you('re| are) (a |an )?(robot|bot|ai|machine|computer)( right| aren't you)?",
    ),
    (
        "name",
        r"(and |so |hi |hello )?who (are|r) you|what('s| is|s) your name|who('s| is) (this|"
        r"that|speaking|there)|who am i (talking|speaking) (to|with)|what are you|what (do|"
        r"should|can) i call you|(do you have|have you got) a name|tell me about yourself|"
        r"introduce yourself|who made you|"
        r"who (am i|is) on the (line|phone)",
    ),
    (
        "scope",
        r"(so |and |okay |well )?what (can|could|should|may|might) (i|we|you) (ask|know|do|talk|"
        r"tell|help|say|answer)( you| me| about| with| here| on| to you)*( about)?|"
        r"(how|what) can (you|i|we) (help|do)( me| this| you)?( with)?|"
        r"how does this (call |thing )?work( here)?|what('s| is) this( about| for| call about)?|"
        r"(what|which) ((kind|sort)s? of )?(questions|topics|things) (can|could|may|should|do) "
        r"(i|you) (ask|answer|know)( you| about)*|"
        r"(can|could|may) (i|you) (ask|answer) (you )?(some |a |a few |me )?(questions?|something)|"
        r"(can|could) you help( me)?|help( me)?|what do you know( about)?|"
        r"what('s| is) (this|the) document( about)?|what are you (for|able to do)",
    ),
    (
        "wellbeing",
        r"(and )?how (are|r) (you|things)( doing| today| going| keeping)*|how('s|"
        r" is) (it going|your day|everything|life)( going| so far| today)*|how do you (do|"
        r"feel)( today)?|what('s| is) up|"
        r"(are )?you (okay|ok|alright|all right|well)|how have you been",
    ),
    (
        "hearing",
        r"(can|could|do|did) you (still )?(hear|understand) me( okay| ok| now| all right|"
        r" alright)?|(are )?you (still )?there|is (anyone|anybody|someone|somebody) there|"
        r"testing( testing)*|"
        r"(is )?(this|that|it) (working|on)|mic(rophone)? (check|test)|"
        r"one two( three)?|am i audible",
    ),
    (
        "greeting",
        r"hello( there| again)?|hi( there| again)?|hey( there)?|good (morning|afternoon|"
        r"evening|day)|greetings|howdy|hiya|(it's |it is )?(nice|good|lovely|great|pleased|"
        r"a pleasure) to (meet|talk to|"
        r"speak to|hear from|hear) you( too)?|my name is \w+( \w+)?|welcome",
    ),
    (
        "filler",
        r"(oh |ah |well )?(okay|ok|right|sure|great|good|fine|nice|cool|perfect|wonderful|"
        r"excellent|alright|all right|brilliant|lovely|awesome|amazing|fantastic|wow|really|"
        r"interesting|impressive|super|yes|yeah|yep|no|nope|i see|got it|understood|"
        r"fair enough|never ?mind|no problem|of course|indeed|no thanks|no thank you|oh|ah|"
        r"aha|sounds good|go ahead|that('s| is|'s really| is really|'s very| is very| was|"
        r" was very)? (great|good|nice|fine|interesting|amazing|helpful|perfect|cool|"
        r"impressive|kind|okay|ok|right|all right|enough|wonderful|very helpful|"
        r"really helpful)|you('re| are) (great|helpful|very helpful|amazing|funny|kind|"
        r"welcome)|very (good|nice|well|interesting|helpful)|well done|good (job|work)|"
        r"i (understand|see|got it)|(please )?(stop|wait|hold on|hang on|one moment|"
        r"pause)( please| now| it| that| there| talking)?( for)?( a| one)?( sec| second|"
        r" moment| minute)?( please)?|be quiet|shut up|(sorry[, ]*)?(can|could|"
        r"may) i ask (you )?(something else|something|a question|another question|one "
        r"more( thing| question)?)|i have (a|another|one more) question|"
        r"just a (second|moment|minute))",
    ),
)
_COMPILED = tuple((kind, re.compile(rf"(?:{pattern})(?![\w'])")) for kind, pattern in _PATTERNS)
_PADDING = re.compile(
    r"(?:(?:um+|uh+|er+m?|hm+|mm+|viva|please|so|well|and|then|there|oh|ah|now|actually|"
    r"just|sorry|sir|madam|mate|friend)(?![\w'])|[\s,.!?;:\-…\"]+)+"
)
# Where small talk may end: at punctuation, or before a word that opens a question or more small
# talk.
_ENDS = re.compile(
    r"\s*(?:$|[,.!?;:\-\u2026\"]|(?:what|when|where|who|whose|which|why|how|did|does|do|"
    r"was|were|is|are|has|have|had|can|could|would|will|tell|and|but|so|then|i|i'm|i'd|"
    r"you|there|hello|hi|hey|good|okay|ok|thanks?|thank|bye|goodbye|please|um+|uh+|viva|"
    r"now|just|that's|it's|nice)(?![\w'])|\s\s)"
)


def courtesy(text: str, *, persona: str) -> tuple[Courtesy | None, str]:
    """Recognise the small talk with which a turn opens.

    Args:
        text: The caller's words.
        persona: The persona's name; addressing it by name is small talk.

    Returns:
        The most specific kind of small talk (``None`` if there is none), and the rest of the turn,
        which is empty if all of it is small talk.
    """
    flat = text.replace("\u2019", "'")
    lowered = re.sub(rf"\b{re.escape(persona.lower())}\b", lambda m: " " * len(m[0]), flat.lower())
    found: list[Courtesy] = []
    at = _skip(lowered, 0)
    while at < len(lowered):
        matches = [
            (match.end(), kind)
            for kind, pattern in _COMPILED
            if (match := pattern.match(lowered, at)) and _ENDS.match(lowered, match.end())
        ]
        if not matches:
            break
        end, kind = max(matches, key=lambda match: match[0])
        found.append(kind)
        at = _skip(lowered, end)
    rest = flat[at:].strip()
    specific = [kind for kind, _ in _PATTERNS if kind in found]
    return (specific[0] if specific else None), rest


def reply(kind: Courtesy, document: Document) -> str:
    """Return the fixed reply to a kind of small talk."""
    return reply_about(kind, title=document.title, name=document.persona.name)


def reply_about(kind: Courtesy, *, title: str, name: str) -> str:
    """Return the same, given the document's title and the persona's name."""
    about = f"Ask me anything about {title}."
    return {
        "greeting": f"Hello! I'm an AI that answers from a document. {about}",
        "thanks": "You're welcome. Is there anything else you would like to know?",
        "goodbye": "Goodbye, and thank you for calling.",
        "robot": f"I'm an AI, not a person. I answer only from a document about {title}.",
        "name": f"I'm {name}, an AI. I answer questions from a document about {title}.",
        "scope": f"I'm an AI that answers only from a document. {about}",
        "wellbeing": f"I'm an AI, so I'm always the same, but thank you for asking. {about}",
        "hearing": f"Yes, I can hear you. {about}",
        "filler": "All right. What else would you like to know?",
    }[kind]


def _skip(text: str, at: int) -> int:
    match = _PADDING.match(text, at)
    return match.end() if match else at
