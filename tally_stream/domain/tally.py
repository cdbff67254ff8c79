"""Area totals of one contest in integers, kept by taking a station out and putting it back.

Decides what a station's entry adds to the totals of its deepest published area; areas above are kept by difference, where
the pages of all partitions come together (`standings.py`). Sums are kept **relative to an untouched station**: a partition
that has read nothing is all zero, whatever stations it will turn out to hold. Every sum that can meet an unknown has a
count of its unknowns beside it. Read `fold.py` next.
"""

from __future__ import annotations

from tally_stream.domain.election import Station
from tally_stream.domain.extra_sums import ExtraSums, add_plain_extra, extra_width, has_extra, tally_extra
from tally_stream.domain.ledger import Entry
from tally_stream.domain.report import Report
from tally_stream.domain.rules import Limits
from tally_stream.domain.votes import VoteSums, add_votes, move_votes, take_votes

BALLOTS = ("valid", "cast", "cast_unknown", "blank", "blank_unknown", "invalid", "invalid_unknown")
"""Ballots of the counts in force, partial ones included."""
STATION_STATES = ("counted", "partial", "held_only", "annulled")
"""Each station is in exactly one; outstanding is the rest."""
FLAGS = ("corrected", "recounted", "disputed", "held_waiting", "warned")
KINDS_IN_FORCE = ("kind_correct", "kind_recount", "kind_annul", "kind_restore", "kind_accept")
"""Stations by the kind of the statement in force."""
PROGRESS_BY_REGISTERED = ("registered_of", "registered_of_unknown", "registered_done", "registered_done_unknown")
"""`of` is relative to the register."""
PROGRESS_BY_BALLOTS = ("ballots_of", "ballots_of_unknown")
"""Relative to `ballots_expected`."""
TURNOUT = ("turnout_cast", "turnout_cast_unknown", "turnout_registered", "turnout_registered_unknown")
"""Over complete counts."""
BOUND = ("bound", "bound_unknown", "untold", "contradicted")
"""`bound` is the most ballots that can still take effect, relative to all stations outstanding. `untold` and `contradicted`
are of partial counts: ballots cast that are not said to be valid, blank or invalid; and by how much figures contradict each
other that an authority let count, which a later report must mend."""

SCALARS = (
    *BALLOTS,
    *STATION_STATES,
    *FLAGS,
    *KINDS_IN_FORCE,
    *PROGRESS_BY_REGISTERED,
    *PROGRESS_BY_BALLOTS,
    *TURNOUT,
    *BOUND,
)
"""In the order of an area on a page (docs/wire-format.md, "Partials")."""

SUMS = frozenset({
    "valid", "cast", "blank", "invalid", "registered_of", "registered_done", "ballots_of", "turnout_cast",
    "turnout_registered", "bound", "untold", "contradicted",
})  # fmt: skip
"""Scalars that sum ballots or voters; the others count stations."""


AreaSums = tuple[int, ...]
"""Votes in candidate order, then SCALARS in theirs; of an area that has some, its extra sums behind them (`extra_sums.py`). A
tuple, which the collector looks at but once: a wide night has many."""


