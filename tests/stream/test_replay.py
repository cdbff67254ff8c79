"""What stage 1 sends of the log again after a restart: nothing that was committed, and everything that was not.

The committed offset is the one thing a worker knows of those before it: everything below was published, but for the changes
that wait behind a hold.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from tally_stream.stream import counting as counting_module
from tests.stream.outlets import (
    HELD,
    TOPICS,
    HeldOutlet,
    OnePartition,
    Record,
    falling,
    hold,
    recounted,
    release,
    report,
    settle,
    unknown,
)


class Restarted(OnePartition):
    """Stage 1 over a partition that a worker before it has committed up to an offset."""

    def at(self, committed: int, log_end: int = 9) -> Restarted:
        self.counting.assign({0: committed}, {0: log_end})
        return self

    def marked_offsets(self) -> list[int]:
        """How far the first contest is by each mark that was sent."""
        marks = [json.loads(value) for key, value in self.outlet.of(TOPICS.partials) if key == b"|0"]
        return [mark["holds"][0][1] if mark["holds"] else mark["next_offset"] for mark in marks]


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two flushes: how long it lasts is measured, and no clock decides here."""
    monkeypatch.setattr(counting_module, "ENCODE_SHARE_MAX", 0)


@pytest.fixture
async def restarted() -> AsyncIterator[Restarted]:
    restarted = Restarted(HeldOutlet(TOPICS.rejections, TOPICS.changes, TOPICS.partials))
    yield restarted
    restarted.counting.stop()


@pytest.mark.parametrize("cut", [1, 2, 3, 4])
async def test_the_first_output_that_was_not_committed_is_sent_and_the_last_that_was_is_not(
    restarted: Restarted, cut: int
) -> None:
    """However the runs are cut, the committed offset is the first that was not published."""
    restarted.at(committed=2)
    records = [report(0), unknown(1), unknown(2), falling(3, 2)]
    await restarted.take(*records[:cut])
    if records[cut:]:
        await restarted.take(*records[cut:])
    assert restarted.keys(TOPICS.rejections) == [b"0/2"]
    assert restarted.keys(TOPICS.changes) == [b"0/3"]


async def test_the_first_change_that_was_not_committed_is_sent_and_the_last_that_was_is_not(restarted: Restarted) -> None:
    restarted.at(committed=2)
    await restarted.take(report(0), falling(1, 2), report(2, 3))
    assert restarted.keys(TOPICS.changes) == [b"0/2"]


@pytest.mark.parametrize("cut", range(1, 6))
async def test_changes_behind_a_hold_survive_a_restart(restarted: Restarted, cut: int) -> None:
    """They were below the committed offset and yet sent by nobody."""
    restarted.at(committed=5)
    await restarted.take(*HELD[:cut])
    if HELD[cut:]:
        await restarted.take(*HELD[cut:])
    await settle()
    assert restarted.keys(TOPICS.changes) == [], "the contest is on hold"
    await restarted.take(release(5))
    await settle()
    assert restarted.keys(TOPICS.changes) == [b"0/2", b"0/3", b"0/4"]


@pytest.mark.parametrize("more", [[], [report(6, station="B-1")]])
async def test_changes_whose_release_was_committed_too_are_not_sent_again(restarted: Restarted, more: list[Record]) -> None:
    restarted.at(committed=6)
    await restarted.take(*HELD)
    await restarted.take(release(5), *more)
    await settle()
    assert restarted.marked_offsets() == [6 + len(more)]
    assert restarted.keys(TOPICS.changes) == []


async def test_a_change_before_a_hold_is_sent_and_the_one_right_behind_it_waits(restarted: Restarted) -> None:
    """The mark covers of the contest what stood before the hold; a change at that very offset would tell what the order keeps
    back."""
    restarted.at(committed=0)
    await restarted.take(report(0), falling(1, 2), hold(2), recounted(3))
    await settle()
    assert restarted.marked_offsets() == [3]
    assert restarted.keys(TOPICS.changes) == [b"0/1"]


async def test_nothing_is_flushed_below_the_committed_offset(restarted: Restarted) -> None:
    """Not even where something wakes the publisher in a replay, as a drain does: stage 2 would take it for all there is."""
    restarted.at(committed=3)
    event = await restarted.take(report(0), report(1, station="B-1"))
    await restarted.counting.drain({0})
    await settle()
    assert restarted.marked_offsets() == []
    assert event.is_acked, "it was committed before"
    await restarted.take(unknown(2))
    await settle()
    assert restarted.marked_offsets() == [3], "at the committed offset it goes on, though nothing new came"


async def test_what_was_committed_is_sent_again_where_it_is_told_to(restarted: Restarted) -> None:
    restarted.counting.resends_outputs = True
    restarted.at(committed=6)
    await restarted.take(*HELD[:1], unknown(1))
    assert restarted.keys(TOPICS.rejections) == [b"0/1"]
    assert restarted.marked_offsets() == []


async def test_the_first_flush_after_a_replay_has_every_touched_page(restarted: Restarted) -> None:
    """Whoever reads the topic may have lost any of them; what was touched long before the commit goes out as well."""
    restarted.at(committed=2)
    await restarted.take(report(0), unknown(1))
    await restarted.take(unknown(2))
    await settle()
    assert restarted.keys(TOPICS.partials) == [b"PRES|0|0", b"|0"]


async def test_behind_a_hold_a_page_is_flushed_as_it_stood_before_it(restarted: Restarted) -> None:
    """Also where nothing of it had been sent when the hold came; the release sends what changed behind it."""
    restarted.at(committed=5)
    await restarted.take(*HELD)
    await restarted.take(unknown(5))
    await settle()
    (page,) = [json.loads(value) for key, value in restarted.outlet.of(TOPICS.partials) if key != b"|0"]
    assert page["changed_at"] == 1
    await restarted.take(release(6))
    await settle()
    pages = [json.loads(value) for key, value in restarted.outlet.of(TOPICS.partials) if key != b"|0"]
    assert [page["changed_at"] for page in pages] == [1, 5]
