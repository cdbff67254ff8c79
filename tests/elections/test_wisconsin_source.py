"""Wisconsin, 5 November 2024, against every published figure: the literals are those, not what a script made."""

from collections import Counter
from datetime import datetime, timedelta

from tests.elections.published import Record, definition, fold, records, rows, stations

WI = "wisconsin-2024"
WI_CANDIDATES = {
    "HARRIS": "harris",
    "TRUMP": "trump",
    "TERRY": "terry",
    "OLIVER": "oliver",
    "STEIN": "stein",
    "DE-LA-CRUZ": "de_la_cruz",
    "WEST": "west",
    "KENNEDY": "kennedy",
}
CERTIFICATION = datetime.fromisoformat("2024-11-29T00:00:00-06:00")


def wi_night() -> list[Record]:
    return [record for record in records(WI) if record.moment < CERTIFICATION]


def wi_certified() -> list[Record]:
    return [record for record in records(WI) if record.moment >= CERTIFICATION]


def test_wi_night_has_3_507_stations_in_three_revisions() -> None:
    assert Counter(r.value["revision"] for r in wi_night()) == {1: 3_507, 2: 751, 3: 5}
    votes = fold(wi_night()).votes()
    assert (votes["HARRIS"], votes["TRUMP"]) == (1_667_882, 1_697_281)


def test_wi_votes_of_the_night_are_the_source_s_row_by_row() -> None:
    events = rows(WI, "source/night_events.csv.gz")
    source_ids = {row["station_id"]: row["source_station_id"] for row in rows(WI, "source/units.csv")}
    for event, record in zip(events, wi_night(), strict=True):
        assert source_ids[record.key] == event["station_id"]
        assert str(record.value["revision"]) == event["revision"]
        assert record.moment.isoformat() == (
            (datetime.fromisoformat(event["snapshot_at"]) + timedelta(hours=6)).isoformat() + "+00:00"
        )
        votes = {name: int(event[column]) for name, column in WI_CANDIDATES.items()}
        assert record.value["votes"] == votes


def test_wi_names_who_lowered_a_count_on_the_night_and_why() -> None:
    tally: dict[str, dict[str, int]] = {}
    corrected = 0
    for record in wi_night():
        votes = record.value["votes"]
        before = tally.get(record.key, votes)
        if any(votes[name] < before[name] for name in votes):
            assert record.value["reason"]
            corrected += record.value["kind"] == "correct"
        tally[record.key] = votes
    assert corrected == 5  # the sixth fall is the extraction artifact's end, no county's correction


def test_wi_keeps_the_extraction_artifact_and_says_so_in_the_log() -> None:
    source_ids = {row["source_station_id"]: row["station_id"] for row in rows(WI, "source/units.csv")}
    ward = source_ids["WINNEBAGO|CITY OF OSHKOSH WARD 28"]
    seen = [record.value for record in wi_night() if record.key == ward]
    assert [value["votes"]["HARRIS"] for value in seen] == [27_873, 31_820, 2]
    assert all("county-wide total" in value["reason"] for value in seen)


def test_wi_ends_at_the_certified_totals() -> None:
    assert fold(records(WI)).votes() == {
        "HARRIS": 1_668_229,
        "TRUMP": 1_697_626,
        "TERRY": 4_044,
        "OLIVER": 10_511,
        "STEIN": 12_275,
        "DE-LA-CRUZ": 2_035,
        "WEST": 2_753,
        "KENNEDY": 17_740,
    }


def test_wi_ends_at_the_certified_totals_of_each_county() -> None:
    tally = fold(records(WI))
    by_county: dict[str, Counter[str]] = {}
    for station, value in tally.counts.items():
        if station not in tally.annulled:
            county = stations(WI)[station]["county"]
            by_county.setdefault(county, Counter()).update(value["votes"])
    published = {row["county"]: row for row in rows(WI, "source/certified_county_totals.csv")}
    assert len(by_county) == 72
    for county, votes in by_county.items():
        row = published[county]
        assert votes == {name: int(row[column]) for name, column in WI_CANDIDATES.items()}


def test_wi_gives_every_certified_unit_a_last_revision() -> None:
    kinds = Counter(record.value["kind"] for record in wi_certified())
    assert kinds == {"correct": 3_494, "report": 109, "annul": 13}
    assert len({record.key for record in wi_certified()}) == 3_616 == len(stations(WI))
    for record in wi_certified():
        assert record.moment.date().isoformat() == "2024-11-29"
        assert record.value["authority"] == "Wisconsin Elections Commission"


def test_wi_annuls_the_13_units_that_were_grouped_otherwise_before_their_votes_count_again() -> None:
    annulled = [record for record in wi_certified() if record.value["kind"] == "annul"]
    assert annulled == wi_certified()[:13]
    units = {row["station_id"]: row for row in rows(WI, "source/units.csv")}
    regrouped = {unit for unit, row in units.items() if "|UNMATCHED|" in row["source_station_id"]}
    assert {record.key for record in annulled} == regrouped
    for record in annulled:
        holders = units[record.key]["certified_in"].split()
        assert holders
        assert all(holder in units and holder in record.value["reason"] for holder in holders)


def test_wi_units_follow_the_rows_of_the_certified_report() -> None:
    units = rows(WI, "source/units.csv")
    assert [row["station_id"] for row in units] == list(stations(WI))
    certified = [row["source_station_id"] for row in units if not row["certified_in"]]
    report = rows(WI, "source/certified_units.csv.gz")
    assert certified == [row["station_id"] for row in report]
    ids = {row["source_station_id"]: row["station_id"] for row in units}
    for row in report:
        station = stations(WI)[ids[row["station_id"]]]
        assert (station["name"], station["county"]) == (row["unit"], row["county"])


def test_wi_carries_no_register_and_no_cast() -> None:
    assert {row["registered"] for row in stations(WI).values()} == {""}
    for value in fold(records(WI)).counts.values():
        assert set(value["ballots"]) == {"valid"}
        assert "registered" not in value


def test_wi_is_a_plurality_for_one_seat_by_county() -> None:
    contest, areas = definition(WI)["contests"][0], definition(WI)["areas"]
    assert (contest["rule"], contest["seats"]) == ("plurality", 1)
    assert (areas["levels"], areas["publish_depth"]) == (["county", "municipality"], 1)
