"""What is in force at every polling station: the report log, folded here by the same code that the worker runs.

Decides what the public is told of a station: its counts in force or held, and what became of each of its statements.
Shows none of it before all of the log found at the start was read, no counts before the polls closed, and behind a
hold what was in force when the hold came. Totals are never made of it: those are the worker's.
"""

from __future__ import annotations

import asyncio
import struct
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from tally_stream.domain.election import Election, Station
from tally_stream.domain.fold import PartitionFold, folds_of
from tally_stream.domain.ledger import Entry, Verdict
from tally_stream.domain.report import Control, Report, Statement, Turnout
from tally_stream.domain.rules import RULES, VERDICTS, Finding
from tally_stream.domain.scalars import murmur2_partition
from tally_stream.export.desk import CasePlace, Desk
from tally_stream.kafka.client import StoredRecord, TopicReader
from tally_stream.kafka.following import Follower
from tally_stream.kafka.topics import Topics
from tally_stream.settings import Settings
from tally_stream.wire.reading import ReportReader
from tally_stream.wire.run import read_at
from tally_stream.wire.search import folded
from tally_stream.wire.signing import Verified
from tally_stream.wire.verifying import VerifyingThreads, by_ring

STATEMENTS_MAX = 50
"""Statements listed of one station; a flood of them must not fill the memory."""

SLICE_RECORDS = 500
"""Records taken between two breaths: readers of the page are served in the meantime."""

WAITING_MAX_RECORDS = 50_000
"""Records read ahead of what is published; the others wait at the brokers, unless a partition is short of it."""

WAIT_SECONDS = 0.1

COPIES_SECONDS = 5.0
"""Within which the copies of a hold or release reach every partition, or something went wrong between them."""

LISTS_KEPT = 256
"""Lists of stations kept sorted, each of one contest in one area below the whole."""

SEARCHES_KEPT = 8
"""What searches found, kept: whoever looks at one asks for it again and again, and half a million names take a while."""

OFFSET_MAX = 2**63 - 1
CODES = tuple(rule.code for rule in RULES)
KINDS = ("", "report", "correct", "recount", "annul", "restore", "withdraw", "accept", "turnout")
_LINE = struct.Struct("<QqIBBI")
"""One statement in 26 bytes: offset, log timestamp, revision (0: not known), kind, verdict, a bit for each of at most 32
codes. A station has up to 50 of them, an election half a million stations."""
assert len(CODES) <= 32


