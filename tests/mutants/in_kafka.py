"""Faults planted in `kafka/`."""

from tests.mutants.planted import Mutant

MUTANTS = (
    Mutant("hand over records out of their place", "tally_stream/kafka/batches.py",
           "if record.offset != due or due == end:", "if False:", "tests/kafka/test_inflate.py"),
    Mutant("inflate one block over another", "tally_stream/kafka/inflate.py",
           "into[count:])", "into)", "tests/kafka/test_inflate.py"),
    Mutant("let reports be compacted beside deleted", "tally_stream/kafka/topics.py",
           'if policy != "delete":', 'if "delete" not in policy:', "tests/kafka/test_topics_check.py"),
    Mutant("let standings be deleted beside compacted", "tally_stream/kafka/topics.py",
           'if policy != "compact":', 'if "compact" not in policy:', "tests/kafka/test_topics_check.py"),
    Mutant("let reports go by their bytes", "tally_stream/kafka/topics.py",
           'for setting in ("retention.ms", "retention.bytes"):', 'for setting in ("retention.ms",):', "tests/kafka/test_topics_check.py"),
    Mutant("count the replicas of the best partition", "tally_stream/kafka/topics.py",
           "min(described.replica_counts)", "max(described.replica_counts)", "tests/kafka/test_topics_check.py"),
    Mutant("count the replicas of the first partition", "tally_stream/kafka/topics.py",
           "min(described.replica_counts)", "described.replica_counts[0]", "tests/kafka/test_topics_check.py"),
    Mutant("let one replica acknowledge", "tally_stream/kafka/topics.py",
           "if int(in_sync) < 2:", "if int(in_sync) < 1:", "tests/kafka/test_topics_check.py"),
    Mutant("let stations date their reports", "tally_stream/kafka/topics.py",
           'if is_official and time_type != "LogAppendTime":', "if False:", "tests/kafka/test_topics_check.py"),
    Mutant("ask a test election for the broker's times", "tally_stream/kafka/topics.py",
           'if is_official and time_type != "LogAppendTime":', 'if time_type != "LogAppendTime":', "tests/kafka/test_topics_check.py"),
    Mutant("look at settings that only reports have in every topic", "tally_stream/kafka/topics.py",
           "    if name != topics.reports:\n        return\n", "", "tests/kafka/test_topics_check.py"),
    Mutant("take any number of partitions for rejections", "tally_stream/kafka/topics.py",
           "elif reports_count and count != reports_count:", "elif False:", "tests/kafka/test_topics_check.py"),
)  # fmt: skip
