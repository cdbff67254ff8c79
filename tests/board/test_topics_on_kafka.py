"""A board on real Kafka whose topics are missing, deleted, or made anew under it: one line that names the topic."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest

from tally_stream.kafka.client import KafkaError, StoredRecord
from tally_stream.kafka.following import LOOK_SECONDS, Follower, TopicLost
from tally_stream.settings import Settings
from tests.support.board_scene import BoardProcess, rehearsal_folder
from tests.support.preloaded import ran
from tests.support.processes import command, environment, run, settings_for
from tests.support.topics import administer, produce
from tests.support.waiting import wait_for


class Reader:
    """A topic as a reader has it: runs of offsets to hand out, and what a look finds."""

    topic = "t.standings"

    def __init__(self, *runs: list[int]) -> None:
        self.runs = list(runs)
        self.found: Any = (0, 100)
        self.is_missing = False

    async def poll(self) -> list[StoredRecord]:
        return [StoredRecord(0, offset, 0, None, None) for offset in (self.runs.pop(0) if self.runs else [])]

    async def is_gone(self) -> bool:
        return self.is_missing

    async def bounds(self) -> dict[int, tuple[int, int]]:
        if isinstance(self.found, Exception):
            raise self.found
        return {0: self.found}


class TestTheFollower:
    def follower(self, reader: Reader) -> Follower:
        self.now = 0.0
        return Follower(reader, lambda: self.now)  # type: ignore[arg-type]

    async def look(self, follower: Follower) -> None:
        self.now += LOOK_SECONDS
        await follower.poll()

    async def test_offsets_that_rise_with_gaps_are_a_compacted_topic(self) -> None:
        follower = self.follower(Reader([3, 7], [8], [20]))
        for _ in range(3):
            await follower.poll()
        for _ in range(3):
            await self.look(follower)

    async def test_an_offset_that_goes_back_is_another_topic(self) -> None:
        follower = self.follower(Reader([3, 7], [0]))
        await follower.poll()
        with pytest.raises(TopicLost, match=r"t\.standings, partition 0: offset 0 after 7: the topic was made anew"):
            await follower.poll()

    async def test_an_end_before_what_was_read_is_believed_the_second_time(self) -> None:
        reader = Reader([3, 7])
        follower = self.follower(reader)
        await follower.poll()
        reader.found = (0, 2)
        await self.look(follower)
        reader.found = (0, 8)
        await self.look(follower)  # a new leader had not heard yet
        reader.found = (0, 2)
        await self.look(follower)
        with pytest.raises(TopicLost, match="offset 2 after 7"):
            await self.look(follower)

    async def test_a_topic_that_is_gone_is_said_and_an_outage_is_not(self) -> None:
        reader = Reader([3])
        follower = self.follower(reader)
        await follower.poll()
        reader.found = KafkaError("nobody answers")
        for _ in range(3):
            await self.look(follower)
        reader.is_missing = True
        await self.look(follower)
        with pytest.raises(TopicLost, match=r"t\.standings: there is no such topic any more"):
            await self.look(follower)


@pytest.fixture
def settings(kafka_one: Any) -> Settings:
    return settings_for(kafka_one.bootstrap, f"b{uuid.uuid4().hex[:8]}")


def make(settings: Settings, folder: Path) -> None:
    run("topics", "create", "--election", str(folder), "--partitions", "2", "--replication", "1", settings=settings)


def delete(settings: Settings, name: str) -> None:
    async def work(admin: Any) -> None:
        await admin.delete_topics([f"{settings.prefix}.{name}"])

    administer(settings, work)


@pytest.mark.kafka
def test_a_missing_topic_is_refused_in_one_line(settings: Settings, tmp_path: Path) -> None:
    folder = rehearsal_folder(tmp_path / "e")
    make(settings, folder)
    delete(settings, "changes")
    done = ran(command("board", "--election", str(folder), "--port", "0"), environment(settings), 60)
    assert done.returncode == 1
    assert f"there is no topic {settings.prefix}.changes" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.kafka
@pytest.mark.parametrize(
    ("name", "is_made_again"), [("standings", False), ("standings", True), ("changes", True), ("reports", True)]
)
def test_a_topic_that_becomes_another_one_ends_the_board(
    settings: Settings, tmp_path: Path, name: str, is_made_again: bool
) -> None:
    folder = rehearsal_folder(tmp_path / "e")
    make(settings, folder)
    for topic in ("standings", "changes", "reports"):
        produce(settings, topic, 0, (b"S1", b"nonsense"), (b"S1", b"nonsense"))
    board = BoardProcess(settings, str(folder), tmp_path / "board.log")
    try:
        wait_for(lambda: b'"caught_up": true' in board.get("/readyz")[1], "the board to have read all")
        delete(settings, name)
        if is_made_again:
            make(settings, folder)
        wait_for(lambda: board.process.poll() is not None, "the board to end")
        code = board.process.returncode
        said = board.log_path.read_text()
        assert code == 1, said
        last = said.strip().splitlines()[-1]
        assert f"{settings.prefix}.{name}" in last
        assert ("made anew" if is_made_again else "there is no such topic any more") in last
        assert "Traceback" not in said
    finally:
        board.stop()
