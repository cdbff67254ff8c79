"""election.toml, stations.csv, areas.csv: what a good folder becomes, and every mistake with its file and line."""

import errno
import gzip
import os
import re
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from tally_stream.domain.election import CHECK_NAMES, Majority
from tally_stream.wire import limits
from tally_stream.wire.folder import assembling, stations
from tally_stream.wire.folder.assembling import ElectionFolderError, election_day, load_election
from tally_stream.wire.folder.toml import toml_lines
from tests.support.folders import STATIONS, TOML, Folder


class TestAGoodFolder:
    def test_what_it_becomes(self, folder: Folder) -> None:
        e = folder.load()
        assert (e.id, e.name, e.phase, e.polls_close_ms) == ("X-2024", "An election", "official", 1_707_318_000_000)
        assert (e.root, e.root_name, e.levels, e.publish_depth) == ("X", "Everywhere", ("region", "town"), 1)
        assert [a.id for a in e.areas] == ["X", "X/North", "X/South"]
        president, council = e.contests
        assert (president.rule, president.majority_base, president.seats) == ("majority", "valid", 1)
        assert [(c.id, c.name, c.party) for c in president.candidates] == [
            ("ANNA", "Anna Ahl", "Greens"), ("BELA", "Béla Bodó", None)
        ]  # fmt: skip
        assert (council.rule, council.majority_base, council.seats) == ("plurality", "valid", 2)
        assert (council.rounding.method, council.rounding.places) == ("largest-remainder", 0)
        (poll,) = e.exit_polls
        assert (poll.contest, poll.pollster, poll.publish_after_ms) == ("PRES", "Street Poll", 1_707_321_600_000)
        assert poll.shares == (("ANNA", Decimal("52.10")), ("BELA", Decimal("48")))
        assert (e.checks.P5_turnout_percent, e.checks.Q7_skew_seconds) == (Fraction(195, 2), 60)
        assert (e.checks.A3_register_percent, e.checks.P6_votes_min) == (102, 100)
        (skip,) = e.skips
        assert (skip.partition, skip.offset, skip.reason, skip.authority) == (0, 123, "crashes the code", "commission")
        assert e.area_names == (("X/North", "The North"), ("X/South", "The South"))

    def test_every_check_goes_where_its_name_says(self, folder: Folder) -> None:
        """A value of its own for each, none of them the default; 0 is a limit like another."""
        limits = {"A3_register_percent": 101, "P1_invalid_percent": 4, "P2_blank_percent": 5, "P5_turnout_percent": 96,
                  "P6_votes_min": 0, "P7_register_percent": 7, "P10_change_percent": 8, "Q7_skew_seconds": 9,
                  "bound_register_percent": 103}  # fmt: skip
        lines = "\n".join(f"{name} = {limit}" for name, limit in limits.items())
        checks = folder.replace(("P5_turnout_percent = 97.5\nQ7_skew_seconds = 60", lines)).load().checks
        assert {name: getattr(checks, name) for name in CHECK_NAMES} == limits

    @pytest.mark.parametrize(
        ("polls_close", "day"),
        [
            ("2024-02-07T19:00:00+04:00", date(2024, 2, 7)),
            ("2024-02-08T01:00:00+04:00", date(2024, 2, 8)),  # the 7th in UTC
            ("2024-02-07T22:00:00-10:00", date(2024, 2, 7)),  # the 8th in UTC
        ],
    )
    def test_its_day_is_the_one_where_the_polls_close(self, folder: Folder, polls_close: str, day: date) -> None:
        text = re.sub(r"(?m)^polls_close = .*$", f"polls_close = {polls_close}", TOML)
        folder.write("election.toml", text)
        folder.load()
        assert election_day(folder.path) == day

    def test_unknown_is_none_not_0(self, folder: Folder) -> None:
        stations = folder.load().stations
        assert [(s.id, s.registered, s.ballots_expected) for s in stations.values()] == [
            ("A-1", 200, None), ("A-2", 100, 90), ("B-1", None, 250)
        ]  # fmt: skip
        assert stations["B-1"].name == "Hall, town"
        assert stations["B-1"].path == ("South", "Alder")

    def test_what_is_optional(self, folder: Folder) -> None:
        text = TOML[: TOML.index("[[exit_polls]]")]
        folder.write("election.toml", text)
        (folder.path / "areas.csv").unlink()
        e = folder.load()
        assert (e.exit_polls, e.skips, e.area_names, e.checks.P5_turnout_percent) == ((), (), (), 98)

    def test_the_root_alone(self, folder: Folder) -> None:
        folder.replace(('["region", "town"]', "[]"), ("publish_depth = 1", "publish_depth = 0"))
        folder.write("stations.csv", "station_id,name,registered,ballots_expected\nA-1,,,\n")
        assert [a.id for a in folder.load().areas] == ["X"]

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ('name = "An election"', 'name = ""'),
            ('root_name = "Everywhere"', 'root_name = ""'),
            ('party = "Greens"', 'party = ""'),
            ('name = "Cleo"', 'name = ""'),
            ('pollster = "Street Poll"', 'pollster = ""'),
        ],
    )
    def test_a_name_may_be_the_empty_text(self, folder: Folder, old: str, new: str) -> None:
        """Only level values are said to be never empty."""
        folder.replace((old, new)).load()

    def test_an_areas_name_may_be_the_empty_text(self, folder: Folder) -> None:
        folder.replace(("The North", ""), name="areas.csv")
        assert folder.load().area_names[0] == ("X/North", "")

    @pytest.mark.parametrize("name", ["stations.csv", "areas.csv"])
    def test_a_table_may_be_packed(self, folder: Folder, name: str) -> None:
        expected = folder.load().digest
        packed = gzip.compress((folder.path / name).read_bytes())
        folder.write(name, packed)
        assert folder.load().digest == expected, "seen from the content, not the name"
        (folder.path / name).rename(folder.path / (name + ".gz"))
        assert folder.load().digest == expected

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("2024-02-07T15:00:00Z", 1_707_318_000_000),
            ("2024-02-07T15:00:00.0019Z", 1_707_318_000_001),
            ("1969-12-31T23:59:59.9999Z", -1),
        ],
    )
    def test_times_in_whole_milliseconds(self, folder: Folder, text: str, expected: int) -> None:
        assert (
            folder.replace(("polls_close = 2024-02-07T19:00:00+04:00", f"polls_close = {text}")).load().polls_close_ms
            == expected
        )

    def test_seats_places_and_counts_at_their_limits(self, folder: Folder) -> None:
        folder.replace(
            ("seats = 2", f"seats = {limits.SEATS_MAX}"),
            ("places = 2", f"places = {limits.ROUNDING_PLACES_MAX}"),
            ("Q7_skew_seconds = 60", "Q7_skew_seconds = 999999999\nP1_invalid_percent = 1000000\nP6_votes_min = 0"),
            ("[checks]", f"[checks]\nbound_register_percent = {limits.BOUND_REGISTER_PERCENT_MAX}"),
            ("97.5", "0.000000001"),
        )
        folder.replace(("200,", "999999999,"), name="stations.csv")
        e = folder.load()
        assert e.contests[1].seats == 1000
        assert e.checks.bound_register_percent == 1000
        assert e.checks.P5_turnout_percent == Fraction(1, 10**9)
        assert e.stations["A-1"].registered == 999_999_999


