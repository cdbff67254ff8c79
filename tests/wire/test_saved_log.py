"""A dump's frames: no bit turns unnoticed, a break is cut off, other files are left alone."""

import gzip
import hashlib
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tally_stream.wire import report_log, saved_log
from tally_stream.wire.limits import LOG_FRAME_MAX_BYTES
from tally_stream.wire.report_log import LogError, LogRecord, ReportLog, encode_header, encode_line
from tally_stream.wire.saved_log import FRAME_START, Appender, FrameError, encode_frame, frames

RECORDS = [LogRecord(1000 + n, b"A-%d" % n, b'{"n":%d}' % n, 0, n) for n in range(4)]


def dumped(path: Path) -> bytes:
    appender = Appender(path)
    appender.append([encode_header("t.reports", 1)], 0)
    for pair in (RECORDS[:2], RECORDS[2:]):
        appender.append([encode_line(r, with_position=True) for r in pair], 2)
    appender.close()
    return path.read_bytes()


def read(path: Path) -> list[LogRecord]:
    log = ReportLog(path)
    found = list(log)
    assert log.uncovered == 0
    return found


def test_a_dump_is_an_ordinary_gzip_file_and_a_saved_log(tmp_path: Path) -> None:
    path = tmp_path / "d.gz"
    dumped(path)
    assert read(path) == RECORDS
    assert gzip.decompress(path.read_bytes()).count(b"\n") == 8


def named(path: Path) -> str:
    """What is said of the file, which must be refused."""
    with pytest.raises(LogError) as caught:
        read(path)
    said = str(caught.value)
    assert said.startswith(f"{path}:")
    return said.removeprefix(f"{path}:")


def turned_bits(content: bytes) -> list[int]:
    """Every bit of the first 64 bytes, which say what the file is, and one of each byte behind them, another each time."""
    first = min(64, len(content))
    return [*range(first * 8), *(at * 8 + at % 8 for at in range(first, len(content)))]


