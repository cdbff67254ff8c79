"""What a reader does on the page keeps its place while figures move: focus, an open detail, what was asked for."""

from __future__ import annotations

import json
import re
import threading
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tally_stream.board.wording import LANGUAGES, Words
from tests.board.texts import SOON, wait_text, wait_true
from tests.support.board_scene import Scene, rehearsal_folder, scene
from tests.support.waiting import wait_for


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """One of this file's own: elsewhere stations are annulled, and what is counted there later is held."""
    directory = tmp_path_factory.mktemp("reader")
    with scene(str(rehearsal_folder(directory / "election")), directory) as played:
        yield played


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
    wait_true(
        page,
        f"[...document.querySelectorAll('#areas tr')].some(r => r.textContent.includes('SOUTH') && r.children[5].textContent !== '{valid}')",
    )
    assert page.evaluate("document.activeElement.textContent") == "SOUTH"


def many_stations(route: Any) -> None:
    """An area of 500 polling stations."""
    asked = {k: v[0] for k, v in urllib.parse.parse_qs(urllib.parse.urlparse(route.request.url).query).items()}
    ids = [f"T{n:03}" for n in range(500)]
    rows = [{"station": i, "name": i, "registered": 1, "contest": "PRES", "state": "outstanding", "revision": None,
             "in_force": None, "remembered": None, "held": None} for i in ids if i > asked.get("after", "")]  # fmt: skip
    limit = int(asked["limit"])
    route.fulfill(json={"contest": "PRES", "area": asked["area"], "stations": rows[:limit], "has_more": len(rows) > limit})


def test_an_update_does_not_take_away_what_show_more_brought(rehearsal: Scene, page: Any) -> None:
    rehearsal.report("S1", (10, 5), kind="correct")
    rehearsal.wait_shown()
    page.route(re.compile(r"/api/v1/stations\?"), many_stations)
    page.goto(rehearsal.board.address + "/contest/PRES/area/R/NORTH")
    page.locator("#stations tr").nth(199).wait_for(timeout=SOON)
    page.locator("#stations-more").click()
    page.locator("#stations tr").nth(399).wait_for(timeout=SOON)
    with page.expect_response(re.compile(r"/api/v1/stations\?"), timeout=20_000) as update:
        rehearsal.report("S1", (11, 5), kind="correct")
    assert "limit=400" in update.value.url
    update.value.finished()
    wait_true(page, "new Promise(done => setTimeout(() => done(true), 0))")
    assert page.locator("#stations tr").count() == 400


def test_a_station_is_found_from_the_root(rehearsal: Scene, page: Any) -> None:
    rehearsal.wait_shown()
    page.goto(rehearsal.board.address)
    page.locator("#areas-head button").first.wait_for(timeout=SOON)
    page.locator("#search").fill("station 7")
    wait_text(page, "#stations", "S7")
    assert page.locator("#stations button").all_inner_texts() == ["S7"]
    page.locator("#search").fill("")
    page.locator("#stations-box").wait_for(state="hidden")
    wait_true(page, "[...document.querySelectorAll('#areas a')].map(a => a.textContent).join() === 'NORTH,SOUTH'")


def test_while_the_board_reads_one_question_follows_another(rehearsal: Scene, page: Any) -> None:
    rehearsal.wait_shown()
    refusal = {"error": "reading", "read": 1, "of": 9}
    page.route(re.compile(r"/api/v1/stations\?"), lambda route: route.fulfill(status=503, json=refusal))
    page.goto(rehearsal.board.address + "/contest/PRES/area/R/NORTH")
    wait_text(page, "#stations-wait", "1 of 9")
    page.evaluate("""() => { window.asks = []; const ask = window.fetch;
        window.fetch = (...a) => { if (String(a[0]).includes('/stations?')) asks.push(performance.now()); return ask(...a); };
        for (let n = 0; n < 4; n++) setTimeout(() => document.querySelector('[data-column="area"]').click(), n * 100); }""")
    wait_true(page, "asks.length >= 4 && asks.at(-1) - asks.at(-2) > 2000")
    wait_true(page, "performance.now() - asks.at(-1) > 1500")
    assert page.evaluate("asks.filter(at => asks.at(-1) - at < 2000).length") == 1, "one timer, however many asked"


