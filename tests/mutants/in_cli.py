"""Faults planted in `cli/`."""

from tests.mutants.planted import Mutant

MUTANTS = (
    Mutant("keep the other workers' sockets open in a worker", "tally_stream/cli/supervise.py",
           "            supervisors.close()\n            let_go()\n", "            supervisors.close()\n",
           "tests/cli/test_supervise.py::test_nothing_of_the_supervisor_is_left_in_a_worker_but_what_it_loaded"),
    Mutant("leave the supervisor's signals in a worker", "tally_stream/cli/supervise.py",
           "            signals.restore()\n            signal.pthread_sigmask(signal.SIG_SETMASK, mask)\n",
           "            signal.pthread_sigmask(signal.SIG_SETMASK, mask)\n", "tests/cli/test_supervise.py"),
    Mutant("let a signal in between a fork and the child's own handlers", "tally_stream/cli/supervise.py",
           "signal.pthread_sigmask(signal.SIG_BLOCK, {*signals.stops, signal.SIGCHLD})",
           "signal.pthread_sigmask(signal.SIG_BLOCK, [])", "tests/cli/test_supervise.py"),
    Mutant("start again at once whatever never caught up", "tally_stream/cli/supervise.py",
           "if ready_at is not None and time.monotonic() - ready_at >= PROVEN_SECONDS:", "if True:",
           "tests/cli/test_supervise.py::test_one_that_caught_up_and_lived_is_started_again_at_once"),
    Mutant("keep the records of the frame before", "tally_stream/cli/dump.py",
           "            self._bytes = self._records = 0\n", "            self._bytes = 0\n", "tests/cli/test_dump.py"),
    Mutant("keep the bytes of the frame before", "tally_stream/cli/dump.py",
           "            self._bytes = self._records = 0\n", "            self._records = 0\n", "tests/cli/test_dump.py"),
    Mutant("keep the lines of the frame before", "tally_stream/cli/dump.py",
           "            self._lines = []\n", "", "tests/cli/test_dump.py"),
    Mutant("go on with the dump of another topic", "tally_stream/cli/dump.py",
           "if record != self.last[record.partition]:", "if False:", "tests/cli/test_dump.py"),
    Mutant("save a log with a gap", "tally_stream/cli/dump.py",
           "if record.offset > due:", "if False:", "tests/cli/test_dump.py"),
)  # fmt: skip
