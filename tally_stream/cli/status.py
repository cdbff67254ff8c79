"""`tally-stream status`: is the count all right? One screen, what is wrong first.

Decides how often it looks and with which code it ends. Read `status_seen.py` for what is looked at, `status_judged.py` for what
is wrong, `status_screen.py` and `status_object.py` for how it is shown.
"""

from __future__ import annotations

import asyncio
import json
import sys

import click
from rich.live import Live

from tally_stream.cli.common import (
    ELECTION,
    EXIT_FAILED,
    cancel_when_told,
    open_election,
    out,
    run_async,
    settings_of,
    with_broker,
)
from tally_stream.cli.status_judged import STILL_SECONDS, Judged, Standstills, judge
from tally_stream.cli.status_object import as_json
from tally_stream.cli.status_screen import screen
from tally_stream.cli.status_seen import Situation, look
from tally_stream.domain.election import Election
from tally_stream.settings import Settings, checked_address

WATCH_SECONDS = 2.0
"""Between the end of one look and the next."""

AGAIN_SECONDS = 1.0
"""Where something has reports waiting, it is looked again so soon, until it has moved or stood still for too long."""


def _address(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return tuple(checked_address(value) for value in values)
    except ValueError as wrong:
        raise click.BadParameter(str(wrong)) from wrong


@click.command()
@with_broker
@click.option("--election", type=ELECTION, metavar="NAME|DIR",
              help="What is to be counted [TALLY_ELECTION]: its digest must be everybody's.")  # fmt: skip
@click.option("--group", help="The workers' consumer group [TALLY_GROUP].")
@click.option("--at", "addresses", multiple=True, metavar="HOST:PORT", callback=_address,
              help="Where a worker, a board, an intake or `dump --follow` serves metrics, or node_exporter a spool's file; "
                   "again for each. Without it: this machine's, by the settings.")  # fmt: skip
@click.option("--rehearsal", is_flag=True, default=None, help="Durability settings of topics are no fault.")
@click.option("--watch", is_flag=True, help="Look again and again, until Ctrl-C.")
@click.option("--json", "is_json", is_flag=True, help="One object, for a program; with --watch one a line.")
def status(election: str | None, addresses: tuple[str, ...], watch: bool, is_json: bool, **flags: object) -> None:
    """Say what is wrong with the count, one sentence each, and then how it stands.

    It asks Kafka and the programs' metrics, and tells what did not answer. Exit code 0: nothing is wrong, 1: something is (with
    --watch, which Ctrl-C ends, 0 all the same), 2: wrong usage, a wrong setting or a broken election folder, and nothing was
    looked at.

    Example: tally-stream status --at worker-1:9180 --at worker-2:9180 --at board:8080
    """
    settings = settings_of(election=election, **flags)
    definition = None if settings.election is None else open_election(settings.election)[0]
    try:
        judged = run_async(_run(settings, addresses, definition, is_json=is_json, watch=watch))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return
    sys.exit(EXIT_FAILED if judged.problems else 0)


async def _run(
    settings: Settings, addresses: tuple[str, ...], definition: Election | None, *, is_json: bool, watch: bool
) -> Judged:
    cancel_when_told()

    standstills = Standstills()

    async def once() -> tuple[Situation, dict[str, float]]:
        seen = await look(settings, addresses, definition)
        return seen, standstills.note(seen)

    seen, still = await once()
    if not watch:
        begun_at = seen.at
        while still and max(still.values()) < STILL_SECONDS and max(still.values()) >= seen.at - begun_at:
            await asyncio.sleep(AGAIN_SECONDS)
            seen, still = await once()
        judged = judge(seen, still)
        _show(seen, judged, is_json=is_json)
        return judged
    if is_json or not out.is_terminal:
        while True:
            _show(seen, judge(seen, still), is_json=is_json)
            await asyncio.sleep(WATCH_SECONDS)
            seen, still = await once()
    with Live(screen(seen, judge(seen, still)), console=out, screen=True, auto_refresh=False) as live:
        while True:
            live.update(screen(seen, judge(seen, still)), refresh=True)
            await asyncio.sleep(WATCH_SECONDS)
            seen, still = await once()


def _show(seen: Situation, judged: Judged, *, is_json: bool) -> None:
    if is_json:
        click.echo(json.dumps(as_json(seen, judged), ensure_ascii=False))
    else:
        out.print(screen(seen, judged))