def test_a_late_answer_to_another_question_is_dropped(rehearsal: Scene, page: Any) -> None:
    rehearsal.wait_shown()
    held: list[Any] = []
    page.route(re.compile(r"/api/v1/areas/.*q=nor"), lambda route: held.append(route))  # noqa: PLW0108  (it is marked)
    page.goto(rehearsal.board.address)
    page.locator("#areas-head button").first.wait_for(timeout=SOON)
    page.locator("#search").fill("nor")
    wait_for(lambda: page.evaluate("true") and held, "the question", 10)
    page.locator("#search").fill("sout")
    wait_text(page, "#areas", "SOUTH")
    wait_true(page, "document.querySelectorAll('#areas tr').length === 1")
    with page.expect_response(re.compile(r"/api/v1/areas/.*q=nor")) as late:
        for route in held:
            route.continue_()
    late.value.finished()
    page.evaluate("fetch('/livez').then(answer => answer.text())")  # whoever waited for the late answer has it by now
    assert page.locator("#areas th").all_inner_texts() == ["SOUTH"]


def test_updates_can_be_paused_and_go_on(rehearsal: Scene, page: Any) -> None:
    rehearsal.report("S4", (10, 20))
    rehearsal.wait_shown()
    page.goto(rehearsal.board.address)
    page.locator(".fresh.live, .fresh.quiet").first.wait_for(timeout=SOON)
    page.locator("#pause").click()
    wait_text(page, "#fresh", "paused")
    before = page.locator("#base").inner_text()
    rehearsal.report("S4", (30, 20), kind="correct")
    due = rehearsal.wait_shown()
    # Another reader of the stream has it with its first beat; by the second beat this page has it too, and stands still.
    page.evaluate("""() => new Promise(done => { let beats = 0; const other = new EventSource('/api/v1/stream?contest=PRES');
        other.addEventListener('beat', () => { beats += 1; if (beats === 2) { other.close(); done(); } }); })""")
    assert page.locator("#base").inner_text() == before
    page.locator("#pause").click()
    wait_text(page, "#base", f"{due['ballots']['valid']:,} valid")
    wait_text(page, "#fresh", "Last report")


LONG_TIMERS_WAIT = """window.held = []; const real = window.setTimeout; Math.random = () => 1;
    window.setTimeout = (work, ms, ...more) => ms >= 1000 ? window.held.push(work) : real(work, ms, ...more);"""


def test_what_was_to_be_asked_is_not_asked_in_a_pause(rehearsal: Scene, page: Any) -> None:
    rehearsal.report("S7", (10, 20))
    rehearsal.wait_shown()
    page.add_init_script(LONG_TIMERS_WAIT)
    page.goto(rehearsal.board.address)
    page.locator(".fresh.live, .fresh.quiet").first.wait_for(timeout=SOON)
    rehearsal.report("S7", (30, 20), kind="correct")
    wait_true(page, "held.length >= 2")  # history and areas at least
    page.locator("#pause").click()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(urllib.parse.urlsplit(request.url).path))
    page.evaluate("held.splice(0).forEach(work => work())")
    page.evaluate("fetch('/livez').then(answer => answer.text())")  # whatever was asked before it is known by now
    assert asked == ["/livez"]
    page.locator("#pause").click()
    wait_true(page, "held.length >= 3")  # everything
    page.evaluate("held.splice(0).forEach(work => work())")
    wait_for(lambda: "/api/v1/history/PRES" in asked, "the question after the pause")


