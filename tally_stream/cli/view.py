"""A root standings message as a terminal shows it: leader board, progress with its units, exit polls, states.

Decides which figures are shown, in which words and how wide. Refuses to know where the message came from: `replay.py`,
`standings.py`, `follow.py` and the demo hand it over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from tally_stream.cli.view_ballots import (
    channel_lines,
    channel_table,
    seats_lines,
    several_votes_line,
    undervotes_line,
    voted_line,
)
from tally_stream.domain.contest import Contest
from tally_stream.domain.election import Election
from tally_stream.export.ballot_figures import has_seats
from tally_stream.export.outcome_words import outcome_sentences
from tally_stream.wire.newest import is_root

BOARD_MIN_LINES = 8
"""No board has fewer: title, head, one candidate, what stands beneath."""

BAR_CELLS = 16
BAR_MIN_CELLS = 4
NAME_MIN_CELLS, NAME_MAX_CELLS = 16, 40
VOTES_MIN_CELLS, SHARE_CELLS, POLL_CELLS, SEATS_CELLS = 9, 7, 13, 7
CELL_EDGES = 3
"""A line and two spaces."""
CONTESTS_SHOWN_MAX = 50
"""Of a wide election: tables that a person can still scroll through, or rows of one."""
SHORT_MAX_CHARS = 13
STATUS_WORDS = {
    "pre-election": "before the polls close",
    "unofficial-partial": "unofficial, counting",
    "unofficial-complete": "unofficial, all stations in",
    "correction": "all stations in, with corrections",
    "recount": "all stations in, with a recount",
    "certified": "certified",
}


MORE_CONTESTS_AT = "--contest ID shows one, --json has all"


def more_contests(contest_count: int, shown_count: int, where: str) -> list[str]:
    """A line that says how many contests are not shown, and where they stand; [] where all are."""
    more = contest_count - shown_count
    return [f"… and {more:,} {'contest' if more == 1 else 'contests'} more: {where}"] if more > 0 else []


def progress_lines(message: dict[str, Any]) -> list[str]:
    """The three measures, each with its unit, numerator and denominator; unknown ones are said to be."""
    units = {
        "stations": "polling stations (counted or annulled)", "registered": "their registered voters", "ballots": "ballots",
    }  # fmt: skip
    lines = []
    for name, unit in units.items():
        measure = message["progress"][name]
        if measure is None:
            lines.append(f"{unit}: not known")
        else:
            lines.append(f"{unit}: {measure['percent']} % ({measure['done']:,} of {measure['of']:,})")
    return lines


def plain_line(message: dict[str, Any]) -> str:
    """One line for logs and pipes."""
    stations = message["progress"]["stations"]
    leader = next((c for c in message["candidates"] if c["rank"] == 1 and c["votes"]), None)
    first = "nobody who can win has votes" if leader is None else f"{leader['name']} {leader['share']} %"
    if not message["ballots"]["valid"]:
        first = "no result yet"
    done = f"{stations['percent']} % of polling stations ({stations['done']:,} of {stations['of']:,})" if stations else ""
    marks = f"{'TEST  ' if message['phase'] == 'test' else ''}{'ON HOLD  ' if message['on_hold'] else ''}"
    place = "" if "/" not in message["area"] else f"{message['area']}  "
    said = f"{done}  {first}  [{message['contest']}, {message['status']}, version {message['version']}]"
    return f"{marks}{message['as_of'] or 'no report yet'}  {place}{said}"


def board(message: dict[str, Any], election: Election | None, *, has_channels: bool = False) -> RenderableType:
    """The leader board of one message, with names and limits of the definition; with ids where it is not there, or is another
    one than the message's. Texts of messages and definitions are never markup. `has_channels`: with the votes of each way of
    voting, where there are any."""
    index = None if election is None else election.contest_index(message["contest"])
    if election is None or index is None or election.digest != message["definition"]:
        return _Board(message, f"{message['election']} · {message['contest']} · {message['area']}", has_channels=has_channels)
    contest, area = election.contests[index], message["area"]
    place = "" if is_root(area) else f" · {next((name for id, name in election.area_names if id == area), area)}"
    return _Board(message, f"{election.name}: {contest.name}{place}", election, contest, has_channels)


@dataclass(frozen=True, slots=True)
class _Board:
    """Fits its width: names and figures always, exit polls beside them or below, a bar where there is room for it."""

    message: dict[str, Any]
    title: str
    election: Election | None = None
    contest: Contest | None = None
    has_channels: bool = False

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        polls = self.message["exit_polls"] or []
        room = options.max_width - self._width()
        are_beside = room >= len(polls) * (POLL_CELLS + CELL_EDGES)
        room -= len(polls) * (POLL_CELLS + CELL_EDGES) if are_beside else 0
        yield self._table(polls if are_beside else [], min(BAR_CELLS, room - CELL_EDGES))
        beneath = (*_lines(self.message, self.contest), *seats_lines(self.message, self.contest), *self._outcome_lines())
        for line in (*([] if are_beside else map(self._poll_line, polls)), *beneath):
            yield Text(line, style=_style(line))
        of_channels = channel_table(self.message) if self.has_channels else None
        if of_channels is not None:
            yield of_channels

    def _width(self) -> int:
        """Columns that rank, name, votes and share take."""
        candidates = self.message["candidates"]
        name = max(NAME_MIN_CELLS, *(min(NAME_MAX_CELLS, cell_len(c["name"])) for c in candidates))
        votes = max(VOTES_MIN_CELLS, *(len(f"{c['votes'] or 0:,}") for c in candidates))
        seats = [SEATS_CELLS, SEATS_CELLS] if has_seats(self.message) else []
        return 1 + sum(cells + CELL_EDGES for cells in (len(str(len(candidates))), name, votes, SHARE_CELLS, *seats))

    def _table(self, polls: list[dict[str, Any]], bar_cells: int) -> Table:
        table = Table(title=Text(self.title, style="bold"), caption_justify="left", expand=False)
        table.add_column("", justify="right", no_wrap=True)
        table.add_column("candidate", min_width=NAME_MIN_CELLS, max_width=NAME_MAX_CELLS, no_wrap=True)
        table.add_column("votes", justify="right", no_wrap=True, min_width=VOTES_MIN_CELLS)
        table.add_column("share %", justify="right", no_wrap=True)
        are_seats = has_seats(self.message)
        for of_seats in ("seats", "certain") if are_seats else ():
            table.add_column(of_seats, justify="right", no_wrap=True, min_width=SEATS_CELLS)
        for poll in polls:
            header = Text(f"{_short(poll['pollster'])}\nexit poll")
            table.add_column(header, justify="right", no_wrap=True, min_width=POLL_CELLS)
        has_bar = bar_cells >= BAR_MIN_CELLS
        if has_bar:
            table.add_column("", width=bar_cells, no_wrap=True)
        for candidate in self.message["candidates"]:
            votes, share = candidate["votes"], candidate["share"]
            bar = "" if share is None else "█" * round(bar_cells * float(share) / 100)  # a picture, not a figure
            table.add_row(
                "" if candidate["rank"] is None else str(candidate["rank"]),
                Text(candidate["name"]),
                "–" if votes is None else f"{votes:,}",
                "–" if share is None else share,
                *(_seats_cells(candidate["seats"]) if are_seats else ()),
                *(_poll_cell(poll, candidate["id"]) for poll in polls),
                *([Text(bar, style="cyan")] if has_bar else []),
            )
        return table

    def _outcome_lines(self) -> list[str]:
        outcome = self.message["outcome"]
        if outcome is None:
            return []
        names = {c["id"]: c["name"] for c in self.message["candidates"]}
        seats = {c["id"]: c["seats"] for c in self.message["candidates"] if c["seats"]}
        return outcome_sentences(outcome, names, self.election, self.contest, seats)

    def _poll_line(self, poll: dict[str, Any]) -> str:
        cells = [(c["name"], _poll_cell(poll, c["id"])) for c in self.message["candidates"]]
        return f"exit poll  {poll['pollster']}: " + " · ".join(f"{name} {cell}" for name, cell in cells if cell)


@dataclass(frozen=True, slots=True)
class Fitted:
    """Cut to the terminal's height, saying so: a board that scrolls is no board. `foot` stands below whatever is cut."""

    whole: RenderableType
    more: str
    foot: RenderableType | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = console.render_lines(self.whole, options.update(height=None), pad=False)
        foot = [] if self.foot is None else console.render_lines(self.foot, options.update(height=None), pad=False)
        height = max(1, options.max_height - len(foot))
        if len(lines) > height:
            more = Text(self.more, style="yellow", no_wrap=True)
            lines = [*lines[: height - 1], *console.render_lines(more, options, pad=False)[:1]]
        for number, line in enumerate([*lines, *foot]):
            if number:
                yield Segment.line()
            yield from line


