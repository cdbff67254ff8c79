"""The report log: a recorded night, a saved log, and every way in which a file is neither."""

import base64
import gzip
import hashlib
import json
import os
import random
import struct
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally_stream.cli.dump import FRAME_CONTENT_BYTES
from tally_stream.domain.scalars import format_time
from tally_stream.kafka.inflate import BATCH_INFLATED_MAX_BYTES
from tally_stream.wire.limits import LOG_LINE_MAX_BYTES, VALUE_MAX_BYTES
from tally_stream.wire.report_log import LogError, LogRecord, ReportLog, encode_header, encode_line
from tally_stream.wire.saved_log import Appender
from tests.support.examples import examples

HEADER: dict[str, Any] = {"log": 1, "topic": "tally.reports", "partitions": 2}


def record(partition: int | None = None, offset: int | None = None, **fields: Any) -> dict[str, Any]:
    position = {} if partition is None else {"partition": partition, "offset": offset}
    return {"timestamp": 1_707_328_930_000, "key": "A-1", "value": "{}"} | position | fields


def checksum(*lines: str | dict[str, Any]) -> dict[str, Any]:
    """The checksum line over the lines given, header among them."""
    text = written(*lines)
    records = sum('"timestamp"' in line for line in text.splitlines())
    return {"records": records, "sha256": hashlib.sha256(text.encode()).hexdigest()}


def written(*lines: str | dict[str, Any]) -> str:
    return "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)


class Files:
    def __init__(self, folder: Path) -> None:
        self.path = folder / "night.jsonl"

    def read(self, *lines: str | dict[str, Any]) -> list[LogRecord]:
        self.path.write_text(written(*lines), encoding="utf-8", newline="")
        return list(ReportLog(self.path))

    def refusal(self, *lines: str | dict[str, Any]) -> str:
        """The sentence that refuses the log, without the file's name."""
        with pytest.raises(LogError) as caught:
            self.read(*lines)
        sentence = str(caught.value)
        assert sentence.startswith(f"{self.path}:")
        return sentence.removeprefix(f"{self.path}")


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


class TestRecordedNight:
    def test_is_one_partition_of_the_reports_topic_with_offsets_from_0(self, files: Files) -> None:
        found = files.read(record(), record(timestamp=1, key=None, value=None), record(timestamp=-5))
        assert [(r.timestamp_ms, r.key, r.value, r.partition, r.offset) for r in found] == [
            (1_707_328_930_000, b"A-1", b"{}", 0, 0),
            (1, None, None, 0, 1),
            (-5, b"A-1", b"{}", 0, 2),
        ]
        log = ReportLog(files.path)
        assert (log.topic, log.partition_count) == ("tally.reports", None)

    def test_may_be_empty(self, files: Files) -> None:
        assert files.read() == []

    def test_needs_no_newline_at_its_end_and_minds_no_carriage_return(self, files: Files) -> None:
        files.path.write_bytes(written(record()).encode() + b"\r\n".join([json.dumps(record()).encode()] * 2))
        assert [r.offset for r in ReportLog(files.path)] == [0, 1, 2]

    @pytest.mark.parametrize("fields", [{"partition": 0}, {"offset": 0}, {"partition": 0, "offset": 0}])
    def test_has_no_positions(self, files: Files, fields: dict[str, int]) -> None:
        assert files.refusal(record(), record() | fields) == ":2: partition or offset in a log without a header line"

    def test_has_no_checksums(self, files: Files) -> None:
        assert files.refusal(record(), checksum(record())) == ":2: a checksum in a log without a header line"

    def test_has_no_header_later(self, files: Files) -> None:
        assert files.refusal(record(), HEADER).startswith(":2: not a line of a report log")


