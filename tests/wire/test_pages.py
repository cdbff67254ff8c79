"""Pages and marks as bytes: what is written is read back, what is not for this worker is absent, and all else is refused."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally_stream.domain.extra_sums import CHANNEL_SCALARS, EXTRA_SCALARS, EXTRA_SUMS
from tally_stream.domain.fold import PartitionFold
from tally_stream.domain.pages import (
    CONTRADICTED_MAX_DIGITS,
    FRAME_MAX_BYTES,
    LAYOUT_NUMBER,
    PAGE_MAX_BYTES,
    Hold,
    Layout,
    Mark,
    Page,
    area_max_bytes,
    ranges_of,
)
from tally_stream.domain.scalars import COUNT_MAX
from tally_stream.domain.tally import SCALARS, SUMS, AreaSums, widths_of_areas
from tally_stream.wire.limits import CANDIDATES_MAX, STATIONS_MAX
from tally_stream.wire.pages import ForeignPartial, PageReader, PageWriter, mark_key, page_key
from tests.support import small_elections as small
from tests.support.examples import examples
from tests.support.report_messages import ELECTION, LOG_MS, Json, as_bytes

WIDTH, WIDTH_WITH_EXTRA = widths_of_areas(2, 0)
LEAVES = ELECTION.leaf_areas
COUNT = 4
READER, WRITER = PageReader(ELECTION, COUNT), PageWriter(ELECTION, COUNT)

areas = st.lists(
    st.one_of(
        st.none(),
        *(st.lists(st.integers(-(2**60), 2**60), min_size=n, max_size=n).map(tuple) for n in (WIDTH, WIDTH_WITH_EXTRA)),
    ),
    min_size=len(LEAVES),
    max_size=len(LEAVES),
)
pages = st.builds(
    Page,
    contest=st.just(0),
    partition=st.integers(0, COUNT - 1),
    number=st.just(0),
    changed_at=st.integers(1, 2**53),
    leaves=st.just(LEAVES),
    areas=areas,
)
moments = st.none() | st.integers(-(2**53), 2**53)
marks = st.builds(
    Mark,
    partition=st.integers(0, COUNT - 1),
    next_offset=st.integers(0, 2**53),
    newest_ms=moments,
    holds=st.dictionaries(st.integers(0, 1), st.tuples(st.integers(0, 2**53), moments)),
    certified=st.sampled_from([(), ((0, 0),), ((1, 1),), ((0, 1),), ((0, 0), (1, 1))]),
    changed_sum=st.integers(0, 2**60),
)


def fields_of(page: Page) -> list[Any]:
    return [page.contest, page.partition, page.number, page.changed_at, page.leaves, page.areas]


def test_keys_have_a_form_of_their_own() -> None:
    assert page_key("PRES", 11, 3) == b"PRES|11|3"
    assert mark_key(11) == b"|11"


@examples(200)
@given(pages)
def test_a_page_that_is_written_is_read_back(written: Page) -> None:
    found = READER.read(*WRITER.page(written))
    assert isinstance(found, Page)
    assert fields_of(found) == fields_of(written)


@examples(200)
@given(marks)
def test_a_mark_that_is_written_is_read_back(written: Mark) -> None:
    assert READER.read(*WRITER.mark(written)) == written


@examples(100)
@given(st.permutations("ABCDE"), st.permutations("ABCDE"), st.sets(st.integers(0, 4)), st.sets(st.integers(0, 4)))
def test_a_mark_means_the_same_contests_in_folders_that_have_them_in_another_order(
    one: list[str], other: list[str], held: set[int], certified: set[int]
) -> None:
    """Their digest is one, so nobody could tell their marks apart."""
    ours, theirs = (small.election(contests=[small.contest(id) for id in ids]) for ids in (one, other))
    assert ours.digest == theirs.digest
    said = Mark(1, 7, LOG_MS, {contest: (contest, None) for contest in held}, ranges_of(sorted(certified)), 9)
    found = PageReader(theirs, COUNT).read(*PageWriter(ours, COUNT).mark(said))
    assert isinstance(found, Mark)
    assert {other[contest]: hold for contest, hold in found.holds.items()} == {
        one[contest]: (contest, None) for contest in held
    }
    assert {other[contest] for contest in found.certified_contests()} == {one[contest] for contest in certified}
    assert PageReader(ours, COUNT).read(*PageWriter(ours, COUNT).mark(said)) == said


@examples(50)
@given(pages, marks)
def test_both_are_compact(page: Page, mark: Mark) -> None:
    for _, value in (WRITER.page(page), WRITER.mark(mark)):
        assert msgspec.json.encode(json.loads(value)) == value


def test_of_a_fold() -> None:
    fold = PartitionFold(ELECTION, 3, COUNT)
    _, mark = fold.take_flush()
    assert READER.read(*WRITER.mark(mark)) == mark


A_PAGE = Page(0, 1, 0, 7, LEAVES, [(0,) * WIDTH, None])
A_MARK = Mark(1, 7, LOG_MS, {0: (3, None)}, ((0, 1),), 9)


def a_page(**changes: Any) -> tuple[bytes, bytes]:
    key, value = WRITER.page(A_PAGE)
    return key, as_bytes(json.loads(value) | changes)


def a_mark(**changes: Any) -> tuple[bytes, bytes]:
    key, value = WRITER.mark(A_MARK)
    return key, as_bytes(json.loads(value) | changes)


GOOD = [a_page, a_mark]


@pytest.mark.parametrize("good", GOOD)
def test_of_another_definition_is_foreign_and_names_both(good: Any) -> None:
    with pytest.raises(ForeignPartial, match="sha256:0.*this worker counts " + ELECTION.digest) as caught:
        READER.read(*good(definition="sha256:0"))
    assert caught.value.definition == "sha256:0"


@pytest.mark.parametrize("good", GOOD)
def test_of_another_layout_or_partition_count_is_absent_whatever_its_shape(good: Any) -> None:
    assert READER.read(*good(layout=LAYOUT_NUMBER + 1)) is None
    assert READER.read(*good(partitions=COUNT + 1)) is None
    assert READER.read(*good(layout=LAYOUT_NUMBER + 1, more={"of": ["another", "shape"]})) is None
    assert READER.read(b"PRES|0", as_bytes({"definition": ELECTION.digest, "of": "an older form"})) is None


@pytest.mark.parametrize("good", GOOD)
def test_of_another_definition_is_foreign_whatever_its_shape(good: Any) -> None:
    with pytest.raises(ForeignPartial):
        READER.read(*good(definition="sha256:0", more=1))


@pytest.mark.parametrize(
    "changes",
    [
        {"contest": "NONE"},
        {"partition": 4},
        {"partition": -1},
        {"page": 1},
        {"page": -1},
        {"changed_at": 0},
        {"changed_at": 1.5},
        {"changed_at": None},
        {"extra": 1},
        {"schema": 2},
        {"areas": [None]},
        {"areas": [None] * 3},
        {"areas": [[0] * (WIDTH - 1), None]},
        {"areas": [[0] * (WIDTH + 1), None]},
        {"areas": [[0] * (WIDTH_WITH_EXTRA - 1), None]},
        {"areas": [[0] * (WIDTH_WITH_EXTRA + 1), None]},
        {"areas": [[None] * WIDTH, None]},
        {"areas": {}},
        {"contest": "SEAT"},
    ],
)
def test_a_page_of_any_other_shape_is_refused(changes: Json) -> None:
    _, value = a_page(**changes)
    named = json.loads(value)
    with pytest.raises(ValueError, match="page"):
        READER.read(page_key(named["contest"], named["partition"], named["page"]), value)


@pytest.mark.parametrize(
    "changes",
    [
        {"partition": 4},
        {"next_offset": -1},
        {"newest_ms": "x"},
        {"changed_sum": None},
        {"holds": [[2, 3, None]]},
        {"holds": [[0, 3]]},
        {"holds": [[0, 3, None, 1]]},
        {"holds": [[0, 3, None], [0, 4, None]]},
        {"certified": [[0, 2]]},
        {"certified": [[1, 0]]},
        {"certified": [[1, 1], [0, 0]]},
        {"certified": [[0]]},
        {"extra": 1},
    ],
)
def test_a_mark_of_any_other_shape_is_refused(changes: Json) -> None:
    _, value = a_mark(**changes)
    with pytest.raises(ValueError, match="mark"):
        READER.read(mark_key(json.loads(value)["partition"]), value)


@pytest.mark.parametrize("value", [b"", b"{", b"null", b"[]", b"\xff", b'{"schema":1}', b'{"contest":"\xff"}', b'{"layout":2}'])
@pytest.mark.parametrize("key", [b"PRES|1|0", b"|1", None])
def test_other_bytes_are_refused(key: bytes | None, value: bytes) -> None:
    with pytest.raises(ValueError, match="neither a page nor a mark"):
        READER.read(key, value)


@pytest.mark.parametrize("key", [b"SEAT|1|0", b"PRES|2|0", b"PRES|1|1", None])
def test_a_page_under_another_key_is_refused(key: bytes | None) -> None:
    """Compaction goes by the key: it would lose the one that belongs there."""
    with pytest.raises(ValueError, match=r"belongs under b'PRES\|1\|0'"):
        READER.read(key, a_page()[1])
    with pytest.raises(ValueError, match=r"belongs under b'\|1'"):
        READER.read(b"|2", a_mark()[1])


def test_a_page_is_never_longer_than_the_layout_foretells() -> None:
    """Every station at its widest: a billion voters, and all of them missing."""
    of = small.election([small.station(f"S-{n}", path=("T",)) for n in range(9)], levels=("town",), depth=1,
                        contests=[small.contest("C" * 64, ("ANNA", "BELA"))])  # fmt: skip
    largest = 9_999_999_999 * 9
    scalars = [-largest if name in SUMS else -9 for name in SCALARS]
    integers: list[AreaSums | None] = [(-largest, -largest, *scalars)]
    _, value = PageWriter(of, 100_000).page(Page(0, 99_999, 999_999, 2**63, of.leaf_areas, integers))
    longest = FRAME_MAX_BYTES + area_max_bytes(2, 9)
    assert len(value) <= longest <= len(value) + 120
    assert len(Layout(of).pages[0]) == 1
    assert longest < PAGE_MAX_BYTES


@pytest.mark.parametrize("votes_per_ballot", [1, 3, 4, 33, 34, 333, 334, CANDIDATES_MAX])
@pytest.mark.parametrize("stations", [1, 9, 10, STATIONS_MAX])
def test_nor_one_of_counts_that_contradict_themselves(votes_per_ballot: int, stations: int) -> None:
    """A ballot has no more votes than there are candidates; of each kind a station has a billion ballots, and cast none."""
    contradicted = COUNT_MAX * (4 if votes_per_ballot == 1 else 3 * votes_per_ballot)
    assert len(str(3 * COUNT_MAX * CANDIDATES_MAX)) == CONTRADICTED_MAX_DIGITS
    most = {"contradicted": contradicted, **dict.fromkeys(("valid", "cast", "blank", "invalid"), COUNT_MAX)}
    votes = [COUNT_MAX * stations] * votes_per_ballot
    scalars = [most.get(name, -9_999_999_990) * stations if name in SUMS else -stations for name in SCALARS]
    written = msgspec.json.encode([*votes, *scalars])
    assert len(written) + 1 <= area_max_bytes(votes_per_ballot, stations)
    assert msgspec.json.decode(written, type=AreaSums)[len(votes) :] == tuple(scalars)


def test_nor_a_page_of_ways_of_voting() -> None:
    """Where there are channels each area has their sums, and all others that few elections have."""
    stations = [small.station(f"S-{n}", path=("T",)) for n in range(9)]
    channels = {f"S-{n}": ("early", "postal")[n % 2] for n in range(9)}
    of = small.election(
        stations, levels=("town",), depth=1, contests=[small.contest("C" * 64, ("ANNA", "BELA"))], channels=channels
    )
    largest = 9_999_999_999 * 9
    names = (*SCALARS, *EXTRA_SCALARS, *(("VOTES", "VOTES", *CHANNEL_SCALARS) * 2))
    sums = SUMS | EXTRA_SUMS | {"VOTES"}
    integers = (-largest, -largest, *(-largest if name in sums else -9 for name in names))
    assert (len(integers),) == widths_of_areas(2, 2)
    writer, reader = PageWriter(of, 100_000), PageReader(of, 100_000)
    page = Page(0, 99_999, 0, 2**63, of.leaf_areas, [integers])
    _, value = writer.page(page)
    longest = FRAME_MAX_BYTES + area_max_bytes(2, 9, 2)
    assert len(value) <= longest <= len(value) + 120
    read_back = reader.read(*writer.page(page))
    assert isinstance(read_back, Page)
    assert read_back.areas == [integers]
    without = Page(0, 99_999, 0, 2**63, of.leaf_areas, [integers[:WIDTH]])
    with pytest.raises(ValueError, match=f"does not have {len(integers)} integers"):
        reader.read(*writer.page(without))


def test_a_mark_that_says_of_every_contest_that_it_is_on_hold_fits_a_message() -> None:
    """20,000 contests, each held at its own offset, and every second one certified."""
    holds: dict[int, Hold] = {n: (10**12 + n, 10**13 + n) for n in range(20_000)}
    mark = Mark(99_999, 2**63, 10**13, holds, tuple((n, n) for n in range(0, 20_000, 2)), 2**63)
    writer = PageWriter(small.election(contests=[small.contest(f"C{n:05}") for n in range(20_000)]), 100_000)
    assert len(writer.mark(mark)[1]) < 1_000_000


def test_sums_and_counters_are_all_named() -> None:
    assert len(set(SCALARS)) == len(SCALARS) == WIDTH - 2
