"""What an intake knows of the reports topic: what stands there, whoever sent it, and nothing that the count refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tally_stream.domain.election import Election
from tally_stream.domain.ledger import Entry
from tally_stream.domain.scalars import murmur2_partition
from tally_stream.kafka.client import KafkaError
from tally_stream.settings import Settings
from tally_stream.station import checking
from tally_stream.station.intake import followed
from tally_stream.station.intake.followed import ReportsFollowed
from tally_stream.station.intake.identity import Identity
from tally_stream.station.intake.recent import RecentStatements
from tally_stream.station.intake.taking import RefusedStatement, Taken, Taking
from tests.support.report_messages import ELECTION, LOG_MS, as_bytes, control, counts, decision, election, turnout
from tests.support.signing import key_statement, signed, signing_key
from tests.support.topic_of_lists import PARTITIONS, TopicRead
from tests.support.waiting import until

BOTH = Identity("both", frozenset({"A-1", "B-1"}))
OTHER_VOTES = {"votes": {"ANNA": 51, "BELA": 45}}
HELD = {"ballots": {"cast": 99, "valid": 96, "blank": 2, "invalid": 2}}
HOME = murmur2_partition(b"A-1", PARTITIONS)


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch) -> TopicRead:
    topic = TopicRead()
    monkeypatch.setattr(followed, "TopicReader", topic.reader)
    for name in ("LOOK_SECONDS", "AGAIN_SECONDS"):
        monkeypatch.setattr(followed, name, 0.001)
    return topic


class Intake:
    """Taking with what it follows."""

    def __init__(self, topic: TopicRead, of: Election, stations: Callable[[], frozenset[str]]) -> None:
        self.said: list[str] = []
        recent = RecentStatements()
        self.followed = ReportsFollowed(Settings(), of, recent, stations, self.said.append)
        self.taking = Taking(of, topic, print, lambda: LOG_MS, recent, self.followed)

    async def take(self, message: dict[str, Any] | bytes) -> Taken | RefusedStatement:
        value = message if isinstance(message, bytes) else as_bytes(message)
        return await self.taking.take(value, BOTH, accepts_warnings=True, accepts_errors=True)

    async def answer(self, message: dict[str, Any] | bytes) -> tuple[int, int] | str:
        """Offset, and whether it stood there (1) or was sent (0); or the word of the refusal."""
        answer = await self.take(message)
        return (answer.offset, int(answer.is_repeated)) if isinstance(answer, Taken) else answer.why

    def has_read(self, offset: int) -> bool:
        counted = self.followed.counted("A-1")
        return counted is not None and counted.has("A-1", offset)

    def next(self, sequence: str = "PRES") -> int:
        return self.taking.next_revision("A-1", sequence)


@asynccontextmanager
async def started(
    topic: TopicRead, of: Election = ELECTION, stations: Callable[[], frozenset[str]] = lambda: BOTH.stations
) -> AsyncIterator[Intake]:
    intake = Intake(topic, of, stations)
    running = asyncio.create_task(intake.followed.run())
    try:
        yield intake
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_after_a_restart_the_same_has_its_place_and_other_content_is_refused(topic: TopicRead) -> None:
    async with started(topic) as first:
        assert await first.answer(counts()) == (0, 0)
        assert await first.answer(counts(revision=2, **OTHER_VOTES)) == (1, 0)
        assert await first.answer(turnout()) == (2, 0)
    async with started(topic) as intake:
        assert await intake.answer(counts(revision=2)) == "other-content"
        assert await intake.answer(counts(revision=2, **OTHER_VOTES)) == (1, 1)
        assert await intake.answer(counts()) == (0, 1), "an earlier one too"
        assert await intake.answer(counts(**OTHER_VOTES)) == "other-content"
        assert await intake.answer(turnout(voted=7)) == "other-content"
        assert await intake.answer(turnout()) == (2, 1)
        assert (intake.next(), intake.next("SEAT"), intake.next("turnout")) == (3, 1, 2)
        assert len(topic.values) == 3
        assert await intake.answer(counts(revision=3)) == (3, 0)


async def test_what_another_intake_took_is_followed(topic: TopicRead) -> None:
    async with started(topic) as one, started(topic) as two:
        assert await one.answer(counts()) == (0, 0)
        await until(lambda: two.next() == 2, "what the other one took")
        assert await two.answer(counts()) == (0, 1)
        assert await two.answer(counts(**OTHER_VOTES)) == "other-content"
        assert await two.answer(counts(revision=2, **OTHER_VOTES)) == (1, 0)
        await until(lambda: one.next() == 3, "and the other way")


async def test_an_authority_s_order_has_a_revision_too(topic: TopicRead) -> None:
    topic.put(counts())
    topic.put(decision(revision=2, replaces=1))
    async with started(topic) as intake:
        assert await intake.followed.is_known("A-1")
        assert intake.next() == 3


async def test_what_the_count_refuses_takes_no_revision(topic: TopicRead) -> None:
    """Under a wrong key, in a wrong partition, far above, no statement, a correction of nothing, or of another election."""
    topic.put(counts(), key=b"B-1")
    topic.put(counts(), partition=(HOME + 1) % PARTITIONS)
    topic.put(counts(revision=900_000_000))
    topic.put(b"nonsense")
    topic.put(counts(kind="correct", replaces=7, reason="why", authority="who"))
    topic.put(counts(election="Y-2024"))
    topic.put(control(), key=b"PRES")
    async with started(topic) as intake:
        assert await intake.answer(counts(**OTHER_VOTES)) == (len(topic.stored[HOME]) - 1, 0)
        assert intake.next() == 2


@pytest.mark.parametrize("signatures", ["required", "optional"])
async def test_a_forged_statement_takes_no_revision_and_a_right_one_does(topic: TopicRead, signatures: Any) -> None:
    of = election(signatures=signatures, keys=[signing_key("ALL")])
    topic.put(signed(counts(revision=5), "OTHER", named="ALL"))
    topic.put(signed(counts(revision=6), "NEW"))
    if signatures == "required":
        topic.put(counts(revision=7))
    for partition in range(PARTITIONS):
        topic.put(signed(key_statement(), "ALL"), b"NEW", partition)
    topic.put(signed(counts(), "NEW"))
    async with started(topic, of) as intake:
        assert await intake.followed.is_known("A-1")
        assert intake.next() == 2
        assert await intake.answer(signed(counts(**OTHER_VOTES), "ALL")) == "other-content"


async def test_a_wrong_signature_of_our_own_takes_no_revision_once_the_count_refused_it(topic: TopicRead) -> None:
    """An intake verifies no signature of what comes, and takes it."""
    of = election(signatures="required", keys=[signing_key("ALL")])
    async with started(topic, of) as intake:
        assert await intake.answer(signed(counts(**OTHER_VOTES), "OTHER", named="ALL")) == (0, 0)
        await until(lambda: intake.next() == 1, "what the count makes of it")
        assert await intake.answer(signed(counts(), "ALL")) == (1, 0)


async def test_of_two_that_were_sent_at_once_the_first_one_stands(topic: TopicRead) -> None:
    topic.before = lambda count: topic.put(counts())
    async with started(topic) as intake:
        assert await intake.answer(counts(**OTHER_VOTES)) == (1, 0)
        await until(lambda: intake.has_read(1), "both")
        topic.before = lambda count: None
        assert await intake.answer(counts()) == (0, 1)
        assert await intake.answer(counts(**OTHER_VOTES)) == "other-content"


async def test_nothing_of_a_station_is_taken_before_it_is_known(topic: TopicRead, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(followed, "KNOWN_SECONDS", 0.05)
    topic.put(counts())
    topic.opened.clear()
    async with started(topic) as intake:
        assert intake.followed.trouble == "not read yet"
        answer = await intake.take(counts(**OTHER_VOTES))
        assert isinstance(answer, RefusedStatement)
        assert (answer.why, answer.retry_seconds) == ("brokers", 5)
        assert "station A-1" in answer.sentence
    assert len(topic.values) == 1


async def test_who_waits_for_a_station_is_answered_as_soon_as_it_is_known(topic: TopicRead) -> None:
    topic.put(counts())
    topic.opened.clear()
    async with started(topic) as intake:
        waiting = asyncio.create_task(intake.answer(counts(**OTHER_VOTES)))
        await until(lambda: intake.taking.under_way_count == 1, "one that waits")
        topic.opened.set()
        assert await waiting == "other-content"
        assert intake.followed.trouble is None
    assert len(topic.values) == 1


async def test_a_station_that_is_added_is_read_from_the_start(topic: TopicRead) -> None:
    stations = {"B-1"}
    topic.put(counts())
    async with started(topic, stations=lambda: frozenset(stations)) as intake:
        assert await intake.followed.is_known("B-1")
        assert intake.followed.counted("A-1") is None
        stations.add("A-1")
        assert await intake.answer(counts(**OTHER_VOTES)) == "other-content"
        assert topic.begun == 2


async def test_trouble_is_told_once_and_reading_goes_on_where_it_was(topic: TopicRead) -> None:
    async with started(topic) as intake:
        assert await intake.answer(counts()) == (0, 0)
        await until(lambda: intake.has_read(0), "it is read")
        topic.trouble = KafkaError("gone")
        await until(lambda: topic.begun > 3, "several tries")
        assert intake.said == ["the reports topic is not read on: KafkaError: gone"]
        assert intake.followed.trouble == "KafkaError: gone"
        topic.put(counts(revision=2, **OTHER_VOTES))
        topic.trouble = None
        await until(lambda: intake.next() == 3, "what came meanwhile")
        assert intake.followed.trouble is None


async def test_a_reading_that_gets_nothing_is_begun_anew(topic: TopicRead, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(followed, "STALL_SECONDS", 0.01)
    topic.opened.clear()
    async with started(topic) as intake:
        await until(lambda: topic.begun > 1, "another try")
        assert intake.said == ["the reports topic is not read on: nothing came for 0 s"]
        topic.opened.set()
        assert await intake.answer(counts()) == (0, 0)


def test_all_that_the_ledger_has_of_a_station_is_copied() -> None:
    fields = {name for name in dir(Entry) if not name.startswith("_")} - {"counts_in_force", "station"}
    assert set(checking._ENTRY_FIELDS) == fields  # noqa: SLF001 (a field that is added and not copied shows late)
