"""What a reader does on the page keeps its place while figures move: focus, an open detail, what was asked for."""

from __future__ import annotations

import json
from typing import Any

from tests.board.scene import Scene
from tests.board.test_browser import SOON
from tests.nights.harness import wait_for


def wait_true(page: Any, question: str) -> None:
    wait_for(lambda: page.evaluate(question), question, SOON / 1000)


def corrections(played: Scene, station: str, count: int) -> None:
    """So many at once: the page has no time to ask in between."""
    played.produce(*((station, played.statement(station, "correct", (100 + n, 5))) for n in range(count)))


def ledger_places(page: Any) -> list[str]:
    """Place in the log of each line, newest first."""
    return [row.get_attribute("data-key") or "" for row in page.locator("#ledger tr").all()]


def test_a_burst_leaves_no_hole_in_the_ledger(rehearsal: Scene, page: Any) -> None:
    rehearsal.report("S1", (99, 5))
    corrections(rehearsal, "S1", 2)
    rehearsal.wait_shown()
    page.goto(rehearsal.board.address)
    page.locator("#ledger tr").nth(1).wait_for(timeout=SOON)
    corrections(rehearsal, "S1", 60)
    rehearsal.wait_shown()
    newest = rehearsal.board.json("/api/v1/changes?contest=PRES&limit=500")["changes"]
    places = [f"{c['source']['timestamp']},{c['source']['partition']},{c['source']['offset']}" for c in newest]
    wait_true(page, f"document.querySelector('#ledger tr').dataset.key === {json.dumps(places[0])}")
    while page.locator("#ledger-more").is_visible():
        count = page.locator("#ledger tr").count()
        page.locator("#ledger-more").click()
        wait_true(page, f"document.querySelectorAll('#ledger tr').length > {count}")
    assert ledger_places(page) == places


def test_focus_and_an_open_detail_survive_an_update(rehearsal: Scene, page: Any) -> None:
    rehearsal.report("S2", (40, 10))
    rehearsal.report("S2", (41, 11), kind="correct")
    rehearsal.wait_shown()
    page.goto(rehearsal.board.address)
    row = page.locator("#ledger tr").filter(has_text="because of correct at S2").first
    row.locator("summary").click(timeout=SOON)
    row.locator("button").focus()
    count = page.locator("#ledger tr").count()
    rehearsal.report("S2", (42, 12), kind="correct")
    wait_true(page, f"document.querySelectorAll('#ledger tr').length > {count} || {count} >= 20")
    rehearsal.wait_shown()
    wait_true(page, "document.activeElement.dataset.station === 'S2'")
    assert page.locator("#ledger details[open]").count() == 1
    # An area's figures change under a reader whose focus is on its name, and the row is moved by the sorting.
    page.locator("#areas-head button").nth(5).click()
    page.locator("#areas a", has_text="SOUTH").focus()
    valid = page.locator("#areas tr").filter(has_text="SOUTH").locator("td").nth(4).inner_text()
    rehearsal.report("S7", (999, 0))
    wait_true(page, f"[...document.querySelectorAll('#areas tr')].some(r => r.textContent.includes('SOUTH') && r.children[5].textContent !== '{valid}')")
    assert page.evaluate("document.activeElement.textContent") == "SOUTH"
