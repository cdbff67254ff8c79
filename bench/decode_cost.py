"""What reading one report costs: pydantic's strict `validate_json` beside the msgspec struct that the worker uses.

    .venv/bin/python bench/decode_cost.py

Both models have the same fields, the same limits and refuse unknown fields; pydantic reads the time as a datetime,
msgspec leaves it as text. The last two rows are the product's own readers, which also look up election, contest,
station and candidates, and find duplicate keys. Each figure is the median of several rounds, the ways in turn within a
round, in one process; the spread is the lowest and highest round. Figures of one machine compare with each other, not
with another machine's. docs/adr/0006 quotes a run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
from collections.abc import Callable
from time import perf_counter
from typing import Annotated, Any, Literal

import msgspec
import pydantic

from tally_stream.domain.contest import Candidate, Contest, Majority, Rounding
from tally_stream.domain.election import build_election
from tally_stream.domain.scalars import COUNT_MAX
from tally_stream.wire.counts import Counts
from tally_stream.wire.reading import ReportReader

CANDIDATES = tuple(f"CANDIDATE-{n}" for n in range(1, 8))

_Count = Annotated[int, pydantic.Field(ge=0, le=COUNT_MAX)]


class _Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", strict=True, frozen=True)


class PydanticBallots(_Model):
    valid: _Count
    cast: _Count | None = None
    blank: _Count | None = None
    invalid: _Count | None = None


class PydanticReport(_Model):
    schema_: Annotated[Literal[1], pydantic.Field(alias="schema")]
    kind: Literal["report", "correct", "recount"]
    election: str
    contest: str
    station: str
    revision: Annotated[int, pydantic.Field(ge=1, le=COUNT_MAX)]
    counted_at: pydantic.AwareDatetime
    ballots: PydanticBallots
    votes: dict[str, _Count]
    complete: bool | None = None
    registered: _Count | None = None
    phase: str | None = None
    replaces: _Count | None = None
    reason: str | None = None
    authority: str | None = None


def report(station: str, revision: int) -> bytes:
    votes = {candidate: 100 - 9 * n for n, candidate in enumerate(CANDIDATES)}
    valid = sum(votes.values())
    return json.dumps(
        {
            "schema": 1, "election": "BENCH-2024", "contest": "PRES", "station": station, "revision": revision,
            "kind": "report", "counted_at": "2024-02-07T20:00:00+04:00",
            "ballots": {"cast": valid + 4, "valid": valid, "blank": 2, "invalid": 2}, "votes": votes,
        },
        separators=(",", ":"),
    ).encode()  # fmt: skip


def reader_of(stations: list[str]) -> ReportReader:
    contest = Contest("PRES", "President", 1, "majority", "valid", Majority(), Rounding("half-up", 2),
                      tuple(Candidate(c, c) for c in CANDIDATES))  # fmt: skip
    election = build_election(
        id="BENCH-2024", name="Bench", phase="official", polls_close_ms=0, root="X", root_name="X", levels=(),
        publish_depth=0, contests=[contest], stations=[(s, s, 2_000, None, ()) for s in stations],
    )  # fmt: skip
    return ReportReader(election)


def microseconds(read: Callable[[Any], object], inputs: list[Any]) -> float:
    begin = perf_counter()
    for value in inputs:
        read(value)
    return (perf_counter() - begin) / len(inputs) * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reports", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()

    stations = [f"S-{n:06d}" for n in range(options.reports)]
    values = [report(station, 1) for station in stations]
    keyed = list(zip(values, (s.encode() for s in stations), strict=True))
    reader = reader_of(stations)
    assert all(reader.read(value, key) == reader.exact.read(value, key) for value, key in keyed[:100])

    validate_json = PydanticReport.__pydantic_validator__.validate_json
    validate_python = PydanticReport.__pydantic_validator__.validate_python
    decode = msgspec.json.Decoder(Counts).decode
    ways: dict[str, tuple[Callable[[Any], object], list[Any]]] = {
        "pydantic, validate_json": (validate_json, values),
        "pydantic, json.loads then validate_python": (lambda v: validate_python(json.loads(v), strict=False), values),
        "msgspec": (decode, values),
        "the product's fast reader": (lambda pair: reader.read(*pair), keyed),
        "the product's exact reader": (lambda pair: reader.exact.read(*pair), keyed),
    }
    rounds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name, (read, inputs) in ways.items():
            rounds[name].append(microseconds(read, inputs))

    print(f"{options.reports:,} reports of {len(values[0])} bytes, {options.rounds} rounds; microseconds a report")
    print(f"Python {platform.python_version()}, pydantic {pydantic.VERSION}, msgspec {msgspec.__version__}, "
          f"{os.cpu_count()} cores, {_processor()}")  # fmt: skip
    base = statistics.median(rounds["msgspec"])
    for name, figures in rounds.items():
        median = statistics.median(figures)
        print(f"{name:45} {median:6.2f}   ({min(figures):.2f} to {max(figures):.2f})   {median / base:5.1f} x msgspec")


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or "processor unknown"


if __name__ == "__main__":
    main()
