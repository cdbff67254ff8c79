"""The definition of an election: contests, candidates, areas, stations, checks; and its digest.

Decides what is fixed before the first report. Refuses to know files: `wire/folder/` reads them and reports
every mistake with its line. Read `report.py` next.
"""

from __future__ import annotations

import hashlib
import json
from binascii import b2a_base64
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal

import msgspec
from mypy_extensions import mypyc_attr

from tally_stream.domain.contest import Contest, canonical_contest, canonical_number
from tally_stream.domain.keys import SigningKey
from tally_stream.domain.scalars import format_time
from tally_stream.domain.scopes import ContestLists, areas_of_contests, places_of_contests

RULE_SET_NUMBER = 4
"""Part of every digest; raised whenever some record's verdict could change."""

Phase = Literal["official", "test"]
Signatures = Literal["required", "optional"]


@dataclass(frozen=True)
class ExitPoll:
    """Shares as published, per cent: `(candidate id, Decimal)` in definition order."""

    contest: str
    pollster: str
    publish_after_ms: int
    shares: tuple[tuple[str, Decimal], ...]


@dataclass(frozen=True)
class Checks:
    """The limits of the plausibility rules; per cent limits are exact decimals, kept as fractions."""

    A3_register_percent: Fraction = Fraction(102)
    P1_invalid_percent: Fraction = Fraction(3)
    P2_blank_percent: Fraction = Fraction(3)
    P5_turnout_percent: Fraction = Fraction(98)
    P6_votes_min: int = 100
    P7_register_percent: Fraction = Fraction(10)
    P10_change_percent: Fraction = Fraction(20)
    Q7_skew_seconds: int = 300
    bound_register_percent: Fraction = Fraction(150)


CHECK_NAMES = tuple(f.name for f in fields(Checks))


@dataclass(frozen=True)
class Skip:
    partition: int
    offset: int
    reason: str
    authority: str


@mypyc_attr(acyclic=True)
class Station:
    """A polling station. `registered` and `ballots_expected` are None where unknown; `leaf` is the index of the
    deepest published area it lies in; `path` are its level values, outermost first. `contests` are the indices of those it
    has, ascending; stations that have the same share one tuple. `polls_close_ms` is its own closing, None where it closes
    with the election. Acyclic: it holds only scalars and tuples of them. `register` is what its ballots are compared with: its
    own voters, or, of a unit without voters of its own (postal, early, prison: they stand in other stations' registers), the
    ballots expected there. `channel` is the index of how its votes came in, -1 where the election has no channels."""

    __slots__ = ("ballots_expected", "channel", "contests", "id", "leaf", "name", "path", "polls_close_ms", "registered")

    def __init__(
        self,
        id: str,
        name: str,
        registered: int | None,
        ballots_expected: int | None,
        path: tuple[str, ...],
        leaf: int,
        contests: tuple[int, ...] = (),
        polls_close_ms: int | None = None,
        channel: int = -1,
    ) -> None:
        self.id = id
        self.name = name
        self.registered = registered
        self.ballots_expected = ballots_expected
        self.path = path
        self.leaf = leaf
        self.contests = contests
        self.polls_close_ms = polls_close_ms
        self.channel = channel

    def has_contest(self, index: int) -> bool:
        """Whether this station votes in that contest. A station may have thousands, and they are sorted."""
        place = bisect_left(self.contests, index)
        return place < len(self.contests) and self.contests[place] == index

    @property
    def is_without_voters(self) -> bool:
        return self.registered == 0 and bool(self.ballots_expected)

    @property
    def register(self) -> int | None:
        return self.ballots_expected if self.is_without_voters else self.registered


@dataclass(frozen=True)
class Area:
    """A published area. `parent` is the index of the area above it, None for the root (index 0)."""

    id: str
    depth: int
    parent: int | None
    is_leaf: bool


@dataclass(frozen=True)
class Election:
    """Everything that is fixed. `areas[0]` is the root; parents come before their children; `leaf_areas` are the
    indices of the deepest published areas, the only ones that totals are kept for. `contest_areas` has for each contest
    the indices of the areas in which it has a station, ordered (depth, path), the root first; `contest_leaves` the deepest
    of these. `channels` are the ways in which votes came in, by code point, () where stations have none; `contest_channels`
    has for each contest the indices of those that its stations have, ascending. Contests whose areas or channels are the same
    share one tuple. `signatures` is None where the definition has no [security]; `keys` are the definition's, by id."""

    id: str
    name: str
    phase: Phase
    polls_close_ms: int
    root: str
    root_name: str
    levels: tuple[str, ...]
    publish_depth: int
    contests: tuple[Contest, ...]
    exit_polls: tuple[ExitPoll, ...]
    checks: Checks
    skips: tuple[Skip, ...]
    area_names: tuple[tuple[str, str], ...]
    signatures: Signatures | None
    keys: dict[str, SigningKey]
    stations: dict[str, Station]
    areas: tuple[Area, ...]
    leaf_areas: tuple[int, ...]
    contest_areas: tuple[tuple[int, ...], ...]
    contest_leaves: tuple[tuple[int, ...], ...]
    channels: tuple[str, ...]
    contest_channels: tuple[tuple[int, ...], ...]
    digest: str
    _index_of: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_index_of", {contest.id: index for index, contest in enumerate(self.contests)})

    def contest_index(self, contest_id: str) -> int | None:
        return self._index_of.get(contest_id)


