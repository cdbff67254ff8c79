"""The count of some stations' records among all of a log: by the fold and the reading of the count itself, signatures and all.

Decides which records that takes: the stations' own, those about their contests (what comes after a certificate is held), and
those about keys. What lies between is passed over. Refuses to know how the log is read; `record_read.py` and
`intake/followed.py` say what for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tally_stream.domain.election import Election, Station
from tally_stream.domain.fold import PartitionFold
from tally_stream.domain.ledger import Verdict
from tally_stream.domain.pages import Layout
from tally_stream.domain.report import Statement
from tally_stream.domain.rules import Finding
from tally_stream.domain.scalars import murmur2_partition
from tally_stream.kafka.client import StoredRecord
from tally_stream.wire.reading import ReportReader
from tally_stream.wire.run import read_at
from tally_stream.wire.signed import kind_said


class CountOfStations:
    """Give `count` each record of a log of `partition_count` partitions, in the order of its partition. `stations` are the
    election's; records of other partitions than theirs and `partitions` are passed over."""

    def __init__(
        self, election: Election, partition_count: int, stations: Iterable[str], partitions: Iterable[int] = ()
    ) -> None:
        self.election, self.stations = election, frozenset(stations)
        self._partition_count = partition_count
        self._reader = ReportReader(election)
        places: dict[int, list[Station]] = {partition: [] for partition in partitions}
        for id in self.stations:
            places.setdefault(self.partition_of(id), []).append(election.stations[id])
        layout = Layout(election)
        self.folds = {p: PartitionFold(election, p, partition_count, here, layout) for p, here in places.items()}
        self.next_offsets = dict.fromkeys(self.folds, 0)
        self._keys = {id.encode() for id in (*self.stations, *(contest.id for contest in election.contests))}

    def partition_of(self, station: str) -> int:
        return murmur2_partition(station.encode(), self._partition_count)

    def goes_on_in(self, bounds: Mapping[int, tuple[int, int]]) -> bool:
        """Whether a log with these bounds (partition → first and next offset) has what comes next."""
        return len(bounds) == self._partition_count and all(
            bounds[p][0] <= offset <= bounds[p][1] for p, offset in self.next_offsets.items()
        )

    def count(self, record: StoredRecord) -> tuple[Statement | Finding, Verdict] | None:
        """What the record says, and its verdict; None of one that is passed over."""
        fold = self.folds.get(record.partition)
        if fold is None:
            return None
        self.next_offsets[record.partition] = record.offset + 1
        if record.key not in self._keys and not self._is_about_keys(record.value):
            return None
        fold.next_offset = record.offset  # what lies before it, and is not ours, was passed over
        read = read_at(self._reader, fold, record.offset, record.timestamp_ms, record.key, record.value)
        return read, fold.take(record.offset, record.timestamp_ms, record.key, read)

    def _is_about_keys(self, value: bytes | None) -> bool:
        return self.election.signatures is not None and kind_said(value) in ("key", "")
