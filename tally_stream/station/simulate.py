"""A night of any size from a seed: every record of it in the order of the log, and what the rules will say of each.

Decides which station and contest has which story, when its records arrive and where they lie. The same plan gives the same
bytes on every Python. Holds one byte for each count and one number a station, and of records only what is still to come of the
stories under way: a million stream through. Refuses to know files (`simulate_folder.py`) and brokers; where places, figures
and stories come from is in `simulate_places.py`, `simulate_sheets.py` and `simulate_stories.py`; what signatures add in
`simulate_keys.py` and `simulate_signed.py`.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from tally_stream.domain.rules import RULES, VERDICTS
from tally_stream.domain.scalars import murmur2_partition
from tally_stream.station.simulate_draws import Draws
from tally_stream.station.simulate_keys import NightKeys
from tally_stream.station.simulate_places import CLOSE_MS, STATIONS_MAX, Country
from tally_stream.station.simulate_sheets import RACES, Sheet, Sheets
from tally_stream.station.simulate_signed import KEYS_SAID_MS, WRONG_SIGNATURES, key_statements
from tally_stream.station.simulate_stories import (
    MISTAKES,
    ORDINARY,
    Case,
    Said,
    Story,
    Told,
    bulletin_seconds,
    plain,
    verdict_of,
)
from tally_stream.wire.report_log import LogRecord

SKIPPED = "X1"
"""Earned by the night's first record, at partition 0, offset 0, whatever the topic: the definition skips it."""
CODES = tuple(rule.code for rule in RULES if rule.code in MISTAKES or rule.code == SKIPPED)
"""Every code that a simulated record can earn, in the order of the rules."""
BY_INTAKE = frozenset((
    "partial", "corrected", "recounted", "bulletin", "S6 forged", "S6 unknown key", "S6 key out of its time",
    "S6 key before its time", "S6 key of another station", "S6 key of other kinds", "Q1", "Q6", "Q7", "A1", "A2", "A8", "A9",
    "P1", "P2", "P4", "P5", "P6", "P7", "P8", "P10",
))  # fmt: skip
"""Stories whose records are all a station's, and taken by an intake, which verifies no signature."""
SEED_MAX = (1 << 63) - 1
_PLACING = 7
_ON_ITS_WAY_SECONDS = 40

Event = tuple[int, int, int, int]
"""Log time in ms, station, contest, which record of its story."""


class SimulationRefused(Exception):
    """There is no such night: `args[0]` says why."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a night depends on. `partitions`: as the topic has them, None for a log without any."""

    stations: int
    seed: int
    contests: int = 2
    codes: tuple[str, ...] = ()
    partitions: int | None = None
    phase: Literal["official", "test"] = "official"
    signed: bool = False
    by_intake: bool = False
    """Only what an intake takes: no authority's orders, no statement that it refuses."""


@dataclass(slots=True)
class InForce:
    """What a contest comes to: stations that count, their valid ballots, and the votes of each candidate."""

    stations: int
    valid: int
    votes: list[int]

    def add(self, sheet: Sheet) -> None:
        self.stations += 1
        self.valid += sheet.valid
        for at, count in enumerate(sheet.votes):
            self.votes[at] += count


@dataclass(slots=True)
class Expected:
    """What the night is made to come to, added up while its records are made, not judged."""

    records: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    stories: Counter[str] = field(default_factory=Counter)
    in_force: dict[str, InForce] = field(default_factory=dict)

    def add(self, said: Said) -> None:
        self.records += 1
        self.verdicts[said.verdict] += 1
        self.codes.update(said.codes)

    def verdict_counts(self) -> dict[str, Any]:
        """In the form of `replay --verdicts`."""
        return {**{name: self.verdicts[name] for name in VERDICTS}, "codes": dict(sorted(self.codes.items()))}


