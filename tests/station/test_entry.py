"""Files of reports: each way to write one is read, and each mistake of a file is named with line and column."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally_stream.station import entry
from tally_stream.station.checking import KnownStatements
from tally_stream.station.entry import completed, read_entries
from tally_stream.station.preparing import NotAStatement, prepare
from tests.support.report_messages import ELECTION, LOG_MS, counts, election

TABLE = """\
station,contest,counted_at,cast,valid,blank,invalid,ANNA,BELA
A-1,PRES,2024-02-07T20:00:00+04:00,100,96,2,2,50,46
"""
ROW = {
    "station": "A-1", "contest": "PRES", "counted_at": "2024-02-07T20:00:00+04:00",
    "ballots": {"cast": 100, "valid": 96, "blank": 2, "invalid": 2}, "votes": {"ANNA": 50, "BELA": 46},
}  # fmt: skip


def read(content: str | bytes) -> tuple[list[dict[str, object]], list[str]]:
    raw = content if isinstance(content, bytes) else content.encode()
    entries, mistakes = read_entries("f", raw, ELECTION)
    return [entered.fields for entered in entries], [str(mistake) for mistake in mistakes]


class TestJson:
    def test_one_many_and_one_behind_the_other(self) -> None:
        one = counts()
        for text in (json.dumps(one), json.dumps(one, indent=2), "\ufeff" + json.dumps(one)):
            assert read(text) == ([one], [])
        for text in (json.dumps([one, one]), json.dumps(one) + "\n" + json.dumps(one) + "\n", json.dumps(one) * 2):
            assert read(text) == ([one, one], [])

    def test_each_has_its_line(self) -> None:
        entries, _ = read_entries("f", b'{"a": 1}\n\n{"b":\n2}\n{"c": 3}', ELECTION)
        assert [entered.place for entered in entries] == ["f:1", "f:3", "f:5"]

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ('{"a": 1}\n{"a": }', "f:2:7: not JSON: Expecting value"),
            ('{"a": 1, "a": 2}', "f:1: the field 'a' stands twice"),
            ('{"a": NaN}', "f:1: not JSON: NaN is not JSON"),
            ("[1]", "f:1: not a report but '1': a report is a JSON object"),
            ('{"a": ' + "9" * 5_000 + "}", "f:1: not JSON: Exceeds the limit"),
            ("[" * 100_000, "f:1: not JSON: maximum recursion depth"),
            ("", "f:1: the file is empty: it should hold a report"),
        ],
    )
    def test_mistakes_have_line_and_column(self, text: str, sentence: str) -> None:
        _, (mistake,) = read(text)
        assert mistake.startswith(sentence)


class TestTable:
    @pytest.mark.parametrize(
        "text",
        [
            TABLE,
            TABLE.replace(",", ";"),
            TABLE.replace(",", "\t"),
            "sep=;\n" + TABLE.replace(",", ";"),
            "\ufeff" + TABLE.replace("\n", "\r\n"),
            TABLE.replace("46\n", "46,,\n").replace("BELA\n", "BELA,,\n"),
            TABLE + ",,,,,,,,\n\n",
            TABLE.replace("A-1", ' "A-1" '.strip()).replace("100", " 100 "),
        ],
        ids=["comma", "semicolon", "tab", "sep", "excel", "empty columns", "empty rows", "quotes and spaces"],
    )
    def test_what_excel_writes_is_read(self, text: str) -> None:
        assert read(text) == ([ROW], [])

    def test_an_empty_cell_is_unknown_and_never_0(self) -> None:
        rows, mistakes = read(TABLE.replace(",2,2,", ",,2,").replace(",46", ","))
        assert mistakes == []
        assert rows == [{**ROW, "ballots": {"cast": 100, "valid": 96, "invalid": 2}, "votes": {"ANNA": 50}}]

    def test_kinds_and_several_stations(self) -> None:
        text = ("station,kind,revision,replaces,reason,authority,complete,registered,valid,ANNA,as_of,voted\n"
                'A-1,correct,2,1,"misread, twice",board,FALSE,200,0,0,,\nB-1,turnout,1,,,,,,,,2024-02-07T17:00:00+04:00,80\n')  # fmt: skip
        rows, mistakes = read(text)
        assert mistakes == []
        assert rows == [
            {"station": "A-1", "kind": "correct", "revision": 2, "replaces": 1, "reason": "misread, twice", "authority": "board",
             "complete": False, "registered": 200, "ballots": {"valid": 0}, "votes": {"ANNA": 0}},
            {"station": "B-1", "kind": "turnout", "revision": 1, "as_of": "2024-02-07T17:00:00+04:00", "voted": 80},
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            ((",96,", ",1 096,"), "f:2:5: valid is '1 096', not a whole number in digits alone (empty: unknown)"),
            ((",96,", ',"96.0",'), "f:2:5: valid is '96.0', not a whole number"),
            ((",96,", ",-6,"), "f:2:5: valid is '-6', not a whole number"),
            ((",96,", ",1000000000,"), "f:2:5: valid is '1000000000', not a whole number"),
            ((",46\n", ",46,7\n"), "f:2: 10 cells, the first line has 9"),
            ((",46\n", "\n"), "f:2: 8 cells, the first line has 9"),
            (("BELA", "BERTA"), "f:1:9: unknown column 'BERTA': it is neither a candidate's id nor one of station, contest"),
            (("BELA", "ANNA"), "f:1:9: the column 'ANNA' stands twice"),
            (("station", "kind"), "f:1: the first line names no column 'station'"),
            (("A-1", '"A-1'), "f:2: not CSV: unexpected end of data"),
        ],
    )
    def test_mistakes_have_line_and_column(self, change: tuple[str, str], sentence: str) -> None:
        _, (mistake,) = read(TABLE.replace(*change))
        assert mistake.startswith(sentence)

    def test_every_mistake_is_told_at_once_and_lines_are_those_of_the_file(self) -> None:
        header, row, _ = TABLE.split("\n")
        text = "\n".join(["sep=,", header, row.replace("A-1", '"A-\n1"'), row.replace("100", "x"), row.replace("46", "y")])
        assert [mistake.split(" is ")[0] for mistake in read(text)[1]] == ["f:5:4: cast", "f:6:9: BELA"]

    def test_complete_is_true_or_false(self) -> None:
        _, (mistake,) = read("station,complete\nA-1,WAHR\n")
        assert mistake == "f:2:2: complete is 'WAHR', not true or false"


class TestBytes:
    def test_latin_1_is_refused_by_name(self) -> None:
        _, (mistake,) = read("station,reason\nA-1,é vû\n".encode("latin-1"))
        assert mistake == ("f:2:5: not UTF-8: the byte 0xE9 would be 'é' in Latin-1 (Windows-1252): save it as 'CSV UTF-8'")

    @pytest.mark.parametrize("coding", ["utf-16", "utf-16-be"])
    def test_utf_16_is_refused_by_name(self, coding: str) -> None:
        mark = b"\xfe\xff" if coding == "utf-16-be" else b""
        _, (mistake,) = read(mark + TABLE.encode(coding))
        assert mistake.startswith("f:1:1: the file is UTF-16 (as Excel's 'Unicode text' is)")

    def test_a_file_has_a_limit(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(entry, "FILE_MAX_BYTES", len(TABLE))
        assert read(TABLE) == ([ROW], [])
        _, (mistake,) = read(TABLE + " ")
        assert mistake == f"f: {len(TABLE) + 1} bytes, at most {len(TABLE)} are read: cut it in parts"


@given(st.binary(max_size=200) | st.text('{}[]",:;\t\n\r A1-stationcontestANNABELA', max_size=80).map(str.encode))
def test_no_bytes_raise_and_each_gives_something_or_a_mistake(raw: bytes) -> None:
    entries, mistakes = read_entries("f", raw, ELECTION)
    known = KnownStatements(ELECTION)
    for entered in entries:
        with suppress(NotAStatement):
            assert prepare(entered.fields, known, LOG_MS).checked.verdict
    assert all(mistake.what and mistake.line >= 0 for mistake in mistakes)


def test_the_only_contest_and_the_phase_are_filled_in() -> None:
    alone = election(phase="test", contest_count=1)
    assert completed({"station": "A-1", "reason": None}, alone) == {
        "schema": 1, "election": "X-2024", "phase": "test", "contest": "PRES", "kind": "report", "station": "A-1",
    }  # fmt: skip
    some = election(named={"SEAT": ["B-1"]})
    assert completed({"station": "A-1"}, some)["contest"] == "PRES"
    assert "contest" not in completed({"station": "B-1"}, some)
    assert "contest" not in completed({"station": "nowhere"}, some)
    assert "contest" not in completed({"station": "A-1", "kind": "turnout"}, some)
