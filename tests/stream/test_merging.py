"""What stage 2 takes, heals and waits for; the broker answers when the test says so.

Longer than other files: every part of it drives one merge through the same fake broker and the same few pages, and a reader of
one part needs the helpers of all.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from tally_stream.domain.election import Election
from tally_stream.domain.pages import LAYOUT_NUMBER, Mark
from tally_stream.kafka.client import StoredRecord
from tally_stream.stream import merging as module
from tally_stream.stream import publishing
from tally_stream.stream.invariant import BrokenInvariant
from tally_stream.stream.merging import Merging
from tally_stream.wire.newest import ROOT_SECONDS
from tally_stream.wire.pages import PageWriter
from tests.stream.outlets import (
    ELECTION,
    TOPICS,
    Flushing,
    HeldOutlet,
    Record,
    Stored,
    Told,
    falling,
    flushed,
    hold,
    release,
    report,
    settle,
    stored,
)
from tests.support.report_messages import CLOSE_MS, control, counts
from tests.support.report_messages import election as an_election
from tests.support.small_elections import contest, station
from tests.support.small_elections import election as small_election

ROOT = b"PRES|X"


def a_merging(outlet: HeldOutlet, fatal: list[str]) -> Merging:
    merging = Merging(ELECTION, TOPICS, 1, outlet, on_fatal=fatal.append)
    merging.begin_ownership(0, 0)
    return merging


def a_clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """That stands still; its one number is the time."""
    now = [1_000.0]
    for of in (module, publishing):
        monkeypatch.setattr(of, "monotonic", lambda: now[0])
    return now


def no_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """No root is sent again unchanged: what is sent was told that it may say something else."""
    monkeypatch.setattr(publishing, "ROOTS_AGAIN_AT_ONCE", 0.0)


def roots(outlet: HeldOutlet) -> list[dict[str, object]]:
    return [json.loads(value) for key, value in outlet.of(TOPICS.standings) if key == ROOT]


async def test_older_pages_and_an_older_mark_change_nothing() -> None:
    outlet = HeldOutlet(TOPICS.standings)
    fatal: list[str] = []
    merging = a_merging(outlet, fatal)
    old, new = flushed(report(0)), flushed(report(0), falling(1, 2))
    merging.take(stored(*new, *old))
    await merging.see([], is_end=True)
    await settle()
    assert merging.version(0) == 2
    assert [root["version"] for root in roots(outlet)] == [2]
    merging.end_ownership()
    assert fatal == []


async def test_the_time_that_it_works_is_told_over_all_ownerships() -> None:
    outlet = HeldOutlet(TOPICS.standings)
    fatal: list[str] = []
    merging = a_merging(outlet, fatal)
    assert merging.worked_seconds == 0
    merging.take(stored(*flushed(report(0))))
    read = merging.worked_seconds
    assert read > 0
    await merging.see([], is_end=True)
    await settle()
    assert (rendered := merging.worked_seconds) > read
    merging.end_ownership()
    merging.begin_ownership(0, 0)
    assert merging.worked_seconds == rendered
    merging.end_ownership()
    assert fatal == []


async def test_an_own_page_counts_once_acknowledged_and_is_passed_over_in_the_topic(monkeypatch: pytest.MonkeyPatch) -> None:
    outlet = HeldOutlet(TOPICS.standings)
    fatal: list[str] = []
    merging = a_merging(outlet, fatal)
    await merging.see([], is_end=True)
    await settle()
    mine = flushed(report(0))
    for offset, (sent, _, value) in enumerate(mine):
        merging.take_acknowledged(sent, value, offset)
    await settle()
    assert [root["version"] for root in roots(outlet)] == [1]

    read: list[bytes] = []
    reader_read = merging._reader.read  # noqa: SLF001  (counts what is read)

    def read_and_remember(key: bytes, value: bytes) -> Any:
        read.append(value)
        return reader_read(key, value)

    monkeypatch.setattr(merging._reader, "read", read_and_remember)  # noqa: SLF001  (counts what is read)
    merging.take(stored(*mine))
    assert read == [], "its figures were put already"
    assert merging.next_offset() == len(mine)
    newer = flushed(report(0), falling(1, 2))
    merging.take(stored(*newer, begin=len(mine)))
    assert read == [told.value for told in newer]
    await settle()
    assert [root["version"] for root in roots(outlet)] == [1, 2]
    assert fatal == []
    merging.end_ownership()


async def test_an_own_page_waits_for_others_that_stand_before_it() -> None:
    """The page of a worker that was frozen and thaws lands behind others that it has not read. Published at once it would
    be a vector that is neither below nor above those of the worker that took over."""
    merging = a_merging(HeldOutlet(TOPICS.standings), [])
    mine, others = flushed(report(0), falling(1, 2)), flushed(report(0))
    for number, (sent, _, value) in enumerate(mine):
        merging.take_acknowledged(sent, value, len(others) + number)
    assert merging.version(0) == 0, "the topic before it is not read"
    merging.take(stored(*others))
    assert merging.version(0) == 2, "read up to it, it counts without being read"
    assert merging.next_offset() == len(others)
    merging.end_ownership()


async def test_another_page_where_an_own_one_should_stand_is_read() -> None:
    """A repeated send may be told a wrong offset: what lies there counts, whoever sent it."""
    merging = a_merging(HeldOutlet(TOPICS.standings), [])
    newer = flushed(report(0), falling(1, 2))
    for (sent, _, value), offset in zip(flushed(report(0)), (0, 1), strict=True):
        merging.take_acknowledged(sent, value, offset)
    assert merging.version(0) == 1
    merging.take(stored(*newer))
    assert merging.version(0) == 2
    merging.end_ownership()


async def test_who_does_not_own_the_standings_takes_no_page() -> None:
    merging = Merging(ELECTION, TOPICS, 1, HeldOutlet(TOPICS.standings), on_fatal=lambda _: None)
    for offset, (sent, _, value) in enumerate(flushed(report(0))):
        merging.take_acknowledged(sent, value, offset)
    merging.begin_ownership(2, 2)  # what was acknowledged before lies below: it is read from the topic
    assert merging.version(0) == 0
    merging.end_ownership()


async def test_a_publication_goes_out_in_batches_and_each_message_knows_its_own_offset() -> None:
    outlet = HeldOutlet()
    merging = a_merging(outlet, [])
    merging.take(stored(*flushed(report(0))))
    await merging.see([], is_end=True)
    await settle()
    first = [key for key, _ in outlet.of(TOPICS.standings)]
    assert len(first) > outlet.batch_records, "more than one batch"
    assert first.index(ROOT) == 2, "behind its areas"
    for begin in range(0, len(first), outlet.batch_records):
        outlet.sent[begin][3].set_result(100 + 10 * begin)
    await settle()
    sent = merging._publishing._contests[0].sent  # noqa: SLF001  (what was sent is said nowhere else)
    due = {key: 100 + 10 * (i - i % outlet.batch_records) + i % outlet.batch_records for i, key in enumerate(first[:3])}
    assert {key: sent[key].offset for key in first[:3]} == due
    merging.end_ownership()


async def test_an_older_record_of_another_owner_is_overwritten_and_other_bytes_end_it() -> None:
    outlet = HeldOutlet(TOPICS.standings)
    fatal: list[str] = []
    merging = a_merging(outlet, fatal)
    merging.take(stored(*flushed(report(0))))
    await merging.see([], is_end=True)
    await settle()
    older = next(v for k, v in outlet.of(TOPICS.standings) if k == ROOT)
    merging.take(stored(*flushed(report(0), falling(1, 2)), begin=9))
    await settle()
    sent = [v for k, v in outlet.of(TOPICS.standings) if k == ROOT]
    assert len(sent) == 2
    await merging.see([StoredRecord(0, 10_000, 0, ROOT, older)], is_end=False)
    assert [v for k, v in outlet.of(TOPICS.standings) if k == ROOT] == [*sent, sent[-1]]
    with pytest.raises(BrokenInvariant, match="other bytes than ours"):
        await merging.see([StoredRecord(0, 10_001, 0, ROOT, sent[-1].replace(b'"valid":76', b'"valid":77'))], is_end=False)
    merging.end_ownership()


async def test_an_older_record_that_came_before_the_acknowledgement_is_overwritten_after_it() -> None:
    """A new owner's first message of an area is under way when its predecessor's late one lands on top of it."""
    outlet = HeldOutlet()
    fatal: list[str] = []
    merging = a_merging(outlet, fatal)
    other_outlet = HeldOutlet()
    other = a_merging(other_outlet, [])
    for one, told in ((other, flushed(report(0))), (merging, flushed(report(0), falling(1, 2)))):
        one.take(stored(*told))
        await one.see([], is_end=True)
    await settle()
    other.end_ownership()
    older = dict(other_outlet.of(TOPICS.standings))
    sent = outlet.of(TOPICS.standings)
    first = [one for one in sent if one[0].startswith(b"PRES")]
    await merging.see([StoredRecord(0, 10_000 + i, 0, key, older[key]) for i, (key, _) in enumerate(first)], is_end=False)
    assert outlet.of(TOPICS.standings) == sent
    outlet.answers.add(TOPICS.standings)
    outlet.answer(TOPICS.standings)  # below 10,000: the other owner's records lie on top
    await settle()
    assert [one for one in outlet.of(TOPICS.standings) if one[0].startswith(b"PRES")] == [*first, *first]
    merging.end_ownership()
    assert fatal == []


async def test_a_record_sent_again_may_land_above_the_newer_one_that_is_under_way() -> None:
    """Another owner's record lies on top of ours; ours goes out again while its successor is on its way, and comes after it."""
    outlet, other_outlet = HeldOutlet(), HeldOutlet()
    fatal: list[str] = []
    merging, other = a_merging(outlet, fatal), a_merging(other_outlet, [])
    for one, told in ((other, flushed(report(0))), (merging, flushed(report(0), falling(1, 2)))):
        one.take(stored(*told))
        await one.see([], is_end=True)
    await settle()
    other.end_ownership()
    for _ in ELECTION.contests:  # one after the other
        outlet.answer(TOPICS.standings, 100)
        await settle()
    stood = len(outlet.sent)
    older = dict(other_outlet.of(TOPICS.standings))[ROOT]
    healing = asyncio.create_task(merging.see([StoredRecord(0, 150, 0, ROOT, older)], is_end=False))
    await settle()
    merging.take(stored(*flushed(report(0), falling(1, 2), report(2, 3)), begin=9))
    await settle()
    versions = [json.loads(value)["version"] for _, key, value, _ in outlet.sent[stood:] if key == ROOT]
    assert versions == [2, 3]
    outlet.sent[stood][3].set_result(300)
    await healing
    outlet.answer(TOPICS.standings, 200)
    await settle()
    assert fatal == []
    merging.end_ownership()


