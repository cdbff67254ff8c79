"""Reads what became of a station's statements: roots from the standings, refusals from the rejections.

Decides the order of reading on which `receipts.py` rests: the standings to their end, then the end of the rejections is asked
for and read to. Of a topic of rejections as long as a flood makes it only those of our own statements and stations are kept, up
to the limits of `receipts.py`; where that does not do, they are read again for what is asked for. Needs no right but to read
these two topics. Read `receipts.py` first.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack
from typing import Any

from tally_stream.domain.election import Election
from tally_stream.domain.rules import Finding
from tally_stream.kafka.client import StoredRecord, TopicReader
from tally_stream.settings import Settings
from tally_stream.station.checking import TURNOUT
from tally_stream.station.receipts import REFUSALS, WAITING, Evidence, RejectionRead, RootRead, StationReceipt, noted
from tally_stream.station.spool import Spooled
from tally_stream.wire.messages import read_published, record_key
from tally_stream.wire.newest import is_root
from tally_stream.wire.reading import ReportReader
from tally_stream.wire.signed import statement_in


class ReceiptReader:
    """`async with`, then `turn` again and again; `receipts` says what is known after each. Raises KafkaError."""

    def __init__(self, settings: Settings, election: Election) -> None:
        self._settings = settings
        self._election = election
        self._readers = AsyncExitStack()
        self._reader = ReportReader(election)
        self._evidence = Evidence()
        self._stations: set[bytes] = set()
        self._again: dict[tuple[int | None, int | None], StationReceipt] = {}
        """Place → what a second reading said of a statement that `turn` is asked for."""

    async def __aenter__(self) -> ReceiptReader:
        async with AsyncExitStack() as opening:
            prefix = self._settings.prefix
            self._standings = await opening.enter_async_context(TopicReader(self._settings, f"{prefix}.standings"))
            self._rejections = await opening.enter_async_context(TopicReader(self._settings, f"{prefix}.rejections"))
            self._readers = opening.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._readers.aclose()

    def watch(self, keys: Iterable[bytes]) -> None:
        """Keep rejections of records under these keys too, of all that is read from now on."""
        self._stations.update(keys)

    async def turn(self, stations: Sequence[Spooled] = ()) -> None:
        """Read both topics to the ends that they have now. `stations`: statements of all stations that are asked for, the same
        in each turn."""
        self.watch(spooled.key for spooled in stations)
        async for records in self._standings.read_to_end():
            self._take_standings(records)
        roots = self._evidence.roots()
        async for records in self._rejections.read_to_end():
            self._take_rejections(records)
        self._evidence.end_reached(roots)
        dropped = self.dropped(stations)
        if dropped:
            found = await self.read_again(dropped)
            self._again |= {(s.partition, s.offset): found[s.id] for s in dropped if found[s.id].is_final}

    def receipts(self, statements: Sequence[Spooled]) -> dict[int, StationReceipt]:
        """Id → what is known of it now."""
        return {spooled.id: self._receipt(spooled, self._evidence) or WAITING for spooled in statements}

    def dropped(self, statements: Sequence[Spooled]) -> list[Spooled]:
        """Those of which it is not known any more what became of them, as their rejections may have been dropped."""
        return [spooled for spooled in statements if self._receipt(spooled, self._evidence) is None]

    async def read_again(self, statements: Sequence[Spooled]) -> dict[int, StationReceipt]:
        """Id → what became of it, by all rejections up to now: of these only those that speak of one of them are kept."""
        evidence, keys = self._evidence.without_rejections(), {spooled.key for spooled in statements}
        places = {(spooled.partition, spooled.offset) for spooled in statements}
        same = [(spooled, self._sameness(spooled)) for spooled in statements]
        roots = evidence.roots()
        async with TopicReader(self._settings, f"{self._settings.prefix}.rejections") as rejections:
            async for records in rejections.read_to_end():
                for read in _rejections_in(records, keys):
                    if (read.partition, read.offset) in places or (
                        read.verdict == "held" and any(s.key == read.key and is_same(read) for s, is_same in same)
                    ):
                        evidence.rejection(read)
        evidence.end_reached(roots)
        return {spooled.id: self._receipt(spooled, evidence) or WAITING for spooled in statements}

    def _receipt(self, spooled: Spooled, evidence: Evidence) -> StationReceipt | None:
        if spooled.partition is None or spooled.offset is None:
            return noted(spooled.receipt)  # it waits, or an intake refused it
        if spooled.key not in self._stations:
            return WAITING  # its rejections were not looked at
        place = spooled.partition, spooled.offset
        found = evidence.receipt(self._contests(spooled), spooled.key, *place, self._sameness(spooled))
        again = self._again.get(place)
        return again if found is None and again is not None and again.definition == evidence.definition else found

    def _sameness(self, spooled: Spooled) -> Callable[[RejectionRead], bool]:
        """Whether a rejected record states the same."""
        stated = self._reader.read(statement_in(spooled.value), spooled.key)

        def is_same(read: RejectionRead) -> bool:
            if (read.key, read.value) == (spooled.key, spooled.value):
                return True
            return not isinstance(stated, Finding) and self._reader.read(statement_in(read.value), read.key) == stated

        return is_same

    def _contests(self, spooled: Spooled) -> list[str]:
        if spooled.sequence != TURNOUT:
            return [spooled.sequence]
        station = self._election.stations.get(spooled.station)
        return [self._election.contests[index].id for index in (station.contests if station else ())]

    def _take_standings(self, records: list[StoredRecord]) -> None:
        for record in records:
            try:
                read = read_published(record.value or b"")
                if is_root(read.area):
                    offsets = {int(partition): offset for partition, offset in read.next_offsets.items()}
                    self._evidence.root(read.contest, RootRead(read.definition, read.version, offsets))
            except ValueError:
                continue  # nothing follows from what is no standings message

    def _take_rejections(self, records: list[StoredRecord]) -> None:
        for read in _rejections_in(records, self._stations):
            self._evidence.rejection(read)


def _rejections_in(records: list[StoredRecord], stations: set[bytes]) -> Iterator[RejectionRead]:
    for record in records:
        read = rejection_of(record.value, stations)
        if read is not None and record.key == record_key(read.partition, read.offset):
            yield read


def rejection_of(value: bytes | None, stations: set[bytes]) -> RejectionRead | None:
    """What a rejection says, where it is of a record under the key of one of `stations`; None of any other bytes."""
    try:
        message: dict[str, Any] = json.loads(value or b"")
        key = _bytes(message["key_base64"])
        if key not in stations or message["verdict"] not in REFUSALS:
            return None
        source, details = message["source"], message["details"]
        return RejectionRead(
            str(message["definition"]), int(source["partition"]), int(source["offset"]), message["verdict"],
            tuple(message["codes"]), tuple(str(detail["message"]) for detail in details), key, _bytes(message["value_base64"]),
        )  # fmt: skip
    except (ValueError, KeyError, TypeError, binascii.Error):
        return None


def _bytes(encoded: str | None) -> bytes | None:
    return None if encoded is None else base64.b64decode(encoded, validate=True)
