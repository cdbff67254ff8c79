"""The intake as a process, beside a worker: from a token to a receipt, over a restart; and every answer as it is described."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from schemathesis.config import SchemathesisConfig
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tally_stream.metrics import INTAKE_METRICS, read_samples
from tally_stream.settings import Settings
from tally_stream.wire.folder.assembling import load_election
from tests.support.brokers import Embedded
from tests.support.preloaded import begun, ran
from tests.support.processes import command, environment, free_port, run, said_in, settings_for, terminated
from tests.support.report_messages import as_bytes, counts, turnout
from tests.support.reporting_stations import write_election
from tests.support.topics import read_topic
from tests.support.waiting import wait_for
from tests.support.worker import WorkerProcess

HELD = {"ballots": {"cast": 99, "valid": 96, "blank": 2, "invalid": 2}}


@dataclass
class NightWithIntake:
    settings: Settings
    folder: Path
    scratch: Path
    token: str
    other: str
    address: str = ""
    metrics: str = ""

    @contextmanager
    def intake(self) -> Iterator[None]:
        log, port = self.scratch / "intake.log", free_port()
        words = ("intake", "--election", str(self.folder), "--tokens", str(self.scratch / "tokens"), "--port", "0",
                 "--metrics-port", str(port))  # fmt: skip
        with log.open("wb") as file:
            process = begun(command(*words), environment(self.settings), file)
        try:
            wait_for(lambda: "intake at http" in said_in(log), "the intake")
            self.address = said_in(log).split("intake at ")[1].split(",")[0]
            self.metrics = f"http://127.0.0.1:{port}"
            yield
        finally:
            assert terminated(process) == 0
            assert "stopped" in said_in(log)
            assert "Traceback" not in said_in(log)

    def ask(self, path: str, message: dict[str, Any] | None = None, token: str = "") -> tuple[int, dict[str, Any]]:
        headers = {"Authorization": f"Bearer {token or self.token}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.address + path, None if message is None else as_bytes(message), headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def clerk_form(self, station: str, contest: str) -> str:
        """As a browser has it that has just signed in."""
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        path = f"/station/{station}/{contest}"
        with browser.open(self.address + "/login", urllib.parse.urlencode({"token": self.token, "to": path}).encode()) as form:
            return str(form.read().decode())

    def state(self, place: dict[str, Any]) -> str:
        status, receipt = self.ask(place["receipt"])
        assert status == 200, receipt
        return str(receipt["state"])


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NightWithIntake]:
    scratch = tmp_path_factory.mktemp("intake")
    folder = write_election(scratch / "election", "SEAT")
    with Embedded() as broker:
        settings = settings_for(broker.bootstrap, "intake")
        worker = WorkerProcess(settings, str(folder), scratch / "worker.log", "--embedded")
        try:
            worker.wait_ready()

            def token(*stations: str) -> str:
                named = [word for station in stations for word in ("--station", station)]
                words = ("intake", "token", *named, "--election", str(folder), "--tokens", str(scratch / "tokens"))
                return run(*words, settings=settings).stdout.strip()

            yield NightWithIntake(settings, folder, scratch, token("A-1", "B-1"), token("B-1"))
        finally:
            worker.close()


def test_from_a_token_to_a_receipt_over_a_restart(night: NightWithIntake) -> None:
    kept = (night.scratch / "tokens").read_text()
    assert night.token not in kept
    assert kept.count("sha256:") == 2
    with night.intake():
        status, one = night.ask("/v1/reports?accept_warnings=true", counts())
        assert status == 201, one
        status, two = night.ask("/v1/reports?accept_warnings=true&accept_errors=true", counts(station="B-1", **HELD))
        assert status == 201, two
        wait_for(lambda: night.state(one) == "counted", "the receipt of what is counted")
        wait_for(lambda: night.state(two) == "held", "the receipt of what is held")
        assert night.ask(two["receipt"])[1]["codes"] == ["A2"]
        assert night.ask(one["receipt"], token=night.other)[0] == 403
        assert night.ask(f"/v1/receipts/{one['partition']}/999")[0] == 404
        assert night.ask("/v1/receipts/999/0")[0] == 404
        assert night.ask("/readyz") == (200, {"ready": True})
    with night.intake():
        assert 'name="revision" value="2"' in night.clerk_form("A-1", "PRES"), "the next one, at once"
        wait_for(lambda: night.state(one) == "counted", "the same receipt after a restart")
        wait_for(lambda: night.state(two) == "held", "the other one too")
        assert night.ask(one["receipt"], token=night.other)[0] == 403
        status, again = night.ask("/v1/reports?accept_warnings=true", counts())
        assert (status, again["partition"], again["offset"]) == (200, one["partition"], one["offset"]), "before the restart"
        status, other = night.ask("/v1/reports?accept_warnings=true", counts(votes={"ANNA": 51, "BELA": 45}))
        assert (status, other["type"]) == (409, "urn:tally-stream:intake:other-content")
        status, second = night.ask("/v1/reports?accept_warnings=true", counts(revision=2))
        assert status == 201, second
        with urllib.request.urlopen(f"{night.metrics}/metrics", timeout=30) as response:
            samples = read_samples(response.read().decode())
        assert {metric.name for metric in INTAKE_METRICS} - set(samples) == set()
        assert samples["tally_build_info"][0][0]["digest"] == load_election(night.folder).digest
        assert samples["tally_intake_taken_total"][0][1] == 1
        assert ({"why": "not-yours"}, 1.0) in samples["tally_intake_refused_total"]
        with urllib.request.urlopen(f"{night.metrics}/readyz", timeout=30) as response:
            assert json.load(response) == {"ready": True, "reasons": []}
    values = [record.value for record in read_topic(night.settings, "reports")[1]]
    assert sorted(v for v in values if v is not None) == sorted(
        as_bytes(message) for message in (counts(), counts(revision=2), counts(station="B-1", **HELD))
    )


def test_submit_goes_by_the_intake_where_no_broker_answers(night: NightWithIntake, tmp_path: Path) -> None:
    given = [counts(revision=8, contest="SEAT"), turnout(station="B-1")]
    (tmp_path / "reports.json").write_text(json.dumps(given))
    (tmp_path / "token").write_text(night.token)
    (tmp_path / "token").chmod(0o600)
    nobody = settings_for("127.0.0.1:1", "intake")
    with night.intake():
        env = {**environment(nobody), "TALLY_INTAKE_URL": night.address, "TALLY_INTAKE_TOKEN_FILE": str(tmp_path / "token")}
        words = ("--election", str(night.folder), "--spool", str(tmp_path / "spool"))
        sent = ran(command("submit", str(tmp_path / "reports.json"), *words, "--wait", "--accept-warnings"), env, 120)
        assert sent.returncode == 0, sent.stderr
        assert "sent by the intake instead" in sent.stderr
        assert "Traceback" not in sent.stderr
        assert sent.stdout.count("counted") == 2, sent.stdout
        told = ran(command("submit", "--status", *words), env, 120)
        assert (told.returncode, told.stdout.count("counted")) == (0, 2), told.stderr


def test_every_answer_is_what_its_description_says(night: NightWithIntake) -> None:
    """Schemathesis makes requests, good and bad, from the document that the intake serves."""
    with night.intake():
        schema = schemathesis.openapi.from_url(f"{night.address}/v1/openapi.json", config=SchemathesisConfig())
        asked: set[str] = set()
        statuses: set[int] = set()
        for result in schema.get_all_operations():
            assert isinstance(result, Ok), result
            operation = result.ok()

            @examples(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
            @given(case=operation.as_strategy())
            def ask(case: Any) -> None:
                response = case.call(headers={"Authorization": f"Bearer {night.token}"})
                # What an election's rules refuse, no schema can say.
                case.validate_response(response, excluded_checks=[positive_data_acceptance])
                statuses.add(response.status_code)
                assert response.status_code != 500

            ask()
            asked.add(operation.path)
        assert asked == {"/livez", "/readyz", "/v1/receipts/{partition}/{offset}", "/v1/reports"}, "all but the document itself"
        assert {200, 422, 404} <= statuses
        for message, status in ((turnout(revision=3), 201), (turnout(revision=3), 200), (turnout(revision=3, voted=7), 409)):
            operation = schema["/v1/reports"]["POST"]
            case = operation.Case(body=message, media_type="application/json", query={"accept_warnings": "true"})
            response = case.call(headers={"Authorization": f"Bearer {night.token}"})
            case.validate_response(response)
            assert response.status_code == status, response.text


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("intake",), 2, "no election"), (("intake", "--election", "council"), 2, "nobody could send anything"),
        (("intake", "--election", "council", "--tokens", "/nowhere/tokens"), 2, "/nowhere/tokens: cannot be read"),
        (("intake", "token", "--station", "X", "--election", "council", "--tokens", "tokens"), 2, "has no station X"),
        (("intake", "token", "--station", "X"), 2, "no file: give --tokens or set TALLY_INTAKE_TOKENS"),
    ],
)  # fmt: skip
def test_what_is_missing_is_said(tmp_path: Path, words: tuple[str, ...], code: int, sentence: str) -> None:
    done = run(*words, settings=settings_for("127.0.0.1:1", "none"), expect=code)
    assert sentence in done.stderr
