"""Quix Streams: state of each station by `apply(stateful=True)`, then `group_by` and a second state for the totals.

As its documentation writes a count over another key than the record's. State is RocksDB with changelog topics, its only
durable store; commits every second, lz4, batches. It has no conflation: one standings message a report.
"""

import logging
import sys
from typing import Any

from quixstreams import Application, State

bootstrap, source, target, group, partitions, names = sys.argv[1:7]
options = dict(option.split("=", 1) for option in sys.argv[7:])
CANDIDATES = names.split(",")
logging.getLogger("quixstreams").setLevel(logging.ERROR)
has_begun = False


def latest(report: dict[str, Any], state: State) -> list[int]:
    """How the station's votes change with this report: the highest revision stands."""
    global has_begun
    if not has_begun:
        has_begun = True
        print("first", flush=True)
    known = state.get("report")
    if known is not None and report["revision"] < known[0]:
        return [0] * len(CANDIDATES)
    votes = [report["votes"][candidate] for candidate in CANDIDATES]
    state.set("report", [report["revision"], votes])
    return votes if known is None else [new - old for new, old in zip(votes, known[1], strict=True)]


def add(difference: list[int], state: State) -> dict[str, Any]:
    totals = state.get("totals") or [0] * len(CANDIDATES)
    seen = (state.get("seen") or 0) + 1
    totals = [total + d for total, d in zip(totals, difference, strict=True)]
    state.set("totals", totals)
    state.set("seen", seen)
    return {"seen": seen, "totals": totals}


app = Application(
    broker_address=bootstrap,
    consumer_group=group,
    auto_offset_reset="earliest",
    state_dir=options["state_dir"],
    commit_interval=1.0,
    loglevel="ERROR",
    producer_extra_config={"linger.ms": 20, "compression.type": "lz4", "batch.size": 262_144},
    consumer_extra_config={"fetch.min.bytes": 1, "queued.min.messages": 100_000},
)
reports = app.dataframe(app.topic(source, key_deserializer="str", value_deserializer="json"))
reports = reports.apply(latest, stateful=True)
totals = reports.group_by(lambda _: "PRES", name="contest").apply(add, stateful=True)
totals.to_topic(app.topic(target, key_serializer="json", value_serializer="json"))
app.run()
