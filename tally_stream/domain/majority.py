"""When so many votes win by the rule of a majority, in whole numbers.

Refuses to know whose votes they are, and which may still come. Read `outcome.py` and `referendum.py` next, which ask it.
"""

from __future__ import annotations

from fractions import Fraction

from tally_stream.domain.contest import Contest, Majority
from tally_stream.domain.counted import Counted

Room = tuple[int, int, int]
"""The most votes that one candidate can still get, and the least and the most that the base grows where all of them come."""


def majority_base_of(contest: Contest, counted: Counted) -> int | None:
    """The ballots that a majority is a share of; None where they are unknown."""
    return counted.cast if contest.majority_base == "cast" else counted.valid


def room_of(contest: Contest, counted: Counted, bound: int) -> Room:
    more_votes = bound + counted.contradicted
    if contest.majority_base != "cast":
        return more_votes, bound, bound
    least_more = bound - counted.untold
    return more_votes, least_more, least_more + counted.contradicted


def wins(m: Majority, votes: int, best_other: int | None, base: int) -> bool:
    """Whether so many votes win, against the most that any other eligible candidate has (None: there is no other)."""
    if best_other is not None and votes <= best_other:
        return False
    if _is_above(votes, m.percent, base) or (m.at_least and _is_reached(votes, m.percent, base)):
        return True
    if m.or_percent is None or m.or_lead_percent is None:
        return False
    lead = votes - (best_other or 0)
    return _is_reached(votes, m.or_percent, base) and _is_reached(lead, m.or_lead_percent, base)


def _is_above(votes: int, percent: Fraction, base: int) -> bool:
    numerator, denominator = percent.as_integer_ratio()
    return 100 * denominator * votes > numerator * base


def _is_reached(votes: int, percent: Fraction, base: int) -> bool:
    numerator, denominator = percent.as_integer_ratio()
    return 100 * denominator * votes >= numerator * base