async def test_a_topic_made_anew_under_it_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The root goes out again and lands below where it stood: the areas are gone, and only a start sends them again. A
    repeated send, whose place nobody says, must not make that forgotten."""
    now = a_clock(monkeypatch)
    outlet = HeldOutlet()
    fatal: list[str] = []
    merging = a_merging(outlet, fatal)
    merging.take(stored(*flushed(report(0))))
    await merging.see([], is_end=True)
    await settle()

    async def answer(offset: int) -> None:
        for _ in ELECTION.contests:  # one after the other
            outlet.answer(TOPICS.standings, offset)
            await settle()

    await answer(100)
    stood = len(roots(outlet))
    for offset, is_fatal in ((200, False), (-1, False), (211, False), (-1, False), (211, True)):
        now[0] += ROOT_SECONDS
        merging.take([])
        await settle()
        assert len(roots(outlet)) == (stood := stood + 1)
        await answer(offset)
        assert bool(fatal) is is_fatal, offset
    assert fatal[0].endswith("t.standings: offset 211 after 212: the topic was made anew, or lost records")
    merging.end_ownership()


async def test_a_topic_made_anew_in_the_middle_of_a_publication_ends_it() -> None:
    """What the old one took is on no topic; no root would tell it later, for none stood on the old one."""
    outlet = HeldOutlet()
    fatal: list[str] = []
    merging = a_merging(outlet, fatal)
    merging.take(stored(*flushed(report(0))))
    await merging.see([], is_end=True)
    await settle()
    waiting = list(dict.fromkeys(future for *_, future in outlet.sent))
    assert len(waiting) > 1
    waiting[0].set_result(100)
    for number, future in enumerate(waiting[1:]):
        future.set_result(10 * number)
    await settle()
    assert fatal == ["publishing standings failed: t.standings: offset 0 after 101: the topic was made anew, or lost records"]
    merging.end_ownership()


async def test_behind_a_published_root_it_waits_then_ends_naming_the_partition(monkeypatch: pytest.MonkeyPatch) -> None:
    ahead = HeldOutlet(TOPICS.standings)
    other = a_merging(ahead, [])
    other.take(stored(*flushed(report(0), falling(1, 2))))
    await other.see([], is_end=True)
    await settle()
    other.end_ownership()
    now = a_clock(monkeypatch)
    outlet = HeldOutlet(TOPICS.standings)
    fatal: list[str] = []
    merging = a_merging(outlet, fatal)
    merging.take(stored(*flushed(report(0))))
    seen = [StoredRecord(0, i, 0, k, v) for i, (k, v) in enumerate(ahead.of(TOPICS.standings)) if k.startswith(b"PRES")]
    await merging.see(seen, is_end=True)
    await settle()
    assert roots(outlet) == []
    now[0] += publishing.CATCH_UP_SECONDS
    merging.take([])
    await settle()
    assert fatal == []
    now[0] += 0.001
    merging.take([])
    await settle()
    assert len(fatal) == 1
    assert "partition 0 at 2" in fatal[0]
    merging.end_ownership()


async def test_a_hold_that_was_released_and_set_again_between_two_marks_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same contests are on hold, but this one stands further on: the polls have closed there."""
    no_turn(monkeypatch)
    outlet = HeldOutlet(TOPICS.standings)
    fatal: list[str] = []
    merging, worker = a_merging(outlet, fatal), Flushing()
    early = hold(0)
    early.timestamp = CLOSE_MS - 1_000
    merging.take(stored(*worker.flush(early, report(1, contest="SEAT", votes={"CLEO": 95}))))
    await merging.see([], is_end=True)
    await settle()
    merging.take(stored(*worker.flush(release(2), Record(3, control(revision=3))), begin=9))
    await settle()
    assert [(root["on_hold"], root["status"]) for root in roots(outlet)] == [
        (True, "pre-election"), (True, "unofficial-partial"),
    ]  # fmt: skip
    merging.end_ownership()
    assert fatal == []


