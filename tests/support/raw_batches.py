"""Batches that no well-behaved client makes, written to a topic byte for byte."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from tally_stream.settings import Settings

REQUEST_MAX_BYTES = 16 * 1024 * 1024
NONE, ZSTD = 0, 4
"""Codecs, as a batch's attributes have them."""

Headers = Sequence[tuple[str, bytes]]


class RawBatch(BatchBuilder):  # type: ignore[misc]
    """A finished batch in the place of the client's own builder, which would refuse it or make it right."""

    def __init__(self, content: bytes, count: int) -> None:
        super().__init__(len(content), NONE)
        self._buffer, self._relative_offset = content, count
        self.close()


def a_batch(codec: int, records: Sequence[tuple[bytes | None, bytes | None, Headers]]) -> bytes:
    builder = DefaultRecordBatchBuilder(
        magic=2, compression_type=codec, is_transactional=0, producer_id=-1, producer_epoch=-1, base_sequence=-1,
        batch_size=1 << 30,
    )  # fmt: skip
    for offset, (key, value, headers) in enumerate(records):
        builder.append(offset, timestamp=1_707_330_000_000, key=key, value=value, headers=headers)
    return bytes(builder.build())


def write(settings: Settings, partition: int, *batches: tuple[bytes, int]) -> None:
    """Each (batch, how many records it has) to the reports topic, acknowledged, one after the other."""

    async def main() -> None:
        async with AIOKafkaProducer(
            bootstrap_servers=settings.bootstrap, max_request_size=REQUEST_MAX_BYTES, acks="all", linger_ms=0
        ) as producer:
            for content, count in batches:
                raw = RawBatch(content, count)
                await (await producer.send_batch(raw, f"{settings.prefix}.reports", partition=partition))

    asyncio.run(main())
