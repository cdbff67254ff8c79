"""The one look that spares the rules never spares a report that a rule would have caught."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tally_stream.domain.election import Checks, Station
from tally_stream.domain.report import Report
from tally_stream.domain.rules import (
    ERROR_RULES,
    WARNING_RULES,
    Limits,
    nothing_fires,
    p10_changes_much,
    q6_lowers,
    q7_clock,
)

CLOSE_MS = 1_000_000
counts = st.integers(0, 6)  # small, so that limits are met exactly and often
unknown_or_count = st.none() | counts
percents = st.sampled_from([Fraction(0), Fraction(25), Fraction(50), Fraction(100), Fraction(150), Fraction(10_000)])


@st.composite
def reports(draw: st.DrawFn) -> Report:
    """Mostly sums that add up, so that the interesting rules are reached."""
    votes = tuple(draw(st.lists(counts, min_size=2, max_size=2)))
    valid = sum(votes) + draw(st.sampled_from([0, 0, 0, 1]))
    blank, invalid = draw(unknown_or_count), draw(unknown_or_count)
    cast = draw(st.sampled_from([valid + (blank or 0) + (invalid or 0), valid, None]))
    return Report(
        contest=0, station="A", revision=1, kind="report", complete=draw(st.booleans()), counted_at="x",
        counted_at_ms=CLOSE_MS + draw(st.integers(-2, 400_000)), registered=draw(st.none() | st.integers(0, 30)),
        cast=cast, valid=valid, blank=blank, invalid=invalid, votes=votes,
    )  # fmt: skip


checks = st.builds(
    Checks, A3_register_percent=percents, P1_invalid_percent=percents, P2_blank_percent=percents,
    P5_turnout_percent=percents, P6_votes_min=st.integers(0, 12), P7_register_percent=percents,
    P10_change_percent=percents, Q7_skew_seconds=st.integers(0, 300),
)  # fmt: skip


def _good(**fields: object) -> Report:
    base = dict(contest=0, station="A", revision=1, kind="report", complete=True, counted_at="x",
                counted_at_ms=CLOSE_MS, registered=None, cast=100, valid=98, blank=1, invalid=1, votes=(60, 38))  # fmt: skip
    return Report(**{**base, **fields})  # type: ignore[arg-type]


@settings(max_examples=3000, deadline=None)
@given(reports(), st.none() | reports(), st.none() | st.integers(0, 30), checks)
@example(_good(), None, 200, Checks())
def test_whatever_it_passes_fires_no_rule(
    r: Report, before: Report | None, register: int | None, limits_of: Checks
) -> None:
    station, limits = Station("A", "A", register, None, (), 0), Limits(limits_of, CLOSE_MS)
    if not nothing_fires(r, station, before, limits, CLOSE_MS):
        return
    assert [rule for rule in (*ERROR_RULES, *WARNING_RULES) if rule(r, station, limits) is not None] == []
    assert q7_clock(r, CLOSE_MS, limits) is None
    if before is not None:
        assert q6_lowers(r, before, ("X", "Y")) is None
        assert p10_changes_much(r, before, limits) is None


def test_it_passes_an_ordinary_report() -> None:
    """Otherwise the property above would hold for a look that never spares anything."""
    limits = Limits(Checks(), CLOSE_MS)
    station = Station("A", "A", 200, None, (), 0)
    assert nothing_fires(_good(), station, None, limits, CLOSE_MS)
    assert nothing_fires(_good(), station, _good(complete=False, votes=(50, 38), valid=88, cast=90), limits, CLOSE_MS)
