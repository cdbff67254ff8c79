"""A night's statements through an intake: many at once, each station's in their order, each until it is taken.

Decides how many are under way, and when one that was told to come again does: as any client, not before the
intake said, and each time later. Refuses to know where statements come from. Read `sending.py` next.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial

from tally_stream.station.client import pause_seconds
from tally_stream.station.transport import NotSent, RefusedForGood, Transport
from tally_stream.wire.report_log import LogRecord

REFUSED_SHOWN_MAX = 5


@dataclass(slots=True)
class Played:
    """`taken`: statements that the brokers have; `told_to_wait`: answers to come again, or none; `refused`: statements that are
    never taken, the first ones with why in `whys`."""

    taken: int = 0
    told_to_wait: int = 0
    refused: int = 0
    whys: tuple[str, ...] = ()


async def play(
    records: Iterable[LogRecord], transport: Transport, say: Callable[[str], object], *,
    at_once: int, wait: Callable[[int], Awaitable[None]] | None = None, on_taken: Callable[[int], object] = lambda n: None,
) -> Played:  # fmt: skip
    """Send each record's value under its key, in their order as far as one station goes. `wait(index)` is awaited before each
    (the pace); `say` is told the first time why one was not; `on_taken` how many were. Raises NotTaken."""
    played = Played()
    room = asyncio.Semaphore(at_once)
    newest: dict[bytes, asyncio.Task[None]] = {}
    try:
        async with asyncio.TaskGroup() as group:
            for index, record in enumerate(records):
                key, value = record.key, record.value
                assert key is not None, "a night for an intake has no others"
                assert value is not None, "the same"
                if wait is not None:
                    await wait(index)
                await room.acquire()
                task = group.create_task(_behind(newest.get(key), key, value, transport, played, say))
                newest[key] = task
                task.add_done_callback(partial(_through, key, newest, room))
                on_taken(played.taken)
    except* Exception as errors:
        raise errors.exceptions[0] from None
    on_taken(played.taken)
    return played


def _through(key: bytes, newest: dict[bytes, asyncio.Task[None]], room: asyncio.Semaphore, done: asyncio.Task[None]) -> None:
    room.release()
    if newest.get(key) is done:
        del newest[key]


async def _behind(
    before: asyncio.Task[None] | None, key: bytes, value: bytes, transport: Transport, played: Played,
    say: Callable[[str], object],
) -> None:  # fmt: skip
    """`before`: the statement of the same station that goes first."""
    if before is not None:
        await asyncio.wait({before})
    failures = 0
    while True:
        try:
            await transport.send(key, value)
        except NotSent as error:
            failures += 1
            played.told_to_wait += 1
            if played.told_to_wait == 1:
                say(f"{error}; it is tried again until it is taken")
            await asyncio.sleep(pause_seconds(failures, error.retry_seconds, random.random()))
        except RefusedForGood as error:
            played.refused += 1
            played.whys = (*played.whys, str(error))[:REFUSED_SHOWN_MAX]
            return
        else:
            played.taken += 1
            return
