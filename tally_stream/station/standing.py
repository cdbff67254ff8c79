"""What stands on the reports topic already, compared with the log that should stand there.

Decides whether a topic holds a beginning of a log and nothing else, in 16 bytes a record, however long the log is.
Refuses to know where a record belongs; `night.py` lays a night out, `restore.py` has a saved log that says so itself.
"""

from __future__ import annotations

import struct
from hashlib import blake2b

from tally_stream.kafka.client import StoredRecord, TopicReader
from tally_stream.settings import Settings
from tally_stream.wire.report_log import LogRecord

FINGERPRINT_BYTES = 16
_ABSENT = -1


class StandsOtherwise(Exception):
    """The topic holds something else: `args[0]` says what, as the end of a sentence about partition and offset."""

    def __init__(self, partition: int, offset: int, what: str) -> None:
        super().__init__(what)
        self.partition, self.offset = partition, offset


class Fingerprints:
    """What each offset of each partition should hold; `add` in log order. `with_times`: the timestamps count too."""

    def __init__(self, partitions: int, *, with_times: bool) -> None:
        self._with_times = with_times
        self._found = [bytearray() for _ in range(partitions)]

    def add(self, partition: int, record: LogRecord) -> None:
        self._found[partition] += self._of(record)

    @property
    def next_offsets(self) -> dict[int, int]:
        return {p: len(found) // FINGERPRINT_BYTES for p, found in enumerate(self._found)}

    def holds(self, record: StoredRecord) -> bool:
        """Whether this record should stand where it does."""
        at = record.offset * FINGERPRINT_BYTES
        return self._found[record.partition][at : at + FINGERPRINT_BYTES] == self._of(record)

    def _of(self, record: LogRecord | StoredRecord) -> bytes:
        key, value = record.key, record.value
        # Lengths first: no two records have the same bytes here.
        sizes = struct.pack("<qq", _ABSENT if key is None else len(key), _ABSENT if value is None else len(value))
        digest = blake2b(sizes, digest_size=FINGERPRINT_BYTES)
        digest.update(key or b"")
        digest.update(value or b"")
        if self._with_times:
            digest.update(struct.pack("<q", record.timestamp_ms))
        return digest.digest()


async def standing(settings: Settings, topic: str, due: Fingerprints) -> dict[int, int]:
    """Partition → next offset of the topic, which holds a beginning of each partition's part of the log.

    Raises StandsOtherwise where it holds anything else, or has lost its first records.
    """
    async with TopicReader(settings, topic, is_log=True) as reader:
        bounds = await reader.bounds()
        next_offsets = due.next_offsets
        reached = dict.fromkeys(bounds, 0)
        for partition, (start, end) in sorted(bounds.items()):
            if start > 0:
                raise StandsOtherwise(partition, 0, f"the topic begins at offset {start}: records were deleted")
            if end > next_offsets[partition]:
                raise StandsOtherwise(partition, next_offsets[partition], f"the log ends here, the topic at offset {end}")
        async for records in reader.read_to_end():
            for record in records:
                if record.offset != reached[record.partition] or not due.holds(record):
                    raise StandsOtherwise(record.partition, reached[record.partition], "another record stands here")
                reached[record.partition] += 1
    return reached
