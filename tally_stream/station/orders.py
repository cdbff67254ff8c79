"""An authority's order, as the reports topic will have it: which statement, under which revision, into which partitions.

Decides what is due for an order where the records under its key are known: a new statement, the copies that are missing of
one that was begun, or nothing because it stands. Decides too when an order is refused before anything is sent: for a rule's
reason, or because what it is about is not what its giver was shown. The figures are none of its business, nor is a broker;
`authority.py` sends. An order about a contest (hold, release, certify) is a statement in every partition, the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from tally_stream.domain.election import Election
from tally_stream.domain.fold import PartitionFold
from tally_stream.domain.ledger import Entry, Verdict, judge
from tally_stream.domain.pages import Layout
from tally_stream.domain.report import CONTROL_KINDS, Control, ControlKind, Report, Statement
from tally_stream.domain.rules import REVISION_STEP_MAX, Finding, message_of
from tally_stream.domain.scalars import murmur2_partition
from tally_stream.station.entry import encoded
from tally_stream.wire.reading import ReportReader
from tally_stream.wire.run import read_at
from tally_stream.wire.signed import kind_said

NOWHERE = -1
"""An offset that no record has, and no [[skip]] names."""

DecisionKind = Literal["annul", "restore", "accept", "withdraw"]
OrderKind = DecisionKind | ControlKind


class LoggedRecord(Protocol):
    """A record of the reports topic, from a client or from a saved log."""

    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp_ms(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...


@dataclass(frozen=True, slots=True)
class AuthorityOrder:
    """What somebody wants: ids as they were given. `station` is None for hold, release and certify."""

    kind: OrderKind
    contest: str
    station: str | None
    reason: str
    authority: str

    @property
    def is_control(self) -> bool:
        return self.kind in CONTROL_KINDS

    @property
    def key(self) -> bytes:
        """The record's key."""
        return (self.contest if self.station is None else self.station).encode("utf-8", "surrogatepass")

    def statement(self, election: Election, revision: int, replaces: int | None) -> bytes:
        """The statement's bytes; `replaces` of a decision about a station."""
        fields: dict[str, object] = {"schema": 1, "election": election.id, "phase": election.phase, "contest": self.contest}
        if self.station is not None:
            fields["station"] = self.station
        fields |= {"revision": revision, "kind": self.kind}
        if self.station is not None:
            fields["replaces"] = replaces
        fields |= {"reason": self.reason, "authority": self.authority}
        return encoded(fields)

    def is_said_by(self, statement: Statement | None) -> bool:
        """Whether a statement about the same contest or station is this order: the same kind, reason and authority."""
        return (
            isinstance(statement, Report | Control)
            and statement.kind == self.kind
            and statement.reason == self.reason
            and statement.authority == self.authority
        )


class OrderRefused(Exception):
    """The order is not sent, or was refused: `args[0]` is a sentence, `code` the rule's where a rule is the reason."""

    def __init__(self, sentence: str, code: str | None = None) -> None:
        super().__init__(sentence if code is None else f"{code}: {sentence}")
        self.code = code


def refused_by(finding: Finding) -> OrderRefused:
    return OrderRefused(message_of(finding), finding.code)


@dataclass(frozen=True, slots=True)
class OrderDue:
    """What is to be sent for an order. `value` is None for a new statement, whose bytes are still to be sealed, and holds a
    record's value where copies of one that stands elsewhere are missing. `said` is the statement as it is read. Without
    `partitions` nothing is to be sent: it stands."""

    revision: int
    said: Report | Control
    statement: bytes
    partitions: tuple[int, ...]
    value: bytes | None = None
    replaces: int | None = None


@dataclass(frozen=True, slots=True)
class StationSeen:
    """Of a station, what an order's giver was shown: revisions, 0 where there is none."""

    counts: int
    held: int
    annulment: int


