"""The order in which things leave stage 1, and what a rebalance keeps; the broker answers when the test says so."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from tally_stream.domain.election import Station
from tally_stream.domain.fold import stations_by_partition
from tally_stream.domain.pages import Mark, Page
from tally_stream.stream import counting as counting_module
from tally_stream.stream.counting import Counting
from tally_stream.stream.invariant import BrokenInvariant
from tally_stream.stream.place import place_of
from tally_stream.wire.reading import ReportReader
from tests.stream.outlets import ELECTION, HELD, TOPICS, Event, HeldOutlet, Record, falling, release, report, run_of, settle
from tests.support.report_messages import LOG_MS, counts, read
from tests.support.small_elections import contest, election, station

CONTESTS = len(ELECTION.contests)
PAGE, MARK = b"PRES|0|0", b"|0"


@pytest.fixture
async def outlet() -> HeldOutlet:
    return HeldOutlet()


@pytest.fixture
async def counting(outlet: HeldOutlet) -> AsyncIterator[Counting]:
    counting = Counting(ELECTION, TOPICS, 1, outlet, publish_interval_seconds=0.0, on_fatal=lambda _: None)
    counting.assign({0: 0}, {0: 1})  # the log has a record: nothing is said before it was read
    yield counting
    counting.stop()


async def test_changes_then_the_pages_then_the_mark_then_the_ack(counting: Counting, outlet: HeldOutlet) -> None:
    event = Event()
    await counting.take(run_of(report(0), falling(1, 2), report(2, 2)), event)
    await settle()
    assert {topic for topic, *_ in outlet.sent} == {TOPICS.changes, TOPICS.rejections}
    outlet.answer(TOPICS.changes)
    await settle()
    assert not outlet.of(TOPICS.partials), "a page before its rejection was acknowledged"
    outlet.answer(TOPICS.rejections)
    await outlet.wait_marks(1)
    assert [key for key, _ in outlet.of(TOPICS.partials)] == [PAGE, MARK]
    await settle()
    assert not event.is_acked, "acked before pages and mark were acknowledged"
    outlet.answer(TOPICS.partials)
    await settle()
    assert event.is_acked


async def test_a_page_and_a_mark_are_told_of_once_they_are_acknowledged(outlet: HeldOutlet) -> None:
    told: list[tuple[type, bytes, int]] = []
    counting = Counting(
        ELECTION, TOPICS, 1, outlet, publish_interval_seconds=0.0, on_fatal=lambda _: None,
        on_acknowledged=lambda sent, value, offset: told.append((type(sent), value, offset)),
    )  # fmt: skip
    counting.assign({0: 0}, {0: 1})
    await counting.take(run_of(report(0)), Event())
    await outlet.wait_marks(1)
    await settle()
    assert told == []
    outlet.answer(TOPICS.partials, 7)
    await settle()
    page, mark = [value for _, value in outlet.of(TOPICS.partials)]
    assert told == [(Page, page, 7), (Mark, mark, 8)], "of a batch the broker tells the first offset"
    counting.stop()


async def test_a_partition_counts_the_stations_that_were_laid_out_for_it(outlet: HeldOutlet) -> None:
    class Walked(dict[str, Station]):
        walks = 0

        def values(self) -> Any:
            self.walks += 1
            return super().values()

    stations = Walked(ELECTION.stations)
    election, count = replace(ELECTION, stations=stations), 64
    layout = stations_by_partition(ELECTION, count)
    counting = Counting(election, TOPICS, count, outlet, publish_interval_seconds=1.0, on_fatal=lambda _: None)
    for _ in range(2):
        counting.assign(dict.fromkeys(range(count), 0), dict.fromkeys(range(count), 1))
        for partition, owned in counting.partitions.items():
            assert [list(entries) for entries in owned.fold.entries] == [[s.id for s in layout[partition]]] * CONTESTS
        counting.assign({}, {})
    assert stations.walks == 2, "one walk for all partitions and assignments, and one for the layout of pages"


async def test_a_run_that_came_during_a_flush_waits_for_the_next(counting: Counting, outlet: HeldOutlet) -> None:
    first, second = Event(), Event()
    await counting.take(run_of(report(0)), first)
    await outlet.wait_marks(1)
    await counting.take(run_of(report(1, station="B-1")), second)
    outlet.answer(TOPICS.partials)
    await outlet.wait_marks(2)
    assert (first.is_acked, second.is_acked) == (True, False)


async def test_partitions_begin_an_interval_together_and_do_not_wait_for_one_in_which_they_sent_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, interval, waits, real = 1_000.0, 60.0, [], asyncio.timeout

    def noted(seconds: float) -> asyncio.Timeout:
        waits.append(seconds)
        return real(seconds)

    monkeypatch.setattr(counting_module, "monotonic", lambda: now)
    monkeypatch.setattr(counting_module, "ENCODE_SHARE_MAX", 0)
    monkeypatch.setattr(counting_module, "READING_LOOK_SECONDS", float("inf"))
    monkeypatch.setattr(asyncio, "timeout", noted)
    outlet = HeldOutlet(TOPICS.changes, TOPICS.rejections, TOPICS.partials)
    counting = Counting(ELECTION, TOPICS, 2, outlet, publish_interval_seconds=interval, on_fatal=lambda _: None)
    counting.assign({0: 0, 1: 0}, {0: 1, 1: 1})
    early, late = counting.partitions[0], counting.partitions[1]

    async def take(partition: int, offset: int) -> None:
        await counting.take(run_of(report(offset, offset + 1), partition=partition), Event())

    await take(0, 0)
    await outlet.wait_marks(1)
    now += 10
    await take(1, 0)
    await outlet.wait_marks(2)  # the one that had sent nothing does not wait for the next
    assert (early.flushed_at, late.flushed_at) == (1_000.0, 1_010.0)
    await settle()
    waits.clear()
    await take(0, 1)
    await take(1, 1)
    await settle()
    assert len(outlet.marks()) == 2, "twice in one interval"
    assert waits == [interval - 10] * 2, "an interval of its own"
    counting.stop()


async def test_flushes_are_rarer_while_there_is_much_to_read(monkeypatch: pytest.MonkeyPatch) -> None:
    now, is_reading = 1_000.0, True
    monkeypatch.setattr(counting_module, "monotonic", lambda: now)
    monkeypatch.setattr(counting_module, "READING_LOOK_SECONDS", 0.001)
    outlet = HeldOutlet(TOPICS.changes, TOPICS.rejections, TOPICS.partials)
    counting = Counting(
        ELECTION, TOPICS, 2, outlet, publish_interval_seconds=0.0, on_fatal=lambda _: None, has_much_to_read=lambda: is_reading
    )
    counting.assign({0: 0, 1: 0}, {0: 0, 1: 0})

    async def take(offset: int) -> None:
        await counting.take(run_of(report(offset, offset + 1)), Event())

    await outlet.wait_marks(2)
    counting.partitions[0].encode_seconds = 0.010
    now += 1.999  # of two seconds: a hundred times that, for each of two partitions
    await take(0)
    await asyncio.sleep(0.02)
    assert len(outlet.marks()) == 2
    now += 0.001
    await outlet.wait_marks(3)
    counting.partitions[0].encode_seconds = 0.010
    now += 0.2
    await take(1)
    await asyncio.sleep(0.02)
    assert len(outlet.marks()) == 3
    is_reading = False
    await outlet.wait_marks(4)
    counting.stop()


async def test_a_partition_that_stays_keeps_its_fold_and_what_is_owed(counting: Counting, outlet: HeldOutlet) -> None:
    event = Event()
    await counting.take(run_of(report(0), falling(1, 2)), event)
    owned = counting.partitions[0]
    counting.assign({0: 0}, {0: 5})
    assert counting.partitions[0] is owned
    assert (counting.next_offset(0), owned.log_end) == (2, 5)
    await settle()
    assert not outlet.of(TOPICS.partials), "the change before the rebalance was forgotten"
    outlet.answer(TOPICS.changes)
    await outlet.wait_marks(1)


async def test_a_partition_that_goes_drops_fold_and_outputs(counting: Counting, outlet: HeldOutlet) -> None:
    event = Event()
    await counting.take(run_of(report(0), falling(1, 2)), event)
    counting.assign({}, {})
    outlet.answer(TOPICS.changes)
    await settle()
    assert not outlet.of(TOPICS.partials)
    assert not event.is_acked
    counting.assign({0: 0}, {0: 2})
    assert counting.next_offset(0) == 0


async def test_below_the_committed_offset_it_is_silent(outlet: HeldOutlet) -> None:
    counting = Counting(ELECTION, TOPICS, 1, outlet, publish_interval_seconds=0.0, on_fatal=lambda _: None)
    counting.assign({0: 3}, {0: 3})
    event = Event()
    await counting.take(run_of(report(0), falling(1, 2)), event)
    await settle()
    assert not outlet.sent
    assert event.is_acked
    await counting.take(run_of(report(2, 3)), Event())
    await outlet.wait_marks(1)
    assert {topic for topic, *_ in outlet.sent} == {TOPICS.partials}
    assert [key for key, _ in outlet.of(TOPICS.partials)] == [PAGE, MARK], (
        "every touched page, though it was touched in the replay"
    )
    counting.stop()


async def test_a_record_that_crashes_the_code_is_named_with_its_error_and_place(counting: Counting) -> None:
    """Also where the code is compiled, which keeps the error elsewhere."""

    class Crashing(Record):
        @property
        def timestamp(self) -> int:  # type: ignore[override]
            raise ZeroDivisionError("planted")

    crashing = Crashing(1, counts())
    line = Crashing.timestamp.fget.__code__.co_firstlineno + 2  # type: ignore[attr-defined]
    with pytest.raises(BrokenInvariant) as found:
        await counting.take(run_of(report(0), crashing), Event())
    assert str(found.value).startswith(
        "partition 0, offset 1: this record crashes the code: ZeroDivisionError('planted'); a [[skip]] entry"
    )
    assert place_of(found.value) == f"tests/stream/test_counting.py:{line}"


async def test_changes_behind_a_hold_have_a_ceiling_that_names_the_contest(
    counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the limit it goes on, one change past it it ends, before anything of that run is acknowledged."""
    await counting.take(run_of(*HELD[:3]), Event())
    held = counting.partitions[0].held_back[0]
    monkeypatch.setattr(counting_module, "HELD_BACK_BYTES", 2 * held.size_bytes)
    await counting.take(run_of(HELD[3]), Event())
    assert len(held.changes) == 2
    with pytest.raises(BrokenInvariant, match="changes wait behind a hold, most of contest PRES: release it"):
        await counting.take(run_of(HELD[4]), Event())


