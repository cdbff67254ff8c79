"""The whole folder: election.toml and the tables beside it → the definition, or every mistake in them at once.

Decides which files there may be, which mistakes are shown, and whether what they say together can be published
(FORMATS: `docs/wire-format.md`, "Election folder"). Refuses to know what one file may say. Read next: `toml.py`.
"""

from __future__ import annotations

import gc
import os
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from pydantic import AwareDatetime, TypeAdapter

from tally_stream.domain.contest import Allocation, Candidate, Contest, DoubleMajority, Majority, Quorum, Rounding
from tally_stream.domain.election import Checks, Election, ExitPoll, Skip, build_election
from tally_stream.domain.keys import SigningKey
from tally_stream.domain.scalars import COUNT_MAX
from tally_stream.wire.folder.areas import AreaTable, check_look_alikes
from tally_stream.wire.folder.contests import Contests, StatedContest
from tally_stream.wire.folder.keys import read_keys
from tally_stream.wire.folder.looks import check_baseline, check_shapes
from tally_stream.wire.folder.scopes import Scopes
from tally_stream.wire.folder.shape import ContestModel, ElectionModel
from tally_stream.wire.folder.stations import StationTable
from tally_stream.wire.folder.table import Mistake, one_of, wide_cells
from tally_stream.wire.folder.toml import Toml, milliseconds
from tally_stream.wire.limits import (
    AREA_PAIRS_MAX,
    AREAS_MAX,
    FOLDER_ERRORS_SHOWN_MAX,
    MESSAGE_MAX_BYTES,
    STATION_PAIRS_MAX,
    SUM_MAX,
    VALUE_MAX_BYTES,
)
from tally_stream.wire.widths import longest_message_bytes, longest_report_bytes

_FILES = (
    "election.toml", "contests.csv", "candidates.csv", "scopes.csv", "stations.csv", "areas.csv", "areas.geojson",
    "baseline.csv", "keys.csv",
)  # fmt: skip
"""In the order in which their mistakes are shown."""
_TABLES = tuple(name for name in _FILES if name.endswith(".csv"))
_NOT_READ = ("moments.csv",)
"""Tables that stand beside them for others: the demo shows this one."""

NO_CLOSING_MS = 2**53
"""Later than any time: where the election's own is not known, no station's is too late."""


class ElectionFolderError(Exception):
    """`errors` are sentences, `file:line: what`, one a mistake, in file order; `shown` are as many as anyone reads, of each
    file some, and how many more there are."""

    def __init__(self, errors: list[str], shown: list[str] | None = None) -> None:
        self.errors, self.shown = errors, errors if shown is None else shown
        super().__init__("\n".join(self.shown))


class ReadFolder(NamedTuple):
    """The definition, and the files that it was read from, for who asks where something stands."""

    election: Election
    contests: Contests
    """`stated` has them in the order of the definition."""
    stations: StationTable
    areas: AreaTable | None


@contextmanager
def _collector_off() -> Iterator[None]:
    """What is read here holds no circles, and looking for them in a million new objects again and again took a fifth of
    the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def load_election(folder: Path) -> Election:
    """Read the definition in `folder`. Raises ElectionFolderError with all mistakes."""
    return read_folder(folder).election


@_collector_off()
@wide_cells()
def read_folder(folder: Path) -> ReadFolder:
    """As `load_election`, with what it was read from."""
    if not folder.is_dir():
        raise ElectionFolderError([f"{folder}: no such folder"])
    mistakes: list[Mistake] = []
    _check_names(folder, mistakes)
    files = {name: one_of(folder, name, mistakes) for name in _FILES}
    toml = Toml(folder / "election.toml", mistakes)
    contests = Contests(toml, files["contests.csv"], files["candidates.csv"], mistakes)
    toml.check_exit_polls(contests.candidate_ids(), contests.is_whole)

    stations: StationTable | None = None
    stations_path = files["stations.csv"]
    if stations_path is None:
        if not any(m.path == folder / "stations.csv" for m in mistakes):
            mistakes.append(Mistake(folder / "stations.csv", 0, "is missing"))
    elif (levels := toml.level_columns) is not None:
        closes_ms = NO_CLOSING_MS if toml.closes_ms is None else toml.closes_ms
        stations = StationTable(stations_path, levels, closes_ms, mistakes)
    keys = [] if files["keys.csv"] is None else read_keys(files["keys.csv"], stations, mistakes)
    scopes, areas = _read_places(files, toml, contests, stations, mistakes)

    if mistakes or toml.model is None or stations is None:
        raise _refused(mistakes)
    election = _build(toml.model, contests, stations, scopes, areas, keys)
    _check_size(election, toml, contests, mistakes)
    if mistakes:
        raise _refused(mistakes)
    return ReadFolder(election, contests, stations, areas)


def _read_places(
    files: dict[str, Path | None], toml: Toml, contests: Contests, stations: StationTable | None, mistakes: list[Mistake]
) -> tuple[Scopes | None, AreaTable | None]:
    """Scopes, areas and what hangs on them: what can not be said without the root's id."""
    root = toml.root
    if root is None:
        return None, None
    scopes = Scopes(contests, files["scopes.csv"], stations, root, mistakes)
    areas_path, shapes_path, baseline_path = files["areas.csv"], files["areas.geojson"], files["baseline.csv"]
    areas = None if areas_path is None else AreaTable(areas_path, root, mistakes)
    if stations is not None:
        check_look_alikes(stations, areas, root, mistakes)
        if stations.is_whole:
            contests.check_half_areas(root, stations.areas)
    if shapes_path is not None:
        check_shapes(shapes_path, root, mistakes)
    if baseline_path is not None:
        there = stations.areas if stations is not None and stations.is_whole else None
        check_baseline(baseline_path, contests, there, root, mistakes)
    return scopes, areas


