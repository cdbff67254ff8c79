"""`tally-stream demo`: the main job in one command, on a real worker and a broker of its own.

Decides the pace of a recorded night and what a person sees of it. The worker is the very same command in a process of
its own; nothing here counts. Closing it ends what it started and nothing else.
"""

from __future__ import annotations

import asyncio
import csv
import errno
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import click
from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from tally_stream.cli.common import (
    ELECTION,
    EXIT_USAGE,
    cancel_when_told,
    err,
    open_election,
    out,
    recorded_night,
    refuse,
    run_async,
    say,
    settings_of,
    stop_when_told,
    write_out,
)
from tally_stream.cli.lifeline import Lifeline
from tally_stream.cli.shown import ShownStandings
from tally_stream.cli.view import board, plain_line
from tally_stream.domain.election import Election
from tally_stream.domain.scalars import parse_time
from tally_stream.settings import Settings

NIGHT_SECONDS = 60.0
"""About how long a night takes at the default pace."""

GAP_MAX_MS = 120_000
"""Quiet stretches longer than this are cut to it at the default pace: a night has days without a report."""

RECORD_MS = 400
"""What each record adds to the default pace: a burst at one instant unfolds too."""

EMBEDDED_PREFIX = "tally"
START_SECONDS = 60.0
SETTLE_SECONDS = 120.0
PLAIN_EVERY_SECONDS = 2.0
PLAIN_FIRST_LOOK_SECONDS = 0.1

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


@dataclass(slots=True)
class Moment:
    """A line of the folder's moments.csv: at this time, this was announced."""

    time_ms: int
    what: str


@dataclass(slots=True)
class Show:
    """What is on the screen: the newest standings, moments passed, how far the night is."""

    election: Election
    standings: ShownStandings = field(default_factory=ShownStandings)
    sent: int = 0
    total: int = 0
    moments: list[str] = field(default_factory=list)
    broker: str = ""
    service: str = ""
    address: str = ""
    """Of the board; empty where none is served."""

    def roots(self) -> list[dict[str, Any]]:
        return [shown.message for shown in self.standings.roots]

    def root_values(self) -> list[bytes]:
        return [shown.value for shown in self.standings.roots]

    def version(self) -> int:
        roots = self.roots()
        return min((m["version"] for m in roots), default=-1) if len(roots) == len(self.election.contests) else -1


@click.command()
@click.option("--election", default="az-2024", show_default=True, type=ELECTION, metavar="NAME|DIR", help="The night to play.")
@click.option("--speed", type=click.FloatRange(min=0, min_open=True), help="Times as fast as the night really was.")
@click.option("--fast", is_flag=True, help="Without pauses.")
@click.option("--exit", "exits", is_flag=True, help="Stop at the end and print the final standings; serves no board.")
@click.option("--json", "as_json", is_flag=True, help="The last line is the root standings message.")
@click.option("--bootstrap", metavar="HOST:PORT", help="Play on this Kafka (topics of its own) instead of the embedded broker.")
@click.option("--prefix", help="Topic prefix on that Kafka [default: a new one].")
def demo(
    election: str, speed: float | None, fast: bool, exits: bool, as_json: bool, bootstrap: str | None, prefix: str | None
) -> None:
    """Play a night through Kafka topics and a worker, and watch the standings unfold.

    Example: tally-stream demo --election az-2024 --fast --exit
    """
    if speed is not None and fast:
        raise click.UsageError("--speed and --fast exclude each other")
    definition, folder = open_election(election)
    log = recorded_night(folder)
    moments = _moments(folder)

    from tally_stream.kafka.client import BrokerUnavailable, KafkaError
    from tally_stream.kafka.embedded import EmbeddedBrokerError
    from tally_stream.station.night import NightRefused
    from tally_stream.wire.report_log import LogError

    stage = _Stage(definition, folder, log, moments, speed, fast, exits, as_json)
    try:
        run_async(stage.run(bootstrap, prefix))
    except (KeyboardInterrupt, asyncio.CancelledError):
        say("stopped")
    except (DemoFailed, EmbeddedBrokerError, NightRefused, LogError, BrokerUnavailable, KafkaError, OSError) as error:
        refuse([str(error)])


def _moments(folder: Path) -> list[Moment]:
    path = folder / "moments.csv"
    if not path.exists():
        return []
    found = []
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            time_ms = parse_time(row.get("time") or "")
            if time_ms is None:
                refuse([f"{path}: {row.get('time')!r} is no RFC 3339 time with an offset"], EXIT_USAGE)
            found.append(Moment(time_ms, row.get("what") or ""))
    return sorted(found, key=lambda moment: moment.time_ms)


