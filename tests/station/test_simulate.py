"""Simulated nights: the same bytes from a seed, what the rules say of them as it was planted, and how a night goes by."""

from __future__ import annotations

import hashlib
import json
import tracemalloc
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from tally_stream.audit.replay import Replay, replay
from tally_stream.domain.key_ring import KeyRing
from tally_stream.domain.report import KeyStatement
from tally_stream.domain.rules import RULES, Finding
from tally_stream.domain.scalars import murmur2_partition
from tally_stream.station.simulate import CODES, Plan, Simulation, SimulationRefused, every_code
from tally_stream.station.simulate_draws import Draws
from tally_stream.station.simulate_folder import write_night
from tally_stream.station.simulate_places import CAUGHT_UP_MS, CLOSE_MS, SILENT_MS, Country
from tally_stream.wire.folder.assembling import load_election, read_folder
from tally_stream.wire.folder.doubts import doubts_of
from tally_stream.wire.reading import ReportReader
from tally_stream.wire.report_log import LogRecord, ReportLog
from tally_stream.wire.signed import read_signed
from tally_stream.wire.signing import Signing

GOLDEN = "750ad8c18a70098f152f99acb4fff802ebe6458af0ecb2a1dd11e3eabffffa54"
"""Of all files of the night below. It changes when nights do, and then the changelog says so."""


def every(stations: int, seed: int, contests: int = 2, partitions: int | None = None) -> Plan:
    return Plan(stations, seed, contests, every_code(partitions), partitions)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def folded(folder: Path) -> Replay:
    return replay(load_election(folder), folder / "reports.jsonl")


def comes_to(counted: Replay) -> dict[str, Any]:
    """As `in_force` of simulate.json has it."""
    roots = {c.id: counted.messages(i)[-1] for i, c in enumerate(counted.election.contests)}
    return {
        id: {
            "stations": root["stations"]["counted"],
            "valid": root["ballots"]["valid"],
            "votes": {one["id"]: one["votes"] for one in root["candidates"]},
        }
        for id, root in roots.items()
    }


def test_a_seed_makes_the_same_bytes_everywhere(tmp_path: Path) -> None:
    plan = every(60, 7, partitions=3)
    write_night(plan, tmp_path / "a")
    write_night(plan, tmp_path / "b")
    write_night(plan, tmp_path / "b")
    assert files(tmp_path / "a") == files(tmp_path / "b")
    whole = hashlib.sha256(b"".join(name.encode() + content for name, content in files(tmp_path / "a").items()))
    assert whole.hexdigest() == GOLDEN
    write_night(every(60, 8, partitions=3), tmp_path / "c")
    assert files(tmp_path / "a")["reports.jsonl"] != files(tmp_path / "c")["reports.jsonl"]


PLANS = [
    Plan(1, 0, 1),
    Plan(2, 1, 4, ("S1",)),
    every(30, 2, 1),
    every(60, 3, 4, 1),
    every(300, 4, 3, 2),
    every(40, 5, 4, 7),
    Plan(300, 6, 4, every_code(4), 4, "test"),
    Plan(45, 7, 2, every_code(None), None, "test"),
    every(1_500, 2**63 - 1, 2),
    replace(every(300, 10, 4, 3), signed=True),
    Plan(60, 12, 2, every_code(None), None, "test", signed=True),
    Plan(1, 0, 1, signed=True),
    Plan(40, 13, 3, every_code(None, by_intake=True), by_intake=True),
    Plan(40, 14, 2, every_code(None, by_intake=True, signed=True), signed=True, by_intake=True),
]


@pytest.mark.parametrize("plan", PLANS, ids=lambda p: f"{p.stations} stations, seed {p.seed}{', signed' * p.signed}")
def test_the_rules_say_of_it_what_was_planted(tmp_path: Path, plan: Plan) -> None:
    expected = write_night(plan, tmp_path / "night")
    assert json.loads((tmp_path / "night" / "simulate.json").read_bytes()) == expected
    counted = folded(tmp_path / "night")
    assert counted.record_count == expected["records"]
    assert counted.verdict_counts() == expected["verdicts"]
    assert comes_to(counted) == expected["in_force"]
    assert set(plan.codes) <= set(expected["verdicts"]["codes"])


@pytest.mark.parametrize("code", CODES)
def test_each_code_alone_plants_no_other(tmp_path: Path, code: str) -> None:
    """But for those that come with it: nobody registered is also more ballots than voters, and another register."""
    beside = {"A8": {"A3", "P7"}, "A9": {"P7"}}
    expected = write_night(Plan(40, 11, 4, (code,), 3), tmp_path / "night")
    assert set(expected["verdicts"]["codes"]) == {code} | beside.get(code, set())
    counted = folded(tmp_path / "night")
    assert counted.verdict_counts() == expected["verdicts"]
    assert comes_to(counted) == expected["in_force"]


