"""`submit --status` and `--wait`: what became of each statement, as lines, as JSON, and saved for the clerk.

Decides how often is looked, what is said of a look that fails, and the files. What became of a statement stands in
`station/receipts.py`, the words in `station/receipt_pages.py`.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.text import Text

from tally_stream.cli.common import cancel_when_told, out, refuse, run_async, warn
from tally_stream.cli.silence import Silence
from tally_stream.cli.submit_watched import watch_of
from tally_stream.domain.election import Election
from tally_stream.settings import Settings
from tally_stream.station.receipt_pages import as_json, page, sentence_of
from tally_stream.station.receipts import StationReceipt, noted, notes
from tally_stream.station.spool import Spool, Spooled, SpoolError, spooled_in

if TYPE_CHECKING:  # the Kafka client is loaded late, so that --help is quick
    from tally_stream.station.client import StationClient
    from tally_stream.station.intake.sending import ReceiptsOfIntake
    from tally_stream.station.receipt_reader import ReceiptReader

LOOK_SECONDS = 0.5
BROKEN_LOOK_SECONDS = 5.0

Found = list[tuple[Spooled, StationReceipt]]


def status(settings: Settings, election: Election, path: Path, save: Path | None, *, in_json: bool) -> None:
    """Exits 1 where the brokers could not be asked, or it was stopped; what was known before is shown then."""
    statements = spooled_in(path)
    topic = f"{settings.prefix}.reports"
    found: Found = [(spooled, noted(spooled.receipt)) for spooled in statements]
    trouble: str | None = None
    if statements:
        try:
            found = run_async(_looked(settings, election, statements))
        except _NoLook as error:
            trouble = f"{error.args[0]}; what is shown was known before"
        except (KeyboardInterrupt, asyncio.CancelledError):
            trouble = "stopped; what is shown was known before"
        with suppress(SpoolError), Spool(path, topic, election.id) as spool:  # another process may have it
            if trouble is None:
                spool.note_receipts(notes((spooled.id, receipt) for spooled, receipt in found))
            watch_of(settings, election)(spool.figures())
    say(found, election, topic, in_json=in_json)
    if not found and not in_json:
        out.print(Text(f"there is nothing in {path}"), soft_wrap=True)
    if save is not None:
        write(save, found, election, topic)
    if trouble is not None:
        refuse([trouble])


class _NoLook(Exception):
    pass


async def _looked(settings: Settings, election: Election, statements: list[Spooled]) -> Found:
    from tally_stream.kafka.client import KafkaError, short, try_broker

    cancel_when_told()
    silence = Silence(settings)
    silence.begin()
    try:
        if settings.intake_url is None:
            refusal = await try_broker(settings, silence.warn)
            if refusal is not None:
                raise _NoLook(refusal.sentence)
        async with await _source(settings, election) as reader:
            await reader.turn(statements)
            receipts = reader.receipts(statements)
    except (KafkaError, OSError, TimeoutError) as error:
        raise _NoLook(short(error)) from error
    finally:
        silence.end()
    return [(spooled, receipts[spooled.id]) for spooled in statements]


async def _source(settings: Settings, election: Election) -> ReceiptReader | ReceiptsOfIntake:
    """The brokers, or an intake where they are not named or do not answer."""
    from tally_stream.kafka.client import try_broker
    from tally_stream.station.intake.sending import ReceiptsOfIntake, uses_intake_alone
    from tally_stream.station.receipt_reader import ReceiptReader

    if settings.intake_url is not None and (uses_intake_alone(settings) or await try_broker(settings, warn) is not None):
        return ReceiptsOfIntake(settings)
    return ReceiptReader(settings, election)


async def wait_for_receipts(client: StationClient, settings: Settings, ids: Iterable[int], *, in_json: bool) -> Found:
    """Look until each of these has one, and say each when it comes; why one stays *waiting* is said too, once. Raises
    NotAllowed where we may not look."""
    from tally_stream.kafka.client import KafkaError, short
    from tally_stream.kafka.rights import NotAllowed

    wanted, told, hidden = set(ids), set[int](), set[int]()
    topic = f"{settings.prefix}.reports"
    silence = Silence(settings)
    while True:
        silence.begin()
        try:
            async with await _source(settings, client.election) as reader:
                while True:
                    silence.begin()
                    found = await client.receipts(reader, wanted)
                    silence.end()
                    final = [one for one in found if one[1].is_final]
                    say([one for one in final if one[0].id not in told], client.election, topic, in_json=in_json)
                    told.update(spooled.id for spooled, _ in final)
                    for spooled, receipt in found:
                        if receipt.sentences and not receipt.is_final and spooled.id not in hidden:
                            hidden.add(spooled.id)
                            warn(f"{spooled}: what became of it is not told here: {'; '.join(receipt.sentences)}")
                    if len(final) == len(found):
                        return found
                    await asyncio.sleep(LOOK_SECONDS)
        except NotAllowed:
            raise
        except (KafkaError, OSError, TimeoutError) as error:
            silence.warn(f"what became of it cannot be read ({short(error)}); next look in {BROKEN_LOOK_SECONDS:.0f} s")
            await asyncio.sleep(BROKEN_LOOK_SECONDS)


def say(found: Found, election: Election, topic: str, *, in_json: bool) -> None:
    for spooled, receipt in found:
        if in_json:
            click.echo(json.dumps(as_json(spooled, receipt, election, topic, _now_ms()), ensure_ascii=False))
        else:
            out.print(Text(f"{spooled}: {sentence_of(spooled, receipt)}"), soft_wrap=True)


def write(save: Path, found: Found, election: Election, topic: str) -> None:
    """The receipts as JSON, and beside it a page of text for each. Exits 1 where they can't be written."""
    now_ms = _now_ms()
    pages = [page(spooled, receipt, election, topic, now_ms) for spooled, receipt in found]
    whole = [as_json(spooled, receipt, election, topic, now_ms) for spooled, receipt in found]
    beside = save.with_suffix(".txt")
    try:
        save.write_text(json.dumps(whole, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        beside.write_text("\f\n".join(pages), encoding="utf-8")
    except OSError as error:
        refuse([f"{save}: the receipts could not be saved: {error.strerror or error}"])


def _now_ms() -> int:
    return int(time.time() * 1000)
