"""Where the stations of a generated election lie, and on what they report: four layouts, from one contest to 1,222.

Decides ids, areas, contests and candidates; the same numbers always give the same. Areas and contests get their stations
in turn, so that at every moment of a load all of them change: the hardest case. Refuses to know reports; see `load.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

ROOT = "AZ"
ONE_CONTEST = "PRES"
"""Where there is one, and in whatever the competitors count."""
SEVEN = ("I-ALIYEV", "Z-ORUJ", "F-MUSTAFA", "G-HASANGULIYEV", "R-NURULLAYEV", "E-MUSAYEV", "F-ALIYEV")
ELEVEN = (*SEVEN, "B-EIGHTH", "C-NINTH", "D-TENTH", "E-ELEVENTH")

CONSTITUENCIES = 125
STATES, MUNICIPALITIES = 27, 5_570
TOWNS, SEATS = 67, 1_088
"""A mayor and lists in each town, and a seat in each of its districts: 1,222 contests."""

LayoutName = Literal["plain", "narrow", "wide", "ballot"]


REGISTERED_A_CANDIDATE = 1_100 / 7
"""Voters on a station's register: more than its ballots, of which each candidate gets as many whatever their number is."""


@dataclass(frozen=True, slots=True)
class ContestRow:
    """`area`: whose stations vote in it; "" where all do."""

    id: str
    rule: str
    area: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """`id_of` a station's number from 0; `path_of` and `contests_of` a station's id."""

    levels: tuple[str, ...]
    publish_depth: int
    candidates: tuple[str, ...]
    contests: tuple[ContestRow, ...]
    id_of: Callable[[int], str]
    path_of: Callable[[str], tuple[str, ...]]
    contests_of: Callable[[str], tuple[str, ...]]


def _in_constituencies(candidates: tuple[str, ...]) -> Layout:
    return Layout(
        ("constituency",), 1, candidates, (ContestRow(ONE_CONTEST, "majority"),),
        id_of=lambda number: f"{number % CONSTITUENCIES + 1:03d}-{number // CONSTITUENCIES + 1:05d}",
        path_of=lambda station: (station[:3],),
        contests_of=lambda station: (ONE_CONTEST,),
    )  # fmt: skip


def _wide() -> Layout:
    """5,570 municipalities in 27 states."""

    def id_of(number: int) -> str:
        municipality = number % MUNICIPALITIES
        return f"{municipality % STATES + 1:02d}-{municipality + 1:04d}-{number // MUNICIPALITIES + 1:05d}"

    return Layout(
        ("state", "municipality"), 2, ELEVEN, (ContestRow(ONE_CONTEST, "majority"),),
        id_of=id_of,
        path_of=lambda station: (station[:2], station[3:7]),
        contests_of=lambda station: (ONE_CONTEST,),
    )  # fmt: skip


def _ballot() -> Layout:
    """Three contests a station: its town's mayor, its town's lists, its district's seat. Districts are not published."""

    def id_of(number: int) -> str:
        seat = number % SEATS
        return f"{seat % TOWNS + 1:02d}-{seat + 1:04d}-{number // SEATS + 1:05d}"

    towns = [f"{town:02d}" for town in range(1, TOWNS + 1)]
    contests = [ContestRow(f"MAYOR-{town}", "majority", f"{ROOT}/{town}") for town in towns]
    contests += [ContestRow(f"LIST-{town}", "none", f"{ROOT}/{town}") for town in towns]
    contests += [
        ContestRow(f"SEAT-{seat + 1:04d}", "plurality", f"{ROOT}/{seat % TOWNS + 1:02d}/{seat + 1:04d}")
        for seat in range(SEATS)
    ]
    return Layout(
        ("town", "district"), 1, SEVEN, tuple(contests),
        id_of=id_of,
        path_of=lambda station: (station[:2], station[3:7]),
        contests_of=lambda station: (f"MAYOR-{station[:2]}", f"LIST-{station[:2]}", f"SEAT-{station[3:7]}"),
    )  # fmt: skip


@cache
def layout(name: LayoutName) -> Layout:
    match name:
        case "plain":
            return _in_constituencies(SEVEN)
        case "narrow":
            return _in_constituencies(ELEVEN)
        case "wide":
            return _wide()
        case "ballot":
            return _ballot()


def write_folder(of: Layout, stations: int, folder: Path) -> None:
    """The election folder: one contest stands in election.toml, many in tables."""
    folder.mkdir(parents=True, exist_ok=True)
    levels = ", ".join(f'"{level}"' for level in of.levels)
    fields = 'majority_base = "valid"\nrounding = { method = "half-up", places = 2 }\n'
    if len(of.contests) == 1:
        (contest,) = of.contests
        candidates = "\n".join(f'[[contests.candidates]]\nid = "{c}"\nname = "{c}"\n' for c in of.candidates)
        contests = (
            f'[[contests]]\nid = "{contest.id}"\nname = "President"\nseats = 1\nrule = "{contest.rule}"\n{fields}{candidates}'
        )
    else:
        contests = f"[contest_defaults]\n{fields}"
        rows = [f'{c.id},{c.id},{c.rule},"[""{c.area}""]"\n' for c in of.contests]
        (folder / "contests.csv").write_text("id,name,rule,scope\n" + "".join(rows))
        rows = [f"{contest.id},{c},{c}\n" for contest in of.contests for c in of.candidates]
        (folder / "candidates.csv").write_text("contest,id,name\n" + "".join(rows))
    (folder / "election.toml").write_text(
        f'id = "BENCH"\nname = "A generated night"\nphase = "official"\npolls_close = 2024-02-07T15:00:00Z\n'
        f'[areas]\nroot = "{ROOT}"\nroot_name = "The whole"\nlevels = [{levels}]\n'
        f"publish_depth = {of.publish_depth}\n{contests}"
    )
    registered = round(REGISTERED_A_CANDIDATE * len(of.candidates))
    with (folder / "stations.csv").open("w") as file:
        file.write(f"station_id,name,registered,ballots_expected,{','.join(of.levels)}\n")
        for number in range(stations):
            station = of.id_of(number)
            file.write(f"{station},,{registered},,{','.join(of.path_of(station))}\n")
