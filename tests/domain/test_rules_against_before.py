"""Q6, P10: counts beside the counts in force before them; Q7: their time."""

from typing import Any

import pytest

from tests.support.small_elections import CLOSE_MS, COUNTED_MS, Night, altered, correct, decision, election, report, station


def after(first: dict[str, Any], then: dict[str, Any]) -> str:
    """The verdict of a second report after a first one; nobody's register is known."""
    night = Night(election([station(registered=None)]))
    assert night.take(report(**first)).name == "counted"
    return night.verdict(report(revision=2, **then))


NO_BALLOTS = {"blank": None, "invalid": None, "cast": None}


class TestQ6Lowers:
    @pytest.mark.parametrize(
        ("votes", "expected"),
        [((49, 50), "counted Q6"), ((50, 50), "counted"), ((51, 50), "counted"), ((60, 45), "counted Q6")],
    )
    def test_a_candidate(self, votes: tuple[int, int], expected: str) -> None:
        assert after({"votes": (50, 46)}, {"votes": votes}) == expected

    @pytest.mark.parametrize(("cast", "expected"), [(99, "counted Q6"), (100, "counted"), (101, "counted")])
    def test_the_ballots_cast(self, cast: int, expected: str) -> None:
        fields = {"votes": (50, 46), "blank": None, "invalid": None}
        assert after({**fields, "cast": 100}, {**fields, "cast": cast}) == expected

    def test_valid_stands_in_on_the_side_where_cast_is_unknown(self) -> None:
        known = {"votes": (50, 46), "blank": None, "invalid": None, "cast": 97}
        unknown = {"votes": (50, 46), **NO_BALLOTS}
        assert after(known, unknown) == "counted Q6"
        assert after(unknown, known) == "counted"

    def test_also_when_the_counts_end_held(self) -> None:
        assert after({"votes": (50, 46)}, {"votes": (40, 46), "valid": 96}) == "held A1 Q6"

    def test_against_partial_counts_too(self) -> None:
        assert after({"complete": False}, {"votes": (49, 47)}) == "counted Q6"

    def test_not_at_accept(self) -> None:
        night = Night(election(), report(), report(revision=2, votes=(40, 46), valid=96))
        assert night.verdict(decision("accept", revision=3, replaces=2)) == "counted"

    def test_not_against_counts_that_are_annulled_withdrawn_or_only_held(self) -> None:
        lower: dict[str, Any] = {"votes": (1, 1), "blank": 0, "invalid": 0}
        annulled = Night(election(), report(), decision("annul"))
        assert annulled.verdict(report(revision=3, **lower)) == "held Q4"
        withdrawn = Night(election(), report(), decision("withdraw"))
        assert withdrawn.verdict(report(revision=3, **lower)) == "counted"
        held = Night(election(), report(valid=97))
        assert held.verdict(report(revision=3, **lower)) == "counted"


class TestP10ChangesMuch:
    @pytest.mark.parametrize(
        ("ballots", "expected"),
        [
            (79, "counted Q6 P10"),
            (80, "counted Q6"),
            (81, "counted Q6"),
            (119, "counted"),
            (120, "counted"),
            (121, "counted P10"),
        ],
    )
    def test_a_fifth_of_the_old_ballots_either_way(self, ballots: int, expected: str) -> None:
        first = {"votes": (40, 0), "valid": 40, "blank": None, "invalid": None, "cast": 100}
        assert after(first, {**first, "cast": ballots}) == expected

    def test_valid_stands_in_where_cast_is_unknown(self) -> None:
        assert after({"votes": (50, 50), **NO_BALLOTS}, {"votes": (60, 61), **NO_BALLOTS}) == "counted P10"

    def test_any_change_from_no_ballots_is_more_than_a_fifth(self) -> None:
        none = {"votes": (0, 0), **NO_BALLOTS}
        assert after(none, {"votes": (1, 0), **NO_BALLOTS}) == "counted P10"
        assert after(none, none) == "counted P4"

    def test_only_against_complete_counts(self) -> None:
        assert after({"complete": False}, {"votes": (100, 96)}) == "counted"

    def test_a_partial_count_is_compared_with_complete_ones(self) -> None:
        assert after({}, {"complete": False, "votes": (100, 96)}) == "counted P10"

    def test_also_when_the_counts_end_held_and_not_at_accept(self) -> None:
        night = Night(election([station(registered=None)]), report())
        assert night.verdict(report(revision=2, votes=(100, 96), valid=195)) == "held A1 P10"
        assert night.verdict(decision("accept", revision=3, replaces=2)) == "counted"