class TestSavedLog:
    def test_has_topic_partitions_and_offsets(self, files: Files) -> None:
        found = files.read(HEADER | {"topic": "x.reports"}, record(1, 0), record(0, 0), record(1, 1))
        assert [(r.partition, r.offset) for r in found] == [(1, 0), (0, 0), (1, 1)]
        log = ReportLog(files.path)
        assert (log.topic, log.partition_count) == ("x.reports", 2)
        assert list(log) == found, "and can be read again"

    def test_of_nothing(self, files: Files) -> None:
        assert files.read(HEADER) == []

    @pytest.mark.parametrize(
        ("lines", "sentence"),
        [
            ([record(0, 1)], ":2: partition 0: offset 1 where 0 was due"),
            ([record(0, 0), record(0, 2)], ":3: partition 0: offset 2 where 1 was due"),
            ([record(0, 0), record(0, 0)], ":3: partition 0: offset 0 where 1 was due"),
            ([record(0, 0), record(1, 1)], ":3: partition 1: offset 1 where 0 was due"),
            ([record(0, -1)], ":2: partition 0: offset -1 where 0 was due"),
            ([record(2, 0)], ":2: partition 2 of 2"),
            ([record(-1, 0)], ":2: partition -1 of 2"),
            ([record()], ":2: partition or offset is missing"),
            ([record(0, None)], ":2: partition or offset is missing"),
            ([record() | {"offset": 0}], ":2: partition or offset is missing"),
        ],
    )
    def test_is_complete_per_partition_from_offset_0(self, files: Files, lines: list[Any], sentence: str) -> None:
        assert files.refusal(HEADER, *lines) == sentence

    @pytest.mark.parametrize(
        "header",
        [
            {"log": 2, "topic": "t", "partitions": 1},
            {"log": 1, "topic": "t"},
            {"log": 1, "partitions": 1},
            {"topic": "t", "partitions": 1},
            {"log": 1, "topic": "t", "partitions": 0},
            {"log": 1, "topic": "t", "partitions": 100_001},
            {"log": 1, "topic": "t", "partitions": 1.0},
            {"log": 1, "topic": "t", "partitions": None},
            {"log": True, "topic": "t", "partitions": 1},
            HEADER | {"timestamp": None},
            HEADER | {"made_by": "x"},
            HEADER | record(0, 0),
        ],
    )
    def test_a_header_of_any_other_shape_is_refused_at_once(self, files: Files, header: dict[str, Any]) -> None:
        files.path.write_text(written(header))
        with pytest.raises(LogError, match=r"night\.jsonl:1: not a line of a report log"):
            ReportLog(files.path)

    def test_the_most_partitions(self, files: Files) -> None:
        assert files.read(HEADER | {"partitions": 100_000}, record(99_999, 0))[0].partition == 99_999


class TestChecksums:
    def test_cover_the_bytes_since_the_last_one_the_header_among_the_first(self, files: Files) -> None:
        first = [HEADER, record(0, 0), record(0, 1)]
        second = [record(1, 0)]
        found = files.read(*first, checksum(*first), *second, checksum(*second), checksum(), record(0, 2))
        assert [(r.partition, r.offset) for r in found] == [(0, 0), (0, 1), (1, 0), (0, 2)]

    def test_a_header_alone(self, files: Files) -> None:
        assert files.read(HEADER, checksum(HEADER)) == []

    @pytest.mark.parametrize(
        "wrong",
        [
            {"records": 2, "sha256": checksum(HEADER, record(0, 0))["sha256"]},
            {"records": 0, "sha256": checksum(HEADER, record(0, 0))["sha256"]},
            {"records": 1, "sha256": "0" * 64},
            {"records": 1, "sha256": checksum(record(0, 0))["sha256"]},
            {"records": 1, "sha256": ""},
        ],
    )
    def test_a_wrong_one_says_what_stands_there(self, files: Files, wrong: dict[str, Any]) -> None:
        expected = checksum(HEADER, record(0, 0))["sha256"]
        sentence = f":3: the checksum is wrong: 1 records with sha256 {expected} stand before it"
        assert files.refusal(HEADER, record(0, 0), wrong) == sentence

    @pytest.mark.parametrize(
        "line",
        [
            {"records": 1},
            {"sha256": "0" * 64},
            {"records": None, "sha256": "0" * 64},
            {"records": 1, "sha256": "0" * 64, "topic": "tally.reports"},
            {"records": 1, "sha256": "0" * 64, "timestamp": None},
            record(0, 1) | {"records": 1, "sha256": "0" * 64},
        ],
    )
    def test_a_line_that_is_half_a_checksum_is_refused(self, files: Files, line: dict[str, Any]) -> None:
        assert files.refusal(HEADER, record(0, 0), line).startswith(":3: not a line of a report log")

    def test_a_flipped_bit_of_any_byte_before_one_is_found_and_located(self, tmp_path: Path) -> None:
        path = tmp_path / "log"
        lines = [HEADER, record(0, 0), record(0, 1, value="{}")]
        good = written(*lines, checksum(*lines)).encode()
        for index in range(len(good)):
            for bit in range(8) if index < 64 else (index % 8,):
                path.write_bytes(good[:index] + bytes([good[index] ^ 1 << bit]) + good[index + 1 :])
                if index == len(good) - 1 and good[index] ^ 1 << bit in (0x20, 0x0D, 0x09):
                    continue  # the last newline as another blank: no record is touched
                with pytest.raises(LogError, match=rf"^{path}:\d+: "):
                    list(ReportLog(path))


