"""The CSV: a header that never changes, figures to the digit, and no cell that a spreadsheet takes for a formula."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest

from tally_stream.export.table import CHANNEL_COLUMNS, COLUMNS, csv_table, text_cell
from tests.export.nights import (
    ALL,
    AZ_03_13,
    COUNCIL,
    PRESIDENT,
    SMALL,
    STATIONS,
    control,
    counted,
    definition,
    messages,
    report,
    small,
    snapshot,
    snapshot_of,
)

DOCS = Path(__file__).parents[2] / "docs" / "exports.md"
Rows = list[dict[str, str]]


def rows(text: str) -> Rows:
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def of_night(night: str, until: str | None = None) -> Rows:
    return rows(csv_table([snapshot(night, until)]))


def test_the_header_is_the_documented_one() -> None:
    documented = re.findall(r"^\| `([a-z_]+)` \|", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    assert tuple(documented) == (*COLUMNS, *(column for column in CHANNEL_COLUMNS if column not in COLUMNS))
    assert csv_table([snapshot("az-2024")]).split("\r\n")[0] == ",".join(COLUMNS)


@pytest.mark.parametrize("night", ALL)
def test_a_row_for_each_area_and_candidate(night: str) -> None:
    found = of_night(night)
    election = definition(night)
    assert len(found) == len(election.areas) * len(election.contests[0].candidates)
    said = {(r["area"], r["candidate"]): (r["votes"], r["share_percent"], r["rank"]) for r in found}
    for m in messages(night):
        for c in m["candidates"]:
            assert said[m["area"], c["id"]] == (str(c["votes"]), c["share"] or "", str(c["rank"]))


def test_azerbaijan_at_03_13_to_the_digit() -> None:
    found = of_night("az-2024", AZ_03_13)
    assert found[0] == {
        "election": "AZ-2024", "phase": "official", "contest": "PRES", "contest_name": "President",
        "area": "AZ", "area_name": "Azerbaijan", "level": "root", "status": "unofficial-partial", "on_hold": "no",
        "as_of": "2024-02-07T23:13:00.000Z", "version": "38649",
        "candidate": "I-ALIYEV", "candidate_name": "Ilham Aliyev", "party": "New Azerbaijan Party", "rank": "1",
        "votes": "4281625", "valid": "4651473", "share_percent": "92.05",
        "stations_processed": "6102", "stations_expected": "6537", "stations_percent": "93.35",
        "registered_processed": "6067965", "registered_expected": "6478623", "registered_percent": "93.66",
        "ballots_counted": "", "ballots_expected": "", "ballots_percent": "",
        "turnout_cast": "", "turnout_registered": "", "turnout_percent": "",
        "ballots_cast": "", "ballots_blank": "", "ballots_invalid": "",
        "stations_counted": "6102", "stations_partial": "0", "stations_held": "0", "stations_annulled": "0",
        "stations_outstanding": "435", "rounding": "half-up, 2 places",
        "definition": definition("az-2024").digest, "next_offsets": '{"0":38649}',
        "votes_per_ballot": "1", "undervotes": "", "overvotes": "", "seats_now": "", "seats_certain": "", "voted": "4971032",
        "voted_registered": "6463602", "voted_percent": "76.91", "voted_stations": "6522", "outcome": "decided",
    }  # fmt: skip
    assert [r["votes"] for r in found[:7]] == ["4281625", "101851", "92980", "81799", "37386", "31033", "24799"]
    assert [r["share_percent"] for r in found[:7]] == ["92.05", "2.19", "2.00", "1.76", "0.80", "0.67", "0.53"]
    assert sum(int(r["votes"]) for r in found if r["level"] == "constituency") == 4_651_473


def test_azerbaijan_at_the_end_to_the_digit() -> None:
    found = of_night("az-2024")
    assert [r["votes"] for r in found[:7]] == ["4567458", "107632", "98421", "85411", "39643", "32885", "26517"]
    assert {(r["status"], r["stations_annulled"]) for r in found[:7]} == {("correction", "11")}


def test_before_the_polls_close_there_are_no_figures() -> None:
    found = of_night("az-2024", "2024-02-07T18:00:00+04:00")
    assert {r["status"] for r in found} == {"pre-election"}
    for column in ("votes", "valid", "share_percent", "rank", "turnout_cast", "ballots_cast", "ballots_blank",
                   "ballots_invalid", "ballots_counted"):  # fmt: skip
        assert {r[column] for r in found} == {""}, column
    assert found[0]["stations_expected"] == "6537"


def test_every_percent_stands_behind_its_numerator_and_denominator() -> None:
    for place, column in enumerate(COLUMNS):
        if column.endswith("_percent"):
            assert COLUMNS[place - 2 : place] in {
                ("votes", "valid"), ("stations_processed", "stations_expected"), ("turnout_cast", "turnout_registered"),
                ("registered_processed", "registered_expected"), ("ballots_counted", "ballots_expected"),
                ("voted", "voted_registered"),
            }  # fmt: skip


def test_all_rows_say_when_and_of_what(tmp_path: Path) -> None:
    """An area that did not change keeps its older message; the table is of one moment all the same."""
    election = small(tmp_path)
    early = counted(election, report("A-1", 60, 30)).messages(0)
    late = counted(election, report("A-1", 60, 30), report("B-1", 10, 90)).messages(0)
    found = rows(csv_table([snapshot_of(election, [*early, *(m for m in late if m["area"] != "X/North")])]))
    assert {(r["version"], r["as_of"], r["next_offsets"]) for r in found} == {("2", "2024-02-07T16:30:01.000Z", '{"0":2}')}


def test_a_hold_is_in_every_row(tmp_path: Path) -> None:
    election = small(tmp_path)
    folded = counted(election, report("A-1", 60, 30), control("hold"), report("B-1", 10, 90))
    assert {r["on_hold"] for r in rows(csv_table([snapshot_of(election, folded.messages(0))]))} == {"yes"}


def test_contests_one_after_the_other_under_one_header(tmp_path: Path) -> None:
    election = small(tmp_path, toml=SMALL + PRESIDENT + COUNCIL)
    folded = counted(election, report("A-1", 60, 30))
    found = rows(csv_table([snapshot_of(election, folded.messages(i), i) for i in range(2)]))
    assert [r["contest"] for r in found] == ["PRES"] * 6 + ["SEAT"] * 6


class TestCells:
    @pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "＝1", "＋1", "－1", "＠1", "  =1", "\u00a0=1", "'=1", "''@x"])
    def test_no_cell_is_a_formula(self, text: str) -> None:
        assert text_cell(text) == "'" + text

    @pytest.mark.parametrize("text", ["", "Anna", "'tis", "a=b", "1-1", "(=1)", "Ó"])
    def test_others_stay_as_they_are(self, text: str) -> None:
        assert text_cell(text) == text

    def test_hostile_names_in_every_text_column(self, tmp_path: Path) -> None:
        evil = '=cmd|"/c calc"!A0, x'
        toml = SMALL + PRESIDENT
        for name in ("President", "Anna Ahl", "Greens", "Everywhere", "Béla Bodó"):
            toml = toml.replace(f'"{name}"', f"'{evil}'")
        stations = STATIONS.replace("North,Alder", '"-North, ""1""",Alder').replace("North,Birch", '"-North, ""1""",Birch')
        election = small(tmp_path, toml=toml, stations=stations)
        text = csv_table([snapshot_of(election, counted(election, report("A-1", 60, 30)).messages(0))])
        found = rows(text)
        assert {cell for row in found for cell in row.values() if re.match(r"\s*[=+\-@]", cell)} == set()
        assert {found[0][c] for c in ("contest_name", "candidate_name", "area_name")} == {"'" + evil}
        assert found[1]["party"] == "'" + evil
        assert '\'-North, "1"' in {r["area_name"] for r in found}

    def test_lines_end_with_cr_lf_and_quotes_are_doubled(self, tmp_path: Path) -> None:
        election = small(tmp_path)
        text = csv_table([snapshot_of(election, counted(election, report("A-1", 60, 30)).messages(0))])
        assert text.endswith("\r\n")
        assert text.count("\n") == text.count("\r\n") == 7
        assert '"South ""É"", old"' in text
