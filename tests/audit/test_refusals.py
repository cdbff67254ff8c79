"""What was refused, in one line: how many records, by which rules, and what such a rule says."""

from tally_stream.audit.refusals import SENTENCE_MAX_CHARS, RefusedRecords


def lines(*records: list[tuple[str, str]], of: int = 9, is_whole: bool = True) -> list[str]:
    refusals = RefusedRecords()
    for findings in records:
        refusals.add(findings)
    return refusals.lines(of, "there are more", is_whole=is_whole)


def test_nothing_refused_is_nothing_said() -> None:
    assert lines() == []


def test_each_rule_has_its_count_and_its_first_sentence() -> None:
    assert lines([("Q2", "old")], [("S2", "unknown station A")], [("S2", "unknown station B")]) == [
        "3 of 9 records were refused: 2 by S2 (such as: unknown station A), 1 by Q2 (such as: old); there are more"
    ]


def test_one_record() -> None:
    assert lines([("S1", "no JSON")], of=1) == ["1 of 1 record was refused: 1 by S1 (such as: no JSON); there are more"]


def test_of_many_rules_the_commonest() -> None:
    (said,) = lines(*[[(code, "x")] for code in ("S1", "S2", "S3", "S4")])
    assert said.endswith("1 by S3 (such as: x), others by 1 more rule; there are more")
    (said,) = lines(*[[(code, "x")] for code in ("S1", "S2", "S3", "S4", "S5", "S5")])
    assert said.startswith("6 of 9 records were refused: 2 by S5 (such as: x), 1 by S1")
    assert said.endswith(", others by 2 more rules; there are more")


def test_where_the_oldest_are_forgotten() -> None:
    (said,) = lines([("S1", "x")], is_whole=False)
    assert said.startswith("at least 1 of 9 records were refused")


def test_a_stranger_s_sentence_does_nothing_to_a_terminal() -> None:
    (said,) = lines([("S2", "unknown contest \x1b[2J" + "x" * 500)])
    assert "unknown contest ?[2Jxxx" in said
    assert len(said) < SENTENCE_MAX_CHARS + 100
