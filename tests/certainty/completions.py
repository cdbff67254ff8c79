"""Every way in which a small night can end without an authority's act, and who has won then.

Decides what a completion is: each station neither counted nor annulled says nothing more, or makes one more report that
counts by the product's own rules, lowers nothing of its partial count and gives no candidate more votes than ballots came
and were not told. (Several reports after each other end where the last one ends.) Ends are judged by the contest's rule alone, with all ballots known; seats by the second model of them
(`tests/support/seats_model.py`). Refuses to know bounds and states. Read `nights.py` next.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import product

from tally_stream.domain.contest import Contest, ThresholdBase
from tally_stream.domain.election import Checks, Election, Station
from tally_stream.domain.ledger import Entry, judge
from tally_stream.domain.report import Report
from tally_stream.domain.rules import Limits
from tests.support.small_elections import CLOSE_MS, COUNTED_AT, COUNTED_MS, contest

Votes = tuple[int, ...]
Brought = tuple[Votes, int]
"""What a station adds to the votes, and to the base of a majority or of a threshold."""


@dataclass(frozen=True)
class Partial:
    """The figures of a partial count in force."""

    votes: Votes
    cast: int | None
    valid: int
    blank: int | None
    invalid: int | None
    undervotes: int = 0
    """0 where they are unknown."""


@dataclass(frozen=True)
class OpenStation:
    """All that matters of a station neither counted nor annulled for what it may still bring by the rules."""

    registered: int | None
    expected: int | None
    partial: Partial | None
    most: int
    """Reports of up to so many ballots are tried; more than any that can count."""


def base_kind(of: Contest) -> ThresholdBase:
    """What the rule's percentages are of."""
    return of.majority_base if of.allocation is None else of.allocation.threshold_base


def _tuples(length: int, most: int, top: int) -> Iterator[Votes]:
    """Every tuple of so many integers that add up to no more than `most`, and are no more than `top` each."""
    if not length:
        yield ()
        return
    for first in range(min(most, top) + 1):
        for rest in _tuples(length - 1, most - first, top):
            yield (first, *rest)


def _reports_of_several(station: Station, least: Votes, most: int, votes_per_ballot: int) -> Iterator[Report]:
    """As `_reports`, where a ballot has several votes and what is not used is not said; nothing is tried that other rules
    than A1 would hold: `_reports` has all of those."""
    for votes in _tuples(len(least), votes_per_ballot * most, most):
        if any(v < had for v, had in zip(votes, least, strict=True)):
            continue
        for valid in range(max(max(votes) - 1, 0), most + 1):
            for blank, invalid in product((None, *range(most + 1 - valid)), repeat=2):
                told_apart = valid + (blank or 0) + (invalid or 0)
                for cast in (None, *range(told_apart, most + 1)):
                    yield Report(
                        0, station, 2, "report", True, COUNTED_AT, COUNTED_MS, None, cast, valid, blank, invalid, votes
                    )


def _reports(station: Station, least: Votes, most: int) -> Iterator[Report]:
    """Every further report of up to `most` ballots that has the `least` votes, whatever the rules will say of it; figures may
    be unknown."""
    register = station.registered or 0
    registers = {0, 1, register, register + 1, most - 1, most}
    for votes in _tuples(len(least), most, most):
        if any(v < had for v, had in zip(votes, least, strict=True)):
            continue
        total = sum(votes)
        for blank, invalid in product((None, *range(most + 1 - total)), repeat=2):
            if total + (blank or 0) + (invalid or 0) > most:
                continue
            # All registers of the report's own, and valid ballots without a vote, are tried where nothing is blank or invalid;
            # elsewhere the largest register: the rules compare with all ballots alike.
            is_bare = not blank and not invalid
            own, off = ((None, *registers), (0, 1)) if is_bare else ((None, most - 1), (0,))
            for cast, registered, voteless in product((None, *range(most + 1)), own, off):
                yield Report(
                    0, station, 2, "report", True, COUNTED_AT, COUNTED_MS, registered, cast, total + voteless, blank, invalid,
                    votes,
                )  # fmt: skip


def _lowers(r: Report, before: Partial, base: ThresholdBase) -> bool:
    """Whether a figure beside the votes is lower than in the partial count, or not known any more. A known `cast` may become unknown where no
    base is of it: nothing rests on it there."""
    return (
        r.valid < before.valid
        or _is_lower(r.blank, before.blank)
        or _is_lower(r.invalid, before.invalid)
        or ((base == "cast" or r.cast is not None) and _is_lower(r.cast, before.cast))
    )


def _is_lower(new: int | None, old: int | None) -> bool:
    return old is not None and (new is None or new < old)


