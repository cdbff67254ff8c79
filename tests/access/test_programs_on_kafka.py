"""A night counted on a secured Kafka, each program as the principal that the table made for it, by password or certificate."""

from __future__ import annotations

import asyncio
import gzip
import json
import subprocess
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tally_stream.kafka.acls import AccessRule, AccessTable, check_access, give_access, read_table
from tally_stream.kafka.topics import create_topics
from tally_stream.settings import Settings
from tests.access.listening import listening
from tests.access.probes import ACLS
from tests.support.brokers import KafkaOne, SharedKafka
from tests.support.intake_process import IntakeProcess, add_token
from tests.support.paths import NIGHTS
from tests.support.preloaded import begun
from tests.support.processes import command, environment, run, said_in, terminated, tied
from tests.support.secured import MTLS, SCRAM, SETUP, KafkaSecured, settings_of
from tests.support.topics import wait_published
from tests.support.waiting import wait_for
from tests.support.worker import WorkerProcess

pytestmark = pytest.mark.kafka

NIGHT = "az-2024"
RECORDS, FIRST = 1_500, 600
WAYS = {"worker": MTLS, "board": MTLS, "dump": SCRAM, "reader": SCRAM, "station": SCRAM, "admin": MTLS, "authority": SCRAM}


class Stage:
    """Topics of their own on the secured broker; `settings("worker")` is that principal by its way in."""

    def __init__(self, kafka: KafkaSecured, folder: Path) -> None:
        self.kafka = kafka
        self.folder = folder
        self.prefix = f"p{uuid.uuid4().hex[:8]}"

    def settings(self, principal: str, way: str | None = None) -> Settings:
        environment = self.kafka.environment(principal, way or WAYS.get(principal, SCRAM))
        return settings_of({**environment, "TALLY_PREFIX": self.prefix, "TALLY_BROKER_WAIT_SECONDS": "10"})

    def allow(self, table: AccessTable | None = None) -> AccessTable:
        """Make the table's rules as the super user."""
        table = table or read_table(ACLS, self.settings(SETUP))
        asyncio.run(give_access(self.settings(SETUP), table, revokes=True))
        return table

    def create(self) -> str:
        return run(
            "topics", "create", "--election", NIGHT, "--create-time", "--replication", "1", settings=self.settings("admin")
        ).stdout

    def log(self, records: int) -> str:
        path = self.folder / f"{records}.jsonl"
        with gzip.open(NIGHTS / NIGHT / "reports.jsonl.gz") as night:
            path.write_bytes(b"".join(line for _, line in zip(range(records), night, strict=False)))
        return str(path)


@pytest.fixture
def stage(kafka_secured: KafkaSecured, tmp_path: Path) -> Stage:
    return Stage(kafka_secured, tmp_path)


