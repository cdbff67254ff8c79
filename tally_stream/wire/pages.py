"""Pages and marks as bytes: what workers tell each other through the partials topic.

Decides keys, JSON and what is absent: a page or mark of another layout or another partition count, which an earlier worker
left there. Refuses to know which pages are due and what comes of them; see `stream/counting.py` and `stream/merging.py`.
What the integers of an area mean stands in docs/wire-format.md, "Partials".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from tally_stream.domain.election import Election
from tally_stream.domain.pages import LAYOUT_NUMBER, Layout, Mark, Page, ranges_of
from tally_stream.domain.tally import AreaSums, widths_of_areas

Offset = Annotated[int, Meta(ge=0)]
Number = Annotated[int, Meta(ge=0)]


class PageMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Cumulative sums of some areas of a contest in one partition, from offset 0 to below `changed_at`: the offset after the
    last record that changed one of them. Key: `<contest>|<partition>|<page>`. `areas`: the areas of the page in the order of
    the definition; null: nothing was heard of it."""

    schema: Literal[1]
    layout: Number
    definition: str
    partitions: Annotated[int, Meta(ge=1)]
    contest: str
    partition: Number
    page: Number
    changed_at: Annotated[int, Meta(ge=1)]
    areas: list[AreaSums | None]


class HoldMessage(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A contest on hold by its number, the offset after the hold's own record, and the newest log timestamp below it."""

    contest: Number
    next_offset: Offset
    newest_ms: int | None


class MarkMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far the pages of a partition go. Key: `|<partition>`. Contests are named by their number among all sorted by id, the
    first is 0: in which order a folder has them is no part of its digest. `certified` are rows of them without a gap, (first,
    last)."""

    schema: Literal[1]
    layout: Number
    definition: str
    partitions: Annotated[int, Meta(ge=1)]
    partition: Number
    next_offset: Offset
    newest_ms: int | None
    holds: list[HoldMessage]
    certified: list[tuple[Number, Number]]
    changed_sum: Offset


class _Head(msgspec.Struct, frozen=True):
    """What decides whether a record is for this worker; all else may be of another shape."""

    definition: str
    layout: Any = None
    partitions: Any = None


_page_decoder = msgspec.json.Decoder(PageMessage)
_mark_decoder = msgspec.json.Decoder(MarkMessage)
_head_decoder = msgspec.json.Decoder(_Head)
_encoder = msgspec.json.Encoder()
"""Writes the fields in the order in which they stand there: workers alone read them, so not canonical."""


class ForeignPartial(Exception):
    """A page or mark of another definition; `args` is the sentence for the operator."""

    def __init__(self, sentence: str, definition: str) -> None:
        super().__init__(sentence)
        self.definition = definition


def page_key(contest_id: str, partition: int, number: int) -> bytes:
    return f"{contest_id}|{partition}|{number}".encode()


def mark_key(partition: int) -> bytes:
    return f"|{partition}".encode()


class _Numbers:
    """What a mark calls each contest, the same in every folder of one digest."""

    def __init__(self, election: Election) -> None:
        ids = [contest.id for contest in election.contests]
        self.contest_of = sorted(range(len(ids)), key=ids.__getitem__)
        self.number_of = {contest: number for number, contest in enumerate(self.contest_of)}
        self._are_places = self.contest_of == list(range(len(ids)))

    def rows(self, certified: Iterable[tuple[int, int]], names: Mapping[int, int] | Sequence[int]) -> list[tuple[int, int]]:
        """Rows of contests as rows of numbers (`names` is `number_of`), or the other way (`contest_of`)."""
        rows = list(certified)
        if self._are_places:
            return rows
        return list(ranges_of(sorted(names[one] for first, last in rows for one in range(first, last + 1))))


class PageWriter:
    """Writes the pages and marks of one election and partition count, each as (key, value)."""

    def __init__(self, election: Election, partition_count: int) -> None:
        self._definition = election.digest
        self._partition_count = partition_count
        self._contest_ids = [contest.id for contest in election.contests]
        self._numbers = _Numbers(election)

    def page(self, page: Page) -> tuple[bytes, bytes]:
        contest_id = self._contest_ids[page.contest]
        message = PageMessage(
            1, LAYOUT_NUMBER, self._definition, self._partition_count, contest_id, page.partition, page.number, page.changed_at,
            page.areas,
        )  # fmt: skip
        return page_key(contest_id, page.partition, page.number), _encoder.encode(message)

    def mark(self, mark: Mark) -> tuple[bytes, bytes]:
        holds = {self._numbers.number_of[contest]: hold for contest, hold in mark.holds.items()}
        message = MarkMessage(
            1, LAYOUT_NUMBER, self._definition, self._partition_count, mark.partition, mark.next_offset, mark.newest_ms,
            [HoldMessage(number, *hold) for number, hold in sorted(holds.items())],
            self._numbers.rows(mark.certified, self._numbers.number_of), mark.changed_sum,
        )  # fmt: skip
        return mark_key(mark.partition), _encoder.encode(message)


class PageReader:
    """Reads the pages and marks of one election and partition count."""

    def __init__(self, election: Election, partition_count: int) -> None:
        self.election = election
        self.partition_count = partition_count
        self.layout = Layout(election)
        self._numbers = _Numbers(election)
        self._widths = [
            widths_of_areas(len(contest.candidate_ids), len(channels))
            for contest, channels in zip(election.contests, election.contest_channels, strict=True)
        ]

    def read(self, key: bytes | None, value: bytes) -> Page | Mark | None:
        """What a record of the partials topic says; None where it counts as absent. Raises ForeignPartial for another
        definition, ValueError for anything else wrong."""
        is_mark = key is not None and key.startswith(b"|")
        try:
            message: PageMessage | MarkMessage = (_mark_decoder if is_mark else _page_decoder).decode(value)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            if self._is_absent(value):
                return None
            raise ValueError(f"neither a page nor a mark: {error}") from error
        if self._is_other(message.definition, message.layout, message.partitions):
            return None
        found = self._mark(message) if isinstance(message, MarkMessage) else self._page(message)
        due = mark_key(message.partition) if isinstance(message, MarkMessage) else page_key(
            message.contest, message.partition, message.page
        )  # fmt: skip
        if key != due:
            raise ValueError(f"what stands under the key {key!r} belongs under {due!r}")
        return found

    def _is_absent(self, value: bytes) -> bool:
        """Whether what this worker cannot read is not meant for it."""
        try:
            head = _head_decoder.decode(value)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return False
        return self._is_other(head.definition, head.layout, head.partitions)

    def _is_other(self, definition: str, layout: Any, partition_count: Any) -> bool:
        if definition != self.election.digest:
            raise ForeignPartial(
                f"a page or mark of definition {definition}, this worker counts {self.election.digest}", definition
            )
        return bool(layout != LAYOUT_NUMBER or partition_count != self.partition_count)

    def _page(self, m: PageMessage) -> Page:
        contest = self.election.contest_index(m.contest)
        if contest is None or m.partition >= self.partition_count or m.page >= len(self.layout.pages[contest]):
            raise ValueError(f"page {m.page} of contest {m.contest!r}, partition {m.partition}: this election has no such page")
        leaves, widths = self.layout.pages[contest][m.page], self._widths[contest]
        if len(m.areas) != len(leaves) or any(area is not None and len(area) not in widths for area in m.areas):
            due = " or ".join(map(str, widths))
            raise ValueError(f"page {m.page} of contest {m.contest!r} does not have {due} integers for each of its areas")
        return Page(contest, m.partition, m.page, m.changed_at, leaves, m.areas)

    def _mark(self, m: MarkMessage) -> Mark:
        count = len(self._widths)
        rows = [number for row in m.certified for number in row]
        held = [hold.contest for hold in m.holds]
        if (
            m.partition >= self.partition_count
            or any(number >= count for number in (*held, *rows))
            or rows != sorted(rows)
            or len(set(held)) != len(held)
        ):
            raise ValueError(f"a mark of partition {m.partition} at {m.next_offset} with partitions or contests out of place")
        contest_of = self._numbers.contest_of
        holds = {contest_of[hold.contest]: (hold.next_offset, hold.newest_ms) for hold in m.holds}
        certified = tuple(self._numbers.rows(m.certified, contest_of))
        return Mark(m.partition, m.next_offset, m.newest_ms, holds, certified, m.changed_sum)
