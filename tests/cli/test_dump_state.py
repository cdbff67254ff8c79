"""What a `dump --follow` says of itself: how far behind it is, and whether its file grows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tally_stream.cli import dump_state
from tally_stream.cli.dump_state import READY_SECONDS, DumpState, MetricsNotServed, serve
from tally_stream.metrics import DUMP_METRICS
from tally_stream.settings import load_settings


class Copy:
    """A file of two partitions, a topic, and clocks that stand still."""

    def __init__(self, path: Path) -> None:
        self.path, self.now = path, 100.0
        self.written_offsets, self.written_at, self.had_grown_at = [0, 0], None, 1_040.0
        path.write_bytes(b"x")
        self.state = DumpState(path, self, [0, 0], now=lambda: self.now, clock=lambda: self.now + 1_000)  # type: ignore[arg-type]

    def after(self, seconds: float, *ends: int, written: tuple[int, ...] = ()) -> float:
        """How far behind it is so much later."""
        self.now += seconds
        if written:
            self.written_offsets, self.written_at = list(written), self.now + 1_000  # type: ignore[assignment]
        if ends:
            self.state.see(list(ends))
        return self.state.behind_seconds

    def told(self, name: str) -> list[float]:
        return [value for _, value in self.state.samples()[name]]  # type: ignore[misc]


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path / "d.gz")


def test_it_is_behind_since_the_oldest_look_that_the_file_has_not_reached(copy: Copy) -> None:
    assert copy.after(2, 0, 0) == 0
    assert copy.after(2, 5, 0) == 2, "since it last had all"
    assert copy.after(2, 9, 1) == 4
    assert copy.after(2, written=(5, 0)) == 4, "it has reached what was seen 4 s ago, and not what came since"
    assert copy.after(2, 9, 1, written=(9, 1)) == 0
    assert copy.told("tally_dump_lag_records") == [0, 0]


def test_under_load_it_is_as_far_behind_as_the_file_and_no_further(copy: Copy) -> None:
    """Written every 5 s, looked at every 2: it never has all that there is, and is not late for that."""
    for n in range(1, 60):
        written = n - n % 3
        assert copy.after(2, n * 10, 0, written=(written * 10, 0)) <= 6


def test_it_falls_behind_where_no_broker_answers(copy: Copy) -> None:
    copy.after(2, 0, 0)
    assert copy.after(READY_SECONDS - 1) == READY_SECONDS - 1
    assert copy.state.readiness()["ready"]
    assert copy.told("tally_dump_ready") == [1]
    copy.after(1)
    assert not copy.state.readiness()["ready"]
    assert copy.told("tally_dump_ready") == [0]


def test_looks_are_not_kept_without_end(copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dump_state, "LOOKS_KEPT", 10)
    for n in range(1, 50):
        copy.after(2, n, 0)
    assert copy.state.behind_seconds == 98
    assert copy.after(0, written=(49, 0)) <= 98 - 9 * 2
    assert copy.after(2, 49, 0) == 0


def test_growth_is_that_of_what_stands_under_the_name(copy: Copy) -> None:
    assert copy.told("tally_dump_last_growth_timestamp_seconds") == [1_040], "a start is no growth"
    copy.after(5)
    assert copy.told("tally_dump_last_growth_timestamp_seconds") == [1_040]
    copy.path.write_bytes(b"xy")
    assert copy.told("tally_dump_file_bytes") == [2]
    assert copy.told("tally_dump_last_growth_timestamp_seconds") == [1_105]
    copy.after(5)
    copy.path.unlink()
    copy.after(0, written=(1, 0))
    assert copy.told("tally_dump_file_bytes") == [0], "what is written into a file that is gone is no copy"
    assert copy.told("tally_dump_last_growth_timestamp_seconds") == [1_105]
    assert copy.told("tally_dump_last_write_timestamp_seconds") == [1_110]


def test_it_says_all_of_the_catalogue(copy: Copy) -> None:
    copy.after(1, 2, 1, written=(1, 1))
    samples = copy.state.samples()
    assert samples.keys() == {metric.name for metric in DUMP_METRICS}
    assert copy.told("tally_dump_saved_offset") == [1, 1]
    assert copy.told("tally_dump_log_end_offset") == [2, 1]
    assert copy.told("tally_dump_lag_records") == [1, 0]
    assert copy.state.readiness()["partitions"] == {"0": {"saved": 1, "remaining": 1}, "1": {"saved": 1, "remaining": 0}}


async def test_nothing_listens_unless_a_port_is_given(copy: Copy) -> None:
    assert load_settings().dump_metrics_port == 0
    assert await serve(load_settings(), copy.state) is None


async def test_an_address_that_can_t_be_had_is_named_with_its_setting(copy: Copy) -> None:
    with pytest.raises(MetricsNotServed, match=r"at 192\.0\.2\.1:9190: .*; another port: --metrics-port or TALLY_DUMP_METRICS"):
        await serve(load_settings(dump_metrics_host="192.0.2.1", dump_metrics_port=9190), copy.state)
