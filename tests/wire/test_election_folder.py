"""A good election folder and what it becomes; which files there may be, and its mistakes all at once in their order."""

import errno
import gzip
import os
import re
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from tally_stream.domain.election import CHECK_NAMES
from tally_stream.wire import limits
from tally_stream.wire.folder import assembling
from tally_stream.wire.folder.assembling import ElectionFolderError, election_day, load_election
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
        assert e.contests[1].seats == limits.SEATS_MAX == 1_000_000
        assert e.checks.bound_register_percent == 1000
        assert e.checks.P5_turnout_percent == Fraction(1, 10**9)
        assert e.stations["A-1"].registered == 999_999_999


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
        with pytest.raises(ElectionFolderError, match="x-2024: cannot be listed: Permission denied"):
            folder.load()

    def test_that_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(ElectionFolderError, match="nothing: no such folder"):
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
                assert mistakes[-1] == "… and 5 more mistakes: 5 in stations.csv"

    def test_a_thousand_mistakes_of_one_file_hide_no_other_file_s(self, folder: Folder) -> None:
        header = STATIONS.splitlines()[0]
        folder.write("stations.csv", "\n".join([header, *(f"a-{n},,,,N,T" for n in range(1_000))]))
        folder.replace(("X/North,", "Y/North,"), name="areas.csv")
        folder.replace(('"official"', '"live"'))
        mistakes = folder.mistakes()
        assert len(mistakes) == limits.FOLDER_ERRORS_SHOWN_MAX + 1
        assert [m.split(" ")[0] for m in (mistakes[0], mistakes[-2])] == ["election.toml:3:", "areas.csv:2:"]
        assert mistakes[-1] == "… and 802 more mistakes: 802 in stations.csv"
        with pytest.raises(ElectionFolderError) as caught:
            load_election(folder.path)
        assert len(caught.value.errors) == 1_002, "a program gets them all"

    def test_too_many_published_areas(self, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
        assert limits.AREAS_MAX == 100_000
        monkeypatch.setattr(assembling, "AREAS_MAX", 3)
        folder.load()
        monkeypatch.setattr(assembling, "AREAS_MAX", 2)
        assert folder.mistakes() == ["election.toml:10: areas.publish_depth gives 3 published areas, at most 2; lower it"]

    def test_a_bound_that_no_reader_could_read_exactly(self, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
        assert limits.SUM_MAX == 2**53 - 1
        folder.write("stations.csv", STATIONS.replace("Birch", "Birch\nA-3,,0,77,North,Birch"))
        folder.replace(("[checks]", "[checks]\nbound_register_percent = 250"))
        most = (200 + 100 + 77) * 5 // 2
        monkeypatch.setattr(assembling, "SUM_MAX", most)
        folder.load()
        monkeypatch.setattr(assembling, "SUM_MAX", most - 1)
        assert folder.mistakes() == [
            f"election.toml:47: checks.bound_register_percent lets the bound come to {most}, at most {most - 1}"
        ]

    def test_a_definition_may_have_thousands_of_deepest_published_areas(self, folder: Folder) -> None:
        """They stand on pages: none of them is the one that is too many."""
        header = STATIONS.splitlines()[0]
        folder.write("stations.csv", "\n".join([header, *(f"S-{n},,,,R{n},T" for n in range(3000))]))
        assert len(folder.load().areas) == 3001
