"""A run of records through the fold: read, judge and count each, and hand back those that are owed an answer.

Decides the order of these steps, and names the record that our code crashed on. The one way from bytes into a fold, for
workers and for `replay`. A report crosses from wire to domain once, as a statement with the ledger's entry it is about
(`PartitionFold.take`), and comes back once, as a verdict.
Refuses to know Kafka, and what is sent for a verdict (`stream/counting.py`). Read `domain/fold.py` next.
"""

from __future__ import annotations

from typing import Any

from tally_stream.domain.fold import PartitionFold
from tally_stream.domain.ledger import OWES_NOTHING, Verdict
from tally_stream.domain.report import Statement
from tally_stream.domain.rules import Finding
from tally_stream.wire.reading import ReportReader
from tally_stream.wire.signed import read_signed
from tally_stream.wire.signing import NOTHING_AHEAD, Ahead, Signing

READ_AHEAD = 128
"""Reports that are decoded, and whose ledger entries are looked up, before the first of them is judged. An entry lies
anywhere in memory; asked for many in a row, the processor waits for several at once. 2.33 µs a report instead of 2.51, at
500,000 stations."""


def read_record(
    reader: ReportReader,
    fold: PartitionFold,
    offset: int,
    log_ms: int,
    key: bytes | None,
    value: bytes | None,
    ahead: Ahead = NOTHING_AHEAD,
) -> Verdict:
    """Read, judge and apply one record; `read_run` does the same for a run, faster."""
    return fold.take(offset, log_ms, key, read_at(reader, fold, offset, log_ms, key, value, ahead))


def read_at(
    reader: ReportReader,
    fold: PartitionFold,
    offset: int,
    log_ms: int,
    key: bytes | None,
    value: bytes | None,
    ahead: Ahead = NOTHING_AHEAD,
) -> Statement | Finding:
    """What the record at `offset` says, for those who want to see it before the fold takes it. `ahead`: what was verified
    before."""
    skip = fold.skipped_offsets.get(offset) if fold.skipped_offsets else None
    if skip is not None:
        return Finding("X1", f"skipped: {skip.reason} ({skip.authority})", fold.partition, offset)
    if reader.election.signatures is not None:
        return read_signed(reader, Signing(fold.keys, log_ms, ahead), value, key)
    return reader.read(value, key)


class RecordCrash(Exception):
    """The code failed on the record at `offset`: a fault of ours, whatever the record says."""

    def __init__(self, offset: int) -> None:
        super().__init__(offset)
        self.offset = offset


def read_run(
    reader: ReportReader, fold: PartitionFold, records: list[Any], ahead: Ahead = NOTHING_AHEAD
) -> list[tuple[Any, Verdict]]:
    """`read_record` for each record of a run (with `.offset`, `.timestamp`, `.key`, `.value`); those that are owed
    something (a rejection, a change) with their verdict. Nearly all records of a night are not. Raises RecordCrash."""
    owed: list[tuple[Any, Verdict]] = []
    r: Any = None
    try:
        if fold.skipped_offsets or reader.election.signatures is not None:
            for r in records:
                verdict = read_record(reader, fold, r.offset, r.timestamp, r.key, r.value, ahead)
                if verdict is not OWES_NOTHING:
                    owed.append((r, verdict))
            return owed
        for start in range(0, len(records), READ_AHEAD):
            few = records[start : start + READ_AHEAD]
            values, decoded = [], []
            for r in few:
                value = r.value
                values.append(value)
                decoded.append(reader.decode(value))
            entries = reader.entries_of(decoded, fold.entries)
            stations = [None if entry is None else entry.station for entry in entries]
            for i in range(len(few)):
                r = few[i]
                key = r.key
                read = reader.read_decoded(decoded[i], stations[i], values[i], key)
                verdict = fold.take(r.offset, r.timestamp, key, read, entries[i])
                if verdict is not OWES_NOTHING:
                    owed.append((r, verdict))
    except Exception as error:
        raise RecordCrash(r.offset) from error
    return owed
