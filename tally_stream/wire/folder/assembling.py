"""The whole folder: election.toml, stations.csv, areas.csv → the definition, or every mistake in them at once.

Decides which files there must be, which mistakes are shown, and whether what they say together can be published
(FORMATS: `docs/wire-format.md`, "Election folder"). Refuses to know what one file may say. Read next: `toml.py`.
"""

from __future__ import annotations

import gc
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from pathlib import Path

from pydantic import AwareDatetime, TypeAdapter

from tally_stream.domain.election import (
    Candidate,
    Checks,
    Contest,
    Election,
    ExitPoll,
    Majority,
    Rounding,
    Skip,
    StationRow,
    build_election,
)
from tally_stream.wire.folder.shape import ContestModel, ElectionModel
from tally_stream.wire.folder.tables import one_of, read_area_names, read_stations
from tally_stream.wire.folder.toml import Toml, line_of
from tally_stream.wire.limits import AREAS_MAX, FOLDER_ERRORS_SHOWN_MAX, PARTIAL_MAX_BYTES
from tally_stream.wire.messages import widest_partial_bytes


class ElectionFolderError(Exception):
    """`errors` are sentences, `file:line: what`, one a mistake, in file order."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("\n".join(errors))
        self.errors = errors


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


@_collector_off()
def load_election(folder: Path) -> Election:
    """Read `election.toml`, `stations.csv[.gz]` and `areas.csv[.gz]`. Raises ElectionFolderError with all mistakes."""
    if not folder.is_dir():
        raise ElectionFolderError([f"{folder}:1: no such folder"])
    toml = Toml(folder / "election.toml")
    errors = [f"{toml.path}:{line}: {what}" for line, what in sorted(toml.errors)]

    raw_areas = toml.document.get("areas")
    raw_levels = raw_areas.get("levels") if isinstance(raw_areas, dict) else None
    levels = [x for x in raw_levels if isinstance(x, str)] if isinstance(raw_levels, list) else None
    stations: list[StationRow] = []
    stations_path, mistake = one_of(folder, "stations.csv")
    if mistake:
        errors.append(mistake)
    elif stations_path is None:
        errors.append(f"{folder / 'stations.csv'}:1: is missing")
    elif levels is not None:
        table_errors: list[str] = []
        stations = read_stations(stations_path, levels, table_errors)
        errors += table_errors
    names: list[tuple[str, str]] = []
    names_path, mistake = one_of(folder, "areas.csv")
    if mistake:
        errors.append(mistake)
    elif names_path is not None and isinstance(raw_areas, dict) and isinstance(raw_areas.get("root"), str):
        names = read_area_names(names_path, raw_areas["root"], errors)

    if errors or toml.model is None:
        raise ElectionFolderError(_cut(errors))
    election = _build(toml.model, stations, names)
    if len(election.areas) > AREAS_MAX:
        errors.append(f"{toml.path}:{line_of(('areas', 'publish_depth'), toml.lines)}: {len(election.areas)} published "
                      f"areas, at most {AREAS_MAX}; lower areas.publish_depth")  # fmt: skip
    widest = widest_partial_bytes(election)
    if widest > PARTIAL_MAX_BYTES:
        errors.append(f"{toml.path}:{line_of(('areas', 'publish_depth'), toml.lines)}: a partial of the "
                      f"{len(election.leaf_areas)} deepest published areas could take {widest} bytes, at most "
                      f"{PARTIAL_MAX_BYTES} are sent; lower areas.publish_depth")  # fmt: skip
    if errors:
        raise ElectionFolderError(errors)
    return election


def election_day(folder: Path) -> date:
    """The day on which the polls close, where they close; of a folder that `load_election` accepted."""
    stated = tomllib.loads((folder / "election.toml").read_text(encoding="utf-8"))["polls_close"]
    return TypeAdapter(AwareDatetime).validate_python(stated).date()


def _cut(errors: list[str]) -> list[str]:
    if len(errors) <= FOLDER_ERRORS_SHOWN_MAX:
        return errors
    return [*errors[:FOLDER_ERRORS_SHOWN_MAX], f"… and {len(errors) - FOLDER_ERRORS_SHOWN_MAX} more mistakes"]


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _milliseconds(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(milliseconds=1)


def _contest(k: ContestModel) -> Contest:
    return Contest(
        k.id, k.name, k.seats, k.rule, k.majority_base or "valid", _majority(k) if k.rule == "majority" else None,
        Rounding(k.rounding.method, k.rounding.places),
        tuple(Candidate(x.id, x.name, x.party, x.eligible, x.color) for x in k.candidates),
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


def _build(m: ElectionModel, stations: list[StationRow], names: list[tuple[str, str]]) -> Election:
    c = m.checks
    return build_election(
        id=m.id,
        name=m.name,
        phase=m.phase,
        polls_close_ms=_milliseconds(m.polls_close),
        root=m.areas.root,
        root_name=m.areas.root_name,
        levels=tuple(m.areas.levels),
        publish_depth=m.areas.publish_depth,
        contests=[_contest(k) for k in m.contests],
        exit_polls=[
            ExitPoll(p.contest, p.pollster, _milliseconds(p.publish_after), tuple(p.shares.items())) for p in m.exit_polls
        ],
        checks=Checks(
            Fraction(c.A3_register_percent), Fraction(c.P1_invalid_percent), Fraction(c.P2_blank_percent),
            Fraction(c.P5_turnout_percent), c.P6_votes_min, Fraction(c.P7_register_percent),
            Fraction(c.P10_change_percent), c.Q7_skew_seconds, Fraction(c.bound_register_percent),
        ),
        skips=[Skip(s.partition, s.offset, s.reason, s.authority) for s in m.skip],
        area_names=names,
        stations=stations,
    )  # fmt: skip
