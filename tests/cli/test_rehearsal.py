"""A rehearsal and an election, each with the other's reports on its topics: nothing of one counts in the other (S5).

Whole: commands, an embedded broker, a worker.
"""

from __future__ import annotations

import json
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from tally_stream.domain.scalars import murmur2_partition
from tally_stream.kafka.embedded import AUTO_PARTITIONS
from tally_stream.station.simulate import Plan
from tally_stream.station.simulate_folder import write_night
from tally_stream.wire.report_log import ReportLog
from tests.support.brokers import Embedded
from tests.support.processes import run, settings_for
from tests.support.topics import one_a_key, produce, read_topic, wait_published
from tests.support.waiting import wait_for
from tests.support.worker import WorkerProcess

STATIONS = 12


@pytest.mark.parametrize(("phase", "other"), [("official", "test"), ("test", "official")])
def test_nothing_of_the_one_counts_in_the_other(embedded_broker: Embedded, tmp_path: Path, phase: str, other: str) -> None:
    settings = settings_for(embedded_broker.bootstrap, f"phase-{phase}")
    night, others = tmp_path / phase, tmp_path / other
    arguments = ("simulate", str(night), "--stations", str(STATIONS), "--seed", "1", "--errors", "none", "--phase", phase)
    expected = json.loads(run(*arguments, "--json", settings=settings).stdout)
    write_night(Plan(STATIONS, 2, phase="test" if other == "test" else "official"), others)
    astray = list(ReportLog(others / "reports.jsonl"))
    with closing(WorkerProcess(settings, str(night), tmp_path / "worker.log", "--embedded")) as worker:
        worker.wait_ready()
        run(*arguments, "--to", "kafka", settings=settings)
        for record in astray:
            assert record.key is not None
            produce(settings, "reports", murmur2_partition(record.key, AUTO_PARTITIONS), (record.key, record.value))
        newest = wait_published(settings, expected["records"] + len(astray))
        wait_for(lambda: worker.verdicts()["rejected"] == len(astray), "what was sent astray to be rejected")
        said = f"a record of phase {other} in an election of phase {phase} is refused (S5)"
        assert worker.log.count(said) == 1, worker.log
    for contest, in_force in expected["in_force"].items():
        root = json.loads(newest[f"{contest}|SIM".encode()])
        assert root["phase"] == phase
        assert root["stations"]["counted"] == in_force["stations"]
        assert {one["id"]: one["votes"] for one in root["candidates"]} == in_force["votes"]
    codes = Counter(tuple(one["codes"]) for one in one_a_key(read_topic(settings, "rejections")[1]))
    assert codes == {("S5",): len(astray)}
    refused = run(
        "worker", "--election", str(others), "--embedded", "--once", "--metrics-port", "0", settings=settings, expect=1
    )
    assert (
        f"standings of phase {phase} (definition {newest_definition(newest)}), this election is of phase {other}"
        in refused.stderr
    )


def newest_definition(newest: dict[bytes, bytes]) -> str:
    (definition,) = {json.loads(value)["definition"] for value in newest.values()}
    return str(definition)
