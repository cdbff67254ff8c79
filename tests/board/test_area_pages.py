"""The page of an area, and the lists of areas and contests: what the board writes and answers, without a browser or broker."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from tally_stream.board.addresses import page_path
from tally_stream.board.area_rows import SORTS
from tally_stream.board.places import Places, natural
from tests.board.told import AREAS, ToldBoard, deep_folder, statement

Client = TestClient[Any, Any]
STRANGE = "R/Süd & <West>/100 %?#"
STRANGE_PAGE = "/contest/PRES/area/R/S%C3%BCd%20%26%20%3CWest%3E/100%20%25%3F%23"


@pytest.fixture
def told(tmp_path: Path) -> ToldBoard:
    """Sèvres has votes of both, Bad Dürkheim too, the wards none; SEAT has no station in the north."""
    told = ToldBoard(tmp_path, folder=deep_folder(tmp_path / "election"))
    told.take(statement("PRES", "S1", 1, "report", (30, 20)), statement("PRES", "S7", 1, "report", (400, 100)))
    return told


@pytest.fixture
async def client(told: ToldBoard) -> AsyncIterator[Client]:
    async with TestClient(TestServer(told.board.application())) as client:
        yield client


async def text(client: Client, path: str, status: int = 200) -> str:
    answer = await client.get(path)
    found: str = await answer.text()
    assert answer.status == status, (path, found)
    return found


async def asked(client: Client, path: str, status: int = 200) -> dict[str, Any]:
    answer = await client.get(f"/api/v1/{path}")
    found: dict[str, Any] = await answer.json()
    assert answer.status == status, (path, found)
    return found


def part(page: str, name: str) -> str:
    """What stands in the element of that id, as a reader reads it."""
    found = re.search(rf'<(\w+)[^>]*\bid="{name}"[^>]*>(.*?)</\1>', page, re.DOTALL)
    assert found is not None, name
    return " ".join(html.unescape(re.sub("<[^>]+>", " ", found[2])).split())


# -- the page of an area -----------------------------------------------------------------------------------------------


async def test_an_area_has_its_own_figures_at_its_own_address(client: Client) -> None:
    whole = await text(client, "/contest/PRES")
    north = await text(client, "/contest/PRES/area/R/NORTH")
    town = await text(client, "/contest/PRES/area/R/NORTH/T1")
    assert "430" in part(whole, "leaders")
    assert part(north, "leaders") == part(town, "leaders")
    assert part(north, "leaders").startswith("1 Anna Ahl Greens 30 60.00 2")
    assert part(north, "leaders-title") == "Results: Nørdland"
    assert part(whole, "leaders-title") == "Results"
    assert "1 of 6" in part(north, "measures")
    assert "1 of 2" in part(town, "measures")
    assert part(north, "trail") == "Everywhere Nørdland"
    assert 'id="trail"' not in whole
    assert [name in part(north, "areas") for name in ("Sèvres", "Ward 9", "Ward 10", "Dürkheim")] == [True, True, True, False]
    assert "<title>Nørdland › Sèvres · President · Rehearsal of a small country</title>" in town
    assert part(town, "areas") == ""
    assert '<a href="/api/v1/standings/PRES/R/NORTH">JSON</a>' in north
    assert '"/api/v1/stream?contest=PRES&amp;area=R%2FNORTH"' in north


async def test_an_area_is_as_new_as_the_root_where_it_did_not_change(told: ToldBoard, client: Client) -> None:
    """Its message is not sent again while nothing in it changes; its time would look like a count that stopped."""
    told.log(statement("PRES", "S8", 1, "report", (1, 1), at_ms=1_767_308_400_000))
    told.publish("PRES", without=("R/NORTH/T2",))
    ward = await asked(client, "standings/PRES/R/NORTH/T2")
    assert "23:00" not in ward["as_of"]
    assert "Counted up to 2026-01-01 23:00 UTC" in part(await text(client, "/contest/PRES/area/R/NORTH/T2"), "line")


async def test_an_area_newer_than_the_root_waits_for_it(told: ToldBoard, client: Client) -> None:
    paths = [
        "/contest/PRES/area/R/NORTH",
        "/contest/PRES",
        "/api/v1/areas/PRES",
        "/api/v1/areas/PRES?q=nord",
        "/contest/PRES?q=n%C3%B8rd",
    ]
    before = [await text(client, path) for path in paths]
    told.log(statement("PRES", "S2", 1, "report", (77, 0)))
    told.publish("PRES", without=("R",))
    assert [await text(client, path) for path in paths] == before
    told.publish("PRES")
    assert all("107" in part_of for part_of in [await text(client, path) for path in paths[:1]])
    assert [await text(client, path) for path in paths] != before


async def test_an_area_says_that_nothing_is_won_there_and_how_the_whole_contest_stands(told: ToldBoard, client: Client) -> None:
    """A leader in bold on a page without a word about the outcome reads as a win."""
    whole = part(await text(client, "/contest/PRES"), "outcome")
    assert whole.startswith("Open: Anna Ahl leads by 310 votes")
    here = "Nothing is won here. Only the whole contest has an outcome: President ."
    for area in ("R/NORTH", "R/NORTH/T2", "R/S%C3%BCd%20%26%20%3CWest%3E"):
        page = await text(client, f"/contest/PRES/area/{area}?lang=en&theme=dark")
        assert part(page, "outcome") == f"{here} {whole}", area
        assert '<a href="/contest/PRES?lang=en&amp;theme=dark"><bdi>President</bdi></a>' in page
        assert 0 < page.index('id="leaders"') < page.index('id="outcome"') < page.index('id="measures"'), "under the leader"
    assert "leads by 310 votes" in await text(client, "/contest/PRES/area/R/NORTH"), "which is kept"
    told.log(statement("PRES", "S8", 1, "report", (1, 1_000)))
    told.publish("PRES", without=("R/NORTH", "R/NORTH/T1", "R/NORTH/T2", "R/NORTH/T10"))
    moved = part(await text(client, "/contest/PRES"), "outcome")
    assert "leads by 689 votes" in moved
    assert part(await text(client, "/contest/PRES/area/R/NORTH"), "outcome") == f"{here} {moved}", "it moves with the whole"
    assert "Nothing is won" not in await text(client, "/contest/PRES")


async def test_names_are_parts_of_an_address_and_never_markup(client: Client) -> None:
    assert page_path("PRES", STRANGE) == STRANGE_PAGE
    page = await text(client, STRANGE_PAGE)
    assert part(page, "leaders").startswith("1 Anna Ahl Greens 400 80.00")
    assert "<b>" not in page
    above = await text(client, STRANGE_PAGE.rpartition("/")[0])
    assert f'<a href="{STRANGE_PAGE}">' in above
    for row in (await asked(client, "areas/PRES/" + quote("R/Süd & <West>")))["areas"]:
        assert row["page"] == STRANGE_PAGE
        assert (await client.get(row["standings"])).status == 200
    assert await text(client, STRANGE_PAGE.replace("/100", "%2F100")) == page


@pytest.mark.parametrize("query", ["", "?lang=az", "?theme=dark&lang=ru", "?screen=", "?embed=&lang=es"])
async def test_every_link_keeps_the_place_and_what_was_chosen(client: Client, query: str) -> None:
    page = await text(client, "/contest/PRES/area/R/NORTH" + query)
    links = [urlsplit(html.unescape(link)) for link in re.findall(r'<a href="([^"]+)"', page)]
    chosen = set(parse_qsl(query.strip("?"), keep_blank_values=True))
    kept = [(link.path, set(parse_qsl(link.query, keep_blank_values=True))) for link in links]
    for path in ("/contest/PRES", "/contest/PRES/area/R/NORTH/T1", "/contest/SEAT"):
        assert (path, chosen) in kept, path
    for language in ("en", "az", "es", "ru"):
        there = {pair for pair in chosen if pair[0] != "lang"} | {("lang", language)}
        assert ("/contest/PRES/area/R/NORTH", there) in kept, "a language leads to this very place"


async def test_a_language_keeps_what_is_searched_for_and_how_it_is_sorted(client: Client) -> None:
    page = await text(client, "/contest/PRES/area/R/NORTH?q=ward&sort=lead&order=desc")
    assert 'href="/contest/PRES/area/R/NORTH?q=ward&amp;sort=lead&amp;order=desc&amp;lang=az"' in page
    for kept in ('name="sort" value="lead"', 'name="order" value="desc"'):
        assert kept in page.partition('id="areas-form"')[2], "and so does the next search"
    assert page.count('name="q"') == 1


async def test_another_contest_is_shown_in_the_same_area_where_it_has_it(client: Client) -> None:
    south = await text(client, STRANGE_PAGE)
    assert f'href="{STRANGE_PAGE.replace("PRES", "SEAT")}"' in south
    north = await text(client, "/contest/PRES/area/R/NORTH")
    assert 'href="/contest/SEAT"' in north
    assert "/contest/SEAT/area" not in north


@pytest.mark.parametrize(
    "path", ["/contest/NONE", "/contest/PRES/area/R/NOWHERE", "/contest/SEAT/area/R/NORTH", "/contest/pres"]
)
async def test_a_place_that_is_not_there_is_said_to_people(client: Client, path: str) -> None:
    page = await text(client, path + "?lang=es", 404)
    assert "No existe tal elección o zona." in page
    assert 'href="/?lang=es"' in page
    answer = await client.get(path)
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert answer.content_type == "text/html"


async def test_where_there_is_no_such_area_the_way_leads_to_its_contest(client: Client) -> None:
    page = await text(client, "/contest/SEAT/area/R/NORTH?lang=az&theme=dark", 404)
    assert 'href="/contest/SEAT?lang=az&amp;theme=dark"' in page
    assert 'href="/contest/SEAT/area/R/NORTH?lang=es&amp;theme=dark"' in page, "a language keeps the place"
    assert 'href="/?lang=az&amp;theme=dark"' in await text(client, "/contest/NONE?lang=az&theme=dark", 404)


@pytest.mark.parametrize(
    ("path", "whole"),
    [("/contest/PRES/", "/contest/PRES"), ("/contest/PRES/area/R/NORTH//", "/contest/PRES/area/R/NORTH"),
     (STRANGE_PAGE + "/?lang=es&q=%26", STRANGE_PAGE + "?lang=es&q=%26"), ("/contests/?q=a", "/contests?q=a"),
     ("/contest/PRES/area/", "/contest/PRES"), ("/contest/PRES/area?screen", "/contest/PRES?screen")],
)  # fmt: skip
async def test_a_slash_too_many_leads_to_the_place_that_is_meant(client: Client, path: str, whole: str) -> None:
    answer = await client.get(URL(path, encoded=True), allow_redirects=False)
    assert (answer.status, answer.headers["Location"]) == (301, whole)
    assert await text(client, whole)


async def test_a_contest_has_only_the_areas_of_its_stations(client: Client) -> None:
    assert [row["area"] for row in (await asked(client, "areas/SEAT"))["areas"]] == ["R/Süd & <West>"]
    assert "Nørdland" not in part(await text(client, "/contest/SEAT"), "areas")
    assert "no polling station there votes in it" in (await asked(client, "standings/SEAT/R/NORTH", 404))["error"]
    assert "no published area" in (await asked(client, "standings/SEAT/R/NOWHERE", 404))["error"]
    assert (await asked(client, "areas/SEAT?q=sevres"))["found"] == 0
    assert (await client.get("/api/v1/stream?contest=SEAT&area=R/NORTH")).status == 404
    assert [row["station"] for row in (await asked(client, "stations?contest=SEAT"))["stations"]] == ["S7", "S8"]
    assert [c["contest"] for c in (await asked(client, "stations/S1"))["contests"]] == ["PRES"]


async def test_the_stream_of_an_area_sends_its_own_standings(client: Client) -> None:
    stream = await client.get("/api/v1/stream?contest=PRES&area=R/NORTH/T1")
    assert stream.status == 200
    event = await stream.content.readuntil(b"\n\nevent: beat")
    (data,) = re.findall(rb"data: (.*)\n", event)
    assert data == (await (await client.get("/api/v1/standings/PRES/R/NORTH/T1")).read())


async def test_changes_stand_on_the_page_and_nonsense_breaks_none(told: ToldBoard, client: Client) -> None:
    good = {"kind": "annul", "from_revision": 1, "to_revision": 2, "votes_delta": {"ANNA": -30, "EVIL": -1_020},
            "ballots_delta": {"valid": -1_050}, "reason": "<b>why", "authority": "The Commission"}  # fmt: skip
    told.change(4, area="R/NORTH/T1", **good)
    told.change(5, area="R/NORTH/T1", **{**good, "kind": "nonsense"})
    told.change(6, area="R/NORTH/T1", **{**good, "votes_delta": 7})
    told.change(7, area="R/NORTH/T1")
    for path in ("/contest/PRES", "/contest/PRES/area/R/NORTH", "/contest/PRES/area/R/NORTH/T1"):
        page = await text(client, path)
        said = part(page, "ledger")
        assert page.count('<tr data-key="4,0,4">') == 1, path
        assert "Revision 1 → 2" in said
        assert "Nørdland › Sèvres" in said
        assert "−1,050 By candidate Anna Ahl −30" in said
        assert "<b>why The Commission" in said
        assert "<b>" not in page
    assert part(await text(client, STRANGE_PAGE), "ledger") == ""
    assert "No count was changed so far." in html.unescape(await text(client, STRANGE_PAGE))
    names = (await asked(client, "changes?contest=PRES&area=R/NORTH"))["names"]
    assert names == {"R/NORTH/T1": "Nørdland › Sèvres"}


# -- lists of areas ----------------------------------------------------------------------------------------------------


def ids(found: dict[str, Any]) -> list[str]:
    return [row["area"] for row in found["areas"]]


async def test_a_row_has_the_figures_of_its_message(client: Client) -> None:
    rows = {row["area"]: row for row in (await asked(client, "areas/PRES/R/NORTH"))["areas"]}
    assert rows["R/NORTH/T1"] == {
        "area": "R/NORTH/T1", "name": "Sèvres", "above": ["Nørdland"], "has_areas": False, "version": 2,
        "status": "unofficial-partial", "stations": {"done": 1, "of": 2, "percent": "50.00"},
        "leader": {"id": "ANNA", "name": "Anna Ahl", "votes": 30, "share": "60.00"}, "lead": 10, "valid": 50, "outstanding": 1,
        "standings": "/api/v1/standings/PRES/R/NORTH/T1", "page": "/contest/PRES/area/R/NORTH/T1",
    }  # fmt: skip
    assert (rows["R/NORTH/T2"]["leader"], rows["R/NORTH/T2"]["lead"]) == (None, None), "nobody leads without votes"


async def test_areas_are_sorted_and_cut_into_pages_by_the_board(told: ToldBoard, client: Client) -> None:
    told.take(statement("PRES", "S3", 1, "report", (5, 40)))  # Ward 10
    by_name = ["R/NORTH/T1", "R/NORTH/T2", "R/NORTH/T10"]
    assert ids(await asked(client, "areas/PRES/R/NORTH")) == by_name, "Ward 9 before Ward 10"
    assert ids(await asked(client, "areas/PRES/R/NORTH?order=desc")) == by_name[::-1]
    by_lead = ["R/NORTH/T10", "R/NORTH/T1", "R/NORTH/T2"]
    assert ids(await asked(client, "areas/PRES/R/NORTH?sort=lead&order=desc")) == by_lead
    assert ids(await asked(client, "areas/PRES/R/NORTH?sort=lead")) == by_lead[::-1]
    for sort in SORTS:
        assert sorted(ids(await asked(client, f"areas/PRES/R/NORTH?sort={sort}"))) == sorted(by_name)
    first = await asked(client, "areas/PRES/R/NORTH?limit=2")
    rest = await asked(client, "areas/PRES/R/NORTH?limit=2&from=2")
    assert (ids(first) + ids(rest), first["found"], rest["found"]) == (by_name, 3, 3)
    for wrong in ("sort=x", "order=up", "limit=1001", "limit=0", "from=-1", "from=x", "q=" + 65 * "x"):
        assert (await asked(client, f"areas/PRES?{wrong}", 400))["error"]


@pytest.mark.parametrize(
    ("words", "found"),
    [("sevres", ["R/NORTH/T1"]), ("SÈVRES", ["R/NORTH/T1"]), ("ward", ["R/NORTH/T2", "R/NORTH/T10"]), ("t1", ["R/NORTH/T1", "R/NORTH/T10"]),
     ("nørd", ["R/NORTH"]), ("NORDL", ["R/NORTH"]), ("durk", [STRANGE]), ("d", ["R/NORTH", "R/Süd & <West>", STRANGE, "R/NORTH/T2", "R/NORTH/T10"]),
     ("R/NORTH", []), ("\u0301", [])],
)  # fmt: skip
async def test_a_search_finds_areas_of_any_level_with_and_without_accents(client: Client, words: str, found: list[str]) -> None:
    answer = await asked(client, f"areas/PRES?q={quote(words)}")
    assert sorted(ids(answer)) == sorted(found)
    page = await text(client, f"/contest/PRES/area/R/NORTH?q={quote(words)}")
    assert part(page, "areas").count(" / ") == len(found), "the whole election is searched, from every page"
    if found:
        assert [row["above"] for row in answer["areas"] if row["area"] == "R/NORTH/T1"] in ([], [["Nørdland"]])


def test_names_that_begin_with_the_words_come_first(told: ToldBoard) -> None:
    places = Places(told.board.election)
    assert places.found(AREAS, "s")[:2] == ["R/Süd & <West>", "R/NORTH/T1"], "above before below"
    assert places.found(AREAS, "d")[0] == "R/NORTH"


def test_numbers_in_names_count_as_numbers() -> None:
    names = ["ward 10", "ward 9", "9", "10 ward", "ward", "ward 9a", "1" * 40]
    assert sorted(names, key=natural) == ["9", "10 ward", "1" * 40, "ward", "ward 9", "ward 9a", "ward 10"]


# -- polling stations ---------------------------------------------------------------------------------------------------


async def test_a_deepest_area_has_its_polling_stations_before_any_script_runs(told: ToldBoard, client: Client) -> None:
    town = await text(client, "/contest/PRES/area/R/NORTH/T1")
    assert part(town, "stations") == "S1 Station 1 Counted 1 50 30 20 S2 Station 2 Outstanding – – – –"
    assert part(town, "stations-head").startswith("Polling station State Revision Valid ballots Anna Ahl")
    assert 'id="stations-box" hidden' not in town
    assert "data-station" not in town, "a button would do nothing without a script"
    for above in ("/contest/PRES", "/contest/PRES/area/R/NORTH"):
        page = await text(client, above)
        assert part(page, "stations") == "", "areas lie below"
        assert 'id="stations-box" hidden' in page
    told.board.stations.up_to = None
    told.log(statement("PRES", "S2", 1, "report", (7, 6)))
    told.board.stations.advance()
    again = await text(client, "/contest/PRES/area/R/NORTH/T1")
    assert "S2 Station 2 Counted 1 13 7 6" in part(again, "stations"), "what is kept of the page is not older than its rows"


@pytest.mark.parametrize(
    ("path", "said", "stations"),
    [("/contest/PRES/area/R/NORTH/T1?q=s2", "Found: 0 areas, 1 polling station", ["S2"]),
     ("/contest/PRES/area/R/NORTH/T1?q=STATION 2", "Found: 0 areas, 1 polling station", ["S2"]),
     ("/contest/PRES/area/R/NORTH/T1?q=s7", "Found: 0 areas, 0 polling stations", []),
     ("/contest/PRES?q=tion", "Found: 0 areas, 8 polling stations", [f"S{n}" for n in range(1, 9)]),
     ("/contest/PRES?q=ward", "Found: 2 areas, 0 polling stations", []),
     ("/contest/SEAT?q=s", "Found: 1 area, 2 polling stations", ["S7", "S8"]),
     ("/contest/PRES?q=\u0301", "Found: 0 areas, 0 polling stations", []),
     ("/contest/PRES?q=s7&lang=es", "Resultados: 0 zonas, 1 mesa", ["S7"])],
)  # fmt: skip
async def test_a_search_finds_polling_stations_before_any_script_runs(
    client: Client, path: str, said: str, stations: list[str]
) -> None:
    page = await text(client, path)
    assert part(page, "found") == said
    assert re.findall(r'<tr data-key="(S\d+)">', page) == stations


async def test_before_the_log_is_read_a_page_says_so_and_not_that_there_is_no_station(told: ToldBoard, client: Client) -> None:
    told.board.stations.up_to = None
    told.board.stations._ends = {0: 9}  # noqa: SLF001  (as its reading of the topics leaves it)
    for path, found in (("/contest/PRES/area/R/NORTH/T1", ""), ("/contest/PRES?q=ward", "Found: 2 areas")):
        page = await text(client, path)
        assert part(page, "found") == found
        assert part(page, "stations-wait") == "The board is still reading the report log: 2 of 9 records."
    told.board.stations.failure = "stopped"
    page = await text(client, "/contest/PRES/area/R/NORTH/T1")
    assert part(page, "stations-wait") == "Polling stations can't be shown now."
    assert part(await text(client, "/contest/PRES"), "stations-wait") == "", "none are shown there"


# -- contests ----------------------------------------------------------------------------------------------------------


async def test_contests_are_found_and_told_one_by_one(client: Client) -> None:
    found = await asked(client, "contests?q=COUNCÍL")
    assert (found["found"], found["contest_count"], [c["id"] for c in found["contests"]]) == (1, 2, ["SEAT"])
    assert "candidates" not in found["contests"][0], "a list of 1,200 contests would be a megabyte"
    assert [c["id"] for c in (await asked(client, "contests?from=1&limit=1"))["contests"]] == ["SEAT"]
    one = (await asked(client, "contests/SEAT"))["contest"]
    assert [c["id"] for c in one["candidates"]] == ["CLEO", "DORA"]
    assert one["page"] == "/contest/SEAT"
    assert "NONE" in (await asked(client, "contests/NONE", 404))["error"]
    page = await text(client, "/contests?q=pres&lang=ru&theme=dark")
    assert 'href="/contest/PRES?lang=ru&amp;theme=dark"' in page
    assert "Council" not in page
    for said in (page, await text(client, "/contest/NONE?lang=ru&theme=dark", 404)):
        assert "ПРОВЕРКА" in said, "a rehearsal says so on every page"
        assert '<a href="/?lang=ru&amp;theme=dark"><bdi>Rehearsal of a small country</bdi></a>' in said, "the way home"
        assert '<button id="theme" type="button" hidden>' in said, "the look, which a script switches"


async def test_a_language_keeps_the_contest_that_is_looked_for(client: Client) -> None:
    page = await text(client, "/contests?q=durk+%26&from=100&theme=dark")
    assert 'href="/contests?theme=dark&amp;q=durk+%26&amp;from=100&amp;lang=az"' in page
