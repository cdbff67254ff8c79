"""A change's public line, as bytes."""

import json

import msgspec
import pytest

from tally_stream.domain.fold import PartitionFold
from tally_stream.wire.change_line import votes_line
from tally_stream.wire.changes import encode_change
from tally_stream.wire.messages import canonical_json
from tally_stream.wire.run import read_record
from tests.support.report_messages import ELECTION, LOG_MS, READER, Json, as_bytes, counts, decision
from tests.support.second_model import BALLOTS


class TestChange:
    def changed(self, *messages: Json) -> Json:
        fold = PartitionFold(ELECTION, 0)
        for offset, message in enumerate(messages):
            verdict = read_record(READER, fold, offset, LOG_MS + offset, b"A-1", as_bytes(message))
        assert verdict.change is not None
        encoded = encode_change(ELECTION, "tally.reports", 0, offset, LOG_MS + offset, verdict.change)
        assert encoded == canonical_json(json.loads(encoded))
        found: Json = json.loads(encoded)
        return found

    def test_every_field(self) -> None:
        assert self.changed(counts(), decision(reason="broken seal")) == {
            "schema": 1,
            "contest": "PRES",
            "station": "A-1",
            "area": "X/North",
            "kind": "annul",
            "from_revision": 1,
            "to_revision": 2,
            "reason": "broken seal",
            "authority": "the court",
            "votes_delta": {"ANNA": -50, "BELA": -46},
            "ballots_delta": {
                "cast": -100,
                "valid": -96,
                "blank": -2,
                "invalid": -2,
                "undervotes": None,
                "overvotes": None,
            },
            "definition": ELECTION.digest,
            "source": {"topic": "tally.reports", "partition": 0, "offset": 1, "timestamp": LOG_MS + 1},
        }

    def test_unknown_is_null(self) -> None:
        found = self.changed(counts(), counts(revision=2, ballots={"valid": 96}))
        assert (found["reason"], found["authority"]) == (None, None)
        assert found["ballots_delta"] == {**dict.fromkeys(BALLOTS), "valid": 0}

    @pytest.mark.parametrize(
        ("ids", "expected"),
        [
            (("A",), b'{"A":1}'),
            (("A", "B", "C"), b'{"A":1,"B":2,"C":3}'),
            (("C", "A", "B"), b'{"A":2,"B":3,"C":1}'),
            (("9", "10"), b'{"10":2,"9":1}'),
        ],
    )
    def test_each_candidate_has_its_own_votes_in_canonical_order(self, ids: tuple[str, ...], expected: bytes) -> None:
        votes = tuple(range(1, len(ids) + 1))
        assert msgspec.json.encode(votes_line(ids)(votes)) == expected
