"""Replay: a log to its end, to a time, or to a vector; saved logs with partitions; what it refuses."""

import json
from pathlib import Path

import pytest

from tally_stream.audit.replay import Replay, replay
from tally_stream.domain.election import Election
from tally_stream.wire.messages import canonical_json
from tally_stream.wire.report_log import LogError, LogRecord, encode_line
from tests.audit.small_logs import CLOSE_MS, MINUTE, STATIONS, saved, value


def recorded(path: Path) -> Path:
    """One report a minute; the fifth has an earlier time."""
    minutes = [30, 31, 32, 33, 31, 34, 35, 36]
    lines = [
        encode_line(LogRecord(CLOSE_MS + m * MINUTE, s.encode(), value(s), 0, 0), with_position=False)
        for s, m in zip(STATIONS, minutes, strict=True)
    ]
    path.write_bytes(b"".join(lines))
    return path


def counted(result: Replay) -> int:
    found: int = result.messages(0)[-1]["stations"]["counted"]
    return found


class TestToItsEnd:
    def test_a_recorded_night_is_one_partition_of_the_reports_topic(self, of: Election, tmp_path: Path) -> None:
        result = replay(of, recorded(tmp_path / "log"))
        assert (counted(result), result.record_count) == (8, 8)
        assert result.messages(0)[-1]["provenance"] == {"topic": "tally.reports", "next_offsets": {"0": 8}}

    def test_a_saved_log_has_its_topic_and_every_partition_and_s7(self, of: Election, tmp_path: Path) -> None:
        result = replay(of, saved(tmp_path / "log"))
        assert counted(result) == 8
        message = result.messages(0)[-1]
        assert message["provenance"]["topic"] == "x.reports"
        assert message["version"] == sum(message["provenance"]["next_offsets"].values()) == 9
        counts = result.verdict_counts()
        assert counts["codes"] == {"S7": 1}
        assert (counts["counted"], counts["rejected"]) == (8, 1)
        assert sum(v for name, v in counts.items() if name != "codes") == result.record_count

    def test_an_empty_log(self, of: Election, tmp_path: Path) -> None:
        (tmp_path / "log").write_bytes(b"")
        assert replay(of, tmp_path / "log").messages(0)[-1]["status"] == "pre-election"

    def test_twice_gives_the_same_bytes(self, of: Election, tmp_path: Path) -> None:
        log = saved(tmp_path / "log")
        one, other = replay(of, log).messages(0), replay(of, log).messages(0)
        assert [canonical_json(m) for m in one] == [canonical_json(m) for m in other]


class TestUntil:
    @pytest.mark.parametrize(("until_ms", "records"), [(0, 0), (30 * MINUTE - 1, 0), (30 * MINUTE, 1), (32 * MINUTE, 3)])
    def test_stops_before_the_first_record_that_is_later(
        self, of: Election, tmp_path: Path, until_ms: int, records: int
    ) -> None:
        assert replay(of, recorded(tmp_path / "log"), until_ms=CLOSE_MS + until_ms).record_count == records

    def test_and_reads_no_further_though_an_earlier_one_follows(self, of: Election, tmp_path: Path) -> None:
        assert replay(of, recorded(tmp_path / "log"), until_ms=CLOSE_MS + 32 * MINUTE).record_count == 3


class TestAt:
    def test_each_vector_has_the_bytes_of_a_log_that_ends_there(self, of: Election, tmp_path: Path) -> None:
        log = saved(tmp_path / "log")
        ends = {p: fold.next_offset for p, fold in enumerate(replay(of, log).folds)}
        lines = log.read_bytes().splitlines(keepends=True)
        for first in range(ends[0] + 1):
            for second in range(ends[1] + 1):
                at = {0: first, 1: second}
                records = [json.loads(line) for line in lines[1:]]
                kept = [raw for raw, r in zip(lines[1:], records, strict=True) if r["offset"] < at[r["partition"]]]
                cut = tmp_path / "cut"
                cut.write_bytes(lines[0] + b"".join(kept))
                found, expected = replay(of, log, at=at), replay(of, cut)
                assert found.messages(0) == expected.messages(0)
                assert found.verdict_counts() == expected.verdict_counts()
                assert found.messages(0)[-1]["provenance"]["next_offsets"] == {"0": first, "1": second}

    @pytest.mark.parametrize("at", [{}, {0: 1}, {1: 1}, {0: 1, 1: 1, 2: 1}])
    def test_names_every_partition_once(self, of: Election, tmp_path: Path, at: dict[int, int]) -> None:
        with pytest.raises(LogError, match="has 2 partitions, --at names"):
            replay(of, saved(tmp_path / "log"), at=at)

    def test_an_offset_beyond_the_end(self, of: Election, tmp_path: Path) -> None:
        log = recorded(tmp_path / "log")
        assert replay(of, log, at={0: 8}).record_count == 8
        with pytest.raises(LogError, match="partition 0 ends at 8, before offset 9"):
            replay(of, log, at={0: 9})


def test_a_broken_log_is_refused(of: Election, tmp_path: Path) -> None:
    log = recorded(tmp_path / "log")
    log.write_bytes(log.read_bytes() + b"junk\n")
    with pytest.raises(LogError, match="log:9: not a line of a report log"):
        replay(of, log)


def test_what_was_refused_is_counted(of: Election, tmp_path: Path) -> None:
    """A saved log has one record astray; a stale, a conflicting and a held one are put behind it."""
    log = tmp_path / "log"
    values = [value("A-1", 2), value("A-1"), value("A-1", 2, ballots={"valid": 61}, votes={"ANNA": 41, "BELA": 20}),
              value("A-2", ballots={"valid": 61}), value("A-1", 2)]  # fmt: skip
    log.write_bytes(
        b"".join(
            encode_line(LogRecord(CLOSE_MS + n * MINUTE, json.loads(v)["station"].encode(), v, 0, 0), with_position=False)
            for n, v in enumerate(values)
        )
    )
    result = replay(of, log)
    assert [result.verdict_counts()[name] for name in ("counted", "repeated", "stale", "conflicting", "held")] == [1] * 5
    (said,) = result.refusals.lines(result.record_count, "there")
    assert said.startswith("2 of 5 records were refused: 1 by Q2 (such as: ")
    assert ", 1 by Q3 (such as: " in said
    assert "A1" not in said, "a held report stands among the stations"