class TestMistakesInToml:
    @pytest.mark.parametrize(
        ("old", "new", "mistake"),
        [
            ('id = "X-2024"\n', "", "1: id is missing"),
            ('id = "X-2024"', 'id = "x-2024"', "1: id is not an id ([A-Z0-9][A-Z0-9._-]*, at most 64 characters)"),
            ('id = "X-2024"', "id = 7", '1: id should be a text in quotation marks, as "North"'),
            ('name = "An election"', 'name = "a\\u0000"', "2: name has the control or separator character U+0000"),
            ('name = "An election"', 'name = "e\\u0301"', "2: name is not in Unicode normal form C"),
            ('name = "An election"', f'name = "{"x" * 201}"', "2: name longer than 200 code points"),
            ('"official"', '"live"', "3: phase should be 'official' or 'test'"),
            ("+04:00\n\n[areas]", "\n\n[areas]", "4: polls_close has no offset from UTC: write it as 2024-02-07T19:00:00+04:00"),
            ("2024-02-07T19:00:00+04:00\n\n[a", '"2024-02-07T19:00:00+04:00"\n\n[a', "4: polls_close should be a time without quotation marks, as 2024-02-07T19:00:00+04:00"),
            ("2024-02-07T19:00:00+04:00\n\n[a", "2024-02-07\n\n[a", "4: polls_close should be a time without quotation marks, as 2024-02-07T19:00:00+04:00"),
            ('phase = "official"', 'phase = "official"\nfase = 1', "4: fase is not known here"),
            ('root = "X"', 'root = "X/Y"', "7: areas.root is not an id ([A-Z0-9][A-Z0-9._-]*, at most 64 characters)"),
            ('root_name = "Everywhere"\n', "", "6: areas.root_name is missing"),
            ('["region", "town"]', '["region", "region"]', "9: areas.levels names 'region' twice"),
            ('["region", "town"]', '["region", "name"]', "9: areas.levels names 'name', a column of its own in stations.csv"),
            ('["region", "town"]', '["region", ""]', "9: areas.levels[2] is empty"),
            ('["region", "town"]', '"region"', '9: areas.levels should be a list in square brackets, as ["North"]'),
            ('["region", "town"]', '["region", 7]', '9: areas.levels[2] should be a text in quotation marks, as "North"'),
            ("publish_depth = 1", "publish_depth = 3", "10: areas.publish_depth is 3, there are 2 levels"),
            ("publish_depth = 1", "publish_depth = -1", "10: areas.publish_depth should be greater than or equal to 0"),
            ("publish_depth = 1", "publish_depth = 1.0", "10: areas.publish_depth should be a whole number, as 2"),
            ("publish_depth = 1", "publish_depth = true", "10: areas.publish_depth should be a whole number, as 2"),
            ("publish_depth = 1\n", "publish_depth = 1\ndepth = 1\n", "11: areas.depth is not known here"),
            ("seats = 1\n", "seats = 0\n", "15: contests[1].seats should be greater than or equal to 1"),
            ("seats = 2\n", "seats = 1001\n", "32: contests[2].seats should be less than or equal to 1000"),
            ("seats = 1\n", "seats = 1.0\n", "15: contests[1].seats should be a whole number, as 2"),
            ("seats = 1\n", "seats = 2\n", "15: contests[1].seats is 2: a majority is of one seat"),
            ('"majority"', '"lottery"', "16: contests[1].rule should be 'majority', 'plurality' or 'none'"),
            ('"majority"', '"plurality"', "17: contests[1].majority_base is not known to rule plurality"),
            ('"majority"', '"none"', "17: contests[1].majority_base is not known to rule none"),
            ('"plurality"', '"plurality"\nmajority = {}', "34: contests[2].majority is not known to rule plurality"),
            ('majority_base = "valid"', "majority = { percent = 100.1 }", "17: contests[1].majority.percent is above 100 per cent"),
            ('majority_base = "valid"', "majority = { per_cent = 50 }", "17: contests[1].majority.per_cent is not known here"),
            ('majority_base = "valid"', "majority = { at_least = 1 }", "17: contests[1].majority.at_least should be true or false"),
            ('majority_base = "valid"', "majority = { or_percent = 40 }",
             "17: contests[1].majority has one of or_percent and or_lead_percent: they go together"),
            ('majority_base = "valid"', "majority = { or_lead_percent = 10 }",
             "17: contests[1].majority has one of or_percent and or_lead_percent: they go together"),
            ('majority_base = "valid"', 'majority_base = "all"', "17: contests[1].majority_base should be 'valid' or 'cast'"),
            ('"half-up", places = 2', '"bankers", places = 2', "18: contests[1].rounding.method should be 'half-up', 'truncate' or 'largest-remainder'"),
            ("places = 2", "places = 7", "18: contests[1].rounding.places should be less than or equal to 6"),
            ("places = 2", "places = 2, base = 1", "18: contests[1].rounding.base is not known here"),
            ('id = "BELA"', 'id = "ANNA"', "26: contests[1].candidates[2].id 'ANNA' occurs twice"),
            ('id = "BELA"', 'id = "Bela"', "26: contests[1].candidates[2].id is not an id ([A-Z0-9][A-Z0-9._-]*, at most 64 characters)"),
            ('id = "BELA"\n', "", "25: contests[1].candidates[2].id is missing"),
            ('party = "Greens"', "party = 1", '23: contests[1].candidates[1].party should be a text in quotation marks, as "North"'),
            ('party = "Greens"', 'colour = "green"', "23: contests[1].candidates[1].colour is not known here"),
            ('party = "Greens"', 'color = "green"', "23: contests[1].candidates[1].color is no color (# and six hexadecimal digits)"),
            ('party = "Greens"', 'color = "#1f77b4f"', "23: contests[1].candidates[1].color is no color (# and six hexadecimal digits)"),
            ('party = "Greens"', "eligible = 0", "23: contests[1].candidates[1].eligible should be true or false"),
            ('id = "SEAT"', 'id = "PRES"', "30: contests[2].id 'PRES' occurs twice"),
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

    @pytest.mark.parametrize(
        ("old", "new", "mistake"),
        [
            ('"majority"\nmajority_base = "valid"', '"proportional"', "16: contests[1].rule is proportional: this version does not share out seats"),
            ('"majority"\nmajority_base = "valid"', '"referendum"', "16: contests[1].rule is referendum: this version does not count referendums"),
            ("seats = 1\n", "seats = 1\nvotes_per_ballot = 3\n", "16: contests[1].votes_per_ballot is 3: this version counts one vote a ballot"),
            ("seats = 2\n", 'seats = 2\ngroup = "P"\n',
             "33: contests[2].group is not counted: this version does not look at the seats of several contests together"),
            ("seats = 2\n", 'seats = 2\nallocation = { method = "hare" }\n',
             "33: contests[2].allocation is not counted: this version does not share out seats"),
            ("seats = 2\n", "seats = 2\ncombinations = []\n",
             "33: contests[2].combinations is not counted: this version does not share out seats"),
            ("seats = 2\n", 'seats = 2\napproval = "CLEO"\n',
             "33: contests[2].approval is not counted: this version does not count referendums"),
            ("seats = 2\n", "seats = 2\nquorum = {}\n", "33: contests[2].quorum is not counted: this version does not count referendums"),
            ("seats = 2\n", "seats = 2\ndouble_majority = {}\n",
             "33: contests[2].double_majority is not counted: this version does not count referendums"),
            ("[checks]", '[security]\nsignatures = "optional"\n\n[checks]',
             "46: security is not counted: this version does not check signatures"),
        ],
    )  # fmt: skip
    def test_what_this_version_does_not_count_is_refused_by_name(
        self, folder: Folder, old: str, new: str, mistake: str
    ) -> None:
        assert folder.replace((old, new)).mistakes() == [f"election.toml:{mistake}"]

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
        assert mistake == "election.toml:29: contests[2].candidates has 2001 entries, at most 2000"

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
        assert folder.mistakes() == ["election.toml:1: cannot be read: No such file or directory"]

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
            ('id = "ANNA"', "id = 5", '21: contests[1].candidates[1].id should be a text in quotation marks, as "North"'),
        ],
    )
    def test_in_the_id_that_a_poll_names(self, folder: Folder, old: str, new: str, mistake: str) -> None:
        folder.write("baseline.csv", "contest,area,candidate,votes\nPRES,X/North,ANNA,7\n")
        assert folder.replace((old, new)).mistakes() == [f"election.toml:{mistake}"]

    def test_in_all_candidates_of_a_poll_s_contest(self, folder: Folder) -> None:
        candidates = TOML[TOML.index("[[contests.candidates]]") : TOML.index('[[contests]]\nid = "SEAT"')]
        folder.replace((candidates, "candidates = 5\n"))
        assert folder.mistakes() == [
            "election.toml:20: contests[1].candidates should be tables, each under [[contests.candidates]]"
        ]

    def test_in_no_candidates_at_all(self, folder: Folder) -> None:
        candidates = TOML[TOML.index("[[contests.candidates]]") : TOML.index('[[contests]]\nid = "SEAT"')]
        folder.replace((candidates, "candidates = []\n"), ("shares = { ANNA = 52.10, BELA = 48 }", "shares = {}"))
        assert folder.mistakes() == ["election.toml:20: contests[1].candidates has no entries"]


