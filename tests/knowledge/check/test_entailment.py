"""A sentence is spoken if one record of what it cites says all of it, and in the same sense."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.check.entailment import entailed
from knowledge.loading.section import Line, Section

TEXT = (
    "She graduated from Vassar College in 1928 with a bachelor's degree in mathematics.",
    "She earned her PhD in mathematics from Yale University in 1934.",
    "Remington Rand took over the Eckert-Mauchly Corporation in 1950, and became part of Sperry "
    "Rand in 1955.",
    "She was one of the first programmers of the Mark I.",
    "She did not coin the word bug, but she made the story famous.",
    "After leaving the Navy she worked for Digital Equipment Corporation until her death.",
    "Every dish is cooked to order except the chowder.",
    "Dogs are welcome in the bar but not in the dining room.",
    "It has 1,400 shops and about 3,000 drivers.",
    "Her dissertation was supervised by Øystein Ore.",
    "Parcels arrive in March, the pie costs £9.25, and it can be made without gluten.",
    "The spray booth may be entered only with a mask.",
    "The front door is locked at 21:00, and the shop is open on weekdays from 8:00 to 17:00.",
    "Dogs need the landlord's consent in writing.",
    "Ferries have right of way over small craft.",
    "The deposit of three months' rent is paid back within six months.",
    "The packaging bin is emptied every second Thursday.",
    "Members of the Trust pay nothing.",
    "A fire destroyed the east wing in 1689. After the fire it was rebuilt.",
    "A refusal need not be justified, while an application must be signed.",
    "The works council has five members, and its chair is Marta Lind.",
    "Entry is for persons of at least 16 years, and closed on 1 January.",
    "Two rolls, jam and a coffee. €6.50.",
    "Overtime is agreed in advance, and towels can be hired for 2 €, lockers for 5 € a month.",
    "Advises the ministry of fisheries on trawling bans.",
    "Priya Raman has led the practice since 2015, when she took it over from its founder, Harold "
    "Finch.",
    "We accept cards and cash.",
    "Music may be played for two hours a day outside quiet hours.",
    "English (fluent), Spanish (beginner).",
    "Bring your pet there only after you have called.",
    "Tell a volunteer about any theft.",
    "She received the Achievement Award of the Society of Women Engineers in 1964.",
    "In 1954 she was made director of automatic programming at Remington Rand.",
    "The dinner costs SEK 450.",
)
CITED = [
    Section(
        "facts",
        "Facts",
        2,
        tuple(Line(at, text, "item", "facts") for at, text in enumerate(TEXT, start=1)),
    )
]


def refused(sentence: str, question: str = "") -> str:
    return entailed(sentence, CITED, title="Grace Hopper", question=question, free="Viva").refused


@pytest.mark.parametrize(
    "sentence",
    [
        *TEXT,
        "She got her doctorate in maths at Yale in nineteen thirty-four.",
        "She took a bachelor's degree at Vassar in 1928 and a PhD at Yale in 1934.",
        "As far as the document says, she graduated from Vassar in 1928.",
        "Eckert-Mauchly was bought by Remington Rand in 1950.",
        "She was among the first programmers of the Mark I.",
        "She didn't coin the word bug.",
        "She worked for DEC until she died.",
        "Everything is cooked to order, apart from the chowder.",
        "Dogs are allowed in the bar, but not in the dining room.",
        "It has fourteen hundred shops and around three thousand drivers.",
        "Øystein Ore supervised her dissertation.",
        "The pie costs nine pounds twenty-five.",
        "The pie can be made gluten-free.",
        "You can't enter the spray booth without a mask.",
        "The front door gets locked at nine in the evening.",
        "The shop is open from eight to five, Monday to Friday.",
        "For a dog you need written consent from the landlord.",
        "Trust members don't have to pay.",
        "Lockers can be hired for five euros a month.",
        "You don't have to justify a refusal.",
        "An application has to be signed.",
        "Marta Lind chairs the works council, which has five members.",
        "Entry is for persons aged 16 or older.",
        "Entry is closed on New Year's Day.",
        "You get two rolls with jam and a coffee for six euros fifty.",
        "According to her CV, she gives advice to the ministry of fisheries on bans on trawling.",
        "Priya Raman took over from Harold Finch in 2015.",
        "Please call before you bring your pet.",
        "She speaks fluent English and some Spanish.",
        "The Society of Women Engineers gave her its Achievement Award in 1964.",
        "In 1954 Remington Rand made her its director of automatic programming.",
        "The dinner costs four hundred and fifty kronor.",
        "After Vassar, she earned a PhD at Yale in 1934.",
        "She put together a bachelor's degree in mathematics at Vassar College in 1928.",
        "You'll find the shop open on weekdays from eight, and Dogs are welcome in the bar.",
    ],
)
def test_what_a_record_says_may_be_said_in_other_words(sentence: str) -> None:
    assert refused(sentence) == ""


@pytest.mark.parametrize(
    ("sentence", "why"),
    [
        ("She graduated from Vassar College in 1934.", "no record says all"),
        ("She took a PhD at Yale in 1928 and a bachelor's degree at Vassar in 1934.", "no record"),
        ("She hated mathematics at Yale University.", "'hated'"),
        ("She earned her PhD from princeton in 1934.", "'princeton'"),
        ("Princeton gave her a PhD in 1934.", "'Princeton'"),
        ("She earned several doctorates from Yale.", "'several'"),
        ("Sperry Rand took over the Eckert-Mauchly Corporation in 1950.", "no record"),
        ("Eckert-Mauchly took over Remington Rand in 1950.", "another role"),
        ("She was the first programmer of the Mark I.", "says less"),
        ("She coined the word bug.", "the opposite"),
        ("She never graduated from Vassar College.", "the opposite"),
        ("She worked for IBM until her death.", "'IBM'"),
        ("Every dish is cooked to order.", "an exception"),
        ("Dogs are welcome in the dining room.", "the opposite"),
        ("It has 3,000 shops and 1,400 drivers.", "counts something else"),
        ("She supervised Øystein Ore's dissertation.", "another role"),
        ("After Yale, she graduated from Vassar College in 1928.", "'after'"),
        (
            "She refused a bachelor's degree in mathematics from Vassar College in 1928.",
            "'refused'",
        ),
        ("Parcels arrive in May.", "'May'"),
        ("The pie can be made with gluten.", "there is none"),
        ("The spray booth may be entered without a mask.", "does not say there is none"),
        ("She earned her PhD because her father insisted.", "'father'"),
        ("It was so.", "cannot be looked up"),
        ("The front door is locked until 21:00.", "'until 21'"),
        ("The landlord needs your consent for dogs.", "another role"),
        ("Small craft have right of way over ferries.", "another role"),
        ("The deposit is paid back within three months.", "of another number"),
        ("The packaging bin is emptied every Thursday.", "every one"),
        ("Members of the Trust pay as well.", "the opposite"),
        ("The east wing was rebuilt before the fire.", "other end"),
        ("A refusal must be justified.", "the opposite"),
        ("An application need not be signed.", "the opposite"),
        ("Entry is for persons of at most 16 years.", "the opposite"),
        ("Towels can be hired for 5 euros a month.", "about 'lockers'"),
        ("The ministry of fisheries advises her on trawling bans.", "another role"),
        ("She does not advise the ministry of fisheries.", "the opposite"),
        ("Harold Finch took the practice over from Priya Raman.", "another role"),
        ("Priya Raman founded the practice.", "did it"),
        ("You must pay by card or cash.", "obliges nobody"),
        ("She is fluent in Spanish.", "no record"),
        ("Volunteers tell you about any theft.", "another role"),
    ],
)
def test_what_no_record_says_is_refused_with_the_reason(sentence: str, why: str) -> None:
    assert why in refused(sentence)


@pytest.mark.parametrize(
    ("question", "answer", "may"),
    [
        ("Did she get a PhD from Yale?", "Yes, in 1934.", True),
        ("Did she get a PhD from Yale?", "Yes, she did.", True),
        ("Did she get a PhD from Yale?", "No, she didn't.", False),
        ("Did she ever study at Stanford?", "Yes, she did.", False),
        ("Did she ever study at Stanford?", "Yes, at Stanford.", False),
        ("Did she ever study at Stanford?", "Yes, she studied at Yale.", False),
        ("Did she ever study at Stanford?", "The document doesn't mention Stanford.", True),
        ("Did she coin the word bug?", "No, she did not coin it.", True),
        ("Did she coin the word bug?", "Yes, she did.", False),
        ("Where did she study?", "The document doesn't mention Yale.", False),
        ("When was she convicted?", "The document doesn't mention a bribe.", False),
    ],
)
def test_a_question_supports_only_what_is_said_of_it(question: str, answer: str, may: bool) -> None:
    assert (refused(answer, question) == "") is may


ENTRIES = {
    "education": ("MSc in biology, University of Bergen, 2008.", "Exchange year, Kiel, 2005."),
    "awards": ("Historic Structures Prize, 2021.", "Runner-up, Young Engineer of the Year, 2014."),
}


@pytest.mark.parametrize(
    ("heading", "sentence", "may"),
    [
        ("education", "She graduated from the University of Bergen in 2008.", True),
        ("education", "She graduated from Kiel in 2005.", False),
        ("education", "She failed her MSc in biology.", False),
        ("awards", "She won the Historic Structures Prize in 2021.", True),
        ("awards", "She won Young Engineer of the Year in 2014.", False),
    ],
)
def test_an_entry_of_a_cv_says_what_its_heading_means(
    heading: str, sentence: str, may: bool
) -> None:
    lines = (Line(at, text, "item", heading, depth=1) for at, text in enumerate(ENTRIES[heading]))
    section = Section(heading, heading.capitalize(), 2, tuple(lines))
    assert (entailed(sentence, [section], title="Ingrid Solheim").refused == "") is may


def test_the_lines_that_a_sentence_rests_on_are_named() -> None:
    said = "She took a bachelor's degree at Vassar in 1928 and a PhD at Yale in 1934."
    assert entailed(said, CITED, title="Grace Hopper").lines == (1, 2)


@given(st.text(max_size=120), st.text(max_size=60))
def test_any_text_can_be_judged(sentence: str, question: str) -> None:
    verdict = entailed(sentence, CITED, title="Grace Hopper", question=question)
    assert verdict.refused or set(verdict.lines) <= set(range(1, len(TEXT) + 1))