def test_the_same_stands_there_with_and_without_scripts(rehearsal: Scene, browser: Any, page: Any) -> None:
    rehearsal.report("S3", (690, 20))
    rehearsal.report("S3", (700, 20), kind="recount")
    rehearsal.report("S3", (900, 700), kind="correct")  # above the register: held beside the count
    rehearsal.wait_shown()
    context = browser.new_context(java_script_enabled=False, locale="en-GB")
    plain = context.new_page()
    lists = ("#areas-head", "#areas", "#ledger th", "#ledger td.n")
    for path, first in (("/", "#polls-section"), ("/contest/PRES/area/R/NORTH", "#trail")):
        plain.goto(rehearsal.board.address + path)
        page.goto(rehearsal.board.address + path)
        page.locator(".fresh.live, .fresh.quiet").first.wait_for(timeout=SOON)
        page.locator("#ledger button").first.wait_for(timeout=SOON)
        wait_text(page, "#states", "With another report held for a check")
        for part in (first, "#leaders-title", "#states", "#measures", "#leaders", "#base", "#outcome", *lists):
            said = [[" ".join(text.split()) for text in where.locator(part).all_inner_texts()] for where in (plain, page)]
            assert said[0] == said[1], (path, part)
        assert "Recounted" in plain.locator("#states").inner_text()
        assert "The dotted line in a bar marks 50 %" in plain.locator("#base").inner_text()
    context.close()


def test_plurals_are_the_same_with_and_without_scripts(rehearsal: Scene, page: Any) -> None:
    numbers = [0, 1, 2, 5, 11, 12, 21, 22, 111, 1_000, 1_000_000]
    for language in LANGUAGES:
        page.goto(f"{rehearsal.board.address}/?lang={language}")
        said = page.evaluate("""async numbers => { const w = await import('/static/words.js');
            return numbers.flatMap(n => [w.counted('votes', n), w.counted('ballots', n)]); }""", numbers)  # fmt: skip
        words = Words(language)
        assert said == [words.counted(noun, n) for n in numbers for noun in ("votes", "ballots")], language


def history_of(*hours: float, begin: int = 0) -> Any:
    """Points at hours after a full one, their versions from `begin` on; Anna behind at first, then before."""

    def answer(route: Any) -> None:
        points = [
            {"version": n, "as_of": f"2026-01-01T{20 + int(at)}:{int(at % 1 * 60):02}:00.000Z", "sent": 0,
             "status": "unofficial-partial", "valid": 10,
             "progress": {"stations": {"done": n, "of": 9, "percent": "10.00"}, "registered": None, "ballots": None},
             "candidates": [{"id": "ANNA", "votes": 1, "share": f"{40 + 5 * n}.00"}, {"id": "EVIL", "votes": 1, "share": f"{60 - 5 * n}.00"}]}
            for n, at in enumerate(hours, begin)
        ]  # fmt: skip
        route.fulfill(json={"contest": "PRES", "points": points})

    return answer


def test_the_history_is_to_scale_and_a_colour_belongs_to_a_candidate(rehearsal: Scene, page: Any) -> None:
    for station in ("S5", "S6"):  # the second of the definition leads
        rehearsal.report(station, (0, 990))
    leader = rehearsal.wait_shown()["candidates"][0]["id"]
    assert leader == "EVIL"
    page.route(re.compile(r"/api/v1/history/"), history_of(0, 0.5, 3, 3.5))
    page.goto(rehearsal.board.address)
    page.locator("#chart path.line0").wait_for(state="attached", timeout=SOON)
    path = page.locator("#chart path.line0").get_attribute("d")
    at = [float(x) for x in re.findall(r"[ML]([\d.]+) ", path)]
    assert [round((x - at[0]) / (at[-1] - at[0]), 2) for x in at] == [0, 0.14, 0.86, 1]
    ys = [float(y) for y in re.findall(r" ([\d.]+)", path)]
    assert ys == sorted(ys, reverse=True), "line0 is Anna's, who rises"
    assert "Anna Ahl" in page.locator("#legend .line0.dash0").inner_text()
    texts = page.locator("#chart text").all_text_contents()
    assert {"01:00", "02:00", "03:00"} <= set(texts), texts
    dashes = page.evaluate("[...document.querySelectorAll('#chart path')].map(p => getComputedStyle(p).strokeDasharray)")
    assert len(set(dashes)) == 3, "lines are told apart without colour"


