"""Exports of contests of every rule: seats, a referendum, several votes a ballot, ways of voting."""

from __future__ import annotations

import copy
import csv
import io
from collections.abc import Callable
from typing import Any

import pytest

from tally_stream.audit.replay import replay
from tally_stream.export.nist import nist_report
from tally_stream.export.nist_checks import nist_problems
from tally_stream.export.table import csv_channels, csv_table
from tests.export.nights import DAY, GENERATED_MS, NIGHTS, definition, snapshot_of
from tests.support.every_ballot import QUORUM, night, roots, town, with_outcome
from tests.support.nist_schema import errors
from tests.support.small_elections import Night, report

Report = dict[str, Any]
CONTESTS = ("COUNCIL", "BRIDGE", "SCHOOLS")


def snapshots(played: Night, *contests: str, **of_bridge: Any) -> list[Any]:
    """Of these contests (all, where none is named), with seats and outcomes on the roots."""
    wanted = contests or CONTESTS
    found = []
    for index, id in enumerate(CONTESTS):
        if id in wanted:
            *areas, _ = played.messages(index)
            root = roots(played)[id]
            published = [*areas, with_outcome(root, **of_bridge) if id == "BRIDGE" else root]
            found.append(snapshot_of(played.election, published, index))
    assert [problem for one in found for problem in one.problems()] == []
    return found


def nist(played: Night, *contests: str, **of_bridge: Any) -> Report:
    made = nist_report(snapshots(played, *contests, **of_bridge), DAY, GENERATED_MS)
    assert errors(made) == []
    return made


def contest_of(made: Report, id: str) -> Report:
    (found,) = [c for c in made["Election"][0]["Contest"] if c["ExternalIdentifier"][0]["Value"] == id]
    return dict(found)


def counts_of(selection: Report, unit: str = "area__X") -> dict[str, int]:
    return {c.get("OtherType", c["Type"]): c["Count"] for c in selection["VoteCounts"] if c["GpUnitId"] == unit}


@pytest.fixture(scope="module")
def played() -> Night:
    return night()


