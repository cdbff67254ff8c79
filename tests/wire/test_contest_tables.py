"""contests.csv, candidates.csv and [contest_defaults]: the same contests as in election.toml, and every mistake."""

import csv
import gzip
import json
from collections.abc import Callable
from fractions import Fraction

import pytest

from tally_stream.domain.contest import Candidate, Contest, Majority, Rounding
from tally_stream.wire import limits
from tally_stream.wire.folder import contests as contests_module
from tests.support.folders import TOML, Folder

HEAD, _REST = TOML.split("[[contests]]", 1)
HEAD = HEAD.rstrip() + "\n"
CONTESTS = """\
id,name,seats,rule,majority_base,rounding.method,rounding.places
PRES,President,,majority,valid,half-up,2
SEAT,Council,2,plurality,,largest-remainder,0
"""
NO_CANDIDATES = "contests.csv:{}: contest '{}' has no candidates (they stand in [[contests.candidates]] or in candidates.csv)"
CANDIDATES = """\
contest,id,name,party,color,eligible
PRES,ANNA,Anna Ahl,Greens,,
SEAT,CLEO,Cleo,,#00ff7F,true
PRES,BELA,Béla Bodó,,,
"""


@pytest.fixture
def tables(folder: Folder) -> Folder:
    """The folder's two contests in tables; exit polls, checks and skips as they were."""
    folder.write("election.toml", HEAD + TOML[TOML.index("[[exit_polls]]") :])
    folder.write("contests.csv", CONTESTS)
    folder.write("candidates.csv", CANDIDATES)
    return folder


