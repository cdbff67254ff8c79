"""Wisconsin, 5 November 2024: the night as the counties published it, then the certified count.

Every figure is from source/; nothing is reconstructed but what SOURCE.md lists (an hour, and that a
lowered count is called a correction). A station is a reporting unit of the certified report, or one
of 13 units that counties grouped otherwise on the night and that end annulled.

    python tally_stream/elections/wisconsin-2024/make.py [--check]
"""

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parents[2]))

from tally_stream.elections import night  # noqa: E402

CENTRAL = timezone(timedelta(hours=-6))
CERTIFIED_AT = datetime(2024, 11, 29, 10, 0, tzinfo=CENTRAL)  # the day is published, the hour is ours
COMMISSION = "Wisconsin Elections Commission"
CANDIDATES = ("harris", "trump", "terry", "oliver", "stein", "de_la_cruz", "west", "kennedy")

# Units of the night that the certified report groups otherwise, and the certified units that hold
# their wards.
REGROUPED: Mapping[str, tuple[str, ...]] = {
    "DOOR|UNMATCHED|CITY OF STURGEON BAY, WARD 1- 7, 9": ("DOOR|CITY OF STURGEON BAY WARDS 1-9",),
    "DOOR|UNMATCHED|CITY OF STURGEON BAY, WARD 8": ("DOOR|CITY OF STURGEON BAY WARDS 1-9",),
    "DOOR|UNMATCHED|CITY OF STURGEON BAY, WARD 16": ("DOOR|CITY OF STURGEON BAY WARDS 16-21",),
    "DOOR|UNMATCHED|CITY OF STURGEON BAY, WARD 17 - 21": ("DOOR|CITY OF STURGEON BAY WARDS 16-21",),
    "DOOR|UNMATCHED|TOWN OF EGG HARBOR, WARD 1- 2": ("DOOR|TOWN OF EGG HARBOR WARDS 1-3",),
    "DOOR|UNMATCHED|TOWN OF EGG HARBOR, WARD 3": ("DOOR|TOWN OF EGG HARBOR WARDS 1-3",),
    "DOOR|UNMATCHED|TOWN OF SEVASTOPOL, WARD 1": ("DOOR|TOWN OF SEVASTOPOL WARDS 1-5",),
    "DOOR|UNMATCHED|TOWN OF SEVASTOPOL, WARD 2 - 5": ("DOOR|TOWN OF SEVASTOPOL WARDS 1-5",),
    "DOOR|UNMATCHED|TOWN OF STURGEON BAY, WARD 1": ("DOOR|TOWN OF STURGEON BAY WARDS 1-2",),
    "DOOR|UNMATCHED|TOWN OF STURGEON BAY, WARD 2": ("DOOR|TOWN OF STURGEON BAY WARDS 1-2",),
    "GREEN|UNMATCHED|CITY OF MONROE, WARD 1, 2, 3,4, 5, 6, 7, 8, 9 & 10": (
        "GREEN|CITY OF MONROE WARDS 1-9",
        "GREEN|CITY OF MONROE WARD 10",
    ),
    "JEFFERSON|UNMATCHED|CITY OF WHITEWATER (W11-13)": (
        "JEFFERSON|CITY OF WHITEWATER WARDS 11-12",
        "JEFFERSON|CITY OF WHITEWATER WARD 13",
    ),
    "WASHINGTON|UNMATCHED|CITY OF HARTFORD, DISTRICT 2 WARD 11 - DODGE": ("DODGE|CITY OF HARTFORD WARD 11",),
}

# Why a county's count of one unit fell on the night, as source/README.md tells it.
LOWERED: Mapping[str, str] = {
    "WAUSHARA|TOWN OF RICHFORD WARDS 1-2": "The county lowered its published count",
    "MARATHON|TOWN OF BERLIN WARDS 1-2": "Every figure of the unit had been doubled",
    "IRON|TOWN OF PENCE WARD 1": "Wrong total reported on the night",
    "LA CROSSE|CITY OF LA CROSSE WARD 16": "County revision of 21 November; it was wrong itself",
    "LA CROSSE|TOWN OF HOLLAND WARDS 1-5": "County revision of 21 November",
}
ARTIFACT = "WINNEBAGO|CITY OF OSHKOSH WARD 28"
ARTIFACT_READ = "Not the ward's count: the county-wide total, read into the last ward by a program"
ARTIFACT_ENDED = "The ward's own count, in place of the county-wide total read into it before"

MUNICIPALITY_TYPES = {"C": "City", "T": "Town", "V": "Village"}
UNIT = re.compile(r"(CITY|TOWN|VILLAGE) OF (.+?) WARDS? ")


@dataclass(frozen=True)
class Station:
    id: str
    source_id: str
    name: str
    county: str
    municipality: str


def votes_of(row: Mapping[str, str]) -> list[int]:
    return [int(row[candidate]) for candidate in CANDIDATES]


