"""A competitor's process seen from outside: CPU seconds, peak memory, its first word, its last totals.

Decides how all are measured alike: from the first record in hand (start of the process, joining the group and loading
are not throughput) to the moment at which the message that includes every record was read from the output topic.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tally_stream.kafka.client import TopicReader
from tally_stream.settings import Settings


class NoFigure(Exception):
    """Why a run has no figure: `args[0]` is a sentence."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One run of one competitor."""

    reports_per_s: float
    cpu_s_per_million: float
    rss_bytes: int

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


def figure(counted: int, seconds: float, cpu: float, rss_bytes: int) -> Figure:
    """Of `counted` records behind those already in hand when the clock began. Raises NoFigure where there were none."""
    if counted <= 0:
        raise NoFigure("all records came in the first batch: the load is too small")
    return Figure(counted / seconds, cpu / counted * 1e6, rss_bytes)


def peak_rss_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    return 0


Included = Callable[[Any], int]
"""How many records an output message includes."""


async def wait_included(
    settings: Settings,
    topic: str,
    records: int,
    included: Included,
    *,
    key: bytes | None = None,
    limit_seconds: float,
    is_alive: Callable[[], bool],
) -> tuple[float, Any]:
    """(`perf_counter`, message) when a message with all `records` was read. Only the newest of `key` in each fetch is
    parsed: reading must not take the competitor's CPU. Raises NoFigure after the limit or when the process ended."""
    most = 0
    async with TopicReader(settings, topic) as reader:
        end = time.monotonic() + limit_seconds
        while time.monotonic() < end:
            found = [r for r in await reader.poll() if r.value is not None and (key is None or r.key == key)]
            if found:
                message = json.loads(found[-1].value or b"")
                most = included(message)
                if most >= records:
                    return time.perf_counter(), message
            if not is_alive():
                raise NoFigure(f"the process ended; {most:,} of {records:,} records were in its standings")
    raise NoFigure(f"no standings with all records within {limit_seconds:.0f} s; the last had {most:,} of {records:,}")
