"""What stage 2 takes, heals and waits for; the broker answers when the test says so."""

import asyncio
import json
from typing import Any

import pytest

from tally_stream.domain.fold import Figures, PartitionFold
from tally_stream.kafka.client import StoredRecord
from tally_stream.stream import merging as module
from tally_stream.stream.invariant import BrokenInvariant
from tally_stream.stream.merging import Merging
from tally_stream.wire.messages import encode_partial
from tally_stream.wire.reading import ReportReader
from tally_stream.wire.run import read_run
from tests.stream.outlets import ELECTION, TOPICS, HeldOutlet, Record, falling, report, settle

ROOT = b"PRES|X"


class Stored:
    def __init__(self, offset: int, value: bytes) -> None:
        self.offset, self.value = offset, value


def own_partials(*records: Record) -> list[tuple[Figures, bytes]]:
    """Each contest's figures after these records, and its partial."""
    fold = PartitionFold(ELECTION, 0, 1)
    read_run(ReportReader(ELECTION), fold, list(records))
    figures = [fold.figures(i) for i in range(len(ELECTION.contests))]
    return [(f, encode_partial(ELECTION, f, 1)) for f in figures]


def partials(*records: Record) -> list[bytes]:
    """Each contest's partial after these records."""
    return [value for _, value in own_partials(*records)]


def a_merging(outlet: HeldOutlet, fatal: list[str]) -> Merging:
    merging = Merging(ELECTION, TOPICS, 1, outlet, on_fatal=fatal.append)
    merging.begin_ownership(0, 0)
    return merging


def roots(outlet: HeldOutlet) -> list[dict[str, object]]:
    return [json.loads(value) for key, value in outlet.of(TOPICS.standings) if key == ROOT]


async def test_an_older_partial_changes_nothing() -> None:
    outlet = HeldOutlet(TOPICS.standings)
    fatal: list[str] = []
    merging = a_merging(outlet, fatal)
    old, new = partials(report(0)), partials(report(0), falling(1, 2))
    merging.take([Stored(i, v) for i, v in enumerate([*new, *old])])
    await merging.see([], is_end=True)
    await settle()
    assert merging.version(0) == 2
    assert [root["version"] for root in roots(outlet)] == [2]
    merging.end_ownership()
    assert fatal == []


