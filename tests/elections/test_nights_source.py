"""What holds of each shipped night, whatever was published: its script makes the same bytes, and every line is a record.

Read `published.py` first; each night has a file of its own beside this one.
"""

import json
import re
import shutil
import subprocess
import sys
import unicodedata
from datetime import datetime
from pathlib import Path

from tests.elections.published import (
    COUNTS,
    ELECTIONS,
    content,
    definition,
    every_night,
    every_real_night,
    fold,
    records,
    rows,
    stations,
)


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


@every_real_night
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


@every_real_night
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
