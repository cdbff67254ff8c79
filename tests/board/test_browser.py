"""The page in a real browser over a count that runs: what a reader sees and a newsroom would notice.

What needs no count, as every kind of ballot, stands in `test_browser_told.py`.
"""

from __future__ import annotations

import gzip
import html
import json
import re
import signal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tally_stream.audit.replay import replay
from tally_stream.board.api import majority_of
from tally_stream.board.page_outcome import outcome_of
from tally_stream.board.wording import LANGUAGES, Words
from tally_stream.domain.contest import Majority
from tally_stream.domain.outcome import outcome
from tally_stream.domain.standings import body_of
from tally_stream.export.outcome_words import decimal_text
from tally_stream.kafka.embedded import AUTO_PARTITIONS
from tally_stream.wire.folder.assembling import load_election
from tally_stream.wire.messages import canonical_json
from tests.board.texts import SOON, wait_text, wait_true
from tests.support.axe import CONTRAST, violations
from tests.support.board_scene import HOSTILE, Scene
from tests.support.paths import NIGHTS
from tests.support.processes import free_port, run
from tests.support.small_elections import contest, counted

AZ_LOG = NIGHTS / "az-2024" / "reports.jsonl.gz"


def leaders(page: Any) -> list[list[str]]:
    """Rank, name and party, votes, share of each row."""
    rows = page.locator("#leaders tr").all()
    return [[cell.strip() for cell in row.locator("td, th").all_inner_texts()] for row in rows]


def beginning_of(log: Path, directory: Path) -> Path:
    """A report log's first 34,000 lines: the night stands still there, and the reader sees it on the way however fast it runs."""
    lines = gzip.decompress(log.read_bytes()).splitlines(keepends=True)
    begun = directory / "begun.jsonl"
    begun.write_bytes(b"".join(lines[:34_000]))
    return begun


def root_of(messages: list[dict[str, Any]]) -> dict[str, Any]:
    (root,) = [m for m in messages if m["area"] == "AZ"]
    return root


def test_the_night_of_azerbaijan_from_empty_to_final(night: Scene, page: Any, tmp_path: Path) -> None:
    page.goto(night.board.address)
    wait_text(page, "#line", "Polls not closed")
    assert [row[2:] for row in leaders(page)] == [["–", "–"]] * 7
    assert violations(page) == []
    begun = beginning_of(AZ_LOG, tmp_path)
    run("send", "az-2024", str(begun), settings=night.settings)
    midway = root_of(replay(load_election(NIGHTS / "az-2024"), begun).messages(0))
    assert 0 < midway["stations"]["counted"] < 6_537
    wait_text(page, "#leaders", f"{max(c['votes'] for c in midway['candidates']):,}", 30_000)
    assert f"{midway['stations']['counted']:,} of 6,537" in page.locator("#measures").inner_text()
    run("send", "az-2024", str(AZ_LOG), settings=night.settings)
    wait_text(page, "#line", "All stations in, with corrections", 30_000)
    wait_text(page, "#leaders", "4,567,458")
    assert [row[2:] for row in leaders(page)] == [
        ["4,567,458", "92.12"], ["107,632", "2.17"], ["98,421", "1.99"], ["85,411", "1.72"], ["39,643", "0.80"],
        ["32,885", "0.66"], ["26,517", "0.53"],
    ]  # fmt: skip
    assert "6,537 of 6,537" in page.locator("#measures").inner_text()
    assert "Polling stations processed (counted or annulled)" in page.locator("#measures").inner_text(), "11 are annulled"
    assert "All ballots are in. Ilham Aliyev leads" in page.locator("#outcome").inner_text()
    assert page.locator("#measures .unknown").inner_text().split("\n") == ["Ballots", "not known"]
    assert "leads by 4,459,826 votes" in page.locator("#outcome").inner_text()
    wait_text(page, "#polls", "93.9 (−1.78)")
    # Eleven annulments stand in the ledger, and add up to what the totals lost.
    page.locator("#ledger tr").nth(10).wait_for(timeout=SOON)
    assert page.locator("#ledger tr").count() == 11
    deltas = [int(t.split("\n")[0].replace("−", "-").replace(",", "")) for t in page.locator("#ledger td.n").all_inner_texts()]
    assert sum(deltas) == -11_077
    page.locator("#chart path.line0").wait_for(state="attached", timeout=SOON)
    assert page.locator("#areas tr").count() == 100, "a page of them"
    page.locator("#areas-more").click()
    page.locator("#areas tr").nth(124).wait_for(timeout=SOON)
    # What the endpoint serves is what anyone computes from the log.
    served = night.board.get("/api/v1/standings/PRES")[1]
    root = root_of(replay(load_election(NIGHTS / "az-2024"), AZ_LOG).messages(0))
    assert body_of(json.loads(served)) == body_of(root)
    assert served == canonical_json(json.loads(served))


