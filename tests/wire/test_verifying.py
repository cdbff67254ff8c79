"""Signatures verified in threads: what is found is what one thread finds, and no more is asked."""

import pytest

from tally_stream.audit.verified import verified
from tally_stream.domain.fold import folds_of
from tally_stream.domain.key_ring import KeyRing
from tally_stream.wire.report_log import LogRecord
from tally_stream.wire.signed import kind_said
from tally_stream.wire.signing import verify_ahead
from tally_stream.wire.verifying import DEALT_OUT, VERIFIED_TOGETHER, VerifyingThreads
from tests.support.report_messages import LOG_MS, as_bytes, control, counts, election
from tests.support.signing import key_statement, signed, signing_key

KEYS = [signing_key("K-1"), signing_key("K-2", kinds=["report"])]


def values(count: int) -> list[bytes | None]:
    """Right, wrong, unknown and none, in turn."""
    found: list[bytes | None] = []
    for number in range(count):
        statement = counts(revision=number + 1)
        found.append(
            [signed(statement, "K-1"), signed(statement, "K-1", named="K-2"), signed(statement, "K-3"), None][number % 4]
        )
    return found


async def test_threads_find_what_one_finds() -> None:
    ring, other = KeyRing({key.id: key for key in KEYS}), KeyRing({})
    many = values(2 * DEALT_OUT + 3)
    due = verify_ahead(many, ring)
    assert sum(found.is_right for found in due.values()) == sum(value is not None for value in many[::4])
    with VerifyingThreads() as threads:
        assert threads.ahead({ring: many, other: many}) == due
        assert await threads.ahead_of({ring: many, other: many}) == due
        assert threads.ahead({}) == {}


def test_without_a_processor_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("os.sched_getaffinity", raising=False)
    with VerifyingThreads() as threads:
        assert threads.ahead({}) == {}


class TestLog:
    def test_each_record_comes_with_what_was_found(self) -> None:
        of = election(signatures="required", keys=KEYS)
        folds = folds_of(of, 2)
        records = [LogRecord(LOG_MS, b"A-1", value, n % 2, n // 2) for n, value in enumerate(values(VERIFIED_TOGETHER + 8))]
        for number, (record, ahead) in enumerate(verified(folds, records)):
            assert record is records[number]
            found = None if record.value is None else ahead.get(record.value)
            assert (None if found is None else found.is_right) == [True, False, None, None][number % 4]

    def test_nothing_where_nothing_is_signed(self) -> None:
        records = [LogRecord(LOG_MS, b"A-1", signed(counts(), "K-1"), 0, 0)]
        ((record, ahead),) = verified(folds_of(election(keys=KEYS), None), records)
        assert record is records[0]
        assert not ahead


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (signed(control(), "K-1"), "hold"),
        (signed(key_statement(), "K-3"), "key"),
        (as_bytes(control(kind="release")), "release"),
        (as_bytes({}), ""),
        (signed(b"{", "K-1"), ""),
        (b"\xff", ""),
        (None, ""),
    ],
)  # fmt: skip
def test_the_kind_that_a_statement_says(value: bytes | None, kind: str) -> None:
    assert kind_said(value) == kind