def test_a_bit_that_turns_in_any_byte_is_found_and_its_frame_named(tmp_path: Path) -> None:
    path = tmp_path / "d.gz"
    content = dumped(path)
    starts = [at for at in range(len(content)) if content.startswith(FRAME_START, at)]
    assert len(starts) == 3
    for bit in turned_bits(content):
        turned = bytearray(content)
        turned[bit // 8] ^= 1 << bit % 8  # the first that is not refused fails here
        path.write_bytes(turned)
        frame = max(at for at in starts if at <= bit // 8)
        said = named(path)
        if bit // 8 < 2:  # they say that it is gzip: with one bit turned it is text, broken from line 1 on
            assert said.startswith("1: not a line of a report log: "), bit
        else:
            assert f"the frame at byte {frame} " in said, bit


def test_a_bit_that_turns_in_any_byte_of_an_unpacked_dump_is_found_before_the_next_checksum(tmp_path: Path) -> None:
    path = tmp_path / "d"
    content = gzip.decompress(dumped(path))
    lines = content.splitlines(keepends=True)
    checksums = [number for number, line in enumerate(lines, 1) if b"sha256" in line]
    for bit in turned_bits(content):
        turned = bytearray(content)
        turned[bit // 8] ^= 1 << bit % 8
        path.write_bytes(turned)
        number = int(named(path).split(":")[0])
        line = content.count(b"\n", 0, bit // 8) + 1
        # A newline more or less moves the lines behind it by one.
        assert line <= number <= min(n for n in checksums if n >= line) + 1, bit


def test_a_turned_bit_in_a_later_frame_names_that_frames_first_byte(tmp_path: Path) -> None:
    path = tmp_path / "d.gz"
    content = bytearray(dumped(path))
    third = content.rindex(b"\x1f\x8b\x08\x04")
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(LogError, match=f"the frame at byte {third} does not have its SHA-256"):
        read(path)


def test_a_break_anywhere_is_cut_back_to_whole_frames_and_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "d.gz"
    content = dumped(path)
    third = content.rindex(b"\x1f\x8b\x08\x04")
    for length in range(third, len(content)):
        path.write_bytes(content[:length])
        appender = Appender(path)
        assert appender.cut_bytes == length - third
        appender.append([encode_line(r, with_position=True) for r in RECORDS[2:]], 2)
        appender.close()
        assert path.read_bytes() == content
        path.write_bytes(content[:length])  # a shorter frame leaves nothing of the broken one behind it
        appender = Appender(path)
        appender.append([encode_line(RECORDS[2], with_position=True)], 1)
        appender.close()
        assert read(path) == RECORDS[:3]


def test_a_file_that_is_no_dump_or_is_damaged_inside_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "d.gz"
    damaged = bytearray(dumped(path))
    damaged[70] ^= 1
    for content in (b"a letter", gzip.compress(b"x"), bytes(damaged)):
        path.write_bytes(content)
        with pytest.raises(FrameError):
            Appender(path)
        assert path.read_bytes() == content


def test_two_cannot_write_one_dump(tmp_path: Path) -> None:
    first = Appender(tmp_path / "d.gz")
    with pytest.raises(BlockingIOError):
        Appender(tmp_path / "d.gz")
    first.close()


FIELDS = (4, 5, 6, 7, 8, 9, 10)
"""Bytes of a gzip header that change nothing of what is unpacked: time, flags of the packer, system, length of the field."""


def turned(content: bytes, *bits: int) -> bytes:
    found = bytearray(content)
    for bit in bits:
        found[bit // 8] ^= 1 << bit % 8
    return bytes(found)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_a_damaged_header_of_the_first_frame_is_no_other_kind_of_file(tmp_path: Path, count: int) -> None:
    """Any gzip reads past most of a header: up to four bits are damage, and the frame is named."""
    path = tmp_path / "d.gz"
    content = dumped(path)
    path.write_bytes(turned(content, *(FIELDS[n] * 8 for n in range(count))))
    assert named(path) == "1: cannot be read: the frame at byte 0 has a wrong header"


def test_what_differs_in_more_is_a_gzip_of_another_kind(tmp_path: Path) -> None:
    path = tmp_path / "d.gz"
    content = dumped(path)
    path.write_bytes(turned(content, *(byte * 8 for byte in FIELDS[:5])))
    assert report_log.DAMAGED_BITS_MAX == 4
    assert read(path) == RECORDS, "its checksum lines are checked as ever"


@pytest.mark.parametrize("most", [1, 7, 100])
def test_a_disk_that_takes_a_part_of_a_write_gets_all_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    whole = dumped(tmp_path / "whole.gz")
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, content: write(file, bytes(content[:most])))
    assert dumped(tmp_path / "d.gz") == whole


def test_a_frame_is_on_the_disk_when_it_is_said_to_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "d.gz"
    sizes: list[int] = []
    fsync = os.fsync

    def look_and_sync(file: int) -> None:
        sizes.append(path.stat().st_size)
        fsync(file)

    monkeypatch.setattr(os, "fsync", look_and_sync)
    appender = Appender(path)
    for lines in ([encode_header("t.reports", 1)], [encode_line(RECORDS[0], with_position=True)]):
        appender.append(lines, len(sizes))
        assert sizes[-1] == path.stat().st_size
    appender.close()
    assert len(sizes) == 2


def frame(rest: bytes, length: int | None = None) -> bytes:
    """A frame around these packed bytes, right in its header and its SHA-256."""
    return FRAME_START + struct.pack("<I", len(rest) if length is None else length) + hashlib.sha256(rest).digest() + rest


def packed(content: bytes, finish: Callable[[Any], bytes] = lambda packer: packer.flush()) -> bytes:
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    return packer.compress(content) + finish(packer)


class TestLimits:
    def said(self, path: Path, content: bytes) -> str:
        path.write_bytes(content)
        with path.open("rb") as stream, pytest.raises(FrameError) as caught:
            list(frames(stream))
        if not caught.value.is_broken_off:
            with pytest.raises(FrameError):
                Appender(path)
            assert path.read_bytes() == content
        return str(caught.value)

    def test_of_a_packed_frame_before_any_of_it_is_read(self, tmp_path: Path) -> None:
        assert self.said(tmp_path / "d", frame(b"", LOG_FRAME_MAX_BYTES + 1)) == "the frame at byte 0 has a wrong length"
        assert self.said(tmp_path / "d", frame(b"", LOG_FRAME_MAX_BYTES)) == "the frame at byte 0 is broken off"

    def test_of_an_unpacked_frame(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(saved_log, "LOG_FRAME_MAX_BYTES", 1_000)
        path = tmp_path / "d"
        path.write_bytes(encode_frame(b"\n" * 1_000))
        with path.open("rb") as stream:
            assert list(frames(stream)) == [(0, b"\n" * 1_000)]
        assert self.said(path, encode_frame(b"\n" * 1_001)) == "the frame at byte 0 unpacks to more than 1000 bytes"

    def test_of_what_is_no_deflate(self, tmp_path: Path) -> None:
        said = self.said(tmp_path / "d", encode_frame(b"x") + frame(b"\xff" * 20))
        assert said.startswith(f"the frame at byte {len(encode_frame(b'x'))} can't be unpacked (Error -3")
        unended = packed(b"x" * 50, lambda packer: packer.flush(zlib.Z_SYNC_FLUSH))
        assert self.said(tmp_path / "d", frame(unended)) == "the frame at byte 0 can't be unpacked (it has no end)"


def test_a_frame_of_nothing_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "d"
    path.write_bytes(encode_frame(b"") + dumped(tmp_path / "other") + encode_frame(b"") * 2)
    assert read(path) == RECORDS
