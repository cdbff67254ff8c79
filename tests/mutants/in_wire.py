"""Faults planted in `wire/`."""

from tests.mutants.planted import Mutant

MUTANTS = (
    Mutant("take a wide table for right without a look at its ids", "tally_stream/wire/folder/plain_stations.py",
           "_require(all(map(is_id, ids)) and not any", "_require(not any", "tests/wire/test_plain_stations.py"),
    Mutant("show the last of several updates that waited", "tally_stream/wire/newest.py",
           "newest = max(due)", "newest = due[-1]", "tests/cli/test_readers_rule.py"),
    Mutant("let an update that waits hide one that is due", "tally_stream/wire/newest.py",
           "        waiting[version] = message\n", "        waiting.clear()\n        waiting[version] = message\n",
           "tests/cli/test_readers_rule.py"),
    Mutant("drop the newest of too many that wait", "tally_stream/wire/newest.py",
           "del waiting[min(waiting)]", "del waiting[max(waiting)]", "tests/wire/test_newest.py"),
    Mutant("show an older area over a newer one", "tally_stream/wire/newest.py",
           "if version < self._versions.get(area, NO_VERSION):", "if False:", "tests/cli/test_readers_rule.py"),
    Mutant("show an area before its root", "tally_stream/wire/newest.py",
           "if version <= self.root_version:", "if True:", "tests/cli/test_readers_rule.py"),
    Mutant("show another definition before its root", "tally_stream/wire/newest.py",
           "if not is_root(area) or version < of_contest.root_version:", "if version < of_contest.root_version:",
           "tests/wire/test_newest.py"),
    Mutant("take a replaced definition for the newest", "tally_stream/wire/newest.py",
           "if self._last is None or self._last == self.definition:", "if True:", "tests/export/test_snapshot.py"),
    Mutant("P1 and P2 swapped", "tally_stream/wire/folder/assembling.py",
           "Fraction(c.P1_invalid_percent), Fraction(c.P2_blank_percent)",
           "Fraction(c.P2_blank_percent), Fraction(c.P1_invalid_percent)", "tests/wire/test_election_folder.py"),
    Mutant("take a P6 minimum of 0 for absent", "tally_stream/wire/folder/assembling.py",
           "c.P6_votes_min, Fraction", "c.P6_votes_min or 100, Fraction", "tests/wire/test_election_folder.py"),
    Mutant("count no quotation marks", "tally_stream/wire/reading.py",
           "return value.count(b'\"') == 2 * strings", "return True", "tests/wire/test_reading_hostile.py"),
    Mutant("take any key for an unknown station's own name", "tally_stream/wire/reading.py",
           "or not is_id(name) or", "or", "tests/wire/test_reading_hostile.py"),
)  # fmt: skip
