"""The public view: the pages of every partition, added, rolled up, and rendered as messages.

Decides every field of a standings message. A message is a pure function of (definition, topic name, next offsets):
nothing here depends on when, how often or in which order pages arrived. Sums are kept by difference, in an area and in all
above it: a publication costs what the areas cost that changed. Read `rounding.py` and `outcome.py` beside it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tally_stream.domain.baselines import Baseline, baselines, expected_of
from tally_stream.domain.counted import Counted, counted_of
from tally_stream.domain.election import Election
from tally_stream.domain.extra_standings import channel_of, stations_of, voted_of
from tally_stream.domain.outcome import outcome
from tally_stream.domain.pages import Figures, Page, Stand
from tally_stream.domain.referendum import areas_asked
from tally_stream.domain.rounding import progress_percent, ratio_units, shares, units_text
from tally_stream.domain.rules import Limits
from tally_stream.domain.scalars import format_time
from tally_stream.domain.seats import Seats, seats_of
from tally_stream.domain.tally import AreaSums, Totals

Message = dict[str, Any]


class MergedFigures:
    """One contest's figures of `partition_count` partitions of `topic`, added. `put` a partition's, then `messages`; or
    `put_page` those pages that changed, say in `stands` how far each partition is, then `begin_publication`.

    Of the published areas, those in which the contest has a station; the others have no message.
    """

    def __init__(
        self,
        election: Election,
        contest: int,
        topic: str,
        partition_count: int,
        shared_baselines: list[Baseline] | None = None,
    ) -> None:
        self.election = election
        self.contest_index = contest
        self.contest = election.contests[contest]
        self.topic = topic
        self.stands: list[Stand | None] = [None] * partition_count
        """None of partitions of which nothing is known yet."""
        self._areas = election.contest_areas[contest]
        self._channels = election.contest_channels[contest]
        if shared_baselines is None:
            shared_baselines = baselines(election, Limits(election.checks, election.polls_close_ms))
        self._baseline = shared_baselines[contest]
        self._waiting: dict[tuple[int, int], Page] = {}
        """(partition, page) → what is not in the sums yet."""
        self._pages: dict[tuple[int, int], Page] = {}
        """(partition, page) → what is in the sums."""
        self._sums: dict[int, AreaSums] = {}
        """Area → its sums, none where nothing was heard. A publication keeps them."""
        self._dirty: set[int] = set()
        self._is_all_dirty = True
        self._bodies: dict[int, Message] = {}
        self._rendered_flags: tuple[bool, bool, bool] | None = None
        self._rows: list[Message] = [
            {"id": c.id, "name": c.name, "votes": None, "share": None, "rank": None, "seats": None}
            for c in self.contest.candidates
        ]
        """A candidate's entry before the count, in the order of the definition: each area has a copy, which costs half of what
        making it costs."""
        self._asked = areas_asked(election, self.contest, self._areas)
        self._seats_of: Counted | None = None
        self.seats: Seats | None = None
        """Those of the root when it was last rendered; computed again when a figure of what they rest on has changed."""

    @property
    def is_complete(self) -> bool:
        """Whether it is known of every partition how far it is; nothing may be published before."""
        return None not in self.stands

    @property
    def next_offsets(self) -> list[int]:
        return [0 if stand is None else stand.next_offset for stand in self.stands]

    @property
    def version(self) -> int:
        """Σ next_offsets: vectors only grow, so it only rises."""
        return sum(self.next_offsets)

    def put(self, figures: Figures) -> bool:
        """Take a partition's newer figures; False (and nothing changed) where they are not newer than what stands here."""
        old = self.stands[figures.partition]
        if old is not None and figures.stand.next_offset <= old.next_offset:
            return False
        for page in figures.pages:
            self.put_page(page)
        self.stands[figures.partition] = figures.stand
        return True

    def put_page(self, page: Page) -> None:
        """Let this page stand for the one of its partition and number that stood before."""
        self._waiting[page.partition, page.number] = page

    def _put_waiting(self) -> dict[int, AreaSums]:
        """Deepest area → by how much the pages that came since the last publication move it: of several after one another the
        last."""
        moved: dict[int, AreaSums] = {}
        for key, page in self._waiting.items():
            old = self._pages.get(key)
            self._pages[key] = page
            for at, leaf in enumerate(page.leaves):
                new = page.areas[at]
                before = None if old is None else old.areas[at]
                if new is None or new is before or new == before:
                    continue
                known = moved.get(leaf)
                if before is None:
                    moved[leaf] = new if known is None else _plus(known, new)
                else:
                    moved[leaf] = _less(new, before) if known is None else _plus_less(known, new, before)
        self._waiting.clear()
        return moved

    def _roll_up(self) -> None:
        """Move the sums of every area that a page moved, and of those above it, each once."""
        level = self._put_waiting()
        while level:
            above: dict[int, AreaSums] = {}
            for area, moved in level.items():
                sums = self._sums.get(area)
                self._sums[area] = moved if sums is None else _plus(sums, moved)
                self._dirty.add(area)
                parent = self.election.areas[area].parent
                if parent is not None:
                    known = above.get(parent)
                    above[parent] = moved if known is None else _plus(known, moved)
            level = above

    def messages(self, wanted: set[str] | None = None) -> list[Message]:
        """Every published area's message at the present vector, or those of the areas whose ids are wanted; the root last.
        Bodies of areas that did not change are not rendered again."""
        publication = self.begin_publication()
        for area in publication.areas:
            publication.message(area)
        areas = self.election.areas
        return [
            {**self._bodies[area], **publication.stamp}
            for area in (*self._areas[1:], 0)
            if wanted is None or areas[area].id in wanted
        ]

    def begin_publication(self) -> Publication:
        """What changed since the last publication began, at the present vector."""
        self._roll_up()
        present = [stand for stand in self.stands if stand is not None]
        newest = [stand.newest_ms for stand in present if stand.newest_ms is not None]
        as_of_ms = max(newest) if newest else None
        is_closed_book = as_of_ms is None or (self.election.phase == "official" and as_of_ms < self.election.polls_close_ms)
        flags = (
            is_closed_book,
            any(stand.is_on_hold for stand in present),
            self.is_complete and all(stand.is_certified for stand in present),
        )
        is_all = self._is_all_dirty or flags != self._rendered_flags
        areas = list(self._areas[1:]) if is_all else sorted(self._dirty - {0})
        self._is_all_dirty, self._rendered_flags = False, flags
        self._dirty.clear()
        areas.append(0)
        sums = {area: self._sums.get(area) for area in areas}
        sums.update({area: self._sums.get(area) for area, _ in self._asked})
        return Publication(self, areas, sums, as_of_ms, flags)

    def stamp(self, as_of_ms: int | None) -> Message:
        """What stands beside a body in each message of the present vector."""
        return {
            "version": self.version,
            "as_of": None if as_of_ms is None else format_time(as_of_ms),
            "provenance": {
                "topic": self.topic,
                "next_offsets": {str(p): offset for p, offset in enumerate(self.next_offsets)},
            },
        }

    def render(
        self, area: int, sums: dict[int, AreaSums | None], as_of_ms: int | None, flags: tuple[bool, bool, bool]
    ) -> tuple[Message, bool]:
        """The body of an area with these sums (of the root those of areas that must approve too), and whether it differs from
        the one rendered before."""
        body = self._body(area, sums, as_of_ms, *flags)
        is_changed = self._bodies.get(area) != body
        self._bodies[area] = body
        return body, is_changed

    # -- one area --------------------------------------------------------------------------------------------------

    def _body(
        self,
        index: int,
        all_sums: dict[int, AreaSums | None],
        as_of_ms: int | None,
        is_before: bool,
        is_on_hold: bool,
        is_certified: bool,
    ) -> Message:
        election, contest = self.election, self.contest
        start, sums = self._baseline[index], all_sums[index]
        count = len(contest.candidate_ids)
        t = Totals(count, sums, self._channels)
        votes = (0,) * count if sums is None else sums[:count]
        expected = start["expected"]
        # Before the polls close an official election shows no result; a test election shows its zeros.
        is_hidden = is_before and election.phase == "official"
        is_root = index == 0
        judged, seats = self._judged(all_sums, is_certified) if is_root and not is_hidden else (None, None)
        candidates, printed = self._candidates(votes, t.valid, is_hidden, seats)
        return {
            "schema": 1,
            "election": election.id,
            "phase": election.phase,
            "definition": election.digest,
            "contest": contest.id,
            "area": election.areas[index].id,
            "status": _status(t, expected, is_before, is_certified),
            "on_hold": is_on_hold,
            "stations": stations_of(expected, t.counted, t.partial, t.held_only, t.annulled),
            "flags": {
                "corrected": t.corrected,
                "recounted": t.recounted,
                "disputed": t.disputed,
                "held": t.held_waiting,
                "warned": t.warned,
            },
            "progress": self._progress(t, start, is_hidden),
            "turnout": None if is_hidden else self._turnout(t),
            "ballots": {
                "cast": None if is_hidden or t.cast_unknown else t.cast,
                "valid": None if is_hidden else t.valid,
                "blank": None if is_hidden or t.blank_unknown else t.blank,
                "invalid": None if is_hidden or t.invalid_unknown else t.invalid,
                **_under_and_over(t, is_hidden),
            },
            "voted": None if t.extra is None else voted_of(t.extra, contest.rounding),
            "candidates": candidates,
            "channels": self._channels_of(t, start, is_hidden),
            "rounding": {"method": contest.rounding.method, "places": contest.rounding.places, "base": "valid"},
            "outcome": judged,
            "exit_polls": self._exit_polls(as_of_ms, printed) if is_root else None,
        }

    def _candidates(
        self, votes: AreaSums, valid: int, is_hidden: bool, seats: Seats | None
    ) -> tuple[list[Message], list[str | None]]:
        """The candidates' entries, by votes, and their shares in the order of the definition."""
        contest = self.contest
        if is_hidden:
            return [row.copy() for row in self._rows], [None] * len(votes)
        printed = shares(votes, valid, contest.rounding)
        order = sorted(range(len(votes)), key=votes.__getitem__, reverse=True)  # equal ones stay in their order
        rows = []
        ranked = rank = 0
        last = -1
        for i in order:
            candidate = contest.candidates[i]
            if candidate.eligible:  # ranks are among those who can win
                ranked += 1
                if votes[i] != last:
                    rank, last = ranked, votes[i]
            row = self._rows[i].copy()
            row["votes"], row["share"] = votes[i], printed[i]
            if candidate.eligible:
                row["rank"] = rank
            if seats is not None:
                row["seats"] = {"now": seats.now[i], "certain": seats.certain[i]}
            rows.append(row)
        return rows, printed

    def _channels_of(self, t: Totals, start: dict[str, int], is_hidden: bool) -> list[Message] | None:
        if not self._channels:
            return None
        assert t.extra is not None, "a contest with channels has them in every area"
        names, ids = self.election.channels, self.contest.candidate_ids
        return [
            channel_of(names[channel], start[expected_of(channel)], sums, ids, is_hidden, is_hidden or t.cast_unknown > 0)
            for channel, sums in t.extra.channels.items()
        ]

    def _measure(self, done: int, of: int, is_finished: bool) -> Message | None:
        if of == 0:
            return None
        percent = progress_percent(done, of, self.contest.rounding, is_finished=is_finished)
        return {"done": done, "of": of, "percent": percent}

    def _progress(self, t: Totals, start: dict[str, int], is_hidden: bool) -> Message:
        expected = start["expected"]
        done = t.counted + t.annulled
        is_finished = done == expected
        registered_unknown = start["registered_of_unknown"] + t.registered_of_unknown or t.registered_done_unknown
        ballots_unknown = start["ballots_of_unknown"] + t.ballots_of_unknown or t.cast_unknown
        return {
            "stations": self._measure(done, expected, is_finished),
            "registered": None
            if registered_unknown
            else self._measure(t.registered_done, start["registered_of"] + t.registered_of, is_finished),
            "ballots": None
            if is_hidden or ballots_unknown
            else self._measure(t.cast, start["ballots_of"] + t.ballots_of, is_finished),
        }

    def _turnout(self, t: Totals) -> Message | None:
        if t.turnout_cast_unknown or t.turnout_registered_unknown or t.turnout_registered == 0:
            return None
        rounding = self.contest.rounding
        percent = units_text(ratio_units(t.turnout_cast, t.turnout_registered, rounding), rounding.places)
        return {"cast": t.turnout_cast, "registered": t.turnout_registered, "percent": percent}

    def _judged(self, sums: dict[int, AreaSums | None], is_certified: bool) -> tuple[Message, Seats | None]:
        """The outcome, and the seats of a proportional contest. Areas that must approve too are all looked at again, each time:
        there are few."""
        counted = self._counted(0, sums[0], is_certified)
        if counted != self._seats_of:
            self._seats_of, self.seats = counted, seats_of(self.contest, counted)
        asked = [(halves, self._counted(area, sums[area], is_certified)) for area, halves in self._asked]
        return outcome(self.contest, counted, self.seats, asked), self.seats

    def _counted(self, area: int, sums: AreaSums | None, is_certified: bool) -> Counted:
        count = len(self.contest.candidate_ids)
        votes = (0,) * count if sums is None else sums[:count]
        return counted_of(votes, Totals(count, sums, self._channels), self._baseline[area], is_certified)

    def _exit_polls(self, as_of_ms: int | None, printed: list[str | None]) -> list[Message]:
        share_of = dict(zip(self.contest.candidate_ids, printed, strict=True))
        polls = []
        for poll in self.election.exit_polls:
            if poll.contest != self.contest.id or as_of_ms is None or as_of_ms < poll.publish_after_ms:
                continue
            difference: dict[str, str | None] = {}
            for candidate, share in poll.shares:
                counted = share_of[candidate]
                difference[candidate] = None if counted is None else format(Decimal(counted) - share, "f")
            polls.append(
                {
                    "pollster": poll.pollster,
                    "share": {candidate: format(share, "f") for candidate, share in poll.shares},
                    "difference": difference,
                }
            )
        return polls


