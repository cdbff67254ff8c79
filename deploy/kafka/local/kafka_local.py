"""A real Apache Kafka on loopback, decided here: its processes, ports, settings and data.

One or three nodes (each broker and controller in one, KRaft mode), started from jars that Maven
copies once into `.jars/`. No Docker, no root, standard library only, so that tests, benchmarks and
a developer's shell share it:

    python deploy/kafka/local/kafka_local.py start --brokers 3 --directory /tmp/kafka
    python deploy/kafka/local/kafka_local.py stop --directory /tmp/kafka

    with LocalKafka(brokers=3) as kafka:
        ...  # kafka.bootstrap; kafka.kill(2); kafka.restart(2)

It refuses to know anything about topics, elections or clients. Settings and their reasons:
`server.properties` beside this file. It never signals a process that it did not start: a pid is
only used while its command line still names this cluster's directory.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import string
import struct
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

HERE = Path(__file__).resolve().parent
JARS = HERE / ".jars"
POM = HERE / "pom.xml"

JAVA_MINIMUM = 17
"""Kafka 4 brokers do not start on an older Java."""

HEAP_MIB = 512
"""A node's heap. Three of them and the tests fit a 4 GiB machine."""

START_LIMIT_SECONDS = 90
"""First process to all nodes ready; measured on two cores: 2 s for one node, 6 s for three."""

STOP_LIMIT_SECONDS = 10
"""Time for a clean end; measured 6 s for three nodes, whose last controller waits for its peers."""

POLL_SECONDS = 0.05
"""Between two looks at a process or a port."""

ARCHIVE_LIMIT_SECONDS = 60
"""Time for the JVM to write its class archive while it ends; measured 3 s on two cores."""

CLUSTER_SIZES = (1, 3)
MARK = "-Dtally.local.kafka="
"""On each node's command line, with its directory: how a pid is known to be still ours."""


class LocalKafkaError(RuntimeError):
    """Kafka could not be started or stopped; the message names the log file where there is one."""


# --- Java, Maven and the jars ---------------------------------------------------------------------


def available() -> str | None:
    """Why a local Kafka cannot run on this machine, in one sentence; None when it can."""
    if not Path("/proc/self/cmdline").exists():
        return "local Kafka needs Linux: it knows its own processes by /proc"
    java = _java()
    if java is None:
        return f"Java is missing: local Kafka needs a JDK or JRE {JAVA_MINIMUM} or newer"
    version = _java_version(java)
    if version < JAVA_MINIMUM:
        return f"Java {version} is too old: local Kafka needs {JAVA_MINIMUM} or newer"
    if not _jars_complete() and shutil.which("mvn") is None:
        return "Maven is missing: local Kafka needs `mvn` once, to fetch Kafka's jars"
    return None


def _java() -> str | None:
    home = os.environ.get("JAVA_HOME")
    if home and (Path(home) / "bin" / "java").exists():
        return str(Path(home) / "bin" / "java")
    return shutil.which("java")


def _java_version(java: str) -> int:
    """The feature version (17 for "17.0.15", 8 for "1.8.0_392"); 0 when it does not say."""
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(?:1\.)?(\d+)', said)
    return int(found.group(1)) if found else 0


def _pom_digest() -> str:
    return hashlib.sha256(POM.read_bytes()).hexdigest()


def _jars_complete() -> bool:
    """Whether `.jars/` was filled to the end from the pom.xml that stands here now."""
    marker = JARS / "pom.sha256"
    return marker.exists() and marker.read_text() == _pom_digest()


