"""The shipped nights, against every published figure, by plain arithmetic over their logs.

Knows nothing of the product: it reads the files as FORMATS has them, lets the last revision win and
an annulment take a station out. The literals here are the published figures, not what a script made.
"""

import csv
import gzip
import io
import json
import re
import shutil
import subprocess
import sys
import tomllib
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

ELECTIONS = Path(__file__).resolve().parents[2] / "tally_stream" / "elections"
NIGHTS = ("az-2024", "bolivia-2019", "wisconsin-2024")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
COUNTS = ("report", "correct")

every_night = pytest.mark.parametrize("name", NIGHTS)


@dataclass(frozen=True)
class Record:
    moment: datetime
    key: str
    value: dict[str, Any]


@dataclass
class Tally:
    """Counts in force by station, and what became of them."""

    counts: dict[str, dict[str, Any]] = field(default_factory=dict)
    annulled: set[str] = field(default_factory=set)

    def votes(self) -> dict[str, int]:
        total: Counter[str] = Counter()
        for value in self._in_force():
            total.update(value["votes"])
        return dict(total)

    def ballots(self, name: str) -> int:
        return sum(value["ballots"][name] for value in self._in_force())

    def _in_force(self) -> Iterable[dict[str, Any]]:
        return (value for station, value in self.counts.items() if station not in self.annulled)


def content(name: str, file: str) -> bytes:
    path = ELECTIONS / name / file
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def rows(name: str, file: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content(name, file).decode(), newline="")))


@cache
def definition(name: str) -> dict[str, Any]:
    return tomllib.loads(content(name, "election.toml").decode())


@cache
def stations(name: str) -> dict[str, dict[str, str]]:
    listed = rows(name, "stations.csv.gz")
    by_id = {row["station_id"]: row for row in listed}
    assert len(by_id) == len(listed)
    return by_id


@cache
def records(name: str) -> list[Record]:
    lines = map(json.loads, content(name, "reports.jsonl.gz").splitlines())
    return [Record(EPOCH + timedelta(milliseconds=line["timestamp"]), line["key"], json.loads(line["value"])) for line in lines]


def fold(some: Iterable[Record]) -> Tally:
    tally = Tally()
    for record in some:
        if record.value["kind"] in COUNTS:
            tally.counts[record.key] = record.value
        elif record.value["kind"] == "annul":
            tally.annulled.add(record.key)
    return tally


def until(name: str, moment: str) -> Tally:
    end = datetime.fromisoformat(moment)
    return fold(record for record in records(name) if record.moment <= end)


def percent(part: int, whole: int, places: str = "0.01") -> str:
    return str((Decimal(100 * part) / Decimal(whole)).quantize(Decimal(places), ROUND_HALF_UP))


# --- what holds for each night


