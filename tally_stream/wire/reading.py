"""Report bytes → statement, fast; whatever is not right in every respect goes to `exact.py`, which says what is wrong.

Decides which reports need no second look: one pass of msgspec and a few comparisons, 1.6 µs a report against 16 on the
exact way (bench/decode_cost.py). It refuses a report itself only where all that is wrong is its station: unknown, or without
that contest. A property test holds that the fast way never says anything that the exact one does not. Nothing here raises on
any bytes.

How a key that stands twice is found. JSON lets an object repeat a key, and msgspec takes the last one silently; rule S1
refuses it. Each key and each text costs two quotation marks in the value. From the decoded fields follows how many marks
the value must have. A repeated key, or a quotation mark inside a text, makes it more: then the exact reader decides. So
does a key whose value is null: it was counted as absent.
Refuses to know partitions (S7) and revisions; `run.py` goes on from here.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Any

from msgspec import MsgspecError
from msgspec.structs import astuple

from tally_stream.domain.election import Election, Station
from tally_stream.domain.ledger import Entry
from tally_stream.domain.report import CountKind, Report, UnsignedStatement
from tally_stream.domain.rules import Finding
from tally_stream.domain.scalars import is_id, parse_time, text_error
from tally_stream.wire.counts import Ballots, counts_decoder
from tally_stream.wire.exact import ExactReader, contest_of_others, unknown_station
from tally_stream.wire.limits import VALUE_MAX_BYTES

_Fields = tuple[
    int, CountKind, str, str, str, int, str, Ballots, Any, bool | None, int | None, str | None, int | None,
    str | None, str | None,
]  # fmt: skip
"""The fields of `Counts`, in its order."""
_Six = tuple[int, int | None, int | None, int | None, int | None, int | None]
"""The fields of `Ballots`, in its order."""

_REQUIRED_STRINGS = 9 + 5 + 1
"""In every report: nine keys, five of them with a text as value, and the key "valid"."""


class _ContestVotes:
    """A contest for the fast reader; `pick` gives decoded votes in candidate order, KeyError where one is missing."""

    def __init__(self, id: str, index: int, candidate_ids: tuple[str, ...], is_only: bool) -> None:
        self.id = id
        self.index = index
        self.candidate_count = len(candidate_ids)
        first = candidate_ids[0]
        self.pick: Callable[[Any], tuple[int, ...]] = lambda votes: (votes[first],)
        if is_only:
            self.pick = astuple
        elif len(candidate_ids) > 1:
            self.pick = itemgetter(*candidate_ids)


class ReportReader:
    """Reads the reports of one election. `read(value, key)` never raises and never changes anything but a cache."""

    def __init__(self, election: Election) -> None:
        self.election = election
        self._phase = election.phase
        self._stations = election.stations
        is_only = len(election.contests) == 1
        self._contests = {c.id: _ContestVotes(c.id, i, c.candidate_ids, is_only) for i, c in enumerate(election.contests)}
        self._contest = self._contests[election.contests[0].id]
        """The one looked up last: reports of one contest often come together."""
        self._decode = counts_decoder(election.id, {c.id: c.candidate_ids for c in election.contests})
        self.exact = ExactReader(election)
        self._times = self.exact.times

    def read(self, value: bytes | None, key: bytes | None) -> UnsignedStatement | Finding:
        """The statement in `value` (a record's value) under `key` (its key), or why it is refused."""
        decoded = self.decode(value)
        return self.read_decoded(decoded, None if decoded is None else self._station_of(decoded), value, key)

    def _station_of(self, decoded: tuple[Any, ...]) -> Station | None:
        """The station that a decoded statement names, where there is one and it has the contest."""
        station = self._stations.get(decoded[4])
        return station if station is not None and station.has_contest(self._contests[decoded[3]].index) else None

    # `read` in the steps in which a run takes it: between the first and the last, the fold is asked for its entries.

    def decode(self, value: bytes | None) -> tuple[Any, ...] | None:
        """The fields in `value`, in the order of `Counts`; None where it has not that shape."""
        if value is None or len(value) > VALUE_MAX_BYTES:
            return None
        try:
            return astuple(self._decode(value))
        except (MsgspecError, UnicodeDecodeError, RecursionError):
            return None

    def entries_of(self, decoded: list[tuple[Any, ...] | None], entries: list[dict[str, Entry]]) -> list[Entry | None]:
        """The ledger's entry that each of `decoded` is about, among `PartitionFold.entries`; None where there is none: the
        station is unknown, has not that contest, or belongs to another partition."""
        if len(entries) == 1:
            find: Callable[[str], Entry | None] = entries[0].get
            return list(map(find, ["" if d is None else d[4] for d in decoded]))  # no station's id is empty
        return [None if d is None else entries[self._contests[d[3]].index].get(d[4]) for d in decoded]

    def read_decoded(
        self, decoded: tuple[Any, ...] | None, station: Station | None, value: bytes | None, key: bytes | None
    ) -> UnsignedStatement | Finding:
        """What `read` says of `value`, of which `decode` made `decoded`. `station` is the one named there, where it is known
        and has the contest."""
        fast = self._fast(decoded, station, value, key)
        return fast if fast is not None else self.exact.read(value, key)

    def read_fast(self, value: bytes | None, key: bytes | None) -> Report | Finding | None:
        """As `read`, None where the exact reader has to say."""
        decoded = self.decode(value)
        return self._fast(decoded, None if decoded is None else self._station_of(decoded), value, key)

    def _fast(
        self, decoded: tuple[Any, ...] | None, station: Station | None, value: bytes | None, key: bytes | None
    ) -> Report | Finding | None:
        if decoded is None:
            return None
        return self.accept(decoded, station, value, key) if station is not None else self.refuse_unknown(decoded, value)

    def accept(self, decoded: tuple[Any, ...], station: Station, value: bytes | None, key: bytes | None) -> Report | None:
        """The report, where it is right in everything that the shape leaves open; else None."""
        fields: _Fields = decoded
        (_, kind, _, contest_id, name, revision, counted_at, ballots, votes, complete, registered, phase, replaces,
         reason, authority) = fields  # fmt: skip
        six: _Six = astuple(ballots)
        valid, cast, blank, invalid, undervotes, overvotes = six
        contest = self._contest if self._contest.id == contest_id else self._contests[contest_id]
        counted = self._times.get(counted_at) or self.exact.time_of(counted_at)
        if (
            counted is None
            or value is None
            or key is None
            or name.encode("utf-8") != key
            or ("official" if phase is None else phase) != self._phase
        ):
            return None
        self._contest = contest
        if not _has_nothing_else(
            value, contest.candidate_count, cast, blank, invalid, undervotes, overvotes, registered, complete, phase, replaces,
            reason, authority,
        ):  # fmt: skip
            return None
        try:
            in_order = contest.pick(votes)
        except KeyError:
            return None
        return Report(
            contest.index, station, revision, kind, complete is not False, counted[0], counted[1], registered,
            cast, valid, blank, invalid, in_order, replaces, reason, authority, undervotes, overvotes,
        )  # fmt: skip

    def refuse_unknown(self, decoded: tuple[Any, ...], value: bytes | None) -> Finding | None:
        """What is wrong with a decoded statement whose station is not in the definition, or does not have its contest, where
        that is all; else None.

        Many such records cost no more than counted ones; the exact reader takes ten times as long.
        """
        fields: _Fields = decoded
        (_, _, _, contest_id, name, _, counted_at, ballots, votes, complete, registered, phase, replaces, reason,
         authority) = fields  # fmt: skip
        contest, station = self._contests[contest_id], self._stations.get(name)
        if station is not None and station.has_contest(contest.index):
            return None  # it belongs to another partition
        if value is None or not is_id(name) or (phase is not None and phase != self._phase):
            return None
        six: _Six = astuple(ballots)
        _, cast, blank, invalid, undervotes, overvotes = six
        if not _has_nothing_else(
            value, contest.candidate_count, cast, blank, invalid, undervotes, overvotes, registered, complete, phase, replaces,
            reason, authority,
        ):  # fmt: skip
            return None
        try:
            contest.pick(votes)
        except KeyError:
            return None
        if counted_at not in self._times and parse_time(counted_at) is None:
            return None
        return unknown_station(name) if station is None else contest_of_others(contest_id, name)


def _has_nothing_else(
    value: bytes,
    candidate_count: int,
    cast: int | None,
    blank: int | None,
    invalid: int | None,
    undervotes: int | None,
    overvotes: int | None,
    registered: int | None,
    complete: bool | None,
    phase: str | None,
    replaces: int | None,
    reason: str | None,
    authority: str | None,
) -> bool:
    """Whether `value` has each key once and none but those decoded from it, and its texts may be shown."""
    strings = _REQUIRED_STRINGS + candidate_count
    if cast is not None:
        strings += 1
    if blank is not None:
        strings += 1
    if invalid is not None:
        strings += 1
    if undervotes is not None or overvotes is not None:
        if undervotes is None or overvotes is None:
            return False  # rule S1: both or neither
        strings += 2
    if registered is not None:
        strings += 1
    if complete is not None:
        strings += 1
    if phase is not None:
        strings += 2
    if replaces is not None:
        strings += 1
    if reason is not None:
        strings += 2
        if text_error(reason):
            return False
    if authority is not None:
        strings += 2
        if text_error(authority):
            return False
    return value.count(b'"') == 2 * strings