def ensure_jars() -> None:
    """Have Kafka's jars in `.jars/`; runs Maven only if they are missing, one caller at a time."""
    if _jars_complete():
        return
    JARS.mkdir(exist_ok=True)
    with (JARS / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _jars_complete():  # somebody else did it while we waited for the lock
            return
        for old in [*JARS.glob("*.jar"), JARS / "bootstrap.checkpoint"]:
            old.unlink(missing_ok=True)
        ran = subprocess.run(
            [
                *(
                    "mvn",
                    "--batch-mode",
                    "--quiet",
                    "--file",
                    str(POM),
                    "dependency:copy-dependencies",
                ),
                *("-DincludeScope=runtime", f"-DoutputDirectory={JARS}"),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if ran.returncode != 0:
            last = "\n".join((ran.stdout + ran.stderr).strip().splitlines()[-8:])
            raise LocalKafkaError(f"Maven could not fetch Kafka's jars into {JARS}:\n{last}")
        (JARS / "pom.sha256").write_text(_pom_digest())


def _class_archive(java: str) -> Path:
    """Where Kafka's loaded classes are kept for this very Java: another build refuses the file."""
    said = subprocess.run([java, "-version"], capture_output=True, check=False).stderr
    return JARS / f"classes-{hashlib.sha256(said).hexdigest()[:12]}.jsa"


def _ensure_class_archive(java: str) -> None:
    """Have a class-data archive in `.jars/`: three nodes on two cores start in 6 s, not in 11.

    It is written by a JVM that ends, so one node is started and ended for it, once a machine
    (about 8 s). Without it everything works, only slower; a training run that fails is no error.
    """
    archive = _class_archive(java)
    if archive.exists():
        return
    with (JARS / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if archive.exists():
            return
        half_done = archive.with_suffix(".new")
        trainee = LocalKafka()
        with contextlib.suppress(LocalKafkaError):
            trainee.run([f"-XX:ArchiveClassesAtExit={half_done}"])
            _end(trainee.nodes, term_limit_seconds=ARCHIVE_LIMIT_SECONDS)
            half_done.replace(archive)
        trainee.stop()


# --- one node -------------------------------------------------------------------------------------


@dataclass
class Node:
    """One Kafka process: broker and controller. Numbers start at 1; No `pid`: it is down."""

    number: int
    port: int
    controller_port: int
    directory: Path
    pid: int | None = None

    @property
    def data(self) -> Path:
        """What a disk failure would take: records and cluster metadata."""
        return self.directory / "data"

    @property
    def log_file(self) -> Path:
        """The node's whole output, appended to over restarts."""
        return self.directory / "kafka.log"

    @property
    def is_running(self) -> bool:
        """Whether the process is there (a frozen one is) and still is the one that we started."""
        return self.pid is not None and _is_ours(self.pid, self.directory)


def _is_ours(pid: int, directory: Path) -> bool:
    """Pids are given out again: only the command line tells whether this one is still our node."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return f"{MARK}{directory}".encode() in words  # a zombie's command line is empty


def _signal(node: Node, number: signal.Signals) -> None:
    if node.is_running and node.pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(node.pid, number)


def _until(condition: Callable[[], bool], limit_seconds: float) -> bool:
    """Poll until the condition holds; whether it did within the limit."""
    deadline = time.monotonic() + limit_seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _kafka_uuid() -> str:
    """A random id as Kafka writes them: URL-safe base64 of 16 bytes, not starting with a dash."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):
            return text


def _format(node: Node, cluster_id: str) -> None:
    """Lay out an empty disk as `kafka-storage format` does: an identity and the feature levels."""
    node.data.mkdir(parents=True)
    shutil.copyfile(JARS / "bootstrap.checkpoint", node.data / "bootstrap.checkpoint")
    (node.data / "meta.properties").write_text(
        f"version=1\ncluster.id={cluster_id}\nnode.id={node.number}\ndirectory.id={_kafka_uuid()}\n"
    )


def _ensure_bootstrap_checkpoint(java: str, node: Node) -> None:
    """Have the feature levels of this Kafka version, written by its own storage tool, in `.jars/`.

    The file depends on the version alone: one run of the tool (0.9 s) serves every later node.
    """
    kept = JARS / "bootstrap.checkpoint"
    if kept.exists():
        return
    with tempfile.TemporaryDirectory() as scratch:
        settings = Path(scratch) / "server.properties"
        text = (node.directory / "server.properties").read_text()
        settings.write_text(text.replace(f"log.dirs={node.data}", f"log.dirs={scratch}/data"))
        ran = subprocess.run(
            [
                *(java, "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", f"{JARS}/*"),
                *("kafka.tools.StorageTool", "format", "--cluster-id", _kafka_uuid()),
                *("--config", str(settings)),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if ran.returncode != 0:
            raise LocalKafkaError(f"Kafka's storage tool failed:\n{(ran.stdout + ran.stderr).strip()}")
        half_done = JARS / f"bootstrap.checkpoint.{os.getpid()}"
        shutil.copyfile(Path(scratch) / "data" / "bootstrap.checkpoint", half_done)
        half_done.replace(kept)


# --- is it ready? ---------------------------------------------------------------------------------


def _brokers_seen_by(port: int) -> set[int]:
    """The unfenced brokers that this port's broker names in a Metadata reply; none if mute."""
    client = b"local"
    header = struct.pack(">hhih", 3, 4, 1, len(client)) + client  # Metadata is API 3; version 4
    body = struct.pack(">ib", 0, 0)  # no topics wanted, none to be created
    request = header + body
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            with connection.makefile("rb") as stream:
                (size,) = struct.unpack(">i", stream.read(4))
                reply = stream.read(size)
        return set(_broker_ids(reply))
    except (OSError, struct.error):
        return set()


def _broker_ids(reply: bytes) -> Iterator[int]:
    _correlation, _throttle_ms, count = struct.unpack_from(">iii", reply)
    at = 12
    for _ in range(count):
        node_id, host_length = struct.unpack_from(">ih", reply, at)
        at += 6 + host_length + 4  # the host, then the port
        (rack_length,) = struct.unpack_from(">h", reply, at)
        at += 2 + max(rack_length, 0)
        yield node_id


# --- the cluster ----------------------------------------------------------------------------------


class LocalKafka:
    """One or three Kafka nodes on loopback, with faults: kill, freeze, thaw, wipe, restart.

    Without a directory it makes one, and stop() removes it with all data. With one, the data stay,
    and a later start() goes on with them. As a context manager it is started on entry and stopped
    on exit. Should this Python process die without stop(), even of SIGKILL, a small guard process
    ends the nodes (not with `outlive_parent`). Every method blocks; in a coroutine use
    asyncio.to_thread.
    """

    def __init__(
        self,
        directory: Path | str | None = None,
        *,
        brokers: int = 1,
        port_base: int | None = None,
        outlive_parent: bool = False,
        more_settings: Mapping[str, str] | None = None,
    ) -> None:
        """`more_settings` stand below those of `server.properties`: a later one of the same name wins."""
        if brokers not in CLUSTER_SIZES:
            raise ValueError(f"brokers: {brokers} (a local Kafka has 1 or 3)")
        self._own_directory = directory is None
        self.directory = Path(directory or tempfile.mkdtemp(prefix="tally-kafka-")).resolve()
        self.cluster_id = ""
        self.nodes: list[Node] = []
        self._brokers = brokers
        self._port_base = port_base
        self._outlive_parent = outlive_parent
        self._more_settings = dict(more_settings or {})
        self._java_options: list[str] = []
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._reserved: list[socket.socket] = []
        self._guard: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """What a client is told: host:port of every node, comma separated."""
        return ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    # Start and stop.

    def start(self) -> str:
        """Start all nodes and wait until each knows all of them; the bootstrap string.

        Raises LocalKafkaError, having ended what it started, when a node ends early or after
        START_LIMIT_SECONDS.
        """
        try:
            reason = available()
            if reason is not None:
                raise LocalKafkaError(reason)
            ensure_jars()
            java = _java() or "java"
            _ensure_class_archive(java)
            return self.run([f"-XX:SharedArchiveFile={_class_archive(java)}"])
        except BaseException:
            self.stop(at_once=True)
            raise

    def run(self, java_options: list[str]) -> str:
        """start() without its preparations, and with options for the JVM."""
        before = read_cluster(self.directory)
        if before is not None and any(node.is_running for node in before.nodes):
            raise LocalKafkaError(f"a Kafka is already running in {self.directory}")
        if before is not None and len(before.nodes) != self._brokers:
            raise LocalKafkaError(f"{self.directory} holds a cluster of {len(before.nodes)} nodes")
        self.cluster_id = before.cluster_id if before is not None else _kafka_uuid()
        self._java_options = java_options
        self._lay_out()
        if not self._outlive_parent:
            self._start_guard()
        for node in self.nodes:
            self._spawn(node)
        self._await_ready()
        return self.bootstrap

    def stop(self, *, at_once: bool = False) -> None:
        """End all nodes: SIGTERM, SIGKILL after STOP_LIMIT_SECONDS (at once if the data go too)."""
        _end(self.nodes, 0 if at_once or self._own_directory else STOP_LIMIT_SECONDS)
        for process in self._processes.values():
            process.wait()
        self._processes.clear()
        for node in self.nodes:
            node.pid = None
        for reserved in self._reserved:
            reserved.close()
        self._reserved.clear()
        if self.nodes:
            self._write()
        if self._guard is not None and self._guard.stdin is not None:
            self._guard.stdin.close()
            self._guard.wait()
            self._guard = None
        if self._own_directory:
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    # Faults.

    def kill(self, number: int) -> None:
        """SIGKILL one node; returns when the process is gone. Its port stays ours."""
        node = self._node(number)
        _signal(node, signal.SIGKILL)
        self._gone(node)

    def freeze(self, number: int) -> None:
        """SIGSTOP: the node keeps its connections and its memory and answers nothing."""
        _signal(self._node(number), signal.SIGSTOP)

    def thaw(self, number: int) -> None:
        """SIGCONT: it goes on where it was, believing that no time has passed."""
        _signal(self._node(number), signal.SIGCONT)

    def wipe(self, number: int) -> None:
        """A new, empty disk for one node, which is killed for it; it stays down until restart()."""
        node = self._node(number)
        self.kill(number)
        shutil.rmtree(node.data)
        _format(node, self.cluster_id)

    def restart(self, number: int) -> None:
        """Start a node that is down, or end and start one; returns when it and its peers are ready.

        After kill() that takes up to 7 s: the controller refuses the node's registration until its
        old session is over (broker.session.timeout.ms, 6 s).
        """
        node = self._node(number)
        _end([node])
        self._gone(node)
        self._spawn(node)
        self._await_ready()

    # Inside.

    def _node(self, number: int) -> Node:
        return self.nodes[number - 1]

    def _gone(self, node: Node) -> None:
        """Wait for an ended node, so that no zombie is left behind, and write down that it is."""
        process = self._processes.pop(node.number, None)
        if process is not None:
            process.wait()
        node.pid = None
        self._write()

    def _lay_out(self) -> None:
        """Ports, settings and formatted storage for every node."""
        ports = self._reserve_ports(2 * self._brokers)
        self.nodes = [
            Node(
                number=number,
                port=ports[number - 1],
                controller_port=ports[self._brokers + number - 1],
                directory=self.directory / f"node-{number}",
            )
            for number in range(1, self._brokers + 1)
        ]
        template = string.Template((HERE / "server.properties").read_text())
        for node in self.nodes:
            node.directory.mkdir(parents=True, exist_ok=True)
            values = {
                "node": node.number,
                "voters": ",".join(f"{n.number}@127.0.0.1:{n.controller_port}" for n in self.nodes),
                "port": node.port,
                "controller_port": node.controller_port,
                "data": node.data,
                "replication": self._brokers,
                "min_insync": 2 if self._brokers > 1 else 1,
            }
            # safe_substitute: the template's own comments may show a bare ${name}.
            more = "".join(f"{name}={value}\n" for name, value in self._more_settings.items())
            (node.directory / "server.properties").write_text(template.safe_substitute(values) + more)
            if not node.data.exists():
                _ensure_bootstrap_checkpoint(_java() or "java", node)
                _format(node, self.cluster_id)
        self._write()

    def _reserve_ports(self, count: int) -> list[int]:
        """Free loopback ports, kept until stop().

        Each is bound here too, without listening: the node may share it (both sides set
        SO_REUSEADDR), nobody else can take it while the node is down, and a client that keeps
        knocking at a dead node's port is not given that very port as its own, which would connect
        it to itself.
        """
        for index in range(count):
            held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._reserved.append(held)
            wanted = 0 if self._port_base is None else self._port_base + index
            try:
                held.bind(("127.0.0.1", wanted))
            except OSError as error:
                raise LocalKafkaError(f"port {wanted} cannot be used: {error.strerror}") from error
        return [int(held.getsockname()[1]) for held in self._reserved]

    def _start_guard(self) -> None:
        """A process that ends the nodes as soon as the pipe to us closes, however we ended."""
        self._guard = subprocess.Popen(
            [
                *(sys.executable, "-S", "-E", str(Path(__file__).resolve()), "guard"),
                *("--directory", str(self.directory)),
                *(["--remove"] if self._own_directory else []),
            ],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def _spawn(self, node: Node) -> None:
        """Start one node's process, in a session of its own: a terminal's Ctrl-C is not for it."""
        command = [
            *(_java() or "java", f"-Xms{HEAP_MIB}m", f"-Xmx{HEAP_MIB}m", "-XX:+UseG1GC"),
            *self._java_options,
            *("-XX:+ExitOnOutOfMemoryError", "-Djava.awt.headless=true"),
            f"-Dlog4j2.configurationFile={HERE / 'log4j2.properties'}",
            f"{MARK}{node.directory}",
            *("-cp", f"{JARS}/*", "kafka.Kafka", str(node.directory / "server.properties")),
        ]
        with node.log_file.open("ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=node.directory,
                start_new_session=True,
            )
        self._processes[node.number] = process
        node.pid = process.pid
        self._write()

    def _await_ready(self) -> None:
        """Until every node that should answer names every other that should, or one ends."""
        awaited = [node for node in self.nodes if node.pid is not None and not _is_stopped(node.pid)]
        numbers = {node.number for node in awaited}

        def ready_or_dead() -> bool:
            if any(self._processes[node.number].poll() is not None for node in awaited):
                return True
            return all(numbers <= _brokers_seen_by(node.port) for node in awaited)

        in_time = _until(ready_or_dead, START_LIMIT_SECONDS)
        for node in awaited:
            status = self._processes[node.number].poll()
            if status is not None:
                raise LocalKafkaError(
                    f"node {node.number} ended with status {status}{_last_error(node)}; its log: {node.log_file}"
                )
        if not in_time:
            logs = ", ".join(str(node.log_file) for node in awaited)
            raise LocalKafkaError(f"Kafka was not ready within {START_LIMIT_SECONDS} s; see {logs}")

    def _write(self) -> None:
        """cluster.json: all that another process needs to use or to stop this cluster."""
        described = {
            "bootstrap": self.bootstrap,
            "cluster_id": self.cluster_id,
            "nodes": [{**asdict(node), "directory": str(node.directory)} for node in self.nodes],
        }
        half_done = self.directory / "cluster.json.new"
        half_done.write_text(json.dumps(described, indent=2) + "\n")
        half_done.replace(self.directory / "cluster.json")


def _is_stopped(pid: int) -> bool:
    """Whether the process is frozen (state T): it cannot answer, so nobody waits for it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    except OSError:
        return False


def _last_error(node: Node) -> str:
    """The last exception in the node's log, or else its last error line; empty without either."""
    lines = node.log_file.read_text(errors="replace").splitlines()
    raised = [line for line in lines if re.match(r"(Caused by: )?[\w.$]+(Exception|Error)\b", line)]
    told = raised or [line for line in lines if " ERROR " in line or " FATAL " in line]
    return f" ({told[-1][:300]})" if told else ""


def _end(nodes: list[Node], term_limit_seconds: float = STOP_LIMIT_SECONDS) -> None:
    """SIGTERM (a frozen node is thawed to hear it), and SIGKILL for those left after the limit.

    A limit of 0 is SIGKILL at once: for data that nobody wants again.
    """

    def all_gone() -> bool:
        return not any(node.is_running for node in nodes)

    if term_limit_seconds > 0:
        for node in nodes:
            _signal(node, signal.SIGTERM)
            _signal(node, signal.SIGCONT)
        if _until(all_gone, term_limit_seconds):
            return
    for node in nodes:
        _signal(node, signal.SIGKILL)
    if not _until(all_gone, STOP_LIMIT_SECONDS):
        raise LocalKafkaError("a node did not end on SIGKILL")


# --- command line ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cluster:
    """What DIR/cluster.json says."""

    bootstrap: str
    cluster_id: str
    nodes: list[Node]


def read_cluster(directory: Path) -> Cluster | None:
    """The cluster described in a directory; None when there is none."""
    path = directory / "cluster.json"
    if not path.exists():
        return None
    said = json.loads(path.read_text())
    nodes = [Node(**{**node, "directory": Path(node["directory"])}) for node in said["nodes"]]
    return Cluster(said["bootstrap"], said["cluster_id"], nodes)


def _start(directory: Path, brokers: int, port_base: int | None) -> int:
    kafka = LocalKafka(directory, brokers=brokers, port_base=port_base, outlive_parent=True)
    print(kafka.start())
    return 0


def _stop(directory: Path) -> int:
    cluster = read_cluster(directory)
    if cluster is None:
        print(f"no cluster.json in {directory}", file=sys.stderr)
        return 1
    _end(cluster.nodes)
    return 0


def _guard(directory: Path, *, remove: bool) -> int:
    """Wait for the parent's end of the pipe to close; if it left nodes behind, end them."""
    sys.stdin.buffer.read()
    cluster = read_cluster(directory)
    if cluster is not None:
        _end(cluster.nodes, 0)
    if remove:
        shutil.rmtree(directory, ignore_errors=True)
    return 0


def main(arguments: list[str] | None = None) -> int:
    """`start` prints the bootstrap string; exit status 0 done, 1 failed, 2 usage."""
    parser = argparse.ArgumentParser(description="A real Apache Kafka on loopback, without Docker.")
    commands = parser.add_subparsers(dest="command", required=True)
    start = commands.add_parser("start", help="start 1 or 3 brokers, print the bootstrap string")
    start.add_argument("--brokers", type=int, choices=CLUSTER_SIZES, default=1)
    start.add_argument("--port-base", type=int, help="first of 2 ports a broker; default: free ones")
    stop = commands.add_parser("stop", help="end the brokers of a directory, and no other process")
    guard = commands.add_parser("guard", help="(internal) end the brokers when standard input closes")
    guard.add_argument("--remove", action="store_true")
    for command in (start, stop, guard):
        command.add_argument("--directory", type=Path, required=True, help="settings, data, logs, cluster.json")
    chosen = parser.parse_args(arguments)
    directory = chosen.directory.resolve()
    try:
        if chosen.command == "start":
            directory.mkdir(parents=True, exist_ok=True)
            return _start(directory, chosen.brokers, chosen.port_base)
        if chosen.command == "stop":
            return _stop(directory)
        return _guard(directory, remove=chosen.remove)
    except LocalKafkaError as error:
        print(f"kafka_local: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
