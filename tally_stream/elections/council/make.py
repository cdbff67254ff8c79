"""Larkmouth, 18 May 2025: an invented town elects everything at once. Nothing here is real.

What each contest comes to is written below; how it falls on the polling stations is drawn from a seed, so that the script
makes the same files each time. Read SOURCE.md for what the night shows.

    python tally_stream/elections/council/make.py [--check]
"""

import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parents[2]))

from tally_stream.elections import night  # noqa: E402

SEED = 18_05_2025
ELECTION = "COUNCIL-2025"
CLOSE = datetime(2025, 5, 18, 20, 0, tzinfo=timezone(timedelta(hours=2)))
WARDS = ("Harbour", "Hill", "Meadow", "Mill", "Station")
POLLING_STATIONS_A_WARD = 3
OFFICE = "Larkmouth election office"

VOTES = {
    "MAYOR": {"AALTO": 5_470, "BRANDIS": 3_480, "CASTELLAN": 1_640, "DUNMORE": 820, "NOTA": 290},
    "COUNCIL": {
        "ALLIANCE": 3_920, "WORKERS": 2_940, "GREENS": 1_505, "FORUM": 1_500, "COMMONS": 870, "ISLANDERS": 540, "LANTERN": 325,
    },
    "BRIDGE": {"YES": 6_020, "NO": 5_480},
}  # fmt: skip
"""What each contest of the whole town comes to. Of the council's 21 seats the last is tied: 3,920 / 8 = 2,940 / 6 = 490."""
FOR_THE_BRIDGE = {"Harbour": 135, "Hill": 75, "Meadow": 80, "Mill": 120, "Station": 115}
"""How much each ward is for it, 100 being as much as the town."""

COMMITTEE = {
    "A": ("Alliance", "Town Alliance", 46), "B": ("Alliance", "Town Alliance", 38), "C": ("Workers", "Workers' List", 40),
    "D": ("Workers", "Workers' List", 33), "E": ("Greens", "Greens", 31), "F": ("Forum", "Civic Forum", 24),
}  # fmt: skip
"""Who stands for each ward's committee: the list's nominee, party, and how many of a hundred ballots name them. A ballot has
three votes."""
FIRST_NAMES = (
    "Ada", "Björn", "Carla", "Dario", "Elif", "Fergus", "Greta", "Hugo", "Iris", "Jonas", "Kaja", "Luis", "Maud", "Nils",
    "Olga",
)  # fmt: skip
FAMILY_NAMES = (
    "Ashby", "Bellweather", "Corso", "Dahl", "Ekwall", "Ferro", "Garnett", "Holm", "Ivarsen", "Jessop", "Kestrel",
)  # fmt: skip


@dataclass(frozen=True)
class Unit:
    """What reports as one: a polling station, or the postal or early count of a ward."""

    id: str
    name: str
    ward: str
    channel: str
    registered: int
    cast: int
    expected: int | None
    opened: datetime
    """When its first count is ready."""


def units(draw: random.Random) -> list[Unit]:
    found = []
    for number, ward in enumerate(WARDS, 1):
        for place in range(1, POLLING_STATIONS_A_WARD + 1):
            registered = draw.randint(980, 1_420)
            cast = registered * draw.randint(38, 52) // 100
            ready = CLOSE + timedelta(minutes=draw.randint(35, 130))
            name = f"{ward}, polling station {place}"
            found.append(Unit(f"{number}{place}", name, ward, "election day", registered, cast, None, ready))
        for kind, letter, low, high, after in (("postal", "P", 380, 620, 115), ("early", "E", 240, 330, 12)):
            expected = draw.randint(low, high)
            ready = CLOSE + timedelta(minutes=after + draw.randint(0, 70 if kind == "postal" else 9))
            cast = expected - draw.randint(0, 6)
            found.append(Unit(f"{number}{letter}", f"{ward}, {kind} count", ward, kind, 0, cast, expected, ready))
    return found


def spread(total: int, among: Sequence[Unit]) -> list[int]:
    """A figure of the town on its units, in proportion to their ballots."""
    weights = [unit.cast for unit in among]
    return night.apportion(total, weights, [0] * len(among), [unit.cast - 3 for unit in among])


def sheets(draw: random.Random, contest: str, among: Sequence[Unit]) -> list[dict[str, int]]:
    """Votes of each candidate at each unit, such that both the unit's and the candidates' sums are as they must be."""
    totals = VOTES[contest]
    room = spread(sum(totals.values()), among)
    found: list[dict[str, int]] = [{} for _ in among]
    *others, last = totals
    for candidate in others:
        tilt = [FOR_THE_BRIDGE[unit.ward] if candidate == "YES" else draw.randint(80, 120) for unit in among]
        weights = [left * t for left, t in zip(room, tilt, strict=True)]
        low = [0] * len(among)
        for at, votes in enumerate(night.apportion(totals[candidate], weights, low, room)):
            found[at][candidate] = votes
            room[at] -= votes
    for at, left in enumerate(room):
        found[at][last] = left
    return found


