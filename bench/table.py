"""What was measured, as tables: for a terminal, as Markdown between marks in a page, as one JSON file.

Decides medians and ratios: a ratio is taken within a round, between runs that followed each other, and the median of
those stands in the table. A competitor with a run that has no figure shows the reason instead of one. Refuses to know
how anything was measured.
"""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

Rows = list[list[str]]
PART_TITLES = {
    "night": "The night", "churn": "The churn", "latency": "Latency", "replay": "Replay at start",
    "restart": "From a start to caught up", "rebalance": "When a worker joins or leaves", "growth": "How it grows",
    "wide": "A wide election", "ballot": "A long ballot",
}  # fmt: skip
REFERENCE = "one worker"


def median_of(row: dict[str, Any], name: str) -> float | None:
    """The median over a competitor's runs; None where any run has no figure."""
    runs = row["runs"]
    if not runs or any("refused" in run for run in runs):
        return None
    return statistics.median(run[name] for run in runs)


def ratio(above: dict[str, Any], below: dict[str, Any], name: str = "reports_per_s") -> float | None:
    """The median of the ratios within rounds; None where either has a run without figure."""
    if median_of(above, name) is None or median_of(below, name) is None:
        return None
    pairs = [(a[name], b[name]) for a, b in zip(above["runs"], below["runs"], strict=False)]
    return statistics.median(a / b for a, b in pairs)


def refusal(row: dict[str, Any]) -> str:
    reasons = [run["refused"] for run in row["runs"] if "refused" in run]
    return f"no figure: {reasons[0]}" if reasons else ""


def load_rows(part: dict[str, Any]) -> Rows:
    """The table of a load: one row a competitor, fastest ratio first as they were given."""
    rows = []
    for name, row in part["rows"].items():
        speed = median_of(row, "reports_per_s")
        if speed is None:
            rows.append([name, f"{row['records']:,}", refusal(row), "", "", "", row["date"]])
            continue
        speeds = [run["reports_per_s"] for run in row["runs"]]
        against = row.get("one_worker_is")
        rows.append([
            name, f"{row['records']:,}", f"{speed:,.0f}", f"{min(speeds):,.0f} to {max(speeds):,.0f}",
            f"{median_of(row, 'cpu_s_per_million'):.1f}", f"{(median_of(row, 'rss_bytes') or 0) / 2**20:,.0f}",
            "" if against is None else f"{against:.2f} ×", row["date"],
        ])  # fmt: skip
    return rows


def _latency_rows(part: dict[str, Any]) -> Rows:
    rows = []
    for cell in part["cells"]:
        head = [cell["system"], f"{cell['rate']:,}"]
        if "refused" in cell:
            rows.append([*head, f"no figure: {cell['refused']}", "", "", "", "", cell["date"]])
            continue
        names = ("p50_ms", "p99_ms", "p999_ms", "worst_ms", "from_due_p99_ms")
        rows.append([*head, *(f"{cell[name]:,.1f}" for name in names), cell["date"]])
    return rows


def _replay_rows(part: dict[str, Any]) -> Rows:
    return [
        [f"{c['records']:,}", f"{c['stations']:,}", f"{c['replay_per_s']:,.0f}", f"{c['per_cpu_s']:,.0f}",
         f"{c['start_to_first_s']:.1f}", f"{c['start_to_ready_s']:.1f}", f"{c['rss_bytes'] / 2**20:,.0f}", c["date"]]
        for c in part["cells"]
    ]  # fmt: skip


def _restart_rows(part: dict[str, Any]) -> Rows:
    rows = []
    for c in part["cells"]:
        for kind, said in (("cold", "a cold start"), ("restarted", "kill -9, started again by its supervisor")):
            ends = [one["caught_up"] for one in c[f"{kind}_runs"]]
            rows.append([
                said, f"{c['records']:,}", f"{c['stations']:,}",
                *(f"{c[kind][step]:.1f}" for step in ("counting", "first", "caught_up")),
                f"{min(ends):.1f} to {max(ends):.1f}", c["date"],
            ])  # fmt: skip
    return rows


def _rebalance_rows(part: dict[str, Any]) -> Rows:
    return [[c["event"], f"{c['no_new_standings_s']:.2f}", f"{c['longest_partition_s']:.2f}", c["date"]] for c in part["cells"]]


def _growth_rows(part: dict[str, Any]) -> Rows:
    rows = []
    for c in part["cells"]:
        head = [c["name"], f"{c['stations']:,}", f"{c['records']:,}"]
        if "refused" in c:
            rows.append([*head, f"no figure: {c['refused']}", "", "", c["date"]])
        else:
            rows.append([*head, f"{c['reports_per_s']:,.0f}", f"{c['cpu_s_per_million']:.1f}",
                         f"{c['rss_bytes'] / 2**20:,.0f}", c["date"]])  # fmt: skip
    return rows