StationRow = tuple[str, str, int | None, int | None, tuple[str, ...]]
"""(id, name, registered, ballots expected, level values), before its area is known."""

_LINES = msgspec.json.Encoder()
"""Writes of texts, integers and null the bytes that json.dumps writes (a property test), in a twelfth of the time."""

STATIONS_TOGETHER = 2_048
"""Stations whose lines are hashed together, right before they are made: what they need is fetched from memory once, and a
million lines are never held as one text."""


def build_election(
    *,
    id: str,
    name: str,
    phase: Phase,
    polls_close_ms: int,
    root: str,
    root_name: str,
    levels: tuple[str, ...],
    publish_depth: int,
    contests: Iterable[Contest],
    exit_polls: Iterable[ExitPoll] = (),
    checks: Checks | None = None,
    skips: Iterable[Skip] = (),
    area_names: Iterable[tuple[str, str]] = (),
    signatures: Signatures | None = None,
    keys: Iterable[SigningKey] = (),
    stations: Iterable[StationRow],
    named_stations: Mapping[str, Iterable[str]] | None = None,
    closings: Mapping[str, int] | None = None,
    channels: Mapping[str, str] | None = None,
) -> Election:
    """Put a checked definition together: areas from the stations' paths, then the digest.

    `stations` have one level value a level, and each id once. `named_stations` has for contests that are held at stations
    named one by one (contest id → their ids), not in whole areas; `closings` the stations that close before the election
    does (id → milliseconds since 1970 UTC); `channels` how the votes of each station came in (id → its name), of all or none.
    """
    all_contests = tuple(contests)
    keys_by_id = {key.id: key for key in sorted(keys, key=lambda key: key.id)}
    parts = {
        "id": id,
        "name": name,
        "phase": phase,
        "polls_close_ms": polls_close_ms,
        "root": root,
        "root_name": root_name,
        "levels": levels,
        "publish_depth": publish_depth,
        "contests": all_contests,
        "exit_polls": tuple(exit_polls),
        "checks": checks or Checks(),
        "skips": tuple(sorted(skips, key=lambda s: (s.partition, s.offset))),
        "area_names": tuple(sorted(area_names)),
        "signatures": signatures,
        "keys": keys_by_id,
    }
    rows = sorted(stations)
    paths = {row[4] for row in rows}
    areas, leaf_of = _published_areas(root, publish_depth, paths)
    named = {contest: sorted(ids) for contest, ids in sorted((named_stations or {}).items())}
    lists = _contest_lists(all_contests, named)
    places = {path: (path, leaf_of[path[:publish_depth]], lists.of_path(path)) for path in paths}
    """One path object for all stations that lie there, with their area and contests: memory."""
    table: dict[str, Station] = {}
    sha = hashlib.sha256(_definition_line(parts))
    for at in range(0, len(rows), STATIONS_TOGETHER):
        some = rows[at : at + STATIONS_TOGETHER]
        sha.update(_LINES.encode_lines(_lines_of(some, closings or {}, channels)))
        for sid, station_name, registered, expected, values in some:
            path, leaf, contests_here = places[values]
            if named:
                contests_here = lists.of_station(sid, contests_here)
            # One text for the many stations whose name is their id: memory.
            shared_name = sid if station_name == sid else station_name
            table[sid] = Station(sid, shared_name, registered, expected, path, leaf, contests_here)
    for sid, own_ms in (closings or {}).items():
        table[sid].polls_close_ms = own_ms
    channel_names = tuple(sorted(set((channels or {}).values())))
    index_of = {channel: index for index, channel in enumerate(channel_names)}
    for sid, channel in (channels or {}).items():
        table[sid].channel = index_of[channel]
    sha.update(_LINES.encode_lines(list(named.items())))
    sha.update(_LINES.encode_lines([_line_of_key(key) for key in keys_by_id.values()]))
    contest_areas, contest_leaves = areas_of_contests(
        len(all_contests),
        [area.parent for area in areas],
        ((s.contests, s.leaf) for s in table.values()) if named else ((place[2], place[1]) for place in places.values()),
    )
    return Election(
        **parts,  # type: ignore[arg-type]  # the dictionary only spares naming thirteen fields twice
        stations=table,
        areas=areas,
        leaf_areas=tuple(i for i, area in enumerate(areas) if area.is_leaf),
        contest_areas=contest_areas,
        contest_leaves=contest_leaves,
        channels=channel_names,
        contest_channels=places_of_contests(
            len(all_contests), ((s.contests, s.channel) for s in table.values()) if channels else ()
        ),
        digest="sha256:" + sha.hexdigest(),
    )


