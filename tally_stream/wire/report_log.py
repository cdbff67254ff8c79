"""A report log: JSON Lines, optionally gzip; a recorded night, or a saved log with partitions and offsets.

Decides whether a file is a log that can be trusted to the last byte: complete per partition from offset 0, checksums
right. Refuses to know what the records say.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated, Literal, cast

import msgspec

from tally_stream.wire.limits import (
    LOG_LINE_MAX_BYTES,
    LOG_PARTITIONS_MAX,
    LOG_TIMESTAMP_MAX_MS,
    LOG_TIMESTAMP_MIN_MS,
    VALUE_MAX_BYTES,
)
from tally_stream.wire.saved_log import FRAME_START, Frames

RECORDED_TOPIC = "tally.reports"
DAMAGED_BITS_MAX = 4
"""A file that begins like a frame of `dump`, up to so many bits, is one, perhaps damaged: it is read frame by frame, and
nothing in it may be otherwise. Block gzip (BGZF), the nearest other format, differs in eleven."""


class LogError(Exception):
    """The file is no report log: `args[0]` is a sentence with file and line."""


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One record in log order. `timestamp_ms` is milliseconds since 1970 UTC."""

    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    partition: int
    offset: int


class _RecordLine(msgspec.Struct, forbid_unknown_fields=True):
    timestamp: Annotated[int, msgspec.Meta(ge=LOG_TIMESTAMP_MIN_MS, le=LOG_TIMESTAMP_MAX_MS)]
    key: str | None = None
    key_base64: str | None = None
    value: str | None = None
    value_base64: str | None = None
    partition: int | None = None
    offset: int | None = None


class _HeaderLine(msgspec.Struct, forbid_unknown_fields=True):
    log: Literal[1]
    topic: str
    partitions: Annotated[int, msgspec.Meta(ge=1, le=LOG_PARTITIONS_MAX)]


class _ChecksumLine(msgspec.Struct, forbid_unknown_fields=True):
    records: int
    sha256: str


_decode_record = msgspec.json.Decoder(_RecordLine).decode
_decode_header = msgspec.json.Decoder(_HeaderLine).decode
_decode_checksum = msgspec.json.Decoder(_ChecksumLine).decode
_NOT_DECODED = (msgspec.MsgspecError, UnicodeDecodeError)