def _lines(message: dict[str, Any], contest: Contest | None) -> list[str]:
    lines = [
        *(["TEST: these figures are no result of an election"] if message["phase"] == "test" else []),
        *(["ON HOLD by the authority: these figures stand still while counting goes on"] if message["on_hold"] else []),
        f"as of {message['as_of'] or 'no report yet'} · version {message['version']:,} · {STATUS_WORDS[message['status']]}",
        _shares_line(message),
        *several_votes_line(message, contest),
        "processed  " + " · ".join(progress_lines(message)),
        _stations_line(message),
        *channel_lines(message),
        *undervotes_line(message, contest),
        *voted_line(message),
    ]
    if message["turnout"]:
        t = message["turnout"]
        lines.append(f"turnout {t['percent']} % ({t['cast']:,} of {t['registered']:,} registered, counted stations)")
    return lines


def _shares_line(message: dict[str, Any]) -> str:
    valid = message["ballots"]["valid"]
    of = "valid ballots" if valid is None else f"{valid:,} valid ballots"
    return f"shares of {of}, rounded: {message['rounding']['method']}"


def _seats_cells(seats: dict[str, int] | None) -> tuple[str, str]:
    return ("–", "–") if seats is None else (f"{seats['now']:,}", f"{seats['certain']:,}")


def _style(line: str) -> str:
    return "bold reverse" if line.startswith(("TEST", "ON HOLD")) else ""


def _stations_line(message: dict[str, Any]) -> str:
    s = message["stations"]
    parts = [f"{s[name]:,} {name}" for name in ("counted", "partial", "held", "annulled", "outstanding")]
    flags = ", ".join(f"{count:,} {name}" for name, count in message["flags"].items() if count)
    return f"stations   {' · '.join(parts)}" + (f" (flags: {flags})" if flags else "")


def _poll_cell(poll: dict[str, Any], candidate_id: str) -> str:
    share = poll["share"].get(candidate_id)
    if share is None:
        return ""
    difference = poll["difference"].get(candidate_id)
    if difference is None:
        return str(share)
    return f"{share} ({difference if difference.startswith('-') else '+' + difference})"


def _short(name: str) -> str:
    return name if len(name) <= SHORT_MAX_CHARS else name[: SHORT_MAX_CHARS - 1] + "…"
