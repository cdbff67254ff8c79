"""election.toml: every mistake in it with its line and in plain words, and no mistake that is none."""

import re
from fractions import Fraction

import pytest

from tally_stream.domain.contest import Majority
from tally_stream.wire import limits
from tally_stream.wire.folder.toml import toml_lines
from tests.support.folders import TOML, Folder


class TestMistakesInToml:
    @pytest.mark.parametrize(
        ("old", "new", "mistake"),
        [
            ('id = "X-2024"\n', "", "1: id is missing"),
            ('id = "X-2024"', 'id = "x-2024"', "1: id 'x-2024' is not an id ([A-Z0-9][A-Z0-9._-]*, at most 64 characters)"),
            ('id = "X-2024"', "id = 7", '1: id should be a text in quotation marks, as "North"'),
            ('name = "An election"', 'name = "a\\u0000"', "2: name has the control or separator character U+0000: 'a\\x00'"),
            ('name = "An election"', 'name = "e\\u0301"', "2: name is not in Unicode normal form C: 'e\\u0301'"),
            ('name = "An election"', f'name = "{"x" * 201}"', "2: name longer than 200 code points"),
            ('"official"', '"live"', "3: phase should be 'official' or 'test'"),
            ("+04:00\n\n[areas]", "\n\n[areas]", "4: polls_close has no offset from UTC: write it as 2024-02-07T19:00:00+04:00"),
            ("2024-02-07T19:00:00+04:00\n\n[a", '"2024-02-07T19:00:00+04:00"\n\n[a', "4: polls_close should be a time without quotation marks, as 2024-02-07T19:00:00+04:00"),
            ("2024-02-07T19:00:00+04:00\n\n[a", "2024-02-07\n\n[a", "4: polls_close should be a time without quotation marks, as 2024-02-07T19:00:00+04:00"),
            ('phase = "official"', 'phase = "official"\nfase = 1', "4: fase is not known here"),
            ('root = "X"', 'root = "X/Y"', "7: areas.root 'X/Y' is not an id ([A-Z0-9][A-Z0-9._-]*, at most 64 characters)"),
            ('root_name = "Everywhere"\n', "", "6: areas.root_name is missing"),
            ('["region", "town"]', '["region", "region"]', "9: areas.levels names 'region' twice"),
            ('["region", "town"]', '["region", "name"]', "9: areas.levels names 'name', a column of its own in stations.csv"),
            ('["region", "town"]', '["region", ""]', "9: areas.levels[2] is empty"),
            ('["region", "town"]', '"region"', '9: areas.levels should be a list in square brackets, as ["North"]'),
            ('["region", "town"]', '["region", 7]', '9: areas.levels[2] should be a text in quotation marks, as "North"'),
            ("publish_depth = 1", "publish_depth = 3", "10: areas.publish_depth is 3, there are 2 levels"),
            ('["region", "town"]\npublish_depth = 1', '["region"]\npublish_depth = 2', "10: areas.publish_depth is 2, there is 1 level"),
            ('["region", "town"]', "[]", "10: areas.publish_depth is 1, there are 0 levels"),
            ("publish_depth = 1", "publish_depth = -1", "10: areas.publish_depth should be greater than or equal to 0"),
            ("publish_depth = 1", "publish_depth = 1.0", "10: areas.publish_depth should be a whole number, as 2"),
            ("publish_depth = 1", "publish_depth = true", "10: areas.publish_depth should be a whole number, as 2"),
            ("publish_depth = 1\n", "publish_depth = 1\ndepth = 1\n", "11: areas.depth is not known here"),
            ("seats = 1\n", "seats = 0\n", "15: contest PRES: seats should be greater than or equal to 1"),
            ("seats = 2\n", "seats = 1000001\n", "32: contest SEAT: seats should be less than or equal to 1000000"),
            ("seats = 1\n", "seats = 1.0\n", "15: contest PRES: seats should be a whole number, as 2"),
            ("seats = 1\n", "seats = 2\n", "15: contest PRES: seats is 2: a majority is of one seat"),
            ('"majority"', '"lottery"', "16: contest PRES: rule should be 'majority', 'plurality', 'proportional', 'referendum' or 'none'"),
            ('"majority"', '"plurality"', "17: contest PRES: majority_base is not known to rule plurality"),
            ('"majority"', '"none"', "17: contest PRES: majority_base is not known to rule none"),
            ('"plurality"', '"plurality"\nmajority = {}', "34: contest SEAT: majority is not known to rule plurality"),
            ('majority_base = "valid"', "majority = { percent = 100.1 }", "17: contest PRES: majority.percent is above 100 per cent"),
            ('majority_base = "valid"', "majority = { per_cent = 50 }", "17: contest PRES: majority.per_cent is not known here"),
            ('majority_base = "valid"', "majority = { at_least = 1 }", "17: contest PRES: majority.at_least should be true or false"),
            ('majority_base = "valid"', "majority = { or_percent = 40 }",
             "17: contest PRES: majority has one of or_percent and or_lead_percent: they go together"),
            ('majority_base = "valid"', "majority = { or_lead_percent = 10 }",
             "17: contest PRES: majority has one of or_percent and or_lead_percent: they go together"),
            ('majority_base = "valid"', 'majority_base = "all"', "17: contest PRES: majority_base should be 'valid' or 'cast'"),
            ('"half-up", places = 2', '"bankers", places = 2', "18: contest PRES: rounding.method should be 'half-up', 'truncate' or 'largest-remainder'"),
            ("places = 2", "places = 7", "18: contest PRES: rounding.places should be less than or equal to 6"),
            ("places = 2", "places = 2, base = 1", "18: contest PRES: rounding.base is not known here"),
            ('id = "BELA"', 'id = "ANNA"', "26: contest PRES: candidates[2].id 'ANNA' occurs twice"),
            ('id = "BELA"', 'id = "Bela"', "26: contest PRES: candidates[2].id 'Bela' is not an id ([A-Z0-9][A-Z0-9._-]*, at most 64 characters)"),
            ('id = "BELA"\n', "", "25: contest PRES: candidates[2].id is missing"),
            ('party = "Greens"', "party = 1", '23: contest PRES: candidates[1].party should be a text in quotation marks, as "North"'),
            ('party = "Greens"', 'colour = "green"', "23: contest PRES: candidates[1].colour is not known here"),
            ('party = "Greens"', 'color = "green"', "23: contest PRES: candidates[1].color is no color (# and six hexadecimal digits)"),
            ('party = "Greens"', 'color = "#1f77b4f"', "23: contest PRES: candidates[1].color is no color (# and six hexadecimal digits)"),
            ('party = "Greens"', "eligible = 0", "23: contest PRES: candidates[1].eligible should be true or false"),
            ('id = "SEAT"', 'id = "PRES"', "30: contest PRES: id 'PRES' occurs twice"),
            ('[[contests.candidates]]\nid = "CLEO"\nname = "Cleo"\n', "", "29: contest 'SEAT' has no candidates (they stand in [[contests.candidates]] or in candidates.csv)"),
            ('contest = "PRES"', 'contest = "NONE"', "41: exit_polls[1].contest 'NONE' is no contest"),
            ("BELA = 48", "CLEO = 48", "44: exit_polls[1].shares name 'CLEO', no candidate of PRES"),
            ("BELA = 48", "BELA = 100.1", "44: exit_polls[1].shares.BELA is above 100 per cent"),
            ("BELA = 48", "BELA = -1", "44: exit_polls[1].shares.BELA is not a number from 0 to 1,000,000"),
            ("BELA = 48", "BELA = nan", "44: exit_polls[1].shares.BELA is not a number from 0 to 1,000,000"),
            ("BELA = 48", "BELA = inf", "44: exit_polls[1].shares.BELA is not a number from 0 to 1,000,000"),
            ("BELA = 48", 'BELA = "48"', "44: exit_polls[1].shares.BELA is not a number"),
            ("BELA = 48", "BELA = true", "44: exit_polls[1].shares.BELA is not a number"),
            ("BELA = 48", "BELA = 1e-10", "44: exit_polls[1].shares.BELA has more than 9 decimal places"),
            ("20:00:00+04:00", "20:00:00", "43: exit_polls[1].publish_after has no offset from UTC: write it as 2024-02-07T19:00:00+04:00"),
            ("P5_turnout_percent = 97.5", "P9_percent = 3", "47: checks.P9_percent is not known here"),
            ("P5_turnout_percent = 97.5", "P5_turnout_percent = -0.1", "47: checks.P5_turnout_percent is not a number from 0 to 1,000,000"),
            ("P5_turnout_percent = 97.5", "P5_turnout_percent = 1000001", "47: checks.P5_turnout_percent is not a number from 0 to 1,000,000"),
            ("Q7_skew_seconds = 60", "Q7_skew_seconds = 60.0", "48: checks.Q7_skew_seconds should be a whole number, as 2"),
            ("Q7_skew_seconds = 60", "bound_register_percent = 101.9",
             "48: checks.bound_register_percent is 101.9, below A3_register_percent (102)"),
            ("Q7_skew_seconds = 60", "A3_register_percent = 151", "46: checks.bound_register_percent is 150, below A3_register_percent (151)"),
            ("Q7_skew_seconds = 60", "bound_register_percent = 1000.1", "48: checks.bound_register_percent is 1000.1, at most 1000"),
            ("Q7_skew_seconds = 60", "bound_register_percent = nan", "48: checks.bound_register_percent is not a number from 0 to 1,000,000"),
            ("Q7_skew_seconds = 60", "P6_votes_min = -1", "48: checks.P6_votes_min should be greater than or equal to 0"),
            ("offset = 123", "offset = -1", "52: skip[1].offset should be greater than or equal to 0"),
            ('reason = "crashes the code"', 'reason = ""', "53: skip[1].reason is empty"),
            ('authority = "commission"\n', "", "50: skip[1].authority is missing"),
            ("partition = 0\n", "partition = 0\npartitions = 1\n", "52: skip[1].partitions is not known here"),
        ],
    )  # fmt: skip
    def test_each_is_named_with_its_line(self, folder: Folder, old: str, new: str, mistake: str) -> None:
        mistakes = folder.replace((old, new)).mistakes()
        # What hangs on the broken field may be wrong with it: a header, an exit poll's candidates.
        assert f"election.toml:{mistake}" in mistakes
        assert all(".csv:" in m or "exit_polls[1]" in m for m in mistakes if m != f"election.toml:{mistake}")

    def test_one_vote_a_ballot_may_be_said(self, folder: Folder) -> None:
        before = folder.load().digest
        assert folder.replace(("seats = 2\n", "seats = 2\nvotes_per_ballot = 1\n")).load().digest == before

    def test_a_majority_of_other_limits(self, folder: Folder) -> None:
        assert folder.load().contests[0].majority == Majority()
        limits = "majority = { percent = 55.5, at_least = true, or_percent = 40, or_lead_percent = 10.25 }"
        (president, council) = folder.replace(('majority_base = "valid"', limits)).load().contests
        assert president.majority == Majority(Fraction(111, 2), True, Fraction(40), Fraction(41, 4))
        assert (president.majority_base, council.majority) == ("valid", None)

    def test_candidates_who_cannot_win_and_colors(self, folder: Folder) -> None:
        plain = folder.load()
        of = folder.replace(('party = "Greens"', 'eligible = false\ncolor = "#1f77B4"')).load().contests[0]
        assert [(c.eligible, c.color) for c in of.candidates] == [(False, "#1f77B4"), (True, None)]
        assert (plain.contests[0].eligible, of.eligible) == ((0, 1), (1,))

    def test_a_place_skipped_twice(self, folder: Folder) -> None:
        again = TOML[TOML.index("[[skip]]") :]
        folder.write("election.toml", TOML + again)
        assert folder.mistakes() == ["election.toml:55: skip[2] names partition 0, offset 123 twice"]

    def test_no_contests(self, folder: Folder) -> None:
        head, rest = TOML.split("[[contests]]", 1)
        folder.write("election.toml", head + rest[rest.index("[checks]") :])
        assert folder.mistakes() == ["election.toml:1: contests is missing"]
        folder.write("election.toml", "contests = []\n" + head)
        assert folder.mistakes() == ["election.toml:1: contests is missing"]

    def test_the_most_candidates(self, folder: Folder) -> None:
        one = '[[contests.candidates]]\nid = "K{}"\nname = "K"\n'
        head = TOML.split("[[exit_polls]]")[0]
        added = "".join(one.format(n) for n in range(limits.CANDIDATES_MAX - 1))
        folder.write("election.toml", head + added)
        assert len(folder.load().contests[1].candidates) == limits.CANDIDATES_MAX == 2_000
        folder.write("election.toml", head + added + one.format("X"))
        (mistake,) = folder.mistakes()
        assert mistake == "election.toml:29: contest SEAT: candidates has 2001 entries, at most 2000"

    @pytest.mark.parametrize(
        ("text", "mistake"),
        [
            ("id = ", r"election\.toml:1: is not TOML: Invalid value \(at end of document\)"),
            ('id = "A"\nname = "B"\nid = "C"\n', r"election\.toml:3: is not TOML: Cannot overwrite a value \(at line 3.*\)"),
            ('id = "a\x00"', r"election\.toml:1: is not TOML: .*"),
            ("\ufeff\ufeffid = 1", r"election\.toml:1: is not TOML: .*"),
            ("id = 2024-02-07T19:00:60Z", r"election\.toml:1: is not TOML: .*"),
            ("id = 2024-02-30T19:00:00Z", r"election\.toml:1: is not TOML: .*"),
            ("id = 1e99999999999999999999", r"election\.toml:1: is not TOML: .*"),
            ("id = " + "[" * 10_000, r"election\.toml:1: is not TOML: .*"),
        ],
    )
    def test_what_is_no_toml(self, folder: Folder, text: str, mistake: str) -> None:
        folder.write("election.toml", text)
        (found,) = folder.mistakes()
        assert re.fullmatch(mistake, found, re.DOTALL)

    def test_bytes_that_are_not_utf_8_and_a_file_that_is_not_there(self, folder: Folder) -> None:
        folder.write("election.toml", b'id = "\xff"')
        assert folder.mistakes() == ["election.toml:1: is not UTF-8 (byte 6)"]
        (folder.path / "election.toml").unlink()
        assert folder.mistakes() == ["election.toml: is missing"]

    @pytest.mark.parametrize(
        "text",
        ["areas = 1", "contests = 1", "contests = [1]", "exit_polls = {}", "[areas]\nlevels = 1", "contests = [{candidates = 1}]",
         "contests = [{candidates = [1]}]", "[areas]\nlevels = [[]]\npublish_depth = 'x'", "[[exit_polls]]\ncontest = 1",
         "[[contests]]\nid = 'A'\n[[exit_polls]]\ncontest = 'A'\nshares = 1", "skip = 1", "[[skip]]\n[[skip]]"],
    )  # fmt: skip
    def test_tables_of_a_wrong_shape_hide_no_other_mistake(self, folder: Folder, text: str) -> None:
        folder.write("election.toml", text)
        assert any(m.endswith(": id is missing") for m in folder.mistakes())


