"""On which addresses a process listens, as the kernel has it: /proc, so that no tool of another package is needed."""

from __future__ import annotations

import ipaddress
import os
from contextlib import suppress
from pathlib import Path

LISTEN = "0A"


def listening(pid: int) -> list[tuple[str, int]]:
    """(address, port) of each TCP socket that the process, or one that it started, listens on."""
    inodes: set[str] = set()
    for one in [pid, *_descendants(pid)]:
        for descriptor in Path(f"/proc/{one}/fd").iterdir():
            with suppress(OSError):
                inodes.add(os.readlink(descriptor).removeprefix("socket:[").removesuffix("]"))
    return sorted(
        _address(words[1])
        for table in ("tcp", "tcp6")
        for words in map(str.split, Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:])
        if words[3] == LISTEN and words[9] in inodes
    )


def _descendants(pid: int) -> list[int]:
    children = [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]
    return [found for child in children for found in (child, *_descendants(child))]


def _address(text: str) -> tuple[str, int]:
    """The kernel writes each four bytes of an address the wrong way round."""
    host, port = text.split(":")
    raw = bytes.fromhex(host)
    words = [raw[at : at + 4][::-1] for at in range(0, len(raw), 4)]
    return str(ipaddress.ip_address(b"".join(words))), int(port, 16)