class TestMistakesInStations:
    @pytest.mark.parametrize(
        ("row", "mistake"),
        [
            ("a-3,,,,N,T", "5: station_id 'a-3' is not an id"),
            (",,,,N,T", "5: station_id '' is not an id"),
            ("A-1,,,,N,T", "5: station_id A-1 occurs twice"),
            ("A-3,,2oo,,N,T", "5: registered is '2oo', not an integer from 0 to 999999999 (empty: unknown)"),
            ("A-3,,1000000000,,N,T", "5: registered is '1000000000', not an integer from 0 to 999999999 (empty: unknown)"),
            ("A-3,,-1,,N,T", "5: registered is '-1', not an integer from 0 to 999999999 (empty: unknown)"),
            ("A-3,,1.0,,N,T", "5: registered is '1.0', not an integer from 0 to 999999999 (empty: unknown)"),
            ("A-3,, 1,,N,T", "5: registered begins or ends with white space"),
            ("A-3, x,,,N,T", "5: name begins or ends with white space"),
            (" A-3,,,,N,T", "5: station_id begins or ends with white space"),
            ("A-3,,,,North\u00a0,T", "5: region begins or ends with white space"),
            ("A-3,,,,N,\u3000T", "5: town begins or ends with white space"),
            ("A-3,\ufeffx,,,N,T", "5: name begins or ends with a byte order mark (U+FEFF, nobody sees it)"),
            ("A-3,x\ufeff,,,N,T", "5: name begins or ends with a byte order mark (U+FEFF, nobody sees it)"),
            ("\ufeffA-3,,,,N,T", "5: station_id begins or ends with a byte order mark (U+FEFF, nobody sees it)"),
            ("A-3,,,,N,T\ufeff", "5: town begins or ends with a byte order mark (U+FEFF, nobody sees it)"),
            ("A-3,,,,N, \ufeff T", "5: town begins or ends with white space"),
            ("A-3,,,,.,T", "5: region is . or .."),
            ("A-3,,,,N,..", "5: town is . or .."),
            ("A-3,,٣,,N,T", "5: registered is '٣', not an integer from 0 to 999999999 (empty: unknown)"),
            ("A-3,,,x,N,T", "5: ballots_expected is 'x', not an integer from 0 to 999999999 (empty: unknown)"),
            ("A-3,e\u0301,,,N,T", "5: name is not in Unicode normal form C"),
            ('A-3,"a\nb",,,N,T', "6: name has the control or separator character U+000A"),
            ("A-3,,,,,T", "5: region is empty"),
            ("A-3,,,,N,", "5: town is empty"),
            ("A-3,,,,N/E,T", "5: region has / or |"),
            ("A-3,,,,N|E,T", "5: region has / or |"),
            ("A-3,,,,\u202eN,T", "5: region has the bidirectional control U+202E"),
            ("A-3,,,,N", "5: 5 fields, the header has 6"),
            ("A-3,,,,N,T,U", "5: 7 fields, the header has 6"),
            ('A-3,"x"y,,,N,T', "5: not CSV: ',' expected after '\"'"),
            ('A-3,"x', "5: not CSV: unexpected end of data"),
            ("A-3," + "x" * 131_073 + ",,,N,T", "5: name longer than 200 code points"),
        ],
    )
    def test_each_is_named_with_its_line(self, folder: Folder, row: str, mistake: str) -> None:
        folder.write("stations.csv", STATIONS + row + "\n")
        assert folder.mistakes() == [f"stations.csv:{mistake}"]

    @pytest.mark.parametrize(
        "header",
        ["", "station_id,name,registered,ballots_expected,region", "station_id,name,registered,ballots_expected,region,town,x",
         "station_id,name,registered,ballots_expected,region,region", "\ufeff\ufeffstation_id,name,registered,ballots_expected,region,town",
         "station_id ,name,registered,ballots_expected,region,town"],
    )  # fmt: skip
    def test_the_header(self, folder: Folder, header: str) -> None:
        folder.write("stations.csv", header + "\nA-1,,,,N,T\n")
        expected = "station_id,name,registered,ballots_expected,region,town"
        header = header.removeprefix("\ufeff")
        assert folder.mistakes() == [
            f"stations.csv:1: the header is {header!r}, it should be {expected!r}; it may have polls_close too"
        ]

    def test_bytes_that_are_not_utf_8_are_named_with_their_line(self, folder: Folder) -> None:
        folder.write("stations.csv", STATIONS.encode() + b"A-3,,,,N,T\nA-4,\xff,,,N,T\n")
        assert folder.mistakes() == ["stations.csv:6: not UTF-8 (invalid start byte)"]

    @pytest.mark.parametrize("end", [b"\n", b""])
    def test_neither_utf_8_nor_a_whole_gzip_file(self, folder: Folder, end: bytes) -> None:
        folder.write("stations.csv", gzip.compress(STATIONS.encode() + b"A-3,\xff,,,N,T" + end)[:-9])
        assert folder.mistakes() == ["stations.csv:5: not UTF-8 (invalid start byte)"]

    def test_empty_lines_say_nothing(self, folder: Folder) -> None:
        before = folder.load()
        folder.write("stations.csv", STATIONS.replace("\n", "\n\n") + "\n")
        assert folder.load().digest == before.digest

    def test_columns_may_stand_in_another_order(self, folder: Folder) -> None:
        folder.write("stations.csv", "town,region,registered,name,station_id,ballots_expected\nAlder,North,7,School,A-1,8\n")
        (found,) = folder.load().stations.values()
        assert (found.id, found.name, found.registered, found.ballots_expected) == ("A-1", "School", 7, 8)
        assert found.path == ("North", "Alder")

    def test_a_station_at_least(self, folder: Folder) -> None:
        folder.write("stations.csv", STATIONS.splitlines()[0] + "\n")
        assert folder.mistakes() == ["stations.csv:1: no polling stations"]
        folder.write("stations.csv", "")
        assert folder.mistakes() == [
            "stations.csv:1: the header is '', it should be 'station_id,name,registered,ballots_expected,region,town'; "
            "it may have polls_close too"
        ]

    def test_at_the_most_stations_and_one_past_it(self, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
        assert limits.STATIONS_MAX == 2_000_000
        monkeypatch.setattr(stations, "STATIONS_MAX", 3)
        assert len(folder.load().stations) == 3
        folder.write("stations.csv", STATIONS + "C-1,,,,N,T\nC-2,,,,N,T\n")
        assert folder.mistakes() == ["stations.csv:5: more than 3 polling stations"]

    def test_files_that_cannot_be_read(self, folder: Folder) -> None:
        folder.write("stations.csv", STATIONS.encode() + b"A-3,\xff,,,N,T\n")
        (mistake,) = folder.mistakes()
        assert mistake.startswith("stations.csv:")
        assert "not UTF-8 (invalid start byte)" in mistake
        for broken in (gzip.compress(STATIONS.encode())[:-9], gzip.compress(STATIONS.encode())[:20] + b"\x00" * 40):
            folder.write("stations.csv", broken)
            (mistake,) = folder.mistakes()
            assert "cannot be read" in mistake
        (folder.path / "stations.csv").unlink()
        assert folder.mistakes() == ["stations.csv:1: is missing"]
        (folder.path / "stations.csv").mkdir()
        assert folder.mistakes() == ["stations.csv:1: cannot be read: Is a directory"]


class TestMistakesInAreas:
    @pytest.mark.parametrize(
        ("row", "mistake"),
        [
            ("Y/North,N", "4: area 'Y/North' does not begin with the root X"),
            ("XY,N", "4: area 'XY' does not begin with the root X"),
            ("X/North,N", "4: area 'X/North' occurs twice"),
            ("X/a\u202eb,N", "4: area has the bidirectional control U+202E"),
            ("X/e\u0301,N", "4: area is not in Unicode normal form C"),
            ("X/,N", "4: area has an empty level"),
            ("X/" + "a" * 201 + ",N", "4: area longer than 200 code points"),
            ("X/West,a\u2028b", "4: name has the control or separator character U+2028"),
            ("X/West,\u2028", "4: name begins or ends with white space"),
            ("X/West", "4: 1 fields, the header has 2"),
        ],
    )
    def test_each_is_named_with_its_line(self, folder: Folder, row: str, mistake: str) -> None:
        folder.replace(("X/South,The South\n", f"X/South,The South\n{row}\n"), name="areas.csv")
        assert folder.mistakes() == [f"areas.csv:{mistake}"]

    def test_the_root_and_areas_without_stations_may_have_names(self, folder: Folder) -> None:
        folder.replace(("The South\n", "The South\nX,All\nX/Nowhere/Else,Nowhere\n"), name="areas.csv")
        assert len(folder.load().area_names) == 4


class TestTheFolder:
    @pytest.mark.parametrize("name", ["stations.csv", "areas.csv"])
    def test_a_table_and_its_packed_twin_are_one_too_many(self, folder: Folder, name: str) -> None:
        folder.write(name + ".gz", gzip.compress((folder.path / name).read_bytes()))
        assert folder.mistakes() == [f"{name}:1: stands beside {name}.gz; one of them must go"]

    @pytest.mark.parametrize(
        "name",
        ["scope.csv", "candidate.csv.gz", "Stations.csv", "scopes.CSV", "areas.csv.GZ", "sc\udcffopes.csv", "moments.csv.gz"],
    )
    def test_a_table_of_another_name_is_refused(self, folder: Folder, name: str) -> None:
        """Passed over, a contest meant for two stations would be held everywhere."""
        folder.write(name, "contest,station_id\nSEAT,A-1\n")
        shown = name.replace("\udcff", "\\xff")
        assert folder.mistakes() == [
            f"{shown}:1: is no table of an election folder; those are contests.csv, candidates.csv, scopes.csv, stations.csv, "
            "areas.csv, baseline.csv and keys.csv, packed or not; others may stand in a folder of their own, as source/"
        ]

    @pytest.mark.parametrize("name", ["moments.csv", "SOURCE.md", "notes.csv.bak", "._scopes.csv", "scopes.txt", "make.py"])
    def test_other_files_may_stand_there(self, folder: Folder, name: str) -> None:
        before = folder.load().digest
        folder.write(name, "time,what\n")
        (folder.path / "source").mkdir()
        folder.write("source/units.csv", "unit\n")
        assert folder.load().digest == before

    @pytest.mark.parametrize("name", ["scopes.csv", "candidates.csv.gz", "stations.csv", "election.toml"])
    def test_a_link_to_nothing_is_no_missing_file(self, folder: Folder, name: str) -> None:
        (folder.path / name).unlink(missing_ok=True)
        (folder.path / name).symlink_to("nowhere")
        assert folder.mistakes() == [f"{name}:1: cannot be read: No such file or directory"]

    def test_that_can_not_be_listed(self, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
        def refused(_: Path) -> list[str]:
            raise PermissionError(errno.EACCES, "Permission denied")

        monkeypatch.setattr(os, "listdir", refused)
        with pytest.raises(ElectionFolderError, match=":1: cannot be listed: Permission denied"):
            folder.load()

    def test_that_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(ElectionFolderError, match="nothing:1: no such folder"):
            load_election(tmp_path / "nothing")

    def test_all_mistakes_of_all_files_at_once_in_file_order(self, folder: Folder) -> None:
        folder.replace(('"official"', '"live"'), ("seats = 2", "seats = 0"), ("BELA = 48", "ZOE = 48"))
        folder.replace(("A-2,", "a-2,"), ("North,Alder", "North,"), name="stations.csv")
        folder.replace(("X/North,", "Y/North,"), name="areas.csv")
        assert [m.split(" ")[0] for m in folder.mistakes()] == [
            "election.toml:3:", "election.toml:32:", "election.toml:44:", "stations.csv:2:", "stations.csv:3:", "areas.csv:2:"
        ]  # fmt: skip

    def test_more_mistakes_than_anyone_reads_are_counted(self, folder: Folder) -> None:
        header = STATIONS.splitlines()[0]
        for count in (limits.FOLDER_ERRORS_SHOWN_MAX, limits.FOLDER_ERRORS_SHOWN_MAX + 5):
            folder.write("stations.csv", "\n".join([header, *(f"a-{n},,,,N,T" for n in range(count))]))
            mistakes = folder.mistakes()
            if count == limits.FOLDER_ERRORS_SHOWN_MAX:
                assert len(mistakes) == count
            else:
                assert len(mistakes) == limits.FOLDER_ERRORS_SHOWN_MAX + 1
                assert mistakes[-1] == "… and 5 more mistakes"

    def test_too_many_published_areas(self, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
        assert limits.AREAS_MAX == 100_000
        monkeypatch.setattr(assembling, "AREAS_MAX", 3)
        folder.load()
        monkeypatch.setattr(assembling, "AREAS_MAX", 2)
        assert folder.mistakes() == ["election.toml:10: areas.publish_depth gives 3 published areas, at most 2; lower it"]

    def test_a_definition_may_have_thousands_of_deepest_published_areas(self, folder: Folder) -> None:
        """They stand on pages: none of them is the one that is too many."""
        header = STATIONS.splitlines()[0]
        folder.write("stations.csv", "\n".join([header, *(f"S-{n},,,,R{n},T" for n in range(3000))]))
        assert len(folder.load().areas) == 3001


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
