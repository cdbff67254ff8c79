"""The file that `dump` writes: a saved log in gzip frames, and the one who appends to it and goes on after a break.

Decides what a frame is: one gzip member, so that any gzip reads the file, whose header carries the frame's length and the
SHA-256 of its other bytes. Deflate leaves bits that change nothing (padding, header fields): with the header compared
whole and the rest under the digest, no bit of the file can turn unnoticed. Each frame ends with a checksum line. Refuses
to know where records come from. Read next: `report_log.py`, which reads through `Frames`.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import msgspec

from tally_stream.wire.limits import LOG_FRAME_MAX_BYTES

_DIGEST_BYTES = 32
# Magic, deflate, "has an extra field", no time, no extra flags, unknown system; the field: its length, "TS", its own length.
FRAME_START = b"\x1f\x8b\x08\x04\x00\x00\x00\x00\x00\xff" + struct.pack("<H2sH", 40, b"TS", 36)
_HEADER_BYTES = len(FRAME_START) + 4 + _DIGEST_BYTES


class FrameError(OSError):
    """A frame that is not as it was written: `args[0]` names its first byte in the file."""

    def __init__(self, position: int, what: str, *, is_broken_off: bool = False) -> None:
        super().__init__(f"the frame at byte {position} {what}")
        self.position = position
        self.is_broken_off = is_broken_off


def encode_frame(content: bytes) -> bytes:
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    rest = packer.compress(content) + packer.flush() + struct.pack("<II", zlib.crc32(content), len(content))
    return FRAME_START + struct.pack("<I", len(rest)) + hashlib.sha256(rest).digest() + rest


def frames(stream: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """(first byte in the file, content) of each frame. Raises FrameError at the first that is not as it was written."""
    position = 0
    while header := stream.read(_HEADER_BYTES):
        if not header.startswith(FRAME_START[: len(header)]):
            raise FrameError(position, "has a wrong header")
        if len(header) < _HEADER_BYTES:
            raise FrameError(position, "is broken off", is_broken_off=True)
        (length,) = struct.unpack_from("<I", header, len(FRAME_START))
        if length > LOG_FRAME_MAX_BYTES:
            raise FrameError(position, "has a wrong length")
        rest = stream.read(length)
        if len(rest) < length:
            raise FrameError(position, "is broken off", is_broken_off=True)
        if hashlib.sha256(rest).digest() != header[-_DIGEST_BYTES:]:
            # The last one may have been cut by a loss of power: all its length, not all its bytes.
            raise FrameError(position, "does not have its SHA-256", is_broken_off=not stream.read(1))
        yield position, _unpacked(position, rest)
        position += _HEADER_BYTES + length


def _unpacked(position: int, rest: bytes) -> bytes:
    """Whole or not at all: a frame cut off where the limit is would read like a shorter one."""
    unpacker = zlib.decompressobj(-15)
    try:
        content = unpacker.decompress(rest, LOG_FRAME_MAX_BYTES + 1)
    except zlib.error as error:
        raise FrameError(position, f"can't be unpacked ({error})") from error
    if len(content) > LOG_FRAME_MAX_BYTES:
        raise FrameError(position, f"unpacks to more than {LOG_FRAME_MAX_BYTES} bytes")
    if not unpacker.eof:
        raise FrameError(position, "can't be unpacked (it has no end)")
    return content


class Frames(io.RawIOBase):
    """The content of all frames as one stream; closing it closes the file."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._contents = frames(stream)
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            found = next(self._contents, None)
            if found is None:
                return 0
            self._left = memoryview(found[1])
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count

    def close(self) -> None:
        self._stream.close()
        super().close()


class Appender:
    """A dump open for writing, locked; whole frames only. What a break left of a last frame is cut off at opening."""

    def __init__(self, path: Path) -> None:
        """Raises FrameError where the file is damaged, OSError where it is no dump or another process writes it."""
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with path.open("rb") as stream:
                size = os.fstat(stream.fileno()).st_size
                try:
                    for _ in frames(stream):
                        pass
                    end = size
                except FrameError as error:
                    if not error.is_broken_off:
                        raise
                    end = error.position
            self.cut_bytes = size - end
            if self.cut_bytes:
                os.ftruncate(self._file, end)
            self.is_empty = end == 0
            os.lseek(self._file, end, os.SEEK_SET)
        except BaseException:
            os.close(self._file)
            raise

    def append(self, lines: Sequence[bytes], records: int) -> None:
        """One frame of these lines and their checksum line; on the disk when this returns. Raises OSError."""
        content = b"".join(lines)
        checksum = msgspec.json.encode({"records": records, "sha256": hashlib.sha256(content).hexdigest()})
        rest = memoryview(encode_frame(content + checksum + b"\n"))
        while rest:
            rest = rest[os.write(self._file, rest) :]
        os.fsync(self._file)
        self.is_empty = False

    def close(self) -> None:
        os.close(self._file)
