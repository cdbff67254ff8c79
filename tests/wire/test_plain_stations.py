"""Reading stations many at a time: the same rows as row by row, and nothing else accepted; the collector afterwards."""

import gc
import gzip
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tally_stream.wire.folder import plain_stations
from tally_stream.wire.folder import stations as by_row
from tally_stream.wire.folder.assembling import ElectionFolderError
from tally_stream.wire.folder.table import Mistake
from tests.support.examples import examples
from tests.support.folders import Folder

LEVELS = ["region", "town"]
FIXED = [*plain_stations.FIXED_COLUMNS, *LEVELS]
COLUMNS = [*FIXED, *plain_stations.OPTIONAL_COLUMNS]
CLOSES_MS = 1_707_318_000_000
HOSTILE = ["", " ", "a-1", "-A", "A" * 65, "A\n", "É", "e\u0301", "\u212b", "a\x00b", "\x7f", "\u2028", "\u202e", "N/E", "N|E", 'q"q', "a,b",
           "1000000000", "9" * 5_000, "-1", "+1", "1.0", " 1", "1_0", "٣", "²", "x" * 201, "\ufeff", "\r", "\n", "NULL",
           " A-2", "North ", "\u00a0", "North\u00a0", "\u3000North", "\ufeffNorth", "North\ufeff", "\ufeffA-3", ".", "..", "2024-02-07T15:00:00Z", "2024-02-07T15:00:01Z",
           "Postal", "ＰＯＳＴＡＬ", "x" * 40, "x" * 41, "2024-02-07T12:00:00+04:00", "2024-02-07T15:00", "2024-02-07t15:00:00Z"]  # fmt: skip

good = st.tuples(
    st.from_regex(r"[A-Z0-9][A-Z0-9._-]{0,5}", fullmatch=True),
    st.sampled_from(["", "School", "Hall, town", 'The "Old" School', "Məktəb №12", "学校", "a\u00adb"]),
    st.sampled_from(["", "0", "007", "7", "999999999", "1100"]),
    st.sampled_from(["", "1100", "90"]),
    st.sampled_from(["North", "South", "Nord-Süd"]),
    st.sampled_from(["Alder", "Birch"]),
    st.sampled_from(["postal", "election day", "postal", "early", "Voix par été"]),
    st.sampled_from(["", "", "2024-02-07T15:00:00Z", "2024-02-07T14:00:00.5Z"]),
).map(list)
cells = st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(exclude_categories=["Cs"]), max_size=4))


@st.composite
def tables(draw: st.DrawFn) -> bytes:
    """A table of good rows, in which now and then something is not as it should be, as bytes."""
    there = draw(st.sampled_from([FIXED, COLUMNS, [*FIXED, "polls_close"], [*FIXED, "channel"]]))
    columns = draw(st.one_of(st.just(there), st.permutations(there)))
    order = [COLUMNS.index(name) for name in columns]
    is_unique = draw(st.booleans())
    rows = draw(st.lists(good, max_size=9, unique_by=(lambda row: row[0]) if is_unique else None))
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 3])) if rows else 0):
        draw(st.sampled_from(rows))[draw(st.integers(0, 7))] = draw(cells)
    lines = [
        ",".join(
            draw(
                st.sampled_from(
                    [
                        columns,
                        columns,
                        columns,
                        columns[:-1],
                        [*columns, "x"],
                        [*columns, "channel"],
                        [*columns, "polls_close"],
                        [*columns[:-1], "name"],
                    ]
                )
            )
        )
    ]
    for row in rows:
        texts = [draw(_written(row[i])) for i in order]
        lines.append(",".join(draw(st.sampled_from([texts] * 12 + [texts[:-1], [*texts, ""]]))))
        lines += draw(st.sampled_from([[]] * 6 + [[""], ["", ""], [" "], [","]]))
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    text = (
        draw(st.sampled_from([""] * 12 + ["\ufeff", end]))
        + end.join(lines)
        + draw(st.sampled_from(["", end, end * 3, '"', '"x']))
    )
    table = text.encode() + draw(st.sampled_from([b""] * 12 + [b"\xff", b"A-9,\xc3,,,North,Alder\n"]))
    packed = gzip.compress(table, mtime=0)
    return draw(st.sampled_from([table, table, table, packed, packed[:-9]]))


def _written(cell: str) -> st.SearchStrategy[str]:
    """A cell as it may stand in a file: quoted, bare where that is the same, seldom bare where it is not."""
    quoted = '"' + cell.replace('"', '""') + '"'
    is_bare = not any(c in cell for c in ',"\r\n')
    return st.sampled_from([cell, cell, quoted] if is_bare else [quoted] * 12 + [cell])


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("table") / "stations.csv"


