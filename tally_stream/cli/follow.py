"""`standings --follow`: one calm screen that says how fresh it is, or plain lines where there is no terminal.

Decides what a person at three in the morning must never confuse: a quiet night (the root is sent again every 10 s, so
silence is no news), a worker that publishes nothing more, and a Kafka that does not answer. Refuses to know figures;
`view.py` draws them, and `shown.py` knows which messages are shown.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic, time
from typing import TYPE_CHECKING

from rich.console import Group
from rich.live import Live
from rich.text import Text

from tally_stream.cli.common import cancel_when_told, note, out, warn, write_out
from tally_stream.cli.shown import Shown, ShownStandings, is_root_key
from tally_stream.cli.view import (
    BOARD_MIN_LINES,
    CONTESTS_SHOWN_MAX,
    MORE_CONTESTS_AT,
    Fitted,
    board,
    more_contests,
    plain_line,
)
from tally_stream.cli.view_group import group_tables, roots_of
from tally_stream.domain.election import Election
from tally_stream.wire.newest import is_root

if TYPE_CHECKING:  # the client is loaded late, so that --help is quick
    from tally_stream.kafka.client import StoredRecord, TopicReader

PROBE_SECONDS = 5.0
"""Between two questions to Kafka whether it is there, and how long an answer may take."""

NO_CONTACT_SECONDS = 15.0
"""Without an answer for this long, contact is lost; a question and its limit take 10 s."""

NO_STANDINGS_SECONDS = 30.0
"""Roots are sent again every 10 s: three are missing."""

DRAW_AT_MOST_EVERY_SECONDS = 0.25
DRAW_AT_LEAST_EVERY_SECONDS = 1.0


def duration(seconds: float) -> str:
    """`12 s`, `3 min`, `2 h 05 min`."""
    whole = int(max(0.0, seconds))
    if whole < 120:
        return f"{whole} s"
    minutes = whole // 60
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"


@dataclass(slots=True)
class Freshness:
    """What is known about how old the figures are. Times are monotonic seconds, given by the caller."""

    contact_at: float
    root_at: float | None = None
    changed_at: float | None = None

    def root(self, now: float, age_seconds: float, *, is_new: bool) -> None:
        """A root came that was sent `age_seconds` ago."""
        sent_at = now - max(0.0, age_seconds)
        self.root_at = sent_at if self.root_at is None else max(self.root_at, sent_at)
        if is_new:
            self.changed_at = now

    def trouble(self, now: float) -> str | None:
        """What is wrong, None on a quiet night."""
        if now - self.contact_at >= NO_CONTACT_SECONDS:
            return f"NO CONTACT with Kafka for {duration(now - self.contact_at)}: these figures may be old"
        if self.root_at is not None and now - self.root_at >= NO_STANDINGS_SECONDS:
            return f"NO STANDINGS for {duration(now - self.root_at)}: Kafka answers, but no worker publishes"
        return None

    def line(self, now: float) -> Text:
        trouble = self.trouble(now)
        if trouble is not None:
            return Text(f" {trouble} ", style="bold white on red")
        if self.root_at is None:
            return Text("waiting for the first standings", style="yellow")
        changed = "no new records since this view began"
        if self.changed_at is not None:
            changed = f"last new records {duration(now - self.changed_at)} ago"
        return Text(f"live · standings sent {duration(now - self.root_at)} ago · {changed}", style="green")


@dataclass(slots=True)
class Following:
    """The newest standings with their freshness, fed from the topic."""

    reader: TopicReader
    contest: str | None
    area: str | None
    election: Election | None = None
    """Whose names the boards have; None: ids."""
    group: str | None = None
    """Only the seats of this group are shown."""
    has_channels: bool = False
    """Whether the boards have the votes of each way of voting."""
    standings: ShownStandings = field(default_factory=ShownStandings)
    freshness: Freshness = field(default_factory=lambda: Freshness(monotonic()))

    def take(self, records: list[StoredRecord], *, is_start: bool = False) -> list[Shown]:
        """What is shown and changed, in order: of the contest and area asked for."""
        changed: set[bytes] = set()
        for record in records:
            self.freshness.contact_at = monotonic()
            keys = self.standings.take(record.value)
            changed.update(keys)
            if is_root_key(record.key or b""):
                is_new = record.key in keys and not is_start
                self.freshness.root(monotonic(), time() - record.timestamp_ms / 1000, is_new=is_new)
        return self.standings.of(changed, self.contest, self.area)

    def all(self) -> dict[bytes, Shown]:
        """Key → what is shown of the contest and area asked for, in order."""
        return self.standings.all(self.contest, self.area)

    def on_screen(self) -> list[Shown]:
        """What a screen shows: roots, or the area asked for."""
        if self.area is not None:
            return list(self.all().values())
        return [shown for shown in self.standings.roots if self.contest in (None, shown.message["contest"])]

    def wanted(self, found: list[Shown]) -> list[Shown]:
        """Where no area is asked for, roots alone."""
        return [shown for shown in found if self.area is not None or is_root(shown.message["area"])]

    async def probe(self) -> None:
        """Ask Kafka again and again whether it is there: a quiet topic says nothing about that."""
        while True:
            if await self.reader.answers(PROBE_SECONDS):
                self.freshness.contact_at = monotonic()
            await asyncio.sleep(PROBE_SECONDS)


@asynccontextmanager
async def _probed(following: Following) -> AsyncIterator[None]:
    """With questions to Kafka beside it; SIGTERM ends it as Ctrl-C does, so that the terminal is given back."""
    cancel_when_told()
    probe = asyncio.create_task(following.probe())
    try:
        yield
    finally:
        probe.cancel()
        await asyncio.gather(probe, return_exceptions=True)


def picture(following: Following, most: int) -> Group:
    """What stands on the screen: of a thousand contests `most`, those that begin on it."""
    if following.group is not None:
        roots = roots_of(following.standings, following.election)
        return Group(following.freshness.line(monotonic()), *group_tables(following.election, roots, following.group))
    found = following.on_screen()
    asked = [f"{what} {name}" for what, name in (("contest", following.contest), ("area", following.area)) if name]
    if asked and not found and following.freshness.root_at is not None:
        nothing = Text(f"nothing of {', '.join(asked)} is on {following.reader.topic}: is the name right?", style="yellow")
        return Group(following.freshness.line(monotonic()), nothing)
    messages = [shown.message for shown in found[:most]]
    more = [Text(line) for line in more_contests(len(found), most, MORE_CONTESTS_AT)]
    return Group(
        following.freshness.line(monotonic()),
        *(board(m, following.election, has_channels=following.has_channels) for m in messages),
        *more,
    )


async def follow_on_screen(following: Following) -> None:
    """One screen, drawn in place; what stood there last is left behind when it ends."""

    def fitted() -> Fitted:
        few = picture(following, out.height // BOARD_MIN_LINES + 1)
        return Fitted(few, "… more below: make the window taller, or choose --contest")

    try:
        with Live(fitted(), console=out, screen=True, auto_refresh=False) as live:
            drawn, is_changed = monotonic(), False
            async with _probed(following):
                while True:
                    is_changed = bool(following.take(await following.reader.poll())) or is_changed
                    pause = DRAW_AT_MOST_EVERY_SECONDS if is_changed else DRAW_AT_LEAST_EVERY_SECONDS
                    if monotonic() - drawn >= pause:
                        live.update(fitted(), refresh=True)
                        drawn, is_changed = monotonic(), False
    finally:
        out.print(picture(following, CONTESTS_SHOWN_MAX))


async def follow_in_lines(following: Following, write: Callable[[list[Shown]], None], *, every_area: bool) -> None:
    """Every change through `write`; trouble and its end as lines on stderr, once each."""
    told: str | None = None
    async with _probed(following):
        while True:
            changed = following.take(await following.reader.poll())
            shown = changed if every_area else following.wanted(changed)
            if shown:
                write(shown)
            trouble = following.freshness.trouble(monotonic())
            if trouble is not None and told is None:
                warn(trouble)
            elif trouble is None and told is not None:
                note("standings come again")
            told = trouble


def write_lines(found: list[Shown]) -> None:
    """One plain line a message."""
    for shown in found:
        out.print(plain_line(shown.message), markup=False, soft_wrap=True)


def write_json(found: list[Shown]) -> None:
    """The messages themselves, one a line."""
    for shown in found:
        write_out(shown.value + b"\n")
    sys.stdout.flush()
