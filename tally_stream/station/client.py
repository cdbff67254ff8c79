"""`StationClient`: a program's way to state what a station found. It runs without Faust, in any event loop.

    async with StationClient(election, Spool(path, "tally.reports", election.id), KafkaTransport(settings, print)) as client:
        id = await client.submit({"station": "041-038", "counted_at": "…", "ballots": {…}, "votes": {…}})
        await client.flush()

Decides that a statement is judged, then kept on the disk, and only then sent; that it is sent for ever, the same bytes, until
a broker has acknowledged it, or an intake has refused it for good; and that a later statement of a station waits for the one
before it until then. What is not taken of one station holds up no other. Between tries it waits
longer and longer, and never as long as another client does: when a broker comes back after an hour, a thousand of them spread
themselves. What is lost if the process dies: nothing that `submit` has returned for. Refuses to know how records travel
(`transport.py`) and when a receipt is certain (`receipts.py`).
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from tally_stream.domain.election import Election
from tally_stream.station.authority import Seal
from tally_stream.station.checking import Checked, why_not
from tally_stream.station.known import known_of
from tally_stream.station.known_keys import KnownKeys
from tally_stream.station.preparing import Prepared, prepare
from tally_stream.station.receipts import REFUSED_STATES, StationReceipt, notes
from tally_stream.station.spool import Spool, Spooled, SpoolError, SpoolFigures, others_can_read
from tally_stream.station.transport import NotSent, NotTaken, NotTakenOfStation, RefusedForGood, Transport

if TYPE_CHECKING:  # for its name alone
    from tally_stream.kafka.client import StoredRecord

UNDER_WAY_MAX = 500
BACK_OFF_FIRST_SECONDS = 0.5
BACK_OFF_MAX_SECONDS = 30.0


class ReceiptSource(Protocol):
    """Who knows what became of statements: `ReceiptReader`, or an intake."""

    async def turn(self, stations: Sequence[Spooled]) -> None: ...
    def receipts(self, statements: Sequence[Spooled]) -> dict[int, StationReceipt]: ...


class NotSubmitted(Exception):
    """A statement was not kept: `why` says what keeps it, `checked` every rule's word."""

    def __init__(self, why: str, checked: Checked) -> None:
        super().__init__(f"{why}: " + "; ".join(map(str, checked.remarks)))
        self.why, self.checked = why, checked


