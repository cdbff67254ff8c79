"""Two elections that no country has had, as small as they can be and still as wide: 8,000 areas, and 2,000 contests.

Decides what is in them: of every kind of report a few, so that figures rise, fall and are held while they are counted.
The same bytes every time. Read `folder.py` for how the log is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from tally_stream.elections.night import report_log, table
from tests.ballots.folder import LOG_NAME, Statement

CLOSE_MS = 1_707_318_000_000
"""2024-02-07T15:00:00Z"""
CANDIDATES = ("ANNA", "BELA", "CLEO")
STATES, MUNICIPALITIES = 27, 8_000
SEATS, SEATS_A_DISTRICT = 1_599, 4
"""With the 400 districts and the whole, 2,000 contests."""


def wide(directory: Path) -> int:
    """One contest over 8,000 municipalities in 27 states, a station in each; how many records its log has."""
    paths = [(f"S{number % STATES + 1:02d}", f"M{number:04d}") for number in range(MUNICIPALITIES)]
    stations = {f"{state}-{municipality}": (state, municipality) for state, municipality in paths}
    contests = [("PRES", "majority", "")]
    return _write(directory, "WIDE", ("state", "municipality"), stations, contests, {id: ["PRES"] for id in stations})


def long_ballot(directory: Path) -> int:
    """2,000 contests, three at each of 3,198 stations: the whole's, its district's, its seat's; how many records."""
    stations = {
        f"{seat:04d}-{number}": (f"D{seat // SEATS_A_DISTRICT:03d}", f"S{seat:04d}")
        for seat in range(SEATS) for number in (1, 2)
    }  # fmt: skip
    contests = [("WHOLE", "majority", "")]
    contests += [(f"IN-{district}", "plurality", f"X/{district}") for district in sorted({d for d, _ in stations.values()})]
    contests += [(f"AT-{seat}", "none", f"X/{district}/{seat}") for district, seat in sorted(set(stations.values()))]
    of_station = {id: ["WHOLE", f"IN-{district}", f"AT-{seat}"] for id, (district, seat) in stations.items()}
    return _write(directory, "LONG", ("district", "seat"), stations, contests, of_station)


def _write(
    directory: Path,
    id: str,
    levels: tuple[str, str],
    stations: dict[str, tuple[str, str]],
    contests: list[tuple[str, str, str]],
    contests_of: dict[str, list[str]],
) -> int:
    """`contests`: (id, rule, area or the whole)."""
    directory.mkdir(parents=True)
    names = ", ".join(f'"{level}"' for level in levels)
    (directory / "election.toml").write_text(
        f'id = "{id}"\nname = "A generated election"\nphase = "official"\npolls_close = 2024-02-07T15:00:00Z\n'
        f'[areas]\nroot = "X"\nroot_name = "The whole"\nlevels = [{names}]\npublish_depth = 2\n'
        '[contest_defaults]\nmajority_base = "valid"\nrounding = { method = "half-up", places = 2 }\n'
    )
    rows = ((station, station, 400, "", *path) for station, path in stations.items())
    (directory / "stations.csv").write_bytes(table(("station_id", "name", "registered", "ballots_expected", *levels), rows))
    scoped = ((of, of.title(), rule, f'["{area}"]' if area else "") for of, rule, area in contests)
    (directory / "contests.csv").write_bytes(table(("id", "name", "rule", "scope"), scoped))
    named = ((of, name, name.title()) for of, _, _ in contests for name in CANDIDATES)
    (directory / "candidates.csv").write_bytes(table(("contest", "id", "name"), named))
    records = list(_night(id, contests_of))
    (directory / LOG_NAME).write_bytes(report_log((CLOSE_MS + 3_600_000 + n, record) for n, record in enumerate(records)))
    return len(records)


def _night(election: str, contests_of: dict[str, list[str]]) -> Iterator[Statement]:
    """Of every ten stations one begins with a partial count, one is corrected to fewer votes, and one makes a report that
    does not add up before it makes one that does; every station ends with counts in force."""
    return (report for number, (station, contests) in enumerate(contests_of.items())
            for report in _reports(election, station, contests, number))  # fmt: skip


def _reports(election: str, station: str, contests: Iterable[str], number: int) -> Iterator[Statement]:
    draw = number % 10
    for place, contest in enumerate(contests):
        votes = [100 + (number * 7 + place * 3 + k * 11) % 23 for k in range(len(CANDIDATES))]
        if draw == 1:
            yield _report(election, contest, station, 1, [n // 2 for n in votes]) | {"complete": False}
        if draw == 2:
            yield _report(election, contest, station, 1, votes, valid_more_by=1)
        if draw == 3:
            before = {"kind": "correct", "replaces": 1, "reason": "counted again", "authority": "the district"}
            yield _report(election, contest, station, 1, [n + 1 for n in votes])
            yield _report(election, contest, station, 2, votes) | before
        else:
            yield _report(election, contest, station, 2, votes)


def _report(election: str, contest: str, station: str, revision: int, votes: list[int], *, valid_more_by: int = 0) -> Statement:
    valid = sum(votes) + valid_more_by
    return {
        "schema": 1,
        "election": election,
        "contest": contest,
        "station": station,
        "revision": revision,
        "kind": "report",
        "counted_at": "2024-02-07T15:30:00Z",
        "ballots": {"cast": valid + 3, "valid": valid, "blank": 1, "invalid": 2},
        "votes": dict(zip(CANDIDATES, votes, strict=True)),
    }