class Stations:
    """The ledger of all stations. `run` folds until it is cancelled; the rest is for those who answer."""

    def __init__(self, settings: Settings, election: Election, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._election, self._clock = settings, election, clock
        self._topic = Topics(settings.prefix).reports
        self._reader = ReportReader(election)
        self._folds: list[PartitionFold] = []
        self._ends: dict[int, int] = {}
        self._lines: dict[Station, bytes] = {}
        self._before_hold: dict[tuple[int, int], dict[Station, dict[str, Any]]] = {}
        """(contest, partition) on hold → what its stations were before something came behind the hold."""
        self._touched: dict[tuple[int, int], int] = {}
        """(contest, partition) → behind the newest record that can have changed what is shown of the contest's stations."""
        self._by_leaf: dict[int, list[Station]] = {}
        self._of_contest: list[list[Station]] = [[] for _ in election.contests]
        """Each contest's stations, by id."""
        for _, station in sorted(election.stations.items()):
            self._by_leaf.setdefault(station.leaf, []).append(station)
            for contest in station.contests:
                self._of_contest[contest].append(station)
        self._within: dict[tuple[int, str], list[Station]] = {}
        self._words: dict[Station, str] = {}
        """Id and name as a search compares them, made when first searched."""
        self._searches: dict[tuple[int, str, str], list[Station]] = {}
        self._desk = Desk(election)
        self._partial_holds: dict[int, float] = {}
        """Contest that is on hold in some partitions and not in all → since when, by the clock."""
        self.failure: str | None = None
        """Why the fold stopped; the standings go on without it."""
        self.up_to: Callable[[], Mapping[str, int]] | None = None
        """Partition → how far to fold at most, where stations must be of the version published; None: all there is."""
        self._waiting: dict[int, deque[StoredRecord]] = {}
        self._ahead: dict[bytes, Verified] = {}
        """What was verified of those that wait."""
        self._is_still = False

    @property
    def progress(self) -> dict[str, int]:
        """Records read and to be read before anything is answered."""
        return {
            "read": sum(min(f.next_offset, self._ends.get(f.partition, 0)) for f in self._folds),
            "of": sum(self._ends.values()),
        }

    @property
    def is_caught_up(self) -> bool:
        if not self._folds or self.failure is not None:
            return False
        limits = self._limits()
        if not limits:
            return False  # stations that reported would be shown as outstanding
        return all(f.next_offset >= min(self._ends[f.partition], limits[f.partition]) for f in self._folds)

    def _limits(self) -> dict[int, int]:
        """Partition → how far to fold now; none is named where nothing was published yet."""
        if self.up_to is None:
            return {fold.partition: OFFSET_MAX for fold in self._folds}
        named = self.up_to()
        return {fold.partition: named.get(str(fold.partition), 0) for fold in self._folds} if named else {}

    def _wants_more(self) -> bool:
        """Whether to read on: one partition that is far beyond what is published must not starve one that is short of it."""
        if sum(len(waiting) for waiting in self._waiting.values()) < WAITING_MAX_RECORDS:
            return True
        limits = self._limits()
        return any(fold.next_offset < limits.get(fold.partition, 0) for fold in self._folds)

    def is_at(self, contest: int, next_offsets: Mapping[str, int]) -> bool:
        """Whether a contest's stations stand as they do at these offsets: no record beyond them, and none between them and
        where the fold is, says anything of this contest. Behind a hold they stand at the hold."""
        return len(next_offsets) == len(self._folds) and all(self._is_at(f, contest, next_offsets) for f in self._folds)

    def _is_at(self, fold: PartitionFold, contest: int, next_offsets: Mapping[str, int]) -> bool:
        due = next_offsets.get(str(fold.partition))
        if due is None:
            return False
        if fold.is_on_hold(contest):
            return fold.published_offset(contest) == due
        return fold.next_offset >= due >= self._touched.get((contest, fold.partition), 0)

    async def run(self) -> None:
        """Raises KafkaError, OSError or TopicLost as a follower does. A record that crashes the code sets `failure`."""
        async with TopicReader(self._settings, self._topic, is_log=True) as reader:
            with VerifyingThreads() as threads:
                await self._follow(reader, threads)

    async def _follow(self, reader: TopicReader, threads: VerifyingThreads) -> None:
        count = len(reader.partitions)
        self._ends = {p: end for p, (_, end) in (await reader.bounds()).items()}
        self._folds = folds_of(self._election, count)
        self._waiting = {p: deque() for p in range(count)}
        follower = Follower(reader)
        while self.failure is None:
            if self._wants_more():
                await self._append(await follower.poll(), threads)
            else:
                await asyncio.sleep(WAIT_SECONDS)
            is_more = True
            while is_more:
                is_more = self.advance(SLICE_RECORDS)
                await asyncio.sleep(0)

    async def _append(self, records: Sequence[StoredRecord], threads: VerifyingThreads) -> None:
        """Signatures are verified in other threads: 2,000 a second would take a quarter of the loop's time."""
        if self._election.signatures is not None:
            self._ahead.update(await threads.ahead_of(by_ring(self._folds, records)))
        for record in records:
            self._waiting[record.partition].append(record)

    # -- taking ----------------------------------------------------------------------------------------------------

    def advance(self, most: int = WAITING_MAX_RECORDS) -> bool:
        """Take what was read, as far as it may be; whether there is more. A record that crashes the code is the last."""
        limits = {} if self._is_still else self._limits()
        for partition, waiting in self._waiting.items():
            limit = limits.get(partition, 0)
            while waiting and waiting[0].offset < limit and self.failure is None:
                if most == 0:
                    return True
                most -= 1
                record = waiting.popleft()
                try:
                    self.take(record)
                except Exception as error:
                    self.failure = f"stopped at partition {partition}, offset {record.offset}: {type(error).__name__}"
        return False

    def take(self, record: StoredRecord) -> None:
        """The next record of its partition."""
        fold = self._folds[record.partition]
        read = read_at(self._reader, fold, record.offset, record.timestamp_ms, record.key, record.value, self._ahead)
        if self._ahead and record.value is not None:
            self._ahead.pop(record.value, None)
        self._keep_what_a_hold_shows(fold, read)
        verdict = fold.take(record.offset, record.timestamp_ms, record.key, read)
        if isinstance(read, Report | Control):
            self._touched[read.contest, fold.partition] = fold.next_offset
        if isinstance(read, Control):
            if not fold.is_on_hold(read.contest):
                self._before_hold.pop((read.contest, fold.partition), None)
            if 0 < self._holds(read.contest) < len(self._folds):
                self._partial_holds.setdefault(read.contest, self._clock())
            else:
                self._partial_holds.pop(read.contest, None)
        if self._desk.concerns(record.key, verdict):
            self._desk.take(fold, CasePlace(fold.partition, record.offset, record.timestamp_ms), read, verdict)
        station = self._station_of(read, record.key)
        if station is not None:
            self._note(station, record, read, verdict)

    def _keep_what_a_hold_shows(self, fold: PartitionFold, read: Statement | Finding) -> None:
        if isinstance(read, Report) and fold.is_on_hold(read.contest):
            kept = self._before_hold.setdefault((read.contest, fold.partition), {})
            if read.station not in kept:
                kept[read.station] = self._standing(read.contest, read.station)

    def _station_of(self, read: Statement | Finding, key: bytes | None) -> Station | None:
        if isinstance(read, Report | Turnout):
            return read.station
        if not isinstance(read, Finding) or key is None:
            return None
        return self._election.stations.get(key.decode("ascii", "replace"))

    def _note(self, station: Station, record: StoredRecord, read: Statement | Finding, verdict: Verdict) -> None:
        revision, kind = 0, ""
        if isinstance(read, Report):
            revision, kind = read.revision, read.kind
        elif isinstance(read, Turnout):
            revision, kind = read.revision, "turnout"
        bits = 0
        for finding in verdict.findings:
            bits |= 1 << CODES.index(finding.code)
        name = VERDICTS.index(verdict.name)
        line = _LINE.pack(record.offset, record.timestamp_ms, revision, KINDS.index(kind), name, bits)
        self._lines[station] = (self._lines.get(station, b"") + line)[-STATEMENTS_MAX * _LINE.size :]

    def _holds(self, contest: int) -> int:
        return sum(fold.is_on_hold(contest) for fold in self._folds)

    # -- answering -------------------------------------------------------------------------------------------------

    def partial_hold(self, contest: int) -> tuple[int, int] | None:
        """In how many of how many partitions the contest is on hold, where that is some and not all, and has been for
        COPIES_SECONDS: the copies of an order do not come in one moment."""
        since = self._partial_holds.get(contest)
        return None if since is None or self._clock() - since < COPIES_SECONDS else (self._holds(contest), len(self._folds))

    def open_cases(self, contest: int | None, hides_counts: Callable[[int], bool]) -> list[dict[str, Any]]:
        """For operators: what waits for an authority in a contest, or in all."""
        return self._desk.cases(self._folds, contest, hides_counts=hides_counts)

    def one(self, station_id: str, hides_counts: Callable[[str], bool]) -> dict[str, Any] | None:
        """All that is shown of one station; None where there is no such station. `hides_counts(contest id)`."""
        station = self._election.stations.get(station_id)
        if station is None:
            return None
        contests = []
        for index in station.contests:
            shown = self._shown(index, station)
            contests.append(without_counts(shown) if hides_counts(shown["contest"]) else shown)
        return {
            "station": station.id,
            "name": station.name,
            "area": self._election.areas[station.leaf].id,
            "path": list(station.path),
            "registered": station.registered,
            "ballots_expected": station.ballots_expected,
            "partition": self._fold_of(station).partition,
            "contests": contests,
            "statements": [
                {
                    "offset": offset,
                    "timestamp": timestamp,
                    "revision": revision or None,
                    "kind": KINDS[kind] or None,
                    "verdict": VERDICTS[verdict],
                    "codes": [code for at, code in enumerate(CODES) if bits >> at & 1],
                }
                for offset, timestamp, revision, kind, verdict, bits in _LINE.iter_unpack(self._lines.get(station, b""))
            ],
        }

    def found(self, contest: int, area: str, words: str = "") -> list[Station]:
        """A contest's stations in an area and all below it, by id. With `words`, only those whose id or name contains them, in
        whatever case, with and without accents."""
        wanted = folded(words)
        if not words:
            return self._stations_of(contest, area)
        kept = self._searches.get((contest, area, wanted))
        if kept is None:
            if not self._words:
                self._words = {s: f"{folded(s.id)}\n{folded(s.name)}" for s in self._election.stations.values()}
            texts = self._words
            kept = [s for s in self._stations_of(contest, area) if wanted in texts[s]] if wanted else []
            if len(self._searches) >= SEARCHES_KEPT:
                del self._searches[next(iter(self._searches))]
            self._searches[contest, area, wanted] = kept
        return kept

    def of_area(
        self, contest: int, area: str, after: str, limit: int, *, hides_counts: bool, words: str = ""
    ) -> tuple[list[dict[str, Any]], bool]:
        """Up to `limit` of the stations found, in rows, behind the id `after`; and whether there are more."""
        found = self.found(contest, area, words)
        begin = bisect_right(found, after, key=lambda station: station.id)
        rows = self.rows(contest, found[begin : begin + limit], hides_counts=hides_counts)
        return rows, begin + limit < len(found)

    def rows(self, contest: int, stations: list[Station], *, hides_counts: bool) -> list[dict[str, Any]]:
        return [self._row(contest, station, hides_counts) for station in stations]

    def state_of_rows(self, contest: int) -> tuple[object, ...]:
        """Stays the same as long as the rows of a contest's stations do, or what is to be said in their place."""
        if not self.is_caught_up:
            return (self.failure, *self.progress.values())
        return (sum(self._touched.get((contest, fold.partition), 0) for fold in self._folds),)

    def each(self, contest: int, *, hides_counts: bool) -> Iterator[dict[str, Any]]:
        """The rows of all stations of a contest, by id, each made when it is asked for: in `standing_still`."""
        return (self._row(contest, station, hides_counts) for station in self._of_contest[contest])

    def _row(self, contest: int, station: Station, hides_counts: bool) -> dict[str, Any]:
        shown = self._shown(contest, station)
        return {
            "station": station.id,
            "name": station.name,
            "registered": station.registered,
            **(without_counts(shown) if hides_counts else shown),
        }

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Nothing is taken meanwhile, so that whoever goes through all stations may let others have their turn in between
        and still tells of one moment. What was read waits."""
        self._is_still = True
        try:
            yield
        finally:
            self._is_still = False

    def _stations_of(self, contest: int, area: str) -> list[Station]:
        """A contest's stations in an area and all below it, by id; sorted once, for whoever asks next."""
        if area == self._election.root:
            return self._of_contest[contest]
        kept = self._within.get((contest, area))
        if kept is None:
            leaves = [i for i in self._by_leaf if (a := self._election.areas[i].id) == area or a.startswith(area + "/")]
            stations = [station for leaf in leaves for station in self._by_leaf[leaf] if station.has_contest(contest)]
            kept = sorted(stations, key=lambda station: station.id)
            if len(self._within) >= LISTS_KEPT:
                del self._within[next(iter(self._within))]
            self._within[contest, area] = kept
        return kept

    def _fold_of(self, station: Station) -> PartitionFold:
        return self._folds[murmur2_partition(station.id.encode(), len(self._folds))]

    def _shown(self, contest: int, station: Station) -> dict[str, Any]:
        """What is in force, or was when a hold came that has no release."""
        kept = self._before_hold.get((contest, self._fold_of(station).partition), {})
        return kept.get(station) or self._standing(contest, station)

    def _standing(self, contest: int, station: Station) -> dict[str, Any]:
        """One station in one contest, in the words of the report it came in."""
        definition = self._election.contests[contest]
        entry = self._fold_of(station).entry(contest, station.id)
        if entry is None:
            entry = Entry(station)
        return {
            "contest": definition.id,
            "state": state_of(entry),
            "revision": entry.in_force_revision or None,
            "in_force": _counts(entry.counts_in_force, definition.candidate_ids),
            "remembered": _counts(entry.counts if entry.is_annulled else None, definition.candidate_ids),
            "held": _counts(entry.held, definition.candidate_ids),
            "is_disputed": entry.is_disputed,
            "is_warned": entry.is_warned,
            "replaced_by": entry.replaced_by or None,
        }


def state_of(entry: Entry) -> str:
    """The one state of a station, as standings count them."""
    if entry.is_annulled:
        return "annulled"
    if entry.counts is not None:
        return "counted" if entry.counts.complete else "partial"
    return "held" if entry.held is not None else "outstanding"


def without_counts(shown: dict[str, Any]) -> dict[str, Any]:
    """Before the polls close: that a station reported, and nothing of what it said."""
    return {**shown, "in_force": None, "remembered": None, "held": None}


def _counts(r: Report | None, candidate_ids: tuple[str, ...]) -> dict[str, Any] | None:
    if r is None:
        return None
    return {
        "revision": r.revision,
        "kind": r.kind,
        "complete": r.complete,
        "counted_at": r.counted_at,
        "registered": r.registered,
        "ballots": {"cast": r.cast, "valid": r.valid, "blank": r.blank, "invalid": r.invalid},
        "votes": dict(zip(candidate_ids, r.votes, strict=True)),
        "reason": r.reason,
        "authority": r.authority,
    }
