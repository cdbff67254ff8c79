"""Faults planted in `station/`."""

from tests.mutants.planted import Mutant

MUTANTS = (
    Mutant("restore a log that was cut at its end", "tally_stream/station/restore.py",
           "    log.check_end()\n", "", "tests/station/test_restore.py"),
    Mutant("let a stranger write between", "tally_stream/station/restore.py",
           "if landed not in (first, -1):", "if False:", "tests/station/test_restore.py"),
    Mutant("give restored records the time of now", "tally_stream/station/restore.py",
           "append(timestamp=record.timestamp_ms, ", "append(timestamp=0, ", "tests/station/test_restore.py"),
    Mutant("take records with other times for the log's", "tally_stream/station/restore.py",
           "with_times=True", "with_times=False", "tests/station/test_restore.py"),
    Mutant("restore into a topic that gives new timestamps", "tally_stream/station/restore.py",
           'if found.timestamp_type != "CreateTime":', "if False:", "tests/station/test_restore.py"),
    Mutant("leave out the record at the seam", "tally_stream/station/restore.py",
           "if record.offset >= before[record.partition]:", "if record.offset > before[record.partition]:", "tests/station/test_restore.py"),
    Mutant("send the record before the seam again", "tally_stream/station/restore.py",
           "if record.offset >= before[record.partition]:", "if record.offset + 1 >= before[record.partition]:", "tests/station/test_restore.py"),
    Mutant("be content with an incomplete topic", "tally_stream/station/restore.py",
           "if after != due.next_offsets:", "if False:", "tests/station/test_restore.py"),
    Mutant("let a batch overtake the one before it", "tally_stream/station/restore.py",
           "        await self.settle()\n        if self.batch is None:\n", "        if self.batch is None:\n", "tests/station/test_restore.py"),
    Mutant("do not wait for the last batch", "tally_stream/station/restore.py",
           "            await lane.settle()\n", "            pass\n", "tests/station/test_restore.py"),
    Mutant("go on behind records that were deleted", "tally_stream/station/standing.py",
           "if start > 0:", "if False:", "tests/station/test_restore.py"),
)  # fmt: skip
