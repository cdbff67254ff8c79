"""Areas as rows of a list: the figures that tell one area from another, sorted and cut into pages here and not by readers.

Decides what stands in a row, which areas of a contest there are (those that a message was published of: a contest has
only the areas of its own stations), how they are sorted, and what a search finds. Figures are those of the messages, so
before the close there are none. Refuses to know HTTP; `api.py` and `page.py` ask.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from tally_stream.board.places import Places
from tally_stream.board.shown import ContestShown, Published

ROWS_KEPT = 100_000
"""Rows kept made, of all contests; beyond that they are made anew as they are asked for."""

SORTS = ("area", "stations", "leader", "share", "lead", "valid", "outstanding")
NOTHING = -1.0
"""Below every figure: where an area has none."""


class _Candidate(msgspec.Struct):
    id: str
    name: str
    votes: int | None
    share: str | None
    rank: int | None


class _Ballots(msgspec.Struct):
    valid: int | None


class _Measure(msgspec.Struct):
    done: int
    of: int
    percent: str


class _Progress(msgspec.Struct):
    stations: _Measure | None


class _Stations(msgspec.Struct):
    outstanding: int


class _Message(msgspec.Struct):
    """What a row needs of a standings message; the rest is passed over unread."""

    status: str
    candidates: list[_Candidate]
    ballots: _Ballots
    progress: _Progress
    stations: _Stations


_decoder = msgspec.json.Decoder(_Message)


class Leader(msgspec.Struct, frozen=True):
    id: str
    name: str
    votes: int
    share: str | None


class Row(msgspec.Struct, frozen=True):
    """One area of one contest. `leader` and `lead` (votes before the next one) are None while nobody has votes; `above`
    are the names of the areas it lies in, without the root."""

    area: str
    name: str
    above: list[str]
    has_areas: bool
    version: int
    status: str
    stations: _Measure | None
    leader: Leader | None
    lead: int | None
    valid: int | None
    outstanding: int


@dataclass(frozen=True, slots=True)
class Asked:
    """Which rows: of the areas directly below `area`, or with `words` of those of any level in it."""

    area: str
    words: str = ""
    sort: str = "area"
    is_descending: bool = False
    begin: int = 0
    limit: int = 100


class AreaRows:
    """Rows of all contests, made of the messages shown."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._kept: dict[tuple[str, str], tuple[Published, Row]] = {}

    def below(self, shown: ContestShown, area: str) -> list[str]:
        """The areas directly below, of those that this contest has."""
        return [a for a in self._places.under(area) if a in shown.areas]

    def page(self, contest: str, shown: ContestShown, asked: Asked) -> tuple[list[Row], int]:
        """The rows asked for, and how many there are in all."""
        if asked.words:
            within = (a for a in shown.areas if asked.area == a or a.startswith(asked.area + "/"))
            areas = self._places.found(within, asked.words)
        else:
            areas = self.below(shown, asked.area)
        if not asked.words or asked.sort != "area" or asked.is_descending:
            areas = self._sorted(contest, shown, areas, asked)
        part = areas[asked.begin : asked.begin + asked.limit]
        return [self._row(contest, shown, area) for area in part], len(areas)

    def _sorted(self, contest: str, shown: ContestShown, areas: list[str], asked: Asked) -> list[str]:
        by_name = sorted(areas, key=self._places.order, reverse=asked.is_descending and asked.sort == "area")
        if asked.sort == "area":
            return by_name
        key = _KEYS[asked.sort]
        return sorted(by_name, key=lambda a: key(self._row(contest, shown, a)), reverse=asked.is_descending)

    def _row(self, contest: str, shown: ContestShown, area: str) -> Row:
        published = shown.areas[area]
        kept = self._kept.get((contest, area))
        if kept is not None and kept[0] is published:
            return kept[1]
        message = _decoder.decode(published.value)
        in_race = [c for c in message.candidates if c.rank is not None and c.votes is not None]
        first = in_race[0] if in_race and in_race[0].votes else None
        row = Row(
            area=area,
            name=self._places.name(area),
            above=self._places.above(area),
            has_areas=bool(self._places.under(area)),  # a station above the deepest level lies in an area below, too
            version=published.version,
            status=message.status,
            stations=message.progress.stations,
            leader=None if first is None else Leader(first.id, first.name, first.votes or 0, first.share),
            lead=None if first is None else (first.votes or 0) - (in_race[1].votes or 0 if len(in_race) > 1 else 0),
            valid=message.ballots.valid,
            outstanding=message.stations.outstanding,
        )
        if len(self._kept) >= ROWS_KEPT:
            self._kept.clear()
        self._kept[contest, area] = (published, row)
        return row


_KEYS: dict[str, Callable[[Row], Any]] = {
    "stations": lambda row: NOTHING if row.stations is None else float(row.stations.percent),
    "leader": lambda row: "" if row.leader is None else row.leader.name.casefold(),
    "share": lambda row: NOTHING if row.leader is None or row.leader.share is None else float(row.leader.share),
    "lead": lambda row: NOTHING if row.lead is None else row.lead,
    "valid": lambda row: NOTHING if row.valid is None else row.valid,
    "outstanding": lambda row: row.outstanding,
}
"""Pictures of an order, not figures: a share as a float decides nothing."""
