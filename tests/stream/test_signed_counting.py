"""Stage 1 of an election whose statements are signed: verified before they are judged, off the loop, and never counted twice or
for a partition that went in the meantime."""

import asyncio
from threading import get_ident
from types import SimpleNamespace
from typing import Any

import pytest

from tally_stream.domain.fold import PartitionFold
from tally_stream.stream import counting as stage
from tally_stream.stream.counting import Counting
from tally_stream.stream.runs import RecordRun
from tally_stream.wire.envelope import Envelope, is_right, to_base64
from tally_stream.wire.reading import ReportReader
from tally_stream.wire.run import read_run
from tally_stream.wire.signing import Ahead
from tests.stream.outlets import DEADLINE_SECONDS, TOPICS, Event, HeldOutlet
from tests.support.report_messages import ABSENT, LOG_MS, counts, election
from tests.support.signing import key_statement, public, signed, signing_key

OF = election(signatures="required", keys=[signing_key("K-A1", "A-1", ("report", "correct")), signing_key("COURT")])
FORGED = signed(counts(revision=2), "COURT", named="K-A1")
REVOKED = key_statement(action="revoke", key_id="K-A1", holder=ABSENT, station=ABSENT, kinds=ABSENT, public_key=ABSENT)


def record(offset: int, value: bytes, key: bytes = b"A-1") -> Any:
    return SimpleNamespace(offset=offset, timestamp=LOG_MS + offset, timestamp_type=0, key=key, value=value)


RECORDS = [
    record(0, signed(counts(), "K-A1")),
    record(1, FORGED),
    record(2, signed(counts(revision=3), "K-A1")),
    record(3, signed(REVOKED, "COURT"), b"K-A1"),
    record(4, signed(counts(revision=4), "K-A1")),
    record(5, signed(counts(revision=4, votes={"ANNA": 60, "BELA": 36}), "COURT")),
]


def answering() -> HeldOutlet:
    """Whatever is sent is acknowledged at once."""
    return HeldOutlet(TOPICS.partials, TOPICS.rejections, TOPICS.changes)


class Blocked:
    """Threads that are done when the test says so."""

    def __init__(self, real: Any) -> None:
        self.real, self.asked, self.go = real, 0, asyncio.Event()

    async def ahead_of(self, values: Any) -> Ahead:
        self.asked += 1
        await self.go.wait()
        found: Ahead = await self.real.ahead_of(values)
        return found

    async def wait_asked(self, count: int) -> None:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while self.asked < count:  # noqa: ASYNC110
                await asyncio.sleep(0)

    def close(self) -> None:
        self.real.close()


def blocked(counting: Counting) -> Blocked:
    made = Blocked(counting.verifying)
    counting.verifying = made  # type: ignore[assignment]  # a stand-in
    return made


def counting_of(outlet: HeldOutlet, committed: int = 0) -> Counting:
    counting = Counting(OF, TOPICS, 1, outlet, publish_interval_seconds=0.0, on_fatal=lambda _: None)
    counting.assign({0: committed}, {0: len(RECORDS)})
    return counting


def replayed(records: list[Any]) -> PartitionFold:
    fold = PartitionFold(OF, 0, 1)
    read_run(ReportReader(OF), fold, records)
    return fold


@pytest.mark.parametrize("together", [1, 2, 1_024])
@pytest.mark.parametrize("committed", [0, 3, 6])
async def test_verdicts_are_those_of_a_replay(monkeypatch: pytest.MonkeyPatch, together: int, committed: int) -> None:
    monkeypatch.setattr(stage, "VERIFIED_TOGETHER", together)
    outlet = answering()
    counting = counting_of(outlet, committed)
    await counting.take(RecordRun(0, list(RECORDS), after_seek=True), Event())
    fold = counting.partitions[0].fold
    assert fold.verdict_counts() == replayed(RECORDS).verdict_counts()
    assert fold.verdicts == {"counted": 4, "repeated": 0, "stale": 0, "conflicting": 0, "held": 0, "rejected": 2}
    assert [key for key, _ in outlet.of(TOPICS.rejections)] == [b"0/1", b"0/4"][
        0 if committed < 2 else 1 if committed < 5 else 2 :
    ]
    counting.stop()


async def test_what_was_counted_is_published_while_the_next_are_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "VERIFIED_TOGETHER", 1)
    outlet = answering()
    counting = counting_of(outlet)
    threads = blocked(counting)
    taking = asyncio.create_task(counting.take(RecordRun(0, list(RECORDS), after_seek=True), event := Event()))
    threads.go.set()
    await threads.wait_asked(2)
    threads.go.clear()
    await outlet.wait_marks(1)
    assert outlet.marks()[0] in (1, 2)
    assert not event.is_acked
    threads.go.set()
    await taking
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not event.is_acked:  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert outlet.marks()[-1] == len(RECORDS)
    counting.stop()


async def test_a_partition_that_goes_meanwhile_takes_nothing_with_it() -> None:
    outlet = answering()
    counting = counting_of(outlet)
    threads = blocked(counting)
    taking = asyncio.create_task(counting.take(RecordRun(0, list(RECORDS), after_seek=True), event := Event()))
    await threads.wait_asked(1)
    gone = counting.partitions[0].fold
    counting.assign({}, {})
    counting.assign({0: 0}, {0: len(RECORDS)})
    threads.go.set()
    await taking
    assert gone.next_offset == 0
    assert counting.partitions[0].fold.next_offset == 0
    assert not event.is_acked
    assert outlet.sent == []
    await counting.take(RecordRun(0, list(RECORDS), after_seek=True), Event())
    assert counting.partitions[0].fold.verdict_counts() == replayed(RECORDS).verdict_counts()
    counting.stop()


async def test_a_partition_that_goes_at_the_committed_offset() -> None:
    outlet = answering()
    counting = counting_of(outlet, committed=3)
    threads = blocked(counting)
    taking = asyncio.create_task(counting.take(RecordRun(0, list(RECORDS), after_seek=True), Event()))
    await threads.wait_asked(1)
    counting.assign({}, {})
    threads.go.set()
    await taking
    assert outlet.sent == []
    counting.stop()


async def test_nothing_is_verified_on_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """But what a statement about a key changed in the same run."""
    asked: list[bytes] = []
    loop_thread = get_ident()

    def note(envelope: Envelope, public_key: bytes) -> bool:
        if get_ident() == loop_thread:
            asked.append(public_key)
        return is_right(envelope, public_key)

    monkeypatch.setattr("tally_stream.wire.signing.is_right", note)
    counting = counting_of(answering())
    await counting.take(RecordRun(0, list(RECORDS), after_seek=True), Event())
    assert counting.partitions[0].fold.verdicts["counted"] == 4
    assert asked == []
    renewed = key_statement(key_id="COURT", station="", public_key=to_base64(public("NEW")))
    changed = [record(6, signed(renewed, "COURT"), b"COURT"), record(7, signed(counts(revision=5), "NEW", named="COURT"))]
    await counting.take(RecordRun(0, changed, after_seek=False), Event())
    assert counting.partitions[0].fold.verdicts["counted"] == 6
    assert asked == [public("NEW")]
    counting.stop()