class TestTheSameContests:
    def test_as_in_toml(self, tables: Folder) -> None:
        found = tables.load()
        tables.write("election.toml", TOML)
        for name in ("contests.csv", "candidates.csv"):
            (tables.path / name).unlink()
        stated = tables.load()
        assert found.digest == stated.digest
        without_color = [(c.id, c.name, c.party, c.eligible) for contest in found.contests for c in contest.candidates]
        assert without_color == [(c.id, c.name, c.party, c.eligible) for contest in stated.contests for c in contest.candidates]
        assert found.contests[1].candidates[0].color == "#00ff7F"

    def test_candidates_of_a_contest_of_election_toml(self, folder: Folder) -> None:
        before = folder.load().digest
        text = TOML[: TOML.index("[[contests.candidates]]")] + TOML[TOML.index('[[contests]]\nid = "SEAT"') :]
        folder.write("election.toml", text)
        folder.write("candidates.csv", "contest,id,name,party\nPRES,ANNA,Anna Ahl,Greens\nPRES,BELA,Béla Bodó,\n")
        assert folder.load().digest == before

    def test_one_contest_in_each(self, folder: Folder) -> None:
        before = folder.load().digest
        seat = TOML.index('[[contests]]\nid = "SEAT"')
        folder.write("election.toml", TOML[:seat] + TOML[TOML.index("[[exit_polls]]") :])
        folder.write("contests.csv", "\n".join([CONTESTS.splitlines()[0], CONTESTS.splitlines()[2], ""]))
        folder.write("candidates.csv", "id,contest,name\nCLEO,SEAT,Cleo\n")
        assert folder.load().digest == before
        assert [c.id for c in folder.load().contests] == ["PRES", "SEAT"]

    def test_every_column(self, tables: Folder) -> None:
        tables.write("contests.csv", (
            "rounding.places,id,name,votes_per_ballot,seats,scope,rule,rounding.method,majority_base,majority.percent,"
            "majority.at_least,majority.or_percent,majority.or_lead_percent,name.fr\n"
            '6,PRES,President,1,1,"[""X/North""]",majority,truncate,cast,40.5,true,35,10,Président\n'
            "0,SEAT,Council,,7,,plurality,half-up,,,,,,\n"
        ))  # fmt: skip
        tables.write("candidates.csv", CANDIDATES.replace("Cleo,,#00ff7F,true", "Cleo,,,false"))
        president, council = tables.load().contests
        assert president == Contest(
            "PRES", "President", 1, "majority", "cast", Majority(Fraction(81, 2), True, Fraction(35), Fraction(10)),
            Rounding("truncate", 6), (Candidate("ANNA", "Anna Ahl", "Greens"), Candidate("BELA", "Béla Bodó")), ("X/North",),
        )  # fmt: skip
        assert (council.seats, council.rule, council.majority) == (7, "plurality", None)
        assert council.candidates == (Candidate("CLEO", "Cleo", eligible=False),)

    @pytest.mark.parametrize("name", ["contests.csv", "candidates.csv"])
    def test_packed_or_with_a_byte_order_mark(self, tables: Folder, name: str) -> None:
        before = tables.load().digest
        plain = (tables.path / name).read_bytes()
        for written in (gzip.compress(plain), b"\xef\xbb\xbf" + plain, gzip.compress(b"\xef\xbb\xbf" + plain)):
            tables.write(name, written)
            assert tables.load().digest == before
        (tables.path / name).rename(tables.path / f"{name}.gz")
        assert tables.load().digest == before

    def test_the_order_of_contests_says_nothing_that_of_candidates_does(self, tables: Folder) -> None:
        before = tables.load().digest
        header, *rows = CONTESTS.splitlines()
        tables.write("contests.csv", "\n".join([header, *reversed(rows)]))
        assert tables.load().digest == before
        header, *rows = CANDIDATES.splitlines()
        tables.write("candidates.csv", "\n".join([header, rows[1], rows[0], rows[2]]))
        assert tables.load().digest == before
        tables.write("candidates.csv", "\n".join([header, *reversed(rows)]))
        assert tables.load().digest != before

    def test_names_in_other_languages_and_colors_say_nothing(self, tables: Folder) -> None:
        before = tables.load().digest
        tables.write("contests.csv", CONTESTS.replace("id,name,", "id,name,name.fr,").replace("President,", "President,Président,")
                     .replace("Council,", "Council,,"))  # fmt: skip
        tables.write("candidates.csv", CANDIDATES.replace("#00ff7F", "").replace("name,party", "name,name.zh-Hant,party")
                     .replace("Ahl,", "Ahl,安娜,").replace("Cleo,", "Cleo,,").replace("Bodó,", "Bodó,,"))  # fmt: skip
        assert tables.load().digest == before
        tables.write("areas.csv", "area,name,name.az\nX/North,The North,Şimal\nX/South,The South,\n")
        assert tables.load().digest == before
        (tables.path / "contests.csv").unlink()
        (tables.path / "candidates.csv").unlink()
        spoken = TOML.replace('name = "President"', 'name = "President"\n"name.fr" = "Président"')
        tables.write("election.toml", spoken.replace('name = "Cleo"', 'name = "Cleo"\n"name.ka" = "კლეო"'))
        assert tables.load().digest == before


