"""Recompute published standings from a report log, each at the offsets it names, and compare byte for byte.

Decides whether a message is what the log gives; a difference is a value that says where. One pass over the log, however
many messages: a partition's figures are kept at each offset that some message names, and dropped once used. Refuses to
know where log and messages came from; see `cli/verify.py`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tally_stream.domain.election import Election
from tally_stream.domain.fold import Figures, PartitionFold
from tally_stream.domain.rules import Limits
from tally_stream.domain.standings import Standings
from tally_stream.domain.tally import baseline
from tally_stream.wire.codec import Codec, read_record
from tally_stream.wire.messages import PublishedStandings, canonical_json, read_published, standings_key
from tally_stream.wire.report_log import LogRecord

SHOWN_MAX_CHARS = 60


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

    def __str__(self) -> str:
        return f"{self.where}: {self.field + ': ' if self.field else ''}{self.what}"


@dataclass(slots=True)
class _Named:
    """A message with the contest and the vector it names."""

    found: Found
    published: PublishedStandings
    vector: tuple[int, ...]


@dataclass
class Verification:
    """`take` every record of the log, then `finish`. `differences` are in the order of versions."""

    election: Election
    topic: str
    partition_count: int | None
    differences: list[Difference] = field(default_factory=list)
    compared: int = 0
    records: int = 0

    def __post_init__(self) -> None:
        partitions = self.partition_count or 1
        self._folds = [PartitionFold(self.election, p, self.partition_count) for p in range(partitions)]
        self._codec = Codec(self.election)
        self._messages: dict[int, list[_Named]] = defaultdict(list)
        self._asked: dict[tuple[int, int], set[int]] = defaultdict(set)
        """(partition, next offset) → contests that name it."""
        self._figures: dict[tuple[int, int, int], Figures] = {}
        """(contest, partition, next offset) → figures there."""

    # -- the messages, before the log ------------------------------------------------------------------------------

    def expect(self, messages: Iterable[Found]) -> None:
        """The messages to compare. What is no message of this election over this log is a difference at once."""
        for found in messages:
            wrong = self._expect(found)
            if wrong is not None:
                self.compared += 1
                self.differences.append(wrong)
        for partition in range(len(self._folds)):
            self._keep(partition, 0)

    def _expect(self, found: Found) -> Difference | None:
        try:
            published = read_published(found.value)
        except ValueError as error:
            return Difference(found.where, "", str(error))
        index = self.election.contest_index(published.contest)
        if published.definition != self.election.digest:
            return Difference(
                found.where, "definition", f"found {published.definition}, this election is {self.election.digest}"
            )
        if index is None:
            return Difference(found.where, "contest", f"found {published.contest!r}, which this election has not")
        due = {str(p) for p in range(len(self._folds))}
        offsets = published.next_offsets
        if set(offsets) != due:
            what = f"names partitions {sorted(offsets)}, the log has {len(due)}"
            return Difference(found.where, "provenance.next_offsets", what)
        if found.key is not None and found.key != standings_key(published.contest, published.area):
            return Difference(found.where, "", f"its key is {found.key!r}")
        vector = tuple(offsets[str(p)] for p in range(len(due)))
        for partition, offset in enumerate(vector):
            self._asked[partition, offset].add(index)
        self._messages[index].append(_Named(found, published, vector))
        return None

    # -- the log ---------------------------------------------------------------------------------------------------

    def take(self, record: LogRecord) -> None:
        fold = self._folds[record.partition]
        read_record(self._codec, fold, record.offset, record.timestamp_ms, record.key, record.value)
        self.records += 1
        self._keep(record.partition, fold.next_offset)

    def _keep(self, partition: int, offset: int) -> None:
        for contest in self._asked.get((partition, offset), ()):
            self._figures[contest, partition, offset] = self._folds[partition].figures(contest)

    # -- the comparison --------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Compare every message with what the log gives at its vector."""
        shared = baseline(self.election, Limits(self.election.checks, self.election.polls_close_ms))
        for contest, messages in sorted(self._messages.items()):
            messages.sort(key=lambda m: (sum(m.vector), m.vector))
            standings: Standings | None = None
            at: tuple[int, ...] = ()
            due: dict[str, bytes] = {}
            for named in messages:
                self.compared += 1
                if named.vector != at or standings is None:
                    missing = self._beyond(contest, named)
                    if missing is not None:
                        self.differences.append(missing)
                        continue
                    if standings is None or any(now < was for now, was in zip(named.vector, at, strict=True)):
                        standings = Standings(self.election, contest, self.topic, len(self._folds), shared)
                    at = named.vector
                    for partition, offset in enumerate(at):
                        standings.put(self._figures[contest, partition, offset])
                    due = {m["area"]: canonical_json(m) for m in standings.messages()}
                difference = _compare(named, due.get(named.published.area))
                if difference is not None:
                    self.differences.append(difference)

    def _beyond(self, contest: int, named: _Named) -> Difference | None:
        for partition, offset in enumerate(named.vector):
            if (contest, partition, offset) not in self._figures:
                end = self._folds[partition].next_offset
                return Difference(
                    named.found.where, f"provenance.next_offsets.{partition}",
                    f"found {offset}, the log ends at {end}" if offset > end
                    else f"found {offset}, where the figures stand at {self._folds[partition].figures(contest).next_offset}",
                )  # fmt: skip
        return None


def _compare(named: _Named, due: bytes | None) -> Difference | None:
    where = f"{named.found.where}, {named.published.contest}|{named.published.area} at version {named.published.version}"
    if due is None:
        return Difference(where, "area", "no published area of this election")
    if named.found.value == due:
        return None
    try:
        message = msgspec.json.decode(named.found.value)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:  # a field that nobody needed before is broken
        return Difference(where, "", f"not JSON: {error}")
    path, found, expected = _first_difference(message, msgspec.json.decode(due), "")
    if found == expected:
        return Difference(where, "", "the same values in other bytes: not canonical JSON")
    return Difference(where, path, f"found {_shown(found)}, the log gives {_shown(expected)}")


def _first_difference(found: Any, due: Any, path: str) -> tuple[str, Any, Any]:
    if isinstance(found, dict) and isinstance(due, dict):
        for name in sorted(found.keys() | due.keys()):
            if found.get(name) != due.get(name) or (name in found) != (name in due):
                return _first_difference(found.get(name), due.get(name), f"{path}.{name}" if path else name)
    if isinstance(found, list) and isinstance(due, list) and len(found) == len(due):
        for index, (one, other) in enumerate(zip(found, due, strict=True)):
            if one != other:
                return _first_difference(one, other, f"{path}[{index}]")
    return path, found, due


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= SHOWN_MAX_CHARS else text[:SHOWN_MAX_CHARS] + " …"
