"""One Kafka node: its disk, its process, and whether it answers.

Never signals a process that nobody here started: a pid is only used while its command line still names this node's
directory. Which nodes there are, and on which ports, is `cluster.py`'s.
"""

from __future__ import annotations

import base64
import contextlib
import os
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy.kafka.local.jars import (
    JARS,
    LocalKafkaError,
)

STOP_LIMIT_SECONDS = 10
"""Time for a clean end; measured 6 s for three nodes, whose last controller waits for its peers."""

POLL_SECONDS = 0.05
"""Between two looks at a process or a port."""

MARK = "-Dtally.local.kafka="
"""On each node's command line, with its directory: how a pid is known to be still ours."""


@dataclass
class Node:
    """One Kafka process: broker and controller. Numbers start at 1; no `pid`: it is down. `more_ports`: of listeners beside
    the first, by their names."""

    number: int
    port: int
    controller_port: int
    directory: Path
    pid: int | None = None
    more_ports: dict[str, int] = field(default_factory=dict)

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


def signal_node(node: Node, number: signal.Signals) -> None:
    if node.is_running and node.pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(node.pid, number)


def until(condition: Callable[[], bool], limit_seconds: float) -> bool:
    """Poll until the condition holds; whether it did within the limit."""
    deadline = time.monotonic() + limit_seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def kafka_uuid() -> str:
    """A random id as Kafka writes them: URL-safe base64 of 16 bytes, not starting with a dash."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):
            return text


def format_disk(node: Node, cluster_id: str, checkpoint: Path) -> None:
    """Lay out an empty disk as `kafka-storage format` does: an identity, and the first records of the cluster's own log."""
    node.data.mkdir(parents=True)
    shutil.copyfile(checkpoint, node.data / "bootstrap.checkpoint")
    (node.data / "meta.properties").write_text(
        f"version=1\ncluster.id={cluster_id}\nnode.id={node.number}\ndirectory.id={kafka_uuid()}\n"
    )


def ensure_bootstrap_checkpoint(java: str, node: Node) -> Path:
    """Have the feature levels of this Kafka version, written by its own storage tool, in `.jars/`.

    The file depends on the version alone: one run of the tool (0.9 s) serves every later node.
    """
    kept = JARS / "bootstrap.checkpoint"
    if not kept.exists():
        write_bootstrap_checkpoint(java, node, kept)
    return kept


def write_bootstrap_checkpoint(java: str, node: Node, file: Path, words: Sequence[str] = ()) -> None:
    """Have Kafka's storage tool write what a cluster's own log begins with; `words`: more of its options."""
    with tempfile.TemporaryDirectory() as scratch:
        settings = Path(scratch) / "server.properties"
        text = (node.directory / "server.properties").read_text()
        settings.write_text(text.replace(f"log.dirs={node.data}", f"log.dirs={scratch}/data"))
        ran = subprocess.run(
            [
                *(java, "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", f"{JARS}/*"),
                *("kafka.tools.StorageTool", "format", "--cluster-id", kafka_uuid()),
                *("--config", str(settings), *words),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if ran.returncode != 0:
            raise LocalKafkaError(f"Kafka's storage tool failed:\n{(ran.stdout + ran.stderr).strip()}")
        half_done = file.with_name(f"{file.name}.{os.getpid()}")
        shutil.copyfile(Path(scratch) / "data" / "bootstrap.checkpoint", half_done)
        half_done.replace(file)


def brokers_seen_by(port: int, context: ssl.SSLContext | None = None) -> set[int]:
    """The unfenced brokers that this port's broker names in a Metadata reply; none if mute. `context`: for a port with TLS."""
    client = b"local"
    header = struct.pack(">hhih", 3, 4, 1, len(client)) + client  # Metadata is API 3; version 4
    body = struct.pack(">ib", 0, 0)  # no topics wanted, none to be created
    request = header + body
    try:
        with _connected(port, context) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            with connection.makefile("rb") as stream:
                (size,) = struct.unpack(">i", stream.read(4))
                reply = stream.read(size)
        return set(_broker_ids(reply))
    except (OSError, struct.error):
        return set()


def _connected(port: int, context: ssl.SSLContext | None) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=2)
    if context is None:
        return connection
    with connection:  # closed where the handshake fails; else the wrapped one has taken it over
        return context.wrap_socket(connection, server_hostname="127.0.0.1")


def _broker_ids(reply: bytes) -> Iterator[int]:
    _correlation, _throttle_ms, count = struct.unpack_from(">iii", reply)
    at = 12
    for _ in range(count):
        node_id, host_length = struct.unpack_from(">ih", reply, at)
        at += 6 + host_length + 4  # the host, then the port
        (rack_length,) = struct.unpack_from(">h", reply, at)
        at += 2 + max(rack_length, 0)
        yield node_id


def is_frozen(pid: int) -> bool:
    """Whether the process is frozen (state T): it cannot answer, so nobody waits for it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    except OSError:
        return False


def last_error(node: Node) -> str:
    """The last exception in the node's log, or else its last error line; empty without either."""
    lines = node.log_file.read_text(errors="replace").splitlines()
    raised = [line for line in lines if re.match(r"(Caused by: )?[\w.$]+(Exception|Error)\b", line)]
    told = raised or [line for line in lines if " ERROR " in line or " FATAL " in line]
    return f" ({told[-1][:300]})" if told else ""


def end_nodes(nodes: list[Node], term_limit_seconds: float = STOP_LIMIT_SECONDS) -> None:
    """SIGTERM (a frozen node is thawed to hear it), and SIGKILL for those left after the limit.

    A limit of 0 is SIGKILL at once: for data that nobody wants again.
    """

    def all_gone() -> bool:
        return not any(node.is_running for node in nodes)

    if term_limit_seconds > 0:
        for node in nodes:
            signal_node(node, signal.SIGTERM)
            signal_node(node, signal.SIGCONT)
        if until(all_gone, term_limit_seconds):
            return
    for node in nodes:
        signal_node(node, signal.SIGKILL)
    if not until(all_gone, STOP_LIMIT_SECONDS):
        raise LocalKafkaError("a node did not end on SIGKILL")
