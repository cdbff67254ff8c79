"""The endpoints of a real board beside a real worker: bytes, validators, refusals, the stream.

Longer than other files: every endpoint is asked of the same rehearsal, with the same helpers.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import cramjam
import pytest
import schemathesis
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import HealthCheck, given, settings
from prometheus_client.parser import text_string_to_metric_families
from schemathesis.config import SchemathesisConfig
from schemathesis.core.result import Ok

from tally_stream.board import operators as operators_module
from tally_stream.board.answers import json_answer
from tally_stream.board.api import HISTORY_TAIL_POINTS
from tally_stream.board.operators import Operators
from tally_stream.board.server import Board
from tally_stream.board.shown import Published
from tally_stream.metrics import BOARD_METRICS, PROCESS_METRICS
from tally_stream.settings import load_settings
from tally_stream.wire.folder.assembling import load_election
from tally_stream.wire.messages import canonical_json
from tally_stream.wire.newest import root_seconds
from tests.support.board_scene import Scene, rehearsal_folder, root_message
from tests.support.paths import DOCS
from tests.support.preloaded import ran
from tests.support.processes import command, environment
from tests.support.topics import newest_standings
from tests.support.waiting import wait_for


@pytest.fixture
def full(rehearsal: Scene) -> Scene:
    """The rehearsal with something in every table."""
    if rehearsal.root("PRES")["version"] < 1:
        rehearsal.report("S1", (300, 200))
        rehearsal.report("S1", (280, 220), kind="correct")
        rehearsal.produce(("S2", b"nonsense"))
    rehearsal.wait_shown()
    return rehearsal


def test_standings_are_the_bytes_on_the_topic(full: Scene) -> None:
    for key, value in newest_standings_apart(full).items():
        contest, area = key.decode().split("|")
        path = f"/api/v1/standings/{contest}" + ("" if area == "R" else f"/{area}")
        status, body, headers = full.board.get(path)
        assert (status, body) == (200, value)
        assert headers["content-type"] == "application/json"
        assert headers["access-control-allow-origin"] == "*"
    assert full.board.get("/api/v1/standings/PRES")[1] == full.board.get("/api/v1/standings/PRES/R")[1]


def newest_standings_apart(played: Scene) -> dict[bytes, bytes]:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(newest_standings, played.settings).result()


@pytest.mark.parametrize("path", ["/api/v1/standings/PRES", "/api/v1/contests", "/api/v1/areas/PRES", "/", "/static/board.css"])
def test_who_has_it_is_told_so(full: Scene, path: str) -> None:
    status, body, headers = full.board.get(path)
    assert status == 200
    again = full.board.get(path, {"If-None-Match": headers["etag"]})
    assert (again[0], again[1]) == (304, b"")
    assert full.board.get(path, {"If-None-Match": '"other"'})[1] == body
    packed = full.board.get(path, {"If-None-Match": headers["etag"], "Accept-Encoding": "gzip"})
    assert packed[0] == 304, "one version has one name, in whatever form"


def test_the_time_of_standings_is_their_own_and_the_same_on_every_board(full: Scene, tmp_path: Path) -> None:
    """A board that starts later finds a root that was sent again; a time is no name of a version."""
    other = full.start_board()
    try:
        for path in ("/api/v1/standings/PRES", "/api/v1/standings/PRES/R/NORTH"):
            _, body, headers = full.board.get(path)
            as_of = datetime.fromisoformat(json.loads(body)["as_of"]).replace(microsecond=0)
            assert parsedate_to_datetime(headers["last-modified"]) == as_of
            assert other.get(path)[2]["last-modified"] == headers["last-modified"]
            assert full.board.get(path, {"If-Modified-Since": headers["last-modified"]})[0] == 200
        for path in ("/", "/api/v1/areas/PRES", "/api/v1/history/PRES", "/api/v1/contests"):
            assert "last-modified" not in full.board.get(path)[2], path
    finally:
        other.stop()


@pytest.mark.parametrize("path", ["/", "/static/board.js", "/api/v1/contests", "/api/v1/none", "/none", "/metrics", "/readyz"])
def test_every_answer_has_the_security_headers(full: Scene, path: str) -> None:
    _, _, headers = full.board.get(path)
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"].startswith("default-src 'none'")


def test_slashes_of_an_area_stand_as_they_are_or_escaped(full: Scene) -> None:
    for path in ("standings/PRES", "areas/PRES"):
        plain = full.board.get(f"/api/v1/{path}/R/NORTH")
        assert plain[0] == 200
        assert full.board.get(f"/api/v1/{path}/R%2FNORTH")[:2] == plain[:2]


def test_a_page_of_another_origin_may_ask(full: Scene) -> None:
    request = urllib.request.Request(full.board.address + "/api/v1/standings/PRES", method="OPTIONS")
    with urllib.request.urlopen(request, timeout=5) as answer:
        assert answer.status == 204
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "If-None-Match" in answer.headers["Access-Control-Allow-Headers"]
    with urllib.request.urlopen(full.board.address + "/api/v1/stream", timeout=5) as stream:
        assert stream.headers["Access-Control-Allow-Origin"] == "*"


def test_the_forms_a_reader_accepts(full: Scene) -> None:
    plain = full.board.get("/api/v1/standings/PRES")
    for asked, name, unpack in (
        ("gzip", "gzip", gzip.decompress), ("gzip, br", "br", lambda b: bytes(cramjam.brotli.decompress(b))),
    ):  # fmt: skip
        status, body, headers = full.board.get("/api/v1/standings/PRES", {"Accept-Encoding": asked})
        assert (status, headers["content-encoding"]) == (200, name)
        assert unpack(body) == plain[1]
        assert headers["etag"] != plain[2]["etag"]
        assert "Accept-Encoding" in headers["vary"]
    assert "content-encoding" not in full.board.get("/api/v1/standings/PRES", {"Accept-Encoding": "br;q=0"})[2]


@pytest.mark.parametrize(
    ("path", "status", "word"),
    [
        ("/api/v1/standings/NONE", 404, "NONE"), ("/api/v1/standings/PRES/R/NOWHERE", 404, "NOWHERE"),
        ("/api/v1/areas/PRES/X", 404, "X"), ("/api/v1/areas/PRES?sort=x", 400, "sort"), ("/api/v1/contests/NONE", 404, "NONE"),
        ("/api/v1/contests?limit=501", 400, "limit"), ("/api/v1/stream?contest=PRES&area=R/X", 404, "R/X"), ("/api/v1/stations/S99", 404, "S99"), ("/api/v1/history/NONE", 404, "NONE"),
        ("/api/v1/changes?limit=0", 400, "limit"), ("/api/v1/changes?limit=501", 400, "limit"),
        ("/api/v1/changes?limit=%D9%A3", 400, "limit"), ("/api/v1/changes?before=1,2", 400, "before"),
        ("/api/v1/stations?area=Y", 404, "Y"), ("/api/v1/stations?limit=x", 400, "limit"),
        ("/api/v1/stations?q=" + 65 * "x", 400, "q"),
        ("/api/v1/stream?contest=NONE", 404, "NONE"), ("/nothing", 404, "not found"),
        ("/static/../server.py", 404, "not found"), ("/static/%2e%2e/server.py", 404, "not found"),
    ],
)  # fmt: skip
def test_refusals_are_one_sentence(full: Scene, path: str, status: int, word: str) -> None:
    found = full.board.get(path)
    assert found[0] == status, found
    assert word in json.loads(found[1])["error"]
    assert "Traceback" not in full.board.log_path.read_text()


def test_areas_stations_and_ledger_agree_with_the_standings(full: Scene) -> None:
    areas = full.board.json("/api/v1/areas/PRES")
    assert [a["area"] for a in areas["areas"]] == ["R/NORTH", "R/SOUTH"]
    root = full.root("PRES")
    for entry in areas["areas"]:
        rows = full.board.json(f"/api/v1/stations?contest=PRES&area={urllib.parse.quote(entry['area'])}")["stations"]
        valid = sum(row["in_force"]["ballots"]["valid"] for row in rows if row["in_force"])
        assert valid == entry["valid"]
        assert len(rows) == full.board.json(entry["standings"])["stations"]["expected"] == entry["stations"]["of"]
    one = full.board.json("/api/v1/stations/S1")
    assert one["area"] == "R/NORTH"
    assert [step["name"] for step in one["trail"]] == ["Everywhere", "NORTH"]
    kinds = [(s["kind"], s["verdict"]) for s in one["statements"]]
    assert ("report", "counted") in kinds
    assert sum(a["valid"] for a in areas["areas"]) == root["ballots"]["valid"]
    first = full.board.json("/api/v1/stations?limit=3")
    rest = full.board.json("/api/v1/stations?after=" + first["stations"][-1]["station"])
    assert [r["station"] for r in first["stations"] + rest["stations"]] == [f"S{n}" for n in range(1, 9)]
    assert (first["has_more"], rest["has_more"]) == (True, False)
    assert [r["station"] for r in full.board.json("/api/v1/stations?q=station%204")["stations"]] == ["S4"]


def test_the_history_after_a_version_is_only_what_is_new(full: Scene) -> None:
    whole = full.board.json("/api/v1/history/PRES")["points"]
    assert [p["version"] for p in whole] == sorted(p["version"] for p in whole)
    newest = full.root("PRES")
    assert whole[-1]["version"] == newest["version"]
    assert whole[-1]["candidates"] == [{k: c[k] for k in ("id", "votes", "share")} for c in newest["candidates"]]
    assert full.board.json(f"/api/v1/history/PRES?after={whole[-2]['version']}")["points"] == whole[-1:]
    assert full.board.json(f"/api/v1/history/PRES?after={newest['version']}")["points"] == []
    assert full.board.json("/api/v1/history/PRES?after=999999999")["points"] == whole
    assert full.board.get("/api/v1/history/PRES?after=-1")[0] == 400


def test_a_rejected_record_is_counted_and_stands_at_its_station(full: Scene) -> None:
    before = full.board.json("/api/v1/rejections")["verdicts"].get("rejected", 0)
    full.produce(("S8", b"nonsense"))
    full.wait_shown()
    found = wait_for(
        lambda: r if (r := full.board.json("/api/v1/rejections"))["verdicts"].get("rejected", 0) > before else None,
        "a rejection",
    )
    assert found["newest"][0]["codes"] == ["S1"]
    assert found["newest"][0]["key"] == "S8"
    statements = wait_for(lambda: full.board.json("/api/v1/stations/S8")["statements"], "the statement")
    assert (statements[-1]["verdict"], statements[-1]["codes"]) == ("rejected", ["S1"])


class Events:
    """A reader of the stream, on curl."""

    def __init__(self, played: Scene, *headers: str, contest: str = "PRES") -> None:
        words = [word for header in headers for word in ("--header", header)]
        self.process = subprocess.Popen(
            ["curl", "--silent", "--no-buffer", *words, f"{played.board.address}/api/v1/stream?contest={contest}"],
            stdout=subprocess.PIPE,
        )

    def __iter__(self) -> Iterator[dict[str, str]]:
        assert self.process.stdout is not None
        event: dict[str, str] = {}
        for line in self.process.stdout:
            text = line.decode().rstrip("\n")
            if text:
                name, _, value = text.partition(": ")
                event[name] = value
            elif event:
                yield event
                event = {}

    def until(self, name: str) -> dict[str, str]:
        return next(event for event in self if event.get("event") == name)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


def test_the_stream_begins_with_the_newest_and_goes_on(full: Scene) -> None:
    events = Events(full)
    try:
        first = events.until("standings")
        assert first["data"].encode() == full.board.get("/api/v1/standings/PRES")[1]
        assert int(first["id"]) == json.loads(first["data"])["version"] == full.sent
        full.produce(("S7", b"nonsense"))
        assert int(events.until("standings")["id"]) == full.sent
    finally:
        events.close()


def test_who_comes_back_is_sent_what_differs(full: Scene) -> None:
    version = full.root("PRES")["version"]
    for last, expected in (
        (str(version), "beat"),
        (str(version - 1), "standings"),
        (str(version + 1), "standings"),
        ("nonsense", "standings"),
    ):
        events = Events(full, f"Last-Event-ID: {last}")
        try:
            kinds = [event["event"] for event in iter_until_beat(events)]
            assert kinds[0] == expected, last
        finally:
            events.close()


def iter_until_beat(events: Events) -> list[dict[str, str]]:
    found = []
    for event in events:
        if "event" in event:
            found.append(event)
            if event["event"] == "beat":
                break
    return found


async def test_before_it_has_read_everything_it_shows_nothing(tmp_path: Path) -> None:
    election = load_election(rehearsal_folder(tmp_path / "e"))
    board = Board(load_settings(), election, print)
    async with TestClient(TestServer(board.application())) as client:
        for path in (
            "standings/PRES",
            "contests",
            "contests/PRES",
            "areas/PRES",
            "history/PRES",
            "changes",
            "rejections",
            "stations",
            "stream",
        ):
            answer = await client.get(f"/api/v1/{path}")
            assert answer.status == 503, path
            assert answer.headers["Retry-After"]
            assert (await answer.json())["error"]
        assert (await client.get("/readyz")).status == 503
        page = await client.get("/")
        assert page.status == 200
        assert "Nothing was published yet" in await page.text()
        board.feed._behind.clear()  # noqa: SLF001  (as if the topics had been read to their end)
        answer = await client.get("/api/v1/stations/S1")
        said = await answer.json()
        assert (answer.status, said["read"], said["of"]) == (503, 0, 0)
        board.stations.failure = "stopped at partition 0, offset 7: KeyError"
        assert "offset 7" in (await (await client.get("/api/v1/stations/S1")).json())["error"]


async def test_who_lacks_much_of_the_history_is_given_what_was_made_for_all(tmp_path: Path) -> None:
    board = Board(load_settings(), load_election(rehearsal_folder(tmp_path / "e")), print)
    board.feed._behind.clear()  # noqa: SLF001  (as if the topics had been read to their end)
    shown = board.feed.shown["PRES"]
    for version in range(1, HISTORY_TAIL_POINTS + 10):
        root = root_message(board.election, version=version)
        shown.take_root(Published(version, canonical_json(root), 1_000 * version), 1_000 * version)
    newest = shown.version
    async with TestClient(TestServer(board.application())) as client:

        async def versions(query: str) -> tuple[list[int], str]:
            answer = await client.get(f"/api/v1/history/PRES{query}")
            return [point["version"] for point in (await answer.json())["points"]], answer.headers["ETag"]

        whole = await versions("")
        assert whole[0] == list(range(1, newest + 1))
        tail, _ = await versions(f"?after={newest - HISTORY_TAIL_POINTS}")
        assert tail == whole[0][-HISTORY_TAIL_POINTS:]
        made = len(board.api._answers._kept)  # noqa: SLF001  (how many are kept is what the test is about)
        for after in range(1, newest - HISTORY_TAIL_POINTS):
            assert await versions(f"?after={after}") == whole
        assert len(board.api._answers._kept) == made  # noqa: SLF001  (how many are kept is what the test is about)


async def test_before_the_close_a_rejection_tells_no_figure(tmp_path: Path) -> None:
    board = Board(load_settings(), load_election(rehearsal_folder(tmp_path / "e")), print)
    board.feed._behind.clear()  # noqa: SLF001  (as if the topics had been read to their end)
    line = {
        "definition": board.election.digest, "verdict": "rejected", "codes": ["A1"], "key_base64": None, "value_bytes": 3,
        "details": [{"code": "A1", "message": "the votes add up to 4711, the valid ballots are 99", "left": 4711, "right": 99}],
        "value_sha256": "x", "source": {"topic": "t", "partition": 0, "offset": 4, "timestamp": 1},
    }  # fmt: skip
    board.feed.refusals.take(json.dumps(line).encode())
    states = (("official", "pre-election", False), ("official", "unofficial-partial", True), ("test", "pre-election", True))
    async with TestClient(TestServer(board.application())) as client:
        for phase, status, shows in states:
            for contest, shown in board.feed.shown.items():
                shown.root_message = {"phase": phase, "status": status if contest == "SEAT" else "unofficial-partial"}
            text = await (await client.get("/api/v1/rejections")).text()
            assert ("4711" in text) is shows, text
            (newest,) = json.loads(text)["newest"]
            assert (newest["value_bytes"], newest["value_sha256"]) == ((3, "x") if shows else (None, None))
            assert json.loads(text)["codes"] == {"A1": 1}


async def test_a_fault_of_ours_is_one_sentence_and_no_traceback(tmp_path: Path) -> None:
    said: list[str] = []
    board = Board(load_settings(), load_election(rehearsal_folder(tmp_path / "e")), said.append)
    board.feed._behind.clear()  # noqa: SLF001  (as if the topics had been read to their end)
    board.feed.refusals.newest = None  # type: ignore[assignment,method-assign]
    async with TestClient(TestServer(board.application())) as client:
        answer = await client.get("/api/v1/rejections")
        assert answer.status == 500
        assert "Traceback" not in await answer.text()
    assert "TypeError" in said[0]


def test_no_broker_is_refused_in_one_line(rehearsal: Scene) -> None:
    done = ran(
        command("board", "--election", rehearsal.election, "--port", "0", "--prefix", "scene", "--bootstrap", "127.0.0.1:1"),
        {**environment(rehearsal.settings), "TALLY_BROKER_WAIT_SECONDS": "0"}, 30,
    )  # fmt: skip
    assert done.returncode == 1
    assert "no Kafka broker answers" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_taken_port_is_refused_in_one_line(rehearsal: Scene) -> None:
    port = rehearsal.board.address.rsplit(":", 1)[1]
    done = ran(command("board", "--election", rehearsal.election, "--port", port), environment(rehearsal.settings), 30)
    assert done.returncode == 1
    assert "Address already in use; another port: --board-port or TALLY_BOARD_PORT" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_endpoint_is_what_its_description_says(full: Scene) -> None:
    """Schemathesis makes requests, good and bad, from the document that the board serves."""
    schema = schemathesis.openapi.from_url(f"{full.board.address}/api/v1/openapi.json", config=SchemathesisConfig())
    asked: set[str] = set()
    for result in schema.exclude(path="/api/v1/stream").get_all_operations():
        assert isinstance(result, Ok), result
        operation = result.ok()

        @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
        @given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            response = case.call()
            case.validate_response(response)
            assert response.status_code != 500

        ask()
        asked.add(operation.path)
    assert len(asked) == 15


def test_the_description_is_served_with_a_name(full: Scene) -> None:
    status, body, headers = full.board.get("/api/v1/openapi.json")
    assert status == 200
    assert headers["etag"].strip('"') == json_answer(json.loads(body)).tag


def test_the_messages_are_described_as_in_the_docs(full: Scene) -> None:
    """Where the document's references lead, too: they are relative to it."""
    served = full.board.json("/api/v1/asyncapi.json")
    assert served == json.loads((DOCS / "asyncapi.json").read_text(encoding="utf-8"))
    for name, message in served["components"]["messages"].items():
        path = urllib.parse.urljoin("/api/v1/asyncapi.json", message["payload"]["$ref"])
        assert full.board.json(path) == json.loads((DOCS / "schemas" / f"{name}.json").read_text(encoding="utf-8"))
    assert full.board.get("/api/v1/schemas/none.json")[0] == 404


