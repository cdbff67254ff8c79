"""A simulated night as an election folder: its definition, its log, and what the night is made to come to.

Decides the files and that none of them is ever seen half-written: each is complete when it takes its name, `simulate.json`
last. Nothing is compressed: the bytes of gzip depend on the machine's zlib. Refuses to write over another election.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tally_stream.domain.scalars import format_time
from tally_stream.station.simulate import SKIPPED, Plan, Simulation, SimulationRefused
from tally_stream.station.simulate_places import CLOSE_MS, ROOT, Country
from tally_stream.station.simulate_sheets import RACES
from tally_stream.station.simulate_stories import COMMISSION, ELECTION_ID
from tally_stream.wire.report_log import RECORDED_TOPIC, encode_header, encode_line

EXPECTED_FILE = "simulate.json"
LOG_FILE = "reports.jsonl"
SOURCE_FILE = "SOURCE.md"
_SOURCE_BEGINS = "# A simulated night\n"
_UNFINISHED = ".unfinished"
_TOLD_EVERY_RECORDS = 1_000
_WRITTEN_AT_ONCE_LINES = 1_000
_ROUNDING = 'rounding = { method = "half-up", places = 2 }'


def write_night(plan: Plan, folder: Path, on_record: Callable[[int], object] = lambda count: None) -> dict[str, Any]:
    """Write the folder; returns what stands in `simulate.json`. `on_record` is told now and then how many records were made.

    Raises SimulationRefused where the folder holds anything else, or there is no such night; OSError.
    """
    night = Simulation(plan)
    _look_at(folder, plan)
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / SOURCE_FILE, [_source(plan).encode()])
    (folder / EXPECTED_FILE).unlink(missing_ok=True)
    _write(folder / "election.toml", [_definition(plan).encode()])
    _write(folder / "stations.csv", _stations(night.country))
    _write(folder / "areas.csv", _areas(night.country))
    if plan.signed:
        _write(folder / "keys.csv", (f"{row}\n".encode() for row in night.keys.rows(night.country)))
    _write(folder / LOG_FILE, _log(night, on_record))
    expected = _expected(night)
    _write(folder / EXPECTED_FILE, [json.dumps(expected, indent=1).encode(), b"\n"])
    return expected


def _look_at(folder: Path, plan: Plan) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise SimulationRefused(f"{folder} is no folder")
    found = {path.name.removesuffix(_UNFINISHED) for path in folder.iterdir()}
    if not found:
        return
    if not _is_ours(folder):
        raise SimulationRefused(f"{folder} holds something else than a simulated night; name a new folder")
    if EXPECTED_FILE not in found:
        return  # one that was not finished
    try:
        written = json.loads((folder / EXPECTED_FILE).read_bytes())["plan"]
    except (ValueError, KeyError, TypeError):
        raise SimulationRefused(f"{folder / EXPECTED_FILE} is damaged; name a new folder") from None
    if written != _plan(plan):
        raise SimulationRefused(f"{folder} holds another simulated night ({json.dumps(written)}); name a new folder")


def _is_ours(folder: Path) -> bool:
    try:
        return (folder / SOURCE_FILE).read_text(encoding="utf-8").startswith(_SOURCE_BEGINS)
    except (OSError, ValueError):
        return False


def _write(path: Path, parts: Iterable[bytes]) -> None:
    """Under another name until it is whole."""
    unfinished = path.with_name(path.name + _UNFINISHED)
    try:
        with unfinished.open("wb") as stream:
            for part in parts:
                stream.write(part)
        os.replace(unfinished, path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def _plan(plan: Plan) -> dict[str, Any]:
    written = {**asdict(plan), "codes": list(plan.codes)}
    for name in ("signed", "by_intake"):
        if not written[name]:
            del written[name]
    return written


def _expected(night: Simulation) -> dict[str, Any]:
    found = night.expected
    return {
        "plan": _plan(night.plan),
        "records": found.records,
        "verdicts": found.verdict_counts(),
        "stories": dict(sorted(found.stories.items())),
        "silences": {
            f"{ROOT}/{_region(region)}": format_time(begin_ms) for region, begin_ms in sorted(night.country.silences.items())
        },
        "in_force": {
            race.id: {
                "stations": found.in_force[race.id].stations,
                "valid": found.in_force[race.id].valid,
                "votes": dict(zip((id for id, _, _ in race.candidates), found.in_force[race.id].votes, strict=True)),
            }
            for race in RACES[: night.plan.contests]
        },
    }


def _log(night: Simulation, on_record: Callable[[int], object]) -> Iterator[bytes]:
    has_partitions = night.plan.partitions is not None
    lines = [encode_header(RECORDED_TOPIC, night.plan.partitions)] if night.plan.partitions is not None else []
    for count, record in enumerate(night, 1):
        lines.append(encode_line(record, with_position=has_partitions))
        if len(lines) >= _WRITTEN_AT_ONCE_LINES:
            yield b"".join(lines)
            lines.clear()
        if count % _TOLD_EVERY_RECORDS == 0:
            on_record(count)
    yield b"".join(lines)


def _region(number: int) -> str:
    return f"R{number + 1:03d}"


def _district(number: int) -> str:
    return f"D{number + 1:05d}"


def _stations(country: Country) -> Iterator[bytes]:
    yield b"station_id,name,registered,ballots_expected,region,district\n"
    for station in range(country.stations):
        region, district = _region(country.region_of(station)), _district(country.district_of(station))
        registered = country.registered(station)
        yield f"{country.id_of(station)},Polling station {station + 1},{registered},,{region},{district}\n".encode()


def _areas(country: Country) -> Iterator[bytes]:
    yield b"area,name\n"
    for region in range(country.regions):
        yield f"{ROOT}/{_region(region)},Region {region + 1}\n".encode()
    for district in range(country.districts):
        above = _region(district * country.regions // country.districts)
        yield f"{ROOT}/{above}/{_district(district)},District {district + 1}\n".encode()


def _definition(plan: Plan) -> str:
    lines = [
        f'id = "{ELECTION_ID}"',
        f'name = "Simulated night of {plan.stations:,} polling stations"',
        f'phase = "{plan.phase}"',
        f"polls_close = {format_time(CLOSE_MS)}",
        "",
        "[areas]",
        f'root = "{ROOT}"',
        'root_name = "The whole country"',
        'levels = ["region", "district"]',
        "publish_depth = 2",
    ]
    if plan.signed:
        lines += ["", "[security]", 'signatures = "required"']
    for race in RACES[: plan.contests]:
        lines += ["", "[[contests]]", f'id = "{race.id}"', f'name = "{race.name}"', race.toml, _ROUNDING]
        for id, name, _ in race.candidates:
            lines += ["", "[[contests.candidates]]", f'id = "{id}"', f'name = "{name}"']
    if SKIPPED in plan.codes:
        why = "simulated: a record that crashed the code"
        lines += ["", "[[skip]]", "partition = 0", "offset = 0", f'reason = "{why}"', f'authority = "{COMMISSION}"']
    return "\n".join(lines) + "\n"


def _source(plan: Plan) -> str:
    return (
        f"{_SOURCE_BEGINS}\nEverything here is invented. Made by `tally-stream simulate` from seed {plan.seed}: "
        f"{plan.stations:,} polling\nstations, {plan.contests} contests, phase {plan.phase}. `{EXPECTED_FILE}` has the whole "
        "plan, and what the night is made to come\nto: how many records earn each verdict and code, and the votes in force at "
        "its end.\n" + ("\nThe keys that sign are made from the seed too: everybody has them.\n" if plan.signed else "")
    )