def test_a_correction_and_an_annulment_appear_with_their_reasons(rehearsal: Scene, page: Any) -> None:
    rehearsal.report("S1", (300, 200))
    rehearsal.report("S2", (100, 150))
    rehearsal.wait_shown()
    page.goto(rehearsal.board.address)
    page.locator("#leaders tr").first.wait_for()
    rehearsal.report("S1", (280, 220), kind="correct")
    rehearsal.decide("S2", "annul")
    wait_text(page, "#ledger tr", "because of correct at S1")
    wait_text(page, "#ledger tr", "because of annul at S2")
    annulment = page.locator("#ledger tr").filter(has_text="because of annul at S2").inner_text()
    assert "Annulment" in annulment
    assert "−250" in annulment
    assert "The Commission" in annulment
    revisions = re.search(r"Revision (\d+) → (\d+)", annulment)
    assert revisions is not None
    before, after = map(int, revisions.groups())
    assert after == before + 1
    assert re.search(r"partition \d, offset \d+", annulment), "a stranger finds the record"
    assert "NORTH" in annulment
    correction = page.locator("#ledger tr").filter(has_text="because of correct at S1").first
    correction.locator("summary").click()
    assert "Anna Ahl −20" in correction.inner_text()
    # From the ledger to the station itself, by keyboard.
    page.locator("#ledger button", has_text="S2").first.focus()
    page.keyboard.press("Enter")
    page.locator("#station[open]").wait_for()
    said = page.locator("#station-body").inner_text()
    assert "Annulled" in said
    assert "Annulled count" in said
    page.keyboard.press("Escape")
    page.locator("#station[open]").wait_for(state="detached")


def hostile_correction(played: Scene, station: str) -> bytes:
    content = json.loads(played.statement(station, "correct", (11, 90)))
    return json.dumps({**content, "reason": "why " + HOSTILE, "authority": "who " + HOSTILE}).encode()


def with_hostile_names(route: Any) -> None:
    """Names of areas and stations as an election folder could have them."""
    text = route.fetch().text()
    for name in ('"name":"NORTH"', '"R/NORTH":"NORTH"', '"name":"Station 1"'):
        text = text.replace(name, f"{name.partition(':')[0]}:{json.dumps(HOSTILE)}")
    route.fulfill(body=text, content_type="application/json")


def test_a_hostile_name_stays_text_and_a_test_says_so(rehearsal: Scene, page: Any) -> None:
    rehearsal.report("S3", (10, 90))
    rehearsal.wait_shown()
    rehearsal.produce(("S3", hostile_correction(rehearsal, "S3")))
    rehearsal.wait_shown()
    page.route(re.compile(r"/api/v1/(areas|stations|changes)"), with_hostile_names)
    page.goto(rehearsal.board.address + "/contest/PRES/area/R/NORTH")
    for selector in ("#leaders th", "#leaders .party", "#ledger td", "#ledger th .party", "#stations th"):
        wait_text(page, selector, "<img src=x")
    page.locator("#stations button").first.click()
    wait_text(page, "#station-title", "<img src=x")
    page.keyboard.press("Escape")
    page.goto(rehearsal.board.address)
    for selector in ("#polls-head", "#areas th"):
        wait_text(page, selector, "<img src=x")
    assert page.locator("img").count() == 0
    assert page.locator("body script").count() == 0
    assert page.title() == "President · Rehearsal of a small country"
    assert HOSTILE in page.locator("#leaders").inner_text()
    assert "TEST" in page.locator(".test").inner_text()
    policy = rehearsal.board.get("/")[2]["content-security-policy"]
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")


