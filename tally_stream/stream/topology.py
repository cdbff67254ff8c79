"""The two stages one under the other: which topic feeds which agent, and what each does with a run.

  <p>.reports  ─► stage 1 (counting.py): decode → judge → evolve ─► <p>.rejections, <p>.changes ─► <p>.partials
  <p>.partials ─► stage 2 (merging.py): newest per partition → add → roll up ─► <p>.standings

An event is a run: what one fetch returned of one partition (runs.py). Stage 1 acks a run when everything it led to
was acknowledged; stage 2 acks at once, because it reads partials from the start whenever it becomes their owner.
"""

from __future__ import annotations

from typing import Any

from tally_stream.kafka.topics import Topics
from tally_stream.stream.counting import Counting
from tally_stream.stream.faust.app import RunApp, guarded, run_topic
from tally_stream.stream.merging import Merging


def declare(app: RunApp, topics: Topics, counting: Counting, merging: Merging) -> None:
    """Declare both agents on the app; its transport must be installed."""

    async def count_reports(stream: Any) -> None:
        async for event in stream.noack().events():
            await counting.take(event.value, event)

    async def merge_partials(stream: Any) -> None:
        async for event in stream.noack().events():
            merging.take(event.value.records)
            event.ack()

    app.agent(run_topic(app, topics.reports), name="count_reports")(guarded(count_reports))
    app.agent(run_topic(app, topics.partials), name="merge_partials")(guarded(merge_partials))