class TestOperators:
    def operators(self, tmp_path: Path) -> tuple[Board, Operators]:
        self.now = 1_000_000
        board = Board(load_settings(), load_election(rehearsal_folder(tmp_path / "e")), print)
        board.feed._behind.clear()  # noqa: SLF001  (as if the topics had been read to their end)
        return board, Operators(board.feed, board.stations, board.stream, lambda: self.now)

    def test_a_board_without_contact_or_fold_is_not_ready(self, tmp_path: Path) -> None:
        board, operators = self.operators(tmp_path)
        self.now += 39_000
        assert operators.why_not_ready() == []
        self.now += 1_000
        assert operators.why_not_ready() == [f"no worker published standings of {c} for 40 s" for c in ("PRES", "SEAT")]
        for shown in board.feed.shown.values():
            shown.contact_ms = self.now
        assert operators.why_not_ready() == []
        board.stations.failure = "stopped at partition 0, offset 7: KeyError"
        assert operators.why_not_ready() == ["the stations can't be shown: stopped at partition 0, offset 7: KeyError"]

    def test_many_contests_are_told_together(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(operators_module, "CONTESTS_TOLD_MAX", 1)
        board, operators = self.operators(tmp_path)
        board.feed.shown["SEAT"].contact_ms = self.now
        board.feed.shown["PRES"].contact_ms = self.now - 7_000
        board.stream.sent["PRES"].sent_count, board.stream.sent["SEAT"].sent_count = 3, 4
        samples = {name: list(found) for name, found in operators.samples().items()}
        assert samples["tally_board_updates_sent_total"] == [(("all",), 7)]
        assert samples["tally_board_contact_age_seconds"] == [(("all",), 0.0)], "any root is a sign of a worker"
        self.now += 40_000
        assert operators.why_not_ready() == ["no worker published standings of PRES for 47 s", "nor of 1 other contests"]

    def test_where_roots_are_sent_in_turn_silence_is_longer(self, tmp_path: Path) -> None:
        board, operators = self.operators(tmp_path)
        board.feed.root_seconds = root_seconds(20_000)
        self.now += 799_000
        assert operators.why_not_ready() == []
        self.now += 1_000
        assert len(operators.why_not_ready()) == 2

    async def test_not_ready_is_503_with_the_reason(self, tmp_path: Path) -> None:
        board, _ = self.operators(tmp_path)
        async with TestClient(TestServer(board.application())) as client:
            assert (await client.get("/readyz")).status == 200
            board.feed.shown["SEAT"].contact_ms = 5
            answer = await client.get("/readyz")
            assert answer.status == 503
            assert "standings of SEAT" in (await answer.json())["reasons"][0]


def test_the_board_s_metrics_are_those_of_the_catalogue(full: Scene) -> None:
    events = Events(full)
    try:
        events.until("standings")
        full.produce(("S8", b"nonsense"))
        events.until("standings")
        events.until("beat")
        status, body, headers = full.board.get("/metrics")
        assert (status, headers["content-type"].split(";")[0]) == (200, "text/plain")
        families = {f.name: f for f in text_string_to_metric_families(body.decode())}
        assert {n.removesuffix("_total") for n in (m.name for m in (*BOARD_METRICS, *PROCESS_METRICS))} == set(families)
        found = {(s.name, *s.labels.values()): s.value for f in families.values() for s in f.samples}
        assert found["tally_board_readers", "PRES"] >= 1
        assert found["tally_board_updates_sent_total", "PRES"] >= 1
        assert found["tally_board_version", "PRES"] == full.sent
        assert 0 <= found["tally_board_contact_age_seconds", "PRES"] < 40
        assert found["tally_board_ready",] == 1
    finally:
        events.close()
