"""Commands of the product as real processes that end with the tests, and what the machine says of a process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from tally_stream.cli.lifeline import Lifeline
from tally_stream.settings import Settings, load_settings
from tests.support.preloaded import Running, ran

LIFELINE = Lifeline()
"""Whatever a test starts ends with the process that runs the tests, however that ends."""


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "tally_stream", *arguments]


def run(*arguments: str, settings: Settings, expect: int = 0, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """A command of the product in a process of its own."""
    done = ran(command(*arguments), environment(settings), timeout)
    assert done.returncode == expect, f"{arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done


def environment(settings: Settings) -> dict[str, str]:
    """Where the topics are, and who asks for them."""
    security = {
        f"TALLY_{name.upper()}": value.get_secret_value() if isinstance(value, SecretStr) else value
        for name, value in settings.model_dump(exclude_defaults=True).items()
        if name.startswith("security_")
    }
    return {**os.environ, "TALLY_BOOTSTRAP": settings.bootstrap, "TALLY_PREFIX": settings.prefix, **security}


def tied(settings: Settings, **more: str) -> dict[str, Any]:
    """For `subprocess`: the settings' environment and `more` of it, and an end with these tests."""
    return LIFELINE.arguments({**environment(settings), **more})


def settings_for(bootstrap: str, prefix: str) -> Settings:
    return load_settings(bootstrap=bootstrap, prefix=prefix, rehearsal=True)


def terminated(process: subprocess.Popen[Any] | Running) -> int:
    """SIGTERM, where it still runs; the exit code. A clean end takes less than 10 s."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    return process.wait(12)


def children_of(pid: int) -> list[int]:
    """The processes that a process has started, in whatever thread."""
    return [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def said_in(log: Path) -> str:
    """What a process that still writes has said; its last letter may be there in part."""
    return log.read_text(encoding="utf-8", errors="replace")


def memory_bytes(pid: int, name: str) -> int:
    """What a process has of memory (VmRSS), or the most it has had at once (VmHWM)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"process {pid} says nothing of {name}")


def cpu_seconds(pid: int) -> float:
    """What a process has used of the processors, in its own code and in the kernel's for it."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    """A port on loopback that nobody had just now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def fetched(port: int, path: str) -> tuple[int, str]:
    """Status and text of what a process serves on loopback; 0 where nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""