def test_two_questions_at_once_bring_each_point_once(rehearsal: Scene, page: Any) -> None:
    whole, tail = history_of(0, 0.5), history_of(3, 3.5, begin=2)
    page.route(re.compile(r"/api/v1/history/"), lambda route: (tail if "after=1" in route.request.url else whole)(route))
    page.goto(rehearsal.board.address)
    page.locator("#chart path.line0").wait_for(state="attached", timeout=SOON)
    rows = page.evaluate("""async () => { const { drawHistory } = await import('/static/history.js');
        const contest = (await (await fetch('/api/v1/contests/PRES')).json()).contest;
        const root = await (await fetch('/api/v1/standings/PRES')).json();
        await Promise.all([drawHistory(contest, root), drawHistory(contest, root)]);
        return document.querySelectorAll('#history tr').length; }""")
    assert rows == 4


@pytest.mark.parametrize("width", [1280, 1920])
def test_a_hall_has_room_for_nine_digits_and_says_what_is_assumed(rehearsal: Scene, page: Any, width: int) -> None:
    page.set_viewport_size({"width": width, "height": width * 9 // 16})
    page.goto(rehearsal.board.address + "/?screen")
    page.locator(".fresh.live, .fresh.quiet").first.wait_for(timeout=SOON)
    assert page.locator("#base").is_visible()
    assert page.locator("#outcome .note").is_visible()
    page.evaluate("document.querySelectorAll('#leaders td.n:not(.share)').forEach(td => td.textContent = '888,888,888')")
    found = page.evaluate("[...document.querySelectorAll('#leaders td.n')].map(td => [td.scrollWidth, td.clientWidth])")
    assert all(needed <= there for needed, there in found), found
    weights = page.evaluate(
        "[...new Set([...document.querySelectorAll('#leaders td.n:not(.share)')].map(td => getComputedStyle(td).fontWeight))]"
    )
    assert len(weights) == 1, "digits line up"
    needed, there = page.evaluate("[document.documentElement.scrollHeight, innerHeight]")
    assert needed <= there, "one screen"


def test_on_a_phone_the_first_figure_comes_before_the_switches(rehearsal: Scene, page: Any) -> None:
    page.set_viewport_size({"width": 360, "height": 780})
    page.goto(rehearsal.board.address)
    figure = page.locator("#leaders .n").first.bounding_box()
    assert figure["y"] < page.locator(".switches").bounding_box()["y"]
    assert figure["y"] + figure["height"] < 780, "without scrolling"


@pytest.fixture
def newspaper(rehearsal: Scene) -> Iterator[str]:
    """A page of another origin with the board in two frames."""
    frames = "".join(
        f'<iframe name="{n}" src="{rehearsal.board.address}/{q}"></iframe>' for n, q in (("a", "?embed"), ("b", ""))
    )

    class Paper(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html>" + frames.encode())

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Paper) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_only_the_embedded_page_stands_in_a_frame(newspaper: str, browser: Any) -> None:
    context = browser.new_context(locale="en-GB")
    page = context.new_page()
    page.goto(newspaper)
    page.frame_locator('[name="a"]').locator("#leaders tr").first.wait_for(timeout=SOON)
    page.frame_locator('[name="a"]').locator(".fresh.live, .fresh.quiet").wait_for(timeout=SOON)
    assert page.frame_locator('[name="b"]').locator("#leaders").count() == 0
    assert page.frame(name="b").url.startswith("chrome-error:")
    context.close()