# -- becoming the owner -----------------------------------------------------------------------------------------------


def stored_roots(*roots: bytes) -> list[StoredRecord]:
    """Roots as they stand on the standings topic, one after the other."""
    return [StoredRecord(0, offset, 0, ROOT, value) for offset, value in enumerate(roots)]


async def published_roots(partition_count: int, *flushes: list[Told]) -> list[bytes]:
    """The roots that an owner publishes, one after each of these flushes."""
    outlet = HeldOutlet(TOPICS.standings)
    owner = Merging(ELECTION, TOPICS, partition_count, outlet, on_fatal=lambda _: None)
    owner.begin_ownership(0, 0)
    await owner.see([], is_end=True)
    for number, told in enumerate(flushes):
        owner.take(stored(*told, begin=10 * number))
        await settle()
    owner.end_ownership()
    return [value for key, value in outlet.of(TOPICS.standings) if key == ROOT]


def a_flush(partition: int, partition_count: int, record_count: int) -> list[Told]:
    """Of a partition after so many records."""
    records = [report(offset, offset + 1) for offset in range(record_count)]
    return flushed(*records, partition=partition, partition_count=partition_count)


async def test_each_ownership_publishes_only_when_the_standings_that_stood_there_were_read() -> None:
    """Another may have published meanwhile, and further."""
    outlet = HeldOutlet(TOPICS.standings)
    merging = Merging(ELECTION, TOPICS, 1, outlet, on_fatal=lambda _: None)
    for ownership in (1, 2):
        merging.begin_ownership(0, 1)
        merging.take(stored(*a_flush(0, 1, 1)))
        await merging.see([], is_end=False)
        await settle()
        assert not merging.is_caught_up
        assert len(roots(outlet)) == ownership - 1, "published before it knew what is published"
        await merging.see([], is_end=True)
        await settle()
        assert len(roots(outlet)) == ownership
        merging.end_ownership()


