"""Seats, referendums, several votes a ballot and ways of voting on a terminal."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from rich.console import Console

from tally_stream.cli.shown import ShownStandings
from tally_stream.cli.view import board
from tally_stream.cli.view_group import group_tables, roots_of
from tally_stream.domain.standings import Message
from tally_stream.wire.messages import canonical_json
from tests.cli.calling import call
from tests.support.every_ballot import AREAS, QUORUM, SEATS, closed, night, roots, town, with_outcome, with_seats
from tests.support.small_elections import Night, contest, decision, election, report


def shown(message: Message, of: Any = None, width: int = 200, **more: Any) -> str:
    console = Console(width=width, color_system=None, force_terminal=False)
    with console.capture() as said:
        console.print(board(message, of, **more))
    return said.get()


@pytest.fixture(scope="module")
def played() -> Night:
    return night()


class TestSeats:
    def test_now_and_certain_stand_in_columns_of_their_own(self, played: Night) -> None:
        said = shown(roots(played)["COUNCIL"], played.election)
        heads, red, blue = (next(line for line in said.splitlines() if name in line) for name in ("candidate", "Red", "Blue"))
        assert heads.split()[4:9] == ["votes", "┃", "share", "%", "┃"]
        assert [cell.strip() for cell in red.split("│")[3:7]] == ["1,600", "44.44", "9", "9"]
        assert [cell.strip() for cell in blue.split("│")[3:7]] == ["1,200", "33.33", "7", "6"]

    def test_majority_threshold_combination_and_tie_are_said(self, played: Night) -> None:
        said = shown(roots(played)["COUNCIL"], played.election)
        for line in (
            "seats 20 of 21 shared out, 18 certain · majority 11",
            "threshold 5 % of valid ballots: 180; below it: Tiny <List>; exempt: Old Town",
            "counted together: Red List + Green List: 12 seats\n",
            "open: 18 seats are certain; at most 3,000 ballots still out",
            "certain of seats: Red List 9, Blue List 6, Green List 2, Old Town 1",
        ):
            assert line in said, line

    def test_a_list_has_to_have_the_threshold_and_not_more(self) -> None:
        """180 of 3,600 are 5 %."""
        for votes, below in (((400, 300, 140, 10, 45, 5), "nobody"), ((400, 300, 140, 10, 44, 6), "Tiny <List>")):
            played = Night(town())
            for id in ("A-1", "A-2", "B-1", "B-2"):
                played.take(report(id, votes=votes))
            assert f"below it: {below}; exempt" in shown(with_seats(played.root()), played.election), votes

    def test_a_threshold_is_of_the_whole_and_hidden_figures_are_not_unknown_ones(self, played: Night) -> None:
        assert "threshold" not in shown(played.area("X/West"), played.election)
        before = Night(town())
        assert "threshold 5 % of valid ballots; exempt: Old Town\n" in shown(before.root(), before.election)
        council = roots(played)["COUNCIL"]
        unknown = {**council, "ballots": {**council["ballots"], "valid": None}}
        assert "threshold 5 % of valid ballots, which are not known; exempt" in shown(unknown, played.election)

    def test_without_the_definition_the_figures_stand_there_all_the_same(self, played: Night) -> None:
        said = shown(roots(played)["COUNCIL"])
        assert "seats 20 shared out, 18 certain\n" in said
        assert "threshold" not in said

    def test_before_any_seats_there_is_no_column_of_them(self, played: Night) -> None:
        assert "certain" not in shown(roots(played)["BRIDGE"], played.election)

    def test_it_fits_eighty_columns(self, played: Night) -> None:
        assert max(map(len, shown(roots(played)["COUNCIL"], played.election, 80).splitlines())) <= 80


class TestReferendum:
    def test_quorum_and_areas_are_said(self, played: Night) -> None:
        said = shown(roots(played)["BRIDGE"], played.election)
        assert "quorum not reached so far: 3,616 of 5,000 needed, which is 36.16 % of 10,000 registered voters" in said
        assert "areas (ward): 1 approve, 0 reject, 0.5 undecided, of 1.5; more than half must approve" in said

    def test_a_quorum_of_nobody_has_no_share(self, played: Night) -> None:
        quorum = {"done": 96, "of": 0, "percent": None, "needed": 0}
        message = with_outcome(roots(played)["BRIDGE"], state="accepted", quorum=quorum)
        assert "quorum reached: 96 of 0 needed; nobody is registered\n" in shown(message, played.election)

    @pytest.mark.parametrize(
        ("state", "bound", "done", "lines"),
        [
            ("accepted", 9, 5_000, ["accepted, and the ballots still out can't change it: Yes leads by 240; at most 9 still out",
                                    "quorum reached: 5,000 of 5,000 needed"]),
            ("rejected", 9, 5_000, ["rejected, and the ballots still out can't change it: Yes leads by 240; at most 9 still out"]),
            ("void", 9, 4_000, ["void: its quorum can't be reached any more, not with all the ballots still out: at most 9",
                                "quorum can't be reached any more: 4,000 of 5,000 needed"]),
            ("accepted", 0, 5_000, ["all ballots are in: accepted; Yes leads by 240; it takes more than 50 % of the valid ballots\n"]),
            ("rejected", 0, 5_000, ["all ballots are in: rejected; Yes leads by 240; it takes more than 50 % of the valid ballots\n"]),
            ("void", 0, 4_000, ["all ballots are in: void, its quorum is not reached"]),
        ],
    )  # fmt: skip
    def test_each_end_has_its_sentence(self, played: Night, state: str, bound: int, done: int, lines: list[str]) -> None:
        message = with_outcome(
            roots(played)["BRIDGE"],
            state=state,
            outstanding_bound=bound,
            quorum={**QUORUM, "done": done},
            double_majority=AREAS,
        )
        said = shown(message, played.election)
        assert [line for line in lines if line not in said] == []
        assert "not an official declaration" in said
        assert ("still out at most" in said) == (bound > 0)


class TestBallots:
    def test_of_several_votes_the_shares_add_up_to_more(self, played: Night) -> None:
        schools = roots(played)["SCHOOLS"]
        more = "shares are of valid ballots, and can add up to more than 100 %"
        assert f"a ballot has up to 3 votes: {more}" in shown(schools, played.election)
        assert f"a ballot has several votes: {more}" in shown(schools)
        for of in (played.election, None):
            assert "shares of 3,600 valid ballots, rounded: half-up" in shown(schools, of)
            assert "shares of 3,600 valid ballots, rounded: half-up" in shown(roots(played)["BRIDGE"], of)
        for single in ("BRIDGE", "COUNCIL"):
            assert "a ballot has" not in shown(roots(played)[single], played.election) + shown(roots(played)[single])

    def test_undervotes_and_overvotes_stand_where_they_are_known(self, played: Night) -> None:
        assert "undervotes 3,180 · overvotes 20" in shown(roots(played)["SCHOOLS"], played.election)
        assert "undervotes" not in shown(roots(played)["BRIDGE"], played.election)

    def test_before_any_report_nobody_is_told_of_votes_that_are_not_missing(self) -> None:
        empty = Night(town())
        empty.take(decision("annul", "A-1", 1, 0))
        empty.take(decision("annul", "A-1", 1, 0, contest=2))
        assert empty.root()["ballots"]["undervotes"] == 0
        assert "undervotes" not in shown(empty.root(), empty.election)
        assert "undervotes 0 · overvotes 0" in shown(empty.root(2), empty.election)

    def test_voters_so_far_are_said_before_the_close_too(self, played: Night) -> None:
        said = "voted so far 2,700 (45.00 % of 6,000 registered there), as 3 polling stations stated"
        assert said in shown(roots(played)["BRIDGE"], played.election)
        counted = "had voted by the last statements before the count: 1,800 (45.00 % of 4,000 registered there), as 2 polling stations"
        east = shown(played.area("X/East"), played.election)
        assert counted in east, "all its stations are counted"
        assert "voted so far" not in east
        before = Night(town())
        before.take(report("A-1", votes=(1, 0, 0, 0, 0, 0)), at_ms=0)
        assert "voted so far" not in shown(before.root(), before.election)

    def test_each_way_of_voting_says_how_far_it_is(self, played: Night) -> None:
        said = shown(roots(played)["COUNCIL"], played.election)
        assert "postal: 50.00 % of its polling stations counted (1 of 2) · 900 valid ballots\n" in said
        assert "early: 100.00 % of its polling stations counted (1 of 1) · 900 valid ballots\n" in said
        assert "votes by way of voting" not in said
        assert "postal" not in shown(played.area("X/East"), played.election), "which has no station of it"

    def test_their_votes_stand_in_a_table_for_whoever_asks(self, played: Night) -> None:
        said = shown(roots(played)["COUNCIL"], played.election, has_channels=True).partition("votes by way of voting")[2]
        rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in said.splitlines() if "│" in line]
        assert ["Red List", "400", "800", "400"] in rows
        assert rows[-2:] == [["ballots cast", "904", "1,808", "904"], ["valid", "900", "1,800", "900"]]

    def test_an_election_without_any_of_it_has_nothing_new(self) -> None:
        plain = Night(election(), report())
        said = shown(plain.root(), plain.election, has_channels=True)
        for word in ("seats", "voted", "way of voting", "undervotes", "a ballot has", "quorum", "threshold"):
            assert word not in said


class TestGroups:
    def test_seats_of_parties_stand_in_a_table_of_their_own(self, played: Night) -> None:
        (table,) = group_tables(played.election, roots(played))
        console = Console(width=100, color_system=None)
        with console.capture() as said:
            console.print(table)
        rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in said.get().splitlines() if "│" in line]
        assert rows[:3] == [["Red", "9", "9"], ["Blue", "7", "6"], ["Green List", "3", "2"]]
        assert "An election: seats of TOWN" in said.get()
        assert "seats 23 of 24 in 2 contests, 18 certain · majority 13" in said.get()

    def test_of_another_group_or_definition_there_is_none(self, played: Night) -> None:
        assert group_tables(played.election, roots(played), "OTHER") == []
        assert group_tables(None, roots(played)) == []
        assert group_tables(election(), {}) == []

    def test_roots_of_another_definition_are_not_taken(self, played: Night) -> None:
        shown = ShownStandings()
        shown.take(canonical_json(roots(played)["COUNCIL"]))
        assert list(roots_of(shown, played.election)) == ["COUNCIL"]
        assert roots_of(shown, town(bound_register_percent=Fraction(160))) == {}
        assert roots_of(shown, election()) == {}, "it has no groups"

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [((), "--group needs --election"), (("--election", "az-2024", "--json"), "it goes without --contest, --area and --json"),
         (("--election", "az-2024"), "NOWHERE: no group of AZ-2024; it has none")],
    )  # fmt: skip
    def test_a_group_that_can_not_be_shown_is_refused_in_words(self, arguments: tuple[str, ...], said: str) -> None:
        assert said in call("standings", "--group", "NOWHERE", *arguments, expect=2).stderr


def test_lists_that_are_certain_of_every_seat_are_told_with_their_seats() -> None:
    played = closed(night(), 0)
    told = {**SEATS, "BLUE": (7, 7), "GREEN": (4, 4)}
    message = with_seats(played.root(), told, state="decided")
    assert message["outcome"]["outstanding_bound"] == 0
    said = shown(message, played.election)
    assert "all ballots are in; seats: Red List 9, Blue List 7, Green List 4, Old Town 1\n" in said
    open_still = with_outcome(message, outstanding_bound=12)
    assert (
        "no seat can be taken by the ballots still out: Red List 9, Blue List 7, Green List 4, Old Town 1; at most 12"
        in shown(open_still, played.election)
    )


def test_a_quorum_of_another_contest_is_none_of_a_majority() -> None:
    plain = Night(election(contests=[contest()]), report())
    assert "quorum" not in shown(plain.root(), plain.election)
