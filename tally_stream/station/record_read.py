"""What the record says of stations, and of an election's keys, read from the reports topic in one pass.

Decides how much is read: the partitions of these stations, and one that has every statement about a key, from their start to
the end that they have now; and that a statement is known that took effect, by the judgement of the count
(`count_of_stations.py`). So an authority's order is known that no station was told of, and what another machine sent. Refuses
to know what follows for the next statement (`checking.py`), and what a key may do (`known_keys.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence

from tally_stream.domain.election import Election
from tally_stream.domain.key_ring import KeyRing
from tally_stream.domain.report import Report, Turnout
from tally_stream.domain.scalars import murmur2_partition
from tally_stream.kafka.client import KafkaError, StoredRecord, TopicReader, short, try_broker
from tally_stream.settings import Settings
from tally_stream.station.count_of_stations import CountOfStations

RECORD_SECONDS = 15.0
"""For the brokers to say what the record says; behind it what is known here is what there is."""
TOOK_EFFECT = ("counted", "held", "conflicting")
"""The last disputes a station; what is repeated, stale or rejected changes nothing."""


class OnRecord(CountOfStations):
    """`take` every record of `partitions`, in the order of the log. Stations that the election does not have are left out;
    `key_id`: the key to ask about."""

    def __init__(self, election: Election, partition_count: int, stations: Collection[str], key_id: str | None = None) -> None:
        own: int | None = None
        if key_id is not None:
            named = election.keys.get(key_id)
            near = named.station if named is not None and named.station else key_id  # an authority's: any, not all of them one
            own = murmur2_partition(near.encode("utf-8", "surrogatepass"), partition_count)
        known = [id for id in stations if id in election.stations]
        super().__init__(election, partition_count, known, () if own is None else (own,))
        self.partitions = frozenset(self.folds)
        self.keys: KeyRing | None = None if own is None else self.folds[own].keys
        """As they are in force, where a key was asked about."""
        self.stated: list[StoredRecord] = []
        """What took effect of these stations, for each partition in its order."""

    def take(self, record: StoredRecord) -> None:
        found = self.count(record)
        if found is not None and isinstance(found[0], Report | Turnout) and found[1].name in TOOK_EFFECT:
            self.stated.append(record)


async def read_record(
    settings: Settings, election: Election, stations: Collection[str], key_id: str | None = None, before: OnRecord | None = None
) -> OnRecord:
    """`before`: what was read of the same before, to go on from. Raises KafkaError, also where records were deleted."""
    async with TopicReader(settings, f"{settings.prefix}.reports", is_log=True) as reader:
        bounds = await reader.bounds()
        found = before
        if found is None or not found.goes_on_in(bounds):
            found = OnRecord(election, len(bounds), stations, key_id)
        for partition in sorted(found.partitions):
            if bounds[partition][0] > 0:
                raise KafkaError(
                    f"{reader.topic} partition {partition} begins at offset {bounds[partition][0]}: records were deleted"
                )
        await reader.seek({p: found.next_offsets.get(p, last) for p, (_, last) in bounds.items()})
        async for records in reader.read_to_end():
            for record in records:
                found.take(record)
    return found


async def ask_record(
    settings: Settings, election: Election, stations: Collection[str], key_id: str | None = None, before: OnRecord | None = None
) -> OnRecord | str:
    """As `read_record`, for RECORD_SECONDS at most; why not, where nobody can be asked."""
    try:
        async with asyncio.timeout(RECORD_SECONDS):
            refusal = await try_broker(settings, lambda line: None)  # who sends says it
            return await read_record(settings, election, stations, key_id, before) if refusal is None else refusal.sentence
    except TimeoutError:
        return f"not read within {RECORD_SECONDS:.0f} s"
    except (KafkaError, OSError) as error:
        return short(error)


def asking(
    settings: Settings, election: Election, say: Callable[[str], None]
) -> Callable[[str], Awaitable[Sequence[StoredRecord]]]:
    """For a `StationClient`: what took effect of a station until now; nothing where nobody can be asked, which is said once.
    Each station's partition is read from its start once, and then from where it was."""
    told: list[str] = []
    read: dict[str, OnRecord] = {}

    async def ask(station: str) -> Sequence[StoredRecord]:
        # What a look that is cut short has taken stays taken: the next one goes on behind it.
        found = await ask_record(settings, election, [station], before=read.get(station))
        if isinstance(found, OnRecord):
            read[station] = found
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
