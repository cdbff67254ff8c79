"""Azerbaijan, 7 February 2024, against every published figure: the literals are those, not what a script made."""

import re
from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from tests.elections.published import Tally, content, definition, fold, percent, records, stations, until

AZ = "az-2024"
AZ_IDS = ("I-ALIYEV", "Z-ORUJ", "F-MUSTAFA", "G-HASANGULIYEV", "R-NURULLAYEV", "E-MUSAYEV", "F-ALIYEV")
AZ_NIGHT = (4_281_625, 101_851, 92_980, 81_799, 37_386, 31_033, 24_799)
AZ_ALL = (4_577_693, 107_877, 98_623, 85_607, 39_727, 32_956, 26_561)
AZ_FINAL = (4_567_458, 107_632, 98_421, 85_411, 39_643, 32_885, 26_517)
AZ_ANNULLED = [
    "041-038",
    "061-007",
    "061-027",
    "065-009",
    "068-002",
    "077-007",
    "077-031",
    "092-006",
    "099-002",
    "114-001",
    "115-006",
]


def az_votes(tally: Tally) -> tuple[int, ...]:
    votes = tally.votes()
    assert tuple(votes) == AZ_IDS
    return tuple(votes.values())


def az_shares(votes: tuple[int, ...]) -> list[str]:
    return [percent(count, sum(votes)) for count in votes]


def test_az_has_its_constituencies_stations_and_voters() -> None:
    listed = stations(AZ)
    assert len(listed) == 6_537
    assert {row["constituency"] for row in listed.values()} == {f"{n:03}" for n in range(1, 126)}
    assert sum(int(row["registered"]) for row in listed.values()) == 6_478_623
    assert {row["ballots_expected"] for row in listed.values()} == {""}
    numbers: dict[str, list[int]] = {}
    for station, row in listed.items():
        constituency, number = station.split("-")
        assert constituency == row["constituency"]
        numbers.setdefault(constituency, []).append(int(number))
    assert all(found == list(range(1, len(found) + 1)) for found in numbers.values())


def test_az_marks_the_liberated_territories_and_the_stations_abroad() -> None:
    names = [row["name"] for row in stations(AZ).values()]
    assert sum("liberated territories" in name for name in names) == 26
    abroad = [match[1] for name in names if (match := re.search(r"abroad \(country (\d+) of 37\)", name))]
    assert len(abroad) == 49
    assert len(set(abroad)) == 37


def test_az_before_the_first_announcement_nothing_is_counted_early() -> None:
    assert not until(AZ, "2024-02-07T19:30:00+04:00").counts


def test_az_at_22_00_has_the_printed_shares_from_3_561_stations() -> None:
    tally = until(AZ, "2024-02-07T22:00:00+04:00")
    assert len(tally.counts) == 3_561
    assert percent(3_561, 6_537) == "54.47"
    votes = az_votes(tally)
    assert az_shares(votes) == ["92.10", "2.20", "1.99", "1.78", "0.79", "0.66", "0.48"]
    assert [percent(count, sum(votes), "0.1") for count in votes[:2]] == ["92.1", "2.2"]


def test_az_at_03_13_has_the_commission_s_totals_from_6_102_stations() -> None:
    tally = until(AZ, "2024-02-08T03:13:00+04:00")
    assert len(tally.counts) == 6_102
    assert percent(6_102, 6_537) == "93.35"
    assert az_votes(tally) == AZ_NIGHT
    assert tally.ballots("valid") == 4_651_473
    assert az_shares(AZ_NIGHT) == ["92.05", "2.19", "2.00", "1.76", "0.80", "0.67", "0.53"]


def test_az_on_9_february_every_station_is_in() -> None:
    tally = until(AZ, "2024-02-09T09:00:00+04:00")
    assert len(tally.counts) == 6_537
    assert not tally.annulled
    assert az_votes(tally) == AZ_ALL
    assert tally.ballots("valid") == 4_969_044
    assert az_shares(AZ_ALL) == ["92.12", "2.17", "1.98", "1.72", "0.80", "0.66", "0.53"]


def test_az_ends_at_the_constitutional_court_s_totals_after_eleven_annulments() -> None:
    tally = fold(records(AZ))
    assert sorted(tally.annulled) == AZ_ANNULLED
    assert az_votes(tally) == AZ_FINAL
    assert tally.ballots("valid") == 4_957_967
    lost = tuple(a - b for a, b in zip(AZ_ALL, AZ_FINAL, strict=True))
    assert lost == (10_235, 245, 202, 196, 84, 71, 44)
    annulments = [record for record in records(AZ) if record.value["kind"] == "annul"]
    assert records(AZ)[-11:] == annulments
    for record in annulments:
        assert record.moment.astimezone(definition(AZ)["polls_close"].tzinfo).date().isoformat() == ("2024-02-11")
        assert (record.value["revision"], record.value["replaces"]) == (2, 1)
        assert record.value["authority"] == "Central Election Commission"
        assert "11 February 2024" in record.value["reason"]