async def test_the_newest_published_root_is_what_it_must_have_reached() -> None:
    """An older one may stand before it, until the topic is compacted, or behind it, from a worker that was frozen."""
    older, newer = await published_roots(1, a_flush(0, 1, 1), a_flush(0, 1, 2))
    for seen in (stored_roots(older, newer), stored_roots(newer, older)):
        outlet = HeldOutlet(TOPICS.standings)
        merging = a_merging(outlet, [])
        merging.take(stored(*a_flush(0, 1, 1)))
        await merging.see(seen, is_end=True)
        await settle()
        assert roots(outlet) == [], "a step back"
        merging.take(stored(*a_flush(0, 1, 2), begin=5))
        await settle()
        assert [root["version"] for root in roots(outlet)] == [2]
        merging.end_ownership()


async def test_a_published_root_is_reached_when_every_partition_is() -> None:
    """Two records of one partition make up for none of the other, though the sum is the same."""
    (root,) = await published_roots(2, a_flush(0, 2, 1), a_flush(1, 2, 1))
    outlet = HeldOutlet(TOPICS.standings)
    merging = Merging(ELECTION, TOPICS, 2, outlet, on_fatal=lambda _: None)
    merging.begin_ownership(0, 0)
    merging.take(stored(*a_flush(0, 2, 2), *a_flush(1, 2, 0)))
    await merging.see(stored_roots(root), is_end=True)
    await settle()
    assert roots(outlet) == []
    merging.take(stored(*a_flush(1, 2, 1), begin=9))
    await settle()
    assert [root["version"] for root in roots(outlet)] == [3]
    merging.end_ownership()


