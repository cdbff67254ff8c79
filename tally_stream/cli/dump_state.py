"""What an operator asks of a `dump --follow`: does the one copy off the cluster keep up, and does its file grow.

Decides what "behind" means: how long the oldest record that was seen on the topic has been missing in the file. It also rises
while no broker answers, because nobody knows then what the topic has. The file is looked at under its name: what is written
into a file that somebody moved away is no copy where one is looked for. When it last grew is asked of the file at a start: one
that is started again and again, as on a full disk, would else begin with a clean slate each time. Refuses to know what a record
says, and to end the command: an alarm is for a person.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from time import monotonic, time
from typing import TYPE_CHECKING, Any, Protocol

from tally_stream.metrics import DUMP_METRICS, Sample, build, registry_of
from tally_stream.settings import Settings, why_not_listening

if TYPE_CHECKING:
    from tally_stream.kafka.client import TopicReader
    from tally_stream.stream.health import HealthServer

LOOK_SECONDS = 2.0
"""Between two questions where the topic ends."""

ANSWER_SECONDS = 5.0
READY_SECONDS = 60.0
"""A copy that is further behind is none to lean on."""

LOOKS_KEPT = 1_000
"""Of those that the file has not reached: with more, the oldest of them stand for the others."""


class Written(Protocol):
    """What the file holds, when it was last written (seconds since 1970, None: not by this process), and when it had last grown
    before it was opened."""

    written_offsets: list[int]
    written_at: float | None
    had_grown_at: float


class DumpState:
    """`ends` are the next offsets of the topic, partition by partition."""

    def __init__(
        self,
        path: Path,
        written: Written,
        ends: list[int],
        *,
        now: Callable[[], float] = monotonic,
        clock: Callable[[], float] = time,
    ) -> None:
        self._path, self._written, self._now, self._clock = path, written, now, clock
        self._ends = ends
        self._looks: deque[tuple[float, list[int]]] = deque([(now(), ends)])
        """When the topic was seen to end where the file does not reach yet, the oldest first."""
        self._reached_at = now()
        self._bytes = self._size()
        self._grown_at = written.had_grown_at

    def see(self, ends: list[int]) -> None:
        """A broker has told where the topic ends now."""
        self._ends = ends
        self._look_at_file()
        if len(self._looks) < LOOKS_KEPT:
            self._looks.append((self._now(), ends))
        self._advance()

    def _advance(self) -> None:
        while self._looks and all(w >= end for w, end in zip(self._written.written_offsets, self._looks[0][1], strict=True)):
            self._reached_at = self._looks.popleft()[0]

    def _size(self) -> int:
        try:
            return self._path.stat().st_size
        except OSError:
            return 0

    def _look_at_file(self) -> None:
        before, self._bytes = self._bytes, self._size()
        if self._bytes > before:
            self._grown_at = self._clock()

    @property
    def behind_seconds(self) -> float:
        self._advance()
        return self._now() - self._reached_at

    def readiness(self) -> dict[str, Any]:
        """`ready`, and how far the file is."""
        behind = self.behind_seconds
        return {
            "ready": behind < READY_SECONDS,
            "behind_seconds": round(behind, 1),
            "partitions": {
                str(p): {"saved": saved, "remaining": max(0, end - saved)}
                for p, (saved, end) in enumerate(zip(self._written.written_offsets, self._ends, strict=True))
            },
        }

    def samples(self) -> dict[str, Iterable[Sample]]:
        """The metrics of `metrics.DUMP_METRICS`."""
        self._look_at_file()
        saved, written_at = self._written.written_offsets, self._written.written_at
        return {
            "tally_build_info": build(),
            "tally_dump_saved_offset": [((str(p),), offset) for p, offset in enumerate(saved)],
            "tally_dump_log_end_offset": [((str(p),), end) for p, end in enumerate(self._ends)],
            "tally_dump_lag_records": [((str(p),), max(0, end - saved[p])) for p, end in enumerate(self._ends)],
            "tally_dump_behind_seconds": [((), self.behind_seconds)],
            "tally_dump_last_write_timestamp_seconds": [] if written_at is None else [((), written_at)],
            "tally_dump_file_bytes": [((), self._bytes)],
            "tally_dump_last_growth_timestamp_seconds": [((), self._grown_at)],
            "tally_dump_ready": [((), int(self.readiness()["ready"]))],
        }

    async def watch(self, reader: TopicReader) -> None:
        """Ask where the topic ends, again and again, until cancelled."""
        from tally_stream.kafka.client import KafkaError

        while True:
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    bounds = await reader.bounds()
            except (KafkaError, OSError, TimeoutError):
                pass  # that nobody answers shows in `behind_seconds`
            else:
                self.see([bounds[p][1] for p in sorted(bounds)])
            await asyncio.sleep(LOOK_SECONDS)


async def serve(settings: Settings, state: DumpState) -> HealthServer | None:
    """Metrics and health, where a port is given. Raises MetricsNotServed where it can't be had."""
    if not settings.dump_metrics_port:
        return None
    from tally_stream.stream.health import HealthServer

    host, port = settings.dump_metrics_host, settings.dump_metrics_port
    server = HealthServer(host, port, registry_of(state.samples, DUMP_METRICS), state.readiness)
    try:
        await server.start()
    except OSError as error:
        why = why_not_listening(error)
        raise MetricsNotServed(
            f"metrics of the dump can't be served at {host}:{port}: {why}; another port: --metrics-port or "
            f"TALLY_DUMP_METRICS_PORT"
        ) from error
    return server


class MetricsNotServed(Exception):
    """`args[0]` says why."""
