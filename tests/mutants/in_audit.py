"""Faults planted in `audit/`."""

from tests.mutants.planted import Mutant

VERIFY = "tally_stream/audit/verify.py"

MUTANTS = (
    Mutant("take a field that is not there for null", VERIFY,
           "found.get(name, _ABSENT), due.get(name, _ABSENT)", "found.get(name), due.get(name)", "tests/audit/test_verify.py"),
    Mutant("compare nothing with an empty log", VERIFY,
           "            self._begin()\n        for contest", "            pass\n        for contest",
           "tests/audit/test_verify.py::test_of_an_empty_log_the_standings_at_0_are_compared_and_nothing_beyond"),
    Mutant("pass over what names offsets beyond the log", VERIFY,
           "for vector, partition in check.left():", "for vector, partition in ():", "tests/audit/test_verify.py"),
)  # fmt: skip