class TestDefaults:
    """[contest_defaults] fills whole fields."""

    def with_defaults(self, tables: Folder, text: str, contests: str) -> Folder:
        tables.write("election.toml", HEAD + f"[contest_defaults]\n{text}\n")
        tables.write("contests.csv", contests)
        return tables

    def test_that_a_contest_leaves_out(self, tables: Folder) -> None:
        text = 'rule = "plurality"\nseats = 3\nrounding = { method = "truncate", places = 1 }\nscope = ["X/North"]'
        found = self.with_defaults(tables, text, 'id,name,seats,scope\nPRES,President,,\nSEAT,Council,2,"[""X""]"\n').load()
        assert [(c.rule, c.seats, c.rounding, c.scope) for c in found.contests] == [
            ("plurality", 3, Rounding("truncate", 1), ("X/North",)), ("plurality", 2, Rounding("truncate", 1), ())
        ]  # fmt: skip

    def test_whole_never_a_part_of_one(self, tables: Folder) -> None:
        text = 'rule = "plurality"\nrounding = { method = "truncate", places = 1 }'
        folder = self.with_defaults(tables, text, "id,name,rounding.method\nPRES,President,half-up\nSEAT,Council,\n")
        assert folder.mistakes() == ["contests.csv:2: rounding.places is missing"]

    def test_and_passes_over_a_contest_whose_rule_does_not_have_it(self, tables: Folder) -> None:
        text = 'majority_base = "cast"\nmajority = { percent = 40 }\nrounding = { method = "truncate", places = 1 }'
        found = self.with_defaults(tables, text, "id,name,rule\nPRES,President,majority\nSEAT,Council,plurality\n").load()
        assert [c.majority for c in found.contests] == [Majority(Fraction(40)), None]
        assert [c.majority_base for c in found.contests] == ["cast", "valid"]

    def test_what_a_contest_says_against_its_rule_is_refused(self, tables: Folder) -> None:
        tables.write("contests.csv", CONTESTS.replace("SEAT,Council,2,plurality,,", "SEAT,Council,2,plurality,cast,"))
        assert tables.mistakes() == ["contests.csv:3: majority_base is not known to rule plurality"]

    def test_gives_candidates_where_a_contest_has_none_in_either_place(self, tables: Folder) -> None:
        text = 'rule = "plurality"\nrounding = { method = "truncate", places = 1 }\ncandidates = [{ id = "YES", name = "Yes" }]'
        tables.write("candidates.csv", "contest,id,name\nPRES,ANNA,Anna\n")
        found = self.with_defaults(tables, text, "id,name\nPRES,President\nSEAT,Council\n").load()
        assert [c.candidate_ids for c in found.contests] == [("ANNA",), ("YES",)]

    def test_is_the_same_definition_as_the_fields_written_out(self, tables: Folder) -> None:
        before = tables.load().digest
        polls = TOML[TOML.index("[[exit_polls]]") :]
        tables.write("election.toml", HEAD + '[contest_defaults]\nrule = "majority"\nmajority_base = "valid"\n'
                                             'rounding = { method = "half-up", places = 2 }\n' + polls)  # fmt: skip
        tables.write("contests.csv", "id,name,seats,rule,rounding.method,rounding.places\nPRES,President,,,,\n"
                                     "SEAT,Council,2,plurality,largest-remainder,0\n")  # fmt: skip
        assert tables.load().digest == before

    @pytest.mark.parametrize(
        ("text", "mistake"),
        [
            ("nonsense = 1", "12: contest_defaults.nonsense is not known here"),
            ('id = "X"', "12: contest_defaults.id is a contest's own"),
            ('rule = "lottery"', "12: contest_defaults.rule should be 'majority', 'plurality', 'proportional', 'referendum' or 'none'"),
            ("seats = 0", "12: contest_defaults.seats should be greater than or equal to 1"),
            ('rounding = { method = "half-up", places = 9 }', "12: contest_defaults.rounding.places should be less than or equal to 6"),
            ("majority = { or_percent = 40 }", "12: contest_defaults.majority has one of or_percent and or_lead_percent: they go together"),
            ('"name.fr" = "a\\u0000"', "12: contest_defaults.name.fr has the control or separator character U+0000: 'a\\x00'"),
        ],
    )  # fmt: skip
    def test_what_is_wrong_with_one_is_said_once(self, tables: Folder, text: str, mistake: str) -> None:
        assert self.with_defaults(tables, text, CONTESTS).mistakes() == [f"election.toml:{mistake}"]

    def test_what_is_wrong_with_one_is_not_said_of_each_contest_that_has_it(self, tables: Folder) -> None:
        folder = self.with_defaults(
            tables, "seats = 0\nrounding = 7", "id,name,rule\nPRES,President,majority\nSEAT,Council,plurality\n"
        )
        assert folder.mistakes() == [
            "election.toml:12: contest_defaults.seats should be greater than or equal to 1",
            "election.toml:13: contest_defaults.rounding is not a table",
        ]

    def test_is_a_table(self, tables: Folder) -> None:
        tables.write("election.toml", "contest_defaults = 7\n" + HEAD)
        assert tables.mistakes() == ["election.toml:1: contest_defaults is not a table"]

    def test_of_several_seats_is_none_for_a_majority(self, tables: Folder) -> None:
        folder = self.with_defaults(tables, "seats = 3", CONTESTS)
        assert folder.mistakes() == ["contests.csv:2: seats is 3: a majority is of one seat"]


