"""Areas that look alike, tiles, shapes and an earlier election's votes: checked, and but for names no part of the definition."""

import gzip
import json
from typing import Any

import pytest

from tests.support.folders import AREAS, STATIONS, Folder


def with_stations(folder: Folder, *rows: str) -> Folder:
    folder.write("stations.csv", STATIONS.splitlines()[0] + "\n" + "".join(row + "\n" for row in rows))
    (folder.path / "areas.csv").unlink(missing_ok=True)
    return folder


class TestLookAlikes:
    @pytest.mark.parametrize(
        ("one", "other"),
        [("North", "NORTH"), ("Straße", "STRASSE"), ("ﬁne", "fine"), ("Nord\u2011Ost", "Nord\u2010Ost"), ("Ⅳ", "IV"), ("Σας", "ΣΑΣ"),
         ("２区", "2区"), ("İ", "i\u0307")],
    )  # fmt: skip
    def test_of_one_parent_are_refused_naming_both_lines(self, folder: Folder, one: str, other: str) -> None:
        with_stations(folder, f"A-1,,,,{one},T", "A-2,,,,Between,T", f"A-3,,,,{other},U")
        assert folder.mistakes() == [f"stations.csv:4: area 'X/{other}' is 'X/{one}' (line 2) but for case or form"]

    def test_at_a_level_that_is_not_published_too(self, folder: Folder) -> None:
        with_stations(folder, "A-1,,,,N,Elm", "A-2,,,,N,elm", "A-3,,,,N,ELM", "A-4,,,,N,Elm")
        assert folder.mistakes() == [
            "stations.csv:3: area 'X/N/elm' is 'X/N/Elm' (line 2) but for case or form",
            "stations.csv:4: area 'X/N/ELM' is 'X/N/Elm' (line 2) but for case or form",
        ]

    def test_of_two_parents_are_two_areas(self, folder: Folder) -> None:
        assert len(with_stations(folder, "A-1,,,,N,Elm", "A-2,,,,S,elm").load().stations) == 2

    def test_that_differ_in_more_are_two_areas(self, folder: Folder) -> None:
        assert len(with_stations(folder, "A-1,,,,Zurich,Elm", "A-2,,,,Zürich,Elm", "A-3,,,,Zu rich,Elm").load().areas) == 4

    def test_in_areas_csv_are_held_against_those_of_stations(self, folder: Folder) -> None:
        folder.write("areas.csv", AREAS + "X/north,The north\nX/West,W\nX/WEST,W\nX/SOUTH/Cedar,C\nX/Lake/Deep,D\n")
        assert folder.mistakes() == [
            "areas.csv:4: area 'X/north' is 'X/North' (stations.csv, line 2) but for case or form",
            "areas.csv:6: area 'X/WEST' is 'X/West' (line 5) but for case or form",
            "areas.csv:7: area 'X/SOUTH' is 'X/South' (stations.csv, line 4) but for case or form",
        ]

    def test_candidates_may_share_a_name(self, folder: Folder) -> None:
        folder.replace(('name = "Béla Bodó"', 'name = "Anna Ahl"')).load()


class TestTiles:
    def test_are_no_part_of_the_definition(self, folder: Folder) -> None:
        before = folder.load().digest
        folder.write("areas.csv", "area,name,tile_x,tile_y\nX/North,The North,0,-12\nX/South,The South,,\n")
        assert folder.load().digest == before

    @pytest.mark.parametrize(
        ("cells", "mistake"),
        [
            ("1.0,2", "tile_x is '1.0', not a whole number of at most nine digits"),
            ("1,two", "tile_y is 'two', not a whole number of at most nine digits"),
            ("1,1234567890", "tile_y is '1234567890', not a whole number of at most nine digits"),
            ("1,", "has one of tile_x and tile_y: they go together"),
        ],
    )
    def test_are_whole_numbers_both_or_neither(self, folder: Folder, cells: str, mistake: str) -> None:
        folder.write("areas.csv", f"area,name,tile_x,tile_y\nX/North,The North,{cells}\n")
        assert folder.mistakes() == [f"areas.csv:2: {mistake}"]

    def test_a_column_that_nobody_knows(self, folder: Folder) -> None:
        folder.write("areas.csv", "area,name,tile_z\nX/North,The North,0\n")
        assert folder.mistakes() == [
            "areas.csv:1: the header is 'area,name,tile_z', it should be 'area,name'; it may have tile_x, tile_y too"
        ]


SQUARE = [[[0, 0], [0, 1.5], [1, 1, 7], [0, 0]]]


def feature(id: Any, **changes: Any) -> dict[str, Any]:
    return {
        "type": "Feature",
        "id": id,
        "properties": {"any": [1]},
        "geometry": {"type": "Polygon", "coordinates": SQUARE},
        **changes,
    }


def collection(*features: Any) -> str:
    return '{"type": "FeatureCollection", "features": [\n' + ",\n".join(json.dumps(f) for f in features) + "\n]}\n"


