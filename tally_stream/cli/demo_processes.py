"""The processes of a demo: the worker and the board, each the very command that a user would type.

Decides when one is ready, what is said when one ends before its time, and which port the board takes. They end with the
demo, however that ends. It knows nothing of the night: `demo_play.py` plays it, `demo.py` holds all together.
"""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tally_stream.cli.lifeline import Lifeline
from tally_stream.cli.logs import without_headers
from tally_stream.settings import Settings

START_SECONDS = 60.0

Watch = Callable[[], Coroutine[Any, Any, None]]
"""Begun once there is something to watch beside: raises DemoFailed when what it watches ends."""


class DemoFailed(Exception):
    """`args[0]` says what went wrong."""


@dataclass(slots=True)
class Started:
    """The processes of a demo. They end with it, however it ends."""

    lifeline: Lifeline = field(default_factory=Lifeline)
    ends: list[Watch] = field(default_factory=list)
    """Of those that must live as long as the night; begun with the night."""


def worker_process(settings: Settings, folder: Path, is_embedded: bool, started: Started) -> AbstractAsyncContextManager[str]:
    """A worker process; yields its service address when it is ready."""
    arguments = [*_command("worker", settings, folder), "--metrics-port", "0", "--rehearsal", "--once"]
    if is_embedded:
        # The embedded broker keeps 5 MB a partition: fewer, larger partials leave room for a whole night.
        arguments += ["--embedded", "--publish-interval-ms", "200"]
    return running_command("worker", arguments, "metrics at ", started)


def board_process(settings: Settings, folder: Path, started: Started) -> AbstractAsyncContextManager[str]:
    """The board in a process of its own; yields its address."""
    listening = ["--board-host", settings.board_host, "--board-port", str(settings.board_port)]
    return running_command("board", [*_command("board", settings, folder), *listening], "board at ", started)


def with_a_free_port(settings: Settings) -> tuple[Settings, str]:
    """A port for the board, and what to say of it. The default one, taken, is no reason not to show the board; one that
    was asked for is, and the board says so itself."""
    host, port = settings.board_host, settings.board_port
    if "board_port" in settings.model_fields_set or is_free(host, port):
        return settings, ""
    return settings.model_copy(update={"board_port": 0}), (
        f"port {port} is taken on {host}: the board takes another (TALLY_BOARD_PORT chooses one)"
    )


def is_free(host: str, port: int) -> bool:
    try:
        with socket.create_server((host, port)):
            return True
    except OSError as error:
        return error.errno != errno.EADDRINUSE  # of any other trouble the board speaks itself


def _command(name: str, settings: Settings, folder: Path) -> list[str]:
    return [
        sys.executable, "-m", "tally_stream", name, "--election", str(folder), "--bootstrap", settings.bootstrap,
        "--prefix", settings.prefix,
    ]  # fmt: skip


@asynccontextmanager
async def running_command(name: str, arguments: list[str], marker: str, started: Started) -> AsyncIterator[str]:
    """One of our commands; yields the address it says behind `marker` once it is ready. Where it fails, its last lines
    are shown; where it ends later, what is put into `started.ends` raises DemoFailed."""
    with tempfile.TemporaryFile() as log:
        process = await asyncio.create_subprocess_exec(
            *arguments, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            **started.lifeline.arguments({**os.environ, "TALLY_REHEARSAL": "true", "TALLY_LOG_FORMAT": "text"}),
        )  # fmt: skip
        try:
            address = await _ready(name, process, log, marker)
            started.ends.append(partial(_end, name, process, log))
            yield address
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
                try:
                    async with asyncio.timeout(12):
                        await process.wait()
                except TimeoutError:
                    process.kill()
                    await process.wait()


async def _end(name: str, process: asyncio.subprocess.Process, log: Any) -> None:
    code = await process.wait()
    last = (_tail(log).strip().splitlines() or ["it said nothing"])[-1]
    raise DemoFailed(f"the {name} ended with exit code {code}: {last}")


def _tail(log: Any) -> str:
    log.seek(0)
    return without_headers(str(log.read().decode("utf-8", "replace")))


async def _ready(name: str, process: asyncio.subprocess.Process, log: Any, marker: str) -> str:
    import aiohttp

    end = time.monotonic() + START_SECONDS
    address = None
    async with aiohttp.ClientSession() as session:
        while time.monotonic() < end:
            if process.returncode is not None:
                raise DemoFailed(f"the {name} ended with exit code {process.returncode}:\n{_tail(log).strip()}")
            if address is None and marker in (text := _tail(log)):
                address = text.split(marker, 1)[1].split()[0].removesuffix("/metrics").removesuffix("/")
            if address is not None:
                try:
                    async with session.get(address + "/readyz") as answer:
                        if answer.status == 200:
                            return address
                except aiohttp.ClientError:
                    pass
            await asyncio.sleep(0.1)
    raise DemoFailed(f"the {name} was not ready within {START_SECONDS:.0f} s:\n{_tail(log).strip()}")
