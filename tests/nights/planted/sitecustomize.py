"""Faults planted into a process of the product before it starts: Python imports this file where PYTHONPATH names its folder.

`TALLY_TEST_PLANTED` is `name` or `name=argument`, several joined by commas; nothing is planted without it.
"""

import asyncio
import os
from typing import Any


def crash_at(offset: str) -> None:
    """The code fails on the record of partition 0 at this offset, unless a skip passes over it."""
    from tally_stream.stream import counting
    from tally_stream.wire.run import RecordCrash

    real = counting.read_run  # type: ignore[attr-defined]  # its own name for what it imports

    def read_run(reader: Any, fold: Any, records: Any, ahead: Any) -> Any:
        for index, record in enumerate(records):
            if fold.partition == 0 and record.offset == int(offset) and record.offset not in fold.skipped_offsets:
                real(reader, fold, records[:index], ahead)
                raise RecordCrash(record.offset) from ZeroDivisionError("planted")
        return real(reader, fold, records, ahead)

    counting.read_run = read_run  # type: ignore[attr-defined, assignment]


def hang_at(offset: str) -> None:
    """Counting waits for ever before the run of partition 0 that holds this offset."""
    from tally_stream.stream.counting import Counting

    real = Counting.take

    async def take(self: Any, run: Any, event: Any) -> None:
        if run.partition == 0 and run.records[-1].offset >= int(offset):
            await asyncio.Event().wait()
        await real(self, run, event)

    Counting.take = take  # type: ignore[method-assign]


def no_commits() -> None:
    """The group refuses every commit."""
    from tally_stream.stream.faust.consumer import RunConsumer

    async def refuse(self: Any, offsets: Any, start_new_transaction: bool = True) -> bool:
        return False

    RunConsumer._commit_offsets = refuse  # type: ignore[method-assign]  # noqa: SLF001  (a fault is planted in its place)


def wrong_sum() -> None:
    """Stage 2 finds its totals impossible: what a broken invariant looks like."""
    from tally_stream.stream.invariant import BrokenInvariant
    from tally_stream.stream.publishing import Publishing, _Batch

    real = Publishing._render  # noqa: SLF001  (a fault is planted in its place)

    async def render(self: Publishing, index: int, batch: _Batch, *, is_root_due: bool) -> None:
        if sum(self.offsets(index)) > 0:
            raise BrokenInvariant("planted: the totals do not add up")
        await real(self, index, batch, is_root_due=is_root_due)

    Publishing._render = render  # type: ignore[method-assign]  # noqa: SLF001  (a fault is planted in its place)


def stall_seconds(limit: str) -> None:
    from tally_stream.stream import watches

    watches.STALL_SECONDS = float(limit)
    watches.STALL_LOOK_SECONDS = float(limit) / 10


def answer_seconds(limit: str) -> None:
    """Who sends waits so long for the brokers to acknowledge."""
    from tally_stream.station import transport

    transport.ANSWER_SECONDS = float(limit)


for planted in filter(None, os.environ.get("TALLY_TEST_PLANTED", "").split(",")):
    name, _, argument = planted.partition("=")
    globals()[name](*([argument] if argument else []))
