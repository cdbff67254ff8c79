"""The loads: a generated night and a churn of any size and layout, and every report of them, from a seed.

The night: each station one partial and one complete report, a share of corrections (of the complete ones), of complete
reports that are held (votes that do not add up) and of records that are rejected (an unknown station). Rejected and
held records take the place of nothing: each station keeps its two good reports. The churn: each station a complete
report and then corrections of it, so that every record but the first replaces one, and owes a public change.

`Recount` is what the competitors must come to: they need not know the rules, so their definition is every report that
can be decoded, the highest revision of each key. Where all reports are valid (the churn) it is the product's count too.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec

from bench.layouts import SEVEN, LayoutName, layout, write_folder
from bench.signing import write_keys

CANDIDATES = SEVEN
"""Of the one contest that the competitors count."""
CLOSE_MS = 1_707_318_000_000
"""2024-02-07T15:00:00Z"""


@dataclass(frozen=True, slots=True)
class Load:
    """A night: `stations` × (a partial and a complete report), and shares of the complete ones. A churn: `stations` ×
    `revisions` complete reports, all valid. Each of both for every contest that a station has in the layout."""

    stations: int
    kind: Literal["night", "churn"] = "night"
    revisions: int = 20
    corrections_percent: int = 2
    held_percent: int = 1
    rejected_percent: int = 1
    seed: int = 7
    layout: LayoutName = "plain"
    is_signed: bool = False
    """Each report by its station's own key, which the definition demands."""


def station_ids(load: Load) -> list[str]:
    id_of = layout(load.layout).id_of
    return [id_of(number) for number in range(load.stations)]


def write_definition(load: Load, folder: Path) -> None:
    write_folder(layout(load.layout), load.stations, folder)
    if load.is_signed:
        write_keys(station_ids(load), folder)


def reports(load: Load) -> Iterator[tuple[bytes, bytes, int]]:
    """(key, value, log time in ms), in the order they are sent; every record valid JSON of about 300 bytes."""
    return _night(load) if load.kind == "night" else _churn(load)


def _churn(load: Load) -> Iterator[tuple[bytes, bytes, int]]:
    rng = random.Random(load.seed)
    of = layout(load.layout)
    stations = station_ids(load)
    for revision in range(1, load.revisions + 1):
        for number, station in enumerate(stations):
            time_ms = CLOSE_MS + 3_600_000 * revision + number // 50
            for contest in of.contests_of(station):
                votes = {c: rng.randrange(90, 130) for c in of.candidates}
                yield _report(contest, station, revision, True, votes, time_ms, replaces=revision - 1 or None)


def _night(load: Load) -> Iterator[tuple[bytes, bytes, int]]:
    rng = random.Random(load.seed)
    of = layout(load.layout)
    stations = station_ids(load)
    for is_complete in (False, True):
        for number, station in enumerate(stations):
            time_ms = CLOSE_MS + 3_600_000 + number // 50 + (0 if not is_complete else 3_600_000)
            for contest in of.contests_of(station):
                if is_complete:
                    yield from _complete(load, rng, contest, station, of.candidates, time_ms)
                else:
                    yield _report(contest, station, 1, False, {c: rng.randrange(40, 90) for c in of.candidates}, time_ms)


def _complete(
    load: Load, rng: random.Random, contest: str, station: str, candidates: tuple[str, ...], time_ms: int
) -> Iterator[tuple[bytes, bytes, int]]:
    votes = {c: rng.randrange(90, 130) for c in candidates}
    draw = rng.randrange(100)
    if draw < load.held_percent:
        # First a complete report that does not add up: held; the good one follows with the next revision.
        yield _report(contest, station, 2, True, votes, time_ms, valid_more_by=3)
        yield _report(contest, station, 3, True, votes, time_ms)
    elif draw < load.held_percent + load.rejected_percent:
        yield _report(contest, station + UNKNOWN, 1, True, votes, time_ms)
        yield _report(contest, station, 2, True, votes, time_ms)
    elif draw < load.held_percent + load.rejected_percent + load.corrections_percent:
        yield _report(contest, station, 2, True, votes, time_ms)
        yield _report(contest, station, 3, True, {c: max(0, n - 1) for c, n in votes.items()}, time_ms, replaces=2)
    else:
        yield _report(contest, station, 2, True, votes, time_ms)


def _report(
    contest: str,
    station: str,
    revision: int,
    is_complete: bool,
    counts: dict[str, int],
    time_ms: int,
    *,
    valid_more_by: int = 0,
    replaces: int | None = None,
) -> tuple[bytes, bytes, int]:
    valid = sum(counts.values()) + valid_more_by
    votes = ",".join(f'"{c}":{n}' for c, n in counts.items())
    second = (time_ms // 1000) % 60
    kind = "report" if replaces is None else "correct"
    reasoned = "" if replaces is None else f',"replaces":{replaces},"reason":"counted again","authority":"Commission"'
    value = (
        f'{{"schema":1,"election":"BENCH","contest":"{contest}","station":"{station}","revision":{revision},"kind":"{kind}",'
        f'"complete":{"true" if is_complete else "false"},"counted_at":"2024-02-07T15:30:{second:02d}Z",'
        f'"ballots":{{"cast":{valid + 8},"valid":{valid},"blank":2,"invalid":6}},"votes":{{{votes}}}{reasoned}}}'
    )
    return station.encode(), value.encode(), time_ms


UNKNOWN = "X"
"""Behind a station's id: no station of the election."""


class _Statement(msgspec.Struct):
    contest: str
    revision: int
    votes: dict[str, int]


@dataclass(slots=True)
class Recount:
    """The plain count: of every key the decodable report of the highest revision, added up; one contest's, as the competitors
    have it. And for each contest where its last report lies that can change its figures."""

    records: int = 0
    ends: dict[str, dict[int, int]] = field(default_factory=dict)
    """Contest → partition → the offset behind the last report of a known station."""
    _latest: dict[bytes, tuple[int, dict[str, int]]] = field(default_factory=dict)
    _next: dict[int, int] = field(default_factory=dict)

    def take(self, key: bytes, value: bytes, partition: int = 0) -> None:
        """The next record of the partition."""
        statement = _DECODER.decode(value)
        self.records += 1
        self._next[partition] = offset = self._next.get(partition, 0) + 1
        if not key.endswith(UNKNOWN.encode()):
            self.ends.setdefault(statement.contest, {})[partition] = offset
        known = self._latest.get(key)
        if known is None or statement.revision >= known[0]:
            self._latest[key] = (statement.revision, statement.votes)

    def totals(self) -> list[int]:
        """Votes in the order of CANDIDATES."""
        return [sum(votes[c] for _, votes in self._latest.values()) for c in CANDIDATES]


_DECODER = msgspec.json.Decoder(_Statement)
