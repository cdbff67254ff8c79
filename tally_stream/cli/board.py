"""`tally-stream board`: the public page, JSON and events over the published topics."""

from __future__ import annotations

import asyncio
import resource
from pathlib import Path

import click

from tally_stream.cli.common import (
    ELECTION,
    begin_log,
    cancel_when_told,
    chosen_election,
    note,
    refuse,
    run_async,
    settings_of,
    warn,
    with_broker,
)
from tally_stream.cli.memory import memory_given_back
from tally_stream.domain.election import Election
from tally_stream.settings import Settings


@click.command()
@click.option("--election", type=ELECTION, metavar="DIR", help="Election folder or a night that ships [TALLY_ELECTION].")
@with_broker
@click.option("--board-host", "--host", help="Where the board listens [TALLY_BOARD_HOST, default 127.0.0.1].")
@click.option("--board-port", "--port", type=int, help="0: any free port [TALLY_BOARD_PORT, default 8080].")
@click.option("--operator", "board_operator", is_flag=True, default=None,
              help="Also serve what waits for an authority, /operator/held: to this machine, or with a token.")  # fmt: skip
@click.option("--publish", "publish_to", metavar="DIR", type=click.Path(file_okay=False, path_type=Path),
              help="Write a snapshot of each version as files, and latest.json.")  # fmt: skip
def board(election: str | None, publish_to: Path | None, **flags: object) -> None:
    """Serve the standings as a web page, JSON and a stream of events, until Ctrl-C. Any number may run.

    Example: tally-stream board --election az-2024 --port 8080
    """
    begin_log("board")
    settings = settings_of(election=election, **flags)
    definition = chosen_election(settings)

    from tally_stream.kafka.client import BrokerUnavailable, KafkaError
    from tally_stream.kafka.following import TopicLost

    try:
        if publish_to is not None:
            publish_to.mkdir(parents=True, exist_ok=True)
        run_async(_serve(settings, definition, publish_to))
    except (BrokerUnavailable, KafkaError, TopicLost, OSError) as error:
        refuse([str(error)])
    except KeyboardInterrupt:
        return


async def _serve(settings: Settings, definition: Election, publish_to: Path | None) -> None:
    from tally_stream.board.server import Board
    from tally_stream.kafka.client import wait_for_broker

    cancel_when_told()
    allow_sockets()
    try:
        await wait_for_broker(settings, warn)
        async with memory_given_back(), Board(settings, definition, warn, publish_to) as served:
            note(f"board at {served.address}/ for {definition.id}, topics {settings.prefix}.*")
            await served.run()
    except asyncio.CancelledError:
        note("stopped")


def allow_sockets() -> None:
    """A reader is an open file: as many as this process may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