async def test_an_acknowledged_page_of_a_former_ownership_is_forgotten() -> None:
    """It waited for others before it. The next ownership reads the topic, and may begin behind it."""
    merging = a_merging(HeldOutlet(TOPICS.standings), [])
    for offset, (sent, _, value) in enumerate(flushed(report(0)), start=5):
        merging.take_acknowledged(sent, value, offset)
    merging.end_ownership()
    merging.begin_ownership(5, 5)
    merging.take([])
    assert merging.version(0) == 0
    merging.end_ownership()


async def test_figures_that_come_while_a_publication_is_under_way_are_published_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    no_turn(monkeypatch)
    outlet = HeldOutlet()
    merging = a_merging(outlet, [])
    await merging.see([], is_end=True)
    merging.take(stored(*a_flush(0, 1, 1)))
    await settle()
    assert [root["version"] for root in roots(outlet)] == [1]
    merging.take(stored(*flushed(report(0), falling(1, 2)), begin=5))
    await settle()
    assert [root["version"] for root in roots(outlet)] == [1], "one publication of a contest at a time"
    outlet.answer(TOPICS.standings)
    await settle()
    assert [root["version"] for root in roots(outlet)] == [1, 2]
    merging.end_ownership()


async def test_what_a_former_ownership_stood_on_is_forgotten() -> None:
    """The topic is read again, from where it begins now."""
    merging = a_merging(HeldOutlet(TOPICS.standings), [])
    merging.take(stored(*flushed(report(0))))
    assert merging.version(0) == 1
    merging.end_ownership()
    merging.begin_ownership(0, 0)
    assert merging.version(0) == 0
    merging.end_ownership()


async def waits(
    monkeypatch: pytest.MonkeyPatch, is_replaying: Callable[[int], bool | None]
) -> tuple[Merging, list[float], list[str]]:
    """An owner behind a published root, its clock, and the reasons for which it would end."""
    (root,) = await published_roots(1, a_flush(0, 1, 2))
    now, fatal = a_clock(monkeypatch), list[str]()
    merging = Merging(ELECTION, TOPICS, 1, HeldOutlet(TOPICS.standings), on_fatal=fatal.append, is_replaying=is_replaying)
    merging.begin_ownership(0, 0)
    merging.take(stored(*a_flush(0, 1, 1)))
    await merging.see(stored_roots(root), is_end=True)
    await settle()
    return merging, now, fatal


async def pass_seconds(merging: Merging, now: list[float], seconds: float) -> None:
    now[0] += seconds
    merging.take([])
    await settle()


async def test_a_partition_of_another_worker_has_ten_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    merging, now, fatal = await waits(monkeypatch, lambda _: None)
    await pass_seconds(merging, now, publishing.OTHERS_CATCH_UP_SECONDS)
    assert fatal == []
    await pass_seconds(merging, now, 0.001)
    assert len(fatal) == 1
    assert publishing.OTHERS_CATCH_UP_SECONDS == 600.0
    merging.end_ownership()


async def test_the_clock_stands_while_a_partition_of_its_own_replays(monkeypatch: pytest.MonkeyPatch) -> None:
    replays = [True]
    merging, now, fatal = await waits(monkeypatch, lambda _: replays[0])
    await pass_seconds(merging, now, 10_000.0)
    replays[0] = False
    await pass_seconds(merging, now, publishing.CATCH_UP_SECONDS)
    assert fatal == []
    await pass_seconds(merging, now, 0.001)
    assert len(fatal) == 1
    merging.end_ownership()


# -- marks and pages --------------------------------------------------------------------------------------------------


async def test_a_flush_that_was_cut_short_shows_nothing_until_it_is_whole() -> None:
    """Its worker died behind a page; the next one sends the rest, or all of it, further on."""
    worker = Flushing()
    outlet = HeldOutlet(TOPICS.standings)
    merging = a_merging(outlet, [])
    await merging.see([], is_end=True)
    merging.take(stored(*worker.flush(report(0), report(1, contest="SEAT", votes={"CLEO": 96}))))
    await settle()
    one, other, mark = worker.flush(report(2, 2), report(3, 2, contest="SEAT", votes={"CLEO": 95}, ballots={"valid": 95}))
    merging.take(stored(one, begin=3))
    await settle()
    merging.take(stored(mark, begin=4))
    await settle()
    assert [root["version"] for root in roots(outlet)] == [2], "a page is missing"
    merging.take(stored(other, begin=5))
    await settle()
    assert [root["version"] for root in roots(outlet)] == [2, 4], "the refused mark is tried again with each page"
    merging.end_ownership()


