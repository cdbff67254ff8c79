"""The page in a real browser over a board that is told what it shows: many contests, every kind of ballot, groups.

No broker and no worker: what the script draws is held beside what the board has written.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tally_stream.board.feed import now_ms
from tests.board.many import ManyBoard, served
from tests.board.texts import SOON, wait_text, wait_true
from tests.board.told import ToldBoard, statement
from tests.board.town import show, told_town
from tests.support.axe import violations
from tests.support.every_ballot import SEATS, roots, with_outcome, with_seats
from tests.support.every_ballot import night as night_of_town
from tests.support.wide_elections import election_of

BOXES = ["base", "seats", "referendum", "measures", "ways", "ways-head", "ways-votes", "states", "outcome"]
"""Parts of the page that the board writes and the script draws anew."""


def drawn_otherwise(page: Any) -> list[str]:
    """Those that the script has drawn otherwise than the board wrote them."""
    # How fresh it is, is said after the first figures, which come first.
    wait_true(page, "!document.querySelector('#fresh noscript') || !document.getElementById('alarm').hidden")
    page.evaluate(
        "ids => fetch(location.href).then((a) => a.text()).then((text) => {"
        " const written = new DOMParser().parseFromString(text, 'text/html');"
        " window.differing = ids.filter((id) => document.getElementById(id).innerHTML !== written.getElementById(id).innerHTML);"
        "})",
        BOXES,
    )
    wait_true(page, "window.differing !== undefined")
    found: list[str] = page.evaluate("window.differing")
    return found


def test_of_many_contests_and_areas_the_page_loads_what_it_shows(page: Any) -> None:
    many = ManyBoard(election_of(regions=1, towns=230, contests=30))
    many.take(many.messages(1, [0, 17]))
    for shown in many.board.feed.shown.values():
        shown.contact_ms = shown.rise_ms = now_ms()
    loaded: list[int] = []
    page.on(
        "response",
        lambda answer: loaded.append(len(answer.body())) if "/api/v1/" in answer.url and "stream" not in answer.url else None,
    )
    page.set_viewport_size({"width": 360, "height": 780})
    with served(many.board) as address:
        page.goto(address + "/?lang=az")
        page.locator(".fresh.live").wait_for(timeout=SOON)
        page.locator("#contest-words").fill("KONIGSBERG")
        page.locator("#contest-list a").nth(19).wait_for(timeout=SOON)
        wait_text(page, "#contest-found", "30")
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.locator("#contest-words").fill("district 17")
        wait_true(page, "document.querySelectorAll('#contest-list a').length === 1")
        page.keyboard.press("Escape")
        assert page.locator("#contest-list li").count() == 0
        page.locator("#contest-words").fill("district 17")
        page.locator("#contest-words").press("Enter")
        page.locator("#theme").click()
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
        page.locator(".contest-items a").click()
        page.wait_for_url(re.compile("/contest/C0017"))
        wait_true(page, "document.documentElement.dataset.theme === 'dark'")  # the reader's own choice is kept
        wait_text(page, "#leaders", "Candidate 0 of 17")
        assert page.evaluate("document.documentElement.lang") == "az", "the language is kept all the way"
        page.locator("#areas a").first.click()
        page.locator("#areas-head button").first.wait_for(timeout=SOON)
        assert page.locator("#areas tr").count() == 100
        page.locator("#areas-more").click()
        page.locator("#areas tr").nth(199).wait_for(timeout=SOON)
        page.locator("#areas-more").click()
        page.locator("#areas tr").nth(229).wait_for(timeout=SOON)
        assert page.locator("#areas-more").is_hidden()
        page.locator("#search").fill("dürrheim 22")
        wait_true(page, "document.querySelectorAll('#areas tr').length === 11")  # 22 and 220 to 229
        wait_text(page, "#found", "Tapıldı: 11 ərazi, 0 məntəqə")
        page.locator("#search").fill("school")
        wait_text(page, "#found", "Tapıldı: 0 ərazi, 230 məntəqə")
        assert page.locator("#stations tr").count() == 200, "a page of what was found"
        page.locator("#stations-more").click()
        page.locator("#stations tr").nth(229).wait_for(timeout=SOON)
        assert page.locator("#stations-more").is_hidden()
    assert max(loaded) < 100_000


@pytest.mark.parametrize("path", ["COUNCIL", "BRIDGE", "SCHOOLS", "COUNCIL/area/X/West"])
def test_of_every_ballot_the_script_draws_what_the_board_has_written(page: Any, path: str) -> None:
    told = told_town(night_of_town())
    page.set_viewport_size({"width": 360, "height": 780})
    with served(told.board) as address:
        page.goto(f"{address}/contest/{path}")
        assert drawn_otherwise(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert violations(page) == []
        if "area" not in path:
            hall = page.context.new_page()
            hall.set_viewport_size({"width": 1600, "height": 900})
            hall.goto(f"{address}/contest/{path}?screen")
            wait_true(hall, "document.documentElement.scrollHeight <= innerHeight")  # nobody scrolls there


def test_a_quorum_of_nobody_is_drawn_as_it_is_written(page: Any) -> None:
    played = night_of_town()
    quorum = {"done": 96, "of": 0, "percent": None, "needed": 0}
    with served(told_town(played, BRIDGE=with_outcome(roots(played)["BRIDGE"], quorum=quorum)).board) as address:
        page.goto(f"{address}/contest/BRIDGE")
        wait_text(page, "#referendum dd", "96 of 0")
        wait_text(page, "#referendum dd", "Reached: 0 are needed.")
        assert drawn_otherwise(page) == []


def test_the_seats_of_a_group_move_by_themselves(page: Any) -> None:
    played = night_of_town()
    told = told_town(played)
    page.set_viewport_size({"width": 360, "height": 780})
    with served(told.board) as address:
        page.goto(f"{address}/group/TOWN")
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        council = with_seats(played.root(), {**SEATS, "BLUE": (8, 8)})
        show(told, played, {**roots(played), "COUNCIL": council}, version=1)
        wait_text(page, "table.seats tr", re.compile(r"^Blue\s*8\s*8$"), 30_000)
        wait_text(page, "#line", "24 of 24 seats in 2 contests")
        page.locator("#contests a").first.click()
        page.wait_for_url(re.compile("/contest/COUNCIL$"))
        assert page.locator("p.group a").get_attribute("href") == "/group/TOWN"


@pytest.mark.parametrize("width", [360, 1280])
def test_the_authority_s_desk_can_be_read_by_everybody_who_may(page: Any, tmp_path: Path, width: int) -> None:
    told = ToldBoard(tmp_path, board_operator=True)
    told.take(statement("PRES", "S1", 1, "report", (3_000, 2)), statement("PRES", "S2", 1, "report", (3, 2)),
              statement("PRES", "S2", 1, "report", (2, 3)))  # fmt: skip
    page.set_viewport_size({"width": width, "height": 800})
    with served(told.board) as address:
        page.goto(address + "/operator/held")
        assert page.locator("h2").all_inner_texts() == ["S1 Station 1", "S2 Station 2"]
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.emulate_media(color_scheme="dark")
        assert violations(page) == []