def test_every_mode_passes_axe(rehearsal: Scene, browser: Any) -> None:
    rehearsal.report("S4", (10, 90))
    rehearsal.wait_shown()
    rehearsal.report("S4", (20, 90), kind="correct")
    rehearsal.wait_shown()
    rehearsal.report("S3", (20, 80))  # history must have two points
    rehearsal.decide("S4", "annul")
    rehearsal.wait_shown()
    found: dict[str, list[str]] = {}
    for width, query in (
        (1280, "/"),
        (360, "/?lang=ru"),
        (1920, "/?screen"),
        (640, "/?embed&lang=az"),
        (1280, "/contest/PRES/area/R/NORTH"),
        (360, "/contest/PRES/area/R/NORTH?lang=es&q=st"),
        (360, "/contests"),
        (1280, "/contest/NONE"),
    ):
        context = browser.new_context(viewport={"width": width, "height": 900}, locale="en-GB")
        page = context.new_page()
        page.goto(rehearsal.board.address + query)
        if query not in ("/contests", "/contest/NONE"):
            page.locator(".fresh.live, .fresh.quiet").first.wait_for(timeout=SOON)
        if query == "/":
            page.locator("#chart path.line0").wait_for(state="attached", timeout=SOON)
            page.locator("#ledger tr").first.wait_for(timeout=SOON)
        if "area" in query:
            page.locator("#stations button").first.wait_for(timeout=SOON)
        if query.endswith("NORTH"):
            page.locator("#stations button").first.click()
            page.locator("#station[open]").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{query} at {width} scrolls sideways"
        found[f"light {width} {query}"] = violations(page)
        page.emulate_media(color_scheme="dark")
        found[f"dark {width} {query}"] = violations(page, CONTRAST)  # nothing else is another in the dark
        if query == "/":
            page.emulate_media(media="print")
            found["printed"] = violations(page)
        context.close()
    assert {where: v for where, v in found.items() if v} == {}


@pytest.mark.parametrize(
    ("language", "words", "thousand"),
    [("en", "How much is counted", "1,111"), ("az", "Nə qədər sayılıb", "1.111"),
     ("es", "Cuánto se ha contado", "1.111"), ("ru", "Сколько подсчитано", "1\u00a0111")],
)  # fmt: skip
def test_the_language_is_switched_by_a_link(rehearsal: Scene, page: Any, language: str, words: str, thousand: str) -> None:
    if rehearsal.root("SEAT")["ballots"]["valid"] != 1_900:
        rehearsal.report("S5", (900, 89), contest="SEAT")
        rehearsal.report("S6", (211, 700), contest="SEAT")
        rehearsal.wait_shown("SEAT")
    page.goto(rehearsal.board.address + "/contest/SEAT/area/R/SOUTH")
    page.locator(f'.languages a[lang="{language}"]').click()
    wait_text(page, "#progress-title", words)
    assert page.evaluate("document.documentElement.lang") == language
    page.locator(".fresh.live, .fresh.quiet").first.wait_for(timeout=SOON)
    wait_text(page, "#leaders", thousand)
    assert "Cleo" in page.locator("#leaders").inner_text(), "the contest is kept"
    assert "SOUTH" in page.locator("#trail").inner_text(), "and the area"
    assert "undefined" not in page.locator("body").inner_text()


OUTCOMES: list[tuple[tuple[int, ...], int | None, dict[str, Any]]] = [
    ((0, 0), 9, {}), ((51, 49), 9, {}), ((51, 49), 1, {}), ((51, 49), 0, {}), ((51, 49), None, {}), ((5, 9), 3, {"rule": "none"}),
    ((0, 9), 90, {"ineligible": ["BELA"]}), ((40, 30, 30), 1, {}), ((40, 30, 30), 0, {}),
    ((50, 50), 0, {"base": "cast", "majority": Majority(Fraction("66.5"), at_least=True)}),
    ((50, 50), 0, {"majority": Majority(Fraction(50), at_least=True)}), ((40, 40, 20), 0, {"majority": Majority(Fraction(35))}),
    ((40, 31, 29), 0, {"majority": Majority(Fraction(50), False, Fraction(40), Fraction(10))}),
    ((9, 8, 1), 2, {"rule": "plurality", "seats": 2}), ((9, 8, 1), 0, {"rule": "plurality", "seats": 2}),
    ((9, 5, 5), 0, {"rule": "plurality", "seats": 2}),
]  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_script_says_of_each_outcome_what_the_board_has_written(rehearsal: Scene, page: Any, language: str) -> None:
    page.goto(f"{rehearsal.board.address}/?lang={language}")
    bound_percent = Fraction("162.5")
    draw = """async ([root, contest, election]) => {
        const drawn = await import("/static/root.js");
        drawn.drawOutcomeOfWhole(root, contest, election);
        return [...document.querySelectorAll("#outcome p")].slice(1).map((p) => [p.className, p.textContent]);
    }"""
    for votes, bound, of in OUTCOMES:
        race = contest(candidates=("ANNA", "BELA", "CLEO")[: len(votes)], **of)
        root = {"outcome": outcome(race, counted(votes, sum(votes), bound)), "ballots": {"valid": sum(votes)}}
        written = re.findall(
            r'<p class="(\w+)">(.*?)</p>', html.unescape(outcome_of(race, root, bound_percent, Words(language)))
        )
        described = {"name": race.name, "page": "/", "candidates": [{"id": c.id, "name": c.name} for c in race.candidates],
                     "majority": majority_of(race.majority), "majority_base": race.majority_base}  # fmt: skip
        said = page.evaluate(draw, [root, described, {"bound_register_percent": decimal_text(bound_percent)}])
        assert [tuple(p) for p in said] == written