def test_a_night_of_signatures_has_each_way_in_which_one_is_wrong(tmp_path: Path) -> None:
    """And it is whole, the same bytes each time, and its keys are those that sign."""
    plan = Plan(20, 3, 2, ("S6",), None, signed=True)
    expected = write_night(plan, tmp_path / "night")
    write_night(plan, tmp_path / "again")
    assert files(tmp_path / "night") == files(tmp_path / "again")
    assert expected["verdicts"]["codes"] == {"S6": 9}
    assert doubts_of(read_folder(tmp_path / "night")) == []
    election, found = load_election(tmp_path / "night"), Counter[str]()
    rings, reports = KeyRing(election.keys), ReportReader(election)
    for r in ReportLog(tmp_path / "night" / "reports.jsonl"):
        read = read_signed(reports, Signing(rings, r.timestamp_ms), r.value, r.key)
        if isinstance(read, KeyStatement):
            rings.take(read)
        elif isinstance(read, Finding):
            found[read.message] += 1
    assert found == Counter({
        "not signed, and the definition demands signatures": 1, "the signature is not that of key {left}": 1,
        "key {left} is unknown": 1, "key {left} is revoked": 1, "key {left} is not in force at {right}": 2,
        "key {left} signs for {right} alone": 1, "key {left} may not sign a statement of kind {right}": 1,
        "payload_type is not application/vnd.tally-stream.statement+json": 1,
    })  # fmt: skip


def test_no_key_signs_for_another_where_there_is_no_other() -> None:
    with pytest.raises(SimulationRefused, match="S6: on a night of signatures a station's key signs for another one"):
        Simulation(Plan(1, 3, 4, ("S6",), signed=True))


def test_every_rule_can_be_planted() -> None:
    assert tuple(rule.code for rule in RULES) == CODES
    assert set(CODES) - set(every_code(None)) == {"S7"}, "only partitions have a wrong one"


def test_nothing_is_wrong_with_the_folder(tmp_path: Path) -> None:
    write_night(every(120, 9, 4), tmp_path / "night")
    read = read_folder(tmp_path / "night")
    assert doubts_of(read) == []
    assert read.election.levels == ("region", "district")
    assert "Everything here is invented" in (tmp_path / "night" / "SOURCE.md").read_text(encoding="utf-8")


# -- how it goes by ------------------------------------------------------------------------------------------------

NIGHT = every(4_000, 5, 2, 4)


@pytest.fixture(scope="module")
def night() -> tuple[Simulation, list[LogRecord]]:
    simulation = Simulation(NIGHT)
    return simulation, list(simulation)


def test_records_stand_in_the_order_of_time_each_in_its_partition(night: tuple[Simulation, list[LogRecord]]) -> None:
    _, records = night
    times = [record.timestamp_ms for record in records]
    assert times == sorted(times)
    for partition in range(4):
        offsets = [record.offset for record in records if record.partition == partition]
        assert offsets == list(range(len(offsets)))
    astray = [r for r in records if r.key is not None and murmur2_partition(r.key, 4) != r.partition]
    assert len(astray) == night[0].expected.codes["S7"] > 0


def first_counts(night: tuple[Simulation, list[LogRecord]]) -> dict[str, int]:
    """Station → when its first count of a president reached the log."""
    found: dict[str, int] = {}
    for record in night[1]:
        if record.value is not None and b'"contest":"PRES"' in record.value and record.key is not None:
            found.setdefault(record.key.decode("utf-8", "replace"), record.timestamp_ms)
    return found


