"""One partition's fold: a pure function of the records below an offset.

Decides how a record moves the ledger, the totals, the verdict counts, the turnout, and what `hold` freezes. Refuses to
know bytes (a record arrives as a statement or as the finding that refuses it) and to know Kafka. Two folds over the
same records are equal, whatever runs they came in. Read `standings.py` next.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tally_stream.domain.contest import Contest
from tally_stream.domain.election import Election, Station
from tally_stream.domain.extra_sums import tally_turnout
from tally_stream.domain.key_ring import KeyRing
from tally_stream.domain.ledger import (
    OWES_NOTHING,
    Entry,
    Verdict,
    change_of,
    evolve,
    judge,
    judge_sequence,
    put_plain,
)
from tally_stream.domain.pages import Figures, Hold, Layout, Mark, Page, ranges_of
from tally_stream.domain.report import Control, KeyStatement, Report, Statement, Turnout
from tally_stream.domain.rules import REVISION_STEP_MAX, VERDICTS, Finding, Limits, VerdictName, is_plain
from tally_stream.domain.scalars import murmur2_partition
from tally_stream.domain.tally import AreaSums, Totals, add_plain, tally


def stations_by_partition(election: Election, partition_count: int) -> list[list[Station]]:
    """Partition → the stations whose reports belong there (rule S7), each in the order of the election. One pass for all:
    when each of 256 partitions went through 34,555 stations for itself, a saved log waited 4.3 s for its first record."""
    found: list[list[Station]] = [[] for _ in range(partition_count)]
    for station in election.stations.values():
        found[murmur2_partition(station.id.encode(), partition_count)].append(station)
    return found


class _PageState:
    """A page as it stands now. It knows nothing of the areas on it: nothing here points in a circle, so that a fold that is
    dropped is gone at once."""

    def __init__(self, contest: int, number: int, leaves: tuple[int, ...]) -> None:
        self.contest = contest
        self.number = number
        self.leaves = leaves
        self.changed_at = 0
        self.summed_at = 0
        """What of it is in the sum of the newest mark."""
        self.is_changed = False
        """Whether it is among those of the next flush."""
        self.frozen: Page | None = None
        """As it was published when it first changed behind a hold; without a hold None."""
        self.made: Page | None = None
        """The newest that was made of it; of an older `changed_at` it is no longer what stands here."""


class _AreaState(Totals):
    """The sums of a deepest published area, with the page they stand on: one object, as it lies anywhere in memory."""

    def __init__(self, contest: Contest, channels: tuple[int, ...], page: _PageState) -> None:
        super().__init__(len(contest.candidate_ids), None, channels, contest.votes_per_ballot)
        self.page = page
        self.changed_at = 0
        self.integers: AreaSums = ()
        self.integers_at = -1
        """The `changed_at` of which `integers` are: only areas that changed since are turned into integers again."""


@dataclass
class _ContestState:
    top: int = 0
    top_statement: Control | None = None
    is_certified: bool = False
    hold: Hold | None = None
    """The hold's own offset + 1, and the newest log timestamp then, while a hold has no release."""
    areas: dict[int, _AreaState] = field(default_factory=dict)
    pages: dict[int, _PageState] = field(default_factory=dict)
    """Both only where a record has touched something."""
    frozen_pages: list[_PageState] = field(default_factory=list)
    """Those that changed behind the hold."""
    entries: dict[str, Entry] = field(default_factory=dict)
    """One for each of the contest's stations that belongs to this partition, from the start; blank until something was
    judged."""


_NO_ENTRIES: dict[str, Entry] = {}
"""Of all contests that have no station here: of 20,000 contests most have none in a partition."""


