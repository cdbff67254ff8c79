"""What a folder may say and hardly means: each warning with its file and line, and what gives none."""

import gzip
import hashlib

import pytest

from tally_stream.wire import limits
from tally_stream.wire.folder import assembling
from tests.support.folders import STATIONS, Folder
from tests.support.paths import NIGHTS

SEATS = "election.toml:32: contest SEAT has 2 seats, and only 1 who can take one"


@pytest.fixture
def quiet(folder: Folder) -> Folder:
    """A folder that nobody doubts."""
    return folder.replace(("seats = 2", "seats = 1"))


def warnings_with(folder: Folder, *levels: str, town: str = "Alder") -> list[str]:
    """Those of a folder in which stations 5, 6, … lie in these regions too."""
    rows = "".join(f"C-{i},,10,,{level},{town}\n" for i, level in enumerate(levels))
    folder.write("stations.csv", STATIONS + rows)
    return folder.warnings()


class TestAreas:
    @pytest.mark.parametrize(
        ("name", "shown", "differ"),
        [
            ("South\u200b", r"South\u200b", "U+200B"),
            ("\u2060South", r"\u2060South", "U+2060"),
            ("So\u00aduth", r"So\xaduth", "U+00AD"),
            ("South\u200d", r"South\u200d", "U+200D"),
            ("South\ufe0f", r"South\ufe0f", "U+FE0F"),
            ("S\u043euth", "S\u043euth", "U+043E"),
            ("S\u03bfuth", "S\u03bfuth", "U+03BF"),
            ("S0uth", "S0uth", None),
        ],
    )
    def test_that_look_like_another_are_named_with_both_lines(
        self, quiet: Folder, name: str, shown: str, differ: str | None
    ) -> None:
        found = warnings_with(quiet, name)
        if differ is None:  # 0 looks like O, and not like o
            assert found == []
            return
        assert found == [
            f"stations.csv:5: area 'X/{shown}' looks like 'X/South' (line 4), and is another: they differ in {differ}"
        ]

    @pytest.mark.parametrize(
        ("first", "second", "differ"),
        [
            ("Ward 10", "Ward 1O", ": they differ in U+0030, U+004F"),
            ("Ward 1", "Ward l", ": they differ in U+0031, U+006C"),
            ("Saint-Jean", "Saint\u2013Jean", ": they differ in U+2013"),
            ("L'Aquila", "L\u2019Aquila", ": they differ in U+2019"),
            ("L'Aquila", "L`Aquila", ": they differ in U+0027, U+0060"),
            ("New York", "New  York", ""),
            ("\u041e\u0420\u0415\u041b", "OPEJI", None),
            ("\u0421\u0410\u0420", "CAP", ": they differ in U+0410, U+0420, U+0421"),
            ("\u0645\u06cc\u0631", "\u0645\u06cc\u200c\u0631", ": they differ in U+200C"),
        ],
    )
    def test_of_every_kind_that_is_drawn_alike(self, quiet: Folder, first: str, second: str, differ: str | None) -> None:
        found = warnings_with(quiet, first, second)
        if differ is None:
            assert found == []
            return
        [warning] = found
        assert warning == f"stations.csv:6: area {'X/' + second!r} looks like {'X/' + first!r} (line 5), and is another{differ}"

    def test_of_two_parents_are_not_alike(self, quiet: Folder) -> None:
        quiet.write("stations.csv", STATIONS + "C-1,,10,,North,Oak\nC-2,,10,,South,0ak\n")
        assert quiet.warnings() == []
        quiet.write("stations.csv", STATIONS + "C-1,,10,,North,Oak\nC-2,,10,,North,0ak\n")
        assert quiet.warnings() == [
            "stations.csv:6: area 'X/North/0ak' looks like 'X/North/Oak' (line 5), and is another: they differ in U+0030, U+004F"
        ]

    @pytest.mark.parametrize(
        ("name", "shown", "what"),
        [
            ("Ea\u200bst", r"Ea\u200bst", "has what nobody sees: U+200B"),
            ("East\u200d", r"East\u200d", "has what nobody sees: U+200D"),
            ("East\ufeffern\u3164side", r"East\ufeffern\u3164side", "has what nobody sees: U+3164, U+FEFF"),
            ("\u0645\u06cc\u0631\u200c", "\u0645\u06cc\u0631\\u200c", "has what nobody sees: U+200C"),
            ("\u200c\u0645\u06cc\u0631", "\\u200c\u0645\u06cc\u0631", "has what nobody sees: U+200C"),
            ("E\u0430st", "E\u0430st", "has letters of Cyrillic and Latin in one word: U+0430 is Cyrillic"),
            ("\u0421\u0435\u0432e\u0440", "\u0421\u0435\u0432e\u0440",
             "has letters of Cyrillic and Latin in one word: U+0065 is Latin"),
        ],
    )  # fmt: skip
    def test_whose_own_name_is_odd(self, quiet: Folder, name: str, shown: str, what: str) -> None:
        assert warnings_with(quiet, name, name) == [f"stations.csv:5: area 'X/{shown}' {what}"]
        assert warnings_with(quiet, "East", town=name) == [f"stations.csv:5: area 'X/East/{shown}' {what}"]

    @pytest.mark.parametrize(
        "name",
        [
            "\u0645\u06cc\u200c\u0631", "\u0915\u094d\u200d\u0937", "\u0915\u094d\u200d", "\u845b\U000e0100\u57ce", "\u0661\u0600",
            "\u041e\u043a\u0440\u0443\u0433 B", "\u9577\u91ce\u30a2\u306eA", "Gr\u00e4\u00dflin", "1\u0410-\u0448\u043a\u043e\u043b\u0430",
        ],
    )  # fmt: skip
    def test_whose_name_needs_what_it_has(self, quiet: Folder, name: str) -> None:
        assert warnings_with(quiet, name) == []