class TestMistakesInContests:
    @pytest.mark.parametrize(
        ("old", "new", "mistake"),
        [
            ("PRES,President", "pres,President", "2: id 'pres' is not an id ([A-Z0-9][A-Z0-9._-]*, at most 64 characters)"),
            ("PRES,President", ",President", "2: id is missing"),
            ("PRES,President", "PRES,", "2: name is missing"),
            ("PRES,President", "PRES,e\u0301", "2: name is not in Unicode normal form C"),
            ("PRES,President", "PRES,President ", "2: name begins or ends with white space"),
            ("SEAT,Council,2", "SEAT,Council,two", "3: seats should be a whole number, as 2"),
            ("SEAT,Council,2", "SEAT,Council,2.0", "3: seats should be a whole number, as 2"),
            ("SEAT,Council,2", "SEAT,Council,0", "3: seats should be greater than or equal to 1"),
            ("majority,valid", "lottery,valid", "2: rule should be 'majority', 'plurality', 'proportional', 'referendum' or 'none'"),
            ("majority,valid", "majority,all", "2: majority_base should be 'valid' or 'cast'"),
            ("half-up,2", "half-up,7", "2: rounding.places should be less than or equal to 6"),
            ("half-up,2", ",", "2: rounding is missing"),
            ("half-up,2", ",2", "2: rounding.method is missing"),
            ("SEAT,", "PRES,", "3: id 'PRES' occurs twice"),
            ("id,name,seats", "id,nom,seats", "1: the header is 'id,nom,seats,rule,majority_base,rounding.method,rounding.places', "),
            ("id,name,seats", "id,name,name", "1: the header is 'id,name,name,rule,majority_base,rounding.method,rounding.places', "),
        ],
    )  # fmt: skip
    def test_each_is_named_with_its_line(self, tables: Folder, old: str, new: str, mistake: str) -> None:
        tables.replace((old, new), name="contests.csv")
        first, *mistakes = sorted(tables.mistakes(), key=lambda m: not m.startswith(f"contests.csv:{mistake}"))
        assert first.startswith(f"contests.csv:{mistake}")
        # What hangs on the broken contest: its exit poll and its candidates.
        assert all("is no contest" in m or "no candidate of" in m or "has no candidates" in m for m in mistakes)

    @pytest.mark.parametrize(
        ("column", "cell", "mistake"),
        [
            ("scope", "X/North", '2: scope should be a JSON array, as ["AZ/041"]'),
            ("scope", '"{""a"": 1}"', '2: scope should be a JSON array, as ["AZ/041"]'),
            ("scope", "[1]", '2: scope[1] should be a text in quotation marks, as "North"'),
            ("majority.percent", "40 %", "2: majority.percent is not a number"),
            ("majority.percent", "1e1", "2: majority.percent is not a number"),
            ("majority.percent", "101", "2: majority.percent is above 100 per cent"),
            ("majority.at_least", "yes", "2: majority.at_least should be true or false"),
            ("majority.or_percent", "40", "2: majority has one of or_percent and or_lead_percent: they go together"),
            ("votes_per_ballot", "3", "2: votes_per_ballot is 3: a ballot has one vote a candidate at most, and there are 2"),
            ("votes_per_ballot", "1.5", "2: votes_per_ballot should be a whole number, as 2"),
            ("group", "a\u202eb", "2: group has the bidirectional control U+202E: 'a\\u202eb'"),
            ("approval", "ANNA", "2: approval is not known to rule majority"),
            ("quorum.of", "cast", "2: quorum is not known to rule majority"),
            ("allocation.exempt", "[]", "2: allocation is not known to rule majority"),
            ("combinations", "[]", "2: combinations is not known to rule majority"),
            ("double_majority.level", "region", "2: double_majority is not known to rule majority"),
            ("name.fr", "a\u202eb", "2: name.fr has the bidirectional control U+202E: 'a\\u202eb'"),
        ],
    )  # fmt: skip
    def test_in_a_column_more(self, tables: Folder, column: str, cell: str, mistake: str) -> None:
        header, president, council = CONTESTS.splitlines()
        tables.write("contests.csv", f"{header},{column}\n{president},{cell}\n{council},\n")
        assert f"contests.csv:{mistake}" in tables.mistakes()
        # What another rule has is looked at too.
        assert all("is not known to" in mistake or ": quorum." in m or ": allocation." in m for m in tables.mistakes()[1:])

    def test_a_contest_in_both_files(self, folder: Folder) -> None:
        folder.write("contests.csv", CONTESTS)
        assert folder.mistakes() == [
            "contests.csv:2: id 'PRES' occurs twice: it stands in election.toml, line 12, too",
            "contests.csv:3: id 'SEAT' occurs twice: it stands in election.toml, line 29, too",
        ]

    def test_a_contest_without_candidates(self, tables: Folder) -> None:
        tables.replace(("SEAT,CLEO,Cleo,,#00ff7F,true\n", ""), name="candidates.csv")
        assert tables.mistakes() == [NO_CANDIDATES.format(3, "SEAT")]

    def test_no_candidate_is_missed_where_they_could_not_be_read(self, tables: Folder) -> None:
        tables.replace(("contest,id,name", "contest,id,nom"), name="candidates.csv")
        (mistake,) = [m for m in tables.mistakes() if m.startswith("candidates.csv")]
        assert mistake.startswith("candidates.csv:1: the header is ")
        assert not [m for m in tables.mistakes() if m.startswith("contests.csv")]

    def test_a_name_of_2_000_code_points_and_of_one_more(self, tables: Folder) -> None:
        tables.replace(("PRES,President", "PRES," + "é" * limits.CONTEST_NAME_MAX_CODE_POINTS), name="contests.csv")
        assert len(tables.load().contests[0].name) == 2_000
        tables.replace(("PRES,é", "PRES,éé"), name="contests.csv")
        assert tables.mistakes() == ["contests.csv:2: name longer than 2000 code points"]


