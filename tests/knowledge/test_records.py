"""Records: what belongs together, and how it is said."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from knowledge.loading.document import load
from knowledge.records import Record, records


def read(folder: Path, text: str) -> tuple[Record, ...]:
    path = folder / "doc.md"
    path.write_text(f"# Shop\n\n{text}", encoding="utf-8")
    return records(load(path))


def said(folder: Path, text: str) -> list[str]:
    return [statement.text for record in read(folder, text) for statement in record.statements]


def test_a_row_is_said_with_the_titles_of_its_columns(tmp_path: Path) -> None:
    table = "## Bread\n| Loaf | Weight | Days |\n|---|---|---|\n| Rye | 1 kg | Mon\u2013Fri |\n"
    assert said(tmp_path, table) == [
        "For Rye, the weight is 1 kg and the days are Monday to Friday."
    ]


def test_each_session_of_a_programme_with_rooms_is_said_by_itself(tmp_path: Path) -> None:
    table = (
        "## Friday, 21 May\n| | River Hall | Lab |\n|---|---|---|\n"
        "| 9:15\u201310:00 | Software that forgets (Amara Nwosu) | |\n"
        "| 10:15 | Rust in the kitchen \u2014 Vasco Reis | Fuzzing by hand (Dana Weiss) |\n"
        "| 11:00 | Type systems for the tired | Queues and their ends |\n"
        "| 12:30 | Lunch on the terrace | |\n"
    )
    assert said(tmp_path, table) == [
        "On Friday, 21 May, Software that forgets is from 9:15 to 10:00, with Amara Nwosu, in "
        "River Hall.",
        "On Friday, 21 May, Rust in the kitchen is at 10:15, with Vasco Reis, in River Hall.",
        "On Friday, 21 May, Fuzzing by hand is at 10:15, with Dana Weiss, in Lab.",
        "On Friday, 21 May, Type systems for the tired is at 11:00, in River Hall.",
        "On Friday, 21 May, Queues and their ends is at 11:00, in Lab.",
        "On Friday, 21 May, Lunch on the terrace is at 12:30.",
    ]


def test_a_table_of_what_to_do_is_told_as_advice(tmp_path: Path) -> None:
    table = "## Docs\n| to | read |\n|---|---|\n| Deploy it | operating.md |\n"
    assert said(tmp_path, table) == ["To deploy it, read operating.md."]


def test_the_number_of_a_rule_is_not_said(tmp_path: Path) -> None:
    rules = (
        "## Distance\n\n**Rule 57**\nKeep two seconds behind the vehicle.\n\n"
        "3.1.2 Keep ten on ice.\n\nRule 57 applies to lorries, too.\n"
    )
    assert said(tmp_path, rules) == [
        "Keep two seconds behind the vehicle.",
        "Keep ten on ice.",
        "Rule 57 applies to lorries, too.",
    ]


def test_a_timetable_of_prices_or_hours_has_no_tracks(tmp_path: Path) -> None:
    table = (
        "| | Lunch | Dinner |\n|---|---|---|\n| Friday & Saturday | 12\u20133 | 5.30\u201310.30 |\n"
        "| Sunday | 12\u20134 | closed |\n"
    )
    assert said(tmp_path, table) == [
        "For Friday & Saturday, the lunch is 12 to 3 and the dinner is 5.30 to 10.30.",
        "For Sunday, the lunch is 12 to 4 and the dinner is closed.",
    ]


def test_a_row_of_a_programme_is_said_with_its_day(tmp_path: Path) -> None:
    table = (
        "## Thursday, 5 June\n| Time | Session | Speaker | Room |\n|---|---|---|---|\n"
        "| 9:30 | Glass in medicine | Yuki Sato | Kiln Hall |\n"
        "| 12:00\u201314:00 | Lunch | | Canteen |\n"
    )
    assert said(tmp_path, table) == [
        "On Thursday, 5 June, Glass in medicine is at 9:30, with Yuki Sato, in Kiln Hall.",
        "On Thursday, 5 June, Lunch is from 12:00 to 14:00, in Canteen.",
    ]


def test_a_cell_with_nothing_in_it_is_not_said(tmp_path: Path) -> None:
    table = "## Drinks\n| Drink | Small | Large |\n|---|---|---|\n| Tea | \u2013 | \u20ac2.80 |\n"
    assert said(tmp_path, table) == ["For Tea, the large is \u20ac2.80."]


def test_an_item_goes_with_what_is_nested_under_it(tmp_path: Path) -> None:
    (record,) = read(
        tmp_path,
        "## Cakes\n- **Crumble** \u2013 \u20ac3.20 a slice\n  - from July to September only\n"
        "  - contains almonds\n",
    )
    assert record.text == (
        "Crumble costs \u20ac3.20 a slice, from July to September only, contains almonds."
    )
    assert record.about == "Crumble"
    assert [line.number for line in record.lines] == [4, 5, 6]


def test_an_item_is_said_with_the_line_that_announces_it(tmp_path: Path) -> None:
    text = "## Speed\nThe highest speed is\n- in the harbour: 4 knots,\n- in the canal: 5 knots.\n"
    assert "The highest speed is in the canal, 5 knots." in said(tmp_path, text)


@pytest.mark.parametrize(
    ("item", "sentence"),
    [
        ("Doors: 18:00", "The doors are at 18:00."),
        ("Plain roll \u2013 \u20ac0.45", "Plain roll costs \u20ac0.45."),
        ("Plain roll \u20ac0.45", "Plain roll costs \u20ac0.45."),
        ("Saturday: 7:00 to 15:00", "On Saturday, from 7:00 to 15:00."),
        ("Monday: closed", "On Monday it is closed."),
        ("Tuesday\u2013Friday: 7:00\u201315:00", "From Tuesday to Friday, from 7:00 to 15:00."),
        ("Dutch: B2", "Dutch is at level B2."),
        ("Students: €50, with a card", "Students pay €50, with a card."),
        ("Databases: PostgreSQL, ClickHouse", "The databases are PostgreSQL and ClickHouse."),
        ("Infrastructure: Terraform, Ansible", "Infrastructure includes Terraform and Ansible."),
        ("\u274c Oracle", "For Oracle, the answer is no."),
        ("Sails a Folkboat", "Sails a Folkboat."),
    ],
)
def test_a_label_is_said_as_a_sentence(tmp_path: Path, item: str, sentence: str) -> None:
    assert said(tmp_path, f"## A\n- {item}\n") == [sentence]


def test_a_short_answer_stays_with_the_sentence_after_it(tmp_path: Path) -> None:
    text = "## Are there day tickets?\nNo. We only sell tickets for all days.\n"
    assert said(tmp_path, text) == ["No. We only sell tickets for all days."]


def test_a_command_is_said_to_be_one(tmp_path: Path) -> None:
    assert said(tmp_path, "## Install\n```sh\n$ pip install x\n```\n") == [
        "The command is pip install x."
    ]


def test_a_cv_is_told_without_how_to_reach_somebody(tmp_path: Path) -> None:
    path = tmp_path / "cv.md"
    path.write_text(
        "# Bo Lind\n\nSmith \u00b7 Oslo \u00b7 bo@lind.example \u00b7 +47 555 010 203\n\n"
        "## Experience\n\n### Smith, Acme\n*2019 \u2013 present*\n\n## Skills\n\nForging.\n",
        encoding="utf-8",
    )
    texts = [record.text for record in records(load(path))]
    assert texts[:2] == ["Smith, Oslo.", "Smith, Acme, 2019 to present."]


def test_lines_with_labels_are_told_one_by_one(tmp_path: Path) -> None:
    invitation = (
        "**When:** Saturday, 11 July, from 3 pm\n**Where:** The Old Mill, Mill Lane 2\n"
        "and its yard\n**Dress:** a jumper, it gets cool\n"
    )
    found = read(tmp_path, invitation)

    assert [record.path for record in found] == [("When",), ("Where",), ()]
    assert [record.text for record in found[:2]] == [
        "Saturday, 11 July, from 3 pm.",
        "The Old Mill, Mill Lane 2 and its yard.",
    ]


def test_a_line_that_only_begins_with_a_label_stays_in_its_paragraph(tmp_path: Path) -> None:
    assert len(read(tmp_path, "Our aim: bread for all,\nevery day of the week.\n")) == 1


def test_lines_in_bold_are_told_one_by_one(tmp_path: Path) -> None:
    cakes = (
        "## Cakes\n**Carrot cake**, \u00a33.60. Has walnuts.\n**Lemon cake**, \u00a33.20. Vegan.\n"
    )
    assert [record.text for record in read(tmp_path, cakes)] == [
        "Carrot cake costs \u00a33.60. Has walnuts.",
        "Lemon cake costs \u00a33.20. Vegan.",
    ]


def test_a_question_is_no_part_of_its_answer(tmp_path: Path) -> None:
    (record,) = read(tmp_path, "## Boats\n**What does a boat cost?**\nA single is 40 euros.\n")
    assert record.text == "A single is 40 euros."
    assert record.path == ("Boats", "What does a boat cost?")


def test_a_job_is_told_with_its_time(tmp_path: Path) -> None:
    job = "## Work\n**Rower, Tarn Club** \u2014 *since May 2019*\n- rows daily\n"
    first, *_, duty = read(tmp_path, job)
    assert first.text == "Rower, Tarn Club, since May 2019."
    assert duty.text == "Rows daily."
    assert duty.path[-1] == "Rower, Tarn Club, since May 2019"


def test_a_short_sentence_is_no_title(tmp_path: Path) -> None:
    once = "## Bread\nSliced on request. Loaves of yesterday are half price.\n"
    assert said(tmp_path, once) == ["Sliced on request.", "Loaves of yesterday are half price."]
    code = "## Rules\n" + "\n\n".join(
        f"{title}. Nobody is allowed to stand in the way." for title in ("Doors", "Halls", "Stairs")
    )
    assert set(said(tmp_path, code)) == {"Nobody is allowed to stand in the way."}


def test_items_with_times_and_ways_are_told_as_people_say_them(tmp_path: Path) -> None:
    assert said(tmp_path, "* 6 pm \u2013 Buffet\n* By train: S4 to Unterbach\n") == [
        "At 6 pm, buffet.",
        "By train, S4 to Unterbach.",
    ]


def test_lettered_alternatives_are_told_without_their_letters(tmp_path: Path) -> None:
    rule = "1. Stopping is forbidden:\n   a) on bends;\n   b) on cycle tracks.\n"
    assert said(tmp_path, rule) == ["Stopping is forbidden on bends, on cycle tracks."]


def test_rules_are_told_without_their_numbers(tmp_path: Path) -> None:
    assert said(tmp_path, "**12.** You MUST carry a light.\n") == ["You MUST carry a light."]


def test_a_readme_is_told_without_pictures_and_contents(tmp_path: Path) -> None:
    readme = (
        "- [Install](#install)\n- [FAQ](#faq)\n\n## Install\n\n- :zap: It is fast\n"
        "- :x: No telemetry\n\n## FAQ\n\n| Command | What it does |\n|---|---|\n"
        "| shop serve | starts the server |\n\n<details>\n<summary>Does it bake?</summary>\n\n"
        "It does not.\n</details>\n"
    )
    found = read(tmp_path, readme)

    assert [record.text for record in found] == [
        "It is fast.",
        "No telemetry.",
        "For shop serve, it starts the server.",
        "It does not.",
    ]
    assert found[-1].path[-1] == "Does it bake?"


CV = "# Ada Smith\n\n## Employment\n- Baker at Crumb Ltd, 2010 to 2015\n{}\n## Education\n- BSc\n"

ITEMS = (
    *(
        "020 7946 0958",
        "ada@example.com",
        "For references, ring Bob, 020 7946 0958.",
        "\u2026",
        ".",
    ),
    *(
        "E-mail: a@b.co \u00b7 London \u00b7 07700 900123",
        "~~020 7946 0958~~",
        "[link](http://x.y)",
    ),
    *("see:", "**bold**", "`code`", "\u201c\u201d", "- [ ] task", "2010\u20132015", "Baker, 2008"),
)


def test_an_item_of_a_cv_that_is_only_a_contact_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "cv.md"
    path.write_text(CV.format("- Ring Bob, 020 7946 0958.\n  - Apprentice at Loaf, 2008\n"))
    texts = [one.text for record in records(load(path)) for one in record.statements]
    assert any("Crumb" in text for text in texts)
    assert any("Apprentice at Loaf" in text for text in texts), "what stands under it is told"
    assert not any("7946" in text for text in texts)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(("- ", "  - ", "1. ", "\n## ", "\n", "| a |\n|---|\n| ")),
            st.lists(st.sampled_from(ITEMS), min_size=1, max_size=3).map(" ".join),
        ),
        max_size=6,
    )
)
def test_a_cv_is_read_whatever_stands_in_it(tmp_path: Path, lines: list[tuple[str, str]]) -> None:
    path = tmp_path / "cv.md"
    path.write_text(CV.format("\n".join("".join(line) for line in lines)), encoding="utf-8")
    assert any("Crumb" in one.text for record in records(load(path)) for one in record.statements)