class TestReadingAgain:
    """What one reading counted is not counted by the next."""

    def test_the_checksums_and_what_stands_behind_the_last(self, files: Files) -> None:
        first = [HEADER, record(0, 0)]
        files.read(*first, checksum(*first), record(0, 1), record(1, 0))
        log = ReportLog(files.path)
        for _ in range(2):
            assert len(list(log)) == 3
            assert (log.checksums, log.uncovered) == (1, 2)
            with pytest.raises(LogError, match="its last 2 records stand under no checksum: it was cut or added to"):
                log.check_end()

    def test_that_was_left_in_the_middle(self, files: Files) -> None:
        first = [HEADER, record(0, 0), record(0, 1)]
        files.read(*first, checksum(*first))
        log = ReportLog(files.path)
        reading = iter(log)
        next(reading)
        assert (log.checksums, log.uncovered) == (0, 1)
        assert [r.offset for r in log] == [0, 1], "offsets and sums begin anew"
        assert (log.checksums, log.uncovered) == (1, 0)
        log.check_end()

    def test_of_a_file_that_holds_less_now(self, files: Files) -> None:
        first = [HEADER, record(0, 0)]
        files.read(*first, checksum(*first), record(0, 1))
        log = ReportLog(files.path)
        list(log)
        files.path.write_text(written(HEADER))
        assert list(log) == []
        assert (log.checksums, log.uncovered) == (0, 0)
        log.check_end()


class TestLines:
    @pytest.mark.parametrize(
        "line",
        [
            "",
            "{",
            "[]",
            "null",
            "1",
            '{"timestamp": 1.0}',
            '{"timestamp": "1"}',
            '{"timestamp": true}',
            '{"timestamp": null}',
            "{}",
            '{"timestamp": 1, "colour": null}',
            '{"timestamp": 1, "log": null}',
            '{"timestamp": 1, "records": null}',
            '{"timestamp": 1, "value": {}}',
            '{"timestamp": 1, "key": 1}',
            '{"timestamp": 1, "value": "\\ud800"}',
            '{"timestamp": 1} {"timestamp": 1}',
            '\ufeff{"timestamp": 1}',
        ],
    )
    def test_what_is_no_line_is_named_with_file_and_line(self, files: Files, line: str) -> None:
        assert files.refusal(record(), record(), line, record()).startswith(":3: not a line of a report log")
        assert files.refusal(line, record()).startswith(":1: not a line of a report log")

    def test_a_byte_order_mark_is_named(self, files: Files) -> None:
        sentence = ":1: not a line of a report log: it begins with a byte order mark (U+FEFF), and no report log does"
        assert files.refusal('\ufeff{"timestamp": 1}') == sentence

    def test_bytes_that_are_not_utf_8(self, files: Files) -> None:
        files.path.write_bytes(b'{"timestamp":1,"value":"\xff"}\n')
        with pytest.raises(LogError, match=r":1: not a line of a report log"):
            ReportLog(files.path)

    @pytest.mark.parametrize("over", [0, 1])
    def test_at_the_longest_and_one_byte_past_it(self, files: Files, over: int) -> None:
        line = json.dumps(record(value=""))
        line = line.replace('"value": "', '"value": "' + "x" * (LOG_LINE_MAX_BYTES - len(line) - 1 + over))
        if over:
            assert files.refusal(line) == f":1: longer than {LOG_LINE_MAX_BYTES} bytes"
        else:
            assert len(files.read(line)) == 1


