"""When so many votes win by the rule of a majority, in whole numbers.

Refuses to know whose votes they are, and which may still come. Read `outcome.py` and `referendum.py` next, which ask it.
"""

from __future__ import annotations

from fractions import Fraction

from tally_stream.domain.contest import Majority


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