async def test_a_contest_is_published_when_every_partition_stands_on_a_mark() -> None:
    outlet = HeldOutlet(TOPICS.standings)
    merging = Merging(ELECTION, TOPICS, 2, outlet, on_fatal=lambda _: None)
    merging.begin_ownership(0, 0)
    await merging.see([], is_end=True)
    merging.take(stored(*a_flush(0, 2, 1), *a_flush(1, 2, 1)[:-1]))
    await settle()
    assert roots(outlet) == []
    merging.take(stored(a_flush(1, 2, 1)[-1], begin=9))
    await settle()
    assert [root["version"] for root in roots(outlet)] == [2]
    merging.end_ownership()


class Followed:
    """What one worker flushes, as stage 2 takes it in and tells of it; no root is sent again unchanged."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        no_turn(monkeypatch)
        self.outlet = HeldOutlet(TOPICS.standings)
        self.merging = a_merging(self.outlet, [])
        self._worker = Flushing()
        self._begin = 0

    async def flush(self, *records: Record) -> None:
        told = self._worker.flush(*records)
        self.merging.take(stored(*told, begin=self._begin))
        self._begin += len(told)
        await settle()


@pytest.fixture
async def followed(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Followed]:
    made = Followed(monkeypatch)
    await made.merging.see([], is_end=True)
    yield made
    made.merging.end_ownership()


async def test_a_hold_and_its_release_move_one_contest_and_not_the_other(followed: Followed) -> None:
    merging, outlet = followed.merging, followed.outlet
    await followed.flush(report(0), hold(1), report(2, 2), report(3, contest="SEAT", votes={"CLEO": 96}))
    assert (merging.version(0), merging.version(1)) == (2, 4)
    await followed.flush(report(4, 3))
    assert (merging.version(0), merging.version(1)) == (2, 5)
    assert [(root["version"], root["on_hold"]) for root in roots(outlet)] == [(2, True)]
    await followed.flush(release(5))
    assert [(root["version"], root["on_hold"]) for root in roots(outlet)] == [(2, True), (6, False)]


async def test_a_hold_and_its_release_are_told_at_once_though_no_page_changes(followed: Followed) -> None:
    for record in (report(0), hold(1), release(2)):
        await followed.flush(record)
    assert [(root["version"], root["on_hold"]) for root in roots(followed.outlet)] == [(1, False), (2, True), (3, False)]


async def test_a_certified_contest_says_so_at_once(followed: Followed) -> None:
    await followed.flush(report(0))
    followed.outlet.sent.clear()
    await followed.flush(Record(1, control(kind="certify")))
    assert [root["status"] for root in roots(followed.outlet)] == ["certified"]


async def test_all_marks_of_a_partition_refused_for_a_minute_end_it_naming_the_partition(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While its owner sends: a mark that stands alone on the topic, of a worker long gone, says nothing of the living."""
    now, fatal = a_clock(monkeypatch), list[str]()
    merging = a_merging(HeldOutlet(TOPICS.standings), fatal)
    *_, mark = flushed(report(0), report(1, 2))
    written = PageWriter(ELECTION, 1)

    def a_mark(next_offset: int) -> Stored:
        assert isinstance(mark.sent, Mark)
        return Stored(next_offset, *written.mark(replace(mark.sent, next_offset=next_offset)))

    merging.take([a_mark(2)])
    now[0] += 10_000
    for n in range(7):
        merging.take([a_mark(3 + n)])
        now[0] += 10
    with pytest.raises(BrokenInvariant, match=r"all marks of partition 0 were refused for 60 s, the newest at 10"):
        merging.take([a_mark(10)])
    merging.end_ownership()


async def test_a_mark_that_is_accepted_stops_that_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    now = a_clock(monkeypatch)
    merging = a_merging(HeldOutlet(TOPICS.standings), [])
    worker = Flushing()
    begin = 0
    for n in range(40):
        *pages, mark = worker.flush(report(n, n + 1))
        for told in (mark, *pages):  # the mark is refused until its page comes
            merging.take(stored(told, begin=begin))
            begin += 1
            now[0] += 5
    assert merging.version(0) == 40
    merging.end_ownership()


