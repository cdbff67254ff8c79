"""The competitors: how each is built, started and checked. Their own code is in the folders beside this file.

Contract of a competitor's process: it is given bootstrap, input topic, output topic, group, partition count and
candidates; it prints `first` (and the number of records, where it has a batch in hand) when it has its first record;
its messages on the output topic are `{"seen": records included, in all or of each partition, "totals": [seven]}`. Its
last totals must equal a plain recount of the same definition, every decodable report, highest revision: a competitor
whose totals differ has no figure. An idle client prints `last` instead of totals.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.ground import PARTITIONS, Filled, create_output, drop_topics
from bench.load import CANDIDATES
from bench.process import Figure, NoFigure, figure, peak_rss_bytes, wait_included
from tests.support.processes import cpu_seconds

HERE = Path(__file__).parent
LIMIT_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Peer:
    """`folder` below this one, `options` name=value for its process; `share` of the stations: slow ones get fewer."""

    name: str
    folder: str
    options: dict[str, str] = field(default_factory=dict)
    is_idle: bool = False
    share: float = 1.0


STREAMS = {"commit_ms": "100", "linger_ms": "100"}

PEERS = (
    Peer("Kafka Streams, 1 thread", "kafka-streams", {**STREAMS, "threads": "1"}),
    Peer("Kafka Streams, 2 threads", "kafka-streams", {**STREAMS, "threads": "2"}),
    Peer("Kafka Streams, 2 threads, caching off", "kafka-streams", {**STREAMS, "threads": "2", "cache_mib": "0"}),
    Peer("Kafka Streams, 1 thread, exactly once", "kafka-streams",
         {**STREAMS, "threads": "1", "guarantee": "exactly_once_v2"}),
    Peer("Kafka Streams, 2 threads, exactly once", "kafka-streams",
         {**STREAMS, "threads": "2", "guarantee": "exactly_once_v2"}),
    Peer("Bytewax", "bytewax", share=0.5),
    Peer("Quix Streams", "quix", share=0.1),
    Peer("Faust", "faust", {"table": "no"}, share=0.1),
    Peer("Faust with a Table", "faust", {"table": "yes"}, share=0.03),
    Peer("idle aiokafka", "aiokafka", is_idle=True),
    Peer("idle librdkafka", "librdkafka", is_idle=True),
)  # fmt: skip


def prepare(folder: str) -> list[str]:
    """Have the competitor's environment, made on demand from its pinned requirements; the command that starts it."""
    home = HERE / folder
    if folder == "kafka-streams":
        sources = [home / "pom.xml", *home.rglob("src/**/*.java")]
        _once(home / "target", sources, [["mvn", "--batch-mode", "--quiet", "--file", str(home / "pom.xml"), "package"]])
        classes = f"{home / 'target' / 'classes'}:{home / 'target' / 'dependency'}/*"
        return ["java", "-Xmx2g", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", classes, "bench.Count"]
    python = home / ".venv" / "bin" / "python"
    _once(home / ".venv", [home / "requirements.txt"], [
        [sys.executable, "-m", "venv", "--clear", str(home / ".venv")],
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes",
         "-r", str(home / "requirements.txt")],
    ])  # fmt: skip
    return [str(python), str(home / "peer.py")]


def _once(target: Path, sources: list[Path], commands: list[list[str]]) -> None:
    """Run the commands unless they were run for these very sources."""
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sorted(sources))).hexdigest()
    marker = target / ".made-from"
    if marker.exists() and marker.read_text() == digest:
        return
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise NoFigure(f"{' '.join(command[:4])} … failed: {(done.stdout + done.stderr)[-500:]}")
    marker.write_text(digest)


class PeerProcess:
    """A competitor's process; `with` ends it and removes what it made for itself."""

    def __init__(self, peer: Peer, filled: Filled) -> None:
        command = prepare(peer.folder)
        self.group = f"peer-{uuid.uuid4().hex[:8]}"
        self.output = f"{self.group}-out"
        self._settings = filled.settings
        create_output(filled.settings, self.output)
        self._scratch = tempfile.mkdtemp(prefix="tally-bench-")
        options = {**peer.options, "state_dir": self._scratch}
        self._log = (filled.directory / f"{self.group}.log").open("w+b")
        self.process = subprocess.Popen(
            [*command, filled.settings.bootstrap, filled.topic, self.output, self.group, str(PARTITIONS),
             ",".join(CANDIDATES), *(f"{k}={v}" for k, v in options.items())],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._log, text=True, cwd=self._scratch,
        )  # fmt: skip

    def __enter__(self) -> PeerProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self._scratch, ignore_errors=True)
        drop_topics(self._settings, self.group)
        self._log.close()

    def wait_word(self, word: str) -> int:
        """Wait for the line that begins with `word`; the number on it, or 0. Raises NoFigure when the process ends."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            said = line.split()
            if said and said[0] == word:
                return int(said[1]) if len(said) > 1 else 0
        raise NoFigure(f"the process ended before it said {word!r}: {self.log_end()}")

    def log_end(self) -> str:
        self._log.seek(0)
        return self._log.read().decode(errors="replace")[-800:]


def seen(message: dict[str, Any]) -> int:
    """Records included in an output message."""
    said = message["seen"]
    return sum(said) if isinstance(said, list) else int(said)


def run_peer(peer: Peer, filled: Filled) -> Figure:
    """One run over the whole topic. Raises NoFigure where the totals differ from the recount."""
    with PeerProcess(peer, filled) as running:
        pid = running.process.pid
        early = running.wait_word("first")
        begin, cpu_begin = time.perf_counter(), cpu_seconds(pid)
        if peer.is_idle:
            running.wait_word("last")
            finished = time.perf_counter()
        else:
            try:
                finished, message = asyncio.run(
                    wait_included(
                        filled.settings, running.output, filled.records, seen, limit_seconds=LIMIT_SECONDS,
                        is_alive=lambda: running.process.poll() is None,
                    )
                )  # fmt: skip
            except NoFigure as reason:
                raise NoFigure(f"{reason}; {running.log_end()}") from reason
            check_totals(message, filled)
        cpu, rss = cpu_seconds(pid) - cpu_begin, peak_rss_bytes(pid)
    return figure(filled.records - early, finished - begin, cpu, rss)


def check_totals(message: dict[str, Any], filled: Filled) -> None:
    if seen(message) != filled.records:
        raise NoFigure(f"{seen(message):,} records are in the totals, {filled.records:,} are on the topic")
    if message["totals"] != filled.recounted:
        raise NoFigure(f"the totals are not those of a plain recount: {message['totals']} instead of {filled.recounted}")
