"""A night that Debian's own Prometheus watches by the shipped files: real workers, a board, a copy and an intake on a real Kafka.

Decides nothing of alerts: it starts what an operator starts, scrapes faster than an operator would, and says what
`/api/v1/alerts` says. The rule files are the shipped ones, unread. `alert_scenes.py` breaks things.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml

from bench.load import Load, station_ids, write_definition
from tally_stream.domain.election import Election
from tally_stream.settings import Settings
from tally_stream.wire.folder.assembling import load_election
from tests.chaos.load import Stations
from tests.chaos.stage import is_publisher, worker_pid
from tests.deploy.files import PROMETHEUS, program
from tests.support.intake_process import add_token
from tests.support.paths import ROOT
from tests.support.processes import command, fetched, free_port, run, tied
from tests.support.waiting import wait_for
from tests.support.worker import WorkerProcess

PARTITIONS = 4
STATIONS = 200
INTAKE_STATION = station_ids(Load(STATIONS))[0]
PER_SECOND = 20
KNOWN_WITHIN_SECONDS = 45
OVER_WITHIN_SECONDS = 120
USUAL = frozenset({"TallyRehearsal", "TallyWorkerRestarted", "TallyBurnSlow", "TallyHeldStations", "TallyDisputedStations"})
"""One broker is no durable cluster, and what was broken in the last minutes stays known for a while."""


def write_targets(directory: Path, ports: dict[str, list[int]]) -> None:
    """The files that the shipped configuration names; each is replaced whole."""
    for name in ("workers", "boards", "dumps", "intakes", "stations", "alertmanagers"):
        at = [f"127.0.0.1:{port}" for port in ports.get(name, [])]
        written = directory / f"{name}.new"
        written.write_text(yaml.safe_dump([{"targets": at}] if at else []))
        written.rename(directory / f"{name}.yml")


class Prometheus:
    """Its process, on loopback, with the shipped rules and targets by file."""

    def __init__(self, directory: Path, targets: dict[str, list[int]], interval_seconds: int) -> None:
        self.directory, self.port = directory, free_port()
        directory.mkdir()
        (directory / "targets").mkdir()
        for name in ("recording.yml", "alerts.yml"):
            (directory / name).write_bytes((PROMETHEUS / name).read_bytes())
        config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8"))
        for name in ("scrape_interval", "evaluation_interval", "scrape_timeout"):
            config["global"][name] = f"{min(interval_seconds, 3 if name == 'scrape_timeout' else 60)}s"
        (directory / "prometheus.yml").write_text(yaml.safe_dump(config))
        write_targets(directory / "targets", targets)
        self.log_path = directory / "prometheus.log"
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [program("prometheus"), f"--config.file={directory / 'prometheus.yml'}",
                 f"--storage.tsdb.path={directory / 'data'}", f"--web.listen-address=127.0.0.1:{self.port}"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, "GOMAXPROCS": "2"},
            )  # fmt: skip

    def wait_ready(self) -> None:
        def look() -> bool:
            assert self.process.poll() is None, self.log_path.read_text()
            return fetched(self.port, "/-/ready")[0] == 200

        wait_for(look, "Prometheus to be ready", 60)

    def alerts(self) -> list[dict[str, Any]]:
        """As /api/v1/alerts has them."""
        status, text = fetched(self.port, "/api/v1/alerts")
        found: list[dict[str, Any]] = json.loads(text)["data"]["alerts"] if status == 200 else []
        return found

    def firing(self) -> set[str]:
        return {one["labels"]["alertname"] for one in self.alerts() if one["state"] == "firing"}

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)


class Watched:
    """Two workers, and what else was asked for, with a Prometheus over them."""

    def __init__(self, kafka: Any, settings: Settings, directory: Path, interval_seconds: int) -> None:
        self.kafka, self.settings, self.directory, self._interval = kafka, settings, directory, interval_seconds
        self.folder = directory / "night"
        self.workers: list[WorkerProcess] = []
        self.ports: dict[str, list[int]] = {}
        self.more: dict[str, subprocess.Popen[bytes]] = {}
        self.copy = directory / "copy.gz"
        self.stack = ExitStack()
        self.usual = USUAL
        """What may ring all the time."""

    def create_topics(self) -> None:
        run("topics", "create", "--election", str(self.folder), "--partitions", str(PARTITIONS), "--replication", "1",
            settings=self.settings)  # fmt: skip

    def start_worker(self, stack: ExitStack, *flags: str) -> WorkerProcess:
        number, port = len(self.workers), free_port()
        worker = WorkerProcess(
            self.settings, str(self.folder), self.directory / f"worker-{number}.log", "--metrics-port", str(port), *flags,
            is_supervised=True,
        )  # fmt: skip
        stack.callback(worker.close)
        self.workers.append(worker)
        self.ports.setdefault("workers", []).append(port)
        return worker

    def start(self, stack: ExitStack, name: str, group: str, port: int, *words: str) -> None:
        """Another program of the product."""
        self.spawn(stack, name, command(*words))
        self.ports.setdefault(group, []).append(port)

    def start_board(self, stack: ExitStack) -> None:
        """Also again, at the same port: nobody else starts one that ended."""
        (port,) = self.ports.pop("boards", None) or [free_port()]
        self.start(stack, "board", "boards", port, "board", "--election", str(self.folder), "--port", str(port))

    def start_intake(self, stack: ExitStack, station: str) -> None:
        """With a token that speaks for one station."""
        tokens, port, metrics = self.directory / "tokens", free_port(), free_port()
        self.intake, self.token = f"http://127.0.0.1:{port}", add_token(tokens, [station])
        self.start(stack, "intake", "intakes", metrics, "intake", "--election", str(self.folder), "--tokens", str(tokens),
                   "--port", str(port), "--metrics-port", str(metrics))  # fmt: skip

    def spawn(self, stack: ExitStack, name: str, words: list[str]) -> subprocess.Popen[bytes]:
        with (self.directory / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(words, **tied(self.settings), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=ROOT)
        stack.callback(_end, process)
        self.more[name] = process
        return process

    @property
    def election(self) -> Election:
        return load_election(self.folder)

    def value(self, query: str) -> float:
        """What Prometheus says of it now; 0 where it says nothing."""
        status, text = fetched(self.prometheus.port, f"/api/v1/query?{urlencode({'query': query})}")
        found = json.loads(text)["data"]["result"] if status == 200 else []
        return float(found[0]["value"][1]) if found else 0.0

    def start_time_of(self, worker: WorkerProcess) -> float:
        port = self.ports["workers"][self.workers.index(worker)]
        return self.value(f'process_start_time_seconds{{instance="127.0.0.1:{port}"}}')

    def tell_targets(self, ports: dict[str, list[int]]) -> None:
        """Prometheus reads the files again by itself."""
        write_targets(self.prometheus.directory / "targets", ports)

    def watch(self, stack: ExitStack) -> None:
        self.prometheus = Prometheus(self.directory / "prometheus", self.ports, self._interval)
        stack.callback(self.prometheus.stop)
        self.prometheus.wait_ready()

    def publisher(self) -> WorkerProcess:
        return wait_for(lambda: next((w for w in self.workers if is_publisher(w)), None), "a worker that publishes", 90)

    def other(self) -> WorkerProcess:
        publisher = self.publisher()
        return next(w for w in self.workers if w is not publisher)

    def pids(self) -> list[int]:
        return [worker_pid(worker) for worker in self.workers]

    def wait_calm(self, limit_seconds: float = OVER_WITHIN_SECONDS) -> None:
        """Until nothing rings but what usually does, in three looks one after the other."""
        calm = 0

        def look() -> bool:
            nonlocal calm
            calm = calm + 1 if self.is_watched() and not self.prometheus.firing() - self.usual else 0
            return calm >= 3

        wait_for(look, "calm", limit_seconds)

    def is_watched(self) -> bool:
        """Whether every target was scraped, and standings were seen: before that, silence says nothing."""
        return self.value("min(up) == 1 and tally:standings_fresh:bool == 1") == 1

    def rings(self, alert: str, since: float, limit_seconds: float = KNOWN_WITHIN_SECONDS) -> float:
        """Seconds from `since` until it fires."""
        wait_for(lambda: alert in self.prometheus.firing(), f"{alert} to fire", limit_seconds)
        return time.monotonic() - since

    def is_over(self, alert: str, since: float, limit_seconds: float = OVER_WITHIN_SECONDS) -> float:
        """Seconds from `since` until it fires no more."""
        wait_for(
            lambda: self.prometheus.alerts() and alert not in self.prometheus.firing(), f"the end of {alert}", limit_seconds
        )
        return time.monotonic() - since


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
    process.wait(20)


@contextmanager
def watched(kafka: Any, settings: Settings, directory: Path, *, is_whole: bool, interval_seconds: int = 1) -> Iterator[Watched]:
    """Topics, two workers and Prometheus; where it `is_whole`, a board, a copy, an intake and stations that report all the
    time."""
    with ExitStack() as stack:
        night = Watched(kafka, settings, directory, interval_seconds)
        night.stack = stack
        load = Load(STATIONS)
        write_definition(load, night.folder)
        night.create_topics()
        for _ in range(2):
            night.start_worker(stack)
        if not is_whole:
            night.usual |= {"TallyBoardsDown", "TallyDumpGone"}
        else:
            dump = free_port()
            night.start_board(stack)
            night.start(stack, "dump", "dumps", dump, "dump", str(night.copy), "--follow", "--metrics-port", str(dump))
            night.start_intake(stack, INTAKE_STATION)
            stations = Stations(settings, load, PER_SECOND)
            stations.start()
            stack.callback(stations.stop)
        for worker in night.workers:
            worker.wait_ready()
        night.watch(stack)
        yield night


def freeze(*pids: int) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)


def thaw(*pids: int) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
