"""Faults planted in `kafka/`."""

from tests.mutants.planted import Mutant

MUTANTS = (
    Mutant("hand over records out of their place", "tally_stream/kafka/batches.py",
           "if record.offset != due or due == end:", "if False:", "tests/stream/test_inflate.py"),
    Mutant("inflate one block over another", "tally_stream/kafka/inflate.py",
           "into[count:])", "into)", "tests/stream/test_inflate.py"),
)  # fmt: skip
