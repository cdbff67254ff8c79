"""What holds of seats in every election; and the same seats as a second model and two other people's packages find.

The model (`tests/support/seats_model.py`) has thresholds, combinations and what is certain; votelib and interregnum know the
four methods alone. votelib says who is tied, interregnum gives equal quotients to the list with more votes.
"""

import random
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
import votelib.component.divisor
import votelib.evaluate.core
import votelib.evaluate.proportional
from hypothesis import given
from hypothesis import strategies as st
from interregnum.methods.singlevote.highest_averages import HighestAveragesAllocator
from interregnum.methods.singlevote.largest_remainder import LargestRemainderAllocator

from tally_stream.domain.contest import Allocation, Contest, SeatMethod, SeatTie
from tally_stream.domain.counted import Counted
from tally_stream.domain.seats import Seats, seats_of
from tests.support.seats_model import base_of, seats_certain, seats_now
from tests.support.small_elections import contest, counted

METHODS: tuple[SeatMethod, ...] = ("dhondt", "sainte-lague", "sainte-lague-1.4", "hare")
DIVISORS = METHODS[:3]
ELECTIONS = 2_000
"""For each method and each package."""


def lists(count: int, seats: int, method: SeatMethod, tie: SeatTie = "nobody", **fields: Any) -> Contest:
    ids = [f"L-{i}" for i in range(count)]
    return contest(candidates=ids, rule="proportional", seats=seats, allocation=Allocation(method, tie=tie), **fields)


def found(of: Contest, votes: list[int], bound: int | None = 0) -> Seats:
    seats = seats_of(of, counted(votes, None, bound))
    assert seats is not None
    return seats


SMALL = st.lists(st.integers(0, 12), min_size=1, max_size=6)
LARGE = st.lists(st.integers(0, 3_000_000), min_size=1, max_size=12)
VOTES = SMALL | LARGE


class TestAlways:
    @given(VOTES, st.integers(1, 40), st.sampled_from(METHODS), st.sampled_from(("nobody", "more-votes")))
    def test_given_and_tied_seats_are_all_seats(self, votes: list[int], seats: int, method: SeatMethod, tie: SeatTie) -> None:
        has = found(lists(len(votes), seats, method, tie), votes)
        assert sum(has.now) + has.tied_seats == (seats if any(votes) else 0)
        assert bool(has.tied_seats) == bool(has.tied)
        assert has.tied_seats < max(len(has.tied), 1)

    @given(VOTES, st.integers(1, 40), st.sampled_from(DIVISORS))
    def test_one_seat_more_takes_none_from_a_list(self, votes: list[int], seats: int, method: SeatMethod) -> None:
        fewer, more = (found(lists(len(votes), n, method), votes).now for n in (seats, seats + 1))
        assert all(a <= b for a, b in zip(fewer, more, strict=True))

    @given(st.data(), VOTES, st.integers(1, 40), st.sampled_from(METHODS), st.sampled_from(("nobody", "more-votes")))
    def test_lists_have_no_names(
        self, data: st.DataObject, votes: list[int], seats: int, method: SeatMethod, tie: SeatTie
    ) -> None:
        order = data.draw(st.permutations(range(len(votes))))
        of = lists(len(votes), seats, method, tie)
        bound = data.draw(st.integers(0, 20) | st.integers(0, sum(votes)))
        first, other = found(of, votes, bound), found(of, [votes[i] for i in order], bound)
        assert [first.now[i] for i in order] == other.now
        assert [first.certain[i] for i in order] == other.certain
        assert sorted(order.index(i) for i in first.tied) == other.tied

    @given(VOTES, st.integers(1, 40), st.sampled_from(METHODS))
    def test_more_votes_are_never_fewer_seats(self, votes: list[int], seats: int, method: SeatMethod) -> None:
        now = found(lists(len(votes), seats, method), votes).now
        assert all(now[i] >= now[j] for i in range(len(votes)) for j in range(len(votes)) if votes[i] > votes[j])

    @given(VOTES, st.integers(1, 40))
    def test_hare_keeps_to_the_quota_and_dhondt_to_its_floor(self, votes: list[int], seats: int) -> None:
        for n, v in zip(found(lists(len(votes), seats, "hare"), votes).now, votes, strict=True):
            quota = Fraction(v * seats, sum(votes) or 1)
            assert quota - 1 < n < quota + 1
        has = found(lists(len(votes), seats, "dhondt", "more-votes"), votes)
        for n, v in zip(has.now, votes, strict=True):
            assert n >= v * seats // (sum(votes) or 1) - bool(has.tied_seats)

    @given(VOTES, st.integers(1, 40), st.sampled_from(METHODS), st.integers(0, 50) | st.integers(0, 10_000_000))
    def test_fewer_seats_are_certain_with_more_ballots_out(
        self, votes: list[int], seats: int, method: SeatMethod, bound: int
    ) -> None:
        of = lists(len(votes), seats, method)
        now, sure, less_sure = (found(of, votes, b).certain for b in (0, bound, bound + 1))
        assert now == found(of, votes).now
        assert all(a >= b >= c for a, b, c in zip(now, sure, less_sure, strict=True))


