"""A flood beside stations that keep sending: bounded, added up, and hardly noticed (P13). `make flood` plays it at length."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.nights.flood import KINDS, Measured, is_noticed, medians, play, table

pytestmark = pytest.mark.kafka


def test_a_flood_of_nonsense_is_bounded_and_hardly_noticed(kafka_one: Any, tmp_path: Path) -> None:
    """Paced far below what a machine of two cores can take. One round of five must be as good as promised: whatever else
    the machine does makes some rounds worse, never one better."""
    night = play(kafka_one.bootstrap, tmp_path, rounds=5, seconds=3, good_per_second=40, times=10, burst=10_000, is_short=True)
    print("\n".join(table(night)))
    for phase in night.phases:
        assert len(phase.latencies) == 120
        assert (phase.flooded > 600) == (phase.kind != "none"), phase
    assert is_noticed(medians(night.phases[-len(KINDS) :])) == []


def test_a_latency_is_noticed_above_twice_the_quiet_one_and_above_what_nobody_sees() -> None:
    def noticed(quiet: float, invalid: float) -> list[str]:
        phases = [Measured(kind, [latency] * 3, 0, 1, 0) for kind, latency in zip(KINDS, (quiet, invalid, quiet), strict=True)]
        return is_noticed(medians(phases))

    assert noticed(0.1, 0.2) == []
    assert noticed(0.1, 0.201) == ["invalid"]
    assert noticed(0.01, 0.1) == []
    assert noticed(0.01, 0.101) == ["invalid"]
