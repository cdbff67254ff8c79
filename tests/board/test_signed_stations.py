"""Stations of an election whose statements are signed: what a key did not sign is never shown as counted, verified ahead or not."""

import asyncio
from collections import deque

import pytest

from tally_stream.board.stations import Stations
from tally_stream.domain.fold import folds_of
from tally_stream.kafka.client import StoredRecord
from tally_stream.settings import load_settings
from tally_stream.wire.verifying import VerifyingThreads
from tests.support.report_messages import LOG_MS, as_bytes, counts, election
from tests.support.signing import signed, signing_key

OF = election(signatures="required", keys=[signing_key("K-A1", "A-1", ("report",)), signing_key("COURT")])
VALUES = [
    signed(counts(revision=2), "COURT", named="K-A1"),
    as_bytes(counts(revision=2)),
    signed(counts(), "K-A1"),
    signed(counts(), "K-A1"),
]


@pytest.mark.parametrize("is_ahead", [True, False])
def test_the_verdicts_are_those_of_the_count(is_ahead: bool) -> None:
    stations = Stations(load_settings(), OF)
    stations._folds = folds_of(OF, 1)  # noqa: SLF001  (as its reading of the topics leaves it)
    stations._ends = {0: 0}  # noqa: SLF001  (as its reading of the topics leaves it)
    records = [StoredRecord(0, offset, LOG_MS, b"A-1", value) for offset, value in enumerate(VALUES)]
    if is_ahead:
        stations._waiting = {0: deque()}  # noqa: SLF001  (as its reading of the topics leaves it)
        with VerifyingThreads() as threads:
            asyncio.run(stations._append(records, threads))  # noqa: SLF001  (its reading's own step)
        stations.advance()
        assert not stations._ahead, "nothing of it is kept"  # noqa: SLF001  (memory: nobody else sees it)
    else:
        for record in records:
            stations.take(record)
    told = stations.one("A-1", lambda contest: False)
    assert told is not None
    assert [(s["verdict"], s["codes"]) for s in told["statements"]] == [
        ("rejected", ["S6"]), ("rejected", ["S6"]), ("counted", []), ("repeated", ["Q1"]),
    ]  # fmt: skip
    assert told["contests"][0]["in_force"]["revision"] == 1