def test_small_stations_come_first_and_a_few_very_late(night: tuple[Simulation, list[LogRecord]]) -> None:
    country, times = night[0].country, first_counts(night)
    arrivals = sorted(
        (times[country.id_of(s)], country.registered(s)) for s in range(NIGHT.stations) if country.id_of(s) in times
    )
    quarter = len(arrivals) // 4
    assert 2 * median(size for _, size in arrivals[:quarter]) < median(size for _, size in arrivals[-quarter:])
    half, last = arrivals[len(arrivals) // 2][0] - CLOSE_MS, arrivals[-1][0] - CLOSE_MS
    assert last > 8 * half, "a slow tail"
    assert arrivals[0][0] > CLOSE_MS


def test_sizes_spread_as_sizes_do(night: tuple[Simulation, list[LogRecord]]) -> None:
    sizes = sorted(night[0].country.registered(s) for s in range(NIGHT.stations))
    middle = sizes[len(sizes) // 2]
    assert 850 < middle < 950
    assert sizes[0] >= 60
    assert sizes[-1] > 4 * middle
    assert sum(sizes) / len(sizes) > 1.1 * middle, "few are large"


def test_a_region_is_silent_for_an_hour_and_then_heard_at_once(night: tuple[Simulation, list[LogRecord]]) -> None:
    country = night[0].country
    by_region: dict[int, list[int]] = defaultdict(list)
    numbers = {country.id_of(s): s for s in range(NIGHT.stations)}
    for station, time_ms in first_counts(night).items():
        if station in numbers:
            by_region[country.region_of(numbers[station])].append(time_ms)
    assert country.silences
    for region, begin_ms in country.silences.items():
        heard_ms = begin_ms + SILENT_MS
        assert not [ms for ms in by_region[region] if begin_ms < ms < heard_ms]
        at_once = [ms for ms in by_region[region] if heard_ms <= ms < heard_ms + CAUGHT_UP_MS]
        assert len(at_once) > len(by_region[region]) // 10


def test_what_is_said_first_arrives_first() -> None:
    country = Country(400, 3)
    station = next(s for s in range(400) if country.region_of(s) in country.silences)
    begin_ms = country.silences[country.region_of(station)]
    said = range(begin_ms - 5_000, begin_ms + SILENT_MS + CAUGHT_UP_MS + 5_000, 1_000)
    arrived = [country.arrival_ms(station, ms) for ms in said]
    assert arrived == sorted(arrived)
    assert all(late >= ms for late, ms in zip(arrived, said, strict=True))


def test_records_are_not_kept() -> None:
    """What is held grows by a station's number and its byte, not by its reports of 400 bytes."""

    def most_bytes(stations: int) -> int:
        tracemalloc.start()
        for _ in Simulation(Plan(stations, 1, 1, every_code(None))):
            pass
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    small, large = most_bytes(500), most_bytes(3_000)
    assert (large - small) / 2_500 < 100


def test_draws_are_those_of_splitmix64() -> None:
    """The first three from state 0, as its author's own program has them."""
    draws = Draws()
    assert [draws.below(1 << 64) for _ in range(3)] == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    assert {Draws(1, 2).below(10**6), Draws(2, 1).below(10**6), Draws(1).below(10**6)} != {Draws(1, 2).below(10**6)}
    few = [Draws(9, n).between(3, 5) for n in range(600)]
    assert all(150 < few.count(n) < 250 for n in (3, 4, 5))


# -- refused -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plan", "why"),
    [
        (Plan(0, 1), "0 polling stations: from 1 to 2,000,000"),
        (Plan(2_000_001, 1), "2000001 polling stations"),
        (Plan(9, 1, 5), "5 contests: from 1 to 4"),
        (Plan(9, 2**63), "seed 9223372036854775808"),
        (Plan(9, -1), "seed -1"),
        (Plan(9, 1, 2, ("S1", "Z9", "S0")), "Z9, S0: no code that a record can earn; there are X1 S1 S6"),
        (Plan(9, 1, 2, ("S7",)), "S7: only a log of 2 partitions or more has it; add --partitions"),
        (Plan(9, 1, 2, ("S7",), 1), "S7: only a log of 2 partitions"),
        (Plan(9, 1, 2, every_code(None)), "18 counts are too few"),
        (Plan(9, 1, 2, ("S1", "P1", "S6"), by_intake=True), "S1, S6: not by an intake.*; there are Q1 A1"),
        (Plan(9, 1, 2, ("P1",), 2, by_intake=True), "--partitions: an intake knows none"),
    ],
)
def test_no_such_night(plan: Plan, why: str) -> None:
    with pytest.raises(SimulationRefused, match=why):
        Simulation(plan)


def test_no_station_is_large_enough_for_all_votes_of_one() -> None:
    small = next(seed for seed in range(1_000) if Country(1, seed).registered(0) < 350)
    with pytest.raises(SimulationRefused, match="no room for P6: no polling station has 350 voters"):
        Simulation(Plan(1, small, 1, ("P6",)))


def test_another_election_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "election.toml").write_text("mine", encoding="utf-8")
    with pytest.raises(SimulationRefused, match="holds something else than a simulated night"):
        write_night(Plan(2, 1), tmp_path)
    assert files(tmp_path) == {"election.toml": b"mine"}
    write_night(Plan(2, 1), tmp_path / "night")
    before = files(tmp_path / "night")
    with pytest.raises(SimulationRefused, match=r'holds another simulated night \({"stations": 2, "seed": 1'):
        write_night(Plan(2, 2), tmp_path / "night")
    assert files(tmp_path / "night") == before
    (tmp_path / "night" / "simulate.json").write_text("{", encoding="utf-8")
    with pytest.raises(SimulationRefused, match=r"simulate\.json is damaged"):
        write_night(Plan(2, 1), tmp_path / "night")
    with pytest.raises(SimulationRefused, match="is no folder"):
        write_night(Plan(2, 1), tmp_path / "election.toml")


def test_nothing_half_written_has_a_name(tmp_path: Path) -> None:
    """Whatever ends it while the log is written, a folder that looks whole is whole; run again, it becomes that."""

    def stop(count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_night(Plan(1_500, 1), tmp_path / "night", stop)
    assert set(files(tmp_path / "night")) == {"election.toml", "stations.csv", "areas.csv", "SOURCE.md"}
    (tmp_path / "night" / "reports.jsonl.unfinished").write_text("killed", encoding="utf-8")
    write_night(Plan(1_500, 1), tmp_path / "night")
    write_night(Plan(1_500, 1), tmp_path / "other")
    assert files(tmp_path / "night") == files(tmp_path / "other")
