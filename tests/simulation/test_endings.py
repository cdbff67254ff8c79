"""What a worker may end of: every ending that a fault explains, and nothing else."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.simulation.endings import is_explained

OVER = "no answered heartbeat for 10.3 s: the session is over"
LOST = "refused: the report log lost records: partition 1, from 3, to 7 (the published standings stand on them)"


@pytest.mark.parametrize(
    ("reason", "fault"),
    [("killed", "kill"), ("stopped", "stop"), (OVER, "freeze"), (OVER, "lost request"), (LOST, "shortened log"),
     ("a client without a login has no right to Write topic tally.standings: an access rule (ACL) is missing", "fatal answer")],
)  # fmt: skip
def test_a_fault_explains_it_and_without_the_fault_nothing_does(reason: str, fault: str) -> None:
    assert is_explained(reason, Counter({fault: 1}))
    assert not is_explained(reason, Counter({"reordered stations": 3, "duplicate report": 1}))


def test_a_stop_that_took_too_long_needs_the_stop_and_its_reason() -> None:
    reason = "did not stop within 10 s"
    assert is_explained(reason, Counter({"freeze": 1, "stop": 1}))
    assert not is_explained(reason, Counter({"freeze": 1}))
    assert not is_explained(reason, Counter({"stop": 1}))


EVERY_FAULT = Counter(
    dict.fromkeys(("kill", "stop", "freeze", "silent broker", "lost request", "fatal answer", "shortened log", "delay"), 1)
)


@pytest.mark.parametrize(
    "reason",
    [
        "agent count_reports failed: KeyError('PRES')",
        "agent merge_partials ended by itself",
        "tally.partials, offset 3: a page or mark of definition sha256:00, this worker counts sha256:01",
        "publishing standings failed: tally.standings, offset 4: other bytes than ours for PRES|X, version 9",
        "publishing partition 0 failed: 'NoneType' object has no attribute 'send'",
        "agent count_reports failed: BrokenInvariant('partition 0, offset 3: this record crashes the code: KeyError(1)')",
        "partition 0 is read to offset 3, its log ends at 9: no progress for 31 s",
        "killed by something else",
        f"{OVER}; KeyError",
        "",
    ],
)
def test_no_fault_explains_a_fault_of_the_code(reason: str) -> None:
    assert not is_explained(reason, EVERY_FAULT)
