"""A night whose statements are signed, on a real Kafka, by commands: keys made, a report submitted, forgeries refused, a key revoked,
another one added. What was refused live is refused in `replay`, in `verify` and after a restart, with the same codes."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tally_stream.domain.scalars import murmur2_partition
from tally_stream.settings import Settings
from tally_stream.wire.envelope import sealed
from tally_stream.wire.folder.assembling import load_election
from tests.support.against_replay import check_against_replay
from tests.support.brokers import KafkaOne, SharedKafka
from tests.support.folders import Folder
from tests.support.processes import run, settings_for
from tests.support.report_messages import as_bytes, counts, decision
from tests.support.signing import signed
from tests.support.topics import produce, read_topic, save_log, wait_published
from tests.support.worker import WorkerProcess

pytestmark = pytest.mark.kafka

PARTITIONS = 3
HOME = murmur2_partition(b"A-1", PARTITIONS)


class Stage:
    """An election with the keys of one station and of a commission, and its topics."""

    def __init__(self, bootstrap: str, tmp_path: Path) -> None:
        self.settings: Settings = settings_for(bootstrap, f"t{uuid.uuid4().hex[:8]}")
        self.tmp_path = tmp_path
        self.path = tmp_path / "election"
        self.path.mkdir()
        folder = Folder(self.path)
        folder.replace(("[[exit_polls]]", '[security]\nsignatures = "required"\n\n[[exit_polls]]'))
        rows = [
            self.made("K-A1", "--station", "A-1", "--holder", "School 1"),
            self.made("COMMISSION", "--holder", "The commission", "--kinds", "annul restore hold release certify key"),
        ]
        (self.path / "keys.csv").write_text(
            "key_id,holder,station,kinds,public_key,valid_from,valid_to\n" + "".join(rows), encoding="utf-8"
        )
        run("topics", "create", "--election", str(self.path), "--create-time", "--replication", "1", "--partitions",
            str(PARTITIONS), settings=self.settings)  # fmt: skip
        self.worker: WorkerProcess | None = None

    def made(self, key_id: str, *words: str) -> str:
        return run("keys", "make", str(self.file(key_id)), "--key-id", key_id, *words, settings=self.settings).stdout

    def file(self, key_id: str) -> Path:
        return self.tmp_path / f"{key_id}.key"

    def count(self) -> None:
        self.worker = WorkerProcess(self.settings, str(self.path), self.tmp_path / f"worker-{uuid.uuid4().hex[:4]}.log")
        self.worker.wait_ready()

    def end(self) -> None:
        if self.worker is not None:
            self.worker.close()

    def put(self, value: bytes, key: bytes = b"A-1", partition: int = HOME) -> None:
        produce(self.settings, "reports", partition, (key, value))

    def words(self, *words: str, key: str | None) -> list[str]:
        by = ["--reason", "A ruling.", "--authority", "Commission", "--yes", "--json"]
        return [*words, "--election", str(self.path), *by, *(["--signing-key", str(self.file(key))] if key else [])]

    def ordered(self, *words: str, key: str = "COMMISSION") -> dict[str, Any]:
        told: dict[str, Any] = json.loads(run(*self.words(*words, key=key), settings=self.settings).stdout)
        return told

    def submitted(self, statement: dict[str, Any], key: str | None, expect: int = 0) -> str:
        file = self.tmp_path / "one.json"
        file.write_text(json.dumps(statement))
        words = ["submit", str(file), "--election", str(self.path), "--spool", str(self.tmp_path / "spool"), "--wait", "--json"]
        done = run(*words, *(["--signing-key", str(self.file(key))] if key else []), settings=self.settings, expect=expect)
        return done.stdout + done.stderr

    def codes(self) -> Counter[str]:
        """Of all that was refused so far."""
        rejections = [json.loads(record.value or b"") for record in read_topic(self.settings, "rejections")[1]]
        return Counter(code for rejection in rejections for code in rejection["codes"])


@pytest.fixture
def stage(kafka_one: KafkaOne | SharedKafka, tmp_path: Path) -> Iterator[Stage]:
    made = Stage(kafka_one.bootstrap, tmp_path)
    yield made
    made.end()


def test_what_is_forged_replayed_or_revoked_is_refused_everywhere_alike(stage: Stage) -> None:
    stage.count()
    assert '"counted"' in stage.submitted(counts(revision=1), "K-A1")
    (own,) = [record.value for record in read_topic(stage.settings, "reports")[1]]
    assert own is not None
    said = stage.submitted(counts(revision=2), None, expect=2)
    assert "X-2024 demands signatures: TALLY_SIGNING_KEY names the file of your key" in said

    stage.put(own)  # replayed: the same again
    stage.put(as_bytes(counts(revision=2)))  # not signed
    stage.put(signed(counts(revision=2), "STRANGER"))
    stage.put(signed(counts(revision=2), "STRANGER", named="K-A1"))
    stage.put(sealed(as_bytes(counts(revision=2)), "K-A1", bytes(64)))
    stage.put(own, b"B-1", murmur2_partition(b"B-1", PARTITIONS))  # under another station's key: S5, as it is rightly signed
    said = stage.submitted(counts(station="B-1", revision=1), "K-A1", expect=1)
    assert f"key K-A1 signs for A-1 alone ({stage.file('K-A1')}): TALLY_SIGNING_KEY names the key of B-1" in said
    stage.put(signed(decision(), "STRANGER", named="COMMISSION"))

    assert stage.ordered("keys", "add", "K-NEW", "--holder", "School 1", "--station", "A-1", "--public-key",
                         stage.made("K-NEW").split(",")[4])["sent"].keys() == {"0", "1", "2"}  # fmt: skip
    assert stage.ordered("keys", "add", "K-NEW", "--holder", "School 1", "--station", "A-1", "--public-key",
                         _public(stage, "K-NEW"))["sent"] == {}, "it stands"  # fmt: skip
    assert stage.ordered("keys", "revoke", "K-A1")["revision"] == 1
    listed = run("keys", "list", "--record", "--election", str(stage.path), "--json", settings=stage.settings).stdout
    assert [json.loads(line)["key_id"] for line in listed.splitlines()] == ["COMMISSION", "K-NEW"]
    said = stage.submitted(counts(revision=2), "K-A1", expect=1)
    assert f"key K-A1 is revoked ({stage.file('K-A1')}): make a new key" in said, "the record says it"
    before = _length(stage)
    words = stage.words("authority", "annul", "--contest", "PRES", "--station", "A-1", key="K-NEW")
    said = run(*words, "--signing-key-id", "K-NEW", settings=stage.settings, expect=1).stderr
    assert "S6: key K-NEW may not sign a statement of kind annul" in said
    assert _length(stage) == before, "refused before it was sent"
    told = stage.ordered("authority", "annul", "--contest", "PRES", "--station", "A-1")
    assert told["published"]["stations"]["annulled"] == 1

    newest = wait_published(stage.settings, _length(stage))
    live = stage.codes()
    assert live == Counter({"S6": 5, "S5": 1})
    log = save_log(stage.settings, stage.tmp_path / "saved.jsonl")
    check_against_replay(load_election(stage.path), log, newest)
    replayed = run("replay", str(stage.path), str(stage.tmp_path / "saved.jsonl"), "--verdicts", settings=stage.settings)
    found = json.loads(replayed.stderr)["codes"]
    assert {code: found[code] for code in live} == live
    verified = run("verify", str(stage.path), str(stage.tmp_path / "saved.jsonl"), settings=stage.settings).stdout
    assert "standings messages equal what" in verified

    assert stage.worker is not None
    stage.worker.kill()
    stage.count()
    stage.put(own.replace(b'"K-A1"', b'"K-A1" '))  # what was signed by a key that is revoked now
    wait_published(stage.settings, _length(stage))
    assert stage.codes() == live + Counter({"S6": 1})


def _public(stage: Stage, key_id: str) -> str:
    said = run("keys", "check", str(stage.file(key_id)), settings=stage.settings).stdout
    return said.split("its public key is ")[1].strip()


def _length(stage: Stage) -> int:
    return len(read_topic(stage.settings, "reports")[1])