class TestOneMistakeIsOne:
    """What hangs on a field that could not be read is not known, and no second mistake."""

    @pytest.mark.parametrize(
        ("text", "mistakes"),
        [
            ("contests = 5\n", ["contests should be tables, each under [[contests]]"]),
            ("contests = [5]\n", ["contests[1] is not a table"]),
            ("exit_polls = 5\n", ["exit_polls should be tables, each under [[exit_polls]]"]),
        ],
    )
    def test_in_a_list_of_tables(self, folder: Folder, text: str, mistakes: list[str]) -> None:
        name = text.split(" ", maxsplit=1)[0]
        parts = re.split(r"(?m)^(?=\[\[(?:contests|exit_polls)\]\])|^(?=\[checks\])", TOML)
        folder.write("election.toml", text + "".join(part for part in parts if not part.startswith(f"[[{name}]]")))
        assert folder.mistakes() == [f"election.toml:1: {mistake}" for mistake in mistakes]

    @pytest.mark.parametrize(
        ("old", "new", "mistake"),
        [
            ('id = "PRES"', "id = 5", '13: contests[1].id should be a text in quotation marks, as "North"'),
            ('id = "PRES"\n', "", "12: contests[1].id is missing"),
            ('id = "ANNA"', "id = 5", '21: contest PRES: candidates[1].id should be a text in quotation marks, as "North"'),
        ],
    )
    def test_in_the_id_that_a_poll_names(self, folder: Folder, old: str, new: str, mistake: str) -> None:
        folder.write("baseline.csv", "contest,area,candidate,votes\nPRES,X/North,ANNA,7\n")
        assert folder.replace((old, new)).mistakes() == [f"election.toml:{mistake}"]

    @pytest.mark.parametrize(
        ("levels", "mistake"),
        [
            ('["region", "region"]', "areas.levels names 'region' twice"),
            ('["region", "name"]', "areas.levels names 'name', a column of its own in stations.csv"),
            ('["region", ""]', "areas.levels[2] is empty"),
            ('["region", 7]', 'areas.levels[2] should be a text in quotation marks, as "North"'),
        ],
    )
    def test_in_levels_that_no_header_could_have(self, folder: Folder, levels: str, mistake: str) -> None:
        assert folder.replace(('["region", "town"]', levels)).mistakes() == [f"election.toml:9: {mistake}"]

    def test_in_all_candidates_of_a_poll_s_contest(self, folder: Folder) -> None:
        candidates = TOML[TOML.index("[[contests.candidates]]") : TOML.index('[[contests]]\nid = "SEAT"')]
        folder.replace((candidates, "candidates = 5\n"))
        assert folder.mistakes() == [
            "election.toml:20: contest PRES: candidates should be tables, each under [[contests.candidates]]"
        ]

    def test_in_no_candidates_at_all(self, folder: Folder) -> None:
        candidates = TOML[TOML.index("[[contests.candidates]]") : TOML.index('[[contests]]\nid = "SEAT"')]
        folder.replace((candidates, "candidates = []\n"), ("shares = { ANNA = 52.10, BELA = 48 }", "shares = {}"))
        assert folder.mistakes() == ["election.toml:20: contest PRES: candidates has no entries"]


def test_where_tables_and_keys_stand() -> None:
    text = '[[a]]\nx = 1\n[[a.b]]\n"y z" = 2\n[[a]]\n[a.c]\n\'q\' = 3 # [[no]]\nlist = [\n  ["a", 1],\n]\n[d."e f"]\n'
    found = toml_lines(text)
    assert found[("a", 0)] == 1
    assert found[("a", 0, "x")] == 2
    assert found[("a", 0, "b", 0)] == 3
    assert found[("a", 0, "b", 0, "y z")] == 4
    assert found[("a", 1)] == 5
    assert found[("a", 1, "c", "q")] == 7
    assert found[("d", "e f")] == 11
