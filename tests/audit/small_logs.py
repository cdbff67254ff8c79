"""A small election and its saved log, for the tests of replay and of verify."""

import json
from pathlib import Path
from typing import Any

import pytest

from tally_stream.domain.contest import Candidate, Contest, Rounding
from tally_stream.domain.election import Election, build_election
from tally_stream.domain.scalars import murmur2_partition
from tally_stream.wire.report_log import LogRecord, encode_header, encode_line

CLOSE_MS = 1_707_318_000_000


MINUTE = 60_000


STATIONS = tuple(f"A-{n}" for n in range(1, 9))


@pytest.fixture(scope="module")
def of() -> Election:
    candidates = (Candidate("ANNA", "Anna"), Candidate("BELA", "Bela"))
    return build_election(
        id="X-2024",
        name="X",
        phase="official",
        polls_close_ms=CLOSE_MS,
        root="X",
        root_name="X",
        levels=(),
        publish_depth=0,
        contests=[Contest("PRES", "President", 1, "plurality", "valid", None, Rounding("half-up", 1), candidates)],
        stations=[(s, s, 200, None, ()) for s in STATIONS],
    )


def value(station: str, revision: int = 1, **fields: Any) -> bytes:
    statement = {
        "schema": 1, "election": "X-2024", "contest": "PRES", "station": station, "revision": revision, "kind": "report",
        "counted_at": "2024-02-07T19:30:00+04:00", "ballots": {"valid": 60}, "votes": {"ANNA": 40, "BELA": 20},
    }  # fmt: skip
    return json.dumps(statement | fields).encode()


def saved(path: Path, topic: str = "x.reports", partitions: int = 2) -> Path:
    """The same night over partitions, and one record astray."""
    offsets = [0] * partitions
    lines = [encode_header(topic, partitions)]
    homes = [(s, murmur2_partition(s.encode(), partitions)) for s in STATIONS]
    for number, (station, home) in enumerate([*homes, ("A-1", 1 - homes[0][1])]):
        record = LogRecord(CLOSE_MS + (30 + number) * MINUTE, station.encode(), value(station), home, offsets[home])
        lines.append(encode_line(record, with_position=True))
        offsets[home] += 1
    path.write_bytes(b"".join(lines))
    return path