class TestOneMistakeIsOne:
    """What hangs on a field or a file that could not be read is not known, and no second mistake."""

    LEFT_OUT = "id,name,rule\nPRES,President,majority\nSEAT,Council,plurality\n"

    @pytest.mark.parametrize(
        ("toml", "mistake"),
        [
            (None, " is missing"),
            ("id = ", "1: is not TOML: Invalid value (at end of document)"),
            ("contest_defaults = 7\n" + HEAD, "1: contest_defaults is not a table"),
        ],
    )
    def test_in_defaults_that_are_not_known(self, tables: Folder, toml: str | None, mistake: str) -> None:
        tables.write("contests.csv", self.LEFT_OUT)
        (tables.path / "candidates.csv").unlink()
        if toml is None:
            (tables.path / "election.toml").unlink()
        else:
            tables.write("election.toml", toml)
        assert tables.mistakes() == [f"election.toml:{mistake}"]

    def test_what_no_default_could_give_is_said(self, tables: Folder) -> None:
        tables.write("election.toml", "id = ")
        tables.write("contests.csv", "id,name,rounding.method\n,President,\nSEAT,Council,half-up\n")
        assert [m for m in tables.mistakes() if m.startswith("contests.csv")] == [
            "contests.csv:2: id is missing", "contests.csv:3: rounding.places is missing"
        ]  # fmt: skip

    def test_in_an_id_that_candidates_name(self, tables: Folder) -> None:
        tables.replace(("PRES,President", ",President"), name="contests.csv")
        tables.write("scopes.csv", "contest,station_id\nPRES,A-1\n")
        assert tables.mistakes() == ["contests.csv:2: id is missing"]

    def test_in_candidates_that_could_not_be_read(self, tables: Folder) -> None:
        tables.replace(("contest,id,name", "contest,id,nom"), name="candidates.csv")
        (mistake,) = tables.mistakes()
        assert mistake.startswith("candidates.csv:1: the header is ")

    @pytest.mark.parametrize(
        ("name", "old", "new", "mistake"),
        [
            ("contests.csv", "half-up,2", "half-up", "contests.csv:2: 6 fields, the header has 7"),
            ("candidates.csv", "Cleo,,#00ff7F,true", "Cleo", "candidates.csv:3: 3 fields, the header has 6"),
            (
                "stations.csv",
                "B-1,",
                "B-1,x,",
                "stations.csv:4: 7 fields, the header has 6: a text with a comma in it stands in quotation marks, a number has no comma",
            ),
        ],
    )
    def test_in_a_row_that_could_not_be_read(self, tables: Folder, name: str, old: str, new: str, mistake: str) -> None:
        tables.write("scopes.csv", "contest,station_id\nPRES,A-1\nPRES,A-2\nPRES,B-1\n")
        tables.write("baseline.csv", "contest,area,candidate,votes\nPRES,X/South,ANNA,7\nSEAT,X/South,CLEO,7\n")
        tables.load()
        assert tables.replace((old, new), name=name).mistakes() == [mistake]

    def test_without_a_table_a_contest_without_an_id_misses_its_candidates_too(self, tables: Folder) -> None:
        (tables.path / "candidates.csv").unlink()
        tables.write("contests.csv", "name,id,rule,rounding.method,rounding.places\nPresident,,none,half-up,0\n")
        assert tables.mistakes() == [
            "contests.csv:2: id is missing",
            "contests.csv:2: the contest has no candidates (they stand in [[contests.candidates]] or in candidates.csv)",
        ]


