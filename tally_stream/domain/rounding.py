"""Named rounding policies: integers in, text out. No float ever; a share is an integer pair until it is printed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tally_stream.domain.contest import Rounding

PLACES_MAX: Final = 6
"""Decimal places that a percentage can have."""

KEPT_UNITS_MAX: Final = 10_000
"""Texts up to this number are kept: of all shares with two decimal places. To write them anew was a sixth of a message."""

_KEPT: list[dict[int, str]] = [{} for _ in range(PLACES_MAX + 1)]
"""Places → units → text."""

_HUNDRED_PER_CENT = tuple([100 * 10**places for places in range(PLACES_MAX + 1)])
"""Places → in units of 10^−places per cent."""


def units_text(units: int, places: int) -> str:
    """`9205, 2` → `92.05`; a unit is 10^−places per cent."""
    kept = _KEPT[places]
    text = kept.get(units)
    if text is None:
        text = _written(units, places)
        if units <= KEPT_UNITS_MAX:
            kept[units] = text
    return text


def _written(units: int, places: int) -> str:
    text = str(units)
    if places == 0:
        return text
    if len(text) <= places:
        text = text.zfill(places + 1)
    return text[:-places] + "." + text[-places:]


def ratio_units(numerator: int, denominator: int, rounding: Rounding) -> int:
    """numerator / denominator in units of 10^−places per cent: truncated under `truncate`, else half-up."""
    scaled: int = numerator * _HUNDRED_PER_CENT[rounding.places]
    if rounding.method == "truncate":
        return scaled // denominator
    return (2 * scaled + denominator) // (2 * denominator)


def progress_percent(done: int, of: int, rounding: Rounding, *, is_finished: bool) -> str:
    """A progress percent, always below 100 unless `is_finished` and done = of."""
    units = ratio_units(done, of, rounding)
    hundred = _HUNDRED_PER_CENT[rounding.places]
    if units >= hundred and (done < of or not is_finished):
        units = hundred - 1
    return units_text(units, rounding.places)


def shares(votes: Sequence[int], valid: int, rounding: Rounding) -> list[str | None]:
    """Each candidate's share of the valid ballots, per cent, in the order given; None where valid is 0.

    Largest remainder hands out units until the shares add up to ⌊100 × 10^places × Σ votes / valid⌋; equal remainders
    go in definition order.
    """
    if valid == 0:
        return [None] * len(votes)
    if rounding.method != "largest-remainder":
        return [units_text(ratio_units(v, valid, rounding), rounding.places) for v in votes]
    scale = _HUNDRED_PER_CENT[rounding.places]
    units = [v * scale // valid for v in votes]
    by_remainder = sorted(range(len(votes)), key=lambda i: (-(votes[i] * scale % valid), i))
    for i in by_remainder[: sum(votes) * scale // valid - sum(units)]:
        units[i] += 1
    return [units_text(u, rounding.places) for u in units]
