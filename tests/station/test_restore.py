"""`restore` into a topic that stands in memory: what it sends and compares, and each reason to refuse. No broker is asked."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tally_stream.kafka.client import KafkaError
from tally_stream.kafka.topics import ReportsTopic
from tally_stream.settings import Settings
from tally_stream.station import restore as restoring
from tally_stream.station import standing
from tally_stream.station.restore import RestoreRefused, check_topic, partitions_of, read_whole, restore
from tally_stream.wire.report_log import LogError, LogRecord, ReportLog, encode_header, encode_line
from tally_stream.wire.saved_log import Appender
from tests.support.topic_in_memory import BATCH_RECORDS, TopicInMemory

TOPIC = "t.reports"
SETTINGS = Settings(prefix="t")
FIRST_MS = 1_730_000_000_000


def a_night(partitions: int = 2, each: int = 8) -> list[LogRecord]:
    """Records of all partitions in turn; null ones and empty ones among them."""
    contents = [(b"A", b"{}"), (None, None), (b"", b""), (b"A", None)]
    return [
        LogRecord(FIRST_MS + 10 * offset + partition, *contents[offset % 4], partition, offset)
        for offset in range(each)
        for partition in range(partitions)
    ]


def saved(path: Path, records: list[LogRecord], partitions: int = 2) -> ReportLog:
    appender = Appender(path)
    appender.append([encode_header(TOPIC, partitions)], 0)
    appender.append([encode_line(r, with_position=True) for r in records], len(records))
    appender.close()
    return ReportLog(path)


@pytest.fixture
def restored(monkeypatch: pytest.MonkeyPatch) -> Callable[[TopicInMemory, ReportLog], int]:
    """Restores a log into a topic; gives how many records stood there before."""

    def run(topic: TopicInMemory, log: ReportLog) -> int:
        monkeypatch.setattr(standing, "TopicReader", topic.reader)
        due = read_whole(log, lambda _: None)
        return asyncio.run(restore(topic, SETTINGS, TOPIC, log, due, lambda _: None))

    return run


Restored = Callable[[TopicInMemory, ReportLog], int]


def refusal(restored: Restored, topic: TopicInMemory, log: ReportLog) -> str:
    with pytest.raises(RestoreRefused) as caught:
        restored(topic, log)
    (sentence,) = caught.value.errors
    return sentence


class TestSending:
    def test_every_record_stands_where_it_stood_with_its_time(self, restored: Restored, tmp_path: Path) -> None:
        topic = TopicInMemory()
        assert restored(topic, saved(tmp_path / "d.gz", a_night())) == 0
        assert topic.holds(a_night())
        assert topic.batches.count((0, BATCH_RECORDS)) == 2, "a batch is filled before it is sent"

    @pytest.mark.parametrize("stood", range(len(a_night()) + 1))
    def test_goes_on_behind_what_stands_there(self, restored: Restored, tmp_path: Path, stood: int) -> None:
        """A break after each record: at the seam none is left out, and none is sent twice."""
        topic = TopicInMemory(*a_night()[:stood])
        assert restored(topic, saved(tmp_path / "d.gz", a_night())) == stood
        assert topic.holds(a_night())
        assert sum(count for _, count in topic.batches) == len(a_night()) - stood

    def test_a_partition_without_records(self, restored: Restored, tmp_path: Path) -> None:
        records = [r for r in a_night() if r.partition == 1]
        topic = TopicInMemory()
        restored(topic, saved(tmp_path / "d.gz", records))
        assert topic.holds(records)

    def test_a_repeated_batch_whose_place_is_not_told(self, restored: Restored, tmp_path: Path) -> None:
        topic = TopicInMemory()
        topic.answer = lambda partition, offset: -1
        restored(topic, saved(tmp_path / "d.gz", a_night()))
        assert topic.holds(a_night())

    def test_says_how_far_it_is(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        topic = TopicInMemory()
        monkeypatch.setattr(standing, "TopicReader", topic.reader)
        monkeypatch.setattr(restoring, "TOLD_EVERY_RECORDS", 5)
        log = saved(tmp_path / "d.gz", a_night())
        read: list[int] = []
        sent: list[int] = []
        due = read_whole(log, read.append)
        asyncio.run(restore(topic, SETTINGS, TOPIC, log, due, sent.append))
        assert read == sent == [5, 10, 15]


class TestRefusing:
    @pytest.mark.parametrize("change", [{"value": b"other"}, {"key": b"B"}, {"timestamp_ms": FIRST_MS + 1}, {"value": None}])
    def test_another_record_stands_there(self, restored: Restored, tmp_path: Path, change: dict[str, Any]) -> None:
        stood = a_night()[:4]
        topic = TopicInMemory(replace(stood[0], **change), *stood[1:])
        said = refusal(restored, topic, saved(tmp_path / "d.gz", a_night()))
        assert said.startswith(f"{TOPIC}: partition 0, offset 0 is not as in {tmp_path / 'd.gz'} (another record stands here)")
        assert topic.batches == [], "nothing is sent"

    def test_more_stands_there_than_in_the_log(self, restored: Restored, tmp_path: Path) -> None:
        topic = TopicInMemory(*a_night(each=9))
        said = refusal(restored, topic, saved(tmp_path / "d.gz", a_night()))
        assert "partition 0, offset 8 is not as in" in said
        assert "the log ends here, the topic at offset 9" in said

    def test_the_first_records_were_deleted(self, restored: Restored, tmp_path: Path) -> None:
        topic = TopicInMemory()
        topic.starts[1] = 2
        said = refusal(restored, topic, saved(tmp_path / "d.gz", a_night()))
        assert "partition 1, offset 0 is not as in" in said
        assert "the topic begins at offset 2: records were deleted" in said

    @pytest.mark.parametrize("number", [0, 1])
    def test_somebody_else_wrote_meanwhile(self, restored: Restored, tmp_path: Path, number: int) -> None:
        """Before the first batch or a later one: it is noticed where the batch lands, and no more is sent to that partition."""
        topic = TopicInMemory()

        def write(partition: int) -> None:
            if partition == 1 and len(topic.stored[1]) == number * BATCH_RECORDS:
                topic.put(1, FIRST_MS, b"B", b"stranger's")

        topic.before_batch = write
        first = number * BATCH_RECORDS
        assert refusal(restored, topic, saved(tmp_path / "d.gz", a_night())) == (
            f"{TOPIC}: partition 1: offset {first} of the log landed at {first + 1}: something else writes to the topic; "
            "end it, delete the topic and begin again"
        )
        assert len([p for p, _ in topic.batches if p == 1]) == number + 1

    def test_somebody_else_wrote_and_the_place_was_not_told(self, restored: Restored, tmp_path: Path) -> None:
        topic = TopicInMemory()
        topic.answer = lambda partition, offset: -1
        topic.before_batch = lambda partition: topic.put(partition, FIRST_MS, b"B", b"stranger's")
        assert "is not as in" in refusal(restored, topic, saved(tmp_path / "d.gz", a_night()))

    @pytest.mark.parametrize("lost", [0, 3, 6])
    def test_what_was_acknowledged_and_is_not_there(self, restored: Restored, tmp_path: Path, lost: int) -> None:
        """The last batch of a partition, or all from one on: nothing lands in a wrong place, and yet the log is not whole."""
        topic = TopicInMemory()
        topic.answer = lambda partition, offset: None if partition == 0 and offset >= lost else offset
        log = saved(tmp_path / "d.gz", [r for r in a_night() if r.partition == 1 or r.offset < lost + BATCH_RECORDS])
        ends = f"{{0: {lost}, 1: 8}}, {log.path} at {{0: {min(8, lost + BATCH_RECORDS)}, 1: 8}}"
        assert refusal(restored, topic, log) == f"{TOPIC} ends at {ends}"

    @pytest.mark.parametrize(("first", "last"), [(0, 2), (3, 5), (6, 7)])
    def test_a_batch_that_is_not_taken_is_named(self, restored: Restored, tmp_path: Path, first: int, last: int) -> None:
        topic = TopicInMemory()
        topic.answer = lambda partition, offset: KafkaError("too large") if (partition, offset) == (1, first) else offset
        said = refusal(restored, topic, saved(tmp_path / "d.gz", a_night()))
        assert f"partition 1, offsets {first} to {last} were not taken: KafkaError: too large (no more is known)" in said
        assert said.endswith("run again, it goes on where it stopped")


class TestTheLog:
    @pytest.mark.parametrize("is_packed", [True, False])
    def test_cut_at_its_end_is_refused_before_anything_is_sent(self, tmp_path: Path, is_packed: bool) -> None:
        """The last checksum gone with what it stood behind; as a packed frame that is broken off, and unpacked."""
        path = tmp_path / "d"
        saved(path, a_night())
        if is_packed:
            path.write_bytes(path.read_bytes()[:-1])
            said = "is broken off"
        else:
            lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
            path.write_bytes(b"".join(lines[:-3]))
            said = f"{path}: its last {len(a_night()) - 2} records stand under no checksum: it was cut or added to"
        with pytest.raises(LogError) as caught:
            read_whole(ReportLog(path), lambda _: None)
        assert said in str(caught.value)

    def test_that_was_changed_while_it_was_sent(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        topic = TopicInMemory()
        monkeypatch.setattr(standing, "TopicReader", topic.reader)
        log = saved(tmp_path / "d.gz", a_night())
        due = read_whole(log, lambda _: None)
        log.path.unlink()
        other = saved(tmp_path / "d.gz", [replace(r, timestamp_ms=r.timestamp_ms + 1) for r in a_night()])
        with pytest.raises(RestoreRefused, match="partition 0, offset 0 is not as in"):
            asyncio.run(restore(topic, SETTINGS, TOPIC, other, due, lambda _: None))

    def test_that_is_a_recorded_night_has_no_places(self, tmp_path: Path) -> None:
        path = tmp_path / "night.jsonl"
        path.write_bytes(encode_line(a_night()[0], with_position=False))
        with pytest.raises(RestoreRefused, match="is a recorded night, without partitions and offsets"):
            partitions_of(ReportLog(path))


class TestTheTopic:
    def judged(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, found: ReportsTopic | None) -> list[str]:
        async def look(settings: Settings) -> ReportsTopic | None:
            return found

        monkeypatch.setattr(restoring, "look_at_reports", look)
        log = saved(tmp_path / "d.gz", a_night())
        try:
            asyncio.run(check_topic(SETTINGS, TOPIC, log))
        except RestoreRefused as refused:
            return [error.replace(str(log.path), "LOG") for error in refused.errors]
        return []

    def test_as_it_should_be(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        assert self.judged(monkeypatch, tmp_path, ReportsTopic(2, "CreateTime", [])) == []

    def test_that_gives_new_timestamps(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        (said,) = self.judged(monkeypatch, tmp_path, ReportsTopic(2, "LogAppendTime", []))
        assert said.startswith(f"{TOPIC}: message.timestamp.type is LogAppendTime, the log's own times would be lost")

    def test_of_another_partition_count_and_all_else_that_is_wrong(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        found = self.judged(monkeypatch, tmp_path, ReportsTopic(3, "LogAppendTime", ["a setting loses records"]))
        assert found[:2] == ["a setting loses records", "LOG was saved from 2 partitions, the topic has 3"]
        assert len(found) == 3

    def test_that_is_not_there(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        (said,) = self.judged(monkeypatch, tmp_path, None)
        assert said.startswith(f"there is no topic {TOPIC}; make it: tally-stream topics create --prefix t ")
        assert "--partitions 2 --create-time" in said
