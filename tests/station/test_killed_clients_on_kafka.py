"""Clients that are killed at random while a real Kafka is frozen for a while: each report counts once, each receipt is right.

The election demands signatures, and each client signs with its station's key. Half of them send to Kafka, a quarter by an intake
as they can't reach it, a quarter by an intake where brokers do not answer. Of the two intakes one is killed, while the brokers
are frozen and after. Six clients on one broker; with TALLY_TEST_LONG=1 two hundred on three, one of which is lost before all are
frozen for a minute (`make clients`).
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sqlite3
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tally_stream.audit.replay import Replay
from tally_stream.settings import Settings, load_settings
from tally_stream.station.intake.sending import ReceiptsOfIntake
from tally_stream.station.receipt_reader import ReceiptReader
from tally_stream.station.signing_key import SealingKey, make_key_file, public_of
from tally_stream.station.spool import Spooled, spooled_in
from tally_stream.wire.folder.assembling import load_election
from tests.support.brokers import KafkaOne, KafkaThree
from tests.support.intake_process import IntakeProcess, add_token
from tests.support.preloaded import Running, begun
from tests.support.processes import command, environment, run, settings_for
from tests.support.report_messages import as_bytes, counts, turnout
from tests.support.reporting_stations import write_election
from tests.support.topics import save_log
from tests.support.waiting import wait_for
from tests.support.worker import WorkerProcess

pytestmark = pytest.mark.kafka

SEED = 2611
HELD = {"ballots": {"cast": 99, "valid": 96, "blank": 2, "invalid": 2}}
CONTESTS = ("PRES", "SEAT", "C-1", "C-2", "C-3", "C-4")
EACH = 1 + len(CONTESTS) + 1
WAYS = ("kafka", "intake", "kafka", "either")
"""Of clients in turn: `either` sends by the intake where brokers do not answer."""
AT_IT = 10
"""So many run of those that are to be killed next."""
Place = tuple[int | None, int | None]


@dataclass(frozen=True)
class Scene:
    """How many clients; how often each is killed, and for how long no broker answers. `answer_seconds`: for which an intake
    waits for brokers, unless as long as it does."""

    clients: int
    kills: int
    frozen_seconds: float
    answer_seconds: int | None = None

    def statements(self, client: int) -> list[dict[str, Any]]:
        """Of the client's station, in this order: turnout, a report of each contest, a correction of the first one. One in
        seven reports contradicts itself."""
        station = f"S-{client}"
        reports = [
            counts(station=station, contest=contest, **(HELD if self._is_held(client, n) else {}))
            for n, contest in enumerate(CONTESTS)
        ]
        corrected = counts(
            station=station, revision=2, kind="correct", replaces=1, reason="misread", authority="it",
            votes={"ANNA": 51, "BELA": 45},
        )  # fmt: skip
        return [turnout(station=station), *reports, corrected]

    def _is_held(self, client: int, n: int) -> bool:
        return (client + n) % 7 == 3

    @property
    def held(self) -> int:
        return sum(self._is_held(client, n) for client in range(self.clients) for n in range(len(CONTESTS)))


SHORT, LONG = Scene(6, 2, 8.0, answer_seconds=3), Scene(200, 1, 60.0)


class Clients:
    """`submit`, one for each spool, started again and again."""

    def __init__(self, scene: Scene, settings: Settings, election: Path, folder: Path) -> None:
        self._scene, self._settings, self._election, self._folder = scene, settings, election, folder
        self.running: dict[int, Running] = {}
        self.killed_alive = 0
        self.tokens = folder / "tokens"
        self.log = (folder / "clients.log").open("wb")
        self.intakes: list[IntakeProcess] = []
        rows = [self._keys(client) for client in range(scene.clients)]
        (election / "keys.csv").write_text("key_id,holder,station,kinds,public_key,valid_from,valid_to\n" + "".join(rows))
        with (election / "election.toml").open("a") as toml:
            toml.write('[security]\nsignatures = "required"\n')

    def _keys(self, client: int) -> str:
        """A private key and a token for its station alone; the key's row."""
        private = make_key_file(self._file(client, "key"), None)
        self._file(client, "token").write_text(add_token(self.tokens, [f"S-{client}"]))
        self._file(client, "token").chmod(0o600)
        statements = "\n".join(json.dumps(one) for one in self._scene.statements(client))
        self._file(client, "jsonl").write_text(statements)
        return f"K-{client},School {client},S-{client},report correct turnout,{public_of(private)},,\n"

    def _file(self, client: int, kind: str) -> Path:
        return self._folder / f"{client}.{kind}"

    def spool(self, client: int) -> Path:
        return self._file(client, "spool")

    def of_intake(self, client: int) -> dict[str, str]:
        """Of an intake, where its way has one."""
        address = self.intakes[client // len(WAYS) % len(self.intakes)].address
        return {"TALLY_INTAKE_URL": address, "TALLY_INTAKE_TOKEN_FILE": str(self._file(client, "token"))}

    def start(self, client: int) -> None:
        """The whole file each time: what was kept before a kill states nothing new."""
        words = ("submit", str(self._file(client, "jsonl")), "--accept-errors", "--accept-warnings", "--election",
                 str(self._election), "--spool", str(self.spool(client)))  # fmt: skip
        way = WAYS[client % len(WAYS)]
        env = {**environment(self._settings), "TALLY_SIGNING_KEY": str(self._file(client, "key"))}
        if way != "kafka":
            env |= self.of_intake(client)
        if way == "intake":
            del env["TALLY_BOOTSTRAP"]
        self.running[client] = begun(command(*words), env, self.log)

    def kill_some_time(self, client: int, chance: random.Random) -> None:
        """After so many that are sent, or so many seconds, whichever comes first."""
        enough, end = chance.randrange(EACH), time.monotonic() + chance.uniform(0.2, 1.5)
        wait_for(lambda: self.sent_count(client) > enough or time.monotonic() > end, "a moment")
        self.killed_alive += self.running[client].poll() is None
        self.running[client].send_signal(signal.SIGKILL)
        self.running[client].wait()

    def forget_answers(self, client: int) -> None:
        """A spool from before the acknowledgements, as a backup has it: all is sent again."""
        with sqlite3.connect(self.spool(client)) as db:
            db.execute('UPDATE statements SET "offset" = NULL, partition = NULL, sent_ms = NULL')
        db.close()

    def sent(self, client: int) -> set[Place]:
        return {(s.partition, s.offset) for s in spooled_in(self.spool(client)) if s.offset is not None}

    def sent_count(self, client: int) -> int:
        return len(self.sent(client))

    def are_through(self) -> bool:
        codes = [process.poll() for process in self.running.values()]
        assert not any(codes), codes
        return None not in codes


class Caller:
    """A program of station A-1 that sends by an intake over HTTP, and has no spool: it sends the same bytes until they are taken."""

    def __init__(self, clients: Clients, election: Path, folder: Path) -> None:
        self._key = SealingKey("K-A1", make_key_file(folder / "A-1.key", None))
        with (election / "keys.csv").open("a") as keys:
            keys.write(f"K-A1,School,A-1,report turnout,{self._key.public},,\n")
        self.token = add_token(clients.tokens, ["A-1"])
        self.answered: dict[Place, bytes] = {}
        self.statuses: list[int] = []

    def send(self, intake: IntakeProcess, statement: dict[str, Any]) -> None:
        value = self._key.seal(as_bytes(statement))
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        while True:
            try:
                with urllib.request.urlopen(urllib.request.Request(f"{intake.address}/v1/reports", value, headers)) as response:
                    self.statuses.append(response.status)
                    taken = json.load(response)
                    self.answered[taken["partition"], taken["offset"]] = value
                    return
            except urllib.error.HTTPError as error:
                if error.code != 503:
                    raise
                self.statuses.append(error.code)


SCENES = {"kafka_of_its_own": SHORT, **({"kafka_three": LONG} if os.environ.get("TALLY_TEST_LONG") else {})}


@pytest.mark.parametrize("broker", SCENES)
def test_each_report_counts_once_and_each_receipt_is_the_replay_s(
    broker: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    kafka: KafkaOne | KafkaThree = request.getfixturevalue(broker)
    lost: tuple[int, ...]
    lost, frozen = ((2,), (0, 1)) if kafka.replication == 3 else ((), (0,))

    def freeze() -> None:
        for node in lost:
            kafka.kill(node)
        for node in frozen:
            kafka.freeze(node)

    def thaw() -> None:
        for node in frozen:
            kafka.thaw(node)
        for node in lost:
            kafka.restart(node)

    play(SCENES[broker], kafka, tmp_path, freeze, thaw)


def play(
    scene: Scene, kafka: KafkaOne | KafkaThree, tmp_path: Path, freeze: Callable[[], object], thaw: Callable[[], object]
) -> None:
    """Clients in the scene from their first start to the last receipt."""
    settings = settings_for(kafka.bootstrap, f"killed{scene.clients}")
    folder = write_election(tmp_path / "election", *CONTESTS[1:], station_count=scene.clients)
    clients = Clients(scene, settings, folder, tmp_path)
    caller = Caller(clients, folder, tmp_path)
    run("topics", "create", "--election", str(folder), "--create-time", "--replication", str(kafka.replication), "--partitions",
        "3", settings=settings)  # fmt: skip
    planted = f"answer_seconds={scene.answer_seconds}" if scene.answer_seconds else ""
    clients.intakes = [IntakeProcess(settings, folder, clients.tokens, tmp_path / f"intake-{n}.log", planted) for n in (0, 1)]
    try:
        killed, other = clients.intakes
        killed.wait_ready()
        other.wait_ready()
        caller.send(other, turnout())
        called_sent = kill_clients(scene, clients, caller, freeze, thaw)
        kept = [spooled for client in range(scene.clients) for spooled in spooled_in(clients.spool(client))]
        assert len(kept) == scene.clients * EACH
        worker = WorkerProcess(settings, str(folder), tmp_path / "worker.log")
        try:
            worker.wait_ready()
            receipts = asyncio.run(all_receipts(ReceiptReader(settings, load_election(folder)), kept))
            for client in range(scene.clients):
                if WAYS[client % len(WAYS)] == "intake":
                    own, way = spooled_in(clients.spool(client)), clients.of_intake(client)
                    by_intake = load_settings(
                        intake_url=way["TALLY_INTAKE_URL"], intake_token_file=way["TALLY_INTAKE_TOKEN_FILE"]
                    )
                    told = asyncio.run(all_receipts(ReceiptsOfIntake(by_intake), own))
                    assert told.items() <= receipts.items(), "an intake tells the same"
        finally:
            worker.close()
    finally:
        for intake in clients.intakes:
            intake.close()

    log = save_log(settings, tmp_path / "log")
    replay = Replay(load_election(folder), log.topic, log.partition_count)
    first: dict[tuple[bytes | None, bytes | None], str] = {}
    due: dict[Place, str] = {}
    stands: dict[Place, bytes | None] = {}
    for r in log:
        name, record = replay.take(r).name, (r.key, r.value)
        # A copy behind the correction of what it states is stale: a client restored from a backup sends such.
        assert name in (("counted", "held") if record not in first else ("repeated", "stale")), (name, record)
        first.setdefault(record, name)
        stands[r.partition, r.offset] = r.value
        due[r.partition, r.offset] = first[record] if name == "repeated" else name
    of_caller = {(b"A-1", value) for value in caller.answered.values()}
    assert Counter(first.values()) == {"counted": len(kept) + len(of_caller) - scene.held, "held": scene.held}
    assert set(first) == {(s.key, s.value) for s in kept} | of_caller, "every one that was kept arrived, and nothing else"
    assert called_sent <= set(due), "what was called sent is there"
    assert caller.answered.items() <= stands.items(), "what an intake answered stands where it said"
    assert caller.statuses[0] == 201
    assert 503 in caller.statuses
    assert receipts == {place: due[place] for place in receipts}
    assert set(receipts) == {(s.partition, s.offset) for s in kept}
    assert len(due) >= len(first) + EACH, "as many at least were sent again"


def kill_clients(
    scene: Scene, clients: Clients, caller: Caller, freeze: Callable[[], object], thaw: Callable[[], object]
) -> set[Place]:
    """A third of the kills while brokers answer, a third while none does, a third after. What killed clients had called sent."""
    chance, called_sent = random.Random(SEED), set[Place]()
    killed, other = clients.intakes
    kills = [number % scene.clients for number in range(scene.kills * scene.clients)]
    third = len(kills) // 3

    def begin(some: Iterable[int]) -> None:
        for client in some:
            if client not in clients.running:
                clients.start(client)

    def kill(first: int, end: int) -> None:
        for number in range(first, end):
            begin(kills[number : number + AT_IT])
            clients.kill_some_time(kills[number], chance)
            called_sent.update(clients.sent(kills[number]))
            clients.start(kills[number])

    kill(0, third)
    freeze()
    end, calling = time.monotonic() + scene.frozen_seconds, threading.Thread(target=caller.send, args=(other, counts()))
    calling.start()
    try:
        kill(third, 2 * third)
        killed.kill()
        killed.restart()
        begin(kills)  # the rest are all at it when brokers come back
        limit = scene.frozen_seconds + 60
        wait_for(lambda: time.monotonic() > end and 503 in caller.statuses, "no broker answers for so long", limit)
    finally:
        thaw()
    kill(2 * third, len(kills))
    killed.kill()
    killed.restart()
    wait_for(clients.are_through, "every client to end", 600)
    calling.join(120)
    assert not calling.is_alive()
    clients.forget_answers(0)
    clients.start(0)
    wait_for(clients.are_through, "one that knew of no answer", 300)
    clients.log.close()
    assert clients.killed_alive >= len(kills) / 2, "most were at it when they were killed"
    return called_sent


async def all_receipts(source: ReceiptReader | ReceiptsOfIntake, kept: list[Spooled]) -> dict[Place, str]:
    """Place → receipt, once none is waiting."""
    unique = [replace(spooled, id=n) for n, spooled in enumerate(kept)]  # each spool counts its own
    async with source as reader:
        while True:
            await reader.turn(unique)
            found = reader.receipts(unique)
            if all(receipt.is_final for receipt in found.values()):
                return {(s.partition, s.offset): found[s.id].state for s in unique}