class ReportLog:
    """Open with a path; `topic` and `partition_count` (None: a recorded night) are known at once; then iterate."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.topic = RECORDED_TOPIC
        self.checksums = 0
        """Checksum lines met by the newest iteration."""
        self.uncovered = 0
        """Records after the last of them."""
        self.partition_count: int | None = None
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise LogError(f"{path}: not a regular file; a log is read more than once, so save it to one first")
        for _, raw in self._lines():
            try:
                header = _decode_header(raw)
            except _NOT_DECODED:
                self._parse(1, raw)
            else:
                self.topic, self.partition_count = header.topic, header.partitions
            break

    def __iter__(self) -> Iterator[LogRecord]:
        """Records in log order. Raises LogError at the first line that is wrong, naming it."""
        next_offsets = [0] * (self.partition_count or 1)
        digest, since = hashlib.sha256(), 0
        self.checksums = self.uncovered = 0
        for number, raw in self._lines():
            if number == 1 and self.partition_count is not None:
                digest.update(raw)
                continue
            line = self._parse(number, raw)
            if isinstance(line, _ChecksumLine):
                self._check_sum(number, line, digest.hexdigest(), since)
                digest, since = hashlib.sha256(), 0
                self.checksums += 1
                self.uncovered = 0
                continue
            digest.update(raw)
            since += 1
            self.uncovered = since
            yield self._record(number, line, next_offsets)

    def check_end(self) -> None:
        """After an iteration to the end. Raises LogError where the last records stand under no checksum, but others do."""
        if self.checksums and self.uncovered:
            raise LogError(f"{self.path}: its last {self.uncovered} records stand under no checksum: it was cut or added to")

    def _wrong(self, number: int, what: str) -> LogError:
        return LogError(f"{self.path}:{number}: {what}")

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        number = 0
        try:
            with open_maybe_gzip(self.path) as stream:
                while raw := stream.readline(LOG_LINE_MAX_BYTES + 1):
                    number += 1
                    if len(raw) > LOG_LINE_MAX_BYTES:
                        raise self._wrong(number, f"longer than {LOG_LINE_MAX_BYTES} bytes")
                    yield number, raw
        except (OSError, EOFError, zlib.error) as error:
            raise self._wrong(number + 1, f"cannot be read: {_reason(error)}") from error

    def _parse(self, number: int, raw: bytes) -> _RecordLine | _ChecksumLine:
        try:
            return _decode_record(raw)
        except _NOT_DECODED as error:
            try:
                return _decode_checksum(raw)
            except _NOT_DECODED:
                has_mark = raw.startswith(b"\xef\xbb\xbf")
                why = "it begins with a byte order mark (U+FEFF), and no report log does" if has_mark else error
                raise self._wrong(number, f"not a line of a report log: {why}") from error

    def _check_sum(self, number: int, line: _ChecksumLine, digest: str, since: int) -> None:
        if self.partition_count is None:
            raise self._wrong(number, "a checksum in a log without a header line")
        if line.records != since or line.sha256 != digest:
            raise self._wrong(number, f"the checksum is wrong: {since} records with sha256 {digest} stand before it")

    def _record(self, number: int, line: _RecordLine, next_offsets: list[int]) -> LogRecord:
        key = self._bytes(number, "key", line.key, line.key_base64)
        value = self._bytes(number, "value", line.value, line.value_base64)
        if self.partition_count is None:
            if line.partition is not None or line.offset is not None:
                raise self._wrong(number, "partition or offset in a log without a header line")
            partition = 0
            offset = next_offsets[0]
        else:
            if line.partition is None or line.offset is None:
                raise self._wrong(number, "partition or offset is missing")
            partition, offset = line.partition, line.offset
            if not 0 <= partition < self.partition_count:
                raise self._wrong(number, f"partition {partition} of {self.partition_count}")
            if offset != next_offsets[partition]:
                raise self._wrong(number, f"partition {partition}: offset {offset} where {next_offsets[partition]} was due")
        next_offsets[partition] += 1
        return LogRecord(line.timestamp, key, value, partition, offset)

    def _bytes(self, number: int, name: str, text: str | None, encoded: str | None) -> bytes | None:
        if text is not None and encoded is not None:
            raise self._wrong(number, f"{name} and {name}_base64 at once")
        if encoded is None:
            return None if text is None else text.encode()
        try:
            return base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError) as error:
            raise self._wrong(number, f"{name}_base64 is not base64: {error}") from error


def _reason(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def open_maybe_gzip(path: Path) -> IO[bytes]:
    """Open for reading, unpacking where the content (not the name) is gzip."""
    stream = path.open("rb")
    try:
        magic = stream.peek(len(FRAME_START))[: len(FRAME_START)]
    except OSError:
        stream.close()
        raise
    if magic[:2] != b"\x1f\x8b":
        return stream
    differing = sum((a ^ b).bit_count() for a, b in zip(magic, FRAME_START, strict=False))
    if len(magic) == len(FRAME_START) and differing <= DAMAGED_BITS_MAX:
        return cast(IO[bytes], io.BufferedReader(Frames(stream), buffer_size=1 << 20))
    stream.close()
    return cast(IO[bytes], gzip.open(path, "rb"))


def encode_line(record: LogRecord, *, with_position: bool) -> bytes:
    """One record as a line; `with_position` for a saved log. What is longer than any report is base64 whatever it holds:
    as text it could be six times as long."""
    fields: dict[str, object] = {"timestamp": record.timestamp_ms}
    for name, content in (("key", record.key), ("value", record.value)):
        if content is None:
            continue
        text = _text(content)
        if text is None:
            fields[name + "_base64"] = base64.b64encode(content).decode()
        else:
            fields[name] = text
    if with_position:
        fields["partition"], fields["offset"] = record.partition, record.offset
    return msgspec.json.encode(fields) + b"\n"


def _text(content: bytes) -> str | None:
    if len(content) > VALUE_MAX_BYTES:
        return None
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return None


def encode_header(topic: str, partition_count: int) -> bytes:
    return msgspec.json.encode({"log": 1, "topic": topic, "partitions": partition_count}) + b"\n"