class Publication:
    """A contest's messages at one vector, made one after the other: what comes meanwhile shows in the next publication.

    `areas` are those to be rendered, the root (0) last; ask for the message of each, in this order.
    """

    def __init__(
        self,
        merged: MergedFigures,
        areas: list[int],
        sums: dict[int, AreaSums | None],
        as_of_ms: int | None,
        flags: tuple[bool, bool, bool],
    ) -> None:
        self.areas = areas
        self.stamp = merged.stamp(as_of_ms)
        self._merged = merged
        self._sums = sums
        self._as_of_ms = as_of_ms
        self._flags = flags

    def message(self, area: int) -> tuple[Message, bool]:
        """The area's message, and whether it differs from the one before in more than its stamp."""
        body, is_changed = self._merged.render(area, self._sums, self._as_of_ms, self._flags)
        return {**body, **self.stamp}, is_changed


def _padded(one: AreaSums, other: AreaSums) -> AreaSums:
    """With zeros behind it, where the other has extra sums and it has none."""
    return one if len(one) >= len(other) else one + (0,) * (len(other) - len(one))


def _plus(one: AreaSums, other: AreaSums) -> AreaSums:
    if len(one) != len(other):
        one, other = _padded(one, other), _padded(other, one)
    return tuple([one[i] + other[i] for i in range(len(one))])