class Totals(VoteSums):
    """The sums of one contest in one deepest published area. `votes` are in candidate order."""

    __slots__ = ("candidate_count", "channels", "extra", "votes_per_ballot", *SCALARS)

    # Flat, in groups by name alone. An object for each group costs nothing with 50 areas (0.8 us to count a plain report), but
    # with 5,000 it is 2.1 us instead of 1.5: each group lies elsewhere in memory. They lie there in this order: after the votes
    # what a plain report moves. SCALARS has the order of pages; the names are repeated where all are set or read, as looking
    # them up took a third of what a flush of all pages took.
    extra: ExtraSums | None
    valid: int
    cast: int
    blank: int
    invalid: int
    counted: int
    partial: int
    registered_done: int
    turnout_registered: int
    turnout_cast: int
    ballots_of: int
    ballots_of_unknown: int
    bound: int
    cast_unknown: int
    blank_unknown: int
    invalid_unknown: int
    held_only: int
    annulled: int
    corrected: int
    recounted: int
    disputed: int
    held_waiting: int
    warned: int
    kind_correct: int
    kind_recount: int
    kind_annul: int
    kind_restore: int
    kind_accept: int
    registered_of: int
    registered_of_unknown: int
    registered_done_unknown: int
    turnout_cast_unknown: int
    turnout_registered_unknown: int
    bound_unknown: int
    untold: int
    contradicted: int
    candidate_count: int
    channels: tuple[int, ...]
    votes_per_ballot: int

    def __init__(
        self,
        candidate_count: int,
        integers: AreaSums | None = None,
        channels: tuple[int, ...] = (),
        votes_per_ballot: int = 1,
    ) -> None:
        """All zero, or what `to_integers` gave. `channels`: those of the contest (`Election.contest_channels`)."""
        width = candidate_count + len(SCALARS)
        if integers is None:
            integers = (0,) * width
        super().__init__(integers[:candidate_count])
        self.candidate_count = candidate_count
        self.channels = channels
        self.votes_per_ballot = votes_per_ballot
        self.extra = None
        if channels or len(integers) > width:
            self.extra = ExtraSums(candidate_count, channels, integers[width:] or None)
        (
            self.valid, self.cast, self.cast_unknown, self.blank, self.blank_unknown, self.invalid,
            self.invalid_unknown, self.counted, self.partial, self.held_only, self.annulled, self.corrected,
            self.recounted, self.disputed, self.held_waiting, self.warned, self.kind_correct, self.kind_recount,
            self.kind_annul, self.kind_restore, self.kind_accept, self.registered_of, self.registered_of_unknown,
            self.registered_done, self.registered_done_unknown, self.ballots_of, self.ballots_of_unknown,
            self.turnout_cast, self.turnout_cast_unknown, self.turnout_registered, self.turnout_registered_unknown,
            self.bound, self.bound_unknown, self.untold, self.contradicted,
        ) = integers[candidate_count:width]  # fmt: skip

    def to_integers(self) -> AreaSums:
        """Votes in candidate order, then SCALARS in their order, then the extra sums where there are some: what a page has of
        an area."""
        scalars: AreaSums = (
            self.valid, self.cast, self.cast_unknown, self.blank, self.blank_unknown, self.invalid,
            self.invalid_unknown, self.counted, self.partial, self.held_only, self.annulled, self.corrected,
            self.recounted, self.disputed, self.held_waiting, self.warned, self.kind_correct, self.kind_recount,
            self.kind_annul, self.kind_restore, self.kind_accept, self.registered_of, self.registered_of_unknown,
            self.registered_done, self.registered_done_unknown, self.ballots_of, self.ballots_of_unknown,
            self.turnout_cast, self.turnout_cast_unknown, self.turnout_registered, self.turnout_registered_unknown,
            self.bound, self.bound_unknown, self.untold, self.contradicted,
        )  # fmt: skip
        found = self.to_tuple(self.candidate_count) + scalars
        return found if self.extra is None else found + self.extra.to_integers()

    def need_extra(self) -> ExtraSums:
        """The extra sums, from now on there."""
        if self.extra is None:
            self.extra = ExtraSums(self.candidate_count, self.channels)
        return self.extra


def widths_of_areas(candidate_count: int, channel_count: int) -> tuple[int, ...]:
    """How many integers an area can have on a page: without extra sums, if there are such areas, and with them."""
    width = candidate_count + len(SCALARS)
    with_extra = width + extra_width(candidate_count, channel_count)
    return (with_extra,) if channel_count else (width, with_extra)


def bound_of(station: Station, limits: Limits) -> int:
    """The most ballots that a station of which nothing was heard may bring, 0 where its register is unknown: the larger of
    floor(register × bound_register_percent / 100), which A3, A8 and A9 hold reports to, and the ballots expected."""
    register = station.register
    if register is None:
        return 0
    most = register * limits.bound_numerator // limits.bound_denominator
    expected = station.ballots_expected
    return most if expected is None or expected < most else expected


