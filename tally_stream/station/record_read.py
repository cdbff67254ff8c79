"""What the record says of stations, and of an election's keys, read from the reports topic in one pass.

Decides how much is read: the partitions of these stations, and one that has every statement about a key, from their start to
the end that they have now; and that a statement is known that took effect, by the judgement of the count: signature, place and
sequence. So an authority's order is known that no station was told of, and what another machine sent. Refuses to know what
follows for the next statement (`checking.py`), and what a key may do (`known_keys.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence

from tally_stream.domain.election import Election, Station
from tally_stream.domain.fold import PartitionFold
from tally_stream.domain.key_ring import KeyRing
from tally_stream.domain.pages import Layout
from tally_stream.domain.report import Report, Turnout
from tally_stream.domain.scalars import murmur2_partition
from tally_stream.kafka.client import KafkaError, StoredRecord, TopicReader, short, try_broker
from tally_stream.settings import Settings
from tally_stream.wire.reading import ReportReader
from tally_stream.wire.run import read_at
from tally_stream.wire.signed import kind_said

RECORD_SECONDS = 15.0
"""For the brokers to say what the record says; behind it what is known here is what there is."""
TOOK_EFFECT = ("counted", "held", "conflicting")
"""The last disputes a station; what is repeated, stale or rejected changes nothing."""


class OnRecord:
    """`take` every record of `partitions`, in the order of the log. Stations that the election does not have are left out;
    `key_id`: the key to ask about."""

    def __init__(self, election: Election, partition_count: int, stations: Collection[str], key_id: str | None = None) -> None:
        self._reader = ReportReader(election)
        self._keys = {id.encode() for id in stations if id in election.stations}
        places: dict[int, list[Station]] = {}
        for key in self._keys:
            places.setdefault(murmur2_partition(key, partition_count), []).append(election.stations[key.decode()])
        own: int | None = None
        if key_id is not None:
            named = election.keys.get(key_id)
            near = named.station if named is not None and named.station else key_id  # an authority's: any, not all of them one
            own = murmur2_partition(near.encode("utf-8", "surrogatepass"), partition_count)
            places.setdefault(own, [])
        layout = Layout(election)
        self._folds = {p: PartitionFold(election, p, partition_count, here, layout) for p, here in places.items()}
        self.partitions = frozenset(places)
        self.keys: KeyRing | None = None if own is None else self._folds[own].keys
        """As they are in force, where a key was asked about."""
        self.stated: list[StoredRecord] = []
        """What took effect of these stations, for each partition in its order."""

    def take(self, record: StoredRecord) -> None:
        """What says plainly that it is about something else is not looked at: nearly all of a night."""
        fold = self._folds.get(record.partition)
        if fold is None or (record.key not in self._keys and not self._is_about_a_key(record.value)):
            return
        fold.next_offset = record.offset  # what lies between is under other keys
        read = read_at(self._reader, fold, record.offset, record.timestamp_ms, record.key, record.value)
        verdict = fold.take(record.offset, record.timestamp_ms, record.key, read)
        if isinstance(read, Report | Turnout) and verdict.name in TOOK_EFFECT:
            self.stated.append(record)

    def _is_about_a_key(self, value: bytes | None) -> bool:
        return self._reader.election.signatures is not None and kind_said(value) in ("key", "")


async def read_record(settings: Settings, election: Election, stations: Collection[str], key_id: str | None = None) -> OnRecord:
    """Raises KafkaError, also where records were deleted."""
    async with TopicReader(settings, f"{settings.prefix}.reports", is_log=True) as reader:
        bounds = await reader.bounds()
        found = OnRecord(election, len(bounds), stations, key_id)
        for partition in sorted(found.partitions):
            if bounds[partition][0] > 0:
                raise KafkaError(
                    f"{reader.topic} partition {partition} begins at offset {bounds[partition][0]}: records were deleted"
                )
        await reader.seek({p: 0 if p in found.partitions else last for p, (_, last) in bounds.items()})
        left = {p for p in found.partitions if bounds[p][1] > 0}
        while left:
            for record in await reader.poll():
                if record.partition in left:
                    found.take(record)
                    if record.offset + 1 >= bounds[record.partition][1]:
                        left.discard(record.partition)
    return found


async def ask_record(
    settings: Settings, election: Election, stations: Collection[str], key_id: str | None = None
) -> OnRecord | str:
    """As `read_record`, for RECORD_SECONDS at most; why not, where nobody can be asked."""
    try:
        async with asyncio.timeout(RECORD_SECONDS):
            refusal = await try_broker(settings, lambda line: None)  # who sends says it
            return await read_record(settings, election, stations, key_id) if refusal is None else refusal.sentence
    except TimeoutError:
        return f"not read within {RECORD_SECONDS:.0f} s"
    except (KafkaError, OSError) as error:
        return short(error)


def asking(
    settings: Settings, election: Election, say: Callable[[str], None]
) -> Callable[[str], Awaitable[Sequence[StoredRecord]]]:
    """For a `StationClient`: what took effect of a station until now; nothing where nobody can be asked, which is said once."""
    told: list[str] = []

    async def ask(station: str) -> Sequence[StoredRecord]:
        found = await ask_record(settings, election, [station])
        if isinstance(found, OnRecord):
            return found.stated
        if not told:
            told.append(found)
            say(not_known(found))
        return ()

    return ask


def not_known(why: str, key_id: str | None = None) -> str:
    """The sentence for it."""
    signs = "" if key_id is None else f", and keys.csv alone says whether {key_id} may sign"
    what = "stations" if key_id is None else "stations and keys"
    return f"what the record says of {what} is not known ({why}): a revision is one above the highest known here{signs}"