def _less(one: AreaSums, other: AreaSums) -> AreaSums:
    if len(one) != len(other):
        one, other = _padded(one, other), _padded(other, one)
    return tuple([one[i] - other[i] for i in range(len(one))])


def _plus_less(one: AreaSums, more: AreaSums, less: AreaSums) -> AreaSums:
    if len(one) != len(more) or len(one) != len(less):
        return _plus(one, _less(more, less))
    return tuple([one[i] + more[i] - less[i] for i in range(len(one))])


def _under_and_over(t: Totals, is_hidden: bool) -> Message:
    """Known where every statement in force has them; then no votes are missing that nobody speaks of."""
    in_force = t.counted + t.partial
    if is_hidden or in_force > (0 if t.extra is None else t.extra.undervotes_known):
        return {"undervotes": None, "overvotes": None}
    return {
        "undervotes": 0 if t.extra is None else t.extra.undervotes,
        "overvotes": 0 if t.extra is None else t.extra.overvotes,
    }


def _status(t: Totals, expected: int, is_before: bool, is_certified: bool) -> str:
    if is_before:
        return "pre-election"
    if is_certified:
        return "certified"
    if t.counted + t.annulled < expected:
        return "unofficial-partial"
    if t.kind_recount:
        return "recount"
    if t.kind_correct or t.kind_annul or t.kind_restore or t.kind_accept:
        return "correction"
    return "unofficial-complete"


STAMP_FIELDS = frozenset({"version", "as_of", "provenance"})


def body_of(message: Message) -> Message:
    """A message without the fields whose change alone does not send an area again."""
    return {name: value for name, value in message.items() if name not in STAMP_FIELDS}