class TestTimestamps:
    """Years that RFC 3339 can write, and no others: a published time has four digits for its year."""

    FIRST = -62_135_596_800_000
    LAST = 253_402_300_799_999

    def test_at_the_first_and_the_last_millisecond(self, files: Files) -> None:
        found = [r.timestamp_ms for r in files.read(record(timestamp=self.FIRST), record(timestamp=self.LAST))]
        assert [format_time(ms) for ms in found] == ["0001-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z"]

    @pytest.mark.parametrize("timestamp", [FIRST - 1, LAST + 1, -(2**63), 2**63 - 1, 2**64])
    def test_one_past_them_the_line_is_broken(self, files: Files, timestamp: int) -> None:
        assert files.refusal(record(), record(timestamp=timestamp)).startswith(":2: not a line of a report log: ")
        assert files.refusal(HEADER, record(0, 0, timestamp=timestamp)).startswith(":2: not a line of a report log: ")


class TestBytes:
    def test_base64_where_they_are_not_utf_8(self, files: Files) -> None:
        fields: dict[str, Any] = {"key": None, "key_base64": "/w==", "value": None, "value_base64": ""}
        (found,) = files.read(record(**fields))
        assert (found.key, found.value) == (b"\xff", b"")

    @pytest.mark.parametrize("name", ["key", "value"])
    def test_one_way_or_the_other(self, files: Files, name: str) -> None:
        both: dict[str, Any] = {name + "_base64": "AA=="}
        assert files.refusal(record(), record(**both)) == f":2: {name} and {name}_base64 at once"

    @pytest.mark.parametrize("text", ["/", "/w", "/w=", "/w==x", "_w==", "/w == ", "é", "=", "a\nb="])
    def test_what_is_no_base64(self, files: Files, text: str) -> None:
        sentence = files.refusal(record(value=None, value_base64=text))
        assert sentence.startswith(":1: value_base64 is not base64: ")


