"""What a person sees of a demo: the newest standings, the moments passed, how far the night is.

Decides how it looks on a terminal, in lines, and where a program reads stdout. It knows nothing of Kafka: `demo.py` gives
it what the standings say.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass, field
from typing import Any

from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from tally_stream.cli.common import err, out, write_out
from tally_stream.cli.shown import ShownStandings
from tally_stream.cli.view import BOARD_MIN_LINES, CONTESTS_SHOWN_MAX, Fitted, board, more_contests, plain_line
from tally_stream.cli.view_group import group_tables, roots_of
from tally_stream.domain.election import Election

PLAIN_EVERY_SECONDS = 2.0
PLAIN_FIRST_LOOK_SECONDS = 0.1
CONTESTS_A_TICK_MAX = 5
"""Of a wide election: what stands above them, the board's address, stays in sight."""


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


class Screen:
    """What a person sees: on a terminal a picture that is drawn again and again, else lines."""

    def __init__(self, show: Show, is_live: bool, as_json: bool) -> None:
        self.show, self.is_live, self.as_json = show, is_live, as_json

    def line(self, text: str) -> None:
        """A line beside the screen: on stderr when stdout is for a program."""
        (err if self.as_json else out).print(text, markup=False, soft_wrap=True)

    def finish(self) -> None:
        if self.as_json:
            for value in self.show.root_values():
                write_out(value + b"\n")
            sys.stdout.flush()
            return
        if not self.is_live:
            roots = self.show.standings.roots
            for shown in roots[:CONTESTS_SHOWN_MAX]:
                out.print(board(shown.message, self.show.election))
            self._lines(more_contests(len(roots), CONTESTS_SHOWN_MAX, self._all_stand()))
            for table in self._groups():
                out.print(table)

    def _groups(self) -> list[Group]:
        return group_tables(self.show.election, roots_of(self.show.standings, self.show.election))

    def _lines(self, texts: list[str]) -> None:
        for text in texts:
            self.line(text)

    def _all_stand(self) -> str:
        """Where the contests are that are not shown."""
        return f"{self.show.address}contests" if self.show.address else "--json has all"

    async def draw(self) -> None:
        if not self.is_live:
            await self._draw_plain()
            return
        bar = Progress(TextColumn("the night"), BarColumn(), MofNCompleteColumn(), TextColumn("records sent"))
        task = bar.add_task("night", total=None)
        with Live(console=out, refresh_per_second=8) as live:
            try:
                while True:
                    bar.update(task, completed=self.show.sent, total=self.show.total or None)
                    live.update(Fitted(self._picture(), "… more below: make the window taller", self._foot(bar)))
                    await asyncio.sleep(0.1)
            finally:
                bar.update(task, completed=self.show.sent)
                live.update(Group(self._picture(), self._foot(bar)))

    def _picture(self) -> Group:
        most = out.height // BOARD_MIN_LINES + 1  # of a thousand contests only those that begin on the screen
        roots = self.show.standings.roots
        boards = [board(shown.message, self.show.election) for shown in roots[:most]]
        more = [Text(line) for line in more_contests(len(roots), most, self._all_stand())]
        moments = [Text(line, style="yellow") for line in self.show.moments]
        return Group(*boards, *more, *self._groups(), *moments)

    def _foot(self, bar: Progress) -> Group:
        """What stands on the screen however many boards there are."""
        address = [Text(f"board  {self.show.address}", style="bold")] if self.show.address else []
        return Group(*address, bar)

    async def _draw_plain(self) -> None:
        """The first standings of a report in lines as soon as they are there, then at most every two seconds."""
        shown = 0
        while True:
            version = self.show.version()
            if version > shown and not self.as_json:
                shown = version
                roots = self.show.standings.roots
                for one in roots[:CONTESTS_A_TICK_MAX]:
                    self.line(plain_line(one.message))
                self._lines(more_contests(len(roots), CONTESTS_A_TICK_MAX, self._all_stand()))
            await asyncio.sleep(PLAIN_FIRST_LOOK_SECONDS if shown == 0 else PLAIN_EVERY_SECONDS)