def _open_bound(entry: Entry, voted: int | None, limits: Limits) -> int:
    """The most ballots that a station neither counted nor annulled may still bring: never below 0, whatever its partial
    count brought already."""
    station = entry.station
    if station.register is None:
        return 0
    most = bound_of(station, limits)
    if voted is not None and voted > most:
        most = voted
    held, counts = entry.held, entry.counts
    if held is not None:
        most = max(most, held.ballots)
    if counts is None:
        return most
    return max(0, max(most, counts.ballots) - counts.told_apart)


def tally(t: Totals, entry: Entry, voted: int | None, limits: Limits, sign: int) -> None:
    """Put what a station adds into `t` (`sign` 1) or take it out (`sign` −1).

    `voted` is the station's newest turnout before the count, None where unknown.
    """
    station = entry.station
    registered = station.registered
    if t.extra is not None or has_extra(entry.counts):
        tally_extra(t.need_extra(), entry, sign)
    if entry.held is not None:
        t.held_waiting += sign
    if entry.is_disputed:
        t.disputed += sign
    counts = entry.counts
    if counts is None or entry.is_annulled:
        _tally_without_counts(t, entry, voted, limits, sign)
        return

    kind = entry.in_force_kind
    if kind != "report":
        _tally_kind(t, kind, sign)
        if entry.replaced_by == "correct":
            t.corrected += sign
        elif entry.replaced_by == "recount":
            t.recounted += sign
    if entry.is_warned:
        t.warned += sign
    if sign > 0:
        add_votes(t, counts.votes)
    else:
        take_votes(t, counts.votes)
    t.valid += sign * counts.valid
    cast = counts.cast
    if cast is None:
        t.cast_unknown += sign
    else:
        t.cast += sign * cast
    if counts.blank is None:
        t.blank_unknown += sign
    else:
        t.blank += sign * counts.blank
    if counts.invalid is None:
        t.invalid_unknown += sign
    else:
        t.invalid += sign * counts.invalid

    if counts.registered is not None and not station.is_without_voters:
        if registered is None:
            t.registered_of_unknown -= sign
            t.registered_of += sign * counts.registered
        elif registered != counts.registered:
            t.registered_of += sign * (counts.registered - registered)
        registered = counts.registered
    if counts.complete:
        t.counted += sign
        if registered is None:
            t.registered_done_unknown += sign
            t.turnout_registered_unknown += sign
        else:
            t.registered_done += sign * registered
            t.turnout_registered += sign * registered
        if cast is None:
            t.turnout_cast_unknown += sign
        else:
            t.turnout_cast += sign * cast
        if cast is not None or station.ballots_expected is not None:
            _tally_expected(t, station, cast, sign)
    else:
        t.partial += sign
        expected = station.ballots_expected if voted is None else voted
        if expected is not None and cast is not None and expected < cast:
            expected = cast
        if expected != station.ballots_expected:
            _tally_expected(t, station, expected, sign)
        t.bound += sign * _open_bound(entry, voted, limits)
        _tally_untold(t, counts, sign)
    _tally_bound_without(t, station, limits, sign, counts.complete)