@pytest.fixture(scope="module")
def ready(kafka_secured: KafkaSecured, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """Rules and topics are there already, made without a command each."""
    stage = Stage(kafka_secured, tmp_path_factory.mktemp("ready"))
    stage.allow()
    asyncio.run(create_topics(stage.settings("admin"), partitions=1, replication=1, is_log_append=False))
    return stage


@pytest.fixture
def workers() -> Iterator[list[WorkerProcess | IntakeProcess]]:
    started: list[WorkerProcess | IntakeProcess] = []
    yield started
    for worker in started:
        worker.close()


def test_a_night_with_each_program_as_its_own_principal(
    stage: Stage, workers: list[WorkerProcess | IntakeProcess], tmp_path: Path
) -> None:
    """The worker first by its certificate, then another by its password; nobody has a right that the table does not give."""
    stage.allow()
    assert stage.create().count("created ") == 5
    checked = run("topics", "check", "--election", NIGHT, "--rehearsal", "--acls", str(ACLS), settings=stage.settings("admin"))
    assert "as they should be" in checked.stdout

    for way, records in ((MTLS, FIRST), (SCRAM, RECORDS)):
        worker = WorkerProcess(stage.settings("worker", way), NIGHT, tmp_path / f"worker-{way}.log")
        workers.append(worker)
        worker.wait_ready()
        assert len(listening(worker.process.pid)) == 1, "metrics and health, nothing else"
        sent = run("send", NIGHT, stage.log(records), settings=stage.settings("station"))
        assert f"{records:,} records stand" in sent.stdout
        wait_published(stage.settings("reader"), records)
        at = worker.address().removeprefix("http://")
        monitor = stage.settings("monitor", way)
        other = {"bootstrap": monitor.bootstrap.replace("127.0.0.1", "localhost")}  # what the cluster does not name
        looking = monitor.model_copy(update=other)
        told = run("status", "--json", "--rehearsal", "--election", NIGHT, "--at", at, settings=looking)
        state = json.loads(told.stdout)
        assert (state["problems"], len(state["workers"]), state["contests"][0]["version"]) == ([], 1, records)
        whose = [f"broker 1's, at {monitor.bootstrap}", f"the broker's at {looking.bootstrap}"]
        assert [one["what"] for one in state["certificates"]][-2:] == whose, "by the address that the cluster names, too"
        assert len(state["certificates"]) == (3 if way == MTLS else 2), "and our own"
        assert worker.stop() == 0
    assert f"({FIRST:,} were there already)" in sent.stdout

    shown = run("standings", "--json", settings=stage.settings("reader")).stdout
    assert max(json.loads(line)["version"] for line in shown.splitlines()) == RECORDS
    run("verify", NIGHT, settings=stage.settings("reader"))
    run("export", NIGHT, "--format", "csv", settings=stage.settings("reader"))
    copy = tmp_path / "copy.jsonl.gz"
    run("dump", str(copy), settings=stage.settings("dump"))
    run("verify", NIGHT, str(copy), settings=stage.settings("reader", MTLS))

    # An authority looks, orders, and reads back what became of it; a worker runs, so that standings come.
    worker = WorkerProcess(stage.settings("worker"), NIGHT, tmp_path / "worker-orders.log")
    workers.append(worker)
    worker.wait_ready()
    order = ("authority", "hold", "--election", NIGHT, "--reason", "a test", "--authority", "the test", "--yes", "--json")
    ordered = json.loads(run(*order, settings=stage.settings("authority")).stdout)
    assert ordered["published"]["on_hold"]
    run("held", "--election", NIGHT, settings=stage.settings("authority"))
    refused = run(*order[:-3], "another", "--yes", settings=stage.settings("reader"), expect=1)
    assert "'reader' has no right to" in refused.stderr
    assert worker.stop() == 0

    again = Stage(stage.kafka, tmp_path)
    again.allow()
    again.create()
    restored = run("restore", str(copy), settings=again.settings("authority"))
    assert f"{RECORDS:,}" in restored.stdout


def test_a_station_needs_no_right_but_to_write_reports_and_read_what_became_of_them(
    stage: Stage, workers: list[WorkerProcess | IntakeProcess], tmp_path: Path
) -> None:
    table = read_table(ACLS, stage.settings(SETUP))
    reading = AccessRule("User:station", "topic", table.topics.reports, "Read")
    stage.allow(AccessTable(table.path, table.topics, table.group, table.rules - {reading}))
    asyncio.run(create_topics(stage.settings("admin"), partitions=1, replication=1, is_log_append=False))
    workers.append(WorkerProcess(stage.settings("worker"), NIGHT, tmp_path / "worker.log"))
    workers[0].wait_ready()
    with Path(stage.log(1)).open() as night:
        report = tmp_path / "report.json"
        report.write_text(json.loads(night.readline())["value"])
    words = ("submit", "--election", NIGHT, "--spool", str(tmp_path / "spool"))
    done = run(*words, str(report), "--wait", "--accept-warnings", settings=stage.settings("station"))
    assert "has replaced it since (version 1)" in done.stdout
    run(*words, "--status", settings=stage.settings("station"))
    refused = run("submit", str(report), "--election", NIGHT, "--spool", str(tmp_path / "other"), "--accept-warnings",
                  settings=stage.settings("reader"), expect=1)  # fmt: skip
    assert "'reader' has no right to IdempotentWrite cluster" in refused.stderr

    # An intake sends as a station, and reads reports too: what it took before a restart.
    stage.allow()
    value = report.read_bytes()
    token = add_token(tmp_path / "tokens", [json.loads(value)["station"]])
    intake = IntakeProcess(stage.settings("station"), NIGHT, tmp_path / "tokens", tmp_path / "intake.log").wait_ready()
    workers.append(intake)
    taken = asked(intake, token, "/v1/reports?accept_warnings=true", value)
    assert (taken["partition"], taken["offset"]) == (0, 1), "what submit had sent is repeated"
    intake.kill()
    intake.restart()
    wait_for(lambda: asked(intake.wait_ready(), token, taken["receipt"])["state"] == "counted", "its receipt")
    assert len(listening(intake.process.pid)) == 1
    reader = IntakeProcess(stage.settings("reader"), NIGHT, tmp_path / "tokens", tmp_path / "reader.log").wait_ready()
    workers.append(reader)
    assert asked(reader, token, "/v1/reports?accept_warnings=true", value)["type"] == "urn:tally-stream:intake:brokers"
    assert "'reader' has no right to IdempotentWrite cluster" in reader.log
    assert asked(reader, token, taken["receipt"])["revision"] == taken["revision"], "it may read"


def asked(intake: IntakeProcess, token: str, path: str, body: bytes | None = None) -> dict[str, Any]:
    """What an intake answers, whatever its status."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    try:
        with urllib.request.urlopen(urllib.request.Request(intake.address + path, body, headers), timeout=60) as response:
            answer: dict[str, Any] = json.load(response)
    except urllib.error.HTTPError as error:
        answer = json.load(error)
    return answer


def test_the_board_shows_a_secured_kafka_and_listens_once(ready: Stage, tmp_path: Path) -> None:
    log = tmp_path / "board.log"
    with log.open("wb") as file:
        board = begun(command("board", "--election", NIGHT, "--port", "0"), environment(ready.settings("board")), file)
        wait_for(lambda: "board at http://127.0.0.1:" in said_in(log) or board.poll() is not None, "the board's address")
        assert len(listening(board.pid)) == 1
        assert {address for address, _ in listening(board.pid)} == {"127.0.0.1"}
        assert terminated(board) == 0, said_in(log)


def test_the_copy_listens_to_nobody(ready: Stage, tmp_path: Path) -> None:
    """But for its metrics, where they are asked for."""
    copy = tmp_path / "copy.jsonl.gz"
    dump = subprocess.Popen(command("dump", str(copy), "--follow"), **tied(ready.settings("dump")), stderr=subprocess.DEVNULL)
    wait_for(lambda: copy.exists() or dump.poll() is not None, "the copy's first bytes")
    assert dump.poll() is None
    assert listening(dump.pid) == []
    assert terminated(dump) == 0


@pytest.mark.parametrize(
    ("principal", "words"),
    [
        ("reader", ("send", NIGHT)),
        ("dump", ("send", NIGHT)),
        ("board", ("send", NIGHT)),
        ("dump", ("standings",)),
        ("station", ("topics", "create", "--election", NIGHT, "--prefix", "another")),
        ("worker", ("topics", "check", "--election", NIGHT, "--acls", str(ACLS))),
        ("admin", ("topics", "create", "--election", NIGHT, "--prefix", "another", "--acls", str(ACLS))),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value[:2]),
)
def test_a_program_as_another_principal_is_refused(ready: Stage, principal: str, words: tuple[str, ...]) -> None:
    refused = run(*words, settings=ready.settings(principal), expect=1, timeout=60)
    assert refused.stderr.startswith("tally-stream: ")


def test_a_right_that_was_taken_away_is_missed_by_the_check_and_by_who_needs_it(ready: Stage, tmp_path: Path) -> None:
    table = ready.allow()
    right = AccessRule("User:station", "topic", table.topics.reports, "Write")
    without = AccessTable(table.path, table.topics, table.group, table.rules - {right})
    ready.allow(without)
    assert asyncio.run(check_access(ready.settings("monitor"), table)).missing == [right]
    checked = run("topics", "check", "--election", NIGHT, "--rehearsal", "--acls", str(ACLS),
                  settings=ready.settings("monitor"), expect=1)  # fmt: skip
    assert f"access: missing: {right}; tally-stream topics create --acls {ACLS} gives it" in checked.stderr
    run("send", NIGHT, ready.log(10), settings=ready.settings("station"), expect=1)
    given = run("topics", "create", "--election", NIGHT, "--acls", str(ACLS), settings=ready.settings(SETUP))
    assert f"allowed {right}\n" in given.stdout
    run("send", NIGHT, ready.log(10), settings=ready.settings("station"))


def test_a_rule_too_many_is_told_and_taken_from_our_own_alone(ready: Stage) -> None:
    table = ready.allow()
    ours = AccessRule("User:reader", "topic", table.topics.reports, "Write")
    others = AccessRule("User:mallory", "topic", table.topics.prefix, "All", is_prefix=True)
    more = AccessTable(table.path, table.topics, table.group, table.rules | {ours, others})
    asyncio.run(give_access(ready.settings(SETUP), more, revokes=False))
    assert asyncio.run(check_access(ready.settings("admin"), table)).surplus == sorted([ours, others])
    words = ("topics", "create", "--election", NIGHT, "--acls", str(ACLS))
    told = run(*words, settings=ready.settings(SETUP))
    assert f"allowed, and not in {ACLS}: {ours}" in told.stderr
    taken = run(*words, "--revoke", settings=ready.settings(SETUP))
    assert f"taken away: {ours}\n" in taken.stdout
    assert asyncio.run(check_access(ready.settings("admin"), table)).surplus == [others]


def test_brokers_without_an_authorizer_say_so(kafka_one: KafkaOne | SharedKafka) -> None:
    settings = Settings(bootstrap=kafka_one.bootstrap, prefix=f"p{uuid.uuid4().hex[:8]}")
    refused = run("topics", "check", "--election", NIGHT, "--rehearsal", "--acls", str(ACLS), settings=settings, expect=1)
    assert "have no authorizer: everybody may do everything" in refused.stderr
