"""Stock Faust: one agent, the latest report of each station in a dict, or (table=yes) in a Table with its changelog.

As its documentation writes it: a JSON topic, `stream.items()`, a timer that sends the totals ten times a second. The
totals themselves are kept in the process in both ways, which spares it the repartitioning that a total in a Table needs.
"""

import os
import sys
from typing import Any

bootstrap, source, target, group, partitions, names = sys.argv[1:7]
options = dict(option.split("=", 1) for option in sys.argv[7:])
os.chdir(options["state_dir"])

import faust  # noqa: E402

CANDIDATES = names.split(",")
app = faust.App(
    group, broker=f"kafka://{bootstrap}", store="memory://", topic_partitions=int(partitions), topic_replication_factor=1,
    web_enabled=False, consumer_auto_offset_reset="earliest", stream_buffer_maxsize=16_384,
    producer_compression_type="lz4", producer_linger=0.02, producer_max_batch_size=262_144,
)  # fmt: skip
reports = app.topic(source, key_type=str, key_serializer="raw", value_serializer="json")
standings = app.topic(target, partitions=1, key_serializer="raw", value_serializer="json")
latest: Any = app.Table("latest", partitions=int(partitions)) if options["table"] == "yes" else {}
totals = [0] * len(CANDIDATES)
seen = 0


@app.agent(reports)
async def count(stream: Any) -> None:
    global totals, seen
    async for station, report in stream.items():
        if not seen:
            print("first", file=sys.__stdout__, flush=True)
        seen += 1
        known = latest.get(station)
        if known is not None and report["revision"] < known[0]:
            continue
        votes = [report["votes"][candidate] for candidate in CANDIDATES]
        old = known[1] if known is not None else [0] * len(CANDIDATES)
        totals = [total + a - b for total, a, b in zip(totals, votes, old, strict=True)]
        latest[station] = [report["revision"], votes]


@app.timer(0.1)
async def publish() -> None:
    if seen:
        await standings.send(key=b"PRES", value={"seen": seen, "totals": totals})


if __name__ == "__main__":
    sys.argv = ["peer", "worker", "-l", "error", "--without-web"]
    app.main()