def add_plain(t: Totals, station: Station, before: Report | None, r: Report, limits: Limits) -> None:
    """What `tally` adds for the plain report `r` (`rules.is_plain`) less what it added for the plain partial `before`.

    For a station of which nothing else is known: no turnout, nothing held, annulled or disputed.
    """
    votes, cast, blank, invalid = r.votes, r.cast, r.blank, r.invalid
    registered, expected = station.registered, station.ballots_expected
    # A plain report knows them all, at a station whose register is known; so does a plain one before.
    assert cast is not None
    assert blank is not None
    assert invalid is not None
    assert registered is not None
    if t.extra is not None:
        add_plain_extra(t.extra, station, before, r)
    if before is None:
        add_votes(t, votes)
        t.valid += r.valid
        t.cast += cast
        t.blank += blank
        t.invalid += invalid
    else:
        old_votes, old_cast, old_blank, old_invalid = before.votes, before.cast, before.blank, before.invalid
        assert old_cast is not None
        assert old_blank is not None
        assert old_invalid is not None
        move_votes(t, votes, old_votes)
        t.valid += r.valid - before.valid
        t.cast += cast - old_cast
        t.blank += blank - old_blank
        t.invalid += invalid - old_invalid
        t.partial -= 1
        t.bound += old_cast
        if expected is not None and expected < old_cast:
            t.ballots_of -= old_cast - expected
    if not r.complete:
        t.partial += 1
        t.bound -= cast
        if expected is not None and expected < cast:
            t.ballots_of += cast - expected
        return
    t.counted += 1
    t.registered_done += registered
    t.turnout_registered += registered
    t.turnout_cast += cast
    t.ballots_of += cast
    if expected is None:
        t.ballots_of_unknown -= 1
    else:
        t.ballots_of -= expected
    t.bound -= bound_of(station, limits)


def _tally_bound_without(t: Totals, station: Station, limits: Limits, sign: int, is_closed: bool) -> None:
    """Take out what the station was taken to bring while nothing was heard of it. Its unknown register stays unknown until
    it `is_closed`, counted or annulled."""
    t.bound -= sign * bound_of(station, limits)
    if is_closed and station.register is None:
        t.bound_unknown -= sign


def _tally_untold(t: Totals, counts: Report, sign: int) -> None:
    """What the bound alone does not say of a partial count."""
    told_apart, cast = counts.told_apart, counts.cast
    if cast is not None:
        if cast > told_apart:
            t.untold += sign * (cast - told_apart)
        else:
            t.contradicted += sign * (told_apart - cast) * t.votes_per_ballot
    # Where a ballot has several votes, or it is said which were not given, what is missing contradicts nothing.
    if t.votes_per_ballot == 1 and counts.undervotes is None:
        votes = sum(counts.votes)
        if votes < counts.valid:
            t.contradicted += sign * (counts.valid - votes)


def _tally_kind(t: Totals, kind: str, sign: int) -> None:
    """The kind of the statement in force, where that is no plain report and counts are in force."""
    if kind == "correct":
        t.kind_correct += sign
    elif kind == "recount":
        t.kind_recount += sign
    elif kind == "restore":
        t.kind_restore += sign
    else:
        assert kind == "accept", "nothing else leaves counts in force"
        t.kind_accept += sign


def _tally_without_counts(t: Totals, entry: Entry, voted: int | None, limits: Limits, sign: int) -> None:
    station = entry.station
    kind = entry.in_force_kind
    if entry.is_annulled:
        t.annulled += sign
        t.kind_annul += sign
        if station.registered is None:
            t.registered_done_unknown += sign
        else:
            t.registered_done += sign * station.registered
        # Not annulled stations only: an annulled one leaves the expected ballots altogether.
        _tally_expected(t, station, 0, sign)
        _tally_bound_without(t, station, limits, sign, True)
        return
    if kind == "restore":
        t.kind_restore += sign
    if entry.held is not None:
        t.held_only += sign
    if voted is not None:
        _tally_expected(t, station, voted, sign)
    if voted is not None or entry.held is not None:
        t.bound += sign * (_open_bound(entry, voted, limits) - bound_of(station, limits))


def _tally_expected(t: Totals, station: Station, expected: int | None, sign: int) -> None:
    """The station's part of `ballots_of`, relative to its `ballots_expected`."""
    baseline = station.ballots_expected
    if baseline is None:
        t.ballots_of_unknown -= sign
    else:
        t.ballots_of -= sign * baseline
    if expected is None:
        t.ballots_of_unknown += sign
    else:
        t.ballots_of += sign * expected
