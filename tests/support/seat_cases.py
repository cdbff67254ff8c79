"""Lists and their seats in one line, for tests: L-0, L-1, … of an invented proportional contest."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from tally_stream.domain.contest import Allocation, Contest, SeatMethod
from tally_stream.domain.seats import Seats, seats_of
from tests.support.small_elections import contest, counted

METHODS: tuple[SeatMethod, ...] = ("dhondt", "sainte-lague", "sainte-lague-1.4", "hare")


def lists(count: int, seats: int, method: SeatMethod = "dhondt", percent: Any = 0, **fields: Any) -> Contest:
    """L-0, L-1, … with so many seats between them."""
    of = {name: fields.pop(name) for name in ("threshold_base", "exempt", "tie") if name in fields}
    allocation = Allocation(method, Fraction(percent), **of)
    ids = [f"L-{i}" for i in range(count)]
    return contest(candidates=ids, rule="proportional", seats=seats, allocation=allocation, **fields)


def found(of: Contest, votes: Sequence[int], bound: int | None = 0, **figures: Any) -> Seats:
    seats = seats_of(of, counted(votes, None, bound, **figures))
    assert seats is not None
    return seats


def now(votes: Sequence[int], seats: int, method: SeatMethod = "dhondt", percent: Any = 0, **fields: Any) -> list[int]:
    figures = {name: fields.pop(name) for name in ("valid", "blank", "cast") if name in fields}
    return found(lists(len(votes), seats, method, percent, **fields), votes, **figures).now


def tied(votes: Sequence[int], seats: int, method: SeatMethod = "dhondt", **fields: Any) -> tuple[list[int], int, list[int]]:
    of = found(lists(len(votes), seats, method, **fields), votes)
    return of.now, of.tied_seats, of.tied


def certain(
    votes: Sequence[int], seats: int, bound: int | None, method: SeatMethod = "dhondt", percent: Any = 0, **fields: Any
) -> list[int]:
    figures = {name: fields.pop(name) for name in ("valid", "blank", "cast", "contradicted") if name in fields}
    return found(lists(len(votes), seats, method, percent, **fields), votes, bound, **figures).certain
