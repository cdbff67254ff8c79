"""A clerk's phone, the intake and a worker, each a process: a report typed on the page is counted, and its receipt says so."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.brokers import Embedded
from tests.support.preloaded import begun
from tests.support.processes import command, environment, run, said_in, settings_for, terminated
from tests.support.reporting_stations import write_election
from tests.support.small_elections import COUNTED_AT
from tests.support.waiting import wait_for
from tests.support.worker import WorkerProcess

FIGURES = {
    "cast": "100", "valid": "96", "blank": "2", "invalid": "2", "votes ANNA": "50", "votes BELA": "46",
    "counted_at": COUNTED_AT,
}  # fmt: skip


@contextmanager
def intake(settings: Any, folder: Path, scratch: Path) -> Iterator[str]:
    """Its address."""
    log = scratch / "intake.log"
    words = ("intake", "--election", str(folder), "--tokens", str(scratch / "tokens"), "--port", "0")
    with log.open("wb") as file:
        process = begun(command(*words), environment(settings), file)
    try:
        wait_for(lambda: "intake at http" in said_in(log), "the intake")
        found = re.search(r"intake at (http://[^,\s]+)", said_in(log))
        assert found is not None
        yield found[1]
    finally:
        assert terminated(process) == 0
        assert "Traceback" not in said_in(log)


def test_from_the_paper_to_the_published_figures(browser: Any, tmp_path: Path) -> None:
    folder = write_election(tmp_path / "election")
    with Embedded() as broker:
        settings = settings_for(broker.bootstrap, "clerk")
        worker = WorkerProcess(settings, str(folder), tmp_path / "worker.log", "--embedded")
        try:
            worker.wait_ready()
            words = ("intake", "token", "--station", "A-1", "--election", str(folder), "--tokens", str(tmp_path / "tokens"))
            token = run(*words, settings=settings).stdout.strip()
            with intake(settings, folder, tmp_path) as address:
                _typed_and_counted(browser, address, token)
        finally:
            worker.close()


def _typed_and_counted(browser: Any, address: str, token: str) -> None:
    page = browser.new_context(viewport={"width": 360, "height": 740}, locale="en-GB").new_page()
    page.goto(address)
    page.fill("#token", token)
    page.click("button.send")
    page.wait_for_selector("#sheet")
    for name, figure in FIGURES.items():
        page.fill(f'[name="{name}"]', figure)
    page.click("button.send")
    page.wait_for_selector("#state.counted", timeout=60_000)
    assert "Counted when it was read: it is in the published figures unless" in page.inner_text("#state")
    assert page.inner_text(".figures").split("\n") == [
        "Ballots cast", "100", "Valid ballots", "96", "Blank ballots", "2", "Invalid ballots", "2", "Anna", "50", "Bela", "46",
        "Counted at", COUNTED_AT,
    ]  # fmt: skip
    with urllib.request.urlopen(f"{address}/", timeout=30) as answer:
        headers = dict(answer.headers)
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