@pytest.mark.parametrize(
    ("hour", "voted", "turnout", "heard"),
    [
        (10, 1_259_371, "19.44", 6_493),
        (12, 2_499_033, "38.57", 6_499),
        (15, 3_922_187, "60.54", 6_515),
        (17, 4_590_075, "70.85", None),
        (19, 4_971_032, "76.73", 6_522),
    ],
)
def test_az_turnout_bulletins(hour: int, voted: int, turnout: str, heard: int | None) -> None:
    as_of = f"2024-02-07T{hour}:00:00+04:00"
    bulletin = [r for r in records(AZ) if r.value["kind"] == "turnout" and r.value["as_of"] == as_of]
    assert sum(record.value["voted"] for record in bulletin) == voted
    assert percent(voted, 6_478_623) == turnout
    count = len({record.key for record in bulletin})
    assert count == len(bulletin)
    assert count == heard or (heard is None and 6_515 <= count <= 6_522)
    start = datetime.fromisoformat(as_of)
    assert all(start < record.moment <= start + timedelta(minutes=30) for record in bulletin)


def test_az_turnout_rises_at_each_station_and_stays_within_its_register() -> None:
    fields = ["schema", "kind", "election", "station", "revision", "as_of", "voted"]
    last: dict[str, tuple[int, int]] = {}
    for record in records(AZ):
        if record.value["kind"] != "turnout":
            continue
        assert list(record.value) == fields
        revision, voted = last.get(record.key, (0, 0))
        assert record.value["revision"] == revision + 1
        assert voted < record.value["voted"] <= int(stations(AZ)[record.key]["registered"])
        last[record.key] = record.value["revision"], record.value["voted"]
    counts = fold(records(AZ)).counts
    assert all(counts[station]["ballots"]["valid"] <= voted for station, (_, voted) in last.items())


def test_az_states_no_figure_that_was_not_published_and_raises_no_warning() -> None:
    """P4 no votes, P5 turnout of 98 % and more, P6 all votes for one."""
    for station, value in fold(records(AZ)).counts.items():
        assert set(value["ballots"]) == {"valid"}
        valid = value["ballots"]["valid"]
        assert 0 < 100 * valid < 98 * int(stations(AZ)[station]["registered"])
        assert max(value["votes"].values()) < valid


def test_az_log_times_rise_strictly_and_the_log_stays_readable() -> None:
    moments = [record.moment for record in records(AZ)]
    assert all(a < b for a, b in pairwise(moments))
    assert len(content(AZ, "reports.jsonl.gz")) < 20_000_000


def test_az_definition() -> None:
    wanted = definition(AZ)
    contest = wanted["contests"][0]
    assert wanted["id"] == "AZ-2024"
    assert wanted["polls_close"].isoformat() == "2024-02-07T19:00:00+04:00"
    assert wanted["areas"]["root"] == "AZ"
    assert contest["rounding"] == {"method": "half-up", "places": 2}
    assert {candidate["id"]: candidate["name"] for candidate in contest["candidates"]} == {
        "I-ALIYEV": "Ilham Aliyev",
        "Z-ORUJ": "Zahid Oruj",
        "F-MUSTAFA": "Fazil Mustafa",
        "G-HASANGULIYEV": "Gudrat Hasanguliyev",
        "R-NURULLAYEV": "Razi Nurullayev",
        "E-MUSAYEV": "Elshad Musayev",
        "F-ALIYEV": "Fuad Aliyev",
    }
    oracle, social, rey = wanted["exit_polls"]
    assert oracle["pollster"].startswith("Oracle Advisory Group")
    assert list(oracle["shares"]) == list(AZ_IDS)
    assert list(oracle["shares"].values()) == [93.9, 1.8, 1.5, 1.2, 0.9, 0.4, 0.3]
    assert (social["pollster"], social["shares"]) == ("Social Research Center", {"I-ALIYEV": 92.4})
    assert (rey["pollster"], rey["shares"]) == ("Rey Monitoring Center", {"I-ALIYEV": 92.6})


def test_az_source_names_the_disputed_digit() -> None:
    text = content(AZ, "SOURCE.md").decode()
    assert "39,727" in text
    assert "39,797" in text
