"""The benchmark's own judgement: what has no figure, what a ratio is, when a report counts as included."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from bench.latency import Seen, Sent, latencies, percentile
from bench.layouts import layout
from bench.load import CANDIDATES, Load, Recount, reports, station_ids, write_definition
from bench.open_loop import vector_of
from bench.peers import HERE, check_totals
from bench.process import NoFigure, figure
from bench.replaying import longest_partition_silence, longest_silence
from bench.run import merge, summary
from bench.table import load_rows, markdown, median_of, ratio, write_page
from bench.wide import ballot_ways, compared, medians, wide_ways


class Topic:
    """What `check_totals` asks of a filled topic."""

    def __init__(self) -> None:
        self.records = 10
        self.recounted = [5, 4, 3, 2, 1, 0, 0]


def totals(**changed: Any) -> dict[str, Any]:
    return {"seen": [4, 3, 2, 1], "totals": [5, 4, 3, 2, 1, 0, 0], **changed}


def row(*speeds: float, refused: str = "") -> dict[str, Any]:
    runs: list[dict[str, Any]] = [{"reports_per_s": s, "cpu_s_per_million": 4.0, "rss_bytes": 2**20} for s in speeds]
    return {"date": "2024-02-07", "records": 10, "stations": 5, "runs": [*runs, *([{"refused": refused}] if refused else [])]}


def test_a_competitor_whose_totals_differ_by_one_vote_has_no_figure() -> None:
    check_totals(totals(), Topic())  # type: ignore[arg-type]
    check_totals(totals(seen=10), Topic())  # type: ignore[arg-type]
    with pytest.raises(NoFigure, match="not those of a plain recount"):
        check_totals(totals(totals=[5, 4, 3, 2, 1, 0, 1]), Topic())  # type: ignore[arg-type]


def test_a_competitor_that_counted_a_record_twice_has_no_figure() -> None:
    with pytest.raises(NoFigure, match="11 records are in the totals, 10 are on the topic"):
        check_totals(totals(seen=[5, 3, 2, 1]), Topic())  # type: ignore[arg-type]


def test_one_run_without_a_figure_takes_the_figure_from_all() -> None:
    bad = row(100, 200, refused="the totals differ")
    assert median_of(bad, "reports_per_s") is None
    assert ratio(row(100, 200, 300), bad) is None
    assert "no figure: the totals differ" in load_rows({"rows": {"X": bad}})[0]


def test_a_ratio_is_taken_within_rounds() -> None:
    # The machine was twice as slow in the second round: medians would say 0.9, the rounds say 2.
    assert ratio(row(200, 100, 180), row(100, 50, 90)) == 2.0


def test_nothing_measured_is_no_figure() -> None:
    with pytest.raises(NoFigure):
        figure(0, 1.0, 1.0, 1)


def test_the_recount_takes_the_highest_revision_whatever_the_order() -> None:
    def value(revision: int, votes: int) -> bytes:
        return json.dumps({"contest": "PRES", "revision": revision, "votes": dict.fromkeys(CANDIDATES, votes)}).encode()

    recount = Recount()
    for key, given in ((b"a", value(2, 7)), (b"a", value(1, 100)), (b"b", value(1, 3))):
        recount.take(key, given)
    assert recount.records == 3
    assert recount.totals() == [10] * len(CANDIDATES)


@pytest.mark.parametrize(("kind", "expected"), [("night", 200), ("churn", 2_000)])
def test_a_load_is_the_same_every_time_and_every_station_is_in_it(kind: Any, expected: int) -> None:
    load = Load(100, kind)
    found = list(reports(load))
    assert found == list(reports(load))
    assert len(found) >= expected
    assert {key.decode() for key, _, _ in found} >= set(station_ids(load))


def test_a_report_is_included_by_the_first_root_above_its_offset() -> None:
    sent = [Sent(0.0, 0.0, 1.0, 0, 0), Sent(0.5, 0.5, 1.5, 1, 0)]
    seen = {"PRES": Seen([2.0, 3.0, 4.0], [[0, 1, 0, 0], [1, 1, 0, 0], [5, 5, 0, 0]])}
    assert latencies(sent, seen) == [2.0, 0.5]
    assert latencies(sent, seen, from_due=True) == [3.0, 1.5]


def test_a_report_is_included_by_a_root_of_its_own_contest() -> None:
    sent = [Sent(0.0, 0.0, 1.0, 0, 0, "MAYOR"), Sent(0.0, 0.0, 1.0, 0, 1, "SEAT")]
    seen = {"MAYOR": Seen([2.0], [[1]]), "SEAT": Seen([2.0, 5.0], [[1], [2]])}
    assert latencies(sent, seen) == [1.0, 4.0]
    with pytest.raises(NoFigure, match="0/1 is in no root"):
        latencies(sent, {"MAYOR": seen["MAYOR"]})


def test_a_report_that_no_root_includes_is_no_latency() -> None:
    with pytest.raises(NoFigure, match="0/5 is in no root"):
        latencies([Sent(0.0, 0.0, 1.0, 0, 5)], {"PRES": Seen([2.0], [[5, 0, 0, 0]])})


def test_a_contest_must_reach_its_last_report_that_can_change_it() -> None:
    recount = Recount()
    load = Load(2_000, layout="ballot")
    last: dict[tuple[str, int], int] = {}
    for offset, (key, value, _) in enumerate(reports(load), 1):
        recount.take(key, value, partition=0)
        if not key.endswith(b"X"):
            last[json.loads(value)["contest"], 0] = offset
    assert {(contest, p): end for contest, ends in recount.ends.items() for p, end in ends.items()} == last
    assert len(recount.ends) == 1_222


@pytest.mark.parametrize(
    ("name", "areas", "a_station"), [("plain", 125, 1), ("narrow", 125, 1), ("wide", 5_597, 1), ("ballot", 67, 3)]
)
def test_a_layout_has_its_areas_and_every_station_its_contests(name: Any, areas: int, a_station: int) -> None:
    of = layout(name)
    ids = [of.id_of(number) for number in range(6_000)]
    paths = {station: of.path_of(station) for station in ids}
    assert len(set(ids)) == 6_000
    assert len({path[:depth] for path in paths.values() for depth in range(1, of.publish_depth + 1)}) == areas
    contests = {contest.id: contest.area for contest in of.contests}
    for station, path in paths.items():
        assert len(of.contests_of(station)) == a_station
        for contest in of.contests_of(station):
            assert contests[contest] in ("", *("/".join(("AZ", *path[:depth])) for depth in (1, 2)))
    assert {contest for station in ids for contest in of.contests_of(station)} == contests.keys()


@pytest.mark.parametrize("name", ["plain", "narrow", "wide", "ballot"])
def test_no_station_of_a_layout_has_more_ballots_than_voters(name: Any, tmp_path: Path) -> None:
    load = Load(400, layout=name)
    write_definition(load, tmp_path)
    with (tmp_path / "stations.csv").open() as file:
        registers = {row["station_id"]: int(row["registered"]) for row in csv.DictReader(file)}
    assert registers.keys() == set(station_ids(load))
    cast = [(key.decode(), json.loads(value)["ballots"]["cast"]) for key, value, _ in reports(load)]
    assert all(ballots <= registers[station] for station, ballots in cast if station in registers)


def test_a_long_ballot_stands_beside_a_night_of_as_many_reports_and_entries() -> None:
    night, ballot = (list(reports(way.load)) for way in ballot_ways(1_000))
    assert abs(len(night) - len(ballot)) < 0.01 * len(night)
    entries = [
        {(key, json.loads(value)["contest"]) for key, value, _ in those if not key.endswith(b"X")} for those in (night, ballot)
    ]
    assert [len(found) for found in entries] == [3_000, 3_000]


def test_a_wide_row_is_related_to_the_same_ballots_in_few_areas() -> None:
    ways = wide_ways(10)
    assert [way.against for way in ways] == ["", "", ways[1].name]
    more = {"flush_bytes": 2_500.0, "stage_two_share": 0.125}
    rows: dict[str, dict[str, Any]] = {
        way.name: {
            "date": "2024-02-07", "records": 20, "runs": [{"reports_per_s": s, "cpu_s_per_million": 4.0, "rss_bytes": 2**20, **more} for s in speeds],
            "latency": medians(late), "latencies": late, "takeover": {"first_root_s": 1.25, "last_root_s": 2.0},
        }
        for way, speeds, p99s in zip(
            ways, ((300, 300), (200, 100), (180, 90)), ((20.0, 20.0, 99.0), (20.0, 20.0, 40.0), (30.0, 25.0, 80.0)), strict=True
        )
        for late in [[{"p50_ms": 10.0, "p99_ms": p99} for p99 in p99s]]
    }  # fmt: skip
    last = rows[ways[2].name]
    last |= compared(last, rows[ways[1].name])
    assert (last["speed_is"], last["p99_is"]) == (0.9, 1.5)
    *_, line = markdown("wide", {"what": "", "rows": rows}).splitlines()
    assert line.endswith("| 20 | 135 | 0.90 × | 4.0 | 1 | 2.5 | 12 % | 10.0 | 30.0 | 1.50 × | 1.2 | 2.0 | 2024-02-07 |")
    last["latencies"][1] = {"refused": "the sender fell behind"}
    last["latency"] = medians(last["latencies"])
    assert compared(last, rows[ways[1].name])["p99_is"] is None
    assert "no figure: the sender fell behind" in markdown("wide", {"what": "", "rows": rows})
    last["runs"].append({"refused": "the standings differ"})
    assert compared(last, rows[ways[1].name])["speed_is"] is None
    assert "no figure: the standings differ" in markdown("wide", {"what": "", "rows": rows})


def test_percentiles_are_values_that_were_measured() -> None:
    values = [float(n) for n in range(1, 101)]
    assert [percentile(values, p) for p in (50, 99, 99.9, 100)] == [50.0, 99.0, 100.0, 100.0]
    assert percentile([7.0], 50) == 7.0


def test_vectors_of_the_product_and_of_a_competitor_are_read_alike() -> None:
    ours = {"provenance": {"next_offsets": {"0": 4, "1": 3, "2": 2, "3": 1}}}
    assert vector_of(json.dumps(ours).encode()) == vector_of(json.dumps(totals()).encode()) == [4, 3, 2, 1]


def test_a_root_sent_again_unchanged_ends_no_silence() -> None:
    seen = Seen([0.0, 1.0, 2.0, 5.0, 6.0], [[1, 1], [2, 1], [2, 1], [2, 1], [3, 2]])
    assert longest_silence(seen, 1.5, 7.0) == 5.0
    assert longest_silence(seen, 0.5, 5.5) == 0.0  # the long one ends in the time of the next event
    assert longest_silence(Seen([0.0, 1.0, 2.0], [[1, 1], [2, 1], [3, 2]]), 0.0, 3.0) == 1.0
    # Partition 0 went on, partition 1 stood still.
    assert longest_partition_silence(Seen([0.0, 1.0, 2.0, 3.0], [[1, 1], [2, 2], [3, 2], [4, 3]]), 0.0, 3.0) == 2.0


def test_the_last_line_is_of_this_run_and_against_the_best_configuration() -> None:
    rows = {"one worker": row(300, 300), "two workers": row(450, 480), "Kafka Streams, 1 thread": row(100, 100),
            "Kafka Streams, 2 threads": row(150, 150), "idle aiokafka": row(600, 600)}  # fmt: skip
    said = summary({"night": {"rows": rows}}, is_quick=True)
    assert (said["vs_kafka_streams"], said["vs_idle_aiokafka"], said["two_vs_one"]) == (2.0, 0.5, 1.55)
    assert said["p99_ms_2000"] is None
    assert said["replay_per_s"] is None
    rows["one worker"] = row(300, refused="the standings differ")
    said = summary({"night": {"rows": rows}}, is_quick=False)
    assert said["vs_kafka_streams"] is None
    assert said["cpu_s_per_million"] is None


def test_a_part_that_was_not_measured_again_stays_on_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    marks = "".join(f"<!-- bench: {name} -->\nold {name}\n<!-- /bench -->\n" for name in ("machine", "night", "churn"))
    page.write_text(f"# Page\n{marks}end\n")
    results: dict[str, Any] = {"machine": "2 cores", "parts": {}}
    merge(results, "night", {"what": "ten", "rows": {"one worker": row(100)}})
    merge(results, "night", {"what": "ten", "rows": {"Bytewax": row(50)}})
    assert write_page(page, results) == ["machine", "night"]
    text = page.read_text()
    assert "old churn" in text
    assert "old night" not in text
    assert markdown("night", results["parts"]["night"]) in text
    assert "| one worker |" in text
    assert "| Bytewax |" in text
    write_page(page, results)
    assert page.read_text() == text
    with pytest.raises(ValueError, match="no mark"):
        write_page(page, {"machine": "", "parts": {"latency": {"what": "", "cells": []}}})


def test_every_competitor_in_python_is_pinned_by_hash_without_a_registry() -> None:
    pinned = sorted(HERE.glob("*/requirements.txt"))
    assert [path.parent.name for path in pinned] == ["aiokafka", "bytewax", "faust", "librdkafka", "quix"]
    for path in pinned:
        text = path.read_text()
        assert "--hash=sha256:" in text
        assert "index-url" not in text
        assert "http" not in text.replace("httpx", "").replace("aiohttp", "").replace("httpcore", "").replace("httptools", "")
