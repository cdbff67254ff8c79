"""A round of the simulation (`make simulate SEEDS=10000` plays more), the seeds that once failed, and what a simulated worker is made of.

The clock of a simulating interpreter is not the real one, so each of these runs in one of its own (`run.py`).
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.support.paths import ROOT

ROUND_SECONDS = 900


def run(*arguments: str) -> tuple[int, dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.simulation.run", *arguments],
        cwd=ROOT,
        text=True,
        capture_output=True,
        check=False,
        timeout=ROUND_SECONDS,
    )
    assert done.stdout.startswith("{"), done.stdout + done.stderr
    return done.returncode, json.loads(done.stdout)


def story(found: dict[str, Any]) -> str:
    return "\n".join(
        f"seed {seed}: {sentence}; in full: make simulate ARGS='--seed {seed}'" for seed, sentence in found["failures"]
    )


def test_a_hundred_seeds_break_no_promise_and_see_every_fault() -> None:
    code, found = run("--json")
    print(f"{found['counts']['reports checked'] / found['minutes']:,.0f} reports checked a minute", found["faults"])
    assert not found["failures"], story(found)
    assert not found["rare"], f"too few of some faults: {found['rare']}"
    assert code == 0
    counts = found["counts"]
    assert found["played"] == 100
    # What was looked at: a simulation whose workers all die before they publish would find nothing.
    assert counts["standings checked"] > 2_500
    assert counts["reports checked"] > 200_000
    assert counts["pages checked"] > 3_000
    assert counts["marks checked"] > 2_500
    assert counts["commits checked"] > 1_500
    assert counts["falls explained"] > 1_200
    assert counts["changes checked"] > 1_300
    assert counts["rejections checked"] > 5_500
    assert counts["folds checked"] > 9_000
    assert found["faults"]["refusal of a shortened log"] > 300
    assert counts["older standings seen"] > 0


def test_seeds_that_once_failed() -> None:
    code, found = run("--committed", "--json")
    assert not found["failures"], story(found)
    assert code == 0
    assert found["played"] >= 2


def test_a_seed_decides_everything() -> None:
    """The trace of a seed is the same to the last digit, whatever was played before it and beside it."""
    _, one = run("--seeds", "6", "--jobs", "1", "--json")
    _, other = run("--seeds", "4", "--first", "2", "--jobs", "2", "--json")
    assert other["digests"] == {seed: one["digests"][seed] for seed in ("2", "3", "4", "5")}
    assert len(set(one["digests"].values())) == 6


@pytest.fixture(scope="module")
def parts() -> dict[str, Any]:
    code, found = run("--classes")
    assert code == 0
    return found


PRODUCTION = [
    "worker", "app", "transport", "consumer", "producer", "stage 1", "stage 2", "consumer of aiokafka", "fetcher", "group member",
    "producer of aiokafka", "sender", "client", "RunConsumer.getmany", "RunConsumer.perform_seek", "RunConsumer._new_offset",
    "RunConsumer._commit_offsets", "RunConsumer.on_partitions_revoked", "RunConsumer.on_partitions_assigned", "RunConsumer.commit",
    "RunConsumer._commit_handler", "RunConsumer._drain_messages",
]  # fmt: skip


@pytest.mark.parametrize("name", PRODUCTION)
def test_it_is_the_productions_own(parts: dict[str, Any], name: str) -> None:
    assert parts["production"][name] is True


def test_only_sockets_threads_and_clocks_are_replaced(parts: dict[str, Any]) -> None:
    assert parts["production"].keys() == set(PRODUCTION)
    assert parts["replaced"] == [
        "aiokafka.client.create_conn",
        "tally_stream.stream.faust.app.threading.Timer",
        "tally_stream.stream.worker.HealthServer",
        "tally_stream.stream.worker.gc",
        "on_fatal (Process.exit)",
        "time.monotonic, time.time, time.perf_counter",
        "PAGE_MAX_BYTES and BATCH_BYTES, smaller in some seeds",
    ]