class TestQ7Clock:
    @pytest.mark.parametrize(
        ("counted_at_ms", "expected"), [(CLOSE_MS - 1, "counted Q7"), (CLOSE_MS, "counted"), (CLOSE_MS + 1, "counted")]
    )
    def test_counted_before_the_polls_closed(self, counted_at_ms: int, expected: str) -> None:
        assert Night().verdict(report(counted_at_ms=counted_at_ms)) == expected

    @pytest.mark.parametrize(("counted_at_ms", "expected"), [(CLOSE_MS - 60_001, "counted Q7"), (CLOSE_MS - 60_000, "counted")])
    @pytest.mark.parametrize("cast", [100, None])
    def test_of_a_station_that_closes_before_the_election_does(
        self, counted_at_ms: int, expected: str, cast: int | None
    ) -> None:
        """Plain reports are looked at in one step, those with an unknown figure rule by rule."""
        of = election([station("A-1"), station("A-2")], closings={"A-1": CLOSE_MS - 60_000})
        early: Any = {"counted_at_ms": counted_at_ms, "cast": cast}
        assert Night(of, report("A-2")).verdict(report("A-1", **early)) == expected
        assert Night(of, report("A-1")).verdict(report("A-2", **early)) == "counted Q7"

    @pytest.mark.parametrize(("ahead_ms", "expected"), [(299_999, "counted"), (300_000, "counted"), (300_001, "counted Q7")])
    def test_counted_later_than_the_logs_time_by_more_than_the_skew(self, ahead_ms: int, expected: str) -> None:
        assert Night().verdict(report(), at_ms=COUNTED_MS - ahead_ms) == expected

    @pytest.mark.parametrize(("before_ms", "expected"), [(59_999, "counted"), (60_000, "counted"), (60_001, "counted Q7")])
    def test_a_stations_own_closing_comes_before_the_elections(self, before_ms: int, expected: str) -> None:
        night = Night()
        night.election.stations["A-1"].polls_close_ms = CLOSE_MS - 60_000
        assert night.verdict(report(counted_at_ms=CLOSE_MS - before_ms)) == expected

    def test_a_time_of_many_decimals_is_cut_in_the_finding(self) -> None:
        for length in (64, 65, 60_000):
            text = "2024-02-07T18:00:00.".ljust(length - 1, "1") + "Z"
            (finding,) = Night().take(report(counted_at=text, counted_at_ms=CLOSE_MS - 1)).findings
            assert finding.left == (text if length == 64 else text[:63] + "…")

    def test_not_for_a_decision(self) -> None:
        early = altered(decision("annul"), counted_at="early", counted_at_ms=CLOSE_MS - 1)
        assert Night(election(), report()).verdict(early) == "counted"

    def test_for_correct_and_recount_and_held_ones_too(self) -> None:
        night = Night(election(), report())
        assert night.verdict(correct(counted_at_ms=CLOSE_MS - 1)) == "counted Q7"
        assert night.verdict(correct(revision=3, replaces=2, kind="recount", counted_at_ms=0)) == "counted Q7"
        assert night.verdict(report(revision=4, votes=(51, 47), valid=97, counted_at_ms=0)) == "held A1 Q7"

    def test_totals_never_depend_on_it(self) -> None:
        early, late = Night(election(), report(counted_at_ms=0)), Night(election(), report())
        assert early.root()["candidates"] == late.root()["candidates"]
