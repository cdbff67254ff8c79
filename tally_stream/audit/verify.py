"""Recompute published standings from a report log, each at the offsets it names, and compare byte for byte.

Decides whether a message is what the log gives; a difference is a value that says where. One pass over the log, however
many messages: messages wait packed, those of one vector are compared once every partition has come to its offset, and
figures go when no other vector needs them. Refuses to know where log and messages came from; see `cli/verify.py`.
"""

from __future__ import annotations

import json
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import msgspec

from tally_stream.domain.baselines import baselines
from tally_stream.domain.election import Election
from tally_stream.domain.fold import PartitionFold, folds_of
from tally_stream.domain.pages import Figures
from tally_stream.domain.rules import Limits
from tally_stream.domain.standings import MergedFigures
from tally_stream.wire.messages import canonical_json, read_published, standings_key
from tally_stream.wire.reading import ReportReader
from tally_stream.wire.report_log import LogRecord
from tally_stream.wire.run import read_record
from tally_stream.wire.signing import NOTHING_AHEAD, Ahead

SHOWN_MAX_CHARS = 60
PACKING_LEVEL = 1


@dataclass(frozen=True, slots=True)
class Found:
    """A standings message as it was found. `where` names it for people; `key` is None where it has none (a file)."""

    where: str
    key: bytes | None
    value: bytes


@dataclass(frozen=True, slots=True)
class Difference:
    """`field` is the path of the first field that differs, "" where the message itself is wrong."""

    where: str
    field: str
    what: str
    other_definition: str = ""
    """Digest of the definition of a message that is of another one than this election's."""

    def __str__(self) -> str:
        return f"{self.where}: {self.field + ': ' if self.field else ''}{self.what}"


@dataclass(slots=True)
class _Named:
    """A message that waits; `packed` against the first message of its area (190 bytes instead of 1,600)."""

    where: str
    area: str
    version: int
    packed: bytes


@dataclass(slots=True, eq=False)
class _Vector:
    """The messages that name these offsets; `missing`: the partitions whose figures are not known yet."""

    offsets: tuple[int, ...]
    messages: list[_Named]
    missing: int

    @property
    def order(self) -> tuple[int, tuple[int, ...]]:
        return sum(self.offsets), self.offsets


class _ContestCheck:
    """One contest: what waits, and the figures that it waits for."""

    def __init__(self, fresh: Callable[[], MergedFigures]) -> None:
        self._fresh = fresh
        self._merged = fresh()
        self._at: tuple[int, ...] = ()
        self._vectors: dict[tuple[int, ...], _Vector] = {}
        self._waiting: dict[tuple[int, int], list[_Vector]] = {}
        """(partition, next offset) → vectors that name it, until the partition comes there."""
        self._uses: Counter[tuple[int, int]] = Counter()
        """The same → how many vectors that name it are not compared yet."""
        self._figures: dict[tuple[int, int], Figures] = {}
        self._first: dict[str, bytes] = {}
        """Area → its first message, which the others are packed against."""
        self.found: list[tuple[tuple[int, tuple[int, ...]], Difference]] = []

    def add(self, found: Found, area: str, version: int, offsets: tuple[int, ...]) -> bool:
        """Whether no message before it named these offsets."""
        packer = zlib.compressobj(PACKING_LEVEL, zlib.DEFLATED, -15, zdict=self._first.setdefault(area, found.value))
        vector = self._vectors.get(offsets)
        is_new = vector is None
        if vector is None:
            vector = self._vectors[offsets] = _Vector(offsets, [], len(offsets))
            for place in enumerate(offsets):
                self._waiting.setdefault(place, []).append(vector)
                self._uses[place] += 1
        vector.messages.append(_Named(found.where, area, version, packer.compress(found.value) + packer.flush()))
        return is_new

    def _unpacked(self, named: _Named) -> bytes:
        unpacker = zlib.decompressobj(-15, zdict=self._first[named.area])
        return unpacker.decompress(named.packed) + unpacker.flush()

    def keep(self, place: tuple[int, int], figures: Figures) -> None:
        """A partition has come to an offset that is waited for: compare what misses nothing else."""
        self._figures[place] = figures
        for vector in sorted(self._waiting.pop(place), key=lambda v: v.order):
            vector.missing -= 1
            if not vector.missing:
                self._compare(vector)

    def _compare(self, vector: _Vector) -> None:
        if any(now < was for now, was in zip(vector.offsets, self._at, strict=False)):
            self._merged = self._fresh()
        self._at = vector.offsets
        for place in enumerate(vector.offsets):
            self._merged.put(self._figures[place])
        wanted = {named.area for named in vector.messages}
        due = {m["area"]: canonical_json(m) for m in self._merged.messages(wanted)}
        contest = self._merged.contest.id
        for named in vector.messages:
            where = f"{named.where}, {contest}|{named.area} at version {named.version}"
            difference = _compare(where, self._unpacked(named), due.get(named.area))
            if difference is not None:
                self.found.append((vector.order, difference))
        self._forget(vector)

    def _forget(self, vector: _Vector) -> None:
        del self._vectors[vector.offsets]
        for place in enumerate(vector.offsets):
            self._uses[place] -= 1
            if not self._uses[place]:
                del self._uses[place], self._figures[place]

    def left(self) -> Iterator[tuple[_Vector, int]]:
        """At the end of the log: each vector that was never reached, and the first partition that did not reach it."""
        for vector in self._vectors.values():
            yield vector, next(p for p, offset in enumerate(vector.offsets) if (p, offset) not in self._figures)


