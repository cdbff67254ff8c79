"""Faults planted in `wire/`."""

from tests.mutants.planted import Mutant

MUTANTS = (
    Mutant("take a wide table for right without a look at its ids", "tally_stream/wire/folder/plain_stations.py",
           "_require(all(map(is_id, ids)) and not any", "_require(not any", "tests/wire/test_plain_stations.py"),
)  # fmt: skip
