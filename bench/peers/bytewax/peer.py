"""Bytewax: `stateful_map` a station, then one key and `stateful_batch` for the totals, one message a batch.

As its documentation writes it; in memory, without recovery (which would write to SQLite), one worker, batches of 10,000.
"""

import json
import sys
from typing import Any

import bytewax.operators as op
import orjson
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.operators import StatefulBatchLogic
from bytewax.run import cli_main

bootstrap, source, target, group, partitions, names = sys.argv[1:7]
CANDIDATES = names.split(",")
has_begun = False


def decode(message: Any) -> tuple[str, Any]:
    global has_begun
    if not has_begun:
        has_begun = True
        print("first", flush=True)
    return message.key.decode(), orjson.loads(message.value)


def latest(known: Any, report: dict[str, Any]) -> tuple[Any, list[int]]:
    """State and how the station's votes change with this report: the highest revision stands."""
    if known is not None and report["revision"] < known[0]:
        return known, [0] * len(CANDIDATES)
    votes = [report["votes"][candidate] for candidate in CANDIDATES]
    return (report["revision"], votes), votes if known is None else [a - b for a, b in zip(votes, known[1], strict=True)]


class Totals(StatefulBatchLogic):
    def __init__(self, resumed: Any) -> None:
        self.seen, self.totals = resumed or (0, [0] * len(CANDIDATES))

    def on_batch(self, values: list[list[int]]) -> tuple[list[Any], bool]:
        self.seen += len(values)
        self.totals = [sum(column) for column in zip(self.totals, *values, strict=True)]
        return [{"seen": self.seen, "totals": self.totals}], StatefulBatchLogic.RETAIN

    def snapshot(self) -> Any:
        return self.seen, self.totals


flow = Dataflow("count")
records = op.input("reports", flow, KafkaSource([bootstrap], [source], batch_size=10_000))
differences = op.stateful_map("latest", op.map("decode", records, decode), latest)
contest = op.map("contest", differences, lambda pair: ("PRES", pair[1]))
totals = op.stateful_batch("totals", contest, Totals)
messages = op.map("encode", totals, lambda pair: KafkaSinkMessage(pair[0].encode(), json.dumps(pair[1]).encode()))
op.output("standings", messages, KafkaSink([bootstrap], target, add_config={"compression.type": "lz4"}))
cli_main(flow)
