"""A brain that lies is not heard, and one that does not is."""

from evals.adversarial.calls import spoken_over_calls
from evals.adversarial.statements import document, statements


def test_every_statement_cites_sections_of_its_document() -> None:
    every = list(statements())
    assert {statement.half for statement in every} == {"tuning", "measured"}
    for statement in every:
        assert set(statement.sections) <= set(document(statement.document).section_ids)
    assert len({(s.document, s.question, s.sentence) for s in every}) == len(every)


async def test_over_a_lying_server_only_the_truth_is_spoken() -> None:
    mine = [
        statement
        for statement in statements()
        if statement.document == "pinewood"
        and (statement.kind in ("quote", "quality", "caller", "names", "leading", "unicode"))
    ]
    said = await spoken_over_calls(mine)
    assert len(said) == len(mine)
    assert [s.sentence for s, heard in said if heard] == [s.sentence for s in mine if s.true]
