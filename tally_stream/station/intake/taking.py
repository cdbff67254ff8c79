"""A statement's bytes and who brings them → its place in the log, or why it was not taken.

Decides the order of looking: whose statement it is, whether the caller may speak for that station, whether the same was taken
already, what the rules say (`checking.py`), and only then is it sent, the same bytes. A statement is taken once the brokers
have acknowledged it, never before. Statements of one station go one after the other, so that no revision overtakes the one
before it. Whoever hangs up meanwhile changes nothing: the sending goes on, and the same statement again is told its place.

The same bytes under the same station, sequence and revision have the place that they had (`recent.py`); other content is
refused; the same content in other bytes, as when it is signed anew, is sent, and counts once (Q1). What a station stated
before is what the topic has of it, whoever sent it (`followed.py`), and what was taken here since: until the topic was read,
nothing of the station is taken. Refuses to know HTTP and whether the signature of what comes is right: the count judges that,
by the keys of its time. Read `server.py` next.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

from tally_stream.domain.election import Election
from tally_stream.domain.report import CONTROL_KINDS, DECISION_KINDS, Turnout
from tally_stream.station.checking import TURNOUT, Checked, KnownStatements, Remark, name_of, why_not
from tally_stream.station.intake.followed import ReportsFollowed
from tally_stream.station.intake.identity import Identity
from tally_stream.station.intake.recent import RecentStatement, RecentStatements
from tally_stream.station.known_keys import missing_signature
from tally_stream.station.transport import NotSent, NotTaken, Transport
from tally_stream.wire.limits import VALUE_MAX_BYTES
from tally_stream.wire.signed import statement_in

UNDER_WAY_MAX = 2_000
"""Statements that wait for an acknowledgement, or for the one before them."""
RETRY_SECONDS = 5
_OF_AN_AUTHORITY = CONTROL_KINDS | DECISION_KINDS | {"key"}
"""Kinds that come by `tally-stream authority` and `tally-stream keys`, never from a station."""

Why = Literal["no-statement", "not-yours", "rules", "confirm", "other-content", "busy", "brokers"]


@dataclass(frozen=True, slots=True)
class Taken:
    """A statement that the brokers have. `sequence`: a contest's id, or `turnout`. `remarks` are rules that have something to
    say, all accepted; `is_repeated`: it stood there already, and nothing was sent."""

    station: str
    sequence: str
    revision: int
    kind: str
    partition: int
    offset: int
    remarks: tuple[Remark, ...] = ()
    is_repeated: bool = False


@dataclass(frozen=True, slots=True)
class RefusedStatement:
    """A statement that was not taken. `why` in a word, `sentence` for a person; `remarks` are what the rules say, where it is
    they who refuse it or want it confirmed. With `retry_seconds` the same is worth another try then: it may stand in the log
    all the same, and counts once."""

    why: Why
    sentence: str
    remarks: tuple[Remark, ...] = ()
    retry_seconds: int | None = None


class Taking:
    """What one intake knows and does. It closes nothing: the transport is its owner's.

    `say` is told, for the operator, why brokers do not acknowledge. `followed`: what is read of the topic that `transport`
    sends to; without it only what was taken here is known.
    """

    def __init__(
        self, election: Election, transport: Transport, say: Callable[[str], None],
        clock_ms: Callable[[], int] = lambda: int(time.time() * 1000), recent: RecentStatements | None = None,
        followed: ReportsFollowed | None = None,
    ) -> None:  # fmt: skip
        self.election = election
        self.recent = RecentStatements() if recent is None else recent
        self._transport, self._say, self._clock_ms = transport, say, clock_ms
        self._known, self._followed = KnownStatements(election), followed
        self._newest: dict[str, int] = {}
        """Station → offset of what was taken of it here last, until that was read."""
        self._lines: dict[str, _Line] = {}
        self._under_way: set[asyncio.Task[Taken | RefusedStatement]] = set()
        self.trouble: str | None = None
        """Why the last statement was not acknowledged; None where it was."""

    @property
    def under_way_count(self) -> int:
        return len(self._under_way)

    async def is_known(self, station: str) -> bool:
        """Whether it is known what a station stated before; waits a while for that."""
        return self._followed is None or await self._followed.is_known(station)

    def _catch_up(self, station: str) -> None:
        """With the topic, once that has what was taken here."""
        counted = None if self._followed is None else self._followed.counted(station)
        if counted is None or not counted.has(station, self._newest.get(station, -1)):
            return
        self._newest.pop(station, None)
        self._known.know(station, counted.entries(station), counted.turnout(station))

    def next_revision(self, station: str, sequence: str) -> int:
        """One above the highest that is known: that is in the topic, or was taken here."""
        self._catch_up(station)
        return self._known.next_revision(station, sequence)

    def check(self, value: bytes, station: str) -> Checked:
        """What the rules say of it now; nothing is sent."""
        self._catch_up(station)
        checked = self._known.check(value, station.encode(), self._clock_ms())
        missing = missing_signature(self.election, value)
        if missing is None or checked.statement is None:
            return checked
        return Checked("rejected", checked.statement, (Remark("S6", "reject", missing),))

    async def take(
        self, value: bytes, identity: Identity, *, accepts_warnings: bool = False, accepts_errors: bool = False
    ) -> Taken | RefusedStatement:
        """Take a statement: its bytes as they shall stand in the log, plain or in a signed envelope. Returns when the brokers
        have it, or when it is not taken."""
        whose = station_of(value)
        if isinstance(whose, RefusedStatement):
            return whose
        if not identity.may_speak_for(whose):
            return RefusedStatement("not-yours", f"who calls may not speak for station {whose}")
        if len(self._under_way) >= UNDER_WAY_MAX:
            return RefusedStatement("busy", f"{UNDER_WAY_MAX:,} statements wait here already", retry_seconds=RETRY_SECONDS)
        going = asyncio.create_task(self._take(whose, value, accepts_warnings, accepts_errors))
        self._under_way.add(going)
        going.add_done_callback(self._under_way.discard)
        return await asyncio.shield(going)

    async def settle(self) -> None:
        """Return when nothing is under way any more."""
        while self._under_way:
            await asyncio.wait(set(self._under_way))

    async def _take(self, station: str, value: bytes, accepts_warnings: bool, accepts_errors: bool) -> Taken | RefusedStatement:
        async with self._in_line(station):
            if not await self.is_known(station):
                sentence = f"what station {station} stated before is not read yet: send it again later, the same bytes"
                return RefusedStatement("brokers", sentence, retry_seconds=RETRY_SECONDS)
            checked = self.check(value, station)
            if checked.statement is None:
                return RefusedStatement("rules", "it would be refused: put it right", checked.remarks)
            name = name_of(self.election, checked.statement)
            before = self.recent.find(*name)
            if before is not None and before.value == value:
                return Taken(*name, before.kind, before.partition, before.offset, is_repeated=True)
            if checked.verdict == "conflicting" or (before is not None and checked.verdict != "repeated"):
                sentence = f"revision {name[2]} was taken before with other content: a new statement has a higher revision"
                return RefusedStatement("other-content", sentence, checked.remarks)
            if checked.of("reject"):
                return RefusedStatement("rules", "it would be refused: put it right", checked.remarks)
            if why_not(checked, accepts_warnings=accepts_warnings, accepts_errors=accepts_errors) is not None:
                return RefusedStatement("confirm", _to_confirm(checked, accepts_errors), checked.remarks)
            return await self._send(name, value, checked)

    async def _send(self, name: tuple[str, str, int], value: bytes, checked: Checked) -> Taken | RefusedStatement:
        assert checked.statement is not None, "it was looked at"
        station, statement = name[0], checked.statement
        kind = TURNOUT if isinstance(statement, Turnout) else str(statement.kind)
        try:
            partition, offset = await self._transport.send(station.encode(), value)
        except (NotSent, NotTaken) as error:
            if str(error) != self.trouble:
                self._say(str(error))
            self.trouble = str(error)
            sentence = "no broker has acknowledged it: send it again later, the same bytes; it counts once"
            return RefusedStatement("brokers", sentence, retry_seconds=RETRY_SECONDS)
        self.trouble = None
        self._known.take(value, station.encode(), self._clock_ms())
        if self._followed is not None:
            self._newest[station] = max(offset, self._newest.get(station, 0))
        self.recent.add(RecentStatement(*name, kind, value, partition, offset))
        return Taken(*name, kind, partition, offset, checked.remarks)

    @asynccontextmanager
    async def _in_line(self, station: str) -> AsyncIterator[None]:
        line = self._lines.setdefault(station, _Line())
        line.waiting += 1
        try:
            async with line.lock:
                yield
        finally:
            line.waiting -= 1
            if not line.waiting:
                del self._lines[station]


class _Line:
    """Those of one station."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.waiting = 0


def station_of(value: bytes) -> str | RefusedStatement:
    """The station that a statement says it is of, as nobody has judged it."""
    if len(value) > VALUE_MAX_BYTES:
        return RefusedStatement("no-statement", f"{len(value):,} bytes: a statement has at most {VALUE_MAX_BYTES:,}")
    try:
        fields: Any = json.loads(statement_in(value) or b"")
    except (ValueError, RecursionError):
        return RefusedStatement("no-statement", "it is not JSON in UTF-8")
    if not isinstance(fields, dict):
        return RefusedStatement("no-statement", "it is no JSON object")
    kind, station = fields.get("kind"), fields.get("station")
    if isinstance(kind, str) and kind in _OF_AN_AUTHORITY:
        return RefusedStatement("no-statement", f"{kind} is an authority's order: a station states counts and turnout")
    if not isinstance(station, str) or not station:
        return RefusedStatement("no-statement", "it names no station")
    return station


def _to_confirm(checked: Checked, accepts_errors: bool) -> str:
    if checked.of("error") and not accepts_errors:
        return (
            "the paper contradicts itself: put it right, or send it to be held until somebody decides, with accept_errors=true"
        )
    return "look at the warnings; if the paper says so, send it with accept_warnings=true"
