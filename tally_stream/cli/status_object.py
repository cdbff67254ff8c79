"""`status --json`: one object for a program, with what is wrong and with everything that it was judged by.

Refuses to decide what is wrong. What was not told is null: what brokers know, where none answers; a figure that a program does
not serve.
"""

from __future__ import annotations

from typing import Any

from tally_stream.cli.status_judged import Judged, definitions, incomplete, unread
from tally_stream.cli.status_seen import Situation


def as_json(seen: Situation, judged: Judged) -> dict[str, Any]:
    """For a program: `ok`, `problems`, `notices`, and what they were judged by."""
    kafka = seen.kafka
    return {
        "ok": not judged.problems,
        "problems": judged.problems,
        "notices": judged.notices,
        "at": seen.at,
        "definition": seen.definition,
        "brokers": None if kafka is None else {str(number): address for number, address in sorted(kafka.brokers.items())},
        "partitions": None if kafka is None else [
            {"topic": one.topic, "partition": one.partition, "leader": one.leader, "replicas": one.replicas,
             "in_sync": one.in_sync}
            for one in kafka.partitions
        ],
        "topics": None if kafka is None or kafka.topics is None else [
            {"of": one.of, "setting": one.setting, "value": one.value, "wanted": one.wanted, "refuses": one.is_refusal,
             "sentence": one.sentence}
            for one in kafka.topics.differences
        ],
        "workers": None if kafka is None or kafka.group is None else [
            {"name": one.name, "host": one.host, "partitions": one.partitions, "publishes_standings": one.has_partials}
            for one in kafka.group.members
        ],
        "reports": None if kafka is None else {
            str(p): {"end": end, "committed": kafka.committed.get(p)} for p, end in sorted(kafka.ends.items())
        },
        "contests": [
            {"contest": one.contest, "version": one.version, "definition": one.definition, "status": one.status,
             "on_hold": one.is_on_hold, "held": one.held, "disputed": one.disputed, "stations": one.stations,
             "behind_records": None if kafka is None else unread(kafka, one), "age_seconds": round(seen.at - one.sent_at, 1)}
            for one in seen.roots.values()
        ],
        "definitions": {
            digest: {"given": who.is_given, "programs": who.count_by_kind(), "contests": len(who.contests)}
            for digest, who in definitions(seen).items()
        },
        "incomplete": [
            {"kind": one.kind, "contest_count": one.contest_count, "partitions": one.partitions,
             "partition_count": len(kafka.ends) if kafka is not None and kafka.ends else None}
            for one in incomplete(seen.programs)
        ],
        "programs": [
            {"address": one.address, "kind": one.kind, "error": one.error or None, "ready": None if one.error else one.is_ready,
             "behind_records": one.behind_records, "behind_seconds": one.behind_seconds(seen.at),
             **{key: one.labels("tally_build_info").get(key) for key in ("version", "digest")}}
            for one in seen.programs
        ],
        "certificates": [{"what": one.what, "ends_at": one.ends_at} for one in seen.certificates],
    }  # fmt: skip
