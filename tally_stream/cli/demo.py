"""`tally-stream demo`: the main job in one command, on a real worker and a broker of its own.

Decides which broker, which topics, and in which order what is started and ended. The worker is the very same command in
a process of its own (`demo_processes.py`); the night is played by `demo_play.py` and shown by `demo_screen.py`. Nothing
here counts. Closing it ends what it started and nothing else.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import click

from tally_stream.cli.common import (
    ELECTION,
    cancel_when_told,
    open_election,
    out,
    recorded_night,
    refuse,
    run_async,
    say,
    settings_of,
    stop_when_told,
)
from tally_stream.cli.demo_play import Moment, Player, read_moments
from tally_stream.cli.demo_processes import DemoFailed, Started, board_process, with_a_free_port, worker_process
from tally_stream.cli.demo_refusals import refused_lines
from tally_stream.cli.demo_screen import Screen, Show
from tally_stream.domain.election import Election
from tally_stream.settings import Settings

EMBEDDED_PREFIX = "tally"


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

    It prints the address of the board, which stays up until Ctrl-C; with --exit it ends with the night.

    Example: tally-stream demo --election az-2024 --fast --exit
    """
    if speed is not None and fast:
        raise click.UsageError("--speed and --fast exclude each other")
    definition, folder = open_election(election)
    log = recorded_night(folder)
    moments = read_moments(folder)

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


class _Stage:
    """Broker, worker, player and screen of one demo."""

    def __init__(
        self, election: Election, folder: Path, log: Path, moments: list[Moment], speed: float | None, fast: bool,
        exits: bool, as_json: bool,
    ) -> None:  # fmt: skip
        self.election, self.folder, self.log, self.exits = election, folder, log, exits
        self.show = Show(election)
        self.screen = Screen(self.show, out.is_terminal and not as_json, as_json)
        self.player = Player(election, log, moments, speed, fast, self.screen)
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
            service = await stack.enter_async_context(worker_process(settings, self.folder, is_embedded, self._started))
            self.show.service = service
            self.screen.line(f"{self.show.broker}, topics {settings.prefix}.*; worker's health and metrics at {service}")
            if not self.exits:
                settings, note = with_a_free_port(settings)
                if note:
                    self.screen.line(note)
                self.show.address = await stack.enter_async_context(board_process(settings, self.folder, self._started)) + "/"
                self.screen.line(f"the board is at {self.show.address}")
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
        self.screen.line(LIMITS_TEXT)
        return bootstrap

    async def _create_topics(self, settings: Settings, is_embedded: bool) -> None:
        from tally_stream.kafka.client import TopicReader, wait_for_broker
        from tally_stream.kafka.topics import Topics, TopicsError, create_topics

        await wait_for_broker(settings, self.screen.line)
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
        player = asyncio.create_task(self.player.play(settings, topic, partitions))
        screen = asyncio.create_task(self.screen.draw())
        try:
            while not player.done():
                await asyncio.wait({player, watcher, screen}, timeout=1, return_when=asyncio.FIRST_COMPLETED)
                for task in (watcher, screen):
                    if task.done():
                        task.result()
            standing_count = player.result()
            await self.player.settled(standing_count, watcher)
        finally:
            player.cancel()
            screen.cancel()
            await asyncio.gather(player, screen, return_exceptions=True)
        self.screen.finish()
        async with TopicReader(settings, f"{settings.prefix}.rejections") as reader:
            for line in await refused_lines(reader, self.election.digest, standing_count):
                self.screen.line(line)
        if not self.exits:
            self.screen.line(f"the night is over; the board at {self.show.address} stays up until Ctrl-C")
            await _until_interrupted()


async def _replication(settings: Settings) -> int:
    from tally_stream.kafka.client import admin_client

    async with admin_client(settings) as admin:
        return min(3, len((await admin.describe_cluster())["brokers"]))


async def _until_interrupted() -> None:
    await stop_when_told().wait()
