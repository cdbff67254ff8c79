"""Writes the pages of the docs that are generated from code, or checks that they are what the code says.

    python tests/docs/generate.py            write docs/rules.md, docs/settings.md, docs/metrics.md, docs/asyncapi.json,
                                             docs/schemas/*.json, and the three places in docs/architecture.md
    python tests/docs/generate.py --check    exit 1 and name the pages that differ

Decides the form of `docs/metrics.md`, and which functions are the three places; those of `docs/rules.md` and
`docs/settings.md` are the commands' (`tally_stream/cli/rules.py`, `tally_stream/cli/settings.py`), that of the schemas is the
product's (`tally_stream/wire/schema/documents.py`, `tally_stream/wire/schema/asyncapi.py`).
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tally_stream.cli.rules import markdown as rules_markdown
from tally_stream.cli.settings import markdown as settings_markdown
from tally_stream.kafka.topics import Topics, wanted_configs
from tally_stream.metrics import (
    BOARD_METRICS,
    DUMP_METRICS,
    INTAKE_METRICS,
    METRICS,
    PROCESS_METRICS,
    SPOOL_METRICS,
    MetricDefinition,
)
from tally_stream.wire.schema import asyncapi
from tally_stream.wire.schema.documents import schemas

DOCS = Path(__file__).parents[2] / "docs"
ARCHITECTURE = DOCS / "architecture.md"
PACKAGE = DOCS.parent / "tally_stream"

PLACES = {
    "Where do a report's bytes become a statement?": (
        ("wire/run.py", "read_run", "reads each record of a run, by `ReportReader.decode` and `ReportReader.read_decoded`"),
        ("wire/reading.py", "ReportReader.accept", "makes the statement, fast: nearly every one"),
        ("wire/exact.py", "ExactReader._statement", "makes the others, once `ExactReader.read` found nothing to refuse"),
    ),
    "Where is an offset committed?": (
        ("stream/counting.py", "Counting._ack", "gives a run back when a broker has acknowledged all that it led to"),
        ("stream/faust/consumer.py", "RunConsumer._new_offset", "says how far the runs that were given back reach"),
        ("stream/faust/consumer.py", "RunConsumer._commit_offsets", "commits that to the group"),
    ),
    "Where is a root sent?": (
        ("stream/publishing.py", "Publishing._render", "makes the areas that changed, then the root as the last of them"),
        ("stream/publishing.py", "Publishing._send", "sends what was made, in that order"),
        (
            "stream/publishing.py",
            "Publishing._heal",
            "sends it again where an older one lies on top of it, as it does with an area",
        ),
        ("stream/outlet.py", "KafkaOutlet.send_batch", "hands to the producer what is published"),
        ("stream/outlet.py", "KafkaOutlet.send", "hands to the producer what is sent again"),
    ),
}
"""Question → file, function and what it does there, in the order in which they are run."""
_MARKED = re.compile(r"(<!-- places.*? -->\n).*?(<!-- /places -->\n)", re.DOTALL)


def metrics_markdown() -> str:
    """docs/metrics.md, whole."""
    lines = [
        "# Metrics",
        "",
        "Generated from `tally_stream/metrics.py` by `python tests/docs/generate.py`; a test compares.",
        "",
        "Each program serves its own at `/metrics` in the Prometheus text format, from a registry of its own. Which of them ring",
        "is in `deploy/prometheus/alerts.yml`, and what to do then in the [runbook](runbook.md#alerts).",
        "`deploy/grafana/` draws them on two dashboards, the night and the pipeline. A script makes them with Grafana's own types;",
        "tests hold that every metric on them is exposed and that Prometheus reads every query. No test opens them in a Grafana.",
        "",
        "## The worker",
        "",
        "By default on `127.0.0.1:9180`. They are read from the counting state when they are scraped. They start at zero with",
        "the process and cover only the partitions that this worker owns; after a replay they cover those partitions from",
        "offset 0 again. So a counter may fall when a worker restarts or a partition moves. Label values come from the",
        "definition, from partition numbers and from fixed words: a hostile record can't make a new one. Latencies are noted",
        "once a flush or publication; their buckets go from 1 ms to 60 s.",
        "",
        *_table(METRICS),
        "",
        "## The board",
        "",
        "Beside everything else that it serves. Contests are those of the definition.",
        "",
        *_table(BOARD_METRICS),
        "",
        "## The copy: `dump --follow`",
        "",
        "Only where `TALLY_DUMP_METRICS_PORT` or `--metrics-port` gives it a port; `/livez` and `/readyz` are there too.",
        "",
        *_table(DUMP_METRICS),
        "",
        "## The intake",
        "",
        "Only where `TALLY_INTAKE_METRICS_PORT` or `--metrics-port` gives it a port; `/livez` and `/readyz` are there too, the",
        "second with the reasons, which the intake's public `/readyz` keeps for itself.",
        "",
        *_table(INTAKE_METRICS),
        "",
        "## The spool of `submit`",
        "",
        "Only where `TALLY_SPOOL_METRICS_FILE` or `--metrics-file` names a file: `submit` listens nowhere. node_exporter serves what",
        "stands there ([a spool that waits](stations.md#a-spool-that-waits)). `election` and `topic` say whose spool it is.",
        "",
        *_table(SPOOL_METRICS),
        "",
        "## Every process",
        "",
        "From the client library, where the system has them (Linux).",
        "",
        *_table(PROCESS_METRICS),
    ]
    return "\n".join(lines) + "\n"


def _table(metrics: tuple[MetricDefinition, ...]) -> list[str]:
    return ["| metric | kind | labels | meaning |", "|---|---|---|---|", *map(_metric_row, metrics)]


def _metric_row(metric: MetricDefinition) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels) or "–"
    return f"| `{metric.name}` | {metric.kind} | {labels} | {metric.help} |"


def line_of(file: str, function: str) -> int:
    """The line of a function's `def`, `Class.method` or a name; KeyError where the file has none."""
    body = ast.parse((PACKAGE / file).read_text(encoding="utf-8")).body
    node: ast.stmt | None = None
    for name in function.split("."):
        named = {n.name: n for n in body if isinstance(n, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)}
        node = named[name]
        body = named[name].body
    assert node is not None
    return node.lineno


