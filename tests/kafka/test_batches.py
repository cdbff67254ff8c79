"""Whole batches as raw records, on aiokafka's own classes: the same records as it hands over, and nulls for the rest."""

import random
from typing import Any

import pytest
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from tests.kafka.fetched import fetched, told

MAGIC, NO_CODEC, ZSTD = 2, 0, 4
CONTROL = 0x20


def a_batch(base: int, count: int, *, codec: int = NO_CODEC, is_transactional: bool = False, is_control: bool = False) -> bytes:
    builder = DefaultRecordBatchBuilder(
        magic=MAGIC, compression_type=codec, is_transactional=is_transactional,
        producer_id=7 if is_transactional else -1, producer_epoch=0, base_sequence=0, batch_size=1 << 20,
    )  # fmt: skip
    for i in range(count):
        builder.append(i, timestamp=1000 + base + i, key=b"k%d" % (base + i), value=b"v%d" % (base + i), headers=[])
    batch = bytearray(builder.build())
    batch[0:8] = base.to_bytes(8, "big")  # as a broker does: the base offset is outside the checksum
    if is_control:
        batch[22] |= CONTROL
    return bytes(batch)


@pytest.mark.parametrize("seed", range(40))
def test_what_aiokafka_hands_over_piece_by_piece(seed: int) -> None:
    order = random.Random(seed)
    data, base, first_end = b"", 100, 0
    for _ in range(order.randint(1, 6)):
        count = order.randint(1, 9)
        data += a_batch(base, count, codec=order.choice([NO_CODEC, ZSTD]))
        first_end = first_end or base + count
        base += count + order.choice([0, 0, 3])  # compaction may leave a hole between batches
    at = order.randint(100, first_end - 1)  # a broker begins with the batch that holds the offset asked for
    ours, positions = fetched(data, at)
    theirs, expected = fetched(data, at, topics=())
    most = order.choice([None, 1, 2, 5, 100])
    pieces: dict[str, list[Any]] = {"ours": [], "theirs": []}
    for name, result in (("ours", ours), ("theirs", theirs)):
        while result.has_more():
            piece = result.getall(most)
            assert most is None or len(piece) <= most
            pieces[name] += map(told, piece)
    assert pieces["ours"] == pieces["theirs"]
    assert [offset for offset, *_ in pieces["ours"]] == sorted({offset for offset, *_ in pieces["ours"]})
    assert positions[-1] == expected[-1]


def test_a_transaction_is_nulls_at_every_offset() -> None:
    data = (
        a_batch(10, 2)
        + a_batch(12, 3, is_transactional=True)
        + a_batch(15, 1, is_transactional=True, is_control=True)
        + a_batch(16, 1)
    )
    result, positions = fetched(data, 10, checks=False)  # the test sets the control bit after the checksum was made
    assert [told(r) for r in result.getall()] == [
        (10, 1010, b"k10", b"v10"), (11, 1011, b"k11", b"v11"),
        (12, 1014, None, None), (13, 1014, None, None), (14, 1014, None, None),
        (15, 1015, None, None),
        (16, 1016, b"k16", b"v16"),
    ]  # fmt: skip
    assert positions[-1] == 17
    assert not result.has_more()


def test_a_broken_checksum_is_raised() -> None:
    data = bytearray(a_batch(0, 3))
    data[-1] ^= 1
    result, _ = fetched(bytes(data), 0)
    with pytest.raises(
        CorruptRecordException, match="log, partition 0: the batch at offset 0 is not what was written, its checksum"
    ):
        result.getall()


def test_a_result_that_is_out_of_date_gives_nothing() -> None:
    result, positions = fetched(a_batch(0, 3), 0)
    positions.append(2)  # a seek since
    assert result.getall() == []
    assert not result.has_more()