def test_rows_of_areas_csv_that_name_no_area(quiet: Folder) -> None:
    quiet.write("areas.csv", "area,name\nX,All\nX/North/Birch,B\nX/North\u200b,The North\nX/South,The South\n")
    assert quiet.warnings() == [r"areas.csv:4: area 'X/North\u200b': no polling station lies in it, so nothing is named"]
    (quiet.path / "areas.csv").unlink()
    assert quiet.warnings() == []


def test_stations_without_voters_and_without_ballots_expected(quiet: Folder) -> None:
    quiet.write("stations.csv", STATIONS + "C-1,,0,,North,Alder\nC-2,,0,0,North,Alder\nC-3,,0,9,North,Alder\n")
    assert quiet.warnings() == [
        "stations.csv:5: station C-1 has registered 0 and no ballots_expected: a report with ballots will be held; say how many are "
        "expected, or leave registered empty where it is not known"
    ]


class TestSeats:
    def test_more_than_can_be_taken(self, folder: Folder) -> None:
        assert folder.warnings() == [SEATS]
        folder.replace(
            ("seats = 2", "seats = 5"), ('name = "Cleo"', 'name = "Cleo"\n[[contests.candidates]]\nid = "D"\nname = "D"')
        )
        assert folder.warnings() == [SEATS.replace("2 seats, and only 1", "5 seats, and only 2")]
        folder.replace(('name = "D"', 'name = "D"\neligible = false'))
        assert folder.warnings() == [SEATS.replace("2 seats", "5 seats")]

    def test_where_nobody_is_eligible_or_nothing_is_won(self, folder: Folder) -> None:
        folder.replace(('rule = "plurality"', 'rule = "none"'))
        assert folder.warnings() == []
        folder.replace(('rule = "none"', 'rule = "plurality"'), ('name = "Cleo"', 'name = "Cleo"\neligible = false'))
        assert folder.warnings() == []


class TestALogBesideIt:
    """A worker reads no reports.jsonl; `replay` and `demo` end where it can not be read."""

    LINE = '{"timestamp": 1, "key": "A-1", "value": "any"}\n'

    @pytest.mark.parametrize("name", ["reports.jsonl", "reports.jsonl.gz"])
    def test_that_can_be_read(self, quiet: Folder, name: str) -> None:
        for text in (b"", self.LINE.encode() * 3):
            quiet.write(name, gzip.compress(text) if name.endswith(".gz") else text)
            assert quiet.warnings() == []

    def test_that_can_not(self, quiet: Folder) -> None:
        quiet.write("reports.jsonl", self.LINE * 2 + "{}\n" + "x\n")
        [warning] = quiet.warnings()
        assert warning.startswith("reports.jsonl:3: not a line of a report log: ")
        quiet.write("reports.jsonl", b"\x00\xff\x00")
        [warning] = quiet.warnings()
        assert warning.startswith("reports.jsonl:1: not a line of a report log: ")

    def test_of_which_something_was_added_to_the_end(self, quiet: Folder) -> None:
        header = '{"log": 1, "topic": "tally.reports", "partitions": 1}\n'
        rows = [self.LINE.replace("}", f', "partition": 0, "offset": {i}}}') for i in range(2)]
        digest = hashlib.sha256((header + rows[0]).encode()).hexdigest()
        quiet.write("reports.jsonl", header + rows[0] + f'{{"records": 1, "sha256": "{digest}"}}\n' + rows[1])
        assert quiet.warnings() == ["reports.jsonl: its last 1 records stand under no checksum: it was cut or added to"]

    def test_that_stands_there_twice_or_is_a_folder(self, quiet: Folder) -> None:
        quiet.write("reports.jsonl", self.LINE)
        quiet.write("reports.jsonl.gz", self.LINE)
        assert quiet.warnings() == ["reports.jsonl:1: stands beside reports.jsonl.gz; one of them must go"]
        (quiet.path / "reports.jsonl.gz").unlink()
        (quiet.path / "reports.jsonl").unlink()
        (quiet.path / "reports.jsonl").mkdir()
        assert quiet.warnings() == ["reports.jsonl:1: cannot be read: Is a directory"]


def test_no_more_are_shown_than_anyone_reads(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assembling, "FOLDER_ERRORS_SHOWN_MAX", 2)
    assert limits.FOLDER_ERRORS_SHOWN_MAX > 2
    found = warnings_with(folder, "E\u0430st", "W\u0435st", "S\u043euth")
    assert [warning.split(" ")[0] for warning in found] == ["election.toml:32:", "stations.csv:5:", "…"]
    assert found[2] == "… and 2 more warnings: 2 in stations.csv"


@pytest.mark.parametrize("night", ["az-2024", "bolivia-2019", "wisconsin-2024"])
def test_the_nights_that_ship_give_none(night: str, folder: Folder) -> None:
    folder.path = NIGHTS / night
    assert folder.warnings() == []
