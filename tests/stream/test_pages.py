"""Which mark a partition may stand on: the pages are all there, and none of them is from further on."""

import random
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally_stream.domain.election import Election
from tally_stream.domain.fold import PartitionFold
from tally_stream.domain.pages import Mark, Page
from tally_stream.stream.invariant import BrokenInvariant
from tally_stream.stream.pages import Accepted, PartitionPages
from tests.support.examples import examples
from tests.support.random_nights import ELECTIONS, PARTITIONS, Plan, make_logs, plans, steps_ms
from tests.support.second_model import Record as JudgedRecord

LEAVES = (1,)


def page(number: int, changed_at: int, contest: int = 0, votes: int = 0) -> Page:
    return Page(contest, 0, number, changed_at, LEAVES, [(votes,)])


def mark(next_offset: int, changed_sum: int, holds: dict[int, tuple[int, int | None]] | None = None) -> Mark:
    return Mark(0, next_offset, None, holds or {}, (), changed_sum)


def places(accepted: Accepted | None) -> list[tuple[int, int]]:
    assert accepted is not None
    return [(one.number, one.changed_at) for one in accepted.pages]


@pytest.fixture
def pages() -> PartitionPages:
    """Two pages at 4 and 7, under a mark at 8."""
    pages = PartitionPages(0)
    assert pages.take_page(page(0, 4)) is None
    assert pages.take_page(page(1, 7)) is None
    assert places(pages.take_mark(mark(8, 11))) == [(0, 4), (1, 7)]
    return pages


def test_a_partition_that_has_read_nothing_stands_on_a_mark_at_0() -> None:
    pages = PartitionPages(0)
    assert pages.mark is None
    assert places(pages.take_mark(mark(0, 0))) == []
    assert pages.mark == mark(0, 0)


def test_an_accepted_mark_tells_the_pages_that_changed_and_the_mark_before(pages: PartitionPages) -> None:
    pages.take_page(page(1, 12))
    accepted = pages.take_mark(mark(12, 16))
    assert places(accepted) == [(1, 12)]
    assert accepted is not None
    assert (accepted.before, accepted.mark) == (mark(8, 11), mark(12, 16))
    assert pages.take_mark(mark(12, 16)) is None, "sent again"
    assert pages.mark == mark(12, 16)


def test_a_mark_waits_for_the_last_of_its_pages(pages: PartitionPages) -> None:
    pages.take_page(page(0, 10))
    assert pages.take_mark(mark(12, 22)) is None
    assert pages.refused == mark(12, 22)
    assert places(pages.take_page(page(1, 12))) == [(0, 10), (1, 12)]
    assert pages.refused is None


def test_a_page_above_what_a_mark_covers_is_not_made_up_for_by_one_that_is_too_old(pages: PartitionPages) -> None:
    """Sums alone can be equal by chance: 10 + 10, where a page at 14 stands beside one at 6."""
    pages = PartitionPages(0)
    pages.take_page(page(0, 6))
    pages.take_page(page(1, 14))
    assert pages.take_mark(mark(12, 20)) is None
    assert pages.take_mark(mark(14, 20)) is not None


def test_a_page_at_the_mark_itself_is_covered() -> None:
    pages = PartitionPages(0)
    pages.take_page(page(0, 12))
    assert pages.take_mark(mark(12, 12)) is not None


def test_of_a_contest_on_hold_a_mark_covers_what_stood_before_the_hold() -> None:
    """One page is of the flush after the release, another too old: the sum is right, and the first is not."""
    held = mark(20, 3 + 9 + 5, {1: (5, None)})
    for newer, older in ((9, 5), (12, 2)):  # of the second contest: as it stood at the hold, and after the release
        pages = PartitionPages(0)
        pages.take_page(page(0, 3))
        pages.take_page(page(0, older, contest=1))
        pages.take_page(page(1, newer, contest=0 if newer == 9 else 1))
        assert (pages.take_mark(held) is not None) is (newer == 9)


def test_an_older_page_changes_nothing_and_a_newer_one_of_a_frozen_worker_is_kept(pages: PartitionPages) -> None:
    assert pages.take_page(page(0, 2)) is None
    assert places(pages.take_mark(mark(9, 11))) == [], "the page at 4 is held still"
    pages.take_page(page(0, 10))
    assert pages.take_mark(mark(9, 11)) is None, "stood on already"
    assert places(pages.take_mark(mark(10, 17))) == [(0, 10)]


