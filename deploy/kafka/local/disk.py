"""Nodes whose disks are known: which bytes are on them, so that a power cut can be played; and disks that are slow.

    with KafkaOnDisks(brokers=3) as kafka:
        kafka.cut_power(); kafka.power_on()

Kafka acknowledges a record when enough brokers have it in memory. A power cut takes that memory from all of them. What is
left, at worst, is each file as it was when Kafka last had it synced (`disk.c` writes that down), so that is what each is
cut to: records and indexes, checkpoints, Kafka's own topics, all alike. An index of which the newest entries may be missing
is emptied: Kafka makes it anew. Not played: a disk that lies about a sync, and one that kept a part of what was not synced.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.kafka.local.cluster import LocalKafka
from deploy.kafka.local.jars import HERE, LocalKafkaError
from deploy.kafka.local.node import Node, end_nodes

RECORD = struct.Struct("=Qqq")
INDEXES = (".index", ".timeindex", ".txnindex")


@dataclass(frozen=True, slots=True)
class Cut:
    """A file that lost its end: bytes of it that were there and that are left."""

    path: Path
    size: int
    left: int


class KafkaOnDisks(LocalKafka):
    """A LocalKafka that can lose its power, and whose disks can be slow. Raises LocalKafkaError at the start without gcc."""

    def _spawn(self, node: Node) -> None:
        if not self._record_of(node).exists():
            self._all_is_on_disk(node)
        super()._spawn(node)

    def _environment_of(self, node: Node) -> Mapping[str, str]:
        return self.preloaded(node.directory)

    def preloaded(self, directory: Path) -> dict[str, str]:
        """The environment of a process whose syncs are written down, in `disk-synced` in the directory."""
        return {
            "LD_PRELOAD": str(self.recorder()),
            "TALLY_DISK_SYNCED": str(directory / "disk-synced"),
            "TALLY_DISK_DELAY": str(directory / "disk-delay-ms"),
        }

    def recorder(self) -> Path:
        """The library, compiled once a cluster."""
        library = self.directory / "disk.so"
        if not library.exists():
            compiler = shutil.which("gcc")
            if compiler is None:
                raise LocalKafkaError("gcc is missing: what is on the disks cannot be written down")
            command = [compiler, "-shared", "-fPIC", "-O2", "-o", str(library), str(HERE / "disk.c"), "-ldl"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise LocalKafkaError(f"{HERE / 'disk.c'} cannot be compiled:\n{done.stderr}")
        return library

    def _record_of(self, node: Node) -> Path:
        return node.directory / "disk-synced"

    def slow_disk(self, number: int, delay_ms: int) -> None:
        """Each sync of this node waits so long from now on; 0: as before."""
        (self._node(number).directory / "disk-delay-ms").write_text(str(delay_ms))

    def cut_power(self) -> list[Cut]:
        """All nodes at once: SIGKILL, and what was in memory alone is gone. What was lost; they stay down until `power_on`."""
        end_nodes(self.nodes, 0)
        found: list[Cut] = []
        for node in self.nodes:
            self._gone(node)
            found += self.cut_back(node.data, self._record_of(node))
            self._all_is_on_disk(node)
        return found

    def power_on(self) -> None:
        """Start all nodes that are down, at once; returns when they are ready."""
        for node in self.nodes:
            if not node.is_running:
                self._spawn(node)
        self._await_ready()

    def synced_bytes(self, number: int, file: Path) -> int:
        """How much of a node's file is on its disk."""
        inode, born_ns, _ = _files(file)[file]
        return _synced(self._record_of(self._node(number))).get((inode, born_ns), 0)

    def cut_back(self, folder: Path, record: Path) -> list[Cut]:
        """Every file below the folder as it was when it was last synced."""
        synced, found, files = _synced(record), [], _files(folder)
        active = {max(of) for of in _by_folder(path for path in files if path.suffix == ".log").values()}
        for path, (inode, born_ns, size) in files.items():
            left = min(size, synced.get((inode, born_ns), 0))
            if path.suffix in INDEXES and path.with_suffix(".log") in active:
                left = 0  # its entries come through memory that is mapped: how many the disk has, nobody knows
            if left < size:
                os.truncate(path, left)
                found.append(Cut(path, size, left))
        return found

    def _all_is_on_disk(self, node: Node) -> None:
        """A formatted disk, or what a power cut has left."""
        self._record_of(node).write_bytes(b"".join(RECORD.pack(*what) for what in _files(node.data).values()))


def _synced(record: Path) -> dict[tuple[int, int], int]:
    """(inode, time of birth) → size when it was last synced."""
    found: dict[tuple[int, int], int] = {}
    for inode, born_ns, size in RECORD.iter_unpack(record.read_bytes()):
        # Two calls for one file may end in the other order than they began.
        found[inode, born_ns] = max(size, found.get((inode, born_ns), 0))
    return found


def _files(folder: Path) -> dict[Path, tuple[int, int, int]]:
    """Path → (inode, time of birth in ns, size) of every file below, or of a file; Python does not tell when it was born."""
    paths = [str(path) for path in sorted([folder, *folder.rglob("*")]) if path.is_file()]
    if not paths:
        return {}
    said = subprocess.run(["stat", "--format=%i %.9W %s", *paths], capture_output=True, text=True, check=True).stdout
    found = {}
    for path, line in zip(paths, said.splitlines(), strict=True):
        inode, born, size = line.split()
        seconds, _, fraction = born.partition(".")
        found[Path(path)] = (int(inode), int(seconds) * 1_000_000_000 + int(fraction or 0), int(size))
    return found


def _by_folder(paths: Iterable[Path]) -> dict[Path, list[Path]]:
    found: dict[Path, list[Path]] = {}
    for path in paths:
        found.setdefault(path.parent, []).append(path)
    return found