class StationClient:
    """Use it as a context manager: it sends in the background from the first to the last line of the block. It has the spool
    for itself, and closes it and the transport.

    `say` is told, in one sentence each, what keeps statements from being sent. `seal` makes a record's value of a statement's
    bytes (a signature around them); nothing else changes them. `keys` say who may sign, those of the definition unless told
    otherwise. `watch` is told what the spool comes to, at the start and whenever that may have changed. `ask` is asked before
    each statement what took effect of its station (`record_read.asking`): without it a revision is above the spool's alone.
    """

    def __init__(
        self, election: Election, spool: Spool, transport: Transport, *, say: Callable[[str], None] | None = None,
        seal: Seal | None = None, keys: KnownKeys | None = None, watch: Callable[[SpoolFigures], None] | None = None,
        ask: Callable[[str], Awaitable[Sequence[StoredRecord]]] | None = None,
    ) -> None:  # fmt: skip
        self.election = election
        self._spool, self._transport, self._seal = spool, transport, seal
        self._watch, self._ask = watch, ask
        self._say: Callable[[str], object] = say or (lambda line: None)
        if (readable := others_can_read(spool.path)) is not None:
            self._say(readable)
        self._keys = KnownKeys(election, say=self._say) if keys is None else keys
        self._known = known_of(election, spool.all(), self._keys)
        self._news = asyncio.Event()
        self._is_idle = asyncio.Event()
        self._sending: asyncio.Task[None] | None = None
        self._not_taken: dict[str, NotTakenOfStation] = {}
        """Stations of which nothing is taken from us: this process does not try again."""

    async def __aenter__(self) -> StationClient:
        self._show()
        self._sending = asyncio.create_task(self._send_for_ever())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._sending is not None, "it was entered"
        self._sending.cancel()
        await asyncio.gather(self._sending, return_exceptions=True)
        await self._transport.close()
        self._spool.close()

    async def submit(
        self, statement: Mapping[str, Any], *, contest: str | None = None, revision: int | None = None,
        accepts_warnings: bool = False, accepts_errors: bool = False,
    ) -> int:  # fmt: skip
        """Keep a statement, to be sent; its number in the spool. What it leaves out is filled in (`entry.completed`), and its
        revision is one above the highest known here, unless it or `revision` says it.

        Raises NotAStatement where no record can be made of it, NotSubmitted where a rule refuses it (or holds it, or warns,
        and nobody said that this is accepted), SpoolError where it cannot be kept.
        """
        if self._ask is not None and isinstance(station := statement.get("station"), str):
            for record in await self._ask(station):
                self._known.take(record.value, record.key, record.timestamp_ms)
        now_ms = _now_ms()
        prepared = prepare(statement, self._known, now_ms, contest, revision, self._seal)
        why = why_not(prepared.checked, accepts_warnings=accepts_warnings, accepts_errors=accepts_errors)
        if why is not None:
            raise NotSubmitted(why, prepared.checked)
        return self.keep([prepared])[0]

    def keep(self, prepared: Sequence[Prepared]) -> list[int]:
        """Keep statements that were looked at, all or none; their numbers in the spool. One that says the same as one before
        it has the number of that. One that another machine stated is kept and sent too: it counts once, and has its receipt."""
        now_ms = _now_ms()
        new: dict[tuple[str, str, int], Prepared] = {}
        for one in prepared:
            name = one.station, one.sequence, one.revision
            if one.checked.verdict != "repeated" or (name not in new and not self._spool.has(*name)):
                new[name] = one
        ids = self._spool.keep([*new.values()], now_ms)
        for one in prepared:
            self._known.take(one.value, one.key, now_ms)
        self._show()
        if ids:
            self._is_idle.clear()
            self._news.set()
        return [self._spool.find(one.station, one.sequence, one.revision) for one in prepared]

    async def flush(self) -> None:
        """Return once all that was kept is acknowledged by brokers, or refused for good by an intake, which `statements` tells.
        Raises NotTaken where nothing more will be, of one station too; then all others' is."""
        assert self._sending is not None, "it is entered first: async with"
        idle = asyncio.create_task(self._is_idle.wait())
        try:
            await asyncio.wait({idle, self._sending}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            idle.cancel()
        if self._sending.done():
            self._sending.result()
        for why in self._not_taken.values():
            raise why

    def statements(self) -> list[Spooled]:
        """All that was ever kept here, in order; each with how far it has come."""
        return self._spool.all()

    async def receipts(self, reader: ReceiptSource, ids: Collection[int] | None = None) -> list[tuple[Spooled, StationReceipt]]:
        """What is known now of each statement that was kept here (`ids`: of these alone), noted in the spool too. `reader` is
        open, and the same one for every look. Raises KafkaError where the brokers do not answer."""
        statements = [spooled for spooled in self._spool.all() if ids is None or spooled.id in ids]
        await reader.turn(statements)
        receipts = reader.receipts(statements)
        found = [(spooled, receipts[spooled.id]) for spooled in statements]
        self._spool.note_receipts(notes((spooled.id, receipt) for spooled, receipt in found))
        if any((spooled.receipt_state in REFUSED_STATES) != (receipt.state in REFUSED_STATES) for spooled, receipt in found):
            self._known = known_of(self.election, self._spool.all(), self._keys)
        self._show()
        return found

    def _show(self) -> None:
        if self._watch is not None:
            self._watch(self._spool.figures())

    async def _send_for_ever(self) -> None:
        failures = 0
        try:
            while True:
                self._news.clear()
                due = self._spool.due(UNDER_WAY_MAX, self._not_taken)
                if not due:
                    self._is_idle.set()
                    await self._news.wait()
                    continue
                self._is_idle.clear()
                why = await self._try(due)
                self._show()
                failures = failures + 1 if why else 0
                if why is not None:
                    pause = pause_seconds(failures, why.retry_seconds, random.random())
                    self._say(f"{why}; {self._spool.waiting_count():,} wait here, next try in {pause:.1f} s")
                    await asyncio.sleep(pause)
        except (NotTaken, SpoolError) as error:
            self._say(str(error))
            raise

    async def _try(self, due: Sequence[Spooled]) -> NotSent | None:
        """Send each once; why one that may yet be taken was not acknowledged."""
        tries = [asyncio.create_task(self._transport.send(spooled.key, spooled.value)) for spooled in due]
        try:
            await asyncio.wait(tries)
        finally:
            for one in tries:
                one.cancel()
            # Also where we are being ended: what is acknowledged and not noted would be sent again.
            answered = [(d, t) for d, t in zip(due, tries, strict=True) if t.done() and not t.cancelled()]
            self._spool.note_sent([(d.id, *t.result()) for d, t in answered if t.exception() is None], _now_ms())
        failed = [(d, error) for d, t in answered if (error := t.exception()) is not None]
        self._give_up([(spooled, error) for spooled, error in failed if isinstance(error, RefusedForGood)])
        for spooled, error in failed:
            if isinstance(error, NotTakenOfStation):
                self._spool.note_failed([spooled.id], str(error))
                self._not_taken[spooled.station] = error
                self._say(str(error))
        again = [(d.id, error) for d, error in failed if not isinstance(error, RefusedForGood | NotTakenOfStation)]
        if not again:
            return None
        worst = next((error for _, error in again if not isinstance(error, NotSent)), again[0][1])
        self._spool.note_failed([id for id, _ in again], str(worst))
        if not isinstance(worst, NotSent):
            raise worst
        return max((error for _, error in again if isinstance(error, NotSent)), key=lambda error: error.retry_seconds or 0.0)

    def _give_up(self, refused: Sequence[tuple[Spooled, RefusedForGood]]) -> None:
        """They stay in the spool, with what was said of them, and are no part of what is known of their stations."""
        if not refused:
            return
        noted = notes((spooled.id, error.receipt) for spooled, error in refused)
        whys = [str(error) for _, error in refused]
        self._spool.note_refused([(id, why, state, text) for (id, state, text), why in zip(noted, whys, strict=True)])
        self._known = known_of(self.election, self._spool.all(), self._keys)
        for (spooled, _), why in zip(refused, whys, strict=True):
            self._say(f"{spooled}: {why}")


def back_off_seconds(failures: int, chance: float) -> float:
    """Before the next try after so many that failed; `chance` is from 0 to 1. The limit doubles, and half of it is chance."""
    most = min(BACK_OFF_MAX_SECONDS, BACK_OFF_FIRST_SECONDS * 2.0 ** min(failures - 1, 16))
    return most / 2 + chance * most / 2


def pause_seconds(failures: int, asked_seconds: float | None, chance: float) -> float:
    """Before the next try, where whoever could not take it asked for so long, or did not say: never sooner than asked, and a
    back-off later, so that all who were told the same do not come at the same moment."""
    return (asked_seconds or 0.0) + back_off_seconds(failures, chance)


def _now_ms() -> int:
    return int(time.time() * 1000)