def _contest_lists(contests: tuple[Contest, ...], named: Mapping[str, Iterable[str]]) -> ContestLists:
    """Where each contest is held: in the areas of its scope, at the stations that it names, or everywhere."""
    names: dict[str, list[int]] = {}
    for index, contest in enumerate(contests):
        for station in named.get(contest.id, ()):
            names.setdefault(station, []).append(index)
    return ContestLists([[] if contest.id in named else _scope_paths(contest) for contest in contests], names)


def _scope_paths(contest: Contest) -> list[tuple[str, ...]]:
    return [tuple(area.split("/")[1:]) for area in contest.scope] or [()]


def _lines_of(
    rows: list[StationRow], closings: Mapping[str, int], channels: Mapping[str, str] | None
) -> Sequence[tuple[Any, ...]]:
    """Lines of stations for the digest. One with its own closing has that behind the others' fields. Where there are channels
    each has both behind them, so that no channel's name can be read as a closing."""
    if channels:
        return [
            (*row, format_time(closings[row[0]]) if row[0] in closings else None, channels[row[0]])
            for row in rows
        ]  # fmt: skip
    if not closings:
        return rows
    return [(*row, format_time(closings[row[0]])) if row[0] in closings else row for row in rows]


def _line_of_key(key: SigningKey) -> dict[str, Any]:
    """An object, so that no key is read as a contest's stations; names in order."""
    return {
        "holder": key.holder,
        "key_id": key.id,
        "kinds": sorted(key.kinds),
        "public_key": b2a_base64(key.public_key, newline=False).decode(),
        "station": key.station,
        "valid_from": None if key.valid_from_ms is None else format_time(key.valid_from_ms),
        "valid_to": None if key.valid_to_ms is None else format_time(key.valid_to_ms),
    }


def _published_areas(root: str, depth: int, paths: set[tuple[str, ...]]) -> tuple[tuple[Area, ...], dict[tuple[str, ...], int]]:
    prefixes: set[tuple[str, ...]] = {()}
    for path in paths:
        for length in range(1, depth + 1):
            prefixes.add(path[:length])
    ordered = sorted(prefixes, key=lambda p: (len(p), p))
    index_of = {prefix: index for index, prefix in enumerate(ordered)}
    areas = tuple(
        Area(
            id="/".join((root, *prefix)),
            depth=len(prefix),
            parent=index_of[prefix[:-1]] if prefix else None,
            is_leaf=len(prefix) == depth,
        )
        for prefix in ordered
    )
    return areas, index_of


def canonical_definition(parts: dict[str, Any]) -> dict[str, Any]:
    """The definition without its stations, as plain JSON values (see docs/wire-format.md, "Digest")."""
    return {
        "rules": RULE_SET_NUMBER,
        "id": parts["id"],
        "name": parts["name"],
        "phase": parts["phase"],
        "polls_close": format_time(parts["polls_close_ms"]),
        "areas": {
            "root": parts["root"],
            "root_name": parts["root_name"],
            "levels": list(parts["levels"]),
            "publish_depth": parts["publish_depth"],
            "names": [list(pair) for pair in parts["area_names"]],
        },
        "contests": [canonical_contest(c) for c in sorted(parts["contests"], key=lambda c: c.id)],
        "exit_polls": [
            {
                "contest": p.contest,
                "pollster": p.pollster,
                "publish_after": format_time(p.publish_after_ms),
                "shares": [[candidate, canonical_number(share)] for candidate, share in p.shares],
            }
            for p in parts["exit_polls"]
        ],
        "checks": {name: canonical_number(getattr(parts["checks"], name)) for name in CHECK_NAMES},
        "skips": [[s.partition, s.offset, s.reason, s.authority] for s in parts["skips"]],
        # Only where it stands: a definition without it has the line that it always had.
        **({"signatures": parts["signatures"]} if parts["signatures"] is not None else {}),
    }


def _definition_line(parts: dict[str, Any]) -> bytes:
    line = json.dumps(canonical_definition(parts), ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return line.encode() + b"\n"
