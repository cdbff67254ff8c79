"""The nginx example, started before a real board beside a real worker: what the public gets through it, and what it does not.

The file itself runs, with its ports, folders and the board's address replaced by those of the test, each of which must be in it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, Queue
from threading import Thread

import pytest

from tests.deploy.files import program, run
from tests.deploy.nginx import NGINX, Nginx
from tests.support.board_scene import Scene, rehearsal_folder, scene
from tests.support.processes import LIFELINE, free_port, said_in, terminated
from tests.support.waiting import wait_for

CONF = NGINX / "board.conf"
DEBIAN_S = {Path("/var/lib/nginx"), Path("/var/log/nginx")}
"""Folders that Debian's package of nginx has made when it is installed."""
BURST = 200
LATE_SECONDS = 3.0
"""A reader is sent an update within half a second, and a beat every 5 s: what waits in a buffer comes with one of those."""
BOARD_S_OWN = {"content-security-policy", "x-content-type-options", "referrer-policy", "etag", "vary", "cache-control"}


def before(directory: Path, board: str) -> Nginx:
    """The example before a board at `board` (host:port); what it publishes as files lies below `directory`."""
    files = directory.with_name("files")
    files.mkdir()
    return Nginx(
        directory, CONF,
        ("/var/lib/nginx/tally", str(directory / "cache")), ("/var/log/nginx/tally-board.log", str(directory / "access.log")),
        ("/srv/tally-files/", f"{files}/"), ("127.0.0.1:8080 max_fails", f"{board} max_fails"),
    )  # fmt: skip


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    program("nginx")
    program("curl")
    directory = tmp_path_factory.mktemp("night")
    with scene(str(rehearsal_folder(directory / "election")), directory) as played:
        played.report("S1", (300, 200))
        played.wait_shown()
        yield played


@pytest.fixture
def nginx(night: Scene, tmp_path: Path) -> Iterator[Nginx]:
    """A limit that one test has used up is not another's."""
    with before(tmp_path / "nginx", night.board.address.removeprefix("http://")) as started:
        yield started


def test_nginx_finds_no_mistake_in_the_example(tmp_path: Path) -> None:
    said = run(program("nginx"), "-t", "-c", before(tmp_path / "nginx", "127.0.0.1:8080").main)
    assert "test is successful" in said
    assert "warn" not in said


def test_every_folder_of_the_example_is_there_or_is_said_to_be_made() -> None:
    """nginx makes the last folder of a path and no other. The operator's own two, the certificate's and that of the published
    files, are named in the head among what to change; in all else lies what Debian's package brings."""
    text = CONF.read_text(encoding="utf-8")
    head = " ".join(line.lstrip("# ") for line in text.split("\n\n")[0].splitlines())
    paths = [
        Path(found) for found in re.findall(r"^\s*(?:\w+_path|access_log|ssl_certificate\w*|alias) (/\S+?)[; ]", text, re.M)
    ]
    assert len(paths) == 6, paths
    for path in paths:
        assert path.parent in DEBIAN_S or any(f"{folder}/" in head for folder in (path, *path.parents)), path


def test_the_folders_of_debian_s_package_are_its_own() -> None:
    dpkg = shutil.which("dpkg")
    if dpkg is None or subprocess.run([dpkg, "-s", "nginx-common"], capture_output=True, check=False).returncode != 0:
        pytest.skip("nginx is not Debian's here: its package cannot be asked")
    listed = {Path(line) for line in run(dpkg, "-L", "nginx-common").splitlines()}
    assert listed >= DEBIAN_S


def test_the_public_speaks_http_2_and_is_sent_from_plain_http_to_tls(nginx: Nginx) -> None:
    status, _ = nginx.headers("/")
    assert status == "HTTP/2 200"
    said = run(program("curl"), "--silent", "--include", f"http://127.0.0.1:{nginx.plain_port}/contest/PRES?lang=az")
    assert said.startswith("HTTP/1.1 301")
    assert "Location: https://127.0.0.1/contest/PRES?lang=az" in said


def test_answers_are_the_board_s_to_the_byte_with_its_headers_once(night: Scene, nginx: Nginx) -> None:
    for path in ("/", "/api/v1/standings/PRES", "/static/board.js"):
        _, theirs, headers = night.board.get(path)
        assert nginx.curl("--http2", path=path) == theirs.decode()
        _, through = nginx.headers(path)
        names = [name for name, _ in through]
        assert sorted(set(names)) == sorted(names), "a header that comes twice"
        assert {name: value for name, value in through if name in BOARD_S_OWN} == {
            name: value for name, value in headers.items() if name in BOARD_S_OWN
        }
        assert ("strict-transport-security", "max-age=3600") in through
        assert "x-powered-by" not in names


