"""`submit` on its way to the brokers: keeps statements in the spool, sends them for ever, and says where they stand.

Decides what is said, and what stopping means: what is kept stays, and is sent by the next `submit`.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from tally_stream.cli.common import EXIT_FAILED, cancel_when_told, note, out, refuse, run_async
from tally_stream.cli.silence import Silence, asked_at
from tally_stream.cli.submit_receipts import Found, wait_for_receipts, write
from tally_stream.cli.submit_watched import watch_of
from tally_stream.domain.election import Election
from tally_stream.settings import Settings
from tally_stream.station.preparing import Prepared
from tally_stream.station.receipt_pages import sentence_of
from tally_stream.station.receipts import noted
from tally_stream.station.spool import Spool, Spooled, SpoolError


@dataclass(frozen=True)
class ToldOfReceipts:
    """Whether `submit` waits for receipts, and where it saves them."""

    waits: bool = False
    save: Path | None = None


def spool_of(settings: Settings, election: Election, path: Path) -> Spool:
    """Raises SpoolError, as where another process has it."""
    return Spool(path, f"{settings.prefix}.reports", election.id)


def send_and_say(
    settings: Settings, election: Election, at: Spool | Path, prepared: Sequence[Prepared], told: ToldOfReceipts, *,
    in_json: bool,
) -> None:  # fmt: skip
    """`at`: the spool, or where it is opened for this alone. Exits 1 where something could not be kept, is not taken or refused
    for good, was stopped, or (with `waits`) is not counted."""
    from tally_stream.kafka.rights import NotAllowed
    from tally_stream.station.transport import NotTaken

    path = at if isinstance(at, Path) else at.path
    try:
        found = run_async(_sent(settings, election, at, prepared, told, in_json=in_json))
    except SpoolError as error:
        refuse([str(error)])
    except (NotTaken, NotAllowed) as error:
        refuse([str(error), *_waits(path)])
    except (KeyboardInterrupt, asyncio.CancelledError):
        refuse(["stopped", *_waits(path)])
    if not found and not in_json:
        out.print(Text(f"nothing waits in {path}"), soft_wrap=True)
    if told.save is not None:
        write(told.save, found, election, f"{settings.prefix}.reports")
    is_refused = any(spooled.offset is None for spooled, _ in found)
    if is_refused or (told.waits and any(receipt.state != "counted" for _, receipt in found)):
        sys.exit(EXIT_FAILED)


async def _sent(
    settings: Settings,
    election: Election,
    at: Spool | Path,
    prepared: Sequence[Prepared],
    told: ToldOfReceipts,
    *,
    in_json: bool,
) -> Found:
    from tally_stream.station.client import StationClient
    from tally_stream.station.intake.sending import transport_of
    from tally_stream.station.transport import NotTakenOfStation

    cancel_when_told()
    spool = spool_of(settings, election, at) if isinstance(at, Path) else at
    silence = Silence(settings)
    async with StationClient(
        election, spool, transport_of(settings, silence.warn), say=silence.warn, watch=watch_of(settings, election)
    ) as client:
        before = client.statements()
        waiting = [spooled.id for spooled in before if spooled.waits]
        if told.waits and not prepared:
            waiting = [spooled.id for spooled in before if not noted(spooled.receipt).is_final]
        ids = {*waiting, *client.keep(prepared)}
        stood = {spooled.id for spooled in before if not spooled.waits}
        not_taken: NotTakenOfStation | None = None
        if any(spooled.waits for spooled in client.statements()):
            note(f"kept in {spool.path}; sending to {asked_at(settings)}")
        silence.begin()
        try:
            await client.flush()
        except NotTakenOfStation as error:
            not_taken = error
        finally:
            silence.end()
        sent = [spooled for spooled in client.statements() if spooled.id in ids and not spooled.waits]
        for spooled in sent:
            if in_json:
                click.echo(json.dumps(place_as_json(spooled), ensure_ascii=False))
            elif spooled.offset is not None:
                sent_when = "was sent before" if spooled.id in stood else "sent"
                line = f"{spooled}: {sent_when}, partition {spooled.partition}, offset {spooled.offset}"
                out.print(Text(line), soft_wrap=True)
            elif not told.waits:
                out.print(Text(f"{spooled}: {sentence_of(spooled, noted(spooled.receipt))}"), soft_wrap=True)
        if not_taken is not None:
            raise not_taken
        if told.waits:
            return await wait_for_receipts(client, settings, ids, in_json=in_json)
        return [(spooled, noted(spooled.receipt)) for spooled in sent]


def _waits(path: Path) -> list[str]:
    return [f"what was kept stays in {path}; the next `tally-stream submit` sends it"]


def place_as_json(spooled: Spooled) -> dict[str, Any]:
    return {
        "station": spooled.station, "sequence": spooled.sequence, "revision": spooled.revision, "kind": spooled.kind,
        "partition": spooled.partition, "offset": spooled.offset, "tries": spooled.tries,
        "codes": list(noted(spooled.receipt).codes),
    }  # fmt: skip
