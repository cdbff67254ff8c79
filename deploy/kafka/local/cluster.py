"""One or three Kafka nodes on loopback, with faults: the ports, the settings, the start, the end.

    with LocalKafka(brokers=3) as kafka:
        ...  # kafka.bootstrap; kafka.kill(2); kafka.restart(2)

Settings and their reasons: `server.properties` beside this file. It refuses to know anything about topics, elections or
clients. For a shell there is `kafka_local.py`; one node is `node.py`.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import string
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from deploy.kafka.local.jars import (
    HERE,
    JARS,
    LocalKafkaError,
    available,
    class_archive,
    ensure_jars,
    find_java,
)
from deploy.kafka.local.node import (
    MARK,
    STOP_LIMIT_SECONDS,
    Node,
    brokers_seen_by,
    end_nodes,
    ensure_bootstrap_checkpoint,
    format_disk,
    is_frozen,
    kafka_uuid,
    last_error,
    signal_node,
    until,
)

HEAP_MIB = 512
"""A node's heap. Three of them and the tests fit a 4 GiB machine."""

START_LIMIT_SECONDS = 90
"""First process to all nodes ready; measured on two cores: 2 s for one node, 6 s for three."""

ARCHIVE_LIMIT_SECONDS = 60
"""Time for the JVM to write its class archive while it ends; measured 3 s on two cores."""

CLUSTER_SIZES = (1, 3)


def _ensure_class_archive(java: str) -> None:
    """Have a class-data archive in `.jars/`: three nodes on two cores start in 6 s, not in 11.

    It is written by a JVM that ends, so one node is started and ended for it, once a machine
    (about 8 s). Without it everything works, only slower; a training run that fails is no error.
    """
    archive = class_archive(java)
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
            end_nodes(trainee.nodes, term_limit_seconds=ARCHIVE_LIMIT_SECONDS)
            half_done.replace(archive)
        trainee.stop()


class LocalKafka:
    """One or three Kafka nodes on loopback, with faults: kill, freeze, thaw, wipe, restart.

    Without a directory it makes one, and stop() removes it with all data. With one, the data stay,
    and a later start() goes on with them. As a context manager it is started on entry and stopped
    on exit. Should this Python process die without stop(), even of SIGKILL, a small guard process
    ends the nodes (not with `outlive_parent`). Every method blocks; in a coroutine use
    asyncio.to_thread.
    """

    MORE_LISTENERS: ClassVar[tuple[str, ...]] = ()
    """What a subclass listens on beside the first and the controllers': each node gets a port for each."""

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
            java = find_java() or "java"
            _ensure_class_archive(java)
            return self.run([f"-XX:SharedArchiveFile={class_archive(java)}"])
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
        self.cluster_id = before.cluster_id if before is not None else kafka_uuid()
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
        end_nodes(self.nodes, 0 if at_once or self._own_directory else STOP_LIMIT_SECONDS)
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
        signal_node(node, signal.SIGKILL)
        self._gone(node)

    def freeze(self, number: int) -> None:
        """SIGSTOP: the node keeps its connections and its memory and answers nothing."""
        signal_node(self._node(number), signal.SIGSTOP)

    def thaw(self, number: int) -> None:
        """SIGCONT: it goes on where it was, believing that no time has passed."""
        signal_node(self._node(number), signal.SIGCONT)

    def wipe(self, number: int) -> None:
        """A new, empty disk for one node, which is killed for it; it stays down until restart()."""
        node = self._node(number)
        self.kill(number)
        shutil.rmtree(node.data)
        format_disk(node, self.cluster_id, self._checkpoint(node))

    def restart(self, number: int) -> None:
        """Start a node that is down, or end and start one; returns when it and its peers are ready.

        After kill() that takes up to 7 s: the controller refuses the node's registration until its
        old session is over (broker.session.timeout.ms, 6 s).
        """
        node = self._node(number)
        end_nodes([node])
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
        ports = self._reserve_ports((2 + len(self.MORE_LISTENERS)) * self._brokers)
        more_ports = iter(ports[2 * self._brokers :])
        self.nodes = [
            Node(
                number=number,
                port=ports[number - 1],
                controller_port=ports[self._brokers + number - 1],
                directory=self.directory / f"node-{number}",
                more_ports={name: next(more_ports) for name in self.MORE_LISTENERS},
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
            more = "".join(f"{name}={value}\n" for name, value in self._settings_of(node).items())
            (node.directory / "server.properties").write_text(template.safe_substitute(values) + more)
            if not node.data.exists():
                format_disk(node, self.cluster_id, self._checkpoint(node))
        self._write()

    def _settings_of(self, node: Node) -> dict[str, str]:
        """What stands below the template's settings; a secured cluster says more of each node."""
        return dict(self._more_settings)

    def _environment_of(self, node: Node) -> Mapping[str, str]:
        """More of the environment of a node's process."""
        return {}

    def _checkpoint(self, node: Node) -> Path:
        """What the cluster's own log begins with; a secured cluster has users in it."""
        return ensure_bootstrap_checkpoint(find_java() or "java", node)

    def _seen_by(self, node: Node) -> set[int]:
        """The brokers that a node names."""
        return brokers_seen_by(node.port)

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
                *(sys.executable, "-S", "-E", str(HERE / "kafka_local.py"), "guard"),
                *("--directory", str(self.directory)),
                *(["--remove"] if self._own_directory else []),
            ],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def _spawn(self, node: Node) -> None:
        """Start one node's process, in a session of its own: a terminal's Ctrl-C is not for it."""
        command = [
            *(find_java() or "java", f"-Xms{HEAP_MIB}m", f"-Xmx{HEAP_MIB}m", "-XX:+UseG1GC"),
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
                env={**os.environ, **self._environment_of(node)},
            )
        self._processes[node.number] = process
        node.pid = process.pid
        self._write()

    def _await_ready(self) -> None:
        """Until every node that should answer names every other that should, or one ends."""
        awaited = [node for node in self.nodes if node.pid is not None and not is_frozen(node.pid)]
        numbers = {node.number for node in awaited}

        def ready_or_dead() -> bool:
            if any(self._processes[node.number].poll() is not None for node in awaited):
                return True
            return all(numbers <= self._seen_by(node) for node in awaited)

        in_time = until(ready_or_dead, START_LIMIT_SECONDS)
        for node in awaited:
            status = self._processes[node.number].poll()
            if status is not None:
                raise LocalKafkaError(
                    f"node {node.number} ended with status {status}{last_error(node)}; its log: {node.log_file}"
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