def architecture_markdown() -> str:
    """docs/architecture.md as it is, with the three places at the lines where they stand now."""
    rows = ["| question | file and line | function | |", "|---|---|---|---|"]
    for question, functions in PLACES.items():
        for i, (file, function, what) in enumerate(functions):
            rows.append(f"| {question if i == 0 else ''} | `{file}:{line_of(file, function)}` | `{function}` | {what} |")
    table = "\n".join(rows)
    page, marks = _MARKED.subn(lambda m: f"{m[1]}\n{table}\n\n{m[2]}", ARCHITECTURE.read_text(encoding="utf-8"))
    assert marks == 1, "docs/architecture.md has the marks of the three places once"
    return page


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def asyncapi_document() -> dict[str, Any]:
    """docs/asyncapi.json, with the settings of topics as `topics create` makes them for an official night."""
    settings = wanted_configs(Topics("tally"), is_log_append=True, min_insync=2)
    return asyncapi.document({topic.removeprefix("tally."): of_topic for topic, of_topic in settings.items()})


PAGES: dict[str, Callable[[], str]] = {
    "rules.md": rules_markdown,
    "settings.md": settings_markdown,
    "metrics.md": metrics_markdown,
    "architecture.md": architecture_markdown,
    "asyncapi.json": lambda: _json(asyncapi_document()),
    **{f"schemas/{name}.json": partial(_json, schema) for name, schema in schemas().items()},
}


def _strays() -> list[str]:
    """Schemas in the folder that no message has any more."""
    return [name for path in sorted((DOCS / "schemas").glob("*")) if (name := f"schemas/{path.name}") not in PAGES]


def stale_pages() -> list[str]:
    """Names of the generated pages that are missing, differ from what the code says, or are there no more."""
    return [
        name
        for name, markdown in PAGES.items()
        if not (DOCS / name).exists() or (DOCS / name).read_text(encoding="utf-8") != markdown()
    ] + _strays()


def main() -> int:
    if sys.argv[1:] == ["--check"]:
        stale = stale_pages()
        for name in stale:
            print(f"docs/{name} is not what the code says: run python tests/docs/generate.py", file=sys.stderr)
        return 1 if stale else 0
    if sys.argv[1:]:
        print("usage: python tests/docs/generate.py [--check]", file=sys.stderr)
        return 2
    for name in _strays():
        (DOCS / name).unlink()
    for name, markdown in PAGES.items():
        (DOCS / name).parent.mkdir(exist_ok=True)
        (DOCS / name).write_text(markdown(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
