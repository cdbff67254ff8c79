"""What became of a report: a pure function of its place and of what was read of standings roots and of rejections.

A report at (p, o) is *counted* when a root of its contest names `next_offsets[p] > o` and, up to the end of the rejections
taken after that root was read, neither a rejection of p/o was read nor a held record of the same content below o in p. The
second: an acknowledgement that was lost is sent again, and the copy, repeated (Q1), owes no rejection, while the first one
may be held. A rejection of p/o says itself what became of it. Before that the report is *waiting*: silence proves nothing.

A worker sends a record's rejection before any standings that have the record, so whoever reads the rejections' end after a
root has all that are owed below it. All of it holds for one definition: of another one's rejections nothing follows, and the
newest root says which is in force.

Rejections are kept up to a number and to bytes, and the oldest are dropped. Of a station that lost one, silence proves nothing
any more: the answer is None, and whoever asks has the rejections read again for this one report. Refuses to know topics:
`receipt_reader.py` reads them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

ReceiptState = Literal["waiting", "counted", "held", "rejected", "stale", "conflicting"]

REJECTIONS_MAX = 100_000
REJECTIONS_MAX_BYTES = 64 * 1024 * 1024
REJECTION_OWN_BYTES = 600
"""Of one in memory, beside its texts: places in three tables, and the objects."""

REFUSALS: dict[str, ReceiptState] = {
    "rejected": "rejected", "stale": "stale", "conflicting": "conflicting", "held": "held",
}  # fmt: skip
"""A rejection's verdict → the receipt's state."""
REFUSED_STATES = frozenset({"rejected", "stale", "conflicting"})
"""Of what took no effect, and no authority decides about: it is no part of what a station is known to have stated."""


@dataclass(frozen=True, slots=True)
class RootRead:
    """A contest's root, as far as it matters here."""

    definition: str
    version: int
    next_offsets: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class RejectionRead:
    """A rejection; `codes` with a sentence each. `key` and `value` are those of the record, cut at 64 KiB, which no statement
    is longer than."""

    definition: str
    partition: int
    offset: int
    verdict: str
    codes: tuple[str, ...]
    sentences: tuple[str, ...]
    key: bytes | None
    value: bytes | None


@dataclass(frozen=True, slots=True)
class StationReceipt:
    """`codes` and `sentences` say why, where there is something to say. `definition` is the one it was judged by; `version`
    that of the root that has it, None where the rejection alone says it. `is_of_a_copy`: what is said is said of the same
    statement at an earlier offset."""

    state: ReceiptState
    codes: tuple[str, ...] = ()
    sentences: tuple[str, ...] = ()
    definition: str | None = None
    version: int | None = None
    is_of_a_copy: bool = False

    @property
    def is_final(self) -> bool:
        return self.state != "waiting"


WAITING = StationReceipt("waiting")
IsSame = Callable[[RejectionRead], bool]


