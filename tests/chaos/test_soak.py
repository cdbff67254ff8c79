"""What `make soak` judges by, on made-up samples: the hours themselves are a command."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.chaos.sums import Sums
from tests.chaos.watch import Sample, Seen, Watch, grown, quarters, steady, table
from tests.support.waiting import wait_for

MIB = 2**20


def samples(*mib: float, handles: int = 20, fault: str = "") -> list[Sample]:
    """One each ten seconds, of one process."""
    return [Sample(10.0 * n, 100 * n, 90 * n, fault, {"worker": Seen(1, int(m * MIB), handles)}) for n, m in enumerate(mib)]


def test_memory_that_grows_by_more_than_a_twentieth_is_named() -> None:
    assert grown(samples(100, 100, 101, 104.9), 40, ["worker"]) == []
    assert grown(samples(100, 100, 101, 105.2), 40, ["worker"]) == ["worker: 100.0 MiB in the first quarter, 105.2 in the last"]
    assert grown(samples(100, 100, 300, 90), 40, ["worker"]) == []


def test_handles_that_are_not_closed_are_named() -> None:
    first, last = samples(100, handles=20), samples(0, 0, 0, 100, handles=24)[3:]
    assert grown(first + last, 40, ["worker"]) == ["worker: 20 handles in the first quarter, 24 in the last"]
    assert grown(first + samples(0, 0, 0, 100, handles=22)[3:], 40, ["worker"]) == []


def test_what_a_fault_makes_grow_is_not_compared_and_what_cannot_be_compared_is_no_success() -> None:
    broken = samples(100, 100, 100, 900, fault="kill")
    assert steady(broken) == []
    (sentence,) = grown(samples(100) + broken[3:], 40, ["worker"])
    assert "the last quarter has no sample between faults" in sentence
    assert grown(samples(100, 100, 100, 100), 40, ["board"]) == [
        "board: the first quarter has no sample between faults: too short"
    ]


def test_each_sample_has_one_quarter() -> None:
    found = quarters(samples(*[100.0] * 8), 80)
    assert [len(quarter) for quarter in found] == [2, 2, 2, 2]
    assert len(list(table(samples(*[100.0] * 8), 80, ["worker"]))) == 5


def test_what_was_promised_and_is_not_there_is_found() -> None:
    promised, on_log = Sums(), Sums()
    for offset in range(3):
        promised[1, offset] = b"%d" % offset
        on_log[1, offset] = b"%d" % offset
    assert promised.missing_in(on_log) == []
    promised[1, 7] = b"lost"
    promised[0, 0] = b"x"
    on_log[0, 0] = b"y"
    assert sorted(promised.missing_in(on_log)) == [(0, 0), (1, 7)]
    assert len(promised) == 5
    promised[1, 7] = b"lost"
    assert len(promised) == 5, "told twice is one"
    with pytest.raises(AssertionError, match="1/7 has two values"):
        promised[1, 7] = b"other"


def test_the_watch_writes_what_it_sees_of_a_process(tmp_path: Path) -> None:
    watch = Watch(tmp_path / "soak.jsonl", lambda: (5, 3), lambda: {"me": os.getpid(), "gone": 2**22 + 1}, 0.01)
    watch.start()
    watch.breaking("a fault")
    wait_for(lambda: any(sample.fault for sample in watch.samples), "a sample under the fault")
    watch.stop()
    sample = watch.samples[-1]
    assert (sample.lag, set(sample.processes)) == (2, {"me"})
    assert sample.processes["me"].rss_bytes > MIB
    assert sample.processes["me"].handles > 2
    assert (tmp_path / "soak.jsonl").read_text().count('"lag": 2') == len(watch.samples)
