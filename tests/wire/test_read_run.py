"""A run of records read at once is the records read one by one; what comes back is what is owed something."""

import random
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally_stream.domain.election import Skip
from tally_stream.domain.fold import PartitionFold
from tally_stream.domain.ledger import OWES_NOTHING
from tally_stream.domain.scalars import murmur2_partition
from tally_stream.domain.standings import MergedFigures
from tally_stream.wire.reading import ReportReader
from tally_stream.wire.run import RecordCrash, read_record, read_run
from tests.support.examples import examples
from tests.support.report_messages import LOG_MS, as_bytes, control, counts, decision, election, turnout


@dataclass(frozen=True)
class Record:
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


def a_log(seed: int) -> list[Record]:
    order = random.Random(seed)
    records = []
    for offset in range(order.randint(0, 25)):
        revision = order.randint(1, 6)
        message = order.choice(
            [
                counts(revision=revision),
                counts(revision=revision, votes={"ANNA": 40, "BELA": 56}),
                counts(revision=revision, station="B-1", registered=order.choice([None, 90])),
                decision(revision=revision, replaces=order.randint(0, 3)),
                turnout(revision=revision),
                control(revision=revision, kind=order.choice(["hold", "release", "certify"])),
            ]
        )
        key = str(message.get("station") or message["contest"]).encode()
        value = as_bytes(message)
        if order.random() < 0.2:
            key, value = order.choice([(None, value), (key, None), (key, b"junk"), (key, value[:-1])])  # type: ignore[assignment]
        records.append(Record(offset, LOG_MS + order.randint(0, 9000), key, value))
    return records


@examples(150)
@given(st.integers(0, 2**32), st.booleans(), st.integers(1, 9), st.sampled_from([None, 1, 2, 3]), st.integers(1, 2))
def test_a_run_is_its_records_one_by_one(
    seed: int, has_skips: bool, length: int, partitions: int | None, contest_count: int
) -> None:
    skips = tuple(Skip(0, offset, "r", "a") for offset in (1, 4)) if has_skips else ()
    of = election(skips=skips, contest_count=contest_count)
    records, reader = a_log(seed), ReportReader(of)
    alone, together = PartitionFold(of, 0, partitions), PartitionFold(of, 0, partitions)
    expected = []
    for r in records:
        verdict = read_record(reader, alone, r.offset, r.timestamp, r.key, r.value)
        if verdict is not OWES_NOTHING:
            expected.append((r, verdict))
    found = []
    for start in range(0, len(records), length):
        found += read_run(reader, together, records[start : start + length])
    assert found == expected
    assert all(o.is_refusal or o.change or o.findings for _, o in found), "plain ones are left out"
    assert together.verdict_counts() == alone.verdict_counts()
    for contest in range(contest_count):
        messages = []
        for fold in (alone, together):
            standings = MergedFigures(of, contest, "t", 1)
            standings.put(fold.figures(contest))
            messages.append(standings.messages())
        assert messages[0] == messages[1]


def test_a_report_in_another_partition_is_refused_in_a_run_too() -> None:
    of = election()
    partition_of = {s: murmur2_partition(s.encode(), 2) for s in of.stations}
    assert set(partition_of.values()) == {0, 1}
    for station, partition in partition_of.items():
        for place in (0, 1):
            fold = PartitionFold(of, place, 2)
            run = [Record(0, LOG_MS, station.encode(), as_bytes(counts(station=station)))]
            owed = read_run(ReportReader(of), fold, run)
            assert [o.findings[0].code for _, o in owed] == ([] if place == partition else ["S7"])


def test_a_record_out_of_its_place_inside_a_run_is_never_counted() -> None:
    of = election()
    fold = PartitionFold(of)
    run = [Record(offset, LOG_MS, b"A-1", as_bytes(counts(revision=offset + 1))) for offset in (0, 2, 1)]
    with pytest.raises(RecordCrash):
        read_run(ReportReader(of), fold, run)
    assert fold.next_offset == 1