@dataclass(slots=True)
class Evidence:
    """What was read so far. Give `root` and `rejection` what comes, in the order of its topic; and call `end_reached` when
    the rejections were read up to an end that was asked for after `roots()` was taken. Of rejections at most `most` are kept,
    and `most_bytes`."""

    most: int = REJECTIONS_MAX
    most_bytes: int = REJECTIONS_MAX_BYTES
    bytes_kept: int = 0
    definition: str | None = None
    """Of the root, of whatever contest, that was read last: the one that is counted by."""
    _newest: dict[str, RootRead] = field(default_factory=dict)
    """Contest → its newest root."""
    _covered: dict[str, RootRead] = field(default_factory=dict)
    """Contest → the newest root behind which the rejections were read."""
    _rejections: dict[tuple[str, int, int], RejectionRead] = field(default_factory=dict)
    _held: dict[tuple[str, int, bytes | None], dict[int, RejectionRead]] = field(default_factory=dict)
    """Definition, partition and record key → offset → what is held there."""
    _incomplete: set[bytes | None] = field(default_factory=set)
    """Record keys of which a rejection was dropped."""

    def root(self, contest: str, read: RootRead) -> None:
        self.definition = read.definition
        known = self._newest.get(contest)
        if known is None or known.definition != read.definition or read.version > known.version:
            self._newest[contest] = read

    def rejection(self, read: RejectionRead) -> None:
        place = read.definition, read.partition, read.offset
        if place in self._rejections:
            self._drop(place)  # it comes twice: the newer one is dropped later
        if read.verdict == "held":
            self._held.setdefault((read.definition, read.partition, read.key), {})[read.offset] = read
        else:
            read = replace(read, value=None)  # nobody compares it
        self._rejections[place] = read
        self.bytes_kept += _bytes_of(read)
        while len(self._rejections) > self.most or self.bytes_kept > self.most_bytes:
            self._incomplete.add(self._drop(next(iter(self._rejections))).key)

    def _drop(self, place: tuple[str, int, int]) -> RejectionRead:
        read = self._rejections.pop(place)
        self.bytes_kept -= _bytes_of(read)
        if read.verdict == "held":
            where = read.definition, read.partition, read.key
            del self._held[where][read.offset]
            if not self._held[where]:
                del self._held[where]
        return read

    def roots(self) -> dict[str, RootRead]:
        return dict(self._newest)

    def without_rejections(self) -> Evidence:
        """What is known of the standings alone, for whoever reads the rejections again and gives it only those of what is asked
        for: of these none is dropped."""
        return Evidence(sys.maxsize, sys.maxsize, definition=self.definition, _newest=dict(self._newest))

    def end_reached(self, roots: Mapping[str, RootRead]) -> None:
        self._covered.update(roots)

    def receipt(
        self, contests: Iterable[str], key: bytes, partition: int, offset: int, is_same: IsSame
    ) -> StationReceipt | None:
        """Of the record at that place, under `key`, which states something of `contests` (a turnout statement of several: any
        will do). `is_same`: whether a rejected record states the same as this one, field for field. None: a rejection that
        would say it may have been dropped."""
        if self.definition is None:
            return WAITING
        own = self._rejections.get((self.definition, partition, offset))
        if own is not None:
            return _of(own, is_of_a_copy=False)
        for contest in contests:
            root = self._covered.get(contest)
            if root is None or root.definition != self.definition or root.next_offsets.get(partition, 0) <= offset:
                continue
            if key in self._incomplete:
                return None
            copy = self._held_copy((root.definition, partition, key), offset, is_same)
            if copy is not None:
                return _of(copy, is_of_a_copy=True)
            return StationReceipt("counted", definition=root.definition, version=root.version)
        return WAITING

    def _held_copy(self, where: tuple[str, int, bytes], offset: int, is_same: IsSame) -> RejectionRead | None:
        """A copy that was refused is no reason: a statement refused then may be counted now, and if it is refused again, its
        own rejection says so."""
        held = self._held.get(where, {})
        return next((read for at, read in held.items() if at < offset and is_same(read)), None)


def _bytes_of(read: RejectionRead) -> int:
    return REJECTION_OWN_BYTES + len(read.key or b"") + len(read.value or b"") + sum(map(len, (*read.codes, *read.sentences)))


def _of(read: RejectionRead, *, is_of_a_copy: bool) -> StationReceipt:
    return StationReceipt(REFUSALS[read.verdict], read.codes, read.sentences, read.definition, None, is_of_a_copy)


def notes(receipts: Iterable[tuple[int, StationReceipt]]) -> list[tuple[int, str, str]]:
    """Id, state, and all of it as text, to be noted beside the statement."""
    return [(id, receipt.state, json.dumps(asdict(receipt))) for id, receipt in receipts]


def noted(text: str | None) -> StationReceipt:
    """What was noted."""
    if text is None:
        return WAITING
    fields: dict[str, Any] = json.loads(text)
    return StationReceipt(**fields | {name: tuple(fields[name]) for name in ("codes", "sentences")})
