"""A flood beside stations that keep sending: bounded and added up (P13). `make flood` plays it at length, and says whether
the stations notice it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.nights.flood import KINDS, Measured, is_behind, is_noticed, medians, play, table

pytestmark = pytest.mark.kafka


def test_a_flood_of_nonsense_is_bounded_and_adds_up(kafka_one: Any, tmp_path: Path) -> None:
    """Paced far below what a machine of two cores can take. How much later the good reports are is for `make flood` to
    judge: other tests run beside this one."""
    night = play(kafka_one.bootstrap, tmp_path, rounds=1, seconds=3, good_per_second=40, times=10, burst=10_000)
    print("\n".join(table(night)))
    assert [phase.kind for phase in night.phases] == list(KINDS)
    for phase in night.phases:
        assert len(phase.latencies) == 120
        assert (phase.flooded > 600) == (phase.kind != "none"), phase


def test_a_latency_is_noticed_above_twice_the_quiet_one_and_above_what_nobody_sees() -> None:
    def noticed(quiet: float, invalid: float) -> list[str]:
        phases = [Measured(kind, [latency] * 3, 0, 1, 0) for kind, latency in zip(KINDS, (quiet, invalid, quiet), strict=True)]
        return is_noticed(medians(phases))

    assert noticed(0.1, 0.2) == []
    assert noticed(0.1, 0.201) == ["invalid"]
    assert noticed(0.01, 0.1) == []
    assert noticed(0.01, 0.101) == ["invalid"]


def test_more_records_than_a_flood_sends_in_five_seconds_are_too_many_to_wait() -> None:
    phases = [Measured("invalid", [0.1], 9_000, 9, lag) for lag in (5_000, 5_001)]
    assert is_behind(phases, 1_000) == ["invalid: 5,001 records behind"]
