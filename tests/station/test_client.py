"""StationClient: judged, kept, and sent for ever, the same bytes, until a broker has acknowledged it."""

from __future__ import annotations

import asyncio
import gc
import random
import re
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tally_stream.domain.scalars import murmur2_partition
from tally_stream.kafka.embedded import EmbeddedBroker
from tally_stream.kafka.refused import Refusal
from tally_stream.settings import load_settings
from tally_stream.station import client as client_module
from tally_stream.station import transport as transport_module
from tally_stream.station.client import (
    BACK_OFF_FIRST_SECONDS,
    BACK_OFF_MAX_SECONDS,
    NotSubmitted,
    StationClient,
    back_off_seconds,
    pause_seconds,
)
from tally_stream.station.preparing import NotAStatement
from tally_stream.station.spool import Spool, SpoolError, SpoolFigures, spooled_in
from tally_stream.station.transport import (
    CLOCK_MAX_MS,
    LOG_APPEND_TIME,
    NO_CLOCK_BELOW_MS,
    KafkaTransport,
    NotSent,
    NotTaken,
    clock_difference,
)
from tests.support.brokers import Embedded
from tests.support.doc_pages import marked
from tests.support.paths import DOCS
from tests.support.report_messages import ELECTION, counts, turnout
from tests.support.reporting_stations import write_election
from tests.support.topic_of_lists import PARTITIONS, TopicOfLists, absent
from tests.support.topics import read_topic
from tests.support.waiting import until

WARNED = {"ballots": {"cast": 100, "valid": 96, "blank": 0, "invalid": 4}}
OTHER_VOTES = {"votes": {"ANNA": 51, "BELA": 45}}
WRONG = {"ballots": {"cast": 99, "valid": 96, "blank": 2, "invalid": 2}}


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch) -> TopicOfLists:
    monkeypatch.setattr(client_module, "BACK_OFF_FIRST_SECONDS", 0.001)
    monkeypatch.setattr(client_module, "BACK_OFF_MAX_SECONDS", 0.002)
    return TopicOfLists()


@pytest.fixture
def make(tmp_path: Path, topic: TopicOfLists) -> Callable[..., StationClient]:
    def make(**more: Any) -> StationClient:
        return StationClient(ELECTION, Spool(tmp_path / "spool", "t.reports", ELECTION.id), topic, **more)

    return make


Make = Callable[..., StationClient]


async def test_a_statement_is_sent_where_it_belongs(make: Make, topic: TopicOfLists, tmp_path: Path) -> None:
    async with make() as client:
        id = await client.submit(counts(revision=None))
        await client.flush()
        (spooled,) = client.statements()
    assert (spooled.id, spooled.partition, spooled.offset) == (id, murmur2_partition(b"A-1", PARTITIONS), 0)
    assert topic.stored[murmur2_partition(b"A-1", PARTITIONS)] == [(b"A-1", spooled.value)]
    assert topic.is_closed
    assert spooled_in(tmp_path / "spool") == [spooled]


async def test_what_a_rule_says_keeps_it_back_until_it_is_accepted(make: Make, topic: TopicOfLists) -> None:
    async with make() as client:
        with pytest.raises(NotSubmitted, match=r"look at the warnings.*P1: 4 invalid of 100 cast"):
            await client.submit(counts(**WARNED))
        with pytest.raises(
            NotSubmitted, match=r"contradicts itself.*A2: valid, blank and invalid add up to 100, cast are 99"
        ) as held:
            await client.submit(counts(**WRONG), accepts_warnings=True)
        assert [remark.code for remark in held.value.checked.remarks] == ["A2"]
        with pytest.raises(NotSubmitted, match="it would be refused: put it right: S3"):
            await client.submit(counts(votes={"ANNA": 1}), accepts_warnings=True, accepts_errors=True)
        with pytest.raises(NotAStatement):
            await client.submit(counts(station=None))
        assert client.statements() == []
        await client.submit(counts(**WARNED), accepts_warnings=True)
        await client.submit(counts(**WRONG, station="B-1"), accepts_errors=True)
        await client.flush()
    assert len(topic.values) == 2


async def test_revisions_rise_by_themselves_and_the_same_again_is_no_new_one(make: Make, topic: TopicOfLists) -> None:
    async with make() as client:
        two = [counts(revision=None, votes={"ANNA": 50 + n, "BELA": 46 - n}) for n in (0, 0, 1)]
        ids = [await client.submit(one, accepts_warnings=True) for one in two]
        ids.append(await client.submit(turnout(revision=None)))
        ids.append(await client.submit(counts(revision=9), accepts_warnings=True))
        assert ids == [1, 1, 2, 3, 4]
        assert [(s.sequence, s.revision) for s in client.statements()] == [
            ("PRES", 1),
            ("PRES", 2),
            ("turnout", 1),
            ("PRES", 9),
        ]
        await client.flush()
    async with make() as client:
        assert await client.submit(counts(revision=None)) == 4, "as it was kept by the process before"
        await client.submit(counts(revision=None, votes={"ANNA": 49, "BELA": 47}), revision=12, accepts_warnings=True)
        await client.flush()
        assert [s.revision for s in client.statements()] == [1, 2, 1, 9, 12]
    assert len(topic.values) == 5


