"""What the record says of an election's keys, read from the reports topic: those of keys.csv with all key statements since.

Decides how much is read: one partition, from its start to the end that it has now. Each has a copy of every statement about a
key, and what lies in one is a small part of a night. Refuses to know what a key may do (`known_keys.py`). Read
`wire/signed.py` next.
"""

from __future__ import annotations

from tally_stream.domain.election import Election
from tally_stream.domain.key_ring import KeyRing
from tally_stream.domain.report import KeyStatement
from tally_stream.domain.scalars import murmur2_partition
from tally_stream.kafka.client import KafkaError, StoredRecord, TopicReader
from tally_stream.settings import Settings
from tally_stream.wire.reading import ReportReader
from tally_stream.wire.signed import kind_said, read_signed
from tally_stream.wire.signing import Signing


async def read_keys(settings: Settings, election: Election, key_id: str) -> KeyRing:
    """The keys as they are in force now, in the partition of the station for which this key signs. Raises KafkaError."""
    ring, reports = KeyRing(election.keys), ReportReader(election)
    named = election.keys.get(key_id)
    near = named.station if named is not None and named.station else key_id  # an authority's: any, and not all of them one
    async with TopicReader(settings, f"{settings.prefix}.reports", is_log=True) as reader:
        bounds = await reader.bounds()
        own = murmur2_partition(near.encode("utf-8", "surrogatepass"), len(bounds))
        first, end = bounds[own]
        if first > 0:
            raise KafkaError(f"{reader.topic} partition {own} begins at offset {first}: records were deleted")
        await reader.seek({p: 0 if p == own else last for p, (_, last) in bounds.items()})
        position = 0
        while position < end:
            for record in await reader.poll():
                if record.partition == own:
                    take_key(ring, reports, record)
                    position = record.offset + 1
    return ring


def take_key(ring: KeyRing, reports: ReportReader, record: StoredRecord) -> None:
    """Bring a statement about a key into force, if the record is one whose signature is right. What says plainly that it is
    another kind is not looked at: nearly all of them."""
    if kind_said(record.value) not in ("key", ""):
        return
    read = read_signed(reports, Signing(ring, record.timestamp_ms), record.value, record.key)
    if isinstance(read, KeyStatement):
        ring.take(read)
