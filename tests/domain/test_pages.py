"""Pages and marks: which areas stand together, what a flush has, what a hold keeps; and that they add up to the standings."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally_stream.domain.election import Election
from tally_stream.domain.fold import PartitionFold
from tally_stream.domain.pages import (
    FRAME_MAX_BYTES,
    PAGE_MAX_BYTES,
    Layout,
    Mark,
    Page,
    Stand,
    area_max_bytes,
    ranges_of,
)
from tally_stream.domain.report import UnsignedStatement
from tally_stream.domain.standings import MergedFigures
from tests.support.examples import examples
from tests.support.random_nights import ELECTIONS, PARTITIONS, Plan, make_logs, plans, standings_of, steps_ms
from tests.support.second_model import Record
from tests.support.small_elections import (
    COUNTED_MS,
    TOPIC,
    Night,
    contest,
    control,
    decision,
    election,
    report,
    station,
    turnout,
)

TOWNS = election(
    [station(f"S-{n:03}", path=(f"T{n:03}",)) for n in range(60)], levels=("town",), depth=1,
    contests=[contest("PRES"), contest("SEAT", ("A", "B", "C", "D", "E", "F"))],
)  # fmt: skip


class TestLayout:
    def test_has_every_area_once_in_the_order_of_the_definition(self) -> None:
        for pages in Layout(TOWNS).pages:
            assert [leaf for page in pages for leaf in page] == list(TOWNS.leaf_areas)
            assert len(pages) > 2

    def test_a_page_is_at_most_so_long_and_not_shorter_than_it_need_be(self) -> None:
        for index, pages in enumerate(Layout(TOWNS).pages):
            longest = area_max_bytes(len(TOWNS.contests[index].candidate_ids), 1)
            for page in pages[:-1]:
                assert FRAME_MAX_BYTES + len(page) * longest <= PAGE_MAX_BYTES < FRAME_MAX_BYTES + (len(page) + 1) * longest

    def test_more_candidates_and_more_stations_make_areas_longer(self) -> None:
        assert area_max_bytes(2, 9) < area_max_bytes(3, 9) < area_max_bytes(3, 10)

    def test_an_area_that_is_longer_than_a_page_has_one_of_its_own(self) -> None:
        many = contest("M", [f"C{n}" for n in range(400)])
        of = election([station(f"S-{n}", path=(f"T{n}",)) for n in range(3)], levels=("town",), depth=1, contests=[many])
        assert area_max_bytes(400, 1) > PAGE_MAX_BYTES
        assert Layout(of).pages == [tuple((leaf,) for leaf in of.leaf_areas)]

    def test_no_area_of_any_definition_is_too_long_for_a_message(self) -> None:
        """2,000 candidates, and every station there can be."""
        assert FRAME_MAX_BYTES + area_max_bytes(2_000, 2_000_000) < 1_000_000

    def test_says_on_which_page_an_area_stands(self) -> None:
        layout = Layout(TOWNS)
        for index, pages in enumerate(layout.pages):
            for number, page in enumerate(pages):
                assert {layout.page_of(index, leaf) for leaf in page} == {number}

    def test_contests_of_the_same_areas_and_as_many_candidates_share_one(self) -> None:
        of = election(contests=[contest("A"), contest("B"), contest("C", ("X", "Y", "Z"))])
        one, other, third = Layout(of).pages
        assert one is other
        assert third is not one


@pytest.mark.parametrize(
    ("numbers", "ranges"),
    [([], ()), ([3], ((3, 3),)), ([0, 1, 2], ((0, 2),)), ([0, 2, 3, 9], ((0, 0), (2, 3), (9, 9)))],
)
def test_numbers_as_ranges(numbers: list[int], ranges: tuple[tuple[int, int], ...]) -> None:
    assert ranges_of(numbers) == ranges
    assert Mark(0, 1, None, {}, ranges, 0).certified_contests() == set(numbers)
    assert [n for n in range(12) if Mark(0, 1, None, {}, ranges, 0).is_certified(n)] == numbers


def test_a_mark_says_how_far_a_contest_is() -> None:
    mark = Mark(0, 9, 900, {1: (4, 400)}, ((1, 2),), 0)
    assert [mark.covers(n) for n in range(3)] == [9, 4, 9]
    assert [mark.stand(n) for n in range(3)] == [
        Stand(9, 900, False, False), Stand(4, 400, True, True), Stand(9, 900, False, True),
    ]  # fmt: skip


def told(pages: Sequence[Page]) -> dict[tuple[int, int], int]:
    return {(page.contest, page.number): page.changed_at for page in pages}


class TestFlush:
    """What `take_flush` gives: the pages that changed since the last, and the mark."""

    def test_has_what_changed_and_how_far_it_goes(self) -> None:
        night = Night(TOWNS)
        assert night.fold.take_flush() == ([], Mark(0, 0, None, {}, (), 0))
        night.take(report("S-000"))
        night.take(report("S-059"))
        pages, mark = night.fold.take_flush()
        last = len(Layout(TOWNS).pages[0]) - 1
        assert told(pages) == {(0, 0): 1, (0, last): 2}
        assert mark == Mark(0, 2, COUNTED_MS + 1000, {}, (), 3)
        night.take(report("S-000", 2, votes=(51, 45)))
        pages, mark = night.fold.take_flush()
        assert told(pages) == {(0, 0): 3}
        assert mark.changed_sum == 3 + 2
        assert night.fold.take_flush() == ([], mark)

    def test_areas_of_which_nothing_was_heard_are_none_and_others_have_their_integers(self) -> None:
        night = Night(TOWNS, report("S-001"))
        ((page,), _) = night.fold.take_flush()
        assert [i for i, integers in enumerate(page.areas) if integers is not None] == [1]
        assert page.leaves == Layout(TOWNS).pages[0][0]

    def test_a_page_that_was_handed_out_stays_as_it_is(self) -> None:
        night = Night(TOWNS, report("S-001"))
        ((page,), _) = night.fold.take_flush()
        before = list(page.areas)
        night.take(report("S-001", 2, votes=(1, 1)))
        night.take(report("S-002"))
        assert page.areas == before

    @pytest.mark.parametrize(
        ("statement", "changes"),
        [
            (report("S-000", 2, votes=(51, 45)), True),
            (report("S-000"), False),
            (report("S-000", 9000), False),
            (report("S-000", votes=(1, 2)), True),
            (decision("annul", "S-000"), True),
            (turnout("S-000"), True),
            (turnout("S-000", 9000), False),
            (control("certify"), False),
        ],
        ids=["newer", "repeated", "refused", "conflicting", "annulled", "turnout", "refused turnout", "certified"],
    )
    def test_is_changed_by_a_record_that_takes_a_station_out_of_its_sums(
        self, statement: UnsignedStatement, changes: bool
    ) -> None:
        night = Night(TOWNS, report("S-000"))
        night.fold.take_flush()
        night.take(statement)
        pages, mark = night.fold.take_flush()
        assert (0, 0) in told(pages) if changes else not pages
        assert mark.next_offset == 2

    def test_a_turnout_changes_every_contest(self) -> None:
        night = Night(TOWNS, turnout("S-000"))
        pages, _ = night.fold.take_flush()
        assert told(pages) == {(0, 0): 1, (1, 0): 1}

    def test_between_flushes_a_page_is_told_as_the_last_flush_left_it(self) -> None:
        night = Night(TOWNS, report("S-000"))
        ((page,), _) = night.fold.take_flush()
        assert night.fold.flushed_page(0, 0) is page
        night.take(report("S-001"))
        assert night.fold.flushed_page(0, 0) is None, "the next flush has it"


class TestHold:
    def test_what_changes_behind_it_is_not_flushed_before_the_release(self) -> None:
        night = Night(TOWNS, report("S-000"), control("hold"))
        pages, mark = night.fold.take_flush()
        assert (told(pages), mark.holds, mark.covers(0)) == ({(0, 0): 1}, {0: (2, COUNTED_MS + 1000)}, 2)
        night.take(report("S-000", 2, votes=(51, 45)))
        night.take(report("S-059"))
        night.take(report("S-000", contest=1, votes=(16,) * 6))
        pages, mark = night.fold.take_flush()
        assert (told(pages), mark.covers(0), mark.covers(1)) == ({(1, 0): 5}, 2, 5)
        assert mark.changed_sum == 1 + 5
        assert {page.number: page.changed_at for page in night.fold.figures(0).pages} == {0: 1}, (
            "a page first touched behind it"
        )
        night.take(control("release", 2))
        pages, mark = night.fold.take_flush()
        last = len(Layout(TOWNS).pages[0]) - 1
        assert (told(pages), mark.holds) == ({(0, 0): 3, (0, last): 4}, {})
        assert mark.changed_sum == 3 + 4 + 5

    def test_what_changed_before_it_and_was_not_flushed_goes_out_as_it_stood(self) -> None:
        night = Night(TOWNS, report("S-000"), control("hold"), report("S-000", 2, votes=(51, 45)), report("S-001"))
        ((page,), mark) = night.fold.take_flush()
        assert (page.changed_at, mark.changed_sum) == (1, 1)
        assert [integers[:2] for integers in page.areas if integers] == [(50, 46)]
        assert night.fold.flushed_page(0, 0) is page
        assert night.fold.figures(0).pages == (page,)

    def test_is_where_the_published_figures_stand(self) -> None:
        night = Night(TOWNS)
        assert [night.fold.published_offset(contest) for contest in (0, 1)] == [0, 0]
        for statement in (report("S-000"), control("hold"), report("S-001")):
            night.take(statement)
        assert [night.fold.published_offset(contest) for contest in (0, 1)] == [2, 3]

    def test_certified_behind_it_shows_with_the_release(self) -> None:
        night = Night(TOWNS, control("hold"), control("certify", 2), control("certify", 1, contest=1))
        _, mark = night.fold.take_flush()
        assert mark.certified == ((1, 1),)
        night.take(control("release", 3))
        _, mark = night.fold.take_flush()
        assert mark.certified == ((0, 1),)

    def test_a_release_without_one_changes_nothing(self) -> None:
        night = Night(TOWNS, report("S-000"), control("release"))
        night.fold.take_flush()
        night.take(control("release", 2))
        pages, mark = night.fold.take_flush()
        assert (pages, mark.holds) == ([], {})

    def test_a_second_hold_keeps_the_pages_anew(self) -> None:
        night = Night(TOWNS, report("S-000"), control("hold"), report("S-001"), control("release", 2), control("hold", 3))
        night.take(report("S-002"))
        ((page,), mark) = night.fold.take_flush()
        assert (page.changed_at, mark.covers(0), mark.changed_sum) == (3, 5, 3)


def pages_by_place(fold: PartitionFold) -> dict[tuple[int, int], Page]:
    return {(p.contest, p.number): p for n in range(len(fold.election.contests)) for p in fold.figures(n).pages}


def same(one: Page, other: Page) -> bool:
    return (one.changed_at, one.leaves, one.areas) == (other.changed_at, other.leaves, other.areas)


@examples(150)
@given(plans, steps_ms, st.integers(0, len(ELECTIONS) - 1), st.integers(0, 2**32))
def test_flushes_at_any_offsets_add_up_to_the_figures(drawn: list[Plan], steps: list[int], index: int, seed: int) -> None:
    """The newest of each page is what a fold made anew says at the mark, and the sum of what they say is the mark's; moved by
    difference, they give the standings to the byte."""
    of, order = ELECTIONS[index], random.Random(seed)
    logs = make_logs(of, drawn, steps)
    merged = [MergedFigures(of, contest, TOPIC, PARTITIONS) for contest in range(len(of.contests))]
    folds = [PartitionFold(of, partition, PARTITIONS) for partition in range(PARTITIONS)]
    for fold, log in zip(folds, logs, strict=True):
        held: dict[tuple[int, int], Page] = {}
        for offset, (log_ms, key, read) in enumerate(log):
            fold.take(offset, log_ms, key, read)
            if order.random() < 0.4 or offset == len(log) - 1:
                pages, mark = fold.take_flush()
                held |= {(page.contest, page.number): page for page in pages}
                check(of, fold, log[: offset + 1], held, mark)
                for page in pages:
                    merged[page.contest].put_page(page)
                for contest, figures in enumerate(merged):
                    figures.stands[fold.partition] = mark.stand(contest)
    for fold in folds:
        for contest, figures in enumerate(merged):
            figures.stands[fold.partition] = fold.take_flush()[1].stand(contest)
    for contest, figures in enumerate(merged):
        assert figures.messages() == standings_of(of, folds, contest).messages()


def check(of: Election, fold: PartitionFold, log: Sequence[Record], held: dict[tuple[int, int], Page], mark: Mark) -> None:
    fresh = PartitionFold(of, fold.partition, PARTITIONS)
    for offset, (log_ms, key, read) in enumerate(log):
        fresh.take(offset, log_ms, key, read)
    due = pages_by_place(fresh)
    assert held.keys() == due.keys()
    assert all(same(held[place], due[place]) for place in due)
    assert mark == fresh.take_flush()[1]
    assert mark.changed_sum == sum(page.changed_at for page in due.values())
    assert all(page.changed_at <= mark.covers(page.contest) for page in due.values())
    assert all(same(page, found) for page in due.values() if (found := fold.flushed_page(page.contest, page.number)))


def test_a_page_s_bytes_are_a_function_of_where_it_changed() -> None:
    """Whatever came between: the same `changed_at`, the same page."""
    one, other = Night(TOWNS, report("S-000")), Night(TOWNS, report("S-000"))
    for statement in (report("S-000", 9000), control("hold"), report("S-059"), report("S-001")):
        other.take(statement)
    assert same(one.fold.figures(0).pages[0], other.fold.figures(0).pages[0])
