"""What Kafka says of itself while things break: who leads, who is in sync, where the group stands; and its own tools.

Asks the brokers as an operator would. Refuses to know what a scene makes
of the answer; `scenes.py` does.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import NamedTuple

from deploy.kafka.local.jars import JARS
from tally_stream.settings import Settings
from tests.support.topics import asked
from tests.support.waiting import wait_for

Partition = tuple[str, int]


class Place(NamedTuple):
    """Where a partition is: broker numbers. `leader` is −1 while there is none."""

    leader: int
    replicas: tuple[int, ...]
    in_sync: frozenset[int]


def partitions(settings: Settings) -> dict[Partition, Place]:
    """Every partition of every topic, Kafka's own topics too."""
    topics = asked(settings, lambda admin: admin.describe_topics(None))
    return {
        (t["topic"], p["partition"]): Place(p["leader"], tuple(p["replicas"]), frozenset(p["isr"]))
        for t in topics
        for p in t["partitions"]
    }


def coordinator(settings: Settings) -> int:
    """The broker that leads the workers' group."""
    return asked(settings, lambda admin: admin.find_coordinator(settings.group_id))


def in_sync(settings: Settings, limit_seconds: float = 120) -> None:
    """Wait until every replica is: the next fault must not find two of three gone."""

    def look() -> bool:
        return all(place.leader > 0 and place.in_sync == set(place.replicas) for place in partitions(settings).values())

    wait_for(look, "all replicas in sync", limit_seconds)


def is_left_out(settings: Settings, broker: int) -> bool:
    """Whether the others go on without this one: it leads nothing and is in sync with nobody."""
    return all(p.leader not in (-1, broker) and broker not in p.in_sync for p in partitions(settings).values())


def move_all_leaders(settings: Settings, directory: Path) -> dict[Partition, int]:
    """Make another broker the leader of every partition; partition → who leads it then."""
    plan, wanted = [], {}
    for (topic, number), place in partitions(settings).items():
        others = [broker for broker in place.replicas if broker != place.leader]
        plan.append({"topic": topic, "partition": number, "replicas": [*others, place.leader]})
        wanted[topic, number] = others[0]
    path = directory / "plan.json"
    path.write_text(json.dumps({"version": 1, "partitions": plan}))
    _tool(settings, "reassign.ReassignPartitionsCommand", "--reassignment-json-file", str(path), "--execute")
    _tool(settings, "LeaderElectionCommand", "--election-type", "preferred", "--all-topic-partitions")
    return wanted


def _tool(settings: Settings, name: str, *arguments: str) -> None:
    done = subprocess.run(
        ["java", "-Xmx128m", "-cp", f"{JARS}/*", f"org.apache.kafka.tools.{name}",
         "--bootstrap-server", settings.bootstrap, *arguments],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