def snapshot_at(row: Mapping[str, str]) -> datetime:
    return datetime.fromisoformat(row["snapshot_at"]).replace(tzinfo=CENTRAL)


def certified_municipality(source_id: str) -> str:
    found = UNIT.match(source_id.partition("|")[2])
    if found is None:
        raise ValueError(f"no municipality in {source_id}")
    return f"{found[1].capitalize()} of {found[2]}"


def list_stations(certified: list[dict[str, str]], events: list[dict[str, str]]) -> dict[str, Station]:
    """By source id, numbered county by county: rows of the certified report first, in its order,
    then the units it groups otherwise, in order of their names."""
    regrouped = {row["station_id"]: row for row in events if row["station_id"] in REGROUPED}
    counties = list(dict.fromkeys(row["county"] for row in certified))
    rows: dict[str, list[tuple[str, str, str]]] = {county: [] for county in counties}
    for row in certified:
        source_id = row["station_id"]
        rows[row["county"]].append((source_id, row["unit"], certified_municipality(source_id)))
    for source_id, row in sorted(regrouped.items()):
        municipality = f"{MUNICIPALITY_TYPES[row['ctv']]} of {row['municipality']}"
        rows[row["county"]].append((source_id, row["unit_as_published"], municipality))
    return {
        source_id: Station(f"{number:02}-{place:03}", source_id, name, county, municipality)
        for number, county in enumerate(counties, start=1)
        for place, (source_id, name, municipality) in enumerate(rows[county], start=1)
    }


def night_record(ballot: night.Ballot, station: Station, row: Mapping[str, str]) -> tuple[int, night.Statement]:
    moment, revision = snapshot_at(row), int(row["revision"])
    order, reason = None, None
    if station.source_id == ARTIFACT:
        reason = ARTIFACT_READ if row["flag"] else ARTIFACT_ENDED
    elif row["has_decrease"] == "1":
        clerk = f"{station.county.title()} County Clerk"
        order = night.Order(revision - 1, LOWERED[station.source_id], clerk)
    statement = ballot.counts(
        station.id,
        revision,
        moment,
        votes_of(row),
        kind="correct" if order else "report",
        order=order,
        reason=reason,
    )
    return night.milliseconds(moment), statement


def annulment_record(
    ballot: night.Ballot, stations: Mapping[str, Station], source_id: str, last_revision: int
) -> tuple[int, night.Statement]:
    holders = " and ".join(stations[holder].id for holder in REGROUPED[source_id])
    reason = f"Not a unit of the certified report, which counts these wards in {holders}"
    order = night.Order(last_revision, reason, COMMISSION)
    statement = ballot.annulment(stations[source_id].id, last_revision + 1, order)
    return night.milliseconds(CERTIFIED_AT), statement


def certified_record(
    ballot: night.Ballot, station: Station, row: Mapping[str, str], last_revision: int
) -> tuple[int, night.Statement]:
    order = night.Order(last_revision, "Certified canvass of 29 November 2024", COMMISSION)
    statement = ballot.counts(
        station.id,
        last_revision + 1,
        CERTIFIED_AT,
        votes_of(row),
        kind="correct" if last_revision else "report",
        order=order,
    )
    return night.milliseconds(CERTIFIED_AT), statement


def build() -> night.Files:
    ballot = night.Ballot.of(FOLDER)
    events = night.read_table(FOLDER / "source" / "night_events.csv.gz")
    certified = night.read_table(FOLDER / "source" / "certified_units.csv.gz")
    stations = list_stations(certified, events)
    last_revision = {row["station_id"]: int(row["revision"]) for row in events}
    records = [night_record(ballot, stations[row["station_id"]], row) for row in events]
    records += [annulment_record(ballot, stations, source_id, last_revision[source_id]) for source_id in sorted(REGROUPED)]
    records += [
        certified_record(ballot, stations[row["station_id"]], row, last_revision.get(row["station_id"], 0)) for row in certified
    ]
    listed = sorted(stations.values(), key=lambda station: station.id)
    counties = dict.fromkeys(station.county for station in listed)
    header = ("station_id", "name", "registered", "ballots_expected", "county", "municipality")
    return {
        "source/units.csv": night.table(
            ("station_id", "source_station_id", "certified_in"),
            (
                (
                    station.id,
                    station.source_id,
                    " ".join(stations[holder].id for holder in REGROUPED.get(station.source_id, ())),
                )
                for station in listed
            ),
        ),
        "stations.csv.gz": night.gzipped(
            night.table(
                header,
                ((unit.id, unit.name, "", "", unit.county, unit.municipality) for unit in listed),
            )
        ),
        "areas.csv": night.table(
            ("area", "name"),
            ((f"WI/{county}", f"{county_name(county)} County") for county in counties),
        ),
        "reports.jsonl.gz": night.gzipped(night.report_log(records)),
    }


def county_name(county: str) -> str:
    return county.title().replace(" Du ", " du ")


if __name__ == "__main__":
    sys.exit(night.run(FOLDER, build))
