"""What the worker of a demo refused of its night, from the topic of rejections: standings alone do not tell it.

Decides which rejections are meant: those of this definition, each record once. A worker tells a topic of them before it
publishes standings of those records, so that nothing has to be waited for here. `audit/refusals.py` has the line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tally_stream.audit.refusals import REFUSED, RefusedRecords
from tally_stream.wire.schema.published import Rejection

if TYPE_CHECKING:  # the client is loaded late, so that --help is quick
    from tally_stream.kafka.client import TopicReader


async def refused_lines(reader: TopicReader, definition: str, record_count: int) -> list[str]:
    """Of a topic of rejections that was just opened; [] where nothing was refused."""
    refusals, seen = RefusedRecords(), set()
    is_whole = all(first == 0 for first, _ in (await reader.bounds()).values())  # the embedded broker forgets the oldest
    async for records in reader.read_to_end():
        for record in records:
            rejection = _rejection(record.value)
            if rejection is None or rejection.definition != definition or rejection.verdict not in REFUSED:
                continue
            place = rejection.source.partition, rejection.source.offset
            if place not in seen:
                seen.add(place)
                refusals.add((detail.code, detail.message) for detail in rejection.details)
    return refusals.lines(record_count, "replay --verdicts has all counts", is_whole=is_whole)


def _rejection(value: bytes | None) -> Rejection | None:
    """None of what is no rejection: on a Kafka that others use too, anything may stand there."""
    try:
        return msgspec.json.decode(value or b"", type=Rejection)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