class Docket:
    """What the records under an order's key make of its contest or station, and nothing else: small, however long the log.

    `take` every record of the topic, in log order for each partition. Records under other keys are passed over: they change
    nothing of what an order depends on (rule S5), but for statements about keys that sign.
    """

    def __init__(self, election: Election, order: AuthorityOrder, partition_count: int) -> None:
        """Raises OrderRefused for a contest or a station that the election does not have (S2)."""
        self.election, self.order = election, order
        self.reader = ReportReader(election)
        self._is_signed = election.signatures is not None
        found = election.contest_index(order.contest)
        if found is None:
            raise OrderRefused(f"unknown contest {order.contest[:80]!r}", "S2")
        self.contest = found
        stations = []
        if order.station is None:
            self.partitions = tuple(range(partition_count))
            self._keys = {order.key}
        else:
            station = election.stations.get(order.station)
            if station is None or not station.has_contest(found):
                finding = self.reader.read(order.statement(election, 1, 0), order.key)
                assert isinstance(finding, Finding), "no statement about a station that is not there"
                raise refused_by(finding)
            stations.append(station)
            self.partitions = (murmur2_partition(order.key, partition_count),)
            self._keys = {order.key, order.contest.encode()}  # certified: later counts are held (Q4)
        layout = Layout(election)
        self.folds = {p: PartitionFold(election, p, partition_count, stations, layout) for p in self.partitions}
        self.controls: dict[int, tuple[Control, bytes]] = {}
        """Partition → the contest's newest control statement there, and the record's value."""
        self.stands_at: dict[int, int] = {}
        """Partition → the offset of the newest statement about the order's contest or station that took effect there."""
        self.held: Verdict | None = None
        """Of the station's held report, why it is held; older than what is held now where that changed since."""

    def take(self, record: LoggedRecord) -> Verdict | None:
        """The verdict of a record under the order's key, or about a key that signs; None for any other."""
        if record.key not in self._keys and not (self._is_signed and kind_said(record.value) == "key"):
            return None
        fold = self.folds.get(record.partition)
        if fold is None:
            return None
        fold.next_offset = record.offset  # what lies between is under other keys
        read = read_at(self.reader, fold, record.offset, record.timestamp_ms, record.key, record.value)
        verdict = fold.take(record.offset, record.timestamp_ms, record.key, read)
        if isinstance(read, Report | Control) and read.contest == self.contest:
            self._note(record, read, verdict)
        return verdict

    def _note(self, record: LoggedRecord, read: Report | Control, verdict: Verdict) -> None:
        if verdict.name == "held":
            self.held = verdict
        if verdict.name != "counted":
            return
        if isinstance(read, Control):
            assert record.value is not None, "a statement has bytes"
            self.controls[record.partition] = (read, record.value)
        if isinstance(read, Control) == self.order.is_control:
            self.stands_at[record.partition] = record.offset

    # -- what stands -----------------------------------------------------------------------------------------------

    @property
    def entry(self) -> Entry | None:
        """Of the order's station; None where nothing was judged yet."""
        assert self.order.station is not None, "asked of orders about a station"
        return self.folds[self.partitions[0]].entry(self.contest, self.order.station)

    @property
    def shown(self) -> StationSeen:
        """Of the order's station, what an order may be about."""
        entry = self.entry
        if entry is None:
            return StationSeen(0, 0, 0)
        counts, held = entry.counts_in_force, entry.held
        return StationSeen(
            counts.revision if counts else 0, held.revision if held else 0, entry.in_force_revision if entry.is_annulled else 0
        )

    def incomplete(self) -> tuple[Control, list[int]] | None:
        """The contest's newest control statement where some partitions lack it, and those that do."""
        if not self.controls:
            return None
        newest = max((said for said, _ in self.controls.values()), key=lambda said: said.revision)
        lacking = [p for p in self.partitions if p not in self.controls or self.controls[p][0] != newest]
        return (newest, lacking) if lacking else None

    # -- what is due -----------------------------------------------------------------------------------------------

    def due(self, shown: StationSeen | None = None) -> OrderDue:
        """What is to be sent now. Raises OrderRefused where a rule would refuse it, and where the order is about something
        else than what was `shown`."""
        return self._due_of_contest() if self.order.station is None else self._due_of_station(shown)

    def _due_of_contest(self) -> OrderDue:
        newest = max((said.revision for said, _ in self.controls.values()), default=0)
        for said, value in self.controls.values():
            if said.revision == newest and self.order.is_said_by(said):
                lacking = tuple(p for p in self.partitions if p not in self.controls or self.controls[p][0] != said)
                if all(self._takes(p, newest) for p in lacking):
                    return OrderDue(newest, said, value, lacking, value)
        statement = self.order.statement(self.election, newest + 1, None)
        read = self.reader.read(statement, self.order.key)
        if isinstance(read, Finding):
            raise refused_by(read)
        assert isinstance(read, Control), "an order about a contest is read as control of it"
        lowest = min((self.controls[p][0].revision if p in self.controls else 0) for p in self.partitions)
        if newest + 1 - lowest > REVISION_STEP_MAX:
            raise OrderRefused(
                f"revision {newest + 1} is more than {REVISION_STEP_MAX:,} above {lowest}, where some partition stands", "Q8"
            )
        return OrderDue(newest + 1, read, statement, self.partitions)

    def _takes(self, partition: int, revision: int) -> bool:
        """Whether a copy of this revision would take effect in a partition."""
        known = self.controls[partition][0].revision if partition in self.controls else 0
        return known < revision <= known + REVISION_STEP_MAX

    def _due_of_station(self, shown: StationSeen | None) -> OrderDue:
        entry = self.entry
        if entry is not None and entry.in_force_revision == entry.top and self.order.is_said_by(entry.top_statement):
            assert entry.top_statement is not None, "something is in force"
            return OrderDue(entry.top, entry.top_statement, b"", ())
        if shown is not None:
            self._refuse_what_was_not_shown(shown)
        replaces, revision = self._replaces(entry), (entry.top if entry else 0) + 1
        statement = self.order.statement(self.election, revision, replaces)
        return OrderDue(revision, self._taking_effect(statement), statement, self.partitions, replaces=replaces)

    def _replaces(self, entry: Entry | None) -> int:
        """What the order replaces: the held report for `accept`, else what is in force, else what is held."""
        if entry is None:
            return 0
        held = entry.held.revision if entry.held else 0
        return held or entry.in_force_revision if self.order.kind == "accept" else entry.in_force_revision or held

    def _refuse_what_was_not_shown(self, shown: StationSeen) -> None:
        """Annulling excludes a station, whatever it has stated. The others are about the very counts that were looked at."""
        now = self.shown
        about: Mapping[str, tuple[object, object]] = {
            "accept": (shown.held, now.held),
            "withdraw": ((shown.counts, shown.held), (now.counts, now.held)),
            "restore": (shown.annulment, now.annulment),
        }
        before, after = about.get(self.order.kind, (None, None))
        if before != after:
            raise OrderRefused(
                f"{self.order.station} has stated something else meanwhile than what {self.order.kind} was to be about; "
                "look again: run it again"
            )

    def _taking_effect(self, statement: bytes) -> Report:
        """A decision, as it is read. Raises OrderRefused where it would not take effect."""
        read = self.reader.read(statement, self.order.key)
        if isinstance(read, Finding):
            raise refused_by(read)
        assert isinstance(read, Report), "a decision is read as one"
        fold = self.folds[self.partitions[0]]
        contest = self.election.contests[self.contest]
        entry = self.entry or Entry(read.station)
        findings = judge(entry, read, contest, fold.limits, False, 0).findings
        if findings:
            raise refused_by(findings[0])
        return read

    def refuse_unsealed(self, due: OrderDue, value: bytes, now_ms: int) -> None:
        """Raises OrderRefused where a record of this value would be refused for its signature (S6), or for the want of one."""
        for partition in due.partitions:
            read = read_at(self.reader, self.folds[partition], NOWHERE, now_ms, self.order.key, value)
            if isinstance(read, Finding):
                raise refused_by(read)