def _check_names(folder: Path, mistakes: list[Mistake]) -> None:
    """Whether every table there is one that is read: a misspelt one is no table that was left out."""
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise ElectionFolderError([f"{folder}: cannot be listed: {error.strerror}"]) from error
    for name in names:
        is_table = name.lower().removesuffix(".gz").endswith(".csv") and not name.startswith(".")
        if is_table and name.removesuffix(".gz") not in _TABLES and name not in _NOT_READ:
            shown = os.fsencode(name).decode(errors="backslashreplace")
            known = f"those are {', '.join(_TABLES[:-1])} and {_TABLES[-1]}, packed or not"
            elsewhere = "others may stand in a folder of their own, as source/"
            mistakes.append(Mistake(folder / shown, 1, f"is no table of an election folder; {known}; {elsewhere}"))


def election_day(folder: Path) -> date:
    """The day on which the polls close, where they close; of a folder that `load_election` accepted."""
    stated = tomllib.loads((folder / "election.toml").read_bytes().decode("utf-8-sig"))["polls_close"]
    return TypeAdapter(AwareDatetime).validate_python(stated).date()


def _refused(mistakes: list[Mistake]) -> ElectionFolderError:
    return ElectionFolderError([str(mistake) for mistake in _in_file_order(mistakes)], shown_of(mistakes, "mistakes"))


def _in_file_order(mistakes: list[Mistake]) -> list[Mistake]:
    order = {name: rank for rank, name in enumerate(_FILES)}
    return sorted(mistakes, key=lambda m: (order.get(m.path.name.removesuffix(".gz"), len(order)), m.line))