class TestGzip:
    def test_is_seen_from_the_content_not_the_name(self, files: Files) -> None:
        files.path.write_bytes(gzip.compress(written(HEADER, record(0, 0)).encode()))
        assert len(list(ReportLog(files.path))) == 1
        assert ReportLog(files.path).partition_count == 2

    def test_may_come_in_several_members(self, files: Files) -> None:
        files.path.write_bytes(gzip.compress(written(record()).encode()) * 3)
        assert len(list(ReportLog(files.path))) == 3

    def test_cut_short_or_corrupt_is_refused_with_file_and_line(self, files: Files) -> None:
        order = random.Random(0)
        lines = [record(value=order.randbytes(500).hex()) for _ in range(400)]
        packed = gzip.compress(written(*lines).encode())
        for broken in (packed[:-4], packed[: len(packed) // 2], packed[:200], packed[:12], packed[:2]):
            files.path.write_bytes(broken)
            with pytest.raises(LogError, match=rf"^{files.path}:\d+: cannot be read: ") as caught:
                list(ReportLog(files.path))
            assert int(str(caught.value).split(":")[1]) <= 401
        for index in (3, 200, len(packed) // 2, len(packed) - 6, len(packed) - 2):
            files.path.write_bytes(packed[:index] + bytes([packed[index] ^ 0x55]) + packed[index + 1 :])
            with pytest.raises(LogError, match=rf"^{files.path}:\d+: "):
                list(ReportLog(files.path))


class TestFiles:
    def test_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(LogError, match=r"nothing\.jsonl:1: cannot be read: No such file or directory"):
            ReportLog(tmp_path / "nothing.jsonl")

    def test_that_is_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(LogError, match=r":1: cannot be read: Is a directory"):
            ReportLog(tmp_path)

    def test_that_is_a_pipe(self, tmp_path: Path) -> None:
        """The first look at it would swallow what the reading was to find."""
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(LogError, match=r"pipe: not a regular file; a log is read more than once"):
            ReportLog(tmp_path / "pipe")

    def test_in_block_gzip_is_no_dump(self, files: Files) -> None:
        """BGZF: each member has an extra field, as a frame of `dump` has, but another one."""
        content = written(record()).encode()
        rest = zlib.compressobj(6, zlib.DEFLATED, -15)
        packed = rest.compress(content) + rest.flush()
        extra = b"BC" + struct.pack("<HH", 2, 12 + 6 + len(packed) + 8 - 1)
        member = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff" + struct.pack("<H", len(extra)) + extra + packed
        files.path.write_bytes(member + struct.pack("<II", zlib.crc32(content), len(content)))
        assert len(list(ReportLog(files.path))) == 1

    def test_that_cannot_be_read_halfway(self, files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
        """A disk that fails on the first look at the bytes."""
        files.read(record())

        class Failing:
            def peek(self, size: int) -> bytes:
                raise OSError(5, "Input/output error")

            def close(self) -> None:
                closed.append(True)

        closed: list[bool] = []
        monkeypatch.setattr(Path, "open", lambda *_: Failing())
        with pytest.raises(LogError, match="Input/output error"):
            ReportLog(files.path)
        assert closed == [True]


records = st.builds(
    LogRecord,
    timestamp_ms=st.integers(TestTimestamps.FIRST, TestTimestamps.LAST),
    key=st.none() | st.binary(max_size=20) | st.text(max_size=10).map(lambda t: t.encode("utf-8", "replace")),
    value=st.none() | st.binary(max_size=60) | st.text(max_size=30).map(lambda t: t.encode("utf-8", "replace")),
    partition=st.just(0),
    offset=st.just(0),
)


@examples(150)
@given(st.lists(records, max_size=5))
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, drawn: list[LogRecord]) -> None:
    path = tmp_path_factory.getbasetemp() / "log"
    numbered = [LogRecord(r.timestamp_ms, r.key, r.value, 0, offset) for offset, r in enumerate(drawn)]
    path.write_bytes(b"".join(encode_line(r, with_position=False) for r in numbered))
    assert list(ReportLog(path)) == numbered
    lines = [encode_header("tally.reports", 1), *(encode_line(r, with_position=True) for r in numbered)]
    path.write_bytes(b"".join(lines))
    assert list(ReportLog(path)) == numbered


def test_bytes_that_are_utf_8_are_written_as_text_and_others_as_base64() -> None:
    line = json.loads(encode_line(LogRecord(1, "é\x00".encode(), b"\xff", 2, 3), with_position=True))
    assert line == {
        "timestamp": 1,
        "key": "é\x00",
        "value_base64": base64.b64encode(b"\xff").decode(),
        "partition": 2,
        "offset": 3,
    }
    assert json.loads(encode_line(LogRecord(1, None, None, 0, 0), with_position=False)) == {"timestamp": 1}


@pytest.mark.parametrize("byte", [b"\x01", b"\xff", b"a"])
def test_the_largest_record_that_a_log_can_hold_is_saved_and_read_whatever_its_bytes(tmp_path: Path, byte: bytes) -> None:
    """A few kilobytes of a compressed batch become 16 MiB, which as JSON text could be six times as much."""
    key, value = byte * (BATCH_INFLATED_MAX_BYTES // 2), byte * (BATCH_INFLATED_MAX_BYTES // 2)
    for record in (LogRecord(1, b"A-1", key + value, 0, 0), LogRecord(1, key, value, 0, 0)):
        path = tmp_path / "log"
        path.write_bytes(encode_line(record, with_position=False))
        assert list(ReportLog(path)) == [record]
        path.unlink()
        frames = Appender(path)
        frames.append([encode_header("t", 1)], 0)
        # A frame is closed once it holds 4 MiB: the longest line may follow on just less.
        small = encode_line(LogRecord(1, b"A-1", b"x" * 65_536, 0, 0), with_position=True)
        filled = [small.replace(b'"offset":0', b'"offset":%d' % n) for n in range(FRAME_CONTENT_BYTES // len(small))]
        frames.append([*filled, encode_line(replace(record, offset=len(filled)), with_position=True)], len(filled) + 1)
        frames.close()
        *_, last = ReportLog(path)
        assert last == replace(record, offset=len(filled))


@pytest.mark.parametrize(("size", "name"), [(VALUE_MAX_BYTES, "value"), (VALUE_MAX_BYTES + 1, "value_base64")])
def test_what_is_longer_than_any_report_is_written_as_base64(size: int, name: str) -> None:
    assert name in json.loads(encode_line(LogRecord(1, None, b"x" * size, 0, 0), with_position=False))
