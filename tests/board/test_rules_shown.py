"""What the page shows of a contest's own rule: who can lead it, and the line where its limit lies."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from tally_stream.board.feed import now_ms
from tally_stream.board.wording import LANGUAGES
from tally_stream.wire.report_log import LogRecord
from tests.board.many import served
from tests.board.texts import SOON, wait_text
from tests.board.told import CLOSE_MS, ToldBoard
from tests.support.board_scene import rehearsal_folder

RULES = {
    "HALF": "",
    "LAW": "majority = { percent = 40, or_percent = 30, or_lead_percent = 10 }\n",
    "CAST": 'majority_base = "cast"\n',
    "TWO-THIRDS": "majority = { percent = 66.5, at_least = true }\n",
}
"""Contest → what its majority says."""
CONTESTS = "".join(
    f'[[contests]]\nid = "{id}"\nname = "{id.title()}"\nrule = "{rule}"\nrounding = {{ method = "half-up", places = 2 }}\n{more}'
    f'[[contests.candidates]]\nid = "NONE"\nname = "None of these"\neligible = false\n'
    f'[[contests.candidates]]\nid = "CLEO"\nname = "Cleo"\neligible = {str(id != "NOBODY").lower()}\n'
    for id, rule, more in (
        *((id, "majority", more) for id, more in RULES.items()), ("MOST", "plurality", ""), ("NOBODY", "none", ""),
    )
)  # fmt: skip


def counted(contest: str, none: int, cleo: int) -> LogRecord:
    """A report of S1."""
    content = {
        "schema": 1, "election": "REH-2026", "contest": contest, "station": "S1", "revision": 1, "kind": "report",
        "phase": "test", "counted_at": "2026-01-01T19:30:00Z", "ballots": {"cast": none + cleo, "valid": none + cleo},
        "votes": {"NONE": none, "CLEO": cleo},
    }  # fmt: skip
    return LogRecord(CLOSE_MS + 3_600_000, b"S1", json.dumps(content).encode(), 0, 0)


@pytest.fixture
def told(tmp_path: Path) -> ToldBoard:
    folder = rehearsal_folder(tmp_path / "election")
    with (folder / "election.toml").open("a", encoding="utf-8") as toml:
        toml.write(CONTESTS)
    board = ToldBoard(tmp_path, folder=folder)
    board.take(
        counted("HALF", 40, 60), counted("LAW", 40, 60), counted("CAST", 40, 60), counted("TWO-THIRDS", 60, 40),
        counted("MOST", 99, 0), counted("NOBODY", 60, 40),
    )  # fmt: skip
    return board


@pytest.fixture
def address(told: ToldBoard) -> Iterator[str]:
    for shown in told.board.feed.shown.values():
        shown.contact_ms = shown.rise_ms = now_ms()
    with served(told.board) as found:
        yield found


async def written(told: ToldBoard, contest: str, language: str = "en") -> str:
    """The page as it leaves the board."""
    async with TestClient(TestServer(told.board.application())) as client:
        return await (await client.get(f"/contest/{contest}?lang={language}")).text()


@pytest.mark.parametrize("contest", [*RULES, "MOST", "NOBODY"])
async def test_a_line_stands_where_the_limit_of_the_shares_lies_and_nowhere_else(told: ToldBoard, contest: str) -> None:
    """Shares are of valid ballots: a limit of ballots cast lies elsewhere, and of two limits none is the line."""
    page = await written(told, contest)
    lines = re.findall(r'<line x1="([^"]+)" x2="\1"', page)
    due = {"HALF": ["50%"] * 2, "TWO-THIRDS": ["66.5%"] * 2}.get(contest, [])
    assert lines == due
    assert ("The dotted line in a bar marks" in page) == bool(due)
    if due:
        assert f"The dotted line in a bar marks {due[0][:-1]} %." in page


@pytest.mark.parametrize("language", LANGUAGES)
async def test_the_limit_is_named_in_each_language(told: ToldBoard, language: str) -> None:
    page = await written(told, "TWO-THIRDS", language)
    decimal = "." if language == "en" else ","
    assert f"66{decimal}5 %." in page


async def test_programs_are_told_what_wins_and_who_can(told: ToldBoard) -> None:
    async with TestClient(TestServer(told.board.application())) as client:
        found = {}
        for id in (*RULES, "MOST"):
            found[id] = (await (await client.get(f"/api/v1/contests/{id}")).json())["contest"]
    plain = {"percent": "50", "at_least": False, "or_percent": None, "or_lead_percent": None}
    assert {id: one["majority"] for id, one in found.items()} == {
        "HALF": plain,
        "CAST": plain,
        "LAW": {**plain, "percent": "40", "or_percent": "30", "or_lead_percent": "10"},
        "TWO-THIRDS": {**plain, "percent": "66.5", "at_least": True},
        "MOST": None,
    }
    assert [one["majority_base"] for one in found.values()] == ["valid", "valid", "cast", "valid", None]
    assert [(c["id"], c["eligible"]) for c in found["MOST"]["candidates"]] == [("NONE", False), ("CLEO", True)]


@pytest.mark.parametrize(("contest", "bold"), [("TWO-THIRDS", ["CLEO"]), ("MOST", []), ("NOBODY", [])])
async def test_nobody_without_votes_leads_and_nobody_who_can_not(told: ToldBoard, contest: str, bold: list[str]) -> None:
    assert re.findall(r'<tr class="first" data-key="(\w+)"', await written(told, contest)) == bold


@pytest.mark.parametrize(
    ("contest", "said"),
    [("TWO-THIRDS", "1 of 8 polling stations. Cleo 40.00 %."), ("MOST", "Polling stations processed (counted or annulled): 1 of 8"),
     ("NOBODY", "Polling stations processed (counted or annulled): 1 of 8")],
)  # fmt: skip
def test_the_script_draws_what_the_board_wrote_and_tells_listeners_who_leads(
    address: str, page: Any, browser: Any, contest: str, said: str
) -> None:
    context = browser.new_context(java_script_enabled=False, locale="en-GB")
    plain = context.new_page()
    plain.goto(f"{address}/contest/{contest}")
    page.goto(f"{address}/contest/{contest}")
    wait_text(page, "#announce", said)
    page.locator(".fresh.live").first.wait_for(timeout=SOON)
    drawn = [
        re.sub(r"\s+", " ", opened.locator(part).inner_html()) for opened in (plain, page) for part in ("#leaders", "#base")
    ]
    assert drawn[:2] == drawn[2:]
    context.close()