async def test_a_file_with_a_correction_in_it_given_again_states_nothing_new(make: Make, topic: TopicOfLists) -> None:
    """As after a kill -9, or where a system writes all that it has each time."""
    corrected = counts(revision=2, kind="correct", replaces=1, reason="misread", authority="it", **OTHER_VOTES)
    given = [counts(), turnout(), turnout(revision=2, voted=90), corrected]
    for _ in range(2):
        async with make() as client:
            assert [await client.submit(one, accepts_warnings=True) for one in given] == [1, 2, 3, 4]
            with pytest.raises(NotSubmitted, match="Q2: revision 1 after revision 2"):
                await client.submit(counts(**OTHER_VOTES))
            await client.flush()
    assert len(topic.values) == 4


async def test_absence_is_waited_for_with_the_same_bytes(make: Make, topic: TopicOfLists) -> None:
    said: list[str] = []
    topic.before = absent
    async with make(say=said.append) as client:
        await client.submit(counts())
        await client.submit(counts(station="B-1"))
        await until(lambda: topic.tries > 20, "twenty tries")
        assert [(s.offset, s.last_error) for s in client.statements()] == [(None, "nobody is there")] * 2
        topic.before = lambda count: None
        await client.flush()
        assert sorted(topic.values) == sorted(s.value for s in client.statements())
        assert {(s.last_error, s.tries > 5) for s in client.statements()} == {(None, True)}
    assert said[0].startswith("nobody is there; 2 wait here, next try in 0.0 s")


async def test_who_watches_is_told_what_the_spool_comes_to(make: Make, topic: TopicOfLists) -> None:
    told: list[SpoolFigures] = []
    topic.before = lambda count: absent(count) if count == 1 else None
    async with make(watch=told.append) as client:
        await client.submit(counts(revision=None))
        await client.flush()
    assert [(figures.unsent_count, figures.newest) for figures in told] == [
        (0, {}), (1, {"unsent": 1}), (1, {"unsent": 1}), (0, {"waiting": 1}),
    ], "at the start, kept, a try in vain, and sent"  # fmt: skip


