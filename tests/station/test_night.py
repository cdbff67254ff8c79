"""A night on its way into a topic that stands in memory: where its records belong, and how it is gone on with."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

import pytest

from tally_stream.domain.scalars import murmur2_partition
from tally_stream.kafka.client import KafkaError
from tally_stream.station import standing
from tally_stream.station.night import Night, NightRefused, Sending, already_sent, play
from tally_stream.wire.report_log import LogRecord, encode_header, encode_line
from tests.support.report_messages import ELECTION, LOG_MS, as_bytes, control, counts, turnout
from tests.support.topic_in_memory import TopicInMemory

PARTITIONS = 3
RECORDS = [
    (b"A-1", as_bytes(counts())),
    (b"B-1", as_bytes(counts(station="B-1"))),
    (b"PRES", as_bytes(control())),
    (None, None),
    (b"PRES", b"junk"),
    (b"A-1", as_bytes(counts(revision=2))),
    (None, b"x"),
    (b"B-1", None),
    (b"B-1", as_bytes(turnout(station="B-1"))),
    (b"PRES", as_bytes(control(revision=2, kind="release"))),
    (b"", b""),
    (b"C-1", b"of no station"),
]


def recorded(path: Path, records: Iterable[tuple[bytes | None, bytes | None]] = RECORDS) -> Night:
    lines = [encode_line(LogRecord(LOG_MS + n, *r, 0, n), with_position=False) for n, r in enumerate(records)]
    path.write_bytes(b"".join(lines))
    return Night(ELECTION, path, PARTITIONS)


def expected() -> dict[int, list[tuple[int, bytes | None, bytes | None]]]:
    """Partition → what should stand there: a station's by its key, control of a contest in each, what has no key in the first."""
    found: dict[int, list[tuple[int, bytes | None, bytes | None]]] = {p: [] for p in range(PARTITIONS)}
    for n, (key, value) in enumerate(RECORDS):
        if key is None:
            places: Iterable[int] = (0,)
        elif key == b"PRES" and value != b"junk":
            places = range(PARTITIONS)
        else:
            places = (murmur2_partition(key, PARTITIONS),)
        for place in places:
            found[place].append((LOG_MS + n, key, value))
    return found


def stands(topic: TopicInMemory) -> dict[int, list[tuple[int, bytes | None, bytes | None]]]:
    return {p: [(r.timestamp_ms, r.key, r.value) for r in records] for p, records in topic.stored.items()}


def a_topic() -> TopicInMemory:
    return TopicInMemory(partitions=PARTITIONS, is_one_at_a_time=False)


class Stopped(Exception):
    pass


def sent(monkeypatch: pytest.MonkeyPatch, topic: TopicInMemory, night: Night, *, stop_at: int | None = None) -> int:
    """`send` once, up to this record of the night; how many stand there then."""
    monkeypatch.setattr(standing, "TopicReader", topic.reader)

    async def wait(sending: Sending) -> None:
        if sending.index == stop_at:
            raise Stopped

    async def run() -> int:
        there = await already_sent(topic.settings, topic.name, night)
        return await play(topic, topic.name, night, there, wait=wait)

    return asyncio.run(run())


def test_each_record_stands_where_it_belongs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    topic = a_topic()
    total = sent(monkeypatch, topic, recorded(tmp_path / "night"))
    assert stands(topic) == expected()
    assert all(len(at) > 2 for at in expected().values()), "control alone would show nothing"
    assert total == len(RECORDS) + 2 * (PARTITIONS - 1), "two for control, in each partition"


@pytest.mark.parametrize("stop_at", range(len(RECORDS)))
def test_goes_on_where_it_stopped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stop_at: int) -> None:
    topic, night = a_topic(), recorded(tmp_path / "night")
    with pytest.raises(Stopped):
        sent(monkeypatch, topic, night, stop_at=stop_at)
    before = sum(map(len, stands(topic).values()))
    assert before < len(RECORDS) + 4
    sent(monkeypatch, topic, night)
    assert stands(topic) == expected()


def test_goes_on_in_the_middle_of_the_copies_of_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The first partition has the control of the contest already, the others do not."""
    topic = a_topic()
    for partition, records in expected().items():
        upto = next(n for n, (_, key, _) in enumerate(records) if key == b"PRES") + (partition == 0)
        for record in records[:upto]:
            topic.put(partition, *record)
    sent(monkeypatch, topic, recorded(tmp_path / "night"))
    assert stands(topic) == expected()


def test_the_topics_own_times_are_no_other_night(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    topic = a_topic()
    for partition, records in expected().items():
        for _, key, value in records:
            topic.put(partition, 5, key, value)
    sent(monkeypatch, topic, recorded(tmp_path / "night"))
    assert topic.batches == []


def test_another_record_is_another_night(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    topic = a_topic()
    topic.put(1, LOG_MS, b"A-1", b"another")
    with pytest.raises(NightRefused, match=r"partition 1, offset 0 is no record of this night \(another record stands here\)"):
        sent(monkeypatch, topic, recorded(tmp_path / "night"))
    assert topic.batches == []


@pytest.mark.parametrize("at", range(len(RECORDS)))
def test_returns_once_everything_is_acknowledged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, at: int) -> None:
    """The first record that is not taken, wherever it stands, ends it."""
    topic, count = a_topic(), iter(range(100))
    topic.answer = lambda partition, offset: KafkaError("not taken") if next(count) == at else offset
    with pytest.raises(KafkaError, match="not taken"):
        sent(monkeypatch, topic, recorded(tmp_path / "night"))


def test_waits_for_its_pace_before_what_is_sent_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    topic, night = a_topic(), recorded(tmp_path / "night")
    with pytest.raises(Stopped):
        sent(monkeypatch, topic, night, stop_at=4)
    waited, handed = [], []

    async def wait(sending: Sending) -> None:
        waited.append(sending.index)

    async def run() -> None:
        there = await already_sent(topic.settings, topic.name, night)
        await play(topic, topic.name, night, there, wait=wait, on_sent=lambda sending: handed.append(sending.index))

    asyncio.run(run())
    assert waited == list(range(4, len(RECORDS)))
    assert handed == list(range(len(RECORDS))), "the whole night, so that a progress bar is right"


def test_a_saved_log_has_places_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "log"
    records = [LogRecord(LOG_MS, b"PRES", as_bytes(control()), 2, 0), LogRecord(LOG_MS, b"A-1", b"x", 0, 0)]
    path.write_bytes(encode_header("t", 3) + b"".join(encode_line(r, with_position=True) for r in records))
    topic = a_topic()
    assert sent(monkeypatch, topic, Night(ELECTION, path, 3)) == 2
    assert {p: len(records) for p, records in topic.stored.items()} == {0: 1, 1: 0, 2: 1}
    with pytest.raises(NightRefused, match="was saved from 3 partitions, the topic has 4"):
        Night(ELECTION, path, 4)