async def test_what_stands_on_the_log_is_held_above_the_ceiling_so_that_a_release_is_reached(
    outlet: HeldOutlet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting_module, "HELD_BACK_BYTES", 1)
    counting = Counting(ELECTION, TOPICS, 1, outlet, publish_interval_seconds=0.0, on_fatal=lambda _: None)
    counting.assign({0: 2}, {0: 6})
    await counting.take(run_of(*HELD), Event())
    assert len(counting.partitions[0].held_back[0].changes) == 3
    await counting.take(run_of(release(5)), Event())
    await outlet.wait_sent(TOPICS.changes, 3)
    assert not counting.partitions[0].held_back[0].size_bytes
    counting.stop()


async def test_a_gap_and_a_jump_back_end_it(counting: Counting) -> None:
    await counting.take(run_of(report(0)), Event())
    with pytest.raises(BrokenInvariant, match="lost records: partition 0, from 1, to 1"):
        await counting.take(run_of(report(2)), Event())
    with pytest.raises(BrokenInvariant, match="offset 0 again, 1 was due"):
        await counting.take(run_of(report(0)), Event())
    await counting.take(run_of(report(0), report(1, station="B-1"), after_seek=True), Event())
    assert counting.next_offset(0) == 2


# -- sent again -------------------------------------------------------------------------------------------------------

