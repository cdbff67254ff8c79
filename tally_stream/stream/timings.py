"""How long this worker takes: a flush, a publication, and from a broker's acknowledgement of a report to standings with it.

Decides which records count in the last, and from when on: `metrics.py` says it in one sentence. Each is noted once a flush or
publication, whatever many records that had. Refuses to know clocks: the caller says how long, or what time it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tally_stream.domain.pages import Mark
from tally_stream.metrics import MEASURED_SECONDS_MAX, Histogram


class Timings:
    """Of one worker process, over all its ownerships."""

    def __init__(self) -> None:
        self.flush = Histogram()
        self.publication = Histogram()
        self.acknowledged_to_published = Histogram()
        self._published: list[int] = []
        """Partition → offset below which all records were in standings when they were last looked at."""

    def begin_ownership(self, published: Mapping[int, int], partition_count: int) -> None:
        """What any root says is published already, by whoever: that is not measured again."""
        self._published = [published.get(partition, 0) for partition in range(partition_count)]

    def note_published(self, marks: Sequence[Mark], now_seconds: float) -> None:
        """A broker has acknowledged at `now_seconds` (since 1970) everything that these marks changed."""
        for mark in marks:
            count = mark.next_offset - self._published[mark.partition]
            if count <= 0:
                continue
            self._published[mark.partition] = mark.next_offset
            if mark.newest_ms is None:
                continue
            seconds = now_seconds - mark.newest_ms / 1000
            if seconds <= MEASURED_SECONDS_MAX:
                self.acknowledged_to_published.observe(seconds, count)