async def test_an_own_partial_counts_once_acknowledged_and_is_passed_over_in_the_topic(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outlet = HeldOutlet(TOPICS.standings)
    fatal: list[str] = []
    merging = a_merging(outlet, fatal)
    await merging.see([], is_end=True)
    await settle()
    for offset, (figures, value) in enumerate(own_partials(report(0))):
        merging.take_acknowledged(figures, value, offset)
    await settle()
    assert [root["version"] for root in roots(outlet)] == [1]

    read: list[bytes] = []
    reader_read = merging._reader.read  # noqa: SLF001  (counts what is read)

    def read_and_remember(value: bytes) -> Any:
        read.append(value)
        return reader_read(value)

    monkeypatch.setattr(merging._reader, "read", read_and_remember)  # noqa: SLF001  (counts what is read)
    mine = partials(report(0))
    merging.take([Stored(i, value) for i, value in enumerate(mine)])
    assert read == [], "its figures were put already"
    assert merging.next_offset() == len(mine)
    newer = partials(report(0), falling(1, 2))
    merging.take([Stored(len(mine) + i, value) for i, value in enumerate(newer)])
    assert read == newer
    await settle()
    assert [root["version"] for root in roots(outlet)] == [1, 2]
    assert fatal == []
    merging.end_ownership()


async def test_an_own_partial_waits_for_others_that_stand_before_it() -> None:
    """The partial of a worker that was frozen and thaws lands behind others that it has not read. Published at once it would
    be a vector that is neither below nor above those of the worker that took over."""
    merging = a_merging(HeldOutlet(TOPICS.standings), [])
    mine, others = own_partials(report(0), falling(1, 2)), partials(report(0))
    for number, (figures, value) in enumerate(mine):
        merging.take_acknowledged(figures, value, len(others) + number)
    assert merging.version(0) == 0, "the topic before it is not read"
    merging.take([Stored(i, value) for i, value in enumerate(others)])
    assert merging.version(0) == 2, "read up to it, it counts without being read"
    assert merging.next_offset() == len(others)
    merging.end_ownership()


async def test_another_partial_where_an_own_one_should_stand_is_read() -> None:
    """A repeated send may be told a wrong offset: what lies there counts, whoever sent it."""
    merging = a_merging(HeldOutlet(TOPICS.standings), [])
    for figures, value in own_partials(report(0)):
        merging.take_acknowledged(figures, value, 0)
    merging.take([Stored(0, partials(report(0), falling(1, 2))[0])])
    assert merging.version(0) == 2
    merging.end_ownership()


async def test_who_does_not_own_the_standings_takes_no_partial() -> None:
    merging = Merging(ELECTION, TOPICS, 1, HeldOutlet(TOPICS.standings), on_fatal=lambda _: None)
    for figures, value in own_partials(report(0)):
        merging.take_acknowledged(figures, value, 0)
    merging.begin_ownership(1, 1)  # what was acknowledged before lies below: it is read from the topic
    assert merging.version(0) == 0
    merging.end_ownership()


async def test_a_publication_goes_out_in_batches_and_each_message_knows_its_own_offset() -> None:
    outlet = HeldOutlet()
    merging = a_merging(outlet, [])
    merging.take([Stored(i, v) for i, v in enumerate(partials(report(0)))])
    await merging.see([], is_end=True)
    await settle()
    first = [key for key, _ in outlet.of(TOPICS.standings)]
    assert len(first) > outlet.batch_records, "more than one batch"
    assert first[-1] == ROOT
    for begin in range(0, len(first), outlet.batch_records):
        outlet.sent[begin][3].set_result(100 + 10 * begin)
    await settle()
    sent = merging._contests[0].sent  # noqa: SLF001  (what was sent is said nowhere else)
    due = {key: 100 + 10 * (i - i % outlet.batch_records) + i % outlet.batch_records for i, key in enumerate(first)}
    assert {key: sent[key].offset for key in first} == due
    merging.end_ownership()


async def test_an_older_record_of_another_owner_is_overwritten_and_other_bytes_end_it() -> None:
    outlet = HeldOutlet(TOPICS.standings)
    fatal: list[str] = []
    merging = a_merging(outlet, fatal)
    merging.take([Stored(i, v) for i, v in enumerate(partials(report(0)))])
    await merging.see([], is_end=True)
    await settle()
    older = next(v for k, v in outlet.of(TOPICS.standings) if k == ROOT)
    merging.take([Stored(9, v) for v in partials(report(0), falling(1, 2))])
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
    for one, records in ((other, partials(report(0))), (merging, partials(report(0), falling(1, 2)))):
        one.take([Stored(i, v) for i, v in enumerate(records)])
        await one.see([], is_end=True)
    await settle()
    other.end_ownership()
    older = dict(other_outlet.of(TOPICS.standings))
    first = outlet.of(TOPICS.standings)
    await merging.see([StoredRecord(0, 10_000 + i, 0, key, older[key]) for i, (key, _) in enumerate(first)], is_end=False)
    assert outlet.of(TOPICS.standings) == first
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
    for one, records in ((other, partials(report(0))), (merging, partials(report(0), falling(1, 2)))):
        one.take([Stored(i, v) for i, v in enumerate(records)])
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
    merging.take([Stored(9, v) for v in partials(report(0), falling(1, 2), report(2, 3))])
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
    now = [0.0]
    monkeypatch.setattr(module, "monotonic", lambda: now[0])
    outlet = HeldOutlet()
    fatal: list[str] = []
    merging = a_merging(outlet, fatal)
    merging.take([Stored(i, v) for i, v in enumerate(partials(report(0)))])
    await merging.see([], is_end=True)
    await settle()

    async def answer(offset: int) -> None:
        for _ in ELECTION.contests:  # one after the other
            outlet.answer(TOPICS.standings, offset)
            await settle()

    await answer(100)
    stood = len(roots(outlet))
    for offset, is_fatal in ((200, False), (-1, False), (201, False), (-1, False), (201, True)):
        now[0] += module.RESEND_SECONDS
        merging.take([])
        await settle()
        assert len(roots(outlet)) == (stood := stood + 1)
        await answer(offset)
        assert bool(fatal) is is_fatal, offset
    assert fatal[0].endswith("t.standings: offset 201 after 201: the topic was made anew, or lost records")
    merging.end_ownership()


async def test_behind_a_published_root_it_waits_then_ends_naming_the_partition(monkeypatch: pytest.MonkeyPatch) -> None:
    ahead = HeldOutlet(TOPICS.standings)
    other = a_merging(ahead, [])
    other.take([Stored(i, v) for i, v in enumerate(partials(report(0), falling(1, 2)))])
    await other.see([], is_end=True)
    await settle()
    other.end_ownership()
    now = [0.0]
    monkeypatch.setattr(module, "monotonic", lambda: now[0])
    outlet = HeldOutlet(TOPICS.standings)
    fatal: list[str] = []
    merging = a_merging(outlet, fatal)
    merging.take([Stored(i, v) for i, v in enumerate(partials(report(0)))])
    seen = [StoredRecord(0, i, 0, k, v) for i, (k, v) in enumerate(ahead.of(TOPICS.standings)) if k.startswith(b"PRES")]
    await merging.see(seen, is_end=True)
    await settle()
    assert roots(outlet) == []
    now[0] = module.CATCH_UP_SECONDS
    merging.take([])
    await settle()
    assert fatal == []
    now[0] += 0.001
    merging.take([])
    await settle()
    assert len(fatal) == 1
    assert "partition 0 at 2" in fatal[0]
    merging.end_ownership()


# -- becoming the owner -----------------------------------------------------------------------------------------------


def stored_roots(*roots: bytes) -> list[StoredRecord]:
    """Roots as they stand on the standings topic, one after the other."""
    return [StoredRecord(0, offset, 0, ROOT, value) for offset, value in enumerate(roots)]


async def published_roots(partition_count: int, *partials: bytes) -> list[bytes]:
    """The roots that an owner publishes, one after each of these partials."""
    outlet = HeldOutlet(TOPICS.standings)
    owner = Merging(ELECTION, TOPICS, partition_count, outlet, on_fatal=lambda _: None)
    owner.begin_ownership(0, 0)
    await owner.see([], is_end=True)
    for offset, value in enumerate(partials):
        owner.take([Stored(offset, value)])
        await settle()
    owner.end_ownership()
    return [value for key, value in outlet.of(TOPICS.standings) if key == ROOT]


def a_partial(partition: int, partition_count: int, record_count: int) -> bytes:
    """Of the first contest, after so many records of this partition."""
    fold = PartitionFold(ELECTION, partition, partition_count)
    read_run(ReportReader(ELECTION), fold, [report(offset, offset + 1) for offset in range(record_count)])
    return encode_partial(ELECTION, fold.figures(0), partition_count)


async def test_each_ownership_publishes_only_when_the_standings_that_stood_there_were_read() -> None:
    """Another may have published meanwhile, and further."""
    outlet = HeldOutlet(TOPICS.standings)
    merging = Merging(ELECTION, TOPICS, 1, outlet, on_fatal=lambda _: None)
    for ownership in (1, 2):
        merging.begin_ownership(0, 1)
        merging.take([Stored(0, a_partial(0, 1, 1))])
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
    older, newer = await published_roots(1, a_partial(0, 1, 1), a_partial(0, 1, 2))
    for seen in (stored_roots(older, newer), stored_roots(newer, older)):
        outlet = HeldOutlet(TOPICS.standings)
        merging = a_merging(outlet, [])
        merging.take([Stored(0, a_partial(0, 1, 1))])
        await merging.see(seen, is_end=True)
        await settle()
        assert roots(outlet) == [], "a step back"
        merging.take([Stored(1, a_partial(0, 1, 2))])
        await settle()
        assert [root["version"] for root in roots(outlet)] == [2]
        merging.end_ownership()


async def test_a_published_root_is_reached_when_every_partition_is() -> None:
    """Two records of one partition make up for none of the other, though the sum is the same."""
    (root,) = await published_roots(2, a_partial(0, 2, 1), a_partial(1, 2, 1))
    outlet = HeldOutlet(TOPICS.standings)
    merging = Merging(ELECTION, TOPICS, 2, outlet, on_fatal=lambda _: None)
    merging.begin_ownership(0, 0)
    merging.take([Stored(0, a_partial(0, 2, 2)), Stored(1, a_partial(1, 2, 0))])
    await merging.see(stored_roots(root), is_end=True)
    await settle()
    assert roots(outlet) == []
    merging.take([Stored(2, a_partial(1, 2, 1))])
    await settle()
    assert [root["version"] for root in roots(outlet)] == [3]
    merging.end_ownership()


async def test_an_acknowledged_partial_of_a_former_ownership_is_forgotten() -> None:
    """It waited for others before it. The next ownership reads the topic, and may begin behind it."""
    merging = a_merging(HeldOutlet(TOPICS.standings), [])
    figures, value = own_partials(report(0))[0]
    merging.take_acknowledged(figures, value, 5)
    merging.end_ownership()
    merging.begin_ownership(5, 5)
    merging.take([])
    assert merging.version(0) == 0
    merging.end_ownership()


async def test_figures_that_come_while_a_publication_is_under_way_are_published_after_it() -> None:
    outlet = HeldOutlet()
    merging = a_merging(outlet, [])
    await merging.see([], is_end=True)
    merging.take([Stored(0, a_partial(0, 1, 1))])
    await settle()
    assert [root["version"] for root in roots(outlet)] == [1]
    merging.take([Stored(1, a_partial(0, 1, 2))])
    await settle()
    assert [root["version"] for root in roots(outlet)] == [1], "one publication of a contest at a time"
    outlet.answer(TOPICS.standings)
    await settle()
    assert [root["version"] for root in roots(outlet)] == [1, 2]
    merging.end_ownership()
