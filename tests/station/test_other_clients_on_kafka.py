"""The producers of docs/stations.md, each taken from the page and run: every report arrives once, where it belongs, and counts.

Each is run where its client is there. Where it is not, the test is skipped by name; in CI it fails.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
from aiokafka.admin import NewTopic

from deploy.kafka.local.jars import JARS
from tally_stream.audit.replay import Replay
from tally_stream.domain.report import Report
from tally_stream.domain.scalars import murmur2_partition
from tally_stream.settings import Settings
from tally_stream.station.simulate import Plan
from tally_stream.station.simulate_folder import write_night
from tally_stream.wire.folder.assembling import load_election
from tally_stream.wire.reading import ReportReader
from tally_stream.wire.report_log import ReportLog
from tests.support.doc_pages import marked
from tests.support.folders import Folder
from tests.support.paths import DOCS
from tests.support.processes import run, settings_for
from tests.support.topics import administer, save_log

pytestmark = pytest.mark.kafka

PAGE = DOCS / "stations.md"
PARTITIONS = 4
KAFKAJS = "kafkajs@2.2.4"


class Night:
    """A topic of its own, an election without errors, and its reports as the programs of the page want them."""

    def __init__(self, bootstrap: str, folder: Path) -> None:
        self.settings: Settings = settings_for(bootstrap, f"t{uuid.uuid4().hex[:8]}")
        self.folder = folder
        write_night(Plan(60, 4, 1), folder / "night")
        self.topic = f"{self.settings.prefix}.reports"
        self.reports = folder / "reports.txt"
        self.records = [(r.key or b"", r.value or b"") for r in ReportLog(folder / "night" / "reports.jsonl")]
        self.reports.write_bytes(b"".join(key + b"\t" + value + b"\n" for key, value in self.records))
        run("topics", "create", "--election", str(folder / "night"), "--partitions", str(PARTITIONS), "--replication", "1",
            settings=self.settings)  # fmt: skip

    def send(self, *words: str) -> None:
        ran = subprocess.run(words, cwd=self.folder, capture_output=True, text=True, timeout=120, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr

    def judged(self) -> Replay:
        election = load_election(self.folder / "night")
        log = save_log(self.settings, self.folder / "saved.jsonl")
        counted = Replay(election, log.topic, log.partition_count)
        for record in log:
            counted.take(record)
        return counted

    def check(self) -> None:
        """Each record stands once, in its station's partition, by a producer that repeats nothing; all of them count."""
        log = list(save_log(self.settings, self.folder / "saved.jsonl"))
        assert Counter((r.key, r.value) for r in log) == Counter(self.records)
        assert all(r.partition == murmur2_partition(r.key or b"", PARTITIONS) for r in log)
        verdicts = self.judged().verdict_counts()
        assert (verdicts["counted"], verdicts["codes"]) == (len(self.records), {})
        busy = max(range(PARTITIONS), key=lambda p: sum(r.partition == p for r in log))
        self.look_for_idempotence(busy)

    def look_for_idempotence(self, partition: int) -> None:
        """The broker remembers the producers of a partition that number what they send."""
        words = ["java", "-Xmx128m", "-cp", f"{JARS}/*", "org.apache.kafka.tools.TransactionsCommand", "--bootstrap-server",
                 self.settings.bootstrap, "describe-producers", "--topic", self.topic, "--partition", str(partition)]  # fmt: skip
        said = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True).stdout
        assert re.search(r"^\d+\s", said.partition("\n")[2], re.MULTILINE), said


@pytest.fixture
def night(kafka_one: Any, tmp_path: Path) -> Night:
    return Night(kafka_one.bootstrap, tmp_path)


def missing(what: str) -> NoReturn:
    if os.environ.get("TALLY_CI") == "1":
        pytest.fail(f"CI must have {what}")
    pytest.skip(f"{what} is missing")


def need(*programs: str) -> None:
    for program in programs:
        if shutil.which(program) is None:
            missing(program)


def written(night: Night, producer: str, name: str) -> str:
    (night.folder / name).write_text(marked(PAGE, "producer")[producer].text, encoding="utf-8")
    return name


def kcat(night: Night, topic: str) -> list[str]:
    need("kcat")
    line = marked(PAGE, "producer")["kcat"].text
    for of_page, ours in (("HOST:PORT", night.settings.bootstrap), ("tally.reports", topic)):
        assert line.count(of_page) == 1
        line = line.replace(of_page, ours)
    return shlex.split(line)


def python(night: Night, topic: str) -> list[str]:
    return [sys.executable, written(night, "python", "send.py"), night.settings.bootstrap, topic, "reports.txt"]


def java(night: Night, topic: str) -> list[str]:
    need("javac")
    clients = f"{next(JARS.glob('kafka-clients-*.jar'))}:{JARS}/*"
    return ["java", "-cp", clients, written(night, "java", "Send.java"), night.settings.bootstrap, topic, "reports.txt"]


def node(night: Night, topic: str) -> list[str]:
    need("node", "npm")
    words = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", KAFKAJS]
    got = subprocess.run(words, cwd=night.folder, capture_output=True, text=True, timeout=120, check=False)
    if got.returncode:
        missing(f"{KAFKAJS} from npm")
    return ["node", written(night, "node", "send.js"), night.settings.bootstrap, topic, "reports.txt"]


CLIENTS = (kcat, python, java, node)
Client = Callable[[Night, str], list[str]]


def test_every_producer_of_the_page_is_run() -> None:
    assert {client.__name__ for client in CLIENTS} == set(marked(PAGE, "producer")) - {"lines"}


@pytest.mark.parametrize("client", CLIENTS)
def test_each_report_arrives_once_and_counts(night: Night, client: Client) -> None:
    night.send(*client(night, night.topic))
    night.check()


@pytest.mark.parametrize("client", CLIENTS)
def test_what_the_broker_did_not_take_is_told(night: Night, client: Client) -> None:
    """A topic that takes no record of that size: as good as any other reason."""
    topic = f"{night.settings.prefix}.narrow"
    administer(night.settings, lambda a: a.create_topics([NewTopic(topic, 1, 1, topic_configs={"max.message.bytes": "100"})]))
    ran = subprocess.run(client(night, topic), cwd=night.folder, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode != 0, ran.stdout + ran.stderr
    assert re.search("too large|larger than|TooLarge", ran.stdout + ran.stderr), ran.stdout + ran.stderr


def test_librdkafka_with_its_default_partitioner_is_told_that_all_is_well_and_rejected(night: Night) -> None:
    program = marked(PAGE, "producer")["python"].text
    line = '    "partitioner": "murmur2_random",\n'
    assert program.count(line) == 1
    (night.folder / "send.py").write_text(program.replace(line, ""), encoding="utf-8")
    night.send(sys.executable, "send.py", night.settings.bootstrap, night.topic, "reports.txt")
    counted = night.judged()
    assert counted.record_count == len(night.records)
    codes = counted.verdict_counts()["codes"]
    assert set(codes) == {"S7"}
    assert codes["S7"] > len(night.records) // 2


def test_the_line_of_the_page_is_a_report(tmp_path: Path) -> None:
    key, _, value = marked(PAGE, "producer")["lines"].text.rstrip("\n").partition("\t")
    read = ReportReader(Folder(tmp_path).load()).read(value.encode(), key.encode())
    assert isinstance(read, Report), read