class TestMistakesInCandidates:
    @pytest.mark.parametrize(
        ("row", "mistake"),
        [
            ("PRES,anna,Anna,,,", "5: id 'anna' is not an id ([A-Z0-9][A-Z0-9._-]*, at most 64 characters)"),
            ("PRES,ANNA,Anna,,,", "5: candidate 'ANNA' of PRES occurs twice"),
            ("NONE,ANNA,Anna,,,", "5: contest 'NONE' is no contest"),
            ("PRES,ZOE,,,,", "5: name is missing"),
            ("PRES,ZOE,e\u0301,,,", "5: name is not in Unicode normal form C: 'e\\u0301'"),
            ("PRES,ZOE,Zoe\u00a0,,,", "5: name begins or ends with white space: 'Zoe\\xa0' ends with U+00A0"),
            ("PRES,ZOE,Zoe,a\u202eb,,", "5: party has the bidirectional control U+202E: 'a\\u202eb'"),
            ("PRES,ZOE,Zoe,,red,", "5: color is no color (# and six hexadecimal digits)"),
            ("PRES,ZOE,Zoe,,,no", "5: eligible is 'no', not true or false (empty: true)"),
            ("PRES,ZOE,Zoe", "5: 3 fields, the header has 6"),
        ],
    )
    def test_each_is_named_with_its_line(self, tables: Folder, row: str, mistake: str) -> None:
        tables.write("candidates.csv", CANDIDATES + row + "\n")
        assert tables.mistakes() == [f"candidates.csv:{mistake}"]

    def test_in_both_places_is_said_once_a_contest(self, folder: Folder) -> None:
        folder.write("candidates.csv", "contest,id,name\nPRES,ZOE,Zoe\nPRES,YVES,Yves\nSEAT,ZOE,Zoe\n")
        assert folder.mistakes() == [
            "candidates.csv:2: candidates of PRES stand in election.toml too",
            "candidates.csv:4: candidates of SEAT stand in election.toml too",
        ]