class _Stage:
    """Broker, worker, player and screen of one demo."""

    def __init__(
        self, election: Election, folder: Path, log: Path, moments: list[Moment], speed: float | None, fast: bool,
        exits: bool, as_json: bool,
    ) -> None:  # fmt: skip
        self.election, self.folder, self.log, self.moments = election, folder, log, moments
        self.speed, self.fast, self.exits, self.as_json = speed, fast, exits, as_json
        self.show = Show(election)
        self.is_live = out.is_terminal and not as_json
        self._started = Started()

    async def run(self, bootstrap: str | None, prefix: str | None) -> None:
        cancel_when_told()
        async with AsyncExitStack() as stack:
            is_embedded = bootstrap is None
            if is_embedded:
                self._refuse_what_does_not_fit()
                bootstrap = await self._start_embedded(stack)
            settings = settings_of(
                bootstrap=bootstrap,
                prefix=(EMBEDDED_PREFIX if is_embedded else prefix or f"tally-demo-{int(time.time())}"),
                rehearsal=True,
            )
            await self._create_topics(settings, is_embedded)
            self.show.broker = f"{'embedded broker' if is_embedded else 'Kafka'} at {settings.bootstrap}"
            service = await stack.enter_async_context(_worker(settings, self.folder, is_embedded, self._started))
            self.show.service = service
            self._line(f"{self.show.broker}, topics {settings.prefix}.*; worker's health and metrics at {service}")
            if not self.exits:
                settings, note = _with_a_free_port(settings)
                if note:
                    self._line(note)
                self.show.address = await stack.enter_async_context(_board(settings, self.folder, self._started)) + "/"
                self._line(f"the board is at {self.show.address}")
            watcher = asyncio.create_task(self._watch(settings))
            stack.callback(watcher.cancel)
            await self._beside_what_must_live(self._unfold(settings, watcher))

    async def _beside_what_must_live(self, night: Coroutine[Any, Any, None]) -> None:
        tasks = [asyncio.ensure_future(one) for one in (night, *(end() for end in self._started.ends))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in reversed(tasks):  # why a process ended says more than what that did to the night
            if task in done:
                task.result()

    def _line(self, text: str) -> None:
        """A line beside the screen: on stderr when stdout is for a program."""
        (err if self.as_json else out).print(text, markup=False, soft_wrap=True)

    # -- broker and worker -----------------------------------------------------------------------------------------

    def _refuse_what_does_not_fit(self) -> None:
        """The embedded broker forgets what it has no room for: a night that could not stay whole is refused."""
        from tally_stream.kafka.embedded import AUTO_PARTITIONS, PARTITION_LIMIT_BYTES
        from tally_stream.station.night import Night

        sizes = [0] * AUTO_PARTITIONS
        for sending in Night(self.election, self.log, AUTO_PARTITIONS):
            for partition in sending.partitions:
                sizes[partition] += len(sending.record.value or b"") + len(sending.record.key or b"")
        # zstd batches of reports shrink to a fifth; a half is a safe promise.
        if max(sizes) > 2 * PARTITION_LIMIT_BYTES:
            raise DemoFailed(
                f"the embedded broker keeps about {PARTITION_LIMIT_BYTES / 1e6:.0f} MB a partition, this night needs "
                f"{max(sizes) / 1e6:.0f} MB; play it on a real Kafka: --bootstrap HOST:PORT"
            )

    async def _start_embedded(self, stack: AsyncExitStack) -> str:
        from tally_stream.kafka.embedded import LIMITS_TEXT, EmbeddedBroker
        from tally_stream.kafka.topics import Topics

        topics = Topics(EMBEDDED_PREFIX)
        broker = EmbeddedBroker(topics={topics.partials: 1, topics.standings: 1})
        bootstrap: str = await asyncio.to_thread(broker.start)
        stack.callback(broker.stop)
        self._line(LIMITS_TEXT)
        return bootstrap

    async def _create_topics(self, settings: Settings, is_embedded: bool) -> None:
        from tally_stream.kafka.client import TopicReader, wait_for_broker
        from tally_stream.kafka.topics import Topics, TopicsError, create_topics

        await wait_for_broker(settings, self._line)
        if is_embedded:
            for topic in Topics(settings.prefix).all:  # asking for a topic makes it
                async with TopicReader(settings, topic):
                    pass
            return
        try:
            await create_topics(settings, partitions=4, replication=await _replication(settings), is_log_append=False)
        except TopicsError as refused:
            raise DemoFailed("; ".join(refused.errors)) from refused

    # -- the night -------------------------------------------------------------------------------------------------

    async def _watch(self, settings: Settings) -> None:
        from tally_stream.kafka.client import TopicReader

        async with TopicReader(settings, f"{settings.prefix}.standings") as reader:
            while True:
                for record in await reader.poll():
                    self.show.standings.take(record.value)

    async def _unfold(self, settings: Settings, watcher: asyncio.Task[None]) -> None:
        from tally_stream.kafka.client import TopicReader

        topic = f"{settings.prefix}.reports"
        async with TopicReader(settings, topic) as reader:
            partitions = len(reader.partitions)
        player = asyncio.create_task(self._play(settings, topic, partitions))
        screen = asyncio.create_task(self._draw())
        try:
            while not player.done():
                await asyncio.wait({player, watcher, screen}, timeout=1, return_when=asyncio.FIRST_COMPLETED)
                for task in (watcher, screen):
                    if task.done():
                        task.result()
            held = player.result()
            await self._settled(held, watcher)
        finally:
            player.cancel()
            screen.cancel()
            await asyncio.gather(player, screen, return_exceptions=True)
        self._finish()
        if not self.exits:
            self._line(f"the night is over; the board at {self.show.address} stays up until Ctrl-C")
            await _until_interrupted()

    def _finish(self) -> None:
        if self.as_json:
            for value in self.show.root_values():
                write_out(value + b"\n")
            sys.stdout.flush()
            return
        if not self.is_live:
            for message in self.show.roots():
                out.print(board(message, self._title(message)))

    async def _play(self, settings: Settings, topic: str, partitions: int) -> int:
        from tally_stream.kafka.client import sender
        from tally_stream.station.night import Night, Sending, already_sent, play

        night = Night(self.election, self.log, partitions)
        sent = await already_sent(settings, topic, night)
        times = [sending.record.timestamp_ms for sending in night]
        self.show.total = len(times)
        due = self._due_seconds(times)
        begin = time.monotonic()
        paused = 0.0
        moments = list(self.moments)
        async with sender(settings) as producer:

            async def wait(sending: Sending) -> None:
                nonlocal paused
                while moments and sending.record.timestamp_ms > moments[0].time_ms:
                    moment = moments.pop(0)
                    at = time.monotonic()
                    await producer.flush()
                    await self._mark(moment)
                    paused += time.monotonic() - at
                ahead = due[sending.index] - (time.monotonic() - begin - paused)
                if ahead > 0.002:
                    await asyncio.sleep(ahead)
                elif sending.index % 500 == 0:
                    await asyncio.sleep(0)

            def on_sent(sending: Sending) -> None:
                self.show.sent = sending.index + 1

            held = await play(producer, topic, night, sent, wait=wait, on_sent=on_sent)
            for moment in moments:
                await self._mark(moment, held)
            return held

    def _due_seconds(self, times: list[int]) -> list[float]:
        """When each record is due, in seconds from the start."""
        if self.fast:
            return [0.0] * len(times)
        due, at = [], 0.0
        previous = times[0] if times else 0
        for moment in times:
            gap = max(0, moment - previous)
            at += gap if self.speed is not None else min(gap, GAP_MAX_MS) + RECORD_MS
            previous = max(previous, moment)
            due.append(at)
        if self.speed is not None:
            return [d / 1000 / self.speed for d in due]
        scale = NIGHT_SECONDS / at if at else 0.0
        return [d * scale for d in due]

    async def _mark(self, moment: Moment, held: int | None = None) -> None:
        """A moment of the night: what was announced, beside what the standings say at that very record."""
        await self._wait_for_version(self.show.sent if held is None else held)
        roots = self.show.roots()
        line = f"{moment.what}  →  {plain_line(roots[0])}" if roots else moment.what
        self.show.moments.append(line)
        if not self.is_live:
            self._line(line)

    async def _wait_for_version(self, version: int) -> None:
        """Standings of all that was sent; a night on hold does not get there, and is not waited for long."""
        end = time.monotonic() + SETTLE_SECONDS
        while self.show.version() < version and time.monotonic() < end:
            if any(m["on_hold"] for m in self.show.roots()):
                return
            await asyncio.sleep(0.02)

    async def _settled(self, held: int, watcher: asyncio.Task[None]) -> None:
        waiting = asyncio.create_task(self._wait_for_version(held))
        await asyncio.wait({waiting, watcher}, return_when=asyncio.FIRST_COMPLETED)
        if watcher.done():
            waiting.cancel()
            watcher.result()
        await asyncio.sleep(0.3)  # one more refresh of the screen
        if self.show.version() < held and not any(m["on_hold"] for m in self.show.roots()):
            raise DemoFailed(f"the standings stopped at version {self.show.version()}, {held} records were sent")

    # -- the screen ------------------------------------------------------------------------------------------------

    def _title(self, message: dict[str, Any]) -> str:
        names = {c.id: c.name for c in self.election.contests}
        return f"{self.election.name} · {names[message['contest']]}"

    async def _draw(self) -> None:
        if not self.is_live:
            await self._draw_plain()
            return
        bar = Progress(TextColumn("the night"), BarColumn(), MofNCompleteColumn(), TextColumn("records sent"))
        task = bar.add_task("night", total=None)
        with Live(console=out, refresh_per_second=8) as live:
            try:
                while True:
                    bar.update(task, completed=self.show.sent, total=self.show.total or None)
                    live.update(self._picture(bar))
                    await asyncio.sleep(0.1)
            finally:
                bar.update(task, completed=self.show.sent)
                live.update(self._picture(bar))

    def _picture(self, bar: Progress) -> Group:
        boards = [board(message, self._title(message)) for message in self.show.roots()]
        moments = [Text(line, style="yellow") for line in self.show.moments]
        address = [Text(f"board  {self.show.address}", style="bold")] if self.show.address else []
        return Group(*boards, *moments, *address, bar)

    async def _draw_plain(self) -> None:
        """A line for the first standings of a report as soon as they are there, then at most one every two seconds."""
        shown = 0
        while True:
            version = self.show.version()
            if version > shown and not self.as_json:
                shown = version
                for message in self.show.roots():
                    out.print(plain_line(message), markup=False, soft_wrap=True)
            await asyncio.sleep(PLAIN_FIRST_LOOK_SECONDS if shown == 0 else PLAIN_EVERY_SECONDS)


async def _replication(settings: Settings) -> int:
    from tally_stream.kafka.client import admin_client

    async with admin_client(settings) as admin:
        return min(3, len((await admin.describe_cluster())["brokers"]))


def _worker(settings: Settings, folder: Path, is_embedded: bool, started: Started) -> AbstractAsyncContextManager[str]:
    """A worker process; yields its service address when it is ready."""
    arguments = [*_command("worker", settings, folder), "--metrics-port", "0", "--rehearsal", "--once"]
    if is_embedded:
        # The embedded broker keeps 5 MB a partition: fewer, larger partials leave room for a whole night.
        arguments += ["--embedded", "--publish-interval-ms", "200"]
    return _process("worker", arguments, "metrics at ", started)


def _board(settings: Settings, folder: Path, started: Started) -> AbstractAsyncContextManager[str]:
    """The board in a process of its own; yields its address."""
    listening = ["--board-host", settings.board_host, "--board-port", str(settings.board_port)]
    return _process("board", [*_command("board", settings, folder), *listening], "board at ", started)


def _with_a_free_port(settings: Settings) -> tuple[Settings, str]:
    """A port for the board, and what to say of it. The default one, taken, is no reason not to show the board; one that
    was asked for is, and the board says so itself."""
    host, port = settings.board_host, settings.board_port
    if "board_port" in settings.model_fields_set or _is_free(host, port):
        return settings, ""
    return settings.model_copy(update={"board_port": 0}), (
        f"port {port} is taken on {host}: the board takes another (TALLY_BOARD_PORT chooses one)"
    )


def _is_free(host: str, port: int) -> bool:
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
async def _process(name: str, arguments: list[str], marker: str, started: Started) -> AsyncIterator[str]:
    """One of our commands; yields the address it says behind `marker` once it is ready. Where it fails, its last lines
    are shown; where it ends later, what is put into `started.ends` raises DemoFailed."""
    with tempfile.TemporaryFile() as log:
        process = await asyncio.create_subprocess_exec(
            *arguments, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            **started.lifeline.arguments({**os.environ, "TALLY_REHEARSAL": "true"}),
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
    return str(log.read().decode("utf-8", "replace"))


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


async def _until_interrupted() -> None:
    await stop_when_told().wait()