def _base(base: ThresholdBase, cast: int | None, valid: int, blank: int | None) -> int | None:
    if base == "valid":
        return valid
    if base == "cast":
        return cast
    return None if blank is None else valid + blank


def counted_reports(
    open_station: OpenStation, checks: Checks, candidates: int, base: ThresholdBase, votes_per_ballot: int = 1
) -> Iterator[Report]:
    """Every further report of an open station that counts and lowers nothing. `base`: what something rests on."""
    station = Station("A-1", "A-1", open_station.registered, open_station.expected, (), 0)
    limits, entry = Limits(checks, CLOSE_MS), Entry(station)
    of = contest(candidates=[f"C-{i}" for i in range(candidates)], votes_per_ballot=votes_per_ballot)
    partial = open_station.partial
    least = (0,) * candidates if partial is None else partial.votes
    if votes_per_ballot == 1:
        reports = _reports(station, least, open_station.most)
    else:
        reports = _reports_of_several(station, least, open_station.most, votes_per_ballot)
    for r in reports:
        if _base(base, r.cast, r.valid, r.blank) is None:
            continue  # every ballot is cast, and blank or not, whether it is said or not
        if partial is not None and _lowers(r, partial, base):
            continue
        if judge(entry, r, of, limits, False, COUNTED_MS).name == "counted":
            yield r


@cache
def _further(
    open_station: OpenStation, checks: Checks, candidates: int, base: ThresholdBase, votes_per_ballot: int
) -> frozenset[Brought]:
    """What one open station can still bring, each way once; to say nothing more is one of them."""
    before = open_station.partial or Partial((0,) * candidates, 0, 0, 0, 0)
    found: set[Brought] = {((0,) * candidates, 0)}
    for r in counted_reports(open_station, checks, candidates, base, votes_per_ballot):
        has = _base(base, r.cast, r.valid, r.blank) or 0
        brought = tuple(n - o for n, o in zip(r.votes, before.votes, strict=True))
        # Where a ballot has several votes, sums allow what no ballots do: that more votes come than ballots bring.
        came = r.valid - before.valid
        if votes_per_ballot > 1 and (max(brought) > came or sum(brought) > votes_per_ballot * came):
            continue
        if sum(r.votes) + before.undervotes > votes_per_ballot * r.valid:
            continue  # fewer undervotes than before
        found.add((brought, has - (_base(base, before.cast, before.valid, before.blank) or 0)))
    return frozenset(found)


def ends(of: Election, votes: Votes, base: int, open_stations: Iterable[OpenStation]) -> frozenset[tuple[Votes, int]]:
    """Votes and base at every end of a night that stands at `votes` and `base`."""
    (the_contest,) = of.contests
    reached = {(votes, base)}
    for station in open_stations:
        brought = _further(station, of.checks, len(votes), base_kind(the_contest), the_contest.votes_per_ballot)
        reached = {
            (tuple(a + b for a, b in zip(so_far, more, strict=True)), so_much + more_base)
            for so_far, so_much in reached
            for more, more_base in brought
        }
    return frozenset(reached)


@dataclass(frozen=True)
class End:
    """Who has a seat for sure at an end, and who shares what is left of them. A majority that nobody has leaves it empty."""

    seated: frozenset[int]
    sharing: frozenset[int] = frozenset()


def verdict(of: Contest, votes: Votes, base: int) -> End:
    can_win = [i for i, candidate in enumerate(of.candidates) if candidate.eligible]
    if of.rule == "majority":
        return End(frozenset(i for i in can_win if _has_majority(of, votes, base, i, can_win)))
    if len(can_win) <= of.seats:
        return End(frozenset(can_win))
    at_line = sorted((votes[i] for i in can_win), reverse=True)[of.seats - 1]
    at_least = [i for i in can_win if votes[i] >= at_line]
    if len(at_least) == of.seats:
        return End(frozenset(at_least))
    above = frozenset(i for i in can_win if votes[i] > at_line)
    return End(above, frozenset(at_least) - above)


def _has_majority(of: Contest, votes: Votes, base: int, who: int, can_win: list[int]) -> bool:
    m = of.majority
    assert m is not None
    others = [votes[i] for i in can_win if i != who]
    if any(votes[who] <= other for other in others):
        return False
    mine = Fraction(100 * votes[who])
    if mine > m.percent * base or (m.at_least and mine >= m.percent * base):
        return True
    if m.or_percent is None or m.or_lead_percent is None:
        return False
    lead = votes[who] - max(others, default=0)
    return mine >= m.or_percent * base and 100 * lead >= m.or_lead_percent * base