def test_without_scripts_the_figures_of_each_place_stand_there(rehearsal: Scene, browser: Any) -> None:
    rehearsal.report("S7", (600, 40))
    root = rehearsal.wait_shown()
    south = rehearsal.board.json("/api/v1/standings/PRES/R/SOUTH")
    context = browser.new_context(java_script_enabled=False, locale="es-ES")
    page = context.new_page()
    page.goto(rehearsal.board.address)
    for message in (root, south):
        valid = message["ballots"]["valid"]
        assert f"Porcentajes sobre {valid:,}".replace(",", ".") in page.locator("#base").inner_text()
        rows = leaders(page)
        assert [row[2] for row in rows] == [f"{c['votes']:,}".replace(",", ".") for c in message["candidates"]]
        assert "PRUEBA" in page.locator(".test").inner_text()
        assert "Sin JavaScript" in page.locator("#fresh").inner_text()
        if message is root:
            page.locator("#search").fill("sóuth")
            page.locator("#search-go").click()
            assert page.locator("#areas a").all_inner_texts() == ["SOUTH"]
            page.locator("#areas a").click()
    assert [row.split()[0] for row in page.locator("#stations tr").all_inner_texts()] == ["S5", "S6", "S7", "S8"]
    assert "640" in page.locator("#stations tr").nth(2).inner_text()
    page.locator("#search").fill("s7")
    page.locator("#search-go").click()
    assert page.locator("#found").inner_text() == "Resultados: 0 zonas, 1 mesa"
    assert page.locator("#stations tr").count() == 1
    page.locator(".contests a", has_text="Council").click()
    assert page.url.endswith("/contest/SEAT/area/R/SOUTH"), "another contest, the same area"
    page.locator("#trail a").click()
    assert page.url.endswith("/contest/SEAT")
    context.close()


def test_the_way_back_leads_to_what_was_searched_and_sorted(rehearsal: Scene, page: Any) -> None:
    rehearsal.wait_shown()
    page.goto(rehearsal.board.address + "/contest/PRES?lang=es")
    page.locator("#areas-head button").nth(4).click(timeout=SOON)
    page.wait_for_url(re.compile(r"sort=lead&order=desc$"))
    page.locator("#search").fill("SÓU")
    wait_text(page, "#found", re.compile(r"\d"))
    page.locator("#areas a", has_text="SOUTH").click()
    wait_text(page, "#leaders-title", "Resultados: SOUTH")
    page.locator(".fresh.live, .fresh.quiet").first.wait_for(timeout=SOON)
    page.go_back()
    wait_true(page, "document.querySelector('#search')?.value === 'SÓU'")
    wait_true(page, "document.querySelectorAll('#areas-head th')[4]?.getAttribute('aria-sort') === 'descending'")
    wait_true(page, "document.querySelectorAll('#areas a').length === 1")
    assert page.locator("#areas a").all_inner_texts() == ["SOUTH"]
    assert page.evaluate("document.documentElement.lang") == "es"


def test_hold_is_shown_and_released_and_both_are_said(rehearsal: Scene, page: Any) -> None:
    page.goto(rehearsal.board.address)
    page.locator("#leaders tr").first.wait_for()
    page.locator("#ledger tr").first.wait_for(timeout=SOON)
    rehearsal.control("hold")
    try:
        wait_text(page, "#hold", "On hold")
        wait_text(page, "#announce", "On hold")
        wait_text(page, "#fresh", "On hold")
        assert "nothing new" not in page.locator("#fresh").inner_text()
        assert violations(page) == []
    finally:
        rehearsal.control("release")
    page.locator("#hold .hold").wait_for(state="detached", timeout=SOON)
    wait_text(page, "#announce", "The hold is over")
    wait_text(page, "#fresh", "Last report")