class Simulation:
    """A night; each iteration makes it anew, `expected` is whole once one has ended."""

    def __init__(self, plan: Plan) -> None:
        """Raises SimulationRefused."""
        self.plan = plan
        _look_at(plan)
        self.country = Country(plan.stations, plan.seed)
        self.expected = Expected()
        self._sheets, self.keys = Sheets(plan.seed), NightKeys(plan.seed)
        ordinary = [(name, story) for name, story in ORDINARY.items() if name in BY_INTAKE or not plan.by_intake]
        self._stories = (("plain", Story(plain)), *_mistakes(plan), *ordinary)
        self._story_at = self._placed()

    def __iter__(self) -> Iterator[LogRecord]:
        self.expected = Expected(in_force={race.id: InForce(0, 0, [0] * len(race.candidates)) for race in self._races})
        next_offsets = [0] * (self.plan.partitions or 1)
        for time_ms, said in self._in_order():
            value = self._sealed(said)
            for partition in self._partitions(said):
                self.expected.add(said)
                yield LogRecord(time_ms, said.key, value, partition, next_offsets[partition])
                next_offsets[partition] += 1

    def _sealed(self, said: Said) -> bytes | None:
        if not self.plan.signed or said.signer is None or said.value is None:
            return said.value
        return self.keys.seal(said.value, said.signer)

    @property
    def _races(self) -> Iterator[Any]:
        return iter(RACES[: self.plan.contests])

    # -- which story where -----------------------------------------------------------------------------------------

    def _placed(self) -> bytearray:
        """The story of each station and contest, as a place in `_stories`; mistakes first, so that each has room."""
        counts = self.plan.stations * self.plan.contests
        found = bytearray(counts)
        for number, (name, story) in enumerate(self._stories):
            if number == 0:
                continue
            draws = Draws(self.plan.seed, _PLACING, number)
            among = self.plan.stations if story.in_first_contest_only else counts
            for _ in range(max(1, among * story.permille // 1000)):
                place = self._free(found, draws.below(counts), story)
                if place is None and _code_of(name) in MISTAKES:
                    raise SimulationRefused(self._no_room(name))
                if place is not None:
                    found[place] = number
        return found

    def _free(self, found: bytearray, begin: int, story: Story) -> int | None:
        """The next count from `begin` on, round the end, that has no story yet and fits this one."""
        contests = self.plan.contests
        for step in range(len(found)):
            place = (begin + step) % len(found)
            if found[place] or (story.in_first_contest_only and place % contests):
                continue
            if story.registered_min and self.country.registered(place // contests) < story.registered_min:
                continue
            return place
        return None

    def _no_room(self, name: str) -> str:
        code = _code_of(name)
        counts = self.plan.stations * self.plan.contests
        why = (
            f"no polling station has {MISTAKES[code].registered_min} voters" if code == "P6" else f"{counts} counts are too few"
        )
        return (
            f"there is no room for {code}: {why}; take more --stations or --contests, or fewer --errors "
            f"({counts} counts: {self.plan.stations} stations, {self.plan.contests} contests)"
        )

    # -- what arrives when -----------------------------------------------------------------------------------------

    def _in_order(self) -> Iterator[tuple[int, Said]]:
        if SKIPPED in self.plan.codes:
            yield CLOSE_MS - 12 * 3_600_000, Said(0, None, b"\x00\xff no report", verdict_of((SKIPPED,)), (SKIPPED,))
        if self.plan.signed and not self.plan.by_intake:
            yield from ((KEYS_SAID_MS, said) for said in key_statements(self.keys, self.plan.phase))
        due: list[Event] = []
        firsts = (self._begin_ms(station, 0) for station in range(self.plan.stations))
        for time_ms, station in self.country.in_order(firsts):
            while due and due[0] < (time_ms, station):
                yield self._next(due)
            heapq.heappush(due, (time_ms, station, 0, 0))
            for contest in range(1, self.plan.contests):
                heapq.heappush(due, (self._begin_ms(station, contest), station, contest, 0))
        while due:
            yield self._next(due)

    def _begin_ms(self, station: int, contest: int) -> int:
        is_bulletin = self._stories[self._story_at[station * self.plan.contests + contest]][0] == "bulletin"
        return self._log_ms(station, contest, bulletin_seconds(self.country, station) if is_bulletin else 0)

    def _log_ms(self, station: int, contest: int, after_seconds: int) -> int:
        said_ms = self.country.counted_ms(station, contest) + (after_seconds + _ON_ITS_WAY_SECONDS) * 1000 + station % 1000
        return self.country.arrival_ms(station, said_ms)

    def _next(self, due: list[Event]) -> tuple[int, Said]:
        """The first of what is due; the rest of its story becomes due in turn."""
        time_ms, station, contest, step = heapq.heappop(due)
        name, told = self._told(station, contest)
        if step + 1 < len(told.said):
            heapq.heappush(due, (self._log_ms(station, contest, told.said[step + 1].after_seconds), station, contest, step + 1))
        else:
            self.expected.stories[name] += 1
            if told.in_force is not None:
                self.expected.in_force[RACES[contest].id].add(told.in_force)
        return time_ms, told.said[step]

    def _told(self, station: int, contest: int) -> tuple[str, Told]:
        name, story = self._stories[self._story_at[station * self.plan.contests + contest]]
        return name, story.tell(Case(self.country, self._sheets, self.keys, self.plan.phase, self.plan.seed, station, contest))

    def _partitions(self, said: Said) -> tuple[int, ...]:
        if self.plan.partitions is None or said.key is None:
            return (0,)
        if said.is_for_all:
            return tuple(range(self.plan.partitions))
        home = murmur2_partition(said.key, self.plan.partitions)
        return ((home + 1) % self.plan.partitions if said.is_astray else home,)


def _mistakes(plan: Plan) -> Iterator[tuple[str, Story]]:
    """Of each code one story, of wrong signatures one for each way."""
    for code in CODES:
        if code not in plan.codes or code == SKIPPED:
            continue
        if code == "S6" and plan.signed:
            yield from ((name, s) for name, s in WRONG_SIGNATURES.items() if name in BY_INTAKE or not plan.by_intake)
        else:
            yield code, MISTAKES[code]


def _code_of(name: str) -> str:
    """Of a story's name: its first word."""
    return name.partition(" ")[0]


def _look_at(plan: Plan) -> None:
    if not 1 <= plan.stations <= STATIONS_MAX:
        raise SimulationRefused(f"{plan.stations} polling stations: from 1 to {STATIONS_MAX:,} can be simulated")
    if not 1 <= plan.contests <= len(RACES):
        raise SimulationRefused(f"{plan.contests} contests: from 1 to {len(RACES)} can be simulated")
    if not 0 <= plan.seed <= SEED_MAX:
        raise SimulationRefused(f"seed {plan.seed}: from 0 to {SEED_MAX}")
    if plan.by_intake and plan.partitions is not None:
        raise SimulationRefused("--partitions: an intake knows none")
    others = [code for code in plan.codes if code not in every_code(None, by_intake=True, signed=plan.signed) and code in CODES]
    if plan.by_intake and others:
        raise SimulationRefused(
            f"{', '.join(others)}: not by an intake, which refuses that or knows it from an authority; there are "
            f"{' '.join(every_code(None, by_intake=True, signed=plan.signed))}"
        )
    unknown = [code for code in plan.codes if code not in CODES]
    if unknown:
        raise SimulationRefused(f"{', '.join(unknown)}: no code that a record can earn; there are {' '.join(CODES)}")
    if plan.signed and "S6" in plan.codes and plan.stations < 2:
        raise SimulationRefused("S6: on a night of signatures a station's key signs for another one: take 2 stations or more")
    astray = [code for code in plan.codes if code != SKIPPED and MISTAKES[code].needs_partitions]
    if astray and (plan.partitions or 0) < 2:
        raise SimulationRefused(f"{', '.join(astray)}: only a log of 2 partitions or more has it; add --partitions")


def every_code(partitions: int | None, *, by_intake: bool = False, signed: bool = False) -> tuple[str, ...]:
    """What a log of so many partitions (None: of none) can have, or what an intake takes of it."""
    if by_intake:
        return tuple(code for code in CODES if code in BY_INTAKE or (signed and code == "S6"))
    is_short = (partitions or 0) < 2
    return tuple(code for code in CODES if code == SKIPPED or not (is_short and MISTAKES[code].needs_partitions))
