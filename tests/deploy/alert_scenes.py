"""`make alerts`: what may break on the night is broken, one thing after the other, and a real Prometheus is asked who is told.

    python -m tests.deploy.alert_scenes [--only WORDS] [--interval 1]

Each scene breaks something, waits for its alert (45 s at most; a copy that lags is told after its own 60 s), cures it and waits
for the alert's end. The table at the end has what was done, which alert fired, after how many seconds, and how long after the
cure it was over. Exits 1 where an alert did not fire or did not end. Every other alert that fired beside it is named too.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.load import Load, reports
from tests.chaos.stage import worker_pid
from tests.deploy.watched import INTAKE_STATION, KNOWN_WITHIN_SECONDS, PARTITIONS, STATIONS, Watched, freeze, thaw, watched
from tests.support.brokers import KafkaOne
from tests.support.processes import children_of, fetched, free_port, settings_for
from tests.support.report_messages import as_bytes, control
from tests.support.topics import administer, produce
from tests.support.waiting import wait_for

LAG_SECONDS = 60 + KNOWN_WITHIN_SECONDS

Broken = Iterator[None]


@contextmanager
def frozen(*pids: int) -> Broken:
    freeze(*pids)
    try:
        yield
    finally:
        thaw(*pids)


def all_workers_frozen(night: Watched) -> AbstractContextManager[None]:
    return frozen(*night.pids())


def one_worker_frozen(night: Watched) -> AbstractContextManager[None]:
    return frozen(worker_pid(night.other()))


def owner_frozen(night: Watched) -> AbstractContextManager[None]:
    return frozen(worker_pid(night.publisher()))


@contextmanager
def brokers_frozen(night: Watched) -> Broken:
    night.kafka.freeze(1)
    try:
        yield
    finally:
        night.kafka.thaw(1)


@contextmanager
def worker_cut_off(night: Watched) -> Broken:
    """A third one, which has a network of its own and reaches the broker's port through relays: packets are lost, nothing is
    refused. Prometheus learns of it by its file of targets."""
    port, wire, back = free_port(), night.directory / "wire.sock", night.directory / "back.sock"
    broker = night.kafka.nodes[0].port
    relay = [sys.executable, "-m", "tests.support.relay"]
    worker = [
        sys.executable, "-m", "tally_stream", "worker", "--election", str(night.folder), "--rehearsal",
        "--metrics-port", str(port),
    ]  # fmt: skip
    inside = [[*relay, f"tcp:{broker}", f"unix:{wire}"], [*relay, f"unix:{back}", f"tcp:{port}"], worker]
    script = "ip link set lo up\n" + "".join(f"{shlex.join(words)} &\n" for words in inside) + "wait\n"
    with ExitStack() as stack:
        to_brokers = night.spawn(stack, "relay to the brokers", [*relay, f"unix:{wire}", f"tcp:{broker}"])
        wait_for(wire.exists, "the wire")
        stack.callback(
            _end_all_below, night.spawn(stack, "worker behind the wire", ["unshare", "--net", "sh", "-c", script]).pid
        )
        wait_for(back.exists, "the wire back")
        night.spawn(stack, "relay to its metrics", [*relay, f"tcp:{port}", f"unix:{back}"])
        wait_for(lambda: fetched(port, "/readyz")[0] == 200, "the third worker to be ready", 90)
        night.tell_targets({**night.ports, "workers": [*night.ports["workers"], port]})
        wait_for(lambda: night.value(f'tally_ready{{instance="127.0.0.1:{port}"}}') == 1, "Prometheus to have found it", 60)
        to_brokers.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            to_brokers.send_signal(signal.SIGCONT)
            wait_for(lambda: fetched(port, "/readyz")[0] == 200, "the third worker to be ready again", 120)
            night.tell_targets(night.ports)


def _end_all_below(pid: int) -> None:
    for child in children_of(pid):
        _end_all_below(child)
        os.kill(child, signal.SIGKILL)


@contextmanager
def topic_deleted(night: Watched) -> Broken:
    topic = f"{night.settings.prefix}.standings"
    administer(night.settings, lambda admin: admin.delete_topics([topic]))
    try:
        yield
    finally:
        night.create_topics()
        if night.more["board"].poll() is not None:  # as the runbook has it, it ended
            night.start_board(night.stack)


@contextmanager
def brokers_frozen_with_a_sender(night: Watched) -> Broken:
    """A station sends by the intake, one revision after the other, each until it is taken."""
    ends = threading.Event()
    first = next(value for key, value, _ in reports(Load(STATIONS)) if key.decode() == INTAKE_STATION)
    statement = json.loads(first)

    def send() -> None:
        while not ends.is_set():
            request = urllib.request.Request(
                f"{night.intake}/v1/reports?accept_warnings=true&accept_errors=true", json.dumps(statement).encode(),
                {"Authorization": f"Bearer {night.token}", "Content-Type": "application/json"},
            )  # fmt: skip
            try:
                with urllib.request.urlopen(request, timeout=120):
                    statement["revision"] += 1
            except OSError:
                ends.wait(2)

    sending = threading.Thread(target=send, daemon=True)
    sending.start()
    wait_for(lambda: night.value("tally_intake_taken_total") > 0, "a statement taken by the intake", 60)
    try:
        with brokers_frozen(night):
            yield
    finally:
        ends.set()
        sending.join(150)


def intake_frozen(night: Watched) -> AbstractContextManager[None]:
    return frozen(night.more["intake"].pid)


def _say_to(night: Watched, partitions: range, kind: str, revision: int) -> None:
    election = night.election
    statement = control(election=election.id, contest=election.contests[0].id, kind=kind, revision=revision)
    for partition in partitions:
        produce(night.settings, "reports", partition, (election.contests[0].id.encode(), as_bytes(statement)))


@contextmanager
def hold_in_half(night: Watched) -> Broken:
    _say_to(night, range(PARTITIONS // 2), "hold", 1)
    try:
        yield
    finally:
        _say_to(night, range(PARTITIONS // 2, PARTITIONS), "hold", 1)


def board_frozen(night: Watched) -> AbstractContextManager[None]:
    return frozen(night.more["board"].pid)


@contextmanager
def copy_moved_away(night: Watched) -> Broken:
    elsewhere = night.copy.with_suffix(".moved")
    night.copy.rename(elsewhere)
    try:
        yield
    finally:
        elsewhere.rename(night.copy)


def copy_frozen(night: Watched) -> AbstractContextManager[None]:
    return frozen(night.more["dump"].pid)


@contextmanager
def worker_killed_three_times(night: Watched) -> Broken:
    worker = night.other()
    for _ in range(3):
        pid = worker_pid(worker)
        seen = night.start_time_of(worker)
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda s=seen: night.start_time_of(worker) not in (s, 0), "Prometheus to have seen the next start", 60)  # type: ignore[misc]
    yield


@dataclass(frozen=True)
class Scene:
    what: str
    alert: str
    breaks: Callable[[Watched], AbstractContextManager[None]]
    within_seconds: float = KNOWN_WITHIN_SECONDS
    over_within_seconds: float = 120.0


SCENES = (
    Scene("all workers frozen", "TallyStandingsSilent", all_workers_frozen),
    Scene("one worker frozen, not the publisher", "TallyWorkerDown", one_worker_frozen),
    Scene("the owner of stage 2 frozen", "TallyWorkerDown", owner_frozen),
    Scene("all brokers frozen", "TallyStandingsSilent", brokers_frozen),
    Scene("a worker cut off from the brokers", "TallyWorkerDown", worker_cut_off),
    Scene("the standings topic deleted", "TallyStandingsSilent", topic_deleted),
    Scene("a hold sent to half of the partitions", "TallyHoldIncomplete", hold_in_half),
    Scene("a worker killed three times", "TallyCrashLoop", worker_killed_three_times, over_within_seconds=330),
    Scene("the board frozen", "TallyBoardsDown", board_frozen),
    Scene("the copy's file moved away", "TallyDumpNotGrowing", copy_moved_away),
    Scene("the copy frozen", "TallyDumpGone", copy_frozen, within_seconds=LAG_SECONDS),
    Scene("the intake frozen", "TallyIntakesDown", intake_frozen),
    Scene("all brokers frozen, while a station sends by the intake", "TallyIntakeTakesNothing", brokers_frozen_with_a_sender),
    Scene("all brokers frozen, for the copy", "TallyDumpLags", brokers_frozen, within_seconds=LAG_SECONDS),
)  # fmt: skip


def play(night: Watched, scene: Scene) -> tuple[float, float, set[str]]:
    """Seconds until it fired, seconds from the cure to its end, and what else fired meanwhile."""
    beside: set[str] = set()
    with scene.breaks(night):
        since = time.monotonic()
        seconds = night.rings(scene.alert, since, scene.within_seconds)
        beside |= night.prometheus.firing()
    cured = time.monotonic()
    over = night.is_over(scene.alert, cured, scene.over_within_seconds)
    return seconds, over, beside - night.usual - {scene.alert}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="scenes whose name has this pattern")
    parser.add_argument("--interval", type=int, default=1, help="seconds between two scrapes, and two looks at the rules")
    options = parser.parse_args()
    scenes = [scene for scene in SCENES if re.search(options.only, scene.what)]
    print(f"machine: {os.cpu_count()} cores, {platform.machine()}, Apache Kafka 4.3.1, "
          f"{subprocess.run(['prometheus', '--version'], capture_output=True, text=True, check=True).stdout.split(' (')[0]}, "
          f"every {options.interval} s", flush=True)  # fmt: skip
    failed = 0
    with KafkaOne() as kafka, tempfile.TemporaryDirectory() as scratch:
        settings = settings_for(kafka.bootstrap, f"a{uuid.uuid4().hex[:8]}")
        with watched(kafka, settings, Path(scratch), is_whole=True, interval_seconds=options.interval) as night:
            print(
                "| what was done | alert | fired after | over after the cure | beside it |\n|---|---|---|---|---|", flush=True
            )
            for scene in scenes:
                if scene.breaks is worker_cut_off and os.geteuid() != 0:
                    print(f"| {scene.what} | {scene.alert} | not played: a network of its own needs root | | |", flush=True)
                    continue
                try:
                    night.wait_calm(360)
                    seconds, over, beside = play(night, scene)
                except AssertionError as error:
                    failed += 1
                    print(
                        f"| {scene.what} | {scene.alert} | **{error}** | firing: {sorted(night.prometheus.firing())} | |",
                        flush=True,
                    )
                    continue
                names = ", ".join(f"`{name}`" for name in sorted(beside)) or "–"
                print(f"| {scene.what} | `{scene.alert}` | {seconds:.0f} s | {over:.0f} s | {names} |", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