@dataclass
class Verification:
    """`expect` the messages, `take` every record of the log, then `finish`. `differences` are in the order of versions.
    Messages of `replaced_definitions` (digests) are passed over and counted as `ignored`: their folder is another one."""

    election: Election
    topic: str
    partition_count: int | None
    replaced_definitions: frozenset[str] = frozenset()
    differences: list[Difference] = field(default_factory=list)
    compared: int = 0
    ignored: int = 0
    records: int = 0

    def __post_init__(self) -> None:
        self.folds = folds_of(self.election, self.partition_count)
        self._reader = ReportReader(self.election)
        shared = baselines(self.election, Limits(self.election.checks, self.election.polls_close_ms))
        self._contests = [
            _ContestCheck(partial(MergedFigures, self.election, contest, self.topic, len(self.folds), shared))
            for contest in range(len(self.election.contests))
        ]
        self._waited_for: dict[tuple[int, int], list[int]] = {}
        """(partition, next offset) → contests with a vector that names it: a record must not be a reason to ask thousands."""

    # -- the messages, before the log ------------------------------------------------------------------------------

    def expect(self, messages: Iterable[Found]) -> None:
        """The messages to compare, in any number of calls. What is no message of this election over this log is a
        difference at once."""
        for found in messages:
            wrong = self._expect(found)
            if wrong is not None:
                self.differences.append(wrong)

    def _expect(self, found: Found) -> Difference | None:
        try:
            published = read_published(found.value)
        except ValueError as error:
            self.compared += 1
            return Difference(found.where, "", str(error))
        if published.definition in self.replaced_definitions and published.definition != self.election.digest:
            self.ignored += 1
            return None
        self.compared += 1
        index = self.election.contest_index(published.contest)
        if published.definition != self.election.digest:
            what = f"found {published.definition}, this election is {self.election.digest}"
            return Difference(found.where, "definition", what, published.definition)
        if index is None:
            return Difference(found.where, "contest", f"found {published.contest!r}, which this election has not")
        due = {str(p) for p in range(len(self.folds))}
        offsets = published.next_offsets
        if set(offsets) != due:
            what = f"names partitions {sorted(offsets)}, the log has {len(due)}"
            return Difference(found.where, "provenance.next_offsets", what)
        if found.key is not None and found.key != standings_key(published.contest, published.area):
            return Difference(found.where, "", f"its key is {found.key!r}")
        vector = tuple(offsets[str(p)] for p in range(len(due)))
        if self._contests[index].add(found, sys.intern(published.area), published.version, vector):
            for place in enumerate(vector):
                self._waited_for.setdefault(place, []).append(index)
        return None

    # -- the log ---------------------------------------------------------------------------------------------------

    def take(self, record: LogRecord, ahead: Ahead = NOTHING_AHEAD) -> None:
        """`ahead`: what was verified before."""
        if not self.records:
            self._begin()
        fold = self.folds[record.partition]
        read_record(self._reader, fold, record.offset, record.timestamp_ms, record.key, record.value, ahead)
        self.records += 1
        self._keep(fold)

    def _begin(self) -> None:
        for fold in self.folds:
            self._keep(fold)

    def _keep(self, fold: PartitionFold) -> None:
        place = fold.partition, fold.next_offset
        for contest in sorted(set(self._waited_for.pop(place, ()))):
            self._contests[contest].keep(place, fold.figures(contest))

    def finish(self) -> None:
        """After the last record: what names offsets that the log has not is a difference too."""
        if not self.records:
            self._begin()
        for contest, check in enumerate(self._contests):
            for vector, partition in check.left():
                what = self._beyond(contest, partition, vector.offsets[partition])
                path = f"provenance.next_offsets.{partition}"
                check.found += [(vector.order, Difference(named.where, path, what)) for named in vector.messages]
            check.found.sort(key=lambda found: found[0])
            self.differences += [difference for _, difference in check.found]

    def _beyond(self, contest: int, partition: int, offset: int) -> str:
        fold = self.folds[partition]
        if offset > fold.next_offset:
            return f"found {offset}, the log ends at {fold.next_offset}"
        return f"found {offset}, where the figures stand at {fold.published_offset(contest)}"


def _compare(where: str, value: bytes, due: bytes | None) -> Difference | None:
    if due is None:
        return Difference(where, "area", "no published area of this election")
    if value == due:
        return None
    try:
        message = msgspec.json.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:  # a field that nobody needed before is broken
        return Difference(where, "", f"not JSON: {error}")
    path, found, expected = _first_difference(message, msgspec.json.decode(due), "")
    if found == expected:
        return Difference(where, "", "the same values in other bytes: not canonical JSON")
    return Difference(where, path, f"found {_shown(found)}, the log gives {_shown(expected)}")


_ABSENT = object()
"""In the place of a field that is not there: null is a value."""


def _first_difference(found: Any, due: Any, path: str) -> tuple[str, Any, Any]:
    if isinstance(found, dict) and isinstance(due, dict):
        for name in sorted(found.keys() | due.keys()):
            one, other = found.get(name, _ABSENT), due.get(name, _ABSENT)
            if one != other:
                return _first_difference(one, other, f"{path}.{name}" if path else name)
    if isinstance(found, list) and isinstance(due, list) and len(found) == len(due):
        for index, (one, other) in enumerate(zip(found, due, strict=True)):
            if one != other:
                return _first_difference(one, other, f"{path}[{index}]")
    return path, found, due


def _shown(value: Any) -> str:
    if value is _ABSENT:
        return "no such field"
    text = json.dumps(value)
    return text if len(text) <= SHOWN_MAX_CHARS else text[:SHOWN_MAX_CHARS] + " …"
