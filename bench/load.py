"""The loads: a generated night and a churn of any size, the definition, and every report of them, from a seed.

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

CONSTITUENCIES = 125
CANDIDATES = ("I-ALIYEV", "Z-ORUJ", "F-MUSTAFA", "G-HASANGULIYEV", "R-NURULLAYEV", "E-MUSAYEV", "F-ALIYEV")
CLOSE_MS = 1_707_318_000_000
"""2024-02-07T15:00:00Z"""


@dataclass(frozen=True, slots=True)
class Load:
    """A night: `stations` × (a partial and a complete report), and shares of the complete ones. A churn: `stations` ×
    `revisions` complete reports, all valid."""

    stations: int
    kind: Literal["night", "churn"] = "night"
    revisions: int = 20
    corrections_percent: int = 2
    held_percent: int = 1
    rejected_percent: int = 1
    seed: int = 7


def station_ids(load: Load) -> list[str]:
    return [f"{i % CONSTITUENCIES + 1:03d}-{i // CONSTITUENCIES + 1:05d}" for i in range(load.stations)]


def write_definition(load: Load, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    candidates = "\n".join(f'[[contests.candidates]]\nid = "{c}"\nname = "{c}"\n' for c in CANDIDATES)
    (folder / "election.toml").write_text(
        f"""id = "BENCH"
name = "A generated night"
phase = "official"
polls_close = 2024-02-07T15:00:00Z
[areas]
root = "AZ"
root_name = "The whole"
levels = ["constituency"]
publish_depth = 1
[[contests]]
id = "PRES"
name = "President"
seats = 1
rule = "majority"
majority_base = "valid"
rounding = {{ method = "half-up", places = 2 }}
{candidates}"""
    )
    with (folder / "stations.csv").open("w") as file:
        file.write("station_id,name,registered,ballots_expected,constituency\n")
        for station in station_ids(load):
            file.write(f"{station},,1100,,{station[:3]}\n")


def reports(load: Load) -> Iterator[tuple[bytes, bytes, int]]:
    """(key, value, log time in ms), in the order they are sent; every record valid JSON of about 300 bytes."""
    return _night(load) if load.kind == "night" else _churn(load)


def _churn(load: Load) -> Iterator[tuple[bytes, bytes, int]]:
    rng = random.Random(load.seed)
    stations = station_ids(load)
    for revision in range(1, load.revisions + 1):
        for number, station in enumerate(stations):
            time_ms = CLOSE_MS + 3_600_000 * revision + number // 50
            counts = [rng.randrange(90, 130) for _ in CANDIDATES]
            yield _report(station, revision, True, counts, time_ms, replaces=revision - 1 or None)


def _night(load: Load) -> Iterator[tuple[bytes, bytes, int]]:
    rng = random.Random(load.seed)
    stations = station_ids(load)
    for is_complete in (False, True):
        for number, station in enumerate(stations):
            time_ms = CLOSE_MS + 3_600_000 + number // 50 + (0 if not is_complete else 3_600_000)
            votes = [rng.randrange(40, 90) for _ in CANDIDATES] if not is_complete else None
            counts = votes or [rng.randrange(90, 130) for _ in CANDIDATES]
            draw = rng.randrange(100) if is_complete else 100
            if draw < load.held_percent:
                # First a complete report that does not add up: held; the good one follows with the next revision.
                yield _report(station, 2, True, counts, time_ms, valid_more_by=3)
                yield _report(station, 3, True, counts, time_ms)
            elif draw < load.held_percent + load.rejected_percent:
                yield _report(station + "X", 1, True, counts, time_ms)
                yield _report(station, 2, True, counts, time_ms)
            elif draw < load.held_percent + load.rejected_percent + load.corrections_percent:
                yield _report(station, 2, True, counts, time_ms)
                corrected = [max(0, c - 1) for c in counts]
                yield _report(station, 3, True, corrected, time_ms, replaces=2)
            else:
                yield _report(station, 2 if is_complete else 1, is_complete, counts, time_ms)


def _report(
    station: str,
    revision: int,
    is_complete: bool,
    counts: list[int],
    time_ms: int,
    *,
    valid_more_by: int = 0,
    replaces: int | None = None,
) -> tuple[bytes, bytes, int]:
    valid = sum(counts) + valid_more_by
    votes = ",".join(f'"{c}":{n}' for c, n in zip(CANDIDATES, counts, strict=True))
    second = (time_ms // 1000) % 60
    kind = "report" if replaces is None else "correct"
    reasoned = "" if replaces is None else f',"replaces":{replaces},"reason":"counted again","authority":"Commission"'
    value = (
        f'{{"schema":1,"election":"BENCH","contest":"PRES","station":"{station}","revision":{revision},"kind":"{kind}",'
        f'"complete":{"true" if is_complete else "false"},"counted_at":"2024-02-07T15:30:{second:02d}Z",'
        f'"ballots":{{"cast":{valid + 8},"valid":{valid},"blank":2,"invalid":6}},"votes":{{{votes}}}{reasoned}}}'
    )
    return station.encode(), value.encode(), time_ms


class _Statement(msgspec.Struct):
    revision: int
    votes: dict[str, int]


@dataclass(slots=True)
class Recount:
    """The plain count: of every key the decodable report of the highest revision, added up."""

    records: int = 0
    _latest: dict[bytes, tuple[int, dict[str, int]]] = field(default_factory=dict)

    def take(self, key: bytes, value: bytes) -> None:
        statement = _DECODER.decode(value)
        self.records += 1
        known = self._latest.get(key)
        if known is None or statement.revision >= known[0]:
            self._latest[key] = (statement.revision, statement.votes)

    def totals(self) -> list[int]:
        """Votes in the order of CANDIDATES."""
        return [sum(votes[c] for _, votes in self._latest.values()) for c in CANDIDATES]


_DECODER = msgspec.json.Decoder(_Statement)