async def test_pages_of_another_layout_or_partition_count_are_absent_and_of_another_definition_end_it() -> None:
    fatal: list[str] = []
    merging = a_merging(HeldOutlet(TOPICS.standings), fatal)
    told = flushed(report(0))
    changed = [
        one._replace(value=one.value.replace(b'"layout":%d' % LAYOUT_NUMBER, b'"layout":%d' % (LAYOUT_NUMBER + 1)))
        for one in told
    ]
    merging.take(stored(*changed))
    merging.take(stored(*flushed(report(0), partition_count=2), begin=5))
    assert merging.version(0) == 0
    other = flushed(report(0), of=an_election(phase="test"))
    with pytest.raises(
        BrokenInvariant, match=r"t\.partials, offset 7: a page or mark of definition sha256:.*this worker counts"
    ):
        merging.take(stored(*other, begin=7))
    merging.end_ownership()
    ignoring = Merging(
        ELECTION, TOPICS, 1, HeldOutlet(TOPICS.standings), on_fatal=lambda _: None,
        ignored_definitions=frozenset({an_election(phase="test").digest}),
    )  # fmt: skip
    ignoring.begin_ownership(0, 0)
    ignoring.take([*stored(*other), Stored(3, b"PRES|0", b'{"definition":"%s"}' % an_election(phase="test").digest.encode())])
    assert ignoring.version(0) == 0
    ignoring.end_ownership()


async def test_a_record_that_is_neither_ends_it() -> None:
    merging = a_merging(HeldOutlet(TOPICS.standings), [])
    with pytest.raises(BrokenInvariant, match=r"t\.partials, offset 0: neither a page nor a mark"):
        merging.take([Stored(0, b"PRES|0|0", b"{}")])
    merging.end_ownership()


async def test_how_far_the_report_log_must_reach_is_told_of_pages_and_marks_alike() -> None:
    """Also of those that no accepted mark speaks of: the log had them when they were written."""
    merging = Merging(ELECTION, TOPICS, 2, HeldOutlet(TOPICS.standings), on_fatal=lambda _: None)
    assert merging.highest_offsets() == {}
    merging.begin_ownership(0, 0)
    merging.take(stored(a_flush(0, 2, 3)[0], *a_flush(1, 2, 2)[1:]))
    assert merging.highest_offsets() == {0: 3, 1: 2}
    merging.end_ownership()


# -- roots that are sent again ----------------------------------------------------------------------------------------

MANY_CONTESTS = 30


def many_contests(count: int = MANY_CONTESTS) -> Election:
    stations = [station("A-1", path=("North",)), station("B-1", path=("South",))]
    return small_election(stations, [contest(f"C-{n:02}") for n in range(count)], levels=("region",), depth=1)


async def test_roots_of_which_nothing_changed_go_out_in_turn_and_one_that_changed_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A hundred a second, all contests together, and a twentieth more where they have to come round in ten; at the newest
    vector."""
    now, of = a_clock(monkeypatch), many_contests()
    outlet = HeldOutlet(TOPICS.standings)
    merging, worker = Merging(of, TOPICS, 1, outlet, on_fatal=lambda _: None), Flushing(of=of)
    merging.begin_ownership(0, 0)
    await merging.see([], is_end=True)
    begin = 0

    async def flush(*records: Record) -> list[bytes]:
        """The keys of the messages that are sent then."""
        nonlocal begin
        before = len(outlet.of(TOPICS.standings))
        told = worker.flush(*records)
        merging.take(stored(*told, begin=begin))
        begin += len(told)
        await settle()
        return [key for key, _ in outlet.of(TOPICS.standings)[before:]]

    assert len(await flush(Record(0, counts(contest="C-00")))) == 3 * MANY_CONTESTS
    sent = await flush(Record(1, counts(contest="C-29")))
    assert sent[:2] == [b"C-29|X/North", b"C-29|X"]
    assert sent[2:] == [b"C-%02d|X" % n for n in range(20)], "as many as may be saved up"
    now[0] += 0.055
    assert await flush(Record(2, counts(contest="C-29"))) == [b"C-%02d|X" % n for n in range(20, 25)], "five in 50 ms"
    now[0] += 1
    assert await flush() == [b"C-%02d|X" % n for n in (25, 26, 27, 28, 29, *range(15))]
    now[0] += 0.1
    assert await flush() == [b"C-%02d|X" % n for n in range(15, 20)], "all are at the newest vector"
    now[0] += 10
    assert len(await flush()) == 20, "nothing is new, and silence would mean trouble"
    merging.end_ownership()


@pytest.mark.parametrize("count", [1, 500, 1_000])
async def test_a_root_is_sent_again_within_ten_seconds_of_up_to_a_thousand_contests(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the times at which a busy worker looks, from a start that sent all of them at once."""
    now, of = a_clock(monkeypatch), many_contests(count)
    outlet = HeldOutlet(TOPICS.standings)
    outlet.batch_records = 500
    merging = Merging(of, TOPICS, 1, outlet, on_fatal=lambda _: None)
    merging.begin_ownership(0, 0)
    await merging.see([], is_end=True)
    merging.take(stored(*Flushing(of=of).flush()))
    sent_at: dict[bytes, float] = {}
    gaps: list[float] = []
    looked = 0
    for _ in range(300):
        await settle()
        for _, key, _, _ in outlet.sent[looked:]:
            if key.endswith(b"|X"):
                gaps += [now[0] - sent_at[key]] if key in sent_at else []
                sent_at[key] = now[0]
        looked = len(outlet.sent)
        now[0] += module.LOOK_SECONDS + 0.004
        merging.take([])
    assert len(sent_at) == count
    assert len(gaps) >= 2 * count
    assert max(gaps) <= ROOT_SECONDS
    assert len(gaps) / (300 * 0.104) < 107, "a hundred a second, and a twentieth more"
    merging.end_ownership()


