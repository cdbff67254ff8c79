"""Nights counted by an earlier version give the same bytes, verdicts and digest for as long as the rule set has its number.

A change here is a change of the rules: raise `RULE_SET_NUMBER`, say so in CHANGELOG, and keep the old lines for the old number.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tally_stream.audit.replay import Replay
from tally_stream.domain.election import RULE_SET_NUMBER
from tally_stream.wire.changes import encode_change
from tally_stream.wire.folder.assembling import load_election
from tally_stream.wire.messages import canonical_json, encode_rejection
from tally_stream.wire.report_log import ReportLog

NIGHTS = Path(__file__).resolve().parents[2] / "tally_stream" / "elections"
GOLDEN = json.loads((Path(__file__).parent / "golden.json").read_text())


def folded(night: str) -> dict[str, Any]:
    """Digests over everything a night publishes: standings at ten vectors and the end, rejections, changes, verdicts."""
    election = load_election(NIGHTS / night)
    log = ReportLog(NIGHTS / night / "reports.jsonl.gz")
    records = list(log)
    looks = {len(records) * tenth // 10 for tenth in range(1, 11)}
    replay = Replay(election, log.topic, None)
    standings, outputs = hashlib.sha256(), hashlib.sha256()
    for number, record in enumerate(records, 1):
        verdict = replay.take(record)
        if verdict.change is not None:
            outputs.update(encode_change(election, log.topic, 0, record.offset, record.timestamp_ms, verdict.change))
        if verdict.is_refusal:
            outputs.update(encode_rejection(
                election, log.topic, 0, record.offset, record.timestamp_ms, record.key, record.value, verdict
            ))  # fmt: skip
        if number in looks:
            for message in replay.messages(0):
                standings.update(canonical_json(message) + b"\n")
    return {
        "definition": election.digest, "records": len(records), "standings": standings.hexdigest(),
        "rejections_and_changes": outputs.hexdigest(), "verdicts": replay.verdict_counts(),
    }  # fmt: skip


@pytest.mark.parametrize("night", ["az-2024", "bolivia-2019", "wisconsin-2024"])
def test_a_night_gives_the_bytes_it_gave_before(night: str) -> None:
    assert folded(night) == GOLDEN[str(RULE_SET_NUMBER)][night]