def shown_of(mistakes: list[Mistake], called: str) -> list[str]:
    """In the order of the files and their lines, no more than anyone reads, and how many more there are: `called` in plural.
    One file's thousand hides no other's one: each file has its part."""
    by_file: dict[Path, list[Mistake]] = {}
    for mistake in _in_file_order(mistakes):
        by_file.setdefault(mistake.path, []).append(mistake)
    room, parts = FOLDER_ERRORS_SHOWN_MAX, dict[Path, int]()
    for left, path in zip(range(len(by_file), 0, -1), sorted(by_file, key=lambda path: len(by_file[path])), strict=True):
        parts[path] = min(len(by_file[path]), max(1, room // left))
        room -= parts[path]
    shown = [str(mistake) for path, found in by_file.items() for mistake in found[: parts[path]]]
    more = {path.name: len(found) - parts[path] for path, found in by_file.items() if len(found) > parts[path]}
    if not more:
        return shown
    where = ", ".join(f"{count:,} in {name}" for name, count in more.items())
    return [*shown, f"… and {sum(more.values()):,} more {called}: {where}"]


def _check_size(election: Election, toml: Toml, contests: Contests, mistakes: list[Mistake]) -> None:
    """Whether a definition in which nothing is wrong can be counted and published."""
    depth = ("areas", "publish_depth")
    if len(election.areas) > AREAS_MAX:
        toml.wrong(depth, f"gives {len(election.areas)} published areas, at most {AREAS_MAX}; lower it")
    pairs = sum(map(len, election.contest_areas))
    if pairs > AREA_PAIRS_MAX:
        toml.wrong(depth, f"gives {pairs} pairs of contest and published area, at most {AREA_PAIRS_MAX}; lower it")
    if len(election.contests) * len(election.stations) > STATION_PAIRS_MAX:  # else there can not be so many
        pairs = sum(len(station.contests) for station in election.stations.values())
        if pairs > STATION_PAIRS_MAX:
            path = contests.stated[-1].path  # where there are many, they stand in contests.csv
            line = next(stated.line for stated in contests.stated if stated.path == path)
            sentence = f"the contests have {pairs} pairs of contest and polling station, at most {STATION_PAIRS_MAX}"
            mistakes.append(Mistake(path, line, sentence))
    percent = election.checks.bound_register_percent
    if len(election.stations) * COUNT_MAX * percent > 100 * SUM_MAX:  # else it can not come to so much
        most = int(sum(station.register or 0 for station in election.stations.values()) * percent / 100)
        if most > SUM_MAX:
            what = f"lets the bound come to {most}, at most {SUM_MAX}"
            toml.wrong(("checks", "bound_register_percent"), what)
    longest_id = max(len(area.id.encode()) for area in election.areas)
    for contest, stated in zip(election.contests, contests.stated, strict=True):
        for what, longest, most in (
            ("report", longest_report_bytes(election, contest), VALUE_MAX_BYTES),
            ("message", longest_message_bytes(election, contest, longest_id), MESSAGE_MAX_BYTES),
        ):
            if longest > most:
                sentence = f"a {what} of contest {contest.id} could have {longest} bytes, at most {most} are read"
                mistakes.append(Mistake(stated.path, stated.line, sentence))


def _contest(stated: StatedContest, scopes: Scopes, root: str) -> Contest:
    k = stated.model
    assert k is not None, "nothing is wrong with it"
    scope = () if k.id in scopes.named or k.scope == [root] else tuple(sorted(k.scope or ()))
    listed = (Candidate(c.id, c.name, c.party, c.eligible, c.color) for c in k.candidates or ())
    majority = _majority(k) if k.rule in ("majority", "referendum") else None
    return Contest(
        k.id, k.name, k.seats, k.rule, k.majority_base or "valid", majority,
        Rounding(k.rounding.method, k.rounding.places), (*listed, *stated.candidates), scope, k.votes_per_ballot, k.group,
        _allocation(k), _combinations(k), k.approval, _quorum(k), _double_majority(k),
    )  # fmt: skip


def _majority(k: ContestModel) -> Majority:
    m = k.majority
    if m is None:
        return Majority()
    return Majority(
        Fraction(m.percent), m.at_least,
        None if m.or_percent is None else Fraction(m.or_percent),
        None if m.or_lead_percent is None else Fraction(m.or_lead_percent),
    )  # fmt: skip


def _allocation(k: ContestModel) -> Allocation | None:
    if (a := k.allocation) is None:
        return None
    return Allocation(a.method, Fraction(a.threshold_percent), a.threshold_base, _each_once(a.exempt), a.tie)


def _combinations(k: ContestModel) -> tuple[tuple[str, ...], ...]:
    """Without those of one list, which counts as it would alone."""
    return tuple(together for together in map(_each_once, k.combinations) if len(together) > 1)


def _quorum(k: ContestModel) -> Quorum | None:
    return None if (q := k.quorum) is None else Quorum(Fraction(q.percent), q.of, q.more_than)


def _double_majority(k: ContestModel) -> DoubleMajority | None:
    return None if (d := k.double_majority) is None else DoubleMajority(d.level, _each_once(d.half))


def _each_once(names: Iterable[str]) -> tuple[str, ...]:
    """What is named twice counts, and stands in the digest, as if said once."""
    return tuple(dict.fromkeys(names))


def _build(
    m: ElectionModel,
    contests: Contests,
    stations: StationTable,
    scopes: Scopes | None,
    areas: AreaTable | None,
    keys: list[SigningKey],
) -> Election:
    c = m.checks
    assert scopes is not None, "a definition without a root is refused"
    return build_election(
        id=m.id,
        name=m.name,
        phase=m.phase,
        polls_close_ms=milliseconds(m.polls_close),
        root=m.areas.root,
        root_name=m.areas.root_name,
        levels=tuple(m.areas.levels),
        publish_depth=m.areas.publish_depth,
        contests=[_contest(stated, scopes, m.areas.root) for stated in contests.stated],
        exit_polls=[
            ExitPoll(p.contest, p.pollster, milliseconds(p.publish_after), tuple(p.shares.items())) for p in m.exit_polls
        ],
        checks=Checks(
            Fraction(c.A3_register_percent), Fraction(c.P1_invalid_percent), Fraction(c.P2_blank_percent),
            Fraction(c.P5_turnout_percent), c.P6_votes_min, Fraction(c.P7_register_percent),
            Fraction(c.P10_change_percent), c.Q7_skew_seconds, Fraction(c.bound_register_percent),
        ),
        skips=[Skip(s.partition, s.offset, s.reason, s.authority) for s in m.skip],
        area_names=() if areas is None else areas.names,
        signatures=None if m.security is None else m.security.signatures,
        keys=keys,
        stations=stations.rows,
        named_stations=scopes.named,
        closings=stations.closings,
        channels=stations.channels,
    )  # fmt: skip