async def test_a_contest_among_few_is_as_fresh_as_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    a_clock(monkeypatch)
    worker, outlet = Flushing(), HeldOutlet(TOPICS.standings)
    merging = a_merging(outlet, [])
    await merging.see([], is_end=True)
    for n in range(3):
        merging.take(stored(*worker.flush(report(n, 1 + (n > 0) * 5000)), begin=4 * n))
        await settle()
    assert [root["version"] for root in roots(outlet)] == [1, 2, 3], "refused records move the vector"
    merging.end_ownership()


@pytest.mark.parametrize(
    ("tick_seconds", "share"),
    [(0.000_02, publishing.REST_SHARE), (0.004, None), (0.04, publishing.REST_SHARE_MIN)],
    ids=["forty times as long", "five seconds", "three times as long"],
)
async def test_a_publication_is_followed_by_a_rest_where_there_is_much_to_read(
    tick_seconds: float, share: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, worked, slept, real = a_clock(monkeypatch), [0.0], list[float](), asyncio.sleep

    def tick() -> float:
        worked[0] += tick_seconds
        return worked[0]

    async def sleep(seconds: float) -> None:
        if seconds:
            slept.append(seconds)
            now[0] += seconds
        await real(0)

    monkeypatch.setattr(publishing, "perf_counter", tick)
    for has_much in (False, True):
        merging = Merging(
            many_contests(), TOPICS, 1, HeldOutlet(TOPICS.standings), on_fatal=lambda _: None,
            has_much_to_read=partial(bool, has_much),
        )  # fmt: skip
        merging.begin_ownership(0, 0)
        await merging.see([], is_end=True)
        with monkeypatch.context() as patched:
            patched.setattr(asyncio, "sleep", sleep)
            merging.take(stored(*Flushing(of=many_contests()).flush()))
            while merging.last_publication_seconds is None:
                await real(0)
            published = merging.worked_seconds
            for _ in range(1_000):
                await real(0)
        merging.end_ownership()
        assert bool(slept) is has_much
    due = publishing.REST_MAX_SECONDS if share is None else share * published
    assert due * 0.9 < sum(slept) < due * 1.3
    assert max(slept) <= publishing.REST_LOOK_SECONDS


async def test_a_rest_ends_when_there_is_little_to_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read last is published at once, though a rest was to take seconds."""
    monkeypatch.setattr(publishing, "REST_SHARE_MIN", 1e9)
    outlet, has_much = HeldOutlet(TOPICS.standings), True
    merging = Merging(ELECTION, TOPICS, 1, outlet, on_fatal=lambda _: None, has_much_to_read=lambda: has_much)
    merging.begin_ownership(0, 0)
    await merging.see([], is_end=True)
    merging.take(stored(*flushed(report(0))))
    await settle()
    merging.take(stored(*flushed(report(0), falling(1, 2)), begin=9))
    await asyncio.sleep(2 * publishing.REST_LOOK_SECONDS)
    assert [root["version"] for root in roots(outlet)] == [1]
    has_much = False
    await asyncio.sleep(3 * publishing.REST_LOOK_SECONDS)
    assert [root["version"] for root in roots(outlet)] == [1, 2]
    merging.end_ownership()


async def test_roots_go_out_again_in_the_middle_of_a_long_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    now, real = a_clock(monkeypatch), asyncio.sleep

    async def sleep(seconds: float) -> None:
        now[0] += seconds
        await real(0)

    monkeypatch.setattr(publishing, "REST_SHARE_MIN", 1e9)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    outlet = HeldOutlet(TOPICS.standings)
    merging = Merging(ELECTION, TOPICS, 1, outlet, on_fatal=lambda _: None, has_much_to_read=lambda: True)
    merging.begin_ownership(0, 0)
    await merging.see([], is_end=True)
    merging.take(stored(*flushed(report(0))))
    while now[0] < 1_000 + 2 * ROOT_SECONDS:
        await real(0)
    assert len(roots(outlet)) == 3
    merging.end_ownership()