async def test_it_is_told_where_other_users_may_read_the_spool(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "spool"
    path.touch()
    path.chmod(0o640)
    monkeypatch.setattr(Path, "chmod", lambda *_: None)  # a disk without owners
    said: list[str] = []
    async with make(say=said.append):
        assert len(said) == 1
        assert said[0].startswith(f"{path}: other users of this machine may read it, and with it counts before they are public")


async def test_who_is_told_to_come_again_comes_no_sooner(
    make: Make, topic: TopicOfLists, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def paused(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", paused)
    topic.before = lambda count: NotSent("too many", 77.0 if count == 1 else None) if count <= 3 else None
    async with make() as client:
        await client.submit(counts())
        await client.submit(counts(station="B-1"))
        await client.flush()
    assert [pause for pause in pauses if pause] == [pytest.approx(77.001, abs=0.001), pytest.approx(0.002, abs=0.002)]


async def test_an_acknowledgement_that_is_lost_is_sent_again_the_same_bytes(make: Make, topic: TopicOfLists) -> None:
    topic.after = lambda count: NotSent("no answer") if count <= 2 else None
    async with make() as client:
        await client.submit(counts())
        await client.flush()
        (spooled,) = client.statements()
    assert topic.values == [spooled.value] * 3
    assert spooled.offset == 2


async def test_a_later_statement_never_overtakes_the_one_before_it(make: Make, topic: TopicOfLists) -> None:
    chance = random.Random(7)
    topic.before = lambda count: NotSent("no") if chance.random() < 0.5 else None
    topic.after = lambda count: NotSent("no") if chance.random() < 0.3 else None
    async with make() as client:
        for revision in range(1, 9):
            for station in ("A-1", "B-1"):
                await client.submit(counts(revision=revision, station=station, votes={"ANNA": 50, "BELA": 46}))
        await client.flush()
        kept = client.statements()
    for key in (b"A-1", b"B-1"):
        (stood,) = [
            [v for k, v in records if k == key]
            for p, records in topic.stored.items()
            if p == murmur2_partition(key, PARTITIONS)
        ]
        assert list(dict.fromkeys(stood)) == [s.value for s in kept if s.key == key]


async def test_what_no_waiting_cures_ends_it_and_what_was_kept_stays(make: Make, topic: TopicOfLists, tmp_path: Path) -> None:
    said: list[str] = []
    topic.before = lambda count: NotTaken("the login is wrong")
    async with make(say=said.append) as client:
        await client.submit(counts())
        with pytest.raises(NotTaken, match="the login is wrong"):
            await client.flush()
        await client.submit(counts(station="B-1"))
    assert said == ["the login is wrong"]
    assert [(s.offset, s.last_error) for s in spooled_in(tmp_path / "spool")] == [(None, "the login is wrong"), (None, None)]
    topic.before = lambda count: None
    async with make() as client:
        await client.flush()
    assert len(topic.values) == 2


async def test_a_disk_that_fails_ends_it(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    def fails(*_: object) -> None:
        raise SpoolError("the disk is full")

    async with make(say=said.append) as client:
        monkeypatch.setattr(Spool, "note_sent", fails)
        await client.submit(counts())
        with pytest.raises(SpoolError, match="the disk is full"):
            await client.flush()
    assert said == ["the disk is full"]


async def test_a_value_is_sealed_before_it_is_kept(make: Make, topic: TopicOfLists) -> None:
    """Nobody reads this seal, so it is refused, as an envelope is without keys (S6)."""
    async with make(seal=lambda value: b"sealed " + value) as client:
        with pytest.raises(NotSubmitted, match="S1"):
            await client.submit(counts())


class TestBackOff:
    def test_it_grows_to_a_limit_and_half_of_it_is_chance(self) -> None:
        assert back_off_seconds(1, 0.0) == BACK_OFF_FIRST_SECONDS / 2
        assert back_off_seconds(1, 1.0) == BACK_OFF_FIRST_SECONDS
        assert back_off_seconds(2, 1.0) == 2 * BACK_OFF_FIRST_SECONDS
        assert back_off_seconds(10_000, 1.0) == BACK_OFF_MAX_SECONDS

    def test_a_thousand_clients_spread_themselves_when_a_broker_comes_back(self) -> None:
        chance = random.Random(1)
        after_an_hour = sorted(back_off_seconds(100, chance.random()) for _ in range(1_000))
        seconds = [int(pause) for pause in after_an_hour]
        assert max(seconds.count(second) for second in set(seconds)) < 120, "of 1,000 in 15 s, as even as chance is"

    def test_all_who_were_told_the_same_do_not_come_at_the_same_moment(self) -> None:
        chance = random.Random(2)
        pauses = [pause_seconds(6, 60.0, chance.random()) for _ in range(1_000)]
        assert min(pauses) >= 60.0 + BACK_OFF_FIRST_SECONDS * 2**5 / 2, "and no sooner than asked"
        seconds = [int(pause) for pause in pauses]
        assert max(seconds.count(second) for second in set(seconds)) < 170, "of 1,000 in 8 s"


class TestAnswers:
    """Of a producer that stands in for one whose brokers are silent."""

    async def test_no_answer_in_time_is_not_sent_and_a_late_one_leaves_no_trace(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(transport_module, "ANSWER_SECONDS", 0.01)
        answers: list[asyncio.Future[object]] = [asyncio.get_running_loop().create_future()]

        class Silent:
            async def send(self, topic: str, value: bytes, *, key: bytes, partition: int) -> asyncio.Future[object]:
                return answers[0]

        transport = KafkaTransport(load_settings(prefix="t"), print)
        transport._open = (AsyncExitStack(), Silent(), PARTITIONS)  # noqa: SLF001 (a client without a broker)
        with pytest.raises(NotSent, match=r"t\.reports: no broker has acknowledged within 0 s"):
            await transport.send(b"A-1", b"{}")
        assert transport._open is None, "the next try gets a client of its own"  # noqa: SLF001 (as above)
        answers.pop().set_exception(OSError("too late"))
        await asyncio.sleep(0)
        gc.collect()
        assert caplog.records == []


class TestRefusal:
    """What `try_broker` says, twice."""

    @pytest.fixture
    def tries(self, monkeypatch: pytest.MonkeyPatch) -> list[Refusal | None]:
        left: list[Refusal | None] = []

        async def try_broker(*_: object) -> Refusal | None:
            return left.pop(0)

        monkeypatch.setattr(transport_module, "try_broker", try_broker)
        monkeypatch.setattr(transport_module, "SECOND_TRY_SECONDS", 0.0)
        return left

    async def test_a_wrong_login_is_seen_twice_and_then_for_good(self, tries: list[Refusal | None]) -> None:
        tries += [Refusal("the login is wrong", True)] * 2
        with pytest.raises(NotTaken, match="the login is wrong"):
            await KafkaTransport(load_settings(prefix="t"), print).send(b"A-1", b"{}")

    async def test_a_broker_that_just_starts_may_not_know_its_users_yet(self, tries: list[Refusal | None]) -> None:
        tries += [Refusal("the login is wrong", True), Refusal("nobody is there", False)]
        with pytest.raises(NotSent, match="nobody is there"):
            await KafkaTransport(load_settings(prefix="t"), print).send(b"A-1", b"{}")

    async def test_one_try_for_all_that_are_due(self, tries: list[Refusal | None]) -> None:
        tries.append(Refusal("nobody is there", False))
        transport = KafkaTransport(load_settings(prefix="t"), print)
        found = await asyncio.gather(*(transport.send(b"A-1", b"{}") for _ in range(50)), return_exceptions=True)
        assert [str(error) for error in found] == ["nobody is there"] * 50
        await transport.close()

    async def test_a_file_of_the_settings_that_is_gone_is_for_good(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def gone(_: object) -> None:
            raise OSError("TALLY_SECURITY_CAFILE (ca.pem): no longer what it was at the start")

        monkeypatch.setattr(transport_module, "connection", gone)
        with pytest.raises(NotTaken, match="TALLY_SECURITY_CAFILE"):
            await KafkaTransport(load_settings(prefix="t"), print).send(b"A-1", b"{}")


class TestClock:
    def test_a_clock_two_days_off_is_told(self) -> None:
        two_days = 2 * 24 * 3_600_000
        assert clock_difference(0, two_days) == (
            "this machine's clock is 2 d 0 h ahead of the brokers': set it; times counted by it are warned of (Q7)"
        )
        assert "is 0 h 05 min behind the brokers'" in (clock_difference(CLOCK_MAX_MS + 1, 0) or "")
        assert clock_difference(CLOCK_MAX_MS, 0) is clock_difference(0, CLOCK_MAX_MS) is None

    def test_once_and_only_where_the_brokers_give_the_time(self) -> None:
        said: list[str] = []
        transport = KafkaTransport(load_settings(prefix="t"), said.append)
        for kind in (0, LOG_APPEND_TIME, LOG_APPEND_TIME):
            transport._tell_of_the_clock(SimpleNamespace(timestamp=NO_CLOCK_BELOW_MS, timestamp_type=kind))  # noqa: SLF001 (an answer that no test broker gives)
            assert len(said) == (kind == LOG_APPEND_TIME)


class TestOnABroker:
    async def test_records_stand_where_kafka_s_own_clients_would_put_them(
        self, embedded_broker: Embedded, tmp_path: Path
    ) -> None:
        settings = load_settings(bootstrap=embedded_broker.bootstrap, prefix="station-client")
        transport = KafkaTransport(settings, print)
        spool = Spool(tmp_path / "spool", transport.topic, ELECTION.id)
        async with StationClient(ELECTION, spool, transport) as client:
            for station in ("A-1", "B-1"):
                await client.submit(counts(station=station))
            await client.flush()
            kept = client.statements()
        partitions, found = await asyncio.to_thread(read_topic, settings, "reports")
        assert {(r.partition, r.offset, r.key, r.value) for r in found} == {
            (s.partition, s.offset, s.key, s.value) for s in kept
        }
        assert all(r.key and r.partition == murmur2_partition(r.key, partitions) for r in found)

    async def test_where_nobody_is_it_says_so_and_waits(self, tmp_path: Path, topic: TopicOfLists) -> None:
        settings = load_settings(bootstrap="127.0.0.1:9", prefix="nobody")
        said: list[str] = []
        spool = Spool(tmp_path / "spool", "nobody.reports", ELECTION.id)
        async with StationClient(ELECTION, spool, KafkaTransport(settings, print), say=said.append) as client:
            await client.submit(counts())
            await client.submit(counts(station="B-1"))
            await until(lambda: len(said) >= 2, "two tries")
        assert re.match(r"no Kafka broker answers at 127\.0\.0\.1:9 \(.*\): .*; 2 wait here, next try in 0\.0 s", said[0])


def test_the_example_of_the_docs_prints_what_stands_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    example = marked(DOCS / "api.md", "example")
    monkeypatch.chdir(tmp_path)
    write_election(tmp_path / "my-election")
    with EmbeddedBroker({"tally.reports": 2, "tally.standings": 1, "tally.rejections": 2}) as broker:
        monkeypatch.setenv("TALLY_BOOTSTRAP", broker.bootstrap)
        exec(example["station"].text, {})
    assert capsys.readouterr().out == example["station, prints"].text