class TestNist:
    def test_each_rule_is_valid_alone_and_with_the_others(self, played: Night) -> None:
        for id in CONTESTS:
            nist(played, id)
        nist(played)

    @pytest.mark.parametrize("state", ["accepted", "rejected", "void", "undecided", "none"])
    def test_each_end_of_a_referendum_is_valid_and_said(self, played: Night, state: str) -> None:
        notes = nist(played, "BRIDGE", state=state)["Notes"]
        assert ("quorum" in notes) == (state != "none" or "leads by" in notes)
        assert (f"BRIDGE: {state}" in notes) == (state in ("accepted", "rejected", "void"))

    def test_seats_stand_on_the_root_and_what_is_certain_in_the_notes(self, played: Night) -> None:
        made = nist(played, "COUNCIL")
        council = contest_of(made, "COUNCIL")
        assert (council["VotesAllowed"], council["NumberElected"], council["VoteVariation"]) == (1, 21, "proportional")
        assert [counts_of(s)["seats"] for s in council["ContestSelection"]] == [9, 7, 3, 1, 0, 0]
        assert "seats" not in counts_of(council["ContestSelection"][0], "area__X_2F_East")
        for said in ("certain of seats: Red List 9, Blue List 6, Green List 2, Old Town 1.",
                     "COUNCIL: 2700 voters had taken part, as 3 polling stations stated"):  # fmt: skip
            assert said in made["Notes"], said

    def test_a_way_of_voting_is_a_type_of_count_where_the_format_has_the_word(self, played: Night) -> None:
        made = nist(played, "COUNCIL")
        council = contest_of(made, "COUNCIL")
        red = {"total": 1600, "early": 400, "election-day": 800, "postal": 400, "seats": 9}
        assert counts_of(council["ContestSelection"][0]) == red
        west = {"total": 800, "early": 0, "election-day": 400, "postal": 400}
        assert counts_of(council["ContestSelection"][0], "area__X_2F_West") == west
        status = {s.get("OtherType", s["Type"]): s["Status"] for s in council["CountStatus"]}
        assert status == {"total": "in-process", "early": "completed", "election-day": "completed", "postal": "in-process"}
        cast = {
            c.get("OtherType", c["Type"]): c["BallotsCast"]
            for c in made["Election"][0]["BallotCounts"]
            if c["GpUnitId"] == "area__X"
        }
        assert cast == {"total": 3616, "early": 904, "election-day": 1808, "postal": 904, "valid": 3600, "blank": 8}

    @pytest.mark.parametrize(
        ("names", "types"),
        [(("Early", "ELECTION DAY", "uocava"), {"early", "election-day", "uocava"}),
         (("total", "seats", "write-in"), {"other"}), (("election day", "election-day", "valid"), {"other"})],
    )  # fmt: skip
    def test_other_names_are_other_and_never_two_of_one_type(self, names: tuple[str, ...], types: set[str]) -> None:
        channels = dict(zip(("A-1", "A-2", "B-1", "B-2", "B-3"), (*names, names[2], names[2]), strict=True))
        made = nist(night(town(channels=channels)), "COUNCIL")
        found = contest_of(made, "COUNCIL")["CountStatus"]
        assert {s["Type"] for s in found} == {"total", *types}
        assert len({(s["Type"], s.get("OtherType")) for s in found}) == 4

    def test_a_referendum_is_a_ballot_measure_and_its_yes_no_candidate(self, played: Night) -> None:
        made = nist(played, "BRIDGE")
        bridge = contest_of(made, "BRIDGE")
        assert (bridge["@type"], bridge["Type"]) == ("ElectionResults.BallotMeasureContest", "referendum")
        assert bridge["PassageThreshold"]["Text"][0]["Content"] == "more than 50 % of the valid ballots"
        assert [s["Selection"]["Text"][0]["Content"] for s in bridge["ContestSelection"]] == ["Yes", "No"]
        assert [counts_of(s)["total"] for s in bridge["ContestSelection"]] == [1920, 1680]
        assert made["Election"][0]["Candidate"] == []
        assert "quorum not reached so far: 3,616 of 5,000 needed" in made["Notes"]

    def test_votes_allowed_and_those_not_given_or_lost(self, played: Night) -> None:
        schools = contest_of(nist(played, "SCHOOLS"), "SCHOOLS")
        assert (schools["VotesAllowed"], schools["NumberElected"], schools["VoteVariation"]) == (3, 3, "n-of-m")
        counts = {c["GpUnitId"]: (c["Undervotes"], c["Overvotes"]) for c in schools["OtherCounts"]}
        assert counts == {"area__X": (3180, 20), "area__X_2F_East": (1590, 10), "area__X_2F_West": (1590, 10)}
        assert "OtherCounts" not in contest_of(nist(played, "BRIDGE"), "BRIDGE")

    def test_of_several_votes_the_notes_say_that_shares_can_add_up_to_more(self, played: Night) -> None:
        notes = nist(played, *CONTESTS)["Notes"]
        assert "SCHOOLS: a ballot has up to 3 votes: shares of valid ballots can add up to more than 100 %. " in notes
        assert notes.count("a ballot has") == 1

    def test_before_the_close_there_are_no_figures_but_who_took_part(self) -> None:
        before = Night(town())
        messages = [before.messages(index) for index in range(3)]
        made = nist_report([snapshot_of(before.election, m, n) for n, m in enumerate(messages)], DAY, GENERATED_MS)
        assert errors(made) == []
        assert made["Status"] == "pre-election"

    @pytest.mark.parametrize(
        ("broken", "said"),
        [
            (lambda s: s["VoteCounts"][1].update(Count=401), "1600 votes in area__X, its ways of voting add up to 1601"),
            (lambda s: s["VoteCounts"][3].pop("OtherType"), "Type is other, OtherType None"),
        ],
    )
    def test_what_does_not_add_up_is_found(self, played: Night, broken: Callable[[Report], object], said: str) -> None:
        made = copy.deepcopy(nist(played, "COUNCIL"))
        broken(contest_of(made, "COUNCIL")["ContestSelection"][0])
        assert said in " ".join(nist_problems(made))

    def test_a_way_of_voting_may_be_through_and_not_the_whole(self, played: Night) -> None:
        made = copy.deepcopy(nist(played, "COUNCIL"))
        contest_of(made, "COUNCIL")["CountStatus"][0]["Status"] = "completed"
        assert any("completed with 4 sub units of 5" in problem for problem in nist_problems(made))

    def test_votes_not_given_are_counts(self, played: Night) -> None:
        made = copy.deepcopy(nist(played, "SCHOOLS"))
        contest_of(made, "SCHOOLS")["OtherCounts"][0]["Undervotes"] = -1
        assert any("Undervotes is -1, not a count" in problem for problem in nist_problems(made))


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