def test_a_hold_in_some_partitions_is_said_to_be_incomplete(rehearsal: Scene, page: Any) -> None:
    page.goto(rehearsal.board.address)
    page.locator("#leaders tr").first.wait_for()
    rehearsal.control("hold", partitions=[1])
    try:
        wait_text(page, "#hold", f"The hold is incomplete: it stands in 1 of {AUTO_PARTITIONS} parts of the report log.")
        page.goto(f"{rehearsal.board.address}/?lang=ru")  # as the board writes it, before any script runs
        assert f"она действует в 1 из {AUTO_PARTITIONS} частей" in page.content()
        assert violations(page) == []
    finally:
        rehearsal.control("hold", is_same=True, partitions=[p for p in range(AUTO_PARTITIONS) if p != 1])
        page.goto(rehearsal.board.address)
        wait_true(page, "document.querySelectorAll('#hold .hold').length === 1")
        rehearsal.control("release")
        page.locator("#hold .hold").wait_for(state="detached", timeout=SOON)


def test_sorting_and_searching_areas_by_keyboard(rehearsal: Scene, page: Any) -> None:
    rehearsal.wait_shown()
    page.goto(rehearsal.board.address)
    page.locator("#areas-head button").first.wait_for(timeout=SOON)
    assert page.locator("#areas th").all_inner_texts() == ["NORTH", "SOUTH"]
    page.locator("#areas-head button").first.focus()
    page.keyboard.press("Enter")
    wait_text(page, "#areas tr:first-child", "SOUTH")
    assert page.locator("#areas-head th").first.get_attribute("aria-sort") == "descending"
    assert page.evaluate("document.activeElement.dataset.column") == "area", "focus stays on the button"
    page.locator("#search").fill("nor")
    page.locator("#areas a", has_text="SOUTH").wait_for(state="detached")
    page.locator("#areas a").first.focus()
    page.keyboard.press("Enter")
    wait_text(page, "#leaders-title", "Results: NORTH")
    page.locator("#stations button").nth(3).wait_for(timeout=SOON)  # the rows that the server sent have none
    assert page.locator("#stations button").all_inner_texts() == ["S1", "S2", "S3", "S4"]


def test_an_area_moves_with_its_own_figures(rehearsal: Scene, page: Any) -> None:
    page.goto(rehearsal.board.address + "/contest/SEAT/area/R/NORTH")
    page.locator(".fresh.live, .fresh.quiet").first.wait_for(timeout=SOON)
    before = page.locator("#leaders").inner_text()
    rehearsal.report("S8", (123, 7), contest="SEAT")
    rehearsal.wait_shown("SEAT")
    rehearsal.report("S1", (456, 1), contest="SEAT")
    due = rehearsal.wait_shown("SEAT")["as_of"]
    wait_text(page, "#leaders", "456")
    assert "123" not in before + page.locator("#leaders").inner_text(), "S8 lies in the south"
    wait_true(page, f"document.querySelector('#line time').dateTime === '{due}'")
    wait_text(page, "#stations tr", "456")
    wait_text(page, "#outcome", "Nothing is won here.")
    lead = rehearsal.root("SEAT")["outcome"]["lead"]
    wait_text(page, "#outcome", f"leads by {lead:,} vote")
    rehearsal.report("S7", (0, 900), contest="SEAT")
    rehearsal.wait_shown("SEAT")
    moved = rehearsal.root("SEAT")["outcome"]["lead"]
    assert moved != lead
    wait_text(page, "#outcome", f"leads by {moved:,} vote")  # what the whole says moves, where this area stands still
    page.locator("#outcome a").click()
    page.wait_for_url(re.compile(r"/contest/SEAT$"))
    assert "Nothing is won" not in page.locator("#outcome").inner_text()


def test_silence_of_the_board_and_of_the_count_are_told_apart_and_mended(doomed: Scene, page: Any) -> None:
    port = free_port()
    board = doomed.start_board(port=port)
    page.goto(board.address)
    wait_text(page, ".fresh", "Last report")
    board.stop()
    wait_text(page, "#alarm", "No contact with this board for 1", 25_000)
    assert page.locator("#fresh").is_hidden(), "no reader is told two things"
    board = doomed.start_board(port=port)
    try:
        page.locator("#alarm").wait_for(state="hidden", timeout=SOON)
        doomed.report("S8", (77, 3))
        wait_text(page, "#states > div", re.compile(r"^Counted\s*1$"))
        due = doomed.wait_shown()
        wait_text(page, "#base", f"{due['ballots']['valid']:,}")
        # The worker freezes: the board speaks, the count does not.
        doomed.worker.process.send_signal(signal.SIGSTOP)
        try:
            wait_text(page, "#alarm", "No contact with the count for 3", 50_000)
            assert "No contact with this board" not in page.locator("#alarm").inner_text()
        finally:
            doomed.worker.process.send_signal(signal.SIGCONT)
    finally:
        board.stop()
