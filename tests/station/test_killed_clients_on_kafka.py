"""Clients that are killed at random while a real Kafka is frozen for a while: each report counts once, each receipt is right.

Six clients on one broker; with TALLY_TEST_LONG=1 two hundred on three, one of which is lost before all are frozen for a minute
(`make clients`).
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tally_stream.audit.replay import Replay
from tally_stream.settings import Settings
from tally_stream.station.receipt_reader import ReceiptReader
from tally_stream.station.spool import Spooled, spooled_in
from tally_stream.wire.folder.assembling import load_election
from tests.support.brokers import KafkaOne, KafkaThree
from tests.support.processes import command, run, settings_for, tied
from tests.support.report_messages import counts
from tests.support.reporting_stations import write_election
from tests.support.topics import save_log
from tests.support.waiting import wait_for
from tests.support.worker import WorkerProcess

pytestmark = pytest.mark.kafka

SEED = 2611
HELD = {"ballots": {"cast": 99, "valid": 96, "blank": 2, "invalid": 2}}


@dataclass(frozen=True)
class Scene:
    """How many clients, with how many reports each; how often each is killed, and for how long no broker answers."""

    clients: int
    each: int
    kills: int
    frozen_seconds: float

    def reports(self, client: int) -> list[str]:
        """One in seven of a client's contradicts itself."""
        return [json.dumps(counts(station=f"S-{client * self.each + n}", **self._held(n))) for n in range(self.each)]

    def _held(self, n: int) -> dict[str, Any]:
        return HELD if n % 7 == 3 else {}

    @property
    def held(self) -> int:
        return self.clients * sum(bool(self._held(n)) for n in range(self.each))


SHORT, LONG = Scene(6, 40, 4, 8.0), Scene(200, 7, 1, 60.0)


class Clients:
    """`submit`, one for each spool, started again and again."""

    def __init__(self, scene: Scene, settings: Settings, election: Path, folder: Path) -> None:
        self._scene, self._settings, self._election, self._folder = scene, settings, election, folder
        self.running: dict[int, subprocess.Popen[bytes]] = {}
        self.log = (folder / "clients.log").open("wb")

    def spool(self, client: int) -> Path:
        return self._folder / f"{client}.spool"

    def start(self, client: int) -> None:
        """The whole file each time: what was kept before a kill states nothing new."""
        file = self._folder / f"{client}.jsonl"
        file.write_text("\n".join(self._scene.reports(client)))
        words = ("submit", str(file), "--accept-errors", "--election", str(self._election), "--spool", str(self.spool(client)))
        self.running[client] = subprocess.Popen(command(*words), stdout=self.log, stderr=self.log, **tied(self._settings))

    def kill_some_time(self, client: int, chance: random.Random) -> None:
        """After so many that are sent, or so many seconds, whichever comes first."""
        enough, end = chance.randrange(self._scene.each), time.monotonic() + chance.uniform(0.2, 1.5)
        wait_for(lambda: self.sent_count(client) > enough or time.monotonic() > end, "a moment")
        self.running[client].send_signal(signal.SIGKILL)
        self.running[client].wait()

    def forget_answers(self, client: int) -> None:
        """A spool from before the acknowledgements, as a backup has it: all is sent again."""
        with sqlite3.connect(self.spool(client)) as db:
            db.execute('UPDATE statements SET "offset" = NULL, partition = NULL, sent_ms = NULL')
        db.close()

    def sent_count(self, client: int) -> int:
        return sum(spooled.offset is not None for spooled in spooled_in(self.spool(client)))

    def are_through(self) -> bool:
        codes = [process.poll() for process in self.running.values()]
        assert not any(codes), codes
        return None not in codes


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
    folder = write_election(tmp_path / "election", station_count=scene.clients * scene.each)
    run("topics", "create", "--election", str(folder), "--create-time", "--replication", str(kafka.replication), "--partitions",
        "3", settings=settings)  # fmt: skip
    clients, chance = Clients(scene, settings, folder, tmp_path), random.Random(SEED)
    for client in range(scene.clients):
        clients.start(client)
    called_sent: set[tuple[int | None, int | None]] = set()
    freeze()
    end = time.monotonic() + scene.frozen_seconds
    try:
        for kill in range(scene.kills * scene.clients):
            client = kill % scene.clients
            clients.kill_some_time(client, chance)
            called_sent |= {(s.partition, s.offset) for s in spooled_in(clients.spool(client)) if s.offset is not None}
            clients.start(client)
        wait_for(lambda: time.monotonic() > end, "no broker answers for so long", scene.frozen_seconds + 5)
    finally:
        thaw()
    wait_for(clients.are_through, "every client to end", 600)
    clients.forget_answers(0)
    clients.start(0)
    wait_for(clients.are_through, "one that knew of no answer", 300)
    clients.log.close()

    kept = [spooled for client in range(scene.clients) for spooled in spooled_in(clients.spool(client))]
    assert len(kept) == scene.clients * scene.each
    worker = WorkerProcess(settings, str(folder), tmp_path / "worker.log")
    try:
        worker.wait_ready()
        receipts = asyncio.run(all_receipts(settings, folder, kept))
    finally:
        worker.close()

    log = save_log(settings, tmp_path / "log")
    replay = Replay(load_election(folder), log.topic, log.partition_count)
    first: dict[tuple[bytes | None, bytes | None], str] = {}
    due: dict[tuple[int | None, int | None], str] = {}
    for r in log:
        name = replay.take(r).name
        assert name in (("counted", "held") if (r.key, r.value) not in first else ("repeated",))
        due[r.partition, r.offset] = first.setdefault((r.key, r.value), name)
    assert Counter(first.values()) == {"counted": len(kept) - scene.held, "held": scene.held}
    assert set(first) == {(s.key, s.value) for s in kept}, "every one that was kept arrived, and nothing else"
    assert called_sent <= set(due), "what was called sent is there"
    assert receipts == {place: due[place] for place in receipts}
    assert set(receipts) == {(s.partition, s.offset) for s in kept}
    assert len(due) >= len(first) + scene.each, "as many at least were sent again"


async def all_receipts(settings: Settings, folder: Path, kept: list[Spooled]) -> dict[tuple[int | None, int | None], str]:
    """Place → receipt, once none is waiting."""
    unique = [replace(spooled, id=n) for n, spooled in enumerate(kept)]  # each spool counts its own
    async with ReceiptReader(settings, load_election(folder)) as reader:
        while True:
            await reader.turn(unique)
            found = reader.receipts(unique)
            if all(receipt.is_final for receipt in found.values()):
                return {(s.partition, s.offset): found[s.id].state for s in unique}