class TestShapes:
    def test_are_no_part_of_the_definition(self, folder: Folder) -> None:
        before = folder.load().digest
        many = {"type": "MultiPolygon", "coordinates": [SQUARE, SQUARE]}
        text = collection(feature("X/North"), feature("X/South", geometry=many), feature("X"), feature("X/Lake")).encode()
        for written in (text, b"\xef\xbb\xbf" + text, gzip.compress(text)):
            folder.write("areas.geojson", written)
            assert folder.load().digest == before

    @pytest.mark.parametrize(
        ("bad", "mistake"),
        [
            (feature("Y/North"), "feature 'Y/North' does not begin with the root X"),
            (feature("X/North"), "feature 'X/North' occurs twice"),
            (feature(7), "is no feature of an area: Expected `str`, got `int` - at `$.id`"),
            ({"type": "Feature", "geometry": feature("X")["geometry"]}, "is no feature of an area: Object missing required field `id`"),
            (feature("X/South", geometry=None), "is no feature of an area: Expected `object`, got `null` - at `$.geometry`"),
            (feature("X/South", geometry={"type": "Point", "coordinates": [0, 0]}), "is no feature of an area: Invalid value 'Point' - at `$.geometry.type`"),
            (feature("X/South", geometry={"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [0, 0]]]}),
             "is no feature of an area: Expected `array` of length >= 4 - at `$.geometry.coordinates[0]`"),
            (feature("X/South", geometry={"type": "Polygon", "coordinates": [[[0, "0"]] * 4]}),
             "is no feature of an area: Expected `float`, got `str` - at `$.geometry.coordinates[0][0][1]`"),
        ],
    )  # fmt: skip
    def test_each_mistake_is_named_with_its_line(self, folder: Folder, bad: Any, mistake: str) -> None:
        folder.write("areas.geojson", collection(feature("X/North"), bad, feature("X/Lake")))
        assert folder.mistakes() == [f"areas.geojson:3: {mistake}"]

    def test_what_is_no_collection(self, folder: Folder) -> None:
        for text in ("", "[]", '{"type": "Feature"}', '{"type": "FeatureCollection"}', "[" * 100_000):
            folder.write("areas.geojson", text)
            (mistake,) = folder.mistakes()
            assert mistake.startswith("areas.geojson:1: is no FeatureCollection: ")
        folder.write("areas.geojson", gzip.compress(collection().encode())[:-9])
        (mistake,) = folder.mistakes()
        assert mistake.startswith("areas.geojson:1: cannot be read: ")


BASELINE = "contest,area,candidate,votes\nPRES,X,ANNA,120\nPRES,X,,300\nPRES,X/North,ANNA,0\nSEAT,X/North/Alder,CLEO,7\n"


class TestAnEarlierElection:
    def test_is_no_part_of_the_definition(self, folder: Folder) -> None:
        before = folder.load().digest
        folder.write("baseline.csv", BASELINE)
        assert folder.load().digest == before

    @pytest.mark.parametrize(
        ("row", "mistake"),
        [
            ("NONE,X,ANNA,1", "contest 'NONE' is no contest"),
            ("PRES,X,CLEO,1", "candidate 'CLEO' is none of PRES"),
            ("PRES,X/West,ANNA,1", "area 'X/West': no polling station lies in it"),
            ("PRES,Y,ANNA,1", "area 'Y': no polling station lies in it"),
            ("PRES,X/South,ANNA,", "votes is empty"),
            ("PRES,X/South,ANNA,-1", "votes is '-1', not an integer from 0 to 999999999 (empty: unknown)"),
            ("PRES,X,ANNA,120", "contest PRES, area X, candidate ANNA occur twice"),
            ("PRES,X,,120", "contest PRES, area X, candidate (valid ballots) occur twice"),
            ("PRES,X/South ,ANNA,1", "area begins or ends with white space: 'X/South ' ends with U+0020"),
        ],
    )
    def test_each_mistake_is_named_with_its_line(self, folder: Folder, row: str, mistake: str) -> None:
        folder.write("baseline.csv", BASELINE + row + "\n")
        assert folder.mistakes() == [f"baseline.csv:6: {mistake}"]

    def test_its_areas_are_not_held_against_stations_that_could_not_be_read(self, folder: Folder) -> None:
        folder.write("baseline.csv", BASELINE)
        folder.write("stations.csv", "station\nA-1\n")
        assert [m.split(":")[0] for m in folder.mistakes()] == ["stations.csv"]


class TestEverythingAtOnce:
    def test_in_the_order_of_the_files_and_their_lines(self, folder: Folder) -> None:
        folder.replace(
            ('"official"', '"live"'), ('id = "SEAT"\n', 'id = "SEAT"\nscope = ["X/West"]\n'), ("BELA = 48", "ZOE = 48")
        )
        folder.write(
            "contests.csv", "id,name,rule,rounding.method,rounding.places\nA,A,lottery,half-up,0\nPRES,P,none,half-up,0\n"
        )
        folder.write("candidates.csv", "contest,id,name\nA,K,K\nPRES,ANNA,Anna\nNONE,K,K\n")
        folder.write("scopes.csv", "contest,station_id\nA,Z-9\nSEAT,A-1\n")
        folder.replace((",200,", ",2oo,"), ("B-1,", "b-1,"), name="stations.csv")
        folder.replace(("X/South,", "X/south,"), name="areas.csv")
        folder.write("areas.geojson", collection(feature("Y")))
        folder.write("baseline.csv", BASELINE + "NONE,X,,1\n")
        folder.write("keys.csv", "")
        assert [m.split(" ")[0] for m in folder.mistakes()] == [
            "election.toml:3:", "election.toml:31:", "election.toml:45:", "contests.csv:2:", "contests.csv:3:",
            "candidates.csv:3:", "candidates.csv:4:", "scopes.csv:2:", "scopes.csv:3:", "stations.csv:2:", "stations.csv:4:", "areas.csv:3:",
            "areas.geojson:2:", "baseline.csv:6:", "keys.csv:1:",
        ]  # fmt: skip

    def test_a_byte_order_mark_is_no_part_of_any_file(self, folder: Folder) -> None:
        before = folder.load().digest
        for name in ("election.toml", "stations.csv", "areas.csv"):
            folder.write(name, b"\xef\xbb\xbf" + (folder.path / name).read_bytes())
            assert folder.load().digest == before
