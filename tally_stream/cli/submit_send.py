"""`submit` on its way to the brokers: keeps statements in the spool, sends them for ever, and says where they stand.

Decides what is said, and what stopping means: what is kept stays, and is sent by the next `submit`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from tally_stream.cli.common import cancel_when_told, out, refuse, run_async, warn
from tally_stream.domain.election import Election
from tally_stream.settings import Settings
from tally_stream.station.preparing import Prepared
from tally_stream.station.spool import Spool, Spooled, SpoolError


def send_and_say(settings: Settings, election: Election, path: Path, prepared: Sequence[Prepared], in_json: bool) -> None:
    """Exits 1 where something could not be kept, is not taken for good, or was stopped."""
    from tally_stream.station.transport import NotTaken

    try:
        sent = run_async(_sent(settings, election, path, prepared))
    except SpoolError as error:
        refuse([str(error)])
    except NotTaken as error:
        refuse([str(error), *_waits(path)])
    except (KeyboardInterrupt, asyncio.CancelledError):
        refuse(["stopped", *_waits(path)])
    for spooled in sent:
        if in_json:
            click.echo(json.dumps(place_as_json(spooled), ensure_ascii=False))
        else:
            out.print(Text(f"{spooled}: sent, partition {spooled.partition}, offset {spooled.offset}"), soft_wrap=True)
    if not sent and not in_json:
        out.print(Text(f"nothing waits in {path}"), soft_wrap=True)


async def _sent(settings: Settings, election: Election, path: Path, prepared: Sequence[Prepared]) -> list[Spooled]:
    from tally_stream.station.client import StationClient
    from tally_stream.station.transport import KafkaTransport

    cancel_when_told()
    transport = KafkaTransport(settings, warn)
    spool = Spool(path, transport.topic, election.id)
    async with StationClient(election, spool, transport, say=warn) as client:
        waiting = [spooled.id for spooled in client.statements() if spooled.offset is None]
        ids = {*waiting, *client.keep(prepared)}
        await client.flush()
        return [spooled for spooled in client.statements() if spooled.id in ids]


def _waits(path: Path) -> list[str]:
    return [f"what was kept stays in {path}; the next `tally-stream submit` sends it"]


def place_as_json(spooled: Spooled) -> dict[str, Any]:
    return {
        "station": spooled.station, "sequence": spooled.sequence, "revision": spooled.revision, "kind": spooled.kind,
        "partition": spooled.partition, "offset": spooled.offset, "tries": spooled.tries,
    }  # fmt: skip
