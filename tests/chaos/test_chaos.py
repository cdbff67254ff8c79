"""A short round of `make chaos`: one of each fault on a real cluster of three brokers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from broker.brokers import require_local_kafka

from tests.chaos.load import Newsroom
from tests.chaos.run import percentile
from tests.chaos.scenes import SCENES

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.kafka


def test_one_of_each_fault_loses_nothing() -> None:
    require_local_kafka()
    done = subprocess.run(
        [sys.executable, "tests/chaos/run.py", "--short", "--reports", "20000"], cwd=ROOT, text=True, check=False,
        capture_output=True, timeout=900, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "none lost" in done.stdout
    for name in SCENES.keys() - {"wipe a broker"}:
        assert f"{name:36}" in done.stdout, f"{name} was not played"


def test_percentiles_never_understate() -> None:
    assert [percentile([3.0, 1.0, 2.0], p) for p in (1, 50, 99)] == [1.0, 2.0, 3.0]
    assert percentile([float(n) for n in range(1, 201)], 99) == 198.0


def a_newsroom(*arrivals: float) -> Newsroom:
    room = Newsroom.__new__(Newsroom)
    room.advances = [(time, version) for version, time in enumerate(arrivals)]
    return room


def test_the_silence_is_the_longest_that_the_fault_can_have_made() -> None:
    room = a_newsroom(0, 1, 2, 9, 10, 30)
    assert room.longest_silence(1.5, 5) == 7  # it began at 2, after the fault, and ended at 9
    assert room.longest_silence(3, 5) == 6  # under way when the fault came: from the fault on
    assert room.longest_silence(3, 10) == 20
