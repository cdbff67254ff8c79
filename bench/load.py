"""A generated night of any size: the definition, and every report of it, from a seed.

Decides the load of the benchmark: each station one partial and one complete report, a share of corrections (of the
complete ones), of complete reports that are held (votes that do not add up) and of records that are rejected (an
unknown station). Rejected and held records take the place of nothing: each station keeps its two good reports.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CONSTITUENCIES = 125
CANDIDATES = ("I-ALIYEV", "Z-ORUJ", "F-MUSTAFA", "G-HASANGULIYEV", "R-NURULLAYEV", "E-MUSAYEV", "F-ALIYEV")
CLOSE_MS = 1_707_318_000_000
"""2024-02-07T15:00:00Z"""


@dataclass(frozen=True, slots=True)
class Load:
    """`stations` × (a partial and a complete report), and shares of the complete ones."""

    stations: int
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
        f'''id = "BENCH"
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
{candidates}'''
    )
    with (folder / "stations.csv").open("w") as file:
        file.write("station_id,name,registered,ballots_expected,constituency\n")
        for station in station_ids(load):
            file.write(f"{station},,1100,,{station[:3]}\n")


def reports(load: Load) -> Iterator[tuple[bytes, bytes, int]]:
    """(key, value, log time in ms), in the order they are sent; every record valid JSON of about 300 bytes."""
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