def committee(draw: random.Random, unit: Unit) -> dict[str, dict[str, int]]:
    """Ballots of three votes: as many as were not used are undervotes, those of a ballot with four marks overvotes."""
    valid = unit.cast - draw.randint(4, 14)
    votes = {id: valid * (share + draw.randint(-6, 6)) // 100 for id, (_, _, share) in COMMITTEE.items()}
    overvotes = 3 * draw.randint(0, 4)
    undervotes = 3 * valid - sum(votes.values()) - overvotes
    blank = (unit.cast - valid) // 2
    return {
        "ballots": {
            "cast": unit.cast, "valid": valid, "blank": blank, "invalid": unit.cast - valid - blank,
            "undervotes": undervotes, "overvotes": overvotes,
        },
        "votes": votes,
    }  # fmt: skip


def of_one_vote(unit: Unit, votes: dict[str, int]) -> dict[str, dict[str, int]]:
    valid = sum(votes.values())
    blank = (unit.cast - valid) // 2
    ballots = {"cast": unit.cast, "valid": valid, "blank": blank, "invalid": unit.cast - valid - blank}
    return {"ballots": ballots, "votes": votes}


def ward_contest(ward: str) -> str:
    return f"WARD-{ward.upper()}"


def statement(unit: Unit, contest: str, revision: int, at: datetime, **fields: object) -> night.Statement:
    return {
        "schema": 1, "election": ELECTION, "contest": contest, "station": unit.id, "revision": revision,
        "kind": "report", "counted_at": at.isoformat(), **fields,
    }  # fmt: skip


def turnout(draw: random.Random, unit: Unit) -> Iterator[tuple[datetime, night.Statement]]:
    """What each polling station says at noon, at four and at six."""
    for revision, (hour, percent) in enumerate(((12, 31), (16, 62), (18, 84)), 1):
        as_of = CLOSE.replace(hour=hour)
        voted = unit.cast * (percent + draw.randint(-4, 4)) // 100
        said = as_of + timedelta(minutes=draw.randint(1, 14))
        yield said, {
            "schema": 1, "kind": "turnout", "election": ELECTION, "station": unit.id, "revision": revision,
            "as_of": as_of.isoformat(), "voted": voted,
        }  # fmt: skip


def half_of(counts: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    """A partial count: about half of each pile."""
    votes = {id: count // 2 for id, count in counts["votes"].items()}
    valid = sum(votes.values())
    return {"ballots": {"cast": valid, "valid": valid, "blank": 0, "invalid": 0}, "votes": votes}


def reports(draw: random.Random, among: Sequence[Unit]) -> Iterator[tuple[datetime, night.Statement]]:
    by_contest = {contest: sheets(draw, contest, among) for contest in VOTES}
    for at, unit in enumerate(among):
        ready = unit.opened
        for contest in (*VOTES, ward_contest(unit.ward)):
            counts = of_one_vote(unit, by_contest[contest][at]) if contest in VOTES else committee(draw, unit)
            ready += timedelta(minutes=draw.randint(2, 9), seconds=draw.randint(0, 59))
            if contest == "MAYOR" and unit.id in ("12", "31", "43"):
                early = ready - timedelta(minutes=11)
                yield early, statement(unit, contest, 1, early, complete=False, **half_of(counts))
                yield ready, statement(unit, contest, 2, ready, **counts)
            elif (contest, unit.id) == ("COUNCIL", "52"):
                yield from misread(unit, contest, counts, ready)
            elif (contest, unit.id) == ("BRIDGE", "23"):
                yield from corrected(unit, contest, counts, ready)
            else:
                yield ready, statement(unit, contest, 1, ready, **counts)


def misread(
    unit: Unit, contest: str, counts: dict[str, dict[str, int]], at: datetime
) -> Iterator[tuple[datetime, night.Statement]]:
    """A digit too many: the votes do not add up, the report is held (A1), and the station sends it again."""
    wrong = {**counts, "votes": {**counts["votes"], "ALLIANCE": counts["votes"]["ALLIANCE"] + 100}}
    yield at, statement(unit, contest, 1, at, **wrong)
    later = at + timedelta(minutes=14)
    yield later, statement(unit, contest, 2, later, **counts)


def corrected(
    unit: Unit, contest: str, counts: dict[str, dict[str, int]], at: datetime
) -> Iterator[tuple[datetime, night.Statement]]:
    """Two columns exchanged, found the morning after."""
    yes, no = counts["votes"]["YES"], counts["votes"]["NO"]
    yield at, statement(unit, contest, 1, at, **{**counts, "votes": {"YES": no, "NO": yes}})
    later = datetime(2025, 5, 19, 9, 12, tzinfo=CLOSE.tzinfo)
    order = night.Order(1, "the columns for yes and no were exchanged", OFFICE)
    yield later, statement(unit, contest, 2, later, kind="correct", **counts, **order.fields())


def build() -> night.Files:
    draw = random.Random(SEED)
    among = units(draw)
    said = [entry for unit in among if unit.channel == "election day" for entry in turnout(draw, unit)]
    said += reports(draw, among)
    said.sort(key=lambda entry: entry[0])
    header = ("station_id", "name", "registered", "ballots_expected", "ward", "channel")
    rows = [(u.id, u.name, u.registered, "" if u.expected is None else u.expected, u.ward, u.channel) for u in among]
    contests = [
        (ward_contest(ward), f"{ward}: ward committee", "plurality", 3, 3, f'["LM/{ward}"]', "Ward committees")
        for ward in WARDS
    ]  # fmt: skip
    people = [f"{first} {FAMILY_NAMES[(n * 5) % len(FAMILY_NAMES)]}" for n, first in enumerate(FIRST_NAMES * 2)]
    candidates = [
        (ward_contest(ward), id, people[number * len(COMMITTEE) + at], party)
        for number, ward in enumerate(WARDS)
        for at, (id, (_, party, _)) in enumerate(COMMITTEE.items())
    ]
    return {
        "stations.csv.gz": night.gzipped(night.table(header, rows)),
        "contests.csv": night.table(("id", "name", "rule", "seats", "votes_per_ballot", "scope", "group"), contests),
        "candidates.csv": night.table(("contest", "id", "name", "party"), candidates),
        "reports.jsonl.gz": night.gzipped(night.report_log((night.milliseconds(at), value) for at, value in said)),
    }


if __name__ == "__main__":
    sys.exit(night.run(FOLDER, build))