def test_who_has_the_newest_already_is_told_so(nginx: Nginx) -> None:
    _, headers = nginx.headers("/api/v1/standings/PRES")
    status, _ = nginx.headers("/api/v1/standings/PRES", "--header", f"If-None-Match: {dict(headers)['etag']}")
    assert status == "HTTP/2 304"


def test_events_go_through_as_they_come(night: Scene, nginx: Nginx) -> None:
    """One event after the other, while the answer goes on, as `gzip on` would not let them."""
    url = f"https://127.0.0.1:{nginx.port}/api/v1/stream?contest=PRES"
    process = subprocess.Popen(
        [program("curl"), "--silent", "--no-buffer", "--http2", "--cacert", nginx.certificate, "--dump-header", "-", url],
        stdout=subprocess.PIPE, text=True, **LIFELINE.arguments({**os.environ}),
    )  # fmt: skip
    lines: Queue[str] = Queue()
    assert process.stdout is not None
    out = process.stdout

    def read() -> None:
        for line in out:
            lines.put(line.rstrip())

    reading = Thread(target=read, daemon=True)
    reading.start()

    def until(begin: str) -> str:
        while True:
            try:
                line = lines.get(timeout=15)
            except Empty:
                raise AssertionError(f"no line begins with {begin!r}") from None
            if line.startswith(begin):
                return line

    try:
        assert until("HTTP/") == "HTTP/2 200"
        assert until("content-type") == "content-type: text/event-stream"
        first = int(until("id: ").removeprefix("id: "))
        for votes in (301, 302):
            night.report("S2" if votes == 301 else "S3", (votes, 100))
            due = night.wait_shown()["version"]
            assert first < due
            shown = time.monotonic()
            while int(until("id: ").removeprefix("id: ")) < due:
                pass
            assert time.monotonic() - shown < LATE_SECONDS
        # A beat is 200 bytes: nothing else would push it out of a buffer.
        until("event: beat")
        beat = json.loads(until("data: ").removeprefix("data: "))
        assert time.time() - beat["now"] / 1000 < LATE_SECONDS
        assert process.poll() is None
    finally:
        terminated(process)
        reading.join(10)
        out.close()


def test_a_flood_from_one_address_is_told_to_wait_and_others_are_served(nginx: Nginx) -> None:
    """curl asks 600 times over HTTP/2 as fast as it can: the burst and what trickles in are served, the rest refused."""
    said = nginx.curl("--http2", "--parallel", "--parallel-max", "40", "--include", path="/static/icon.svg?[1-600]")
    codes = re.findall(r"HTTP/2 (\d{3})", said)
    assert len(codes) == 600
    assert set(codes) == {"200", "429"}
    assert BURST <= codes.count("200") < 500
    told = json.dumps({"error": "too many requests from this address"}, separators=(",", ":"))
    assert said.count(told) == said.count("retry-after: 5") == codes.count("429")
    wait_for(lambda: nginx.headers("/")[0] == "HTTP/2 200", "the limit to let go", 30)


def test_what_may_be_cached_is_and_figures_are_not(night: Scene, nginx: Nginx) -> None:
    for path in ("/api/v1/openapi.json", "/api/v1/openapi.json?x=1", "/api/v1/standings/PRES", "/api/v1/standings/PRES"):
        nginx.curl("--http2", path=path)
    wait_for(lambda: said_in(nginx.directory / "access.log").count("\n") >= 4, "four lines of nginx's log")
    found = re.findall(r"GET (\S+) .* cache=(\S+)", said_in(nginx.directory / "access.log"))
    described, figures = "/api/v1/openapi.json", "/api/v1/standings/PRES"
    assert found == [(described, "MISS"), (described, "HIT"), (figures, "-"), (figures, "-")]
    assert nginx.curl(path=described).encode() == night.board.get(described)[1]
    version = nginx.directory.with_name("files") / "PRES" / "000000000001"
    version.mkdir(parents=True)
    (version / "standings.json").write_text("{}")
    (nginx.directory.with_name("files") / "latest.json").write_text("{}")
    _, kept = nginx.headers("/files/PRES/000000000001/standings.json")
    assert ("cache-control", "public, max-age=31536000, immutable") in kept
    assert ("cache-control", "no-cache") in nginx.headers("/files/latest.json")[1]


def test_what_is_for_operators_is_not_for_the_public(nginx: Nginx) -> None:
    for path in ("/metrics", "/livez", "/readyz", "/operator/held", "/operator/held.json"):
        assert nginx.headers(path)[0] == "HTTP/2 404", path


def test_a_board_that_is_away_is_said_in_one_sentence(tmp_path: Path) -> None:
    program("curl")
    with before(tmp_path / "nginx", f"127.0.0.1:{free_port()}") as alone:
        answer = alone.curl("--http2", "--include", path="/")
    assert answer.startswith("HTTP/2 503")
    assert "no board answers" in answer