class TestLimits:
    def test_the_most_candidates_of_a_contest(self, tables: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
        assert limits.CANDIDATES_MAX == 2_000
        rows = "".join(f"SEAT,K{n},K,,,\n" for n in range(limits.CANDIDATES_MAX - 1))
        tables.write("candidates.csv", CANDIDATES + rows)
        assert len(tables.load().contests[1].candidates) == 2_000
        tables.write("candidates.csv", CANDIDATES + rows + "SEAT,ZOE,Zoe,,,\n")
        assert tables.mistakes() == ["candidates.csv:2004: more than 2000 candidates of SEAT"]

    def test_the_most_contests(self, tables: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
        assert limits.CONTESTS_MAX == 20_000
        monkeypatch.setattr(contests_module, "CONTESTS_MAX", 2)
        tables.load()
        monkeypatch.setattr(contests_module, "CONTESTS_MAX", 1)
        assert tables.mistakes() == ["contests.csv:3: more than 1 contests"]


class TestTheLongestCell:
    """A scope may name every area of a country."""

    def with_scope(self, tables: Folder, cell: str) -> Folder:
        tables.write("contests.csv", CONTESTS.replace("rounding.places\n", "rounding.places,scope\n")
                     .replace("half-up,2", "half-up,2," + '"' + cell.replace('"', '""') + '"').replace("der,0", "der,0,"))  # fmt: skip
        return tables

    def test_of_5_500_municipalities(self, tables: Folder) -> None:
        towns = [f"Municipality of a long name {n}" for n in range(5_500)]
        rows = [f"S-{n},,,,North,{town}" for n, town in enumerate(towns)]
        tables.write(
            "stations.csv", "\n".join(["station_id,name,registered,ballots_expected,region,town", *rows, "Z,,,,South,T"])
        )
        cell = json.dumps([f"X/North/{town}" for town in towns])
        assert len(cell) > 131_072, "what a cell of Python's csv may have unless told"
        assert len(self.with_scope(tables, cell).load().contests[0].scope) == 5_500

    def test_at_the_limit_and_one_past_it(self, tables: Folder) -> None:
        assert limits.CELL_MAX_CHARS == 10_000_000
        for chars, mistakes in (
            (limits.CELL_MAX_CHARS, []),
            (limits.CELL_MAX_CHARS + 1, ["contests.csv:2: a cell has more than 10000000 characters"]),
        ):
            self.with_scope(tables, '["X"'.ljust(chars - 1) + "]")
            assert (tables.mistakes() if mistakes else tables.load() and []) == mistakes
            assert csv.field_size_limit() == 131_072, "everybody else's is Python's own"


def test_20_000_contests_are_read_once_each(tables: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """No step goes through all contests for each of them."""
    count = 2_000
    tables.write("election.toml", HEAD + '[contest_defaults]\nrule = "none"\nrounding = { method = "half-up", places = 1 }\n')
    tables.write("contests.csv", "id,name\n" + "".join(f"C{n},Contest {n}\n" for n in range(count)))
    tables.write("candidates.csv", "contest,id,name\n" + "".join(f"C{n},A,Anna\n" for n in range(count)))
    asked = 0
    as_it_is: Callable[..., object] = contests_module.Contests._check  # noqa: SLF001  (counted, not changed)

    def counted(*arguments: object) -> object:
        nonlocal asked
        asked += 1
        return as_it_is(*arguments)

    monkeypatch.setattr(contests_module.Contests, "_check", counted)
    assert len(tables.load().contests) == asked == count
