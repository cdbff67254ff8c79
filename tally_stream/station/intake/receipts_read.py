"""What became of statements that were taken: the standings and the rejections, read in the background for all who ask.

Decides whose rejections are kept: of the stations whose callers may ask here. Where a station is added, both topics are read
again from their start; until that is done its statements are *waiting*, which is never false. A place that is not known here,
because it was taken before a restart, is looked up in the reports topic; a rejection that was dropped, as there were too many,
in that of the rejections, once for all who ask meanwhile. Read `receipts.py` of the package above first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from tally_stream.domain.election import Election
from tally_stream.domain.report import Control, Turnout
from tally_stream.domain.rules import Finding
from tally_stream.kafka.client import KafkaError, StoredRecord, TopicReader, short
from tally_stream.kafka.rights import NotAllowed
from tally_stream.settings import Settings
from tally_stream.station.checking import TURNOUT
from tally_stream.station.intake.recent import RecentStatement, RecentStatements
from tally_stream.station.receipt_reader import ReceiptReader
from tally_stream.station.receipts import WAITING, StationReceipt
from tally_stream.station.spool import Spooled
from tally_stream.wire.reading import ReportReader
from tally_stream.wire.signed import statement_in

LOOK_SECONDS = 1.0
AGAIN_SECONDS = 5.0
PLACE_SECONDS = 10.0
"""For the reports topic to say what stands at a place."""
LOOKED_UP_MAX = 20_000
LOOKED_UP_MAX_BYTES = 16 * 1024 * 1024
"""What was looked up is remembered: whoever waits for a receipt asks again and again."""

AGAIN_SECONDS_MAX = 30.0
"""For the rejections to be read again, from their start."""
ASKED_MAX = 1_000
"""Statements that wait for that."""


class NotKnownNow(Exception):
    """Nobody can say it now; the operator was told why."""


class ReceiptsRead:
    """`run` it beside the service. `stations` says now whose callers may ask."""

    def __init__(
        self, settings: Settings, election: Election, recent: RecentStatements, stations: Callable[[], Iterable[str]],
        say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._settings, self._election, self._recent, self._stations, self._say = settings, election, recent, stations, say
        self._reader: ReceiptReader | None = None
        self._statements = ReportReader(election)
        self._looked_up = RecentStatements(LOOKED_UP_MAX, LOOKED_UP_MAX_BYTES)
        self._lookup_trouble: str | None = None
        self._looking = asyncio.Lock()
        self._asked: list[tuple[Spooled, asyncio.Future[StationReceipt]]] = []
        self._reading_again: asyncio.Task[None] | None = None
        self.trouble: str | None = "not read yet"
        """Why nothing new is known; None where all is read."""

    async def run(self) -> None:
        try:
            while True:
                try:
                    await self._follow(frozenset(self._stations()))
                except (KafkaError, NotAllowed, OSError, TimeoutError) as error:
                    trouble = short(error)
                    if trouble != self.trouble:
                        self._say(f"receipts are not read on: {trouble}")
                    self.trouble = trouble
                    await asyncio.sleep(AGAIN_SECONDS)
        finally:
            if self._reading_again is not None:
                self._reading_again.cancel()

    async def _follow(self, stations: frozenset[str]) -> None:
        """Until other stations are asked for."""
        async with ReceiptReader(self._settings, self._election) as reader:
            reader.watch(station.encode() for station in stations)
            while stations.issuperset(self._stations()):
                await reader.turn()
                self._reader, self.trouble = reader, None
                await asyncio.sleep(LOOK_SECONDS)

    async def receipt(self, taken: RecentStatement) -> StationReceipt:
        """What is known of it now. Raises NotKnownNow."""
        if self._reader is None:
            return WAITING
        spooled = _as_spooled(taken)
        if not self._reader.dropped([spooled]):
            return self._reader.receipts([spooled])[0]
        if len(self._asked) >= ASKED_MAX:
            raise NotKnownNow
        answer: asyncio.Future[StationReceipt] = asyncio.get_running_loop().create_future()
        self._asked.append((spooled, answer))
        if self._reading_again is None or self._reading_again.done():
            self._reading_again = asyncio.create_task(self._read_again(self._reader))
        return await answer

    async def _read_again(self, reader: ReceiptReader) -> None:
        """The rejections, for all who have asked, until nobody waits."""
        while self._asked:
            asked, self._asked = self._asked, []
            found: dict[int, StationReceipt] | None = None
            try:
                async with asyncio.timeout(AGAIN_SECONDS_MAX):
                    found = await reader.read_again([replace(spooled, id=n) for n, (spooled, _) in enumerate(asked)])
                self._told(None)
            except (KafkaError, NotAllowed, OSError, TimeoutError) as error:
                self._told(short(error) if str(error) else f"the rejections were not read within {AGAIN_SECONDS_MAX:.0f} s")
            for n, (_, answer) in enumerate(asked):
                if answer.done():
                    continue  # who asked has gone
                if found is None:
                    answer.set_exception(NotKnownNow())
                else:
                    answer.set_result(found[n])

    async def statement_at(self, partition: int, offset: int) -> RecentStatement | None:
        """What stands at a place, None where nothing does. Raises NotKnownNow."""
        known = self._remembered(partition, offset)
        if known is not None:
            return known
        try:
            async with asyncio.timeout(PLACE_SECONDS), self._looking:
                known = self._remembered(partition, offset)  # who waited before us may have asked for the same
                record = await self._record_at(partition, offset) if known is None else None
        except (KafkaError, NotAllowed, OSError, TimeoutError) as error:
            self._told(short(error) if str(error) else f"no answer within {PLACE_SECONDS:.0f} s")
            raise NotKnownNow from error
        self._told(None)
        if record is not None:
            known = self._named(record)
            self._looked_up.add(known)
        return known

    def _remembered(self, partition: int, offset: int) -> RecentStatement | None:
        return self._recent.at(partition, offset) or self._looked_up.at(partition, offset)

    def _told(self, trouble: str | None) -> None:
        """To the operator, once until it is over: many may ask."""
        if trouble not in (None, self._lookup_trouble):
            self._say(f"a receipt could not be looked up: {trouble}")
        self._lookup_trouble = trouble

    async def _record_at(self, partition: int, offset: int) -> StoredRecord | None:
        async with TopicReader(self._settings, f"{self._settings.prefix}.reports", is_log=True) as reader:
            bounds = await reader.bounds()
            first, end = bounds.get(partition, (0, 0))
            if not first <= offset < end:
                return None
            await reader.seek({p: offset if p == partition else last for p, (_, last) in bounds.items()})
            while True:
                for record in await reader.poll():
                    if record.partition == partition and record.offset >= offset:
                        return record if record.offset == offset else None

    def _named(self, record: StoredRecord) -> RecentStatement:
        """Under its key's station, which nobody has judged: who asks is held to it all the same."""
        key, value = record.key or b"", record.value or b""
        read = self._statements.read(statement_in(value), key)
        station, name = key.decode("utf-8", "replace"), ("", 0, "")
        if isinstance(read, Turnout):
            name = (TURNOUT, read.revision, TURNOUT)
        elif not isinstance(read, Finding | Control):
            name = (self._election.contests[read.contest].id, read.revision, read.kind)
        return RecentStatement(station, *name, value, record.partition, record.offset)


def _as_spooled(taken: RecentStatement) -> Spooled:
    nothing: dict[str, Any] = {"last_error": None, "sent_ms": None, "receipt": None, "receipt_state": None}
    return Spooled(
        id=0, station=taken.station, sequence=taken.sequence, revision=taken.revision, kind=taken.kind, key=taken.key,
        value=taken.value, kept_ms=0, tries=1, partition=taken.partition, offset=taken.offset, **nothing,
    )  # fmt: skip
