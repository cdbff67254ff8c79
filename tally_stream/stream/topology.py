"""The steps of a report, one under the other: which topic feeds which stage, what each does with a run, and what leaves.

  <p>.reports
    │   what a fetch returned becomes a run         faust/consumer.py   RunConsumer.getmany
    ▼
  stage 1: count_reports
    │ 1 the run goes on where the fold stands       counting.py   Counting.take
    │ 2 bytes become a statement, or a refusal      wire/run.py, which asks wire/reading.py, wire/exact.py
    │ 3 the rules judge it, the ledger notes it     domain/rules.py, domain/ledger.py
    │ 4 it moves the sums of its area               domain/fold.py, domain/tally.py
    │ 5 refusals and falls leave first              counting.py   Counting._send_outbox   ─► <p>.rejections, <p>.changes
    │ 6 then the pages that changed, and the mark   counting.py   Counting._flush         ─► <p>.partials
    │ 7 then the run is acked, and committed        counting.py   Counting._ack           ─► the group's offset
    ▼
  <p>.partials
    │
    ▼
  stage 2: merge_partials
    │ 8 pages count once a mark is complete         merging.py    Merging.take, which asks pages.py
    │ 9 partitions are added, areas rolled up       domain/standings.py
    │ 10 areas leave, then the root                 publishing.py Publishing.publish
    ▼
  <p>.standings

An event is a run: what one fetch returned of one partition (`runs.py`). Stage 1 acks it when everything it led to was
acknowledged; stage 2 acks at once, because it reads partials from the start whenever it becomes their owner. Both send
through `outlet.py`. This module decides only who gets which topic; `worker.py` puts the rest together.
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
