"""The one look that spares the rules never spares a report that a rule would have caught, and the one step that counts
what it passes adds what the general one adds.

Exhaustive over small figures, one limit at a time, so that every limit is met exactly, one below and one above.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import product

import pytest

from tally_stream.domain.election import Checks, Station
from tally_stream.domain.ledger import OWES_NOTHING, Entry, change_of, evolve, put_plain
from tally_stream.domain.report import Report
from tally_stream.domain.rules import (
    ERROR_RULES,
    WARNING_RULES,
    Finding,
    Limits,
    is_plain,
    p10_changes_much,
    q6_lowers,
    q7_clock,
)
from tally_stream.domain.tally import Totals, add_plain, tally
from tests.support.small_elections import altered

CLOSE_MS = 1_000_000
NEVER = Fraction(1_000_000)
OPEN = Checks(NEVER, NEVER, NEVER, NEVER, 0, NEVER, NEVER, 300, NEVER)
"""No limit is in the way of the one that is looked at."""
HERE = Station("A", "A", None, None, (), 0)


def _report(**fields: object) -> Report:
    base: dict[str, object] = dict(
        contest=0, station=HERE, revision=1, kind="report", complete=True, counted_at="x", counted_at_ms=CLOSE_MS,
        registered=None, cast=5, valid=3, blank=1, invalid=1, votes=(2, 1),
    )  # fmt: skip
    return Report(**{**base, **fields})  # type: ignore[arg-type]


def _fired(r: Report, station: Station, before: Report | None, limits: Limits) -> list[Finding]:
    found = [rule(r, station, limits, 1) for rule in (*ERROR_RULES, *WARNING_RULES)]
    found.append(q7_clock(r, CLOSE_MS, limits))
    if before is not None:
        found += [q6_lowers(r, before, ("X", "Y")), p10_changes_much(r, before, limits)]
    return [f for f in found if f is not None]


def _first_reports() -> Iterator[Report]:
    for votes, blank, invalid, registered, off, more in product(
        [(2, 1), (3, 0), (0, 0)], [None, 0, 1, 2, 5], [None, 0, 1, 2], [None, 0, 4, 5, 6, 8, 10, 20], [0, 1], [0, 1]
    ):
        valid = sum(votes) + off
        cast = valid + (blank or 0) + (invalid or 0) + more
        for complete in (True, False):
            yield _report(votes=votes, valid=valid, blank=blank, invalid=invalid, cast=cast, registered=registered,
                          complete=complete)  # fmt: skip


LIMITS = {
    "none": OPEN,
    "the defaults": Checks(),
    **{f"A3 at {p}": replace(OPEN, A3_register_percent=Fraction(p)) for p in (50, 100)},
    **{f"P1 at {p}": replace(OPEN, P1_invalid_percent=Fraction(p)) for p in (20, 25, 40)},
    **{f"P2 at {p}": replace(OPEN, P2_blank_percent=Fraction(p)) for p in (20, 25, 40)},
    **{f"P5 at {p}": replace(OPEN, P5_turnout_percent=Fraction(p)) for p in (50, 80, 100)},
    **{f"P7 at {p}": replace(OPEN, P7_register_percent=Fraction(p)) for p in (0, 25, 50)},
    **{f"A9 at {p}": replace(OPEN, bound_register_percent=Fraction(p)) for p in (99, 100)},
}


@pytest.mark.parametrize("name", LIMITS)
def test_whatever_it_passes_fires_no_rule(name: str) -> None:
    limits = Limits(LIMITS[name], CLOSE_MS)
    passed = 0
    for register, expected in ((None, None), (0, None), (0, 5), *((n, None) for n in (4, 5, 8, 10, 20, 1000)), (5, 4)):
        station = Station("A", "A", register, expected, (), 0)
        for r in _first_reports():
            if is_plain(r, station, None, limits, CLOSE_MS):
                passed += 1
                assert _fired(r, station, None, limits) == [], (r, register, expected)
    assert passed or name in ("the defaults",), "the look spared nothing here: the test would hold of itself"


def test_it_never_spares_a_fall() -> None:
    limits, station = Limits(OPEN, CLOSE_MS), Station("A", "A", 100, None, (), 0)
    passed = 0
    figures = list(product([(2, 1), (1, 2), (3, 1), (2, 2)], [0, 1, 2], [0, 1, 2], [True, False]))
    for (old_votes, old_blank, old_invalid, old_complete), (votes, blank, invalid, _) in product(figures, figures):
        before = _report(votes=old_votes, valid=sum(old_votes), blank=old_blank, invalid=old_invalid,
                         cast=sum(old_votes) + old_blank + old_invalid, complete=old_complete)  # fmt: skip
        r = _report(votes=votes, valid=sum(votes), blank=blank, invalid=invalid, cast=sum(votes) + blank + invalid)
        if is_plain(r, station, before, limits, CLOSE_MS):
            passed += 1
            assert _fired(r, station, before, limits) == []
    assert passed


def test_it_never_spares_a_clock() -> None:
    limits, station = Limits(OPEN, CLOSE_MS), Station("A", "A", 100, None, (), 0)
    times = [CLOSE_MS - 1, CLOSE_MS, CLOSE_MS + 299_999, CLOSE_MS + 300_000, CLOSE_MS + 300_001]
    passed = [t for t in times if is_plain(_report(counted_at_ms=t), station, None, limits, CLOSE_MS)]
    assert passed == times[1:4]
    assert all(not _fired(_report(counted_at_ms=t), station, None, limits) for t in passed)


@pytest.mark.parametrize("bound_percent", [100, NEVER])
@pytest.mark.parametrize("expected", [None, 0, 4, 1000])
@pytest.mark.parametrize(("votes_per_ballot", "channels"), [(1, ()), (2, (0, 1))])
def test_the_one_step_is_the_general_one(
    expected: int | None, bound_percent: int | Fraction, votes_per_ballot: int, channels: tuple[int, ...]
) -> None:
    """Totals, entry and change after each, for every pair of plain reports of a few figures."""
    limits = Limits(replace(OPEN, bound_register_percent=Fraction(bound_percent)), CLOSE_MS)
    station = Station("A", "A", 100, expected, (), 0, channel=1)
    figures = list(product([(2, 1), (1, 2), (3, 1), (2, 2)], [0, 1, 2], [0, 1, 2], [True, False], [None, 100]))
    reports = [
        _report(votes=v, valid=sum(v), blank=b, invalid=i, cast=sum(v) + b + i, complete=c, registered=r, revision=1)
        for v, b, i, c, r in figures
    ]
    later = [altered(r, revision=2) for r in reports]
    pairs = 0
    for before in (None, *reports):
        for r in later:
            if not is_plain(r, station, before, limits, CLOSE_MS) or (
                before is not None and not is_plain(before, station, None, limits, CLOSE_MS)
            ):
                continue
            pairs += 1
            plain, general = Entry(station), Entry(station)
            in_steps, as_ever = (Totals(2, None, channels, votes_per_ballot) for _ in range(2))
            if before is not None:
                add_plain(in_steps, station, None, before, limits)
                put_plain(plain, before)
                evolve(general, before, OWES_NOTHING)
                tally(as_ever, general, None, limits, 1)
            add_plain(in_steps, station, before, r, limits)
            put_plain(plain, r)
            tally(as_ever, general, None, limits, -1)
            evolve(general, r, OWES_NOTHING)
            tally(as_ever, general, None, limits, 1)
            assert in_steps.to_integers() == as_ever.to_integers(), (before, r)
            assert _state(plain) == _state(general)
            assert change_of(r, before, r, 0) is None, "a plain report owes no public line"
    assert pairs > 500


def _state(entry: Entry) -> list[object]:
    return [
        entry.top, entry.top_statement, entry.in_force_revision, entry.in_force_kind, entry.counts, entry.replaced_by,
        entry.is_warned, entry.is_annulled, entry.is_disputed, entry.held, entry.held_is_warned,
    ]  # fmt: skip
