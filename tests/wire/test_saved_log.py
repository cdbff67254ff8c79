"""A dump's frames: no bit turns unnoticed, a break is cut off, other files are left alone."""

import gzip
from pathlib import Path

import pytest

from tally_stream.wire.report_log import LogError, LogRecord, ReportLog, encode_header, encode_line
from tally_stream.wire.saved_log import FRAME_START, Appender, FrameError

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


def test_every_single_bit_that_turns_is_found_and_its_frame_named(tmp_path: Path) -> None:
    path = tmp_path / "d.gz"
    content = dumped(path)
    starts = [at for at in range(len(content)) if content.startswith(FRAME_START, at)]
    assert len(starts) == 3
    for bit in range(len(content) * 8):
        turned = bytearray(content)
        turned[bit // 8] ^= 1 << bit % 8  # the first that is not refused fails here
        path.write_bytes(turned)
        frame = max(at for at in starts if at <= bit // 8)
        said = named(path)
        # The first four bytes say what kind of file it is: with one turned it is another kind, broken from line 1 on.
        assert f"the frame at byte {frame} " in said or (bit // 8 < 4 and said.startswith("1: ")), bit


def test_every_single_bit_that_turns_in_an_unpacked_dump_is_found_before_the_next_checksum(tmp_path: Path) -> None:
    path = tmp_path / "d"
    content = gzip.decompress(dumped(path))
    lines = content.splitlines(keepends=True)
    checksums = [number for number, line in enumerate(lines, 1) if b"sha256" in line]
    for bit in range(len(content) * 8):
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
