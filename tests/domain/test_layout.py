"""Which stations a partition's fold keeps, and that they are found in one walk through the election for all partitions."""

from collections.abc import ValuesView
from dataclasses import replace

import pytest

from tally_stream.audit.replay import Replay
from tally_stream.audit.verify import Verification
from tally_stream.domain.election import Election, Station
from tally_stream.domain.fold import PartitionFold, folds_of, stations_by_partition
from tally_stream.domain.scalars import murmur2_partition
from tests.support.small_elections import contest, election, station

IDS = [f"S-{n:03d}" for n in range(300)]


class Walked(dict[str, Station]):
    """Stations that count how often somebody goes through all of them."""

    walks = 0

    def values(self) -> ValuesView[Station]:  # type: ignore[override]
        self.walks += 1
        return super().values()


def walked() -> tuple[Election, Walked]:
    of = election([station(id) for id in IDS], [contest("PRES"), contest("SEAT")])
    stations = Walked(of.stations)
    return replace(of, stations=stations), stations


@pytest.mark.parametrize("partition_count", [1, 2, 4, 256, 1_000])
def test_each_station_stands_in_the_one_partition_that_kafka_gives_its_key(partition_count: int) -> None:
    of, _ = walked()
    layout = stations_by_partition(of, partition_count)
    assert len(layout) == partition_count
    for partition, here in enumerate(layout):
        assert [s.id for s in here] == [id for id in IDS if murmur2_partition(id.encode(), partition_count) == partition]
        assert all(s is of.stations[s.id] for s in here)
    assert sum(map(len, layout)) == len(IDS)


@pytest.mark.parametrize("partition_count", [1, 4])
def test_a_fold_made_alone_a_fold_among_all_and_one_that_is_handed_its_stations_are_the_same(partition_count: int) -> None:
    of, _ = walked()
    layout = stations_by_partition(of, partition_count)
    together = folds_of(of, partition_count)
    assert [fold.partition for fold in together] == list(range(partition_count))
    for partition, fold in enumerate(together):
        alone = PartitionFold(of, partition, partition_count)
        handed = PartitionFold(of, partition, partition_count, layout[partition])
        assert fold.partition_count == alone.partition_count == handed.partition_count == partition_count
        due = [[s.id for s in layout[partition]]] * 2
        assert [list(entries) for entries in fold.entries] == due
        assert [list(entries) for entries in alone.entries] == due
        assert [list(entries) for entries in handed.entries] == due


def test_a_log_without_partitions_has_one_fold_with_all_of_them() -> None:
    of, _ = walked()
    (fold,) = folds_of(of, None)
    assert (fold.partition, fold.partition_count) == (0, None)
    assert [list(entries) for entries in fold.entries] == [IDS, IDS]


def test_all_folds_of_a_log_go_through_the_stations_twice() -> None:
    """Once to lay them out, once for the layout of pages."""
    of, stations = walked()
    folds_of(of, 256)
    assert stations.walks == 2
    Replay(of, "t", 256)
    assert stations.walks == 4


def test_more_partitions_to_verify_are_no_more_walks() -> None:
    of, stations = walked()
    Verification(of, "t", 1)
    one = stations.walks
    Verification(of, "t", 256)
    assert stations.walks == 2 * one
