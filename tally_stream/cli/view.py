"""Draws a root standings message for a terminal: leader board, progress with its units, exit polls, states."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

BAR_CELLS = 16
SHORT_MAX_CHARS = 13
_STATUS_WORDS = {
    "pre-election": "before the polls close",
    "unofficial-partial": "unofficial, counting",
    "unofficial-complete": "unofficial, all stations in",
    "correction": "all stations in, with corrections",
    "recount": "all stations in, with a recount",
    "certified": "certified",
}


def number(value: int | None) -> str:
    return "unknown" if value is None else f"{value:,}"


def progress_lines(message: dict[str, Any]) -> list[str]:
    """The three measures, each with its unit, numerator and denominator; unknown ones are said to be."""
    units = {"stations": "polling stations", "registered": "registered voters", "ballots": "ballots"}
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
    leader = message["candidates"][0]
    first = "no result yet" if leader["share"] is None else f"{leader['name']} {leader['share']} %"
    done = f"{stations['percent']} % of polling stations ({stations['done']:,} of {stations['of']:,})" if stations else ""
    return f"{message['as_of'] or 'no report yet'}  {done}  {first}  [{message['status']}, version {message['version']}]"


def board(message: dict[str, Any], title: str) -> RenderableType:
    """The leader board of one message."""
    test = " TEST " if message["phase"] == "test" else ""
    table = Table(title=f"{test}{title}", title_style="bold", caption_justify="left", expand=False)
    table.add_column("", justify="right")
    table.add_column("candidate", min_width=16)
    table.add_column("votes", justify="right", no_wrap=True, min_width=9)
    table.add_column("share %", justify="right", no_wrap=True)
    for poll in message["exit_polls"] or []:
        table.add_column(f"{_short(poll['pollster'])}\nexit poll", justify="right", no_wrap=True, min_width=13)
    table.add_column("", max_width=BAR_CELLS, no_wrap=True)  # the last, so that it is the first to be cut
    for candidate in message["candidates"]:
        votes, share = candidate["votes"], candidate["share"]
        bar = "" if share is None else "█" * round(BAR_CELLS * float(share) / 100)  # a picture, not a figure
        polls = [_poll_cell(poll, candidate["id"]) for poll in message["exit_polls"] or []]
        table.add_row(
            "" if candidate["rank"] is None else str(candidate["rank"]),
            Text(candidate["name"]),
            "–" if votes is None else f"{votes:,}",
            "–" if share is None else share,
            *polls,
            Text(bar, style="cyan"),
        )
    lines = [
        f"as of {message['as_of'] or 'no report yet'} · version {message['version']:,} · "
        f"{_STATUS_WORDS[message['status']]}{' · ON HOLD' if message['on_hold'] else ''}",
        "processed  " + " · ".join(progress_lines(message)),
        _stations_line(message),
    ]
    if message["turnout"]:
        t = message["turnout"]
        lines.append(f"turnout {t['percent']} % ({t['cast']:,} of {t['registered']:,} registered, counted stations)")
    outcome = message["outcome"]
    if outcome is not None and outcome["leader"] is not None:
        lines.append(
            f"{outcome['state']}: {outcome['leader']} leads by {outcome['lead']:,}; at most "
            f"{number(outcome['outstanding_bound'])} ballots outstanding"
        )
    return Group(table, *(Text(line) for line in lines))


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
