"""What a batch inflates to is bounded, and what can't be inflated is offsets without key and value; on raw bytes."""

import io
import random
import struct
import tracemalloc
from typing import Any

import cramjam
import pytest
from aiokafka.codec import gzip_encode, lz4_encode, snappy_encode, zstd_encode
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

from tally_stream.cli.dump import FRAME_CONTENT_BYTES
from tally_stream.kafka.batches import NullRecord
from tally_stream.kafka.inflate import BATCH_INFLATED_MAX_BYTES, HEADER_BYTES
from tally_stream.wire.limits import LOG_LINE_MAX_BYTES, LOG_PARTITIONS_MAX
from tally_stream.wire.report_log import LogRecord, encode_line
from tally_stream.wire.saved_log import encode_frame, frames
from tests.kafka.fetched import fetched, told

CODECS = {"gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
MAGIC = 2
KEY = b"k"


def a_batch(codec: int, values: list[bytes]) -> bytes:
    builder = DefaultRecordBatchBuilder(
        magic=MAGIC, compression_type=codec, is_transactional=0, producer_id=-1, producer_epoch=0, base_sequence=0,
        batch_size=1 << 30,
    )  # fmt: skip
    for i, value in enumerate(values):
        builder.append(i, timestamp=1000 + i, key=KEY, value=value, headers=[])
    return bytes(builder.build())


def compressed(codec: int, payload: bytes) -> bytes:
    encode = {0: bytes, 1: gzip_encode, 2: snappy_encode, 3: lz4_encode, 4: zstd_encode}[codec]
    return bytes(encode(payload))


def with_payload(batch: bytes, payload: bytes, codec: int | None = None) -> bytes:
    """The batch with another payload and a right checksum, as a hostile producer can make it."""
    changed = bytearray(batch[:HEADER_BYTES] + payload)
    if codec is not None:
        changed[22] = codec
    struct.pack_into(">i", changed, 8, len(changed) - 12)
    struct.pack_into(">I", changed, 17, calc_crc32c(bytes(changed[21:])))
    return bytes(changed)


def read(batch: bytes, most: int | None = None) -> list[Any]:
    result, positions = fetched(batch, 0)
    records: list[Any] = []
    while result.has_more():
        records += result.getall(most)
    assert positions[-1] == (records[-1].offset + 1 if records else 0)
    return records


def inflating_to(size: int, codec: int) -> bytes:
    """A batch of two records whose payload is exactly `size` bytes inflated."""
    small = len(a_batch(0, [b"first", bytes(size // 2)])) - HEADER_BYTES - size // 2
    length = size - small
    while len(plain := a_batch(0, [b"first", bytes(length)])) - HEADER_BYTES != size:
        length += size - (len(plain) - HEADER_BYTES)
    return a_batch(codec, [b"first", bytes(length)])


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_at_the_limit_a_batch_is_read_and_one_byte_past_it_every_offset_is_empty(codec: int) -> None:
    at_limit = read(inflating_to(BATCH_INFLATED_MAX_BYTES, codec))
    assert [(r.offset, r.key) for r in at_limit] == [(0, KEY), (1, KEY)]
    assert at_limit[0].value == b"first"
    past = read(inflating_to(BATCH_INFLATED_MAX_BYTES + 1, codec))
    assert [told(r) for r in past] == [(0, 1001, None, None), (1, 1001, None, None)]


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_a_batch_that_inflates_to_256_mib_takes_no_memory(codec: int) -> None:
    batch = a_batch(codec, [bytes(256 << 20)])
    tracemalloc.start()
    try:
        records = read(batch)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [told(r) for r in records] == [(0, 1000, None, None)]
    assert peak < 2 * BATCH_INFLATED_MAX_BYTES + 4 * len(batch)


def test_the_offsets_of_one_batch_of_a_billion_come_piece_by_piece() -> None:
    batch = bytearray(a_batch(CODECS["zstd"], [b"x"]))
    struct.pack_into(">i", batch, 23, 1_000_000_000 - 1)  # last offset delta
    hostile = with_payload(bytes(batch), b"no frame")
    result, positions = fetched(hostile, 0)
    assert [told(r)[0] for r in result.getall(500)] == list(range(500))
    assert [told(r)[0] for r in result.getall(500)] == list(range(500, 1000))
    assert positions[-1] == 1000
    assert result.has_more()


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
@pytest.mark.parametrize("seed", range(60))
def test_a_broken_payload_with_a_right_checksum_gives_every_offset_once(codec: int, seed: int) -> None:
    order = random.Random(seed)
    values = [order.randbytes(order.randint(0, 40)) for _ in range(order.randint(1, 12))]
    batch = a_batch(codec, values)
    payload = bytearray(batch[HEADER_BYTES:])
    for _ in range(order.randint(1, 3)):
        match order.randrange(3):
            case 0:
                payload[order.randrange(len(payload))] ^= 1 << order.randrange(8)
            case 1:
                del payload[order.randrange(len(payload)) :]
                payload += b"\x00"
            case _:
                at = order.randrange(len(payload))
                payload[at:at] = order.randbytes(3)
    records = read(with_payload(batch, bytes(payload)), order.choice([None, 1, 3]))
    nulls = [r.offset for r in records if isinstance(r, NullRecord)]
    assert nulls == list(range(len(values) - len(nulls), len(values))), "empty from the first that is broken on"


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_every_truncation_of_a_payload_is_empty_offsets(codec: int) -> None:
    batch = a_batch(codec, [b"one" * 9, b"two" * 9])
    assert [r.value for r in read(batch)] == [b"one" * 9, b"two" * 9]
    for length in range(len(batch) - HEADER_BYTES):
        cut = read(with_payload(batch, batch[HEADER_BYTES : HEADER_BYTES + length]))
        assert [r.offset for r in cut] == [0, 1], length
        assert cut[1].value is None, length


def test_snappy_as_one_raw_block_is_read_as_aiokafka_reads_it() -> None:
    batch = a_batch(CODECS["snappy"], [b"one", b"two"])
    plain = a_batch(0, [b"one", b"two"])[HEADER_BYTES:]
    raw = with_payload(batch, bytes(cramjam.snappy.compress_raw(plain)))
    assert [r.value for r in read(raw)] == [b"one", b"two"]


def test_an_unknown_codec_is_empty_offsets() -> None:
    batch = bytearray(a_batch(CODECS["zstd"], [b"one"]))
    batch[22] |= 0x07
    assert [told(r) for r in read(with_payload(bytes(batch), bytes(batch[HEADER_BYTES:])))] == [(0, 1000, None, None)]


@pytest.mark.parametrize("codec", [0, *CODECS.values()])
@pytest.mark.parametrize(("last", "expected"), [(0, [b"a"]), (2, [b"a", b"b", b"c"]), (4, [b"a", b"b", b"c", None, None])])
def test_a_batch_that_lies_about_how_many_it_holds_gives_each_offset_once(
    codec: int, last: int, expected: list[bytes | None]
) -> None:
    batch = bytearray(a_batch(codec, [b"a", b"b", b"c"]))
    struct.pack_into(">i", batch, 23, last)
    records = read(with_payload(bytes(batch), bytes(batch[HEADER_BYTES:])))
    assert [(r.offset, r.value) for r in records] == list(enumerate(expected))


@pytest.mark.parametrize("codec", [0, *CODECS.values()])
def test_a_header_whose_name_is_no_text_is_empty_offsets_from_there_on(codec: int) -> None:
    """aiokafka's compiled class decodes the name, and what it raises is none of its own errors."""
    builder = DefaultRecordBatchBuilder(
        magic=MAGIC, compression_type=0, is_transactional=0, producer_id=-1, producer_epoch=0, base_sequence=0,
        batch_size=1 << 20,
    )  # fmt: skip
    for offset, headers in enumerate([[("good", b"x"), ("none", None)], [("NAME", b"x")], []]):
        builder.append(offset, timestamp=1000, key=KEY, value=b"v", headers=headers)
    plain = bytes(builder.build()).replace(b"NAME", b"\xff\xfeME")
    batch = with_payload(plain, compressed(codec, plain[HEADER_BYTES:]), codec)
    assert [(r.offset, r.value) for r in read(batch)] == [(0, b"v"), (1, None), (2, None)]


def varint(number: int) -> bytes:
    folded, found = (number << 1) ^ (number >> 63), b""
    while folded > 0x7F:
        found, folded = found + bytes([folded & 0x7F | 0x80]), folded >> 7
    return found + bytes([folded])


@pytest.mark.parametrize("where", ["record", "key", "value", "header name", "header value"])
@pytest.mark.parametrize("length", [2**63 - 1, 2**63 - 40, 2**62, 2**40, 2**31, 10_000, -(2**63), -2])
def test_a_length_that_is_a_lie_is_empty_offsets_from_there_on(where: str, length: int) -> None:
    """aiokafka's compiled class adds it to a position: what overflows is too large for a byte string, or for memory."""
    parts = {
        "key": varint(1) + KEY,
        "value": varint(1) + b"v",
        "header name": varint(1) + b"n",
        "header value": varint(1) + b"x",
    }
    lies = {name: (varint(length) + part[1:] if name == where else part) for name, part in parts.items()}

    def record(offset: int, parts: dict[str, bytes], said: int | None = None) -> bytes:
        body = (
            bytes(2) + varint(offset) + parts["key"] + parts["value"] + varint(1) + parts["header name"] + parts["header value"]
        )
        return varint(len(body) if said is None else said) + body

    payload = b"".join(record(offset, parts) for offset in range(4))
    said = length if where == "record" else None
    for rest in (record(4, lies, said), record(4, lies, said) + record(5, parts)):
        batch = bytearray(a_batch(0, [b""] * 6))
        found = [(r.offset, r.value) for r in read(with_payload(bytes(batch), payload + rest))]
        assert found[:4] == [(offset, b"v") for offset in range(4)]
        assert found[4:] == [(4, None), (5, None)]


def test_memory_that_is_short_is_no_lie_of_a_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends the worker: another one must not count what this one could not read."""

    class Short:
        def __init__(self, _: int) -> None:
            raise MemoryError

    monkeypatch.setattr("tally_stream.kafka.batches.bytes", Short, raising=False)
    payload = varint(30) + bytes(3) + varint(1) + KEY + varint(2**63 - 40) + bytes(40)
    with pytest.raises(MemoryError):
        read(with_payload(a_batch(0, [b"x" * 40, b""]), a_batch(0, [b"x" * 40])[HEADER_BYTES:] + payload))


@pytest.mark.parametrize("codec", [0, *CODECS.values()])
def test_records_out_of_their_place_are_empty_offsets_from_there_on(codec: int) -> None:
    builder = DefaultRecordBatchBuilder(
        magic=MAGIC, compression_type=codec, is_transactional=0, producer_id=-1, producer_epoch=0, base_sequence=0,
        batch_size=1 << 20,
    )  # fmt: skip
    for offset in (0, 5, 2):
        builder.append(offset, timestamp=1000, key=KEY, value=b"v", headers=[])
    assert [(r.offset, r.value) for r in read(bytes(builder.build()))] == [(0, b"v"), (1, None), (2, None)]


def test_whatever_a_batch_inflates_to_can_be_saved_as_one_line() -> None:
    record = LogRecord(1_730_000_000_000, b"", b"\x01" * BATCH_INFLATED_MAX_BYTES, LOG_PARTITIONS_MAX - 1, 1 << 62)
    line = encode_line(record, with_position=True)
    assert len(line) < 6 * BATCH_INFLATED_MAX_BYTES + 1024 <= LOG_LINE_MAX_BYTES, "as text, by others, it may be as long"
    assert next(frames(io.BytesIO(encode_frame(bytes(FRAME_CONTENT_BYTES) + line))))[1][FRAME_CONTENT_BYTES:] == line