@every_night
def test_running_the_script_again_gives_the_same_bytes(name: str) -> None:
    script = ELECTIONS / name / "make.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_check_finds_a_changed_and_a_missing_file(tmp_path: Path) -> None:
    copy = tmp_path / "tally_stream" / "elections"
    shutil.copytree(ELECTIONS, copy)
    night = copy / "wisconsin-2024"
    areas = (night / "areas.csv").read_bytes()
    (night / "areas.csv").write_bytes(areas.replace(b"Dane", b"Dame"))
    (night / "source" / "units.csv").unlink()
    done = subprocess.run([sys.executable, night / "make.py", "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert set(done.stdout.splitlines()) == {
        "wisconsin-2024/areas.csv: differs",
        "wisconsin-2024/source/units.csv: missing",
    }


@every_night
def test_each_line_is_a_record_of_a_recorded_night_in_log_order(name: str) -> None:
    newest = 0
    for line in content(name, "reports.jsonl.gz").splitlines():
        record = json.loads(line)
        assert list(record) == ["timestamp", "key", "value"]
        assert type(record["timestamp"]) is int
        assert record["timestamp"] >= newest
        newest = record["timestamp"]
        value = json.loads(record["value"])
        assert record["key"] == value["station"]
        assert record["value"] == json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        assert len(record["value"].encode()) <= 65_536


@every_night
def test_packed_files_carry_no_time_and_no_name_and_stay_small(name: str) -> None:
    packed = sorted((ELECTIONS / name).glob("*.gz"))
    assert [path.name for path in packed] == ["reports.jsonl.gz", "stations.csv.gz"]
    for path in packed:
        assert path.read_bytes()[:9] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02"
    assert sum(path.stat().st_size for path in packed) < 3_000_000


@every_night
def test_statements_fit_the_definition_and_name_what_they_replace(name: str) -> None:
    contest = definition(name)["contests"][0]
    candidates = [candidate["id"] for candidate in contest["candidates"]]
    optional = {"replaces", "reason", "authority"}
    in_force: dict[str, int] = {}
    for record in records(name):
        value = record.value
        if value["kind"] == "turnout":
            continue
        station, revision = record.key, value["revision"]
        assert station in stations(name)
        head = {"schema", "election", "contest", "station", "revision", "kind"}
        counts = {"counted_at", "ballots", "votes"} if value["kind"] in COUNTS else set()
        assert set(value) - optional == head | counts
        assert (value["schema"], value["election"], value["contest"]) == (
            1,
            definition(name)["id"],
            contest["id"],
        )
        assert revision == in_force.get(station, 0) + 1
        if value["kind"] != "report":
            assert value["replaces"] == in_force[station]
            assert value["reason"]
            assert value["authority"]
        elif "replaces" in value:
            assert value["replaces"] == in_force.get(station, 0)
        if counts:
            assert list(value["votes"]) == candidates
        in_force[station] = revision


@every_night
def test_no_report_contradicts_itself(name: str) -> None:
    """A1, A2, A3 and A8, for every revision and not the last alone."""
    for record in records(name):
        value = record.value
        if value["kind"] not in COUNTS:
            continue
        ballots = value["ballots"]
        figures = [*value["votes"].values(), *ballots.values()]
        assert all(type(figure) is int and 0 <= figure <= 999_999_999 for figure in figures)
        assert sum(value["votes"].values()) == ballots["valid"]
        if "cast" in ballots:
            assert ballots["valid"] + ballots["blank"] + ballots["invalid"] == ballots["cast"]
        registered = stations(name)[record.key]["registered"]
        if registered:
            cast = ballots.get("cast", ballots["valid"])
            assert 100 * cast <= 102 * int(registered)
            assert int(registered) > 0 or cast == 0


@every_night
def test_counting_ends_after_the_close_and_before_the_report_arrives(name: str) -> None:
    polls_close = definition(name)["polls_close"]
    for record in records(name):
        if record.value["kind"] in COUNTS:
            counted_at = datetime.fromisoformat(record.value["counted_at"])
            assert counted_at.tzinfo is not None
            assert polls_close < counted_at <= record.moment


@every_night
def test_text_keeps_the_text_rule(name: str) -> None:
    levels = definition(name)["areas"]["levels"]
    texts = set()
    for row in stations(name).values():
        assert re.fullmatch(r"[A-Z0-9][A-Z0-9._-]{0,63}", row["station_id"])
        assert row["name"]
        texts.add(row["name"])
        for level in levels:
            assert row[level]
            assert not set("/|") & set(row[level])
            texts.add(row[level])
    for record in records(name):
        texts |= {record.value.get("reason", ""), record.value.get("authority", "")}
    for text in texts:
        assert unicodedata.normalize("NFC", text) == text
        assert len(text) <= 200
        assert not {unicodedata.category(sign) for sign in text} & {"Cc", "Cf", "Cs", "Zl", "Zp"}


@every_night
def test_the_night_completes(name: str) -> None:
    tally = fold(records(name))
    assert set(tally.counts) | tally.annulled == set(stations(name))


@every_night
def test_named_areas_exist(name: str) -> None:
    if not (ELECTIONS / name / "areas.csv").exists():
        return
    areas = definition(name)["areas"]
    published = {f"{areas['root']}/{row[areas['levels'][0]]}" for row in stations(name).values()}
    assert {row["area"] for row in rows(name, "areas.csv")} == published


# --- Azerbaijan, 7 February 2024

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


# --- Bolivia, 20 October 2019

BO = "bolivia-2019"


def test_bo_has_34_555_sheets_and_35_261_statements() -> None:
    assert len(stations(BO)) == 34_555
    kinds = Counter(record.value["kind"] for record in records(BO))
    assert kinds == {"report": 34_555, "correct": 706}
    assert sum(int(row["registered"]) for row in stations(BO).values()) == 7_315_364


def test_bo_after_28_975_statements_has_the_quick_count_of_the_night() -> None:
    first = fold(records(BO)[:28_975])
    assert len(first.counts) == 28_975
    assert first == until(BO, "2019-10-20T19:40:57-04:00")
    votes = first.votes()
    assert (votes["MAS"], votes["CC"]) == (2_355_644, 1_950_000)
    valid = first.ballots("valid")
    assert valid == 5_152_979
    assert (percent(votes["MAS"], valid), percent(votes["CC"], valid)) == ("45.71", "37.84")
    assert percent(28_975, 34_555) == "83.85"


def test_bo_ends_at_the_official_count() -> None:
    tally = fold(records(BO))
    assert {name: tally.ballots(name) for name in ("cast", "valid", "blank", "invalid")} == {
        "cast": 6_460_515,
        "valid": 6_137_671,
        "blank": 93_507,
        "invalid": 229_337,
    }
    assert tally.votes() == {
        "CC": 2_240_920,
        "FPV": 23_725,
        "MTS": 76_827,
        "UCS": 25_283,
        "MAS": 2_889_359,
        "21F": 260_316,
        "PDC": 539_081,
        "MNR": 42_334,
        "PAN-BOL": 39_826,
    }


def test_bo_votes_are_the_source_s_sheet_by_sheet() -> None:
    events = rows(BO, "source/events.csv.gz")
    lists = ("cc", "fpv", "mts", "ucs", "mas_ipsp", "bdn_21f", "pdc", "mnr", "pan_bol")
    for event, record in zip(events, records(BO), strict=True):
        value = record.value
        assert (event["mesa"], event["revision"], event["kind"]) == (
            record.key,
            str(value["revision"]),
            value["kind"],
        )
        assert [int(event[name]) for name in lists] == list(value["votes"].values())
        assert (int(event["blancos"]), int(event["nulos"])) == (
            value["ballots"]["blank"],
            value["ballots"]["invalid"],
        )


def test_bo_is_published_down_to_the_municipality() -> None:
    areas = definition(BO)["areas"]
    assert areas["levels"][: areas["publish_depth"]] == ["pais", "departamento", "provincia", "municipio"]


def test_bo_areas_are_the_source_s_but_for_slashes() -> None:
    levels = definition(BO)["areas"]["levels"]
    paths, source_paths = set(), set()
    for row in rows(BO, "source/mesas.csv.gz"):
        path = [stations(BO)[row["mesa"]][level] for level in levels]
        assert path == [row[level].replace("/", "-").strip() for level in levels]
        paths.add(tuple(path))
        source_paths.add(tuple(row[level] for level in levels))
    assert len(paths) == len(source_paths) == 5_296


# --- Wisconsin, 5 November 2024

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
