"""Documents: how Markdown becomes sections and lines, and what is said about a bad file."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from knowledge.check.sensitive import topic_of
from knowledge.check.support import unsupported_claims
from knowledge.loading.document import MAX_BYTES, Document, DocumentError, load

Writer = Callable[..., Path]

# Beside title, subtitle and language, which Viva reads too.
FIELDS_OF_OTHER_TOOLS = {
    "jekyll": "layout permalink published date category categories tags excerpt author",
    "hugo": """
        aliases audio build cascade date description draft expiryDate headless images
        isCJKLanguage keywords lastmod layout linkTitle markup menus modified outputs params pubdate
        publishDate published resources series sitemap slug summary tags translationKey type
        unpublishDate url videos weight
    """,
    "docusaurus": """
        id hide_title hide_table_of_contents sidebar_label sidebar_position pagination_label
        custom_edit_url keywords description image slug tags draft unlisted last_update title_meta
    """,
    "obsidian": """
        tags aliases cssclasses publish permalink description image cover source author
        published created
    """,
    "pandoc": """
        author date abstract keywords lang dir bibliography toc documentclass geometry fontsize
        linkcolor nocite institute subject thanks header-includes
    """,
}


@pytest.fixture(scope="module")
def cv() -> Document:
    return load()


@pytest.fixture
def written(tmp_path: Path) -> Writer:
    def write(text: str | bytes, name: str = "doc.md") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


class TestTheBundledCv:
    def test_has_a_persona_that_says_it_is_an_ai(self, cv: Document) -> None:
        assert cv.title == "Grace Hopper"
        assert cv.persona.name == "Viva"
        assert re.match(r"Hello, I'm Viva, an AI\.", cv.persona.greeting)
        assert cv.persona.pronunciations["UNIVAC"].startswith("j")
        assert len(cv.sha256) == 64

    def test_states_one_sourced_fact_a_line(self, cv: Document) -> None:
        facts = [line for section in cv.sections for line in section.lines if line.kind == "item"]
        assert len(facts) >= 40
        assert len(cv.sources) >= 8
        for fact in facts:
            assert fact.text.endswith("."), fact
            assert len(fact.text.split()) <= 30, fact

    def test_lines_point_at_the_file(self, cv: Document) -> None:
        source = Path("knowledge", cv.name).read_text(encoding="utf-8").split("\n")
        for section in cv.sections:
            for line in section.lines:
                assert line.section == section.id
                assert line.text in source[line.number - 1]

    def test_never_shows_or_speaks_the_questions_of_its_author(self, cv: Document) -> None:
        asked = [q for s in cv.sections for line in s.lines for q in line.questions]
        assert len(asked) > 40
        text = "\n".join(section.text for section in cv.sections)
        assert "asked:" not in text
        assert not any(question in text for question in asked)

    def test_keeps_its_own_rules(self, cv: Document) -> None:
        """No line of it would be stopped by the checks that every answer goes through."""
        for section in cv.sections:
            for line in section.lines:
                assert unsupported_claims(line.text, [section], "") == (), line
                if line.kind != "heading":
                    assert topic_of(line.text, cv) is None, line

    def test_names_what_a_recogniser_should_know(self, cv: Document) -> None:
        names = cv.proper_nouns()
        assert names[0] == "Grace Hopper"
        assert {"COBOL", "FLOW-MATIC", "Vassar College", "Howard Aiken"} <= set(names)
        assert {"UNIVAC", "A-0"} <= set(names[:20])
        assert len(names) == len({name.lower() for name in names})

    def test_an_unknown_section_is_named_beside_those_that_exist(self, cv: Document) -> None:
        assert cv.section("education").title == "Education"
        with pytest.raises(KeyError, match=r"no section 'school'.*education, employment"):
            cv.section("school")


class TestMarkdown:
    def test_sections_are_named_by_the_path_of_their_headings(self, written: Writer) -> None:
        document = load(
            written(
                "# Tool\nIntro.\n\n## Set-up\n\n### Debian\nA.\n\n### Alpine\nB.\n\n## Café\nC.\n"
            )
        )
        assert document.title == "Tool"
        assert document.section_ids == ("tool", "set-up", "set-up/debian", "set-up/alpine", "cafe")

    def test_ids_do_not_depend_on_unrelated_sections(self, written: Writer) -> None:
        one = load(written("# T\n## A\nx\n## B\n### C\ny\n"))
        two = load(written("# T\n## New\nz\n## B\n### C\ny\n## A\nx\n"))
        assert set(one.section_ids) < set(two.section_ids)

    def test_equal_headings_get_distinct_ids(self, written: Writer) -> None:
        assert load(written("# T\n## A\nx\n## A\ny\n")).section_ids == ("a", "a-2")

    def test_several_first_level_headings_are_sections_like_others(self, written: Writer) -> None:
        document = load(written("# One\nx\n## Sub\ny\n# Two\nz\n"))
        assert document.section_ids == ("one", "one/sub", "two")

    def test_text_before_any_heading_is_an_introduction(self, written: Writer) -> None:
        document = load(written("Before.\n\n## Part\nAfter.\n"))
        assert document.section_ids == ("introduction", "part")
        assert document.section("introduction").text == "Introduction\nBefore."

    @pytest.mark.parametrize(
        ("fence", "lines"),
        [
            (
                "sh\n# fetch it\ngit clone x.example/a\ncd a\n\nmake test  # all of them\n",
                {2 + 2: "git clone x.example/a: fetch it", 5: "cd a", 7: "make test: all of them"},
            ),
            ("console\n$ viva serve\nOpen http://x\n$ viva \\\n  doctor\nfine\n",
             {3: "viva serve", 5: "viva doctor"}),
            ("\n$ ls\na b\nc d\n", {3: "ls"}),
            ("yaml\nport: 80  # public\nworkers: 2\nhosts:\n  - a\n",
             {3: "port = 80: public", 4: "workers = 2"}),
            ("python\nimport a\nb = 1\nprint(b)\n", {}),
            ("\n+--+\n|a |\n+--+\n", {}),
        ],
    )  # fmt: skip
    def test_of_long_code_commands_and_settings_are_read(
        self, fence: str, lines: dict[int, str], written: Writer
    ) -> None:
        document = load(written(f"# T\n```{fence}```\nEnd.\n"))
        code = {line.number: line.text for line in document.sections[0].lines if line.code}
        assert code == lines

    def test_lines_read_as_they_would_be_spoken(self) -> None:
        document = load(Path(__file__).parent / "kestrel.md")
        says = {line.text: line for section in document.sections for line in section.lines}
        assert "Start the queue with kestrel run." in says
        assert says["Start the queue with kestrel run."].kind == "item"
        assert says["port; default: 8093; meaning: where the status page listens"].number == 29
        assert says["pip install kestrel-queue"].number == 14
        assert not any("import Queue" in text for text in says), "long code is not read aloud"
        assert not any("badge" in text or "](" in text or "`" in text for text in says)

    def test_markup_is_gone_but_its_words_are_kept(self, written: Writer) -> None:
        document = load(
            written(
                "# T\n## A\n*Very* **bold** ~~old~~ [link](http://x.y) `code` ![alt](p.png)\n"
                "split line\n\n- [x] done\n- plain\n  - nested\n\n> quoted\n\n<b>html</b>\n"
            )
        )
        lines = [(line.text, line.kind) for line in document.section("a").lines[1:]]
        assert lines == [
            ("Very bold link code split line", "text"),
            ("done: yes", "item"),
            ("plain", "item"),
            ("nested", "item"),
            ("quoted", "text"),
            ("html", "text"),
        ]

    def test_questions_go_to_the_line_before_them(self, written: Writer) -> None:
        document = load(
            written(
                "# T\n## A\n<!-- asked: What is A? -->\n\n"
                "- One. <!-- asked: Is it one? Or two? -->\n- Two. <!-- a note -->\n"
            )
        )
        section = document.section("a")
        assert section.questions == ("What is A?",)
        assert [line.questions for line in section.lines] == [
            (),
            ("Is it one?", "Or two?"),
            (),
        ]

    def test_line_numbers_count_the_front_matter(self, written: Writer) -> None:
        document = load(written("---\ntitle: X\n---\n\n# T\n\n## A\nfact\n"))
        assert document.title == "X"
        assert [line.number for line in document.section("a").lines] == [7, 8]

    def test_windows_line_ends_and_a_byte_order_mark_change_nothing(self, written: Writer) -> None:
        unix = load(written("---\ntitle: X\n---\n# T\n## A\nfact\n"))
        dos = load(written(b"\xef\xbb\xbf---\r\ntitle: X\r\n---\r\n# T\r\n## A\r\nfact\r\n"))
        assert dos.sections == unix.sections
        assert dos.title == unix.title

    def test_a_tool_without_front_matter_has_nothing_sensitive(self, written: Writer) -> None:
        document = load(written("# My Tool\n## Contact\nCall 0431 555 0147.\n"))
        assert "an AI" in document.persona.greeting
        assert "My Tool" in document.persona.greeting
        assert (document.about_person, document.sensitive) == (False, ())
        assert topic_of("What is your phone number?", document) is None

    def test_a_cv_in_prose_under_headings_of_its_own_is_a_persons(self, written: Writer) -> None:
        document = load(
            written(
                "# Ilse Marchetti\n\n## Hello\nI make loud rooms quiet.\n\n## Now\n"
                "Since January 2021 I lead the acoustics group at Stille Zorg. I trained five.\n\n"
                "## Before that\nHouse engineer, Amsterdam (2012\u20132017). I was a freelance "
                "tour engineer (2009\u20132012).\n\n## The paper trail\nMSc Acoustics, Delft. My "
                "thesis was on alarms.\n"
            )
        )
        assert document.about_person
        assert topic_of("How old is she?", document) is not None

    def test_a_bistro_that_tells_of_itself_is_no_person(self, written: Writer) -> None:
        document = load(
            written(
                "# Chez Marcel\n\n## Us\nI cook and my wife serves. I trained in Lyon, and worked "
                "as a baker from 1998 to 2004.\n\n## Menu\nSoup \u20ac8, with my bread.\n"
            )
        )
        assert not document.about_person

    def test_a_cv_without_front_matter_gets_sensible_limits(self, written: Writer) -> None:
        document = load(written("# Bo Lind\n## Experience\nSmith.\n## Skills\nForging.\n"))
        assert document.about_person
        assert {topic.name for topic in document.sensitive} >= {
            "salary",
            "references",
            "contact details",
            "health",
            "age",
            "family",
        }


class TestMarkdownAsPeopleHaveIt:
    def test_what_is_struck_out_is_not_told(self, written: Writer) -> None:
        document = load(
            written(
                "# Shop\n## Plans\nPro costs ~~$99~~ $49, was <del>$120</del> <s>$110</s>.\n\n"
                "- ~~By drone~~\n- By bicycle\n\n## ~~Old hours~~\n~~We open at six.~~\n"
            )
        )
        lines = [line.text for section in document.sections for line in section.lines]
        assert lines == ["Plans", "Pro costs $49, was .", "By bicycle"]

    def test_ticks_crosses_and_tasks_say_yes_no_and_not_yet(self, written: Writer) -> None:
        document = load(
            written(
                "# T\n## A\n- \u2705 Linux\n- \u274c Oracle\n- [ ] Windows\n\n"
                "| System | Runs |\n| --- | --- |\n| BSD | \u2713 |\n"
            )
        )
        lines = [line.text for line in document.section("a").lines[1:]]
        assert lines == ["Linux: yes", "Oracle: no", "Windows: not yet", "BSD; Runs: yes"]

    def test_html_headings_lists_and_tables_are_read_as_markdown_is(self, written: Writer) -> None:
        document = load(
            written(
                "<h1>Night</h1>\n\n<h2>When</h2>\n\n<ul>\n<li><b>Doors:</b> 18:00</li>\n</ul>\n\n"
                "<table>\n<tr><th>Time</th><th>What</th></tr>\n\n<tr><td>20:30</td><td>Tour</td></tr>"
                "\n</table>\n\n<dl><dt>Soup</dt><dd>75 kroner</dd></dl>\n"
            )
        )
        assert document.title == "Night"
        section = document.section("when")
        assert [(line.text, line.kind) for line in section.lines] == [
            ("When", "heading"),
            ("Doors: 18:00", "item"),
            ("20:30; What: Tour", "item"),
            ("Soup: 75 kroner", "item"),
        ]
        assert section.lines[2].cells == (("Time", "20:30"), ("What", "Tour"))
        assert [line.number for line in section.lines] == [3, 6, 12, 15]

    def test_alerts_lose_their_mark(self, written: Writer) -> None:
        document = load(written("# T\n## A\n> [!WARNING]\n> Mind the step.\n"))
        assert document.section("a").lines[1].text == "Mind the step."

    @pytest.mark.parametrize(
        ("front", "title"),
        [
            ('+++\ntitle = "Ferry"\nprice = 49\n+++\n', "Ferry"),
            ('{\n"title": "Ferry",\n"draft": true\n}\n', "Ferry"),
            ("---\ntitle: Ferry\n...\n", "Ferry"),
            ("---\ntitle: 1984\n---\n", "1984"),
            ("---\ntitle:\nsubtitle:\nsources:\n---\n", "Tickets"),
            ("---\n# layout: page\n---\n", "Tickets"),
            ("---\nlanguage: en_US\n---\n", "Tickets"),
            ("---\nlanguage: English\n---\n", "Tickets"),
            ("---\nsources:\n  - {title: A book, url: https://b.example}\n---\n", "Tickets"),
            ("---\n\n", "Tickets"),
        ],
    )
    def test_front_matter_of_other_generators_is_never_told(
        self, written: Writer, front: str, title: str
    ) -> None:
        document = load(written(f"{front}\n# Tickets\n\n## Cabins\n\nA cabin costs 120 euros.\n"))
        assert document.title == title
        lines = [line.text for section in document.sections for line in section.lines]
        assert [text for text in lines if text not in ("Tickets", "Cabins")] == [
            "A cabin costs 120 euros."
        ]


class TestFrontMatter:
    def test_own_topics_replace_the_usual_ones(self, written: Writer) -> None:
        document = load(
            written(
                "---\n"
                "sensitive:\n"
                "  - salary\n"
                "  - name: pricing\n"
                "    phrases: [price, how much * cost]\n"
                "    refusal: Prices are for the sales people.\n"
                "---\n# T\n## A\nfact\n"
            )
        )
        salary, pricing = document.sensitive
        assert "salary" in salary.phrases
        assert pricing.refusal == "Prices are for the sales people."
        assert topic_of("How much would it cost?", document) == pricing
        assert topic_of("Is he married?", document) is None

    @pytest.mark.parametrize(
        ("front", "complaint"),
        [
            ("persona: {greeting: Hello there}", r"persona\.greeting is 'Hello there'.*an AI"),
            ("persona: {nmae: Bo}", r"persona\.nmae is 'Bo', .*not known; did you mean name\?"),
            ("persona: {colour: red}", r"persona\.colour .*allowed: name, greeting, voice"),
            ("sensitive: [{name: pay, phrase: [x]}]", r"sensitive\.0\.phrase .*mean phrases\?"),
            ("persona: Bob", "persona is 'Bob'; it must be fields, such as"),
            ("persona: {name: [1]}", r"persona\.name is \[1\]; it must be text"),
            ("suggestions: Why?", r"suggestions is not known; did you mean persona\.suggestions"),
            ("title: [a, b]", r"title is \['a', 'b'\]; it must be text"),
            ("title: ' '", "title is ' '; it must not be empty"),
            (f"title: {'x' * 600}", "; it must have at most 500 characters"),
            ("language: British English", "is 'British English'; it must be a language, such as"),
            ("sources: 3", "sources is 3; it must be a list"),
            ("sensitive:", "sensitive is empty; it must be a list of topics, or .* for none"),
            ("sensitive: [{phrases: [x]}]", r"sensitive\.0\.name is missing"),
            ("- a list", r"must be fields"),
            ("title: 'open", r"not YAML"),
        ],
    )
    def test_a_bad_field_is_named_with_its_value_and_what_is_allowed(
        self, written: Writer, front: str, complaint: str
    ) -> None:
        path = written(f"---\n{front}\n---\n# T\n## A\nfact\n", "bad.md")
        with pytest.raises(DocumentError, match=rf"^bad\.md: .*{complaint}"):
            load(path)

    @pytest.mark.parametrize(
        ("begins", "end"),
        [
            ("---\ntitle: Zed\nsensitive:\n  - salary\n", "---"),
            ("+++\ntitle = 'Zed'\n", r"\+\+\+"),
            ('{"title": "Zed",\n"sensitive": ["salary"]\n', "}"),
        ],
    )
    def test_fields_without_an_end_are_not_read_as_text(
        self, written: Writer, begins: str, end: str
    ) -> None:
        path = written(f"{begins}\n# T\n## A\nShe earned a salary of 5 dollars.\n", "bad.md")
        with pytest.raises(DocumentError, match=f"no end: put a line with {end} behind its last"):
            load(path)

    def test_fields_may_be_json_in_one_line(self, written: Writer) -> None:
        json = '{ "title": "Zed", "sensitive": ["salary"] }'
        document = load(written(f"{json}\n# T\n## A\nfact\n", "doc.md"))
        assert document.title == "Zed"
        assert [topic.name for topic in document.sensitive] == ["salary"]

    @pytest.mark.parametrize(
        ("misspelt", "meant"),
        [
            ("sensitve", "sensitive"),
            ("Sensitive", "sensitive"),
            ("sensitive_topics", "sensitive"),
            ("not-sensitive", "sensitive"),
            ("personna", "persona"),
            ("presona", "persona"),
            ("sourcs", "sources"),
            ("langauge", "language"),
            ("sub-title", "subtitle"),
            ("tilte", "title"),
            ("greeting", r"persona\.greeting"),
            ("pronunciation", r"persona\.pronunciations"),
        ],
    )
    def test_a_misspelt_field_is_refused_and_the_one_meant_is_named(
        self, written: Writer, misspelt: str, meant: str
    ) -> None:
        path = written(f"---\n{misspelt}: [salary]\n---\n# T\n## A\nfact\n", "cv.md")
        complaint = rf"^cv\.md: front matter field {misspelt} is not known; did you mean {meant}\?$"
        with pytest.raises(DocumentError, match=complaint):
            load(path)

    @pytest.mark.parametrize("tool", sorted(FIELDS_OF_OTHER_TOOLS))
    def test_fields_of_other_tools_are_left_alone_and_named(
        self, written: Writer, tool: str
    ) -> None:
        fields = FIELDS_OF_OTHER_TOOLS[tool].split()
        front = "\n".join(f"{field}: x" for field in fields)
        document = load(written(f"---\n{front}\n---\n# T\n## A\nfact\n"))
        assert document.title == "T"
        assert document.ignored == tuple(fields)


class TestBadFiles:
    @pytest.mark.parametrize(
        ("content", "complaint"),
        [
            (b"", "it is empty"),
            (b"  \n\n", "it is empty"),
            (b"# T\n\xff\xfe\n", r"not UTF-8 text \(line 2\)"),
            (b"Just text, and more text.\n", "it has no headings"),
            (b"# Title\n\n## Part\n", "nothing under them"),
        ],
    )
    def test_say_what_is_wrong(self, written: Writer, content: bytes, complaint: str) -> None:
        with pytest.raises(DocumentError, match=complaint):
            load(written(content))

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(DocumentError, match=r"nowhere\.md: there is no such file"):
            load(tmp_path / "nowhere.md")

    def test_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(DocumentError, match="it is a directory"):
            load(tmp_path)

    @pytest.mark.skipif(os.name != "posix", reason="named pipes are POSIX's")
    def test_a_pipe_is_not_waited_for(self, tmp_path: Path) -> None:
        pipe = tmp_path / "menu.md"
        os.mkfifo(pipe)
        with pytest.raises(DocumentError, match=r"menu\.md: it is not a file, but a pipe"):
            load(pipe)

    def test_too_large(self, written: Writer) -> None:
        with pytest.raises(DocumentError, match=rf"bytes; at most {MAX_BYTES} are allowed"):
            load(written(b"# T\n" + b"x" * MAX_BYTES))
