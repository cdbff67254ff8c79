"""`status` for a person: what is wrong first, then one table of each kind. Refuses to decide what is wrong.

A screen has about forty lines, so lists are cut, and say so.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tally_stream.cli.follow import duration
from tally_stream.cli.status_judged import Judged, definitions, unread
from tally_stream.cli.status_seen import Program, Situation

if TYPE_CHECKING:
    from tally_stream.kafka.observing import Observed

CONTESTS_SHOWN_MAX = 8
WORKERS_SHOWN_MAX = 8
PROBLEMS_SHOWN_MAX = 12


def screen(seen: Situation, judged: Judged) -> RenderableType:
    parts: list[RenderableType] = [_head(seen, judged)]
    parts += [Text(f"✗ {line}", style="bold red") for line in judged.problems[:PROBLEMS_SHOWN_MAX]]
    if len(judged.problems) > PROBLEMS_SHOWN_MAX:
        parts.append(Text(f"✗ and {len(judged.problems) - PROBLEMS_SHOWN_MAX} more: --json has all", style="bold red"))
    parts += [Text(f"· {line}", style="yellow") for line in judged.notices]
    if seen.kafka is not None:
        parts += [Text(""), _kafka(seen.kafka), _workers(seen.kafka)]
        if seen.roots:
            parts.append(_contests(seen, seen.kafka))
    answering = [one for one in seen.programs if not one.error]
    if answering:
        parts.append(_programs(seen, answering))
    parts += _definition(seen)
    if seen.certificates:
        nearest = min(seen.certificates, key=lambda one: one.ends_at)
        day = datetime.fromtimestamp(nearest.ends_at, UTC).date().isoformat()
        parts.append(Text(f"certificates  the first to end: {day}, {nearest.what}"))
    return Group(*parts)


def _head(seen: Situation, judged: Judged) -> Text:
    time = datetime.fromtimestamp(seen.at, UTC).strftime("%H:%M:%S UTC")
    if not judged.problems:
        return Text(f"{time}  all is as it should be", style="bold green")
    count = len(judged.problems)
    return Text(f"{time}  {count} {'thing is' if count == 1 else 'things are'} wrong", style="bold red")


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", show_edge=False, padding=(0, 2, 0, 0))
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right", overflow="fold")
    return table


def _kafka(kafka: Observed) -> Text:
    brokers = ", ".join(f"{number} ({address})" for number, address in sorted(kafka.brokers.items()))
    whole = sum(1 for one in kafka.partitions if len(one.in_sync) == len(one.replicas))
    records = sum(kafka.ends.values())
    return Text(f"brokers  {brokers or '–'}\ntopics   {whole} of {len(kafka.partitions)} partitions have all their copies; "
                f"{records:,} reports in {len(kafka.ends)} partitions")  # fmt: skip


def _workers(kafka: Observed) -> RenderableType:
    if kafka.group is None or not kafka.group.members:
        return Text("workers  none" if kafka.group is not None else "workers  –")
    table = _table("worker", "host", "partitions", "not committed", "publishes")
    for one in kafka.group.members[:WORKERS_SHOWN_MAX]:
        left = sum(max(0, kafka.ends.get(p, 0) - kafka.committed.get(p, 0)) for p in one.partitions)
        numbers = ", ".join(map(str, one.partitions)) or "none"
        table.add_row(one.name, one.host, numbers, f"{left:,}", "yes" if one.has_partials else "")
    more = len(kafka.group.members) - WORKERS_SHOWN_MAX
    return Group(table, Text(f"and {more} more workers")) if more > 0 else table


def _contests(seen: Situation, kafka: Observed) -> RenderableType:
    table = _table("contest", "version", "sent", "reports behind", "stations", "held", "disputed", "status")
    roots = list(seen.roots.values())
    for one in roots[:CONTESTS_SHOWN_MAX]:
        stations = "–" if one.stations is None else f"{one.stations[0]:,} of {one.stations[1]:,}"
        status = one.status + (", on hold" if one.is_on_hold else "")
        table.add_row(one.contest, f"{one.version:,}", f"{duration(seen.at - one.sent_at)} ago", f"{unread(kafka, one):,}",
                      stations, f"{one.held:,}", f"{one.disputed:,}", status)  # fmt: skip
    more = len(roots) - CONTESTS_SHOWN_MAX
    return Group(table, Text(f"and {more:,} more contests")) if more > 0 else table


def _programs(seen: Situation, programs: list[Program]) -> RenderableType:
    table = _table("program", "address", "version", "ready", "behind")
    for one in programs:
        if one.kind == "board":
            behind = f"heard {duration(one.behind_seconds(seen.at) or 0.0)} ago"
        elif one.behind_records is None:
            behind = "–"
        else:
            behind = _waiting(one.behind_records) if one.kind in ("intake", "submit") else f"{one.behind_records:,} records"
        version = one.labels("tally_build_info").get("version", "–")
        table.add_row(one.kind or "–", one.address, version, "yes" if one.is_ready else "no", behind)
    return table


def _definition(seen: Situation) -> list[RenderableType]:
    """Where all that tell one tell the same: two have their sentence already, and what only the operator's own folder says
    proves nothing of the count."""
    met = definitions(seen)
    if len(met) != 1:
        return []
    ((digest, who),) = met.items()
    counts = {**who.count_by_kind(), "contest": len(who.contests)}
    told = [f"{count:,} {what}{'' if count == 1 else 's'}" for what, count in counts.items() if count]
    if not told:
        return []
    given = ["the election given"] if who.is_given else []
    return [Text(f"definition  {digest}, of {', '.join(told + given)}")]


def _waiting(count: int) -> str:
    return f"{count:,} {'statement waits' if count == 1 else 'statements wait'}"