WIDE = election(
    [station(f"S-{i}", path=(f"T{i:03}",)) for i in range(48)],
    levels=("town",),
    depth=1,
    contests=[contest("PRES"), contest("SEAT")],
)


class Wide:
    """Stage 1 over a partition of 48 areas in two contests, with a clock of its own; every answer comes at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000.0
        monkeypatch.setattr(counting_module, "monotonic", lambda: self.now)
        monkeypatch.setattr(counting_module, "perf_counter", lambda: self.now)
        monkeypatch.setattr(counting_module, "AGAIN_LOOK_SECONDS", 0.001)
        self.outlet = HeldOutlet(TOPICS.changes, TOPICS.rejections, TOPICS.partials)
        self.counting = Counting(WIDE, TOPICS, 1, self.outlet, publish_interval_seconds=0.0, on_fatal=lambda _: None)
        self.counting.assign({0: 0}, {0: 0})
        self.owned = self.counting.partitions[0]
        self.next_offset = 0

    async def report(self, *stations: int, revision: int = 1, contest: str = "PRES") -> None:
        records = [
            Record(self.next_offset + i, counts(election=WIDE.id, station=f"S-{n}", contest=contest, revision=revision))
            for i, n in enumerate(stations)
        ]
        self.next_offset += len(records)
        sent = len(self.outlet.marks())
        await self.counting.take(run_of(*records), Event())
        await self.outlet.wait_marks(sent + 1)
        await settle()

    async def pass_seconds(self, seconds: float) -> list[bytes]:
        """What is sent again meanwhile, by key; it looks once a second."""
        before = len(self.outlet.of(TOPICS.partials))
        for _ in range(int(seconds)):
            self.now += 1
            looked = self.owned.looked_at
            async with asyncio.timeout(5):
                while self.owned.looked_at == looked:  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
            await settle()
        return [key for key, _ in self.outlet.of(TOPICS.partials)[before:]]


async def test_every_page_goes_out_again_within_30_seconds_and_the_mark_every_10(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = Wide(monkeypatch)
    await wide.report(*range(48))
    pages = {key for key, _ in wide.outlet.of(TOPICS.partials)} - {MARK}
    assert len(pages) > 2
    first = dict(wide.outlet.of(TOPICS.partials))
    again = await wide.pass_seconds(30)
    assert set(again) == {*pages, MARK}
    assert again.count(MARK) == 3
    assert dict(wide.outlet.of(TOPICS.partials)) == first, "the bytes of the last flush"
    wide.counting.stop()


async def test_a_page_that_changed_since_the_flush_is_not_sent_again_before_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would lie above the mark. Others go out again, as the last flush left them."""
    wide = Wide(monkeypatch)
    await wide.report(*range(48))
    flushed = dict(wide.outlet.of(TOPICS.partials))
    wide.owned.fold.take(
        48, LOG_MS, b"S-0", read(counts(election=WIDE.id, station="S-0", revision=2), reader=ReportReader(WIDE))
    )
    again = await wide.pass_seconds(30)
    changed = PAGE
    assert set(again) == flushed.keys() - {changed}
    assert dict(wide.outlet.of(TOPICS.partials)) == flushed
    wide.counting.stop()


