"""stations.csv and areas.csv: every mistake in them with its file and line."""

import csv
import gzip

import pytest

from tally_stream.wire import limits
from tally_stream.wire.folder import stations
from tests.support.folders import STATIONS, Folder

LATIN_1 = "not UTF-8: the byte 0xFF would be 'ÿ' in Latin-1 (Windows-1252): save it as 'CSV UTF-8'"


class TestMistakesInStations:
    @pytest.mark.parametrize(
        ("row", "mistake"),
        [
            ("a-3,,,,N,T", "5: station_id 'a-3' is not an id ([A-Z0-9][A-Z0-9._-]*, at most 64 characters)"),
            (",,,,N,T", "5: station_id '' is not an id ([A-Z0-9][A-Z0-9._-]*, at most 64 characters)"),
            ("A-1,,,,N,T", "5: station_id A-1 occurs twice"),
            ("A-3,,2oo,,N,T", "5: registered is '2oo', not an integer from 0 to 999999999 (empty: unknown)"),
            ("A-3,,1000000000,,N,T", "5: registered is '1000000000', not an integer from 0 to 999999999 (empty: unknown)"),
            ("A-3,,-1,,N,T", "5: registered is '-1', not an integer from 0 to 999999999 (empty: unknown)"),
            ("A-3,,1.0,,N,T", "5: registered is '1.0', not an integer from 0 to 999999999 (empty: unknown)"),
            ("A-3,, 1,,N,T", "5: registered begins or ends with white space: ' 1' begins with U+0020"),
            ("A-3, x,,,N,T", "5: name begins or ends with white space: ' x' begins with U+0020"),
            (" A-3,,,,N,T", "5: station_id begins or ends with white space: ' A-3' begins with U+0020"),
            ("A-3,,,,North\u00a0,T", "5: region begins or ends with white space: 'North\\xa0' ends with U+00A0"),
            ("A-3,,,,N,\u3000T", "5: town begins or ends with white space: '\\u3000T' begins with U+3000"),
            (
                "A-3,\ufeffx,,,N,T",
                "5: name begins or ends with a byte order mark (U+FEFF, nobody sees it): '\\ufeffx' begins with U+FEFF",
            ),
            (
                "A-3,x\ufeff,,,N,T",
                "5: name begins or ends with a byte order mark (U+FEFF, nobody sees it): 'x\\ufeff' ends with U+FEFF",
            ),
            (
                "\ufeffA-3,,,,N,T",
                "5: station_id begins or ends with a byte order mark (U+FEFF, nobody sees it): '\\ufeffA-3' begins with U+FEFF",
            ),
            (
                "A-3,,,,N,T\ufeff",
                "5: town begins or ends with a byte order mark (U+FEFF, nobody sees it): 'T\\ufeff' ends with U+FEFF",
            ),
            ("A-3,,,,N, \ufeff T", "5: town begins or ends with white space: ' \\ufeff T' begins with U+0020"),
            ("A-3,,,,.,T", "5: region is . or .."),
            ("A-3,,,,N,..", "5: town is . or .."),
            ("A-3,,٣,,N,T", "5: registered is '٣', not an integer from 0 to 999999999 (empty: unknown)"),
            ("A-3,,,x,N,T", "5: ballots_expected is 'x', not an integer from 0 to 999999999 (empty: unknown)"),
            ("A-3,e\u0301,,,N,T", "5: name is not in Unicode normal form C: 'e\\u0301'"),
            ('A-3,"a\nb",,,N,T', "6: name has the control or separator character U+000A: 'a\\nb'"),
            ("A-3,,,,,T", "5: region is empty"),
            ("A-3,,,,N,", "5: town is empty"),
            ("A-3,,,,N/E,T", "5: region may not have / or |: 'N/E'"),
            ("A-3,,,,N|E,T", "5: region may not have / or |: 'N|E'"),
            ("A-3,,,,\u202eN,T", "5: region has the bidirectional control U+202E: '\\u202eN'"),
            ("A-3,,,,N", "5: 5 fields, the header has 6"),
            (
                "A-3,,,,N,T,U",
                "5: 7 fields, the header has 6: a text with a comma in it stands in quotation marks, a number has no comma",
            ),
            ('A-3,"x"y,,,N,T', "5: not CSV: ',' expected after '\"'"),
            ('A-3,"x', "5: not CSV: unexpected end of data"),
            ("A-3," + "x" * 131_073 + ",,,N,T", "5: name longer than 200 code points"),
        ],
    )
    def test_each_is_named_with_its_line(self, folder: Folder, row: str, mistake: str) -> None:
        folder.write("stations.csv", STATIONS + row + "\n")
        assert folder.mistakes() == [f"stations.csv:{mistake}"]

    @pytest.mark.parametrize(
        "header",
        ["station_id,name,registered,ballots_expected,region", "station_id,name,registered,ballots_expected,region,town,x",
         "station_id,name,registered,ballots_expected,region,region", "\ufeff\ufeffstation_id,name,registered,ballots_expected,region,town",
         "station_id ,name,registered,ballots_expected,region,town"],
    )  # fmt: skip
    def test_the_header(self, folder: Folder, header: str) -> None:
        folder.write("stations.csv", header + "\nA-1,,,,N,T\n")
        expected = "station_id,name,registered,ballots_expected,region,town"
        header = header.removeprefix("\ufeff")
        assert folder.mistakes() == [
            f"stations.csv:1: the header is {header!r}, it should be {expected!r}; it may have channel, polls_close too"
        ]

    def test_bytes_that_are_not_utf_8_are_named_with_their_line(self, folder: Folder) -> None:
        folder.write("stations.csv", STATIONS.encode() + b"A-3,,,,N,T\nA-4,\xff,,,N,T\n")
        assert folder.mistakes() == [f"stations.csv:6: {LATIN_1}"]

    def test_excel_s_other_encodings_are_named(self, folder: Folder) -> None:
        folder.write("stations.csv", STATIONS.encode() + "A-3,École,,,N,T\n".encode("latin-1"))
        assert folder.mistakes() == [
            "stations.csv:5: not UTF-8: the byte 0xC9 would be 'É' in Latin-1 (Windows-1252): save it as 'CSV UTF-8'"
        ]
        folder.write("stations.csv", STATIONS.encode("utf-16"))
        assert folder.mistakes() == [
            "stations.csv:1: the file is UTF-16 (as Excel's 'Unicode text' is): save it as 'CSV UTF-8'"
        ]

    @pytest.mark.parametrize("end", [b"\n", b""])
    def test_neither_utf_8_nor_a_whole_gzip_file(self, folder: Folder, end: bytes) -> None:
        folder.write("stations.csv", gzip.compress(STATIONS.encode() + b"A-3,\xff,,,N,T" + end)[:-9])
        assert folder.mistakes() == [f"stations.csv:5: {LATIN_1}"]

    def test_empty_lines_say_nothing(self, folder: Folder) -> None:
        before = folder.load()
        folder.write("stations.csv", STATIONS.replace("\n", "\n\n") + "\n")
        assert folder.load().digest == before.digest

    def test_columns_may_stand_in_another_order(self, folder: Folder) -> None:
        folder.write("stations.csv", "town,region,registered,name,station_id,ballots_expected\nAlder,North,7,School,A-1,8\n")
        (found,) = folder.load().stations.values()
        assert (found.id, found.name, found.registered, found.ballots_expected) == ("A-1", "School", 7, 8)
        assert found.path == ("North", "Alder")

    def test_a_station_at_least(self, folder: Folder) -> None:
        folder.write("stations.csv", STATIONS.splitlines()[0] + "\n")
        assert folder.mistakes() == ["stations.csv:1: no polling stations"]
        folder.write("stations.csv", "")
        assert folder.mistakes() == [
            "stations.csv:1: the file is empty: its first line should be 'station_id,name,registered,ballots_expected,region,town'"
        ]
        folder.write("stations.csv", "\n" + STATIONS)
        assert folder.mistakes() == [
            "stations.csv:1: the first line is empty: it should be 'station_id,name,registered,ballots_expected,region,town'"
        ]

    @pytest.mark.parametrize(("separator", "name"), [(";", "a semicolon"), ("\t", "a tab")])
    def test_cells_that_something_else_separates_than_a_comma(self, folder: Folder, separator: str, name: str) -> None:
        folder.write("stations.csv", STATIONS.replace(",", separator).replace('"', ""))
        header = STATIONS.splitlines()[0].replace(",", separator)
        assert folder.mistakes() == [f"stations.csv:1: the header is {header!r}: cells are separated by a comma, not by {name}"]
        folder.write("stations.csv", STATIONS + "A-3,,,,N,T\n".replace(",", separator))
        assert folder.mistakes() == [
            f"stations.csv:5: 1 field, the header has 6: cells are separated by a comma, not by {name}"
        ]

    def test_only_so_much_of_a_long_cell_is_shown_and_the_end_that_is_meant(self, folder: Folder) -> None:
        folder.write("stations.csv", STATIONS + "A-3," + "x" * 100 + " ,,,N,T\n" + "A-4, " + "y" * 100 + ",,,N,T\n")
        assert folder.mistakes() == [
            f"stations.csv:5: name begins or ends with white space: '{'x' * 79} ' ends with U+0020",
            f"stations.csv:6: name begins or ends with white space: ' {'y' * 79}' begins with U+0020",
        ]

    def test_at_the_most_stations_and_one_past_it(self, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
        assert limits.STATIONS_MAX == 2_000_000
        monkeypatch.setattr(stations, "STATIONS_MAX", 3)
        assert len(folder.load().stations) == 3
        folder.write("stations.csv", STATIONS + "C-1,,,,N,T\nC-2,,,,N,T\n")
        assert folder.mistakes() == ["stations.csv:5: more than 3 polling stations"]

    def test_files_that_cannot_be_read(self, folder: Folder) -> None:
        folder.write("stations.csv", STATIONS.encode() + b"A-3,\xff,,,N,T\n")
        (mistake,) = folder.mistakes()
        assert mistake.startswith("stations.csv:")
        assert LATIN_1 in mistake
        for broken in (gzip.compress(STATIONS.encode())[:-9], gzip.compress(STATIONS.encode())[:20] + b"\x00" * 40):
            folder.write("stations.csv", broken)
            (mistake,) = folder.mistakes()
            assert "cannot be read" in mistake
        (folder.path / "stations.csv").unlink()
        assert folder.mistakes() == ["stations.csv: is missing"]
        (folder.path / "stations.csv").mkdir()
        assert folder.mistakes() == ["stations.csv:1: cannot be read: Is a directory"]


class TestChannels:
    def with_channels(self, folder: Folder, *channels: str) -> Folder:
        """The three stations with these channels, and a closing behind them; further ones from line 5 on."""
        header, *rows = STATIONS.splitlines()
        rows += [f"C-{n},,,,North,Alder" for n in range(len(channels) - 3)]
        lines = [f"{header},channel,polls_close", *(f"{row},{channel}," for row, channel in zip(rows, channels, strict=True))]
        folder.write("stations.csv", "\n".join(lines))
        return folder

    def test_each_station_has_one(self, folder: Folder) -> None:
        assert {s.channel for s in folder.load().stations.values()} == {-1}
        of = self.with_channels(folder, "postal", "election day", "postal").load()
        assert of.channels == ("election day", "postal")
        assert [of.channels[s.channel] for s in of.stations.values()] == ["postal", "election day", "postal"]
        assert [s.path for s in of.stations.values()] == [("North", "Alder"), ("North", "Birch"), ("South", "Alder")]

    @pytest.mark.parametrize("at", [0, 2, 5, 7])
    def test_wherever_the_column_stands(self, folder: Folder, at: int) -> None:
        expected = self.with_channels(folder, "postal", "early", "postal").load()
        with (folder.path / "stations.csv").open(encoding="utf-8", newline="") as lines:
            rows = list(csv.reader(lines))
        with (folder.path / "stations.csv").open("w", encoding="utf-8", newline="") as lines:
            for row in rows:
                row.insert(at, row.pop(6))
                csv.writer(lines).writerow(row)
        assert folder.load().digest == expected.digest

    def test_at_the_longest_name_and_one_past_it(self, folder: Folder) -> None:
        assert limits.CHANNEL_MAX_CODE_POINTS == 40
        assert self.with_channels(folder, "é" * 40, "a", "a").load().channels == ("a", "é" * 40)
        assert self.with_channels(folder, "é" * 41, "a", "a").mistakes() == [
            "stations.csv:2: channel longer than 40 code points"
        ]

    def test_it_is_never_empty_where_the_column_is_there(self, folder: Folder) -> None:
        assert self.with_channels(folder, "", "postal", "").mistakes() == [
            "stations.csv:2: channel is empty", "stations.csv:4: channel is empty"
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("name", "mistake"),
        [
            ("a\u202eb", "channel has the bidirectional control U+202E: 'a\\u202eb'"),
            ("e\u0301", "channel is not in Unicode normal form C: 'e\\u0301'"),
            (" postal", "channel begins or ends with white space: ' postal' begins with U+0020"),
            ("early\u00a0", "channel begins or ends with white space: 'early\\xa0' ends with U+00A0"),
        ],
    )
    def test_what_is_no_name(self, folder: Folder, name: str, mistake: str) -> None:
        assert self.with_channels(folder, "postal", name, "postal").mistakes() == [f"stations.csv:3: {mistake}"]

    @pytest.mark.parametrize(("one", "other"), [("postal", "Postal"), ("post 1", "post ¹"), ("STRASSE", "straße")])
    def test_two_that_are_equal_but_for_case_or_form(self, folder: Folder, one: str, other: str) -> None:
        assert self.with_channels(folder, "early", one, other, other).mistakes() == [
            f"stations.csv:4: channel {other!r} is {one!r} (line 3) but for case or form"
        ]

    def test_each_is_part_of_the_digest(self, folder: Folder) -> None:
        found = [folder.load().digest]
        for channels in (("a", "a", "a"), ("a", "b", "a"), ("a", "a", "b"), ("a", "a", "c")):
            found.append(self.with_channels(folder, *channels).load().digest)
        assert len(set(found)) == 5


class TestMistakesInAreas:
    @pytest.mark.parametrize(
        ("row", "mistake"),
        [
            ("Y/North,N", "4: area 'Y/North' does not begin with the root X"),
            ("XY,N", "4: area 'XY' does not begin with the root X"),
            ("X/North,N", "4: area 'X/North' occurs twice"),
            ("X/a\u202eb,N", "4: area has the bidirectional control U+202E: 'a\\u202eb'"),
            ("X/e\u0301,N", "4: area is not in Unicode normal form C: 'e\\u0301'"),
            ("X/,N", "4: area has an empty level"),
            ("X/" + "a" * 201 + ",N", "4: area longer than 200 code points"),
            ("X/West,a\u2028b", "4: name has the control or separator character U+2028: 'a\\u2028b'"),
            ("X/West,\u2028", "4: name begins or ends with white space: '\\u2028' begins with U+2028"),
            ("X/West", "4: 1 field, the header has 2"),
        ],
    )
    def test_each_is_named_with_its_line(self, folder: Folder, row: str, mistake: str) -> None:
        folder.replace(("X/South,The South\n", f"X/South,The South\n{row}\n"), name="areas.csv")
        assert folder.mistakes() == [f"areas.csv:{mistake}"]

    def test_the_root_and_areas_without_stations_may_have_names(self, folder: Folder) -> None:
        folder.replace(("The South\n", "The South\nX,All\nX/Nowhere/Else,Nowhere\n"), name="areas.csv")
        assert len(folder.load().area_names) == 4