def _way_rows(part: dict[str, Any]) -> Rows:
    """Each row of the two parts of `wide.py`; "speed is" and "p99 is" relate it to the row that it is compared with."""
    rows = []
    for name, row in part["rows"].items():
        head, speed = [name, f"{row['records']:,}"], median_of(row, "reports_per_s")
        if speed is None:
            rows.append([*head, refusal(row), *[""] * 10, row["date"]])
            continue
        rows.append([
            *head, f"{speed:,.0f}", _times(row.get("speed_is")), f"{median_of(row, 'cpu_s_per_million'):.1f}",
            f"{(median_of(row, 'rss_bytes') or 0) / 2**20:,.0f}", f"{(median_of(row, 'flush_bytes') or 0) / 1_000:,.1f}",
            f"{100 * (median_of(row, 'stage_two_share') or 0):.0f} %",
            _figure(row["latency"], "p50_ms"), _figure(row["latency"], "p99_ms"), _times(row.get("p99_is")),
            _figure(row["takeover"], "first_root_s"), _figure(row["takeover"], "last_root_s"), row["date"],
        ])  # fmt: skip
    return rows


def _times(value: float | None) -> str:
    return "" if value is None else f"{value:.2f} ×"


def _figure(found: dict[str, Any], name: str) -> str:
    return f"no figure: {found['refused']}" if "refused" in found else f"{found[name]:,.1f}"


_HEADS = {
    "night": ["", "reports", "reports/s", "lowest to highest", "CPU s per million", "peak RSS MiB", "one worker is", "date"],
    "latency": ["", "reports/s", "p50 ms", "p99 ms", "p99.9 ms", "worst ms", "from due, p99 ms", "date"],
    "replay": ["reports", "stations", "reports/s", "per CPU second", "start to first report s", "start to caught up s",
               "peak RSS MiB", "date"],
    "restart": ["", "reports", "stations", "counting s", "first report s", "caught up s", "lowest to highest", "date"],
    "rebalance": ["", "no new standings s", "longest of a partition s", "date"],
    "growth": ["", "stations", "reports", "reports/s", "CPU s per million", "peak RSS MiB", "date"],
}  # fmt: skip
_HEADS["churn"] = _HEADS["night"]
_HEADS["wide"] = _HEADS["ballot"] = [
    "", "reports", "reports/s", "speed is", "CPU s per million", "peak RSS MiB", "kB a flush", "stage 2", "p50 ms", "p99 ms",
    "p99 is", "first root s", "last root s", "date",
]  # fmt: skip
_BODIES = {
    "night": load_rows, "churn": load_rows, "latency": _latency_rows, "replay": _replay_rows,
    "restart": _restart_rows, "rebalance": _rebalance_rows, "growth": _growth_rows, "wide": _way_rows,
    "ballot": _way_rows,
}  # fmt: skip


def caption(name: str, part: dict[str, Any]) -> str:
    """What was run, in one sentence."""
    said = part.get("what", "")
    return f"{PART_TITLES[name]}: {said}" if said else PART_TITLES[name]


def show(results: dict[str, Any], console: Console) -> None:
    """Every part that has been measured, on a terminal."""
    for name, part in results["parts"].items():
        table = Table(title=caption(name, part), title_justify="left")
        for number, head in enumerate(_HEADS[name]):
            table.add_column(head, justify="left" if number == 0 else "right")
        for row in _BODIES[name](part):
            table.add_row(*row, *[""] * (len(_HEADS[name]) - len(row)))
        console.print(table)


def markdown(name: str, part: dict[str, Any]) -> str:
    heads = _HEADS[name]
    lines = [f"{caption(name, part)}.", "", "| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for row in _BODIES[name](part):
        cells = [cell.replace("|", "\\|").replace("\n", " ") for cell in row]
        lines.append("| " + " | ".join([*cells, *[""] * (len(heads) - len(row))]) + " |")
    return "\n".join(lines)


def write_page(page: Path, results: dict[str, Any]) -> list[str]:
    """Put each measured part between its marks `<!-- bench: NAME -->` … `<!-- /bench -->`; names put in.

    A part that was not measured keeps what stands there. Raises ValueError where the page lacks a mark."""
    text = page.read_text()
    put = []
    for name, part in {"machine": {}, **results["parts"]}.items():
        mark = f"<!-- bench: {name} -->"
        before, found, rest = text.partition(mark)
        if not found:
            raise ValueError(f"{page} has no mark {mark}")
        _, found, after = rest.partition("<!-- /bench -->")
        if not found:
            raise ValueError(f"{page}: no <!-- /bench --> behind {mark}")
        body = results["machine"] if name == "machine" else markdown(name, part)
        text = f"{before}{mark}\n\n{body}\n\n<!-- /bench -->{after}"
        put.append(name)
    page.write_text(text)
    return put