class TestCsv:
    def test_seats_stand_in_the_rows_of_the_root(self, played: Night) -> None:
        found = rows(csv_table(snapshots(played, "COUNCIL")))
        assert [(r["area"], r["candidate"], r["seats_now"], r["seats_certain"], r["outcome"]) for r in found[:3]] == [
            ("X", "RED", "9", "9", "undecided"), ("X", "BLUE", "7", "6", "undecided"), ("X", "GREEN", "3", "2", "undecided"),
        ]  # fmt: skip
        assert {(r["seats_now"], r["outcome"]) for r in found if r["area"] != "X"} == {("", "")}

    def test_votes_not_given_and_voters_so_far(self, played: Night) -> None:
        found = rows(csv_table(snapshots(played, "SCHOOLS")))[0]
        assert (found["votes_per_ballot"], found["undervotes"], found["overvotes"]) == ("3", "3180", "20")
        assert (found["voted"], found["voted_registered"], found["voted_percent"], found["voted_stations"]) == (
            "2700", "6000", "45.00", "3",
        )  # fmt: skip
        assert rows(csv_table(snapshots(played, "BRIDGE")))[0]["undervotes"] == ""

    def test_ways_of_voting_have_a_table_whose_rows_add_up(self, played: Night) -> None:
        found = rows(csv_channels(snapshots(played)))
        postal = next(r for r in found if (r["area"], r["channel"], r["candidate"]) == ("X", "postal", "RED"))
        assert (postal["votes"], postal["valid"], postal["ballots_cast"]) == ("400", "900", "904")
        assert (postal["stations_processed"], postal["stations_expected"], postal["stations_percent"]) == ("1", "2", "50.00")
        whole = rows(csv_table(snapshots(played)))
        for line in whole:
            key = (line["contest"], line["area"], line["candidate"])
            assert int(line["votes"]) == sum(
                int(r["votes"]) for r in found if (r["contest"], r["area"], r["candidate"]) == key
            ), key
        assert "Tiny <List>" in {r["candidate_name"] for r in found}
        nowhere = next(r for r in found if (r["area"], r["channel"]) == ("X/East", "postal"))
        assert (nowhere["stations_expected"], nowhere["stations_percent"]) == ("0", ""), "no per cent of nothing"

    def test_before_the_close_the_figures_of_a_way_of_voting_are_empty(self) -> None:
        before = Night(town())
        before.take(report("A-1", votes=(1, 0, 0, 0, 0, 0)), at_ms=0)
        found = rows(csv_channels([snapshot_of(before.election, before.messages(0))]))
        assert {(r["votes"], r["valid"], r["ballots_cast"]) for r in found} == {("", "", "")}


def test_a_quorum_of_figures_that_are_not_known_is_not_spoken_of(played: Night) -> None:
    assert "quorum" in nist(played, "BRIDGE", quorum=QUORUM)["Notes"]
    assert "quorum" not in nist(played, "BRIDGE", quorum=None)["Notes"]


@pytest.mark.parametrize("records", [0, 25, 60, 110, 150])
def test_the_invented_town_is_valid_at_every_hour(records: int) -> None:
    """All its contests, as a worker publishes them."""
    town = definition("council")
    played = replay(town, NIGHTS / "council" / "reports.jsonl.gz", at={0: records})
    found = [snapshot_of(town, played.messages(index), index) for index in range(len(town.contests))]
    made = nist_report(found, DAY, GENERATED_MS)
    assert errors(made) == []
    selections = [s for s in contest_of(made, "COUNCIL")["ContestSelection"] if "VoteCounts" in s]
    assert sum(counts_of(s, "area__LM")["seats"] for s in selections) == sum(
        c.seats.now for c in found[1].root.candidates if c.seats
    )
    assert len(rows(csv_channels(found))) == sum(
        len(one.message.channels or []) * len(one.message.candidates) for snapshot in found for one in snapshot.areas()
    )