def test_an_older_mark_is_passed_over_and_one_between_may_be_accepted(pages: PartitionPages) -> None:
    assert pages.take_mark(mark(5, 4)) is None
    assert pages.take_mark(mark(7, 11)) is None, "its pages are those that are held"
    assert pages.mark == mark(8, 11)
    assert pages.take_mark(mark(20, 99)) is None
    assert pages.take_mark(mark(10, 11)) is not None
    assert pages.refused == mark(20, 99), "still the newest that was refused"


def test_of_refused_marks_the_newest_is_tried_again(pages: PartitionPages) -> None:
    assert pages.take_mark(mark(20, 27)) is None
    assert pages.take_mark(mark(15, 21)) is None
    assert pages.take_page(page(0, 14)) is None, "the mark at 15 is not kept: the one at 20 will be complete as well"
    assert places(pages.take_page(page(0, 20))) == [(0, 20)]


def test_the_same_offset_with_other_sums_ends_it(pages: PartitionPages) -> None:
    assert pages.take_page(page(0, 4)) is None, "sent again"
    with pytest.raises(BrokenInvariant, match="page 0 of contest number 0, partition 0, says other sums at 4"):
        pages.take_page(page(0, 4, votes=1))


@pytest.mark.parametrize("known", [8, 20])
def test_the_same_offset_with_another_mark_ends_it(pages: PartitionPages, known: int) -> None:
    pages.take_mark(mark(20, 99))
    with pytest.raises(BrokenInvariant, match=f"a mark of partition 0 at {known} says other things"):
        pages.take_mark(mark(known, 98))


def test_the_highest_offset_is_that_of_any_page_or_mark(pages: PartitionPages) -> None:
    assert pages.highest_offset == 8
    pages.take_page(page(0, 30))
    assert pages.highest_offset == 30
    pages.take_mark(mark(40, 0))
    assert pages.highest_offset == 40


@examples(100)
@given(plans, steps_ms, st.integers(0, len(ELECTIONS) - 1), st.integers(0, 2**32))
def test_whatever_is_lost_late_or_of_another_worker_what_it_stands_on_is_what_the_log_says(
    drawn: list[Plan], steps: list[int], index: int, seed: int
) -> None:
    """Flushes at two workers' offsets, cut short, thinned as by compaction, old ones between newer: each accepted mark has the
    pages of that prefix, and once everything is sent again the last one is accepted."""
    of, chance = ELECTIONS[index], random.Random(seed)
    log = make_logs(of, drawn, steps)[0]
    true: dict[int, tuple[Mark, dict[tuple[int, int], Page]]] = {}
    held: dict[tuple[int, int], Page] = {}
    fold = PartitionFold(of, 0, PARTITIONS)
    for offset, (log_ms, key, read) in enumerate(log):
        fold.take(offset, log_ms, key, read)
        changed, at = fold.take_flush()
        held |= {(p.contest, p.number): p for p in changed}
        true[offset + 1] = at, dict(held)
    topic: list[Page | Mark] = []
    for often in (0.3, 0.1):
        place = 0
        for said in flushes(of, log, often, chance):
            place = chance.randint(place, len(topic))
            topic[place:place] = said
            place += len(said)
    pages = PartitionPages(0)
    shown: dict[tuple[int, int], Page] = {}

    def take(one: Page | Mark) -> None:
        accepted = pages.take_page(one) if isinstance(one, Page) else pages.take_mark(one)
        if accepted is not None:
            shown.update({(p.contest, p.number): p for p in accepted.pages})
            wanted, due = true[accepted.mark.next_offset]
            assert accepted.mark == wanted
            assert {k: (p.changed_at, p.areas) for k, p in shown.items()} == {
                k: (p.changed_at, p.areas) for k, p in due.items()
            }

    for one in topic:
        if chance.random() < 0.9:
            take(one)
    if log:
        last, everything = true[len(log)]
        for p in everything.values():
            take(p)
        take(last)
        assert pages.mark == last


def flushes(of: Election, log: Sequence[JudgedRecord], often: float, chance: random.Random) -> Iterator[list[Page | Mark]]:
    """What a worker says of this log, some of it cut short."""
    fold = PartitionFold(of, 0, PARTITIONS)
    for offset, (log_ms, key, read) in enumerate(log):
        fold.take(offset, log_ms, key, read)
        if chance.random() < often:
            changed, at = fold.take_flush()
            cut = chance.randint(0, len(changed)) if chance.random() < 0.3 else len(changed) + 1
            said: list[Page | Mark] = [*changed, at]
            yield said[:cut]
