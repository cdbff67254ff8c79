"""How long a newcomer waits: a fresh clone, `make demo`, and the seconds to the first standings, step by step.

    python3 bench/first_minute.py
    python3 bench/first_minute.py --python python3.13 --limit 45

Decides what "from a bare clone" means: a clone of this repository's last commit in a temporary folder, a home folder and
package caches that are empty, no `.venv`, nothing of this shell's pip or uv settings but certificates and proxies. The
packages come over the network, so the figure is of this machine and its network. A step begins with the line that `make
demo` prints for it; the end is the first line that states how many polling stations are counted. Exits 1 where that takes
longer than --limit. `make` and the demo are one process group, ended by Ctrl-C as a newcomer would; the demo ends what it
started. On the standard library alone.
"""

from __future__ import annotations

import argparse
import os
import platform
import queue
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STEPS = (
    ("making .venv", "venv"),
    ("getting uv", "installer"),
    ("installing", "packages"),
    ("making .venv/bin/tally-stream", "command"),
    ("installed in", "start"),
    ("the board is at", "first records"),
)
"""The beginning of a line, and the step that it opens."""
FIRST_STANDINGS = " of polling stations ("
KEPT = ("PATH", "LANG", "LC_ALL", "TERM", "SSL_CERT_FILE", "SSL_CERT_DIR", "PIP_CERT", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
        "http_proxy", "https_proxy", "no_proxy")  # fmt: skip
GIVE_UP_SECONDS = 300.0
STOP_SECONDS = 30.0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def environment(scratch: Path) -> dict[str, str]:
    own = {name: os.environ[name] for name in KEPT if name in os.environ}
    (scratch / "home").mkdir()
    return {
        **own, "HOME": str(scratch / "home"), "TMPDIR": str(scratch), "UV_CACHE_DIR": str(scratch / "uv"),
        "PIP_NO_CACHE_DIR": "1", "TALLY_BOARD_PORT": str(free_port()),
    }  # fmt: skip


def step_of(line: str) -> str | None:
    """The step that this line opens; the longest beginning counts."""
    opened = [(begin, step) for begin, step in STEPS if line.startswith(begin)]
    return max(opened, key=lambda one: len(one[0]))[1] if opened else None


def first_standings(clone: Path, scratch: Path, python: str) -> tuple[list[tuple[str, float]], float | None, list[str]]:
    """(step, its seconds) in order; the seconds to the first standings, None where none came; every line."""
    begin = time.monotonic()
    process = subprocess.Popen(
        ["make", f"PYTHON={python}", "demo"], cwd=clone, env=environment(scratch), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    said: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        for line in process.stdout or ():
            said.put(line.rstrip())
        said.put(None)

    threading.Thread(target=read, daemon=True).start()
    opened: list[tuple[str, float]] = [("make", 0.0)]
    lines: list[str] = []
    seconds: float | None = None
    try:
        while True:
            line = said.get(timeout=max(0.0, begin + GIVE_UP_SECONDS - time.monotonic()))
            if line is None:
                break
            lines.append(line)
            if (step := step_of(line)) is not None:
                opened.append((step, time.monotonic() - begin))
            if FIRST_STANDINGS in line:
                seconds = time.monotonic() - begin
                break
    except queue.Empty:
        lines.append(f"no standings within {GIVE_UP_SECONDS:.0f} s")
    finally:
        stop(process)
    ends = [at for _, at in opened[1:]] + [seconds if seconds is not None else time.monotonic() - begin]
    return [(step, end - at) for (step, at), end in zip(opened, ends, strict=True)], seconds, lines


def stop(process: subprocess.Popen[str]) -> None:
    """Ctrl-C to all that `make` started, the demo ends its broker, worker and board; what is left after a while is killed."""
    for number in (signal.SIGINT, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            end = time.monotonic() + STOP_SECONDS
            while time.monotonic() < end:
                process.poll()  # else make itself stays in the group as a zombie
                os.killpg(process.pid, 0)
                time.sleep(0.05)
        except ProcessLookupError:
            return


def machine() -> str:
    try:
        system = platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        system = platform.system()
    return f"{os.cpu_count()} cores, {system}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=float, default=45.0, metavar="SECONDS", help="more is a failure [45]")
    parser.add_argument("--python", default=shutil.which("python3.11") or sys.executable, help="for .venv [python3.11]")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tally-first-minute-", ignore_cleanup_errors=True) as folder:
        scratch = Path(folder)
        clone = scratch / "clone"
        subprocess.run(["git", "clone", "--quiet", "--no-local", str(ROOT), str(clone)], check=True)
        steps, seconds, lines = first_standings(clone, scratch, options.python)
    for step, took in steps:
        print(f"{took:6.1f} s  {step}")
    if seconds is None:
        print("\n".join(["no standings came; it said:", *lines[-20:]]))
        return 1
    print(f"{seconds:6.1f} s  from `make demo` to the first standings; {machine()}, {time.strftime('%Y-%m-%d')}")
    print(f"first standings: {lines[-1]}")
    if seconds > options.limit:
        print(f"that is more than {options.limit:.0f} s")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
