"""A stranger's check: everything published is, byte for byte, what a replay of the saved log gives."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Protocol

from tally_stream.audit.replay import Replay
from tally_stream.domain.election import Election
from tally_stream.domain.standings import body_of
from tally_stream.wire.messages import canonical_json
from tally_stream.wire.report_log import LogRecord


class Log(Protocol):
    """What the check asks of a saved log."""

    @property
    def topic(self) -> str: ...

    @property
    def partition_count(self) -> int | None: ...

    def __iter__(self) -> Iterator[LogRecord]: ...


def check_against_replay(election: Election, log: Log, newest: dict[bytes, bytes]) -> Replay:
    """Every newest standings message equals, byte for byte, what the log gives at the vector it names; and, but for
    its stamp, at the highest vector: an area that was not sent again has not changed since. Returns the replay there."""
    records: dict[int, list[LogRecord]] = {}
    for record in log:
        records.setdefault(record.partition, []).append(record)
    replay = Replay(election, log.topic, log.partition_count)
    index_of = {contest.id: index for index, contest in enumerate(election.contests)}
    by_vector: dict[tuple[int, ...], dict[int, dict[bytes, bytes]]] = {}
    """Vector → contest → key → value: of a thousand contests only those are rendered that name it."""
    for key, value in newest.items():
        offsets = json.loads(value)["provenance"]["next_offsets"]
        of_vector = by_vector.setdefault(tuple(offsets[str(p)] for p in range(len(replay.folds))), {})
        of_vector.setdefault(index_of[key.split(b"|")[0].decode()], {})[key] = value
    checked = 0
    for vector in sorted(by_vector, key=sum):
        for fold, offset in zip(replay.folds, vector, strict=True):
            for record in records.get(fold.partition, [])[fold.next_offset : offset]:
                replay.take(record)
            assert fold.next_offset == offset, f"vectors are not ordered: {vector}"
        for index, found in by_vector[vector].items():
            contest = election.contests[index]
            due = {f"{contest.id}|{m['area']}".encode(): canonical_json(m) for m in replay.messages(index)}
            for key, value in found.items():
                assert value == due[key], f"{key.decode()} at {vector}"
                checked += 1
    assert checked == len(newest)
    published = 0
    for index, contest in enumerate(election.contests):
        for message in replay.messages(index):
            key = f"{contest.id}|{message['area']}".encode()
            assert body_of(json.loads(newest[key])) == body_of(message), f"{key.decode()} is out of date"
            published += 1
    assert len(newest) == published, "an area has standings that it should not have"
    return replay