@st.composite
def proportional(draw: st.DrawFn) -> tuple[Contest, Counted]:
    """Thresholds, exempt and ineligible lists, combinations, any bound, figures that contradict each other."""
    votes = draw(VOTES)
    ids = [f"L-{i}" for i in range(len(votes))]
    order = draw(st.permutations(ids))
    cuts = sorted(draw(st.sets(st.integers(1, len(ids)), max_size=3)))
    combinations = tuple(tuple(order[a:b]) for a, b in pairwise(cuts))
    allocation = Allocation(
        draw(st.sampled_from(METHODS)), Fraction(draw(st.sampled_from((0, 30, 50, 125, 200))), 10),
        draw(st.sampled_from(("valid", "valid-and-blank", "cast"))), tuple(draw(st.sets(st.sampled_from(ids), max_size=1))),
        draw(st.sampled_from(("nobody", "more-votes"))),
    )  # fmt: skip
    of = lists(len(ids), draw(st.integers(1, 25)), "hare", ineligible=draw(st.sets(st.sampled_from(ids), max_size=1)))
    several = draw(st.integers(1, 3))
    bound = draw(st.none() | st.integers(0, 12) | st.integers(0, max(votes)))
    more = draw(st.integers(0, 5))
    amiss = draw(st.sampled_from((0, 0, 0, 1, 4)))
    figures = counted(votes, None, bound, 0, amiss, valid=sum(votes) + more, cast=sum(votes) + 3 * more, blank=more)
    return replace(of, allocation=allocation, combinations=combinations, votes_per_ballot=several), figures


class TestSecondModel:
    @given(proportional())
    def test_it_finds_the_same_seats(self, case: tuple[Contest, Counted]) -> None:
        of, figures = case
        base = base_of(of, figures)
        assert base is not None
        has = seats_of(of, figures)
        assert has is not None
        assert (has.now, has.tied_seats, set(has.tied)) == seats_now(of, tuple(figures.votes), base)
        assert has.certain == seats_certain(of, tuple(figures.votes), base, figures.bound, figures.contradicted)


def some_elections(seed: int) -> Iterator[tuple[list[int], int]]:
    """Votes and seats: small numbers, in which ties are frequent, and those of real elections."""
    order = random.Random(seed)
    for _ in range(ELECTIONS):
        top = order.choice((9, 60, 3_000_000))
        yield [order.randint(1, top) for _ in range(order.randint(1, 7))], order.randint(1, order.choice((3, 10, 30)))


class TestOthers:
    @pytest.mark.parametrize("method", METHODS)
    def test_votelib(self, method: SeatMethod) -> None:
        rows = votelib.component.divisor
        evaluators = {
            "dhondt": lambda: votelib.evaluate.proportional.HighestAverages(rows.d_hondt),
            "sainte-lague": lambda: votelib.evaluate.proportional.HighestAverages(rows.sainte_lague),
            "sainte-lague-1.4": lambda: votelib.evaluate.proportional.HighestAverages(
                rows.modified_first_coef(rows.sainte_lague, Fraction(7, 5))
            ),
            "hare": lambda: votelib.evaluate.proportional.LargestRemainder("hare"),
        }
        evaluator = evaluators[method]()
        ties = 0
        for votes, seats in some_elections(1):
            theirs = evaluator.evaluate(dict(enumerate(votes)), seats)
            tied = [who for who in theirs if isinstance(who, votelib.evaluate.core.Tie)]
            ours = found(lists(len(votes), seats, method), votes)
            assert ours.now == [theirs.get(i, 0) for i in range(len(votes))], (votes, seats)
            assert ours.tied_seats == sum(theirs[who] for who in tied), (votes, seats)
            assert set(ours.tied) == {i for who in tied for i in who}, (votes, seats)
            ties += bool(tied)
        assert ties > 60

    @pytest.mark.parametrize("method", METHODS)
    def test_interregnum(self, method: SeatMethod) -> None:
        allocator: Any
        if method == "hare":
            allocator = LargestRemainderAllocator("hare")
        else:
            allocator = HighestAveragesAllocator(method)
        compared = 0
        for votes, seats in some_elections(2):
            ours = found(lists(len(votes), seats, method, "more-votes"), votes)
            if ours.tied_seats:
                continue  # it draws lots
            theirs = {c.name: c.seats for c in allocator([(str(i), v) for i, v in enumerate(votes)], seats).allocation}
            assert ours.now == [theirs.get(str(i), 0) for i in range(len(votes))], (votes, seats)
            compared += 1
        assert compared > ELECTIONS // 2
