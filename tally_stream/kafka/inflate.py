"""Inflating a batch into a buffer of fixed size: what a producer compressed never takes more memory than that.

Decides which batches are too large or broken inside, for all four of Kafka's codecs. aiokafka inflates a whole batch
without limit: 8,214 bytes of zstd become 256 MiB. A batch that fits is inflated once and handed to aiokafka's own
class as an uncompressed one. Refuses to know what records say; `batches.py` calls it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import cramjam
from aiokafka.record.default_records import DefaultRecordBatch

BATCH_INFLATED_MAX_BYTES = 16 * 1024 * 1024
"""Every offset of a batch that inflates to more holds no key and no value. All who read the log have the same limit:
another one would give other verdicts for the same records."""

HEADER_BYTES = 61
"""Of a batch of format 2: base offset, length, epoch, magic, checksum, attributes … the count of records."""

_LENGTH = struct.Struct(">i")
_LENGTH_AT, _AFTER_LENGTH_AT, _ATTRIBUTES_AT = 8, 12, 21
_CODEC_BITS = 0x07
_GZIP, _SNAPPY, _LZ4, _ZSTD = 1, 2, 3, 4
_XERIAL_HEADER = b"\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01"
"""Snappy comes in blocks behind this, each with its length, or (librdkafka may) as one raw block."""


class CannotInflate(Exception):
    """The batch is too large inflated, or broken inside although its checksum is right."""


class Inflater:
    """One buffer, made once and used for every batch; not for two threads."""

    def __init__(self) -> None:
        self._buffer = bytearray(HEADER_BYTES + BATCH_INFLATED_MAX_BYTES)
        self._payload = memoryview(self._buffer)[HEADER_BYTES:]

    def uncompressed(self, batch: bytes | memoryview) -> Any:
        """The same batch without compression, to iterate. Its checksum was looked at before, and is no longer right.

        Raises CannotInflate.
        """
        inflate = _CODECS.get(batch[_ATTRIBUTES_AT + 1] & _CODEC_BITS)
        if inflate is None:
            raise CannotInflate("unknown codec")
        try:
            count = inflate(batch[HEADER_BYTES:], self._payload)
        except (cramjam.DecompressionError, struct.error, ValueError) as error:
            raise CannotInflate(str(error)) from error
        buffer = self._buffer
        buffer[:HEADER_BYTES] = batch[:HEADER_BYTES]
        buffer[_ATTRIBUTES_AT + 1] &= ~_CODEC_BITS
        end = HEADER_BYTES + count
        _LENGTH.pack_into(buffer, _LENGTH_AT, end - _AFTER_LENGTH_AT)
        return DefaultRecordBatch(bytes(memoryview(buffer)[:end]))


def _inflate_snappy(data: bytes | memoryview, into: memoryview) -> int:
    if bytes(data[: len(_XERIAL_HEADER)]) != _XERIAL_HEADER:
        return int(cramjam.snappy.decompress_raw_into(data, into))
    at, count = len(_XERIAL_HEADER), 0
    while at < len(data):
        (length,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size
        if not 0 < length <= len(data) - at:
            raise ValueError("a block's length is wrong")
        count += cramjam.snappy.decompress_raw_into(data[at : at + length], into[count:])
        at += length
    return count


_CODECS: dict[int, Callable[[Any, Any], int]] = {
    _GZIP: cramjam.gzip.decompress_into,
    _SNAPPY: _inflate_snappy,
    _LZ4: cramjam.lz4.decompress_into,
    _ZSTD: cramjam.zstd.decompress_into,
}
"""codec → what inflates into a buffer and raises where it does not fit, never growing it."""
