"""What stage 2 keeps of one partition: of each page the newest, and the mark that the partition stands on.

Decides which mark a partition may stand on. For one prefix of the log a page's true `changed_at` is the greatest up to it.
So where no page lies above what a mark covers of its contest, a page can only be too old, and where the sum of all
`changed_at` is the mark's, none is. A flush cut short, a frozen worker that thaws and a compacted topic all end in this check.
Refuses to know where records come from, and what is made of the figures. Read `merging.py` next.
"""

from __future__ import annotations

from dataclasses import dataclass

from tally_stream.domain.pages import Mark, Page
from tally_stream.stream.invariant import BrokenInvariant


@dataclass(frozen=True, slots=True)
class Accepted:
    """A mark that a partition stands on from now, the one before it, and the pages that changed between them."""

    mark: Mark
    before: Mark | None
    pages: list[Page]


class PartitionPages:
    """Take every page and mark of one partition, in the order of the topic."""

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.mark: Mark | None = None
        """The newest that was accepted."""
        self.refused: Mark | None = None
        """The newest above it that was not."""
        self.highest_offset = 0
        """In any page or mark: the report log has all records below."""
        self._pages: dict[tuple[int, int], Page] = {}
        """(contest, page) → the newest."""
        self._changed_sum = 0
        self._waiting: dict[tuple[int, int], Page] = {}
        """Those of them that came since the accepted mark."""

    def take_page(self, page: Page) -> Accepted | None:
        """Keep it if it is newer than the one held; it may be what the newest refused mark waits for. Raises BrokenInvariant
        where another page says other sums of the same offset."""
        key = (page.contest, page.number)
        held = self._pages.get(key)
        if held is not None and page.changed_at <= held.changed_at:
            if page.changed_at == held.changed_at and page.areas != held.areas:
                raise BrokenInvariant(
                    f"page {page.number} of contest number {page.contest}, partition {self.partition}, says other sums at "
                    f"{page.changed_at} than the one before: two workers count another log, or count otherwise"
                )
            return None
        self._pages[key] = self._waiting[key] = page
        self._changed_sum += page.changed_at - (0 if held is None else held.changed_at)
        self.highest_offset = max(self.highest_offset, page.changed_at)
        if self.refused is not None and self._is_complete(self.refused):
            return self._accept(self.refused)
        return None

    def take_mark(self, mark: Mark) -> Accepted | None:
        """Stand on it, if it is above the one stood on and the pages are those it speaks of."""
        for known in (self.mark, self.refused):
            if known is not None and known.next_offset == mark.next_offset and known != mark:
                raise BrokenInvariant(
                    f"a mark of partition {self.partition} at {mark.next_offset} says other things than the one before: two "
                    f"workers count another log, or count otherwise"
                )
        self.highest_offset = max(self.highest_offset, mark.next_offset)
        if self.mark is not None and mark.next_offset <= self.mark.next_offset:
            return None
        if self._is_complete(mark):
            return self._accept(mark)
        if self.refused is None or self.refused.next_offset < mark.next_offset:
            self.refused = mark
        return None

    def _is_complete(self, mark: Mark) -> bool:
        """Only pages that wait can lie above it: what a mark covers of a contest never falls from one to the next."""
        return self._changed_sum == mark.changed_sum and all(
            page.changed_at <= mark.covers(page.contest) for page in self._waiting.values()
        )

    def _accept(self, mark: Mark) -> Accepted:
        pages, self._waiting = list(self._waiting.values()), {}
        before, self.mark = self.mark, mark
        if self.refused is not None and self.refused.next_offset <= mark.next_offset:
            self.refused = None
        return Accepted(mark, before, pages)