class TestBothWaysToReadStations:
    @examples(400)
    @given(tables(), st.integers(1, 4), st.sampled_from([3, 100]))
    @example(",".join(FIXED).encode() + b"\nA-1,,,,N,T\nA-2,,,,N,T\nA-3,,,,N,T\nA-4,,,,N,T\n", 2, 3)
    @example(b"station_id,name,registered,ballots_expected,region,region\nA-1,,,,N,T\n", 2, 3)
    @example(",".join(FIXED).encode() + b"\nA-1,,,,N,T\nA-2,,,,N,T,U\n", 2, 3)
    @example(",".join(FIXED).encode() + b"\nA-1,,,,N,T\nA-2,,,,N\n", 2, 3)
    def test_give_the_same_rows_and_one_gives_none_where_the_other_finds_a_mistake(
        self, table: Path, content: bytes, chunk: int, most: int
    ) -> None:
        table.write_bytes(content)
        errors: list[Mistake] = []
        chosen: list[Mistake] = []
        with mock.patch.object(plain_stations, "CHUNK_ROWS", chunk), mock.patch.object(by_row, "STATIONS_MAX", most):
            plain = plain_stations.plain_stations(table, LEVELS, CLOSES_MS, most)
            said, _ = by_row.stations_by_row(table, LEVELS, CLOSES_MS, errors)
            found = by_row.StationTable(table, LEVELS, CLOSES_MS, chosen)
            assert (found.rows, found.closings, found.channels) == said
        assert chosen == errors
        assert plain == (None if errors else said)
        assert found.is_whole or errors

    def test_at_every_hostile_cell_in_every_column(self, table: Path) -> None:
        fine = ["A-2", "School", "7", "", "North", "Alder", "postal", "2024-02-07T14:00:00Z"]
        for column in range(len(COLUMNS)):
            for cell in HOSTILE:
                row = [*fine[:column], cell, *fine[column + 1 :]]
                quoted = ",".join('"' + text.replace('"', '""') + '"' for text in row)
                table.write_bytes("\n".join([",".join(COLUMNS), "A-1,,,,North,Alder,postal,", quoted, ""]).encode())
                errors: list[Mistake] = []
                said, _ = by_row.stations_by_row(table, LEVELS, CLOSES_MS, errors)
                plain = plain_stations.plain_stations(table, LEVELS, CLOSES_MS, 9)
                assert plain == (None if errors else said), (column, cell)

    def test_of_a_definition_without_levels(self, table: Path) -> None:
        table.write_text(",".join(plain_stations.FIXED_COLUMNS) + "\nA-1,,007,,\nA-2,,,,\n".replace(",,\n", ",\n"))
        errors: list[Mistake] = []
        said, _ = by_row.stations_by_row(table, [], CLOSES_MS, errors)
        plain = plain_stations.plain_stations(table, [], CLOSES_MS, 9)
        assert plain == said == ([("A-1", "", 7, None, ()), ("A-2", "", None, None, ())], {}, {})

    def test_closings_are_of_stations_that_close_before_the_election_does(self, table: Path) -> None:
        times = [
            "",
            "2024-02-07T15:00:00Z",
            "2024-02-07T19:00:00.0009+04:00",
            "2024-02-07T14:59:59.999Z",
            "2024-02-07T16:00:00+04:00",
        ]
        rows = "".join(f"A-{n},,,,{time}\n" for n, time in enumerate(times))
        table.write_text(",".join([*plain_stations.FIXED_COLUMNS, "polls_close"]) + "\n" + rows)
        said, _ = by_row.stations_by_row(table, [], CLOSES_MS, [])
        plain = plain_stations.plain_stations(table, [], CLOSES_MS, 9)
        assert plain == said
        assert said[1] == {"A-3": CLOSES_MS - 1, "A-4": CLOSES_MS - 10_800_000}


class TestWhoReadsIt:
    def test_a_good_table_is_not_read_row_by_row(self, folder: Folder) -> None:
        with mock.patch.object(by_row, "stations_by_row") as asked:
            assert len(folder.load().stations) == 3
        asked.assert_not_called()

    @pytest.mark.parametrize("is_on", [True, False])
    def test_the_collector_is_afterwards_as_it_was(self, folder: Folder, is_on: bool) -> None:
        seen: list[bool] = []
        as_it_is = by_row.stations_by_row

        def looked(*arguments: Any) -> Any:
            seen.append(gc.isenabled())
            return as_it_is(*arguments)

        try:
            (gc.enable if is_on else gc.disable)()
            folder.load()
            assert gc.isenabled() is is_on
            folder.replace(("A-2,", "a-2,"), name="stations.csv")
            with mock.patch.object(by_row, "stations_by_row", looked), pytest.raises(ElectionFolderError):
                folder.load()
            assert gc.isenabled() is is_on
        finally:
            gc.enable()
        assert seen == [False]