async def test_a_flush_has_the_pages_that_changed_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = Wide(monkeypatch)
    await wide.report(*range(48))
    await wide.report(47, contest="SEAT")
    before = len(wide.outlet.of(TOPICS.partials))
    await wide.report(0, revision=2)
    assert [key for key, _ in wide.outlet.of(TOPICS.partials)[before:]] == [PAGE, MARK]
    wide.counting.stop()


async def test_what_is_sent_again_follows_a_whole_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = Wide(monkeypatch)
    await wide.report(*range(48))
    wide.now += 30
    before = len(wide.outlet.of(TOPICS.partials))
    await wide.report(0, revision=2)
    sent = [key for key, _ in wide.outlet.of(TOPICS.partials)[before:]]
    assert sent[:2] == [PAGE, MARK]
    assert len(sent) > 2
    assert PAGE not in sent[2:]
    wide.counting.stop()


async def test_a_mark_never_goes_out_above_a_newer_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The old one is due again in the moment in which a flush makes a new one: of the two a compacted topic keeps the last."""
    wide = Wide(monkeypatch)
    await wide.report(0)
    wide.now += counting_module.MARK_AGAIN_SECONDS + 1
    await wide.report(0, revision=2)
    assert wide.outlet.marks() == [1, 2]
    wide.counting.stop()


async def test_many_pages_go_out_again_at_a_megabyte_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = Wide(monkeypatch)
    await wide.report(*range(48))
    monkeypatch.setattr(counting_module, "PAGES_AGAIN_BYTES_A_SECOND", 1_000)
    monkeypatch.setattr(counting_module, "PAGES_AGAIN_AFTER_SECONDS", 0.5)
    longest = max(len(value) for _, value in wide.outlet.of(TOPICS.partials))
    before = len(wide.outlet.of(TOPICS.partials))
    await wide.pass_seconds(30)
    again = sum(len(value) for key, value in wide.outlet.of(TOPICS.partials)[before:] if key != MARK)
    assert 30_000 - 1_000 < again < 30_000 + longest, "a page may be begun, and is then paid for"
    wide.counting.stop()


async def test_a_page_that_was_sent_a_short_while_ago_is_not_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = Wide(monkeypatch)
    await wide.report(*range(48))
    assert await wide.pass_seconds(18 - 1) == [MARK], "the mark alone: every page was sent within the last 18 s"
    assert len(await wide.pass_seconds(1 + 1)) > 1
    wide.counting.stop()


async def test_between_flushes_a_few_pages_go_out_again_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = Wide(monkeypatch)
    await wide.report(*range(48))
    assert len({key for key, _ in wide.outlet.of(TOPICS.partials)} - {MARK}) == 4
    monkeypatch.setattr(counting_module, "PAGES_AGAIN_SPREAD_SECONDS", 0.4)  # one each tenth of a second
    wide.now += 18.0
    wide.owned.looked_at = wide.now  # as in a night with a flush every moment
    most = 0
    for revision in range(2, 14):
        wide.now += 0.1
        before = len(wide.outlet.of(TOPICS.partials))
        await wide.report(47, revision=revision)
        most = max(most, len(wide.outlet.of(TOPICS.partials)) - before - 2)
    assert most == 1
    wide.counting.stop()