class PartitionFold:
    """Call `take` once for each record, in offset order. `partition_count` None: a log without partitions (no S7).

    `stations` are those that belong here, and `layout` is the election's, from whoever makes more than one fold
    (`stations_by_partition`); a fold made alone finds them itself.
    """

    def __init__(
        self,
        election: Election,
        partition: int = 0,
        partition_count: int | None = None,
        stations: list[Station] | None = None,
        layout: Layout | None = None,
    ) -> None:
        self.election = election
        self.limits = Limits(election.checks, election.polls_close_ms)
        self.partition = partition
        self.partition_count = partition_count
        self.next_offset = 0
        self.newest_ms: int | None = None
        self._plain_count = 0
        self._verdicts: dict[VerdictName, int] = dict.fromkeys(VERDICTS, 0)
        """All but the plain ones."""
        self.codes: Counter[str] = Counter()
        self.keys = KeyRing(election.keys)
        self.skipped_offsets = {s.offset: s for s in election.skips if s.partition == partition}
        if stations is None:
            stations = (
                list(election.stations.values())
                if partition_count is None
                else stations_by_partition(election, partition_count)[partition]
            )
        self._contests: list[_ContestState | None] = [None] * len(election.contests)
        """None where there is no station and was no control statement."""
        self.entries = [_NO_ENTRIES] * len(election.contests)
        """Contest → station id → entry: those to be found here, and no others (rules S2, S7)."""
        self._make_entries(stations)
        self._turnouts: dict[Station, Turnout] = {}
        self._layout = Layout(election) if layout is None else layout
        self._changed: list[_PageState] = []
        """Pages of the next flush: what is published of them changed since the last."""
        self._changed_sum = 0
        self._holds: dict[int, Hold] = {}
        self._certified: set[int] = set()
        """As published: what was certified behind a hold is not here before the release."""
        self._controls: tuple[dict[int, Hold], tuple[tuple[int, int], ...]] | None = ({}, ())
        """Holds and certified contests as marks say them; None once a control statement has changed them."""

    def _make_entries(self, stations: list[Station]) -> None:
        """One for each station and contest that it has. Stations with the same contests share one list of them: it is gone
        through once for all of them."""
        with_list: dict[int, list[Station]] = {}
        for station in stations:
            others = with_list.get(id(station.contests))
            if others is None:
                with_list[id(station.contests)] = [station]
            else:
                others.append(station)
        for alike in with_list.values():
            for contest in alike[0].contests:
                entries = self._state(contest).entries
                for station in alike:
                    entries[station.id] = Entry(station)

    def _state(self, contest: int) -> _ContestState:
        """Made when it is first needed."""
        state = self._contests[contest]
        if state is None:
            state = self._contests[contest] = _ContestState()
            self.entries[contest] = state.entries
        return state

    # -- reading ---------------------------------------------------------------------------------------------------

    def is_on_hold(self, contest: int) -> bool:
        state = self._contests[contest]
        return state is not None and state.hold is not None

    def published_offset(self, contest: int) -> int:
        """Below which the contest's published figures stand: at the hold's own offset + 1 while it is on hold."""
        state = self._contests[contest]
        return self.next_offset if state is None or state.hold is None else state.hold[0]

    def entry(self, contest: int, station_id: str) -> Entry | None:
        """The ledger's entry, for those who look; None where nothing was judged yet."""
        entry = self.entries[contest].get(station_id)
        return None if entry is None or not entry.top else entry

    def figures(self, contest: int) -> Figures:
        """What is published of a contest now."""
        state = self._contests[contest]
        found: list[Page] = []
        if state is not None:
            # A page that was first touched behind a hold is none yet.
            pages = [self._published(state, page) for page in state.pages.values()]
            found = [page for page in pages if page.changed_at]
        return Figures(contest, self.partition, self._mark().stand(contest), tuple(found))

    def take_flush(self) -> tuple[list[Page], Mark]:
        """The pages whose published figures changed since the last flush (the first one: every touched page), and the mark
        that goes with them."""
        pages = []
        for page_state in self._changed:
            page = self._published(self._state(page_state.contest), page_state)
            self._changed_sum += page.changed_at - page_state.summed_at
            page_state.summed_at = page.changed_at
            page_state.is_changed = False
            pages.append(page)
        self._changed.clear()
        return pages, self._mark()

    def flushed_page(self, contest: int, number: int) -> Page | None:
        """A page as the last flush left it; None where it has changed since, so that the next flush has it."""
        state = self._state(contest)
        page_state = state.pages[number]
        return None if page_state.is_changed else self._published(state, page_state)

    def _mark(self) -> Mark:
        if self._controls is None:
            self._controls = dict(self._holds), ranges_of(sorted(self._certified))
        return Mark(self.partition, self.next_offset, self.newest_ms, *self._controls, self._changed_sum)

    def _published(self, state: _ContestState, page_state: _PageState) -> Page:
        return self._made(state, page_state) if page_state.frozen is None else page_state.frozen

    def _made(self, state: _ContestState, page_state: _PageState) -> Page:
        """The page as its areas stand now."""
        made = page_state.made
        if made is not None and made.changed_at == page_state.changed_at:
            return made
        areas: list[AreaSums | None] = []
        for leaf in page_state.leaves:
            area = state.areas.get(leaf)
            if area is None:
                areas.append(None)
                continue
            if area.integers_at != area.changed_at:
                # What was handed out stays as it is: a new tuple replaces it.
                area.integers = area.to_integers()
                area.integers_at = area.changed_at
            areas.append(area.integers)
        made = Page(
            page_state.contest, self.partition, page_state.number, page_state.changed_at, page_state.leaves, areas
        )  # fmt: skip
        page_state.made = made
        return made

    @property
    def verdicts(self) -> dict[VerdictName, int]:
        """Records by verdict; they add up to the records taken."""
        return {**self._verdicts, "counted": self._verdicts["counted"] + self._plain_count}

    def verdict_counts(self) -> dict[str, object]:
        """`{"counted": n, …, "codes": {"S1": n, …}}`; the six verdicts add up to the records taken."""
        return {**{str(verdict): count for verdict, count in self.verdicts.items()}, "codes": dict(sorted(self.codes.items()))}

    # -- taking a record -------------------------------------------------------------------------------------------

    def take(
        self, offset: int, log_ms: int, key: bytes | None, read: Statement | Finding, entry: Entry | None = None
    ) -> Verdict:
        """Judge and apply the record at `offset` (which must be `next_offset`); `read` is what its bytes were, `entry` that
        of the station of a report, where it was looked up before.

        Raises ValueError on any other offset: a gap or a jump back is a broken invariant, never a verdict.
        """
        if offset != self.next_offset:
            raise ValueError(f"partition {self.partition}: offset {offset} where {self.next_offset} was due")
        self.next_offset = offset + 1
        if self.newest_ms is None or log_ms > self.newest_ms:
            self.newest_ms = log_ms
        if type(read) is Report:
            verdict = self._take_report(read, log_ms, key, entry)
        elif type(read) is Turnout:
            verdict = self._take_turnout(read, key)
        elif type(read) is Control:
            verdict = self._take_control(read)
        elif type(read) is KeyStatement:
            verdict = self.keys.take(read)
        else:
            assert type(read) is Finding
            verdict = Verdict("rejected", (read,))
        if verdict is OWES_NOTHING:
            self._plain_count += 1
            return verdict
        self._verdicts[verdict.name] += 1
        for finding in verdict.findings:
            self.codes[finding.code] += 1
        return verdict

    def _misplaced(self, station: Station, key: bytes | None) -> Verdict:
        """Rule S7, of a station that is not among this partition's. Its contest it has: rule S2 was asked before."""
        assert key is not None, "S5 refuses a record without a key before S7 is asked"
        assert self.partition_count is not None, "every station belongs to a log without partitions"
        due = murmur2_partition(key, self.partition_count)
        assert due != self.partition, "a station that belongs here is among this partition's"
        finding = Finding("S7", "in partition {left}, belongs into {right}", self.partition, due)
        return Verdict("rejected", (finding,))

    def _take_report(self, r: Report, log_ms: int, key: bytes | None, known: Entry | None) -> Verdict:
        entry = self.entries[r.contest].get(r.station.id) if known is None else known
        if entry is None:
            return self._misplaced(r.station, key)
        state = self._contests[r.contest]
        assert state is not None, "a contest with an entry has a state"
        if entry.is_plain and r.kind == "report" and self._take_plainly(state, entry, r, log_ms):
            return OWES_NOTHING
        contest = self.election.contests[r.contest]
        verdict = judge(entry, r, contest, self.limits, state.is_certified, log_ms)
        if verdict.name not in ("counted", "held", "conflicting"):
            return verdict

        totals = self._totals_to_change(state, r.contest, entry.station.leaf)
        voted = self._voted(r.station) if self._turnouts else None
        before = None if entry.is_annulled else entry.counts
        from_revision = entry.in_force_revision
        if entry.top or voted is not None:
            tally(totals, entry, voted, self.limits, -1)
        evolve(entry, r, verdict)
        tally(totals, entry, voted, self.limits, 1)
        if before is None and r.kind != "restore":
            return verdict
        change = change_of(r, before, entry.counts_in_force, from_revision)
        return verdict if change is None else Verdict(verdict.name, verdict.findings, change)

    def _take_plainly(self, state: _ContestState, entry: Entry, r: Report, log_ms: int) -> bool:
        """Count `r` in one step, if it is plain and so is all that is known of its station; else nothing is done."""
        station, before, area = entry.station, entry.counts, state.areas.get(entry.station.leaf)
        if (
            area is None
            or state.is_certified
            or not 0 < r.revision - entry.top <= REVISION_STEP_MAX
            or not is_plain(r, station, before, self.limits, log_ms)
            or (self._turnouts and r.station in self._turnouts)
        ):
            return False
        self._begin_change(state, area.page)
        area.changed_at = self.next_offset
        add_plain(area, station, before, r, self.limits)
        put_plain(entry, r)
        return True

    def _totals_to_change(self, state: _ContestState, contest: int, leaf: int) -> Totals:
        """The sums of an area, which the record at hand is about to change."""
        area = state.areas.get(leaf)
        if area is None:
            number = self._layout.page_of(contest, leaf)
            page = state.pages.get(number)
            if page is None:
                page = state.pages[number] = _PageState(contest, number, self._layout.pages[contest][number])
            self._begin_change(state, page)  # first: what a hold keeps of the page has no sums of this area
            channels = self.election.contest_channels[contest]
            area = state.areas[leaf] = _AreaState(self.election.contests[contest], channels, page)
        else:
            self._begin_change(state, area.page)
        area.changed_at = self.next_offset
        return area

    def _begin_change(self, state: _ContestState, page: _PageState) -> None:
        """A station of this page is about to be taken out of its sums, or put in. Behind a hold the page is kept as it is
        published, once, and what is published of it does not change."""
        if state.hold is not None:
            if page.frozen is None:
                page.frozen = self._made(state, page)
                state.frozen_pages.append(page)
        elif not page.is_changed:
            page.is_changed = True
            self._changed.append(page)
        page.changed_at = self.next_offset

    def _voted(self, station: Station) -> int | None:
        turnout = self._turnouts.get(station)
        return None if turnout is None else turnout.voted

    def _take_turnout(self, t: Turnout, key: bytes | None) -> Verdict:
        contests_here = t.station.contests
        if t.station.id not in self.entries[contests_here[0]]:
            return self._misplaced(t.station, key)
        known = self._turnouts.get(t.station)
        refused = judge_sequence(known.revision if known else 0, t == known, t.revision)
        if refused is not None:
            return refused
        station = t.station
        for contest in contests_here:
            state = self._state(contest)
            entry = state.entries[station.id]
            totals = self._totals_to_change(state, contest, station.leaf)
            before = known.voted if known else None
            tally(totals, entry, before, self.limits, -1)
            tally(totals, entry, t.voted, self.limits, 1)
            tally_turnout(totals.need_extra(), station, before, t.voted)
        self._turnouts[t.station] = t
        return OWES_NOTHING

    def _take_control(self, c: Control) -> Verdict:
        state = self._state(c.contest)
        refused = judge_sequence(state.top, c == state.top_statement, c.revision)
        if refused is not None:
            return refused
        state.top, state.top_statement = c.revision, c
        if c.kind == "hold":
            if state.hold is None:
                state.hold = (self.next_offset, self.newest_ms)
                self._holds[c.contest] = state.hold
        elif c.kind == "release":
            self._release(c.contest)
        else:
            state.is_certified = True
            if state.hold is None:
                self._certified.add(c.contest)
        self._controls = None
        return OWES_NOTHING

    def _release(self, contest: int) -> None:
        state = self._state(contest)
        if state.hold is None:
            return
        state.hold = None
        del self._holds[contest]
        for page in state.frozen_pages:
            page.frozen = None
            if not page.is_changed:
                page.is_changed = True
                self._changed.append(page)
        state.frozen_pages.clear()
        if state.is_certified:
            self._certified.add(contest)


def folds_of(election: Election, partition_count: int | None) -> list[PartitionFold]:
    """A fold for each partition of a log; the one of a log without partitions."""
    if partition_count is None:
        return [PartitionFold(election)]
    layout, placed = Layout(election), stations_by_partition(election, partition_count)
    return [PartitionFold(election, partition, partition_count, here, layout) for partition, here in enumerate(placed)]
