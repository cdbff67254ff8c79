"""Planted faults, each of which a named test or a named seed of the simulation must catch: `make mutants`.

Decides which faults; each is planted alone in an interpreted copy of the project, two copies at a time. Fails where the
tests or the seeds are red without a fault, a fault does not apply (its text must stand exactly once), one survives, its
test did not run to a failed assertion, or a seed found nothing wrong in what it checks. Exit 0: every fault was caught.
"""

from __future__ import annotations

import json
import os
import queue
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.lanes import without_compiled

COPIES = 2
TEST_SECONDS = 300
TESTS_FAILED = 1
"""pytest's exit code for it; 2 and above mean that it did not run as asked."""


@dataclass(frozen=True)
class Mutant:
    name: str
    file: str
    old: str
    new: str
    test: str = ""
    seeds: tuple[int, ...] = ()
    """Of the simulation, instead of a test: one of them must fail. A change of the simulation itself gives a seed another
    night; find others with `make simulate` in a copy that has the fault."""


STREAM, DOMAIN = "tally_stream/stream", "tally_stream/domain"
MUTANTS = (
    Mutant("commit past a run that was not acked", f"{STREAM}/batching.py",
           "            if not receipt.is_acked:\n                break\n", "",
           "tests/stream/test_batching_contract.py::test_an_early_ack_waits_for_the_runs_before_it"),
    Mutant("wait for acks of what was committed before", f"{STREAM}/batching.py",
           "while receipts and receipts[0].last_offset < committed:", "while False:",
           "tests/stream/test_batching_contract.py::test_runs_below_the_committed_offset_need_no_ack"),
    Mutant("hand over records out of their place", "tally_stream/kafka/batches.py",
           "if record.offset != due or due == end:", "if False:", "tests/stream/test_inflate.py"),
    Mutant("inflate one block over another", "tally_stream/kafka/inflate.py",
           "into[count:])", "into)", "tests/stream/test_inflate.py"),
    Mutant("one for each member, the rest for nobody", f"{STREAM}/shares.py",
           "least, larger_count = divmod(len(partitions), len(readers))",
           "least, larger_count = 0, min(len(partitions), len(readers))", "tests/stream/test_shares.py"),
    Mutant("move what need not move", f"{STREAM}/shares.py",
           "kept[: sizes[member]]", "kept[: sizes[member] - 1]", "tests/stream/test_shares.py"),
    Mutant("let an older claim win", f"{STREAM}/shares.py",
           "member.generation > other[0]", "member.generation < other[0]", "tests/stream/test_shares.py"),
    Mutant("the larger share beside the partials", f"{STREAM}/shares.py",
           "<= least, work[member], member)", "<= least, -work[member], member)", "tests/stream/test_shares.py"),
    Mutant("forget since when a member has what it has", f"{STREAM}/batching.py",
           "            self._assignor.on_generation(generation)\n", "", "tests/stream/test_batching_contract.py"),
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
    Mutant("subscribe before what acts on an assignment", f"{STREAM}/batching.py",
           "        await self.recovery.start()\n        await self._update_channels()\n",
           "        await self._update_channels()\n        await self.recovery.start()\n",
           "tests/stream/test_batching_contract.py"),
    Mutant("take a wide table for right without a look at its ids", "tally_stream/wire/plain_stations.py",
           "_require(all(map(is_id, ids)) and not any", "_require(not any", "tests/wire/test_plain_stations.py"),
    Mutant("send a partial before its changes", f"{STREAM}/counting.py",
           "            await asyncio.gather(*below)\n", "            pass\n", "tests/stream/test_counting.py"),
    Mutant("commit before the acknowledgement", f"{STREAM}/counting.py",
           "await asyncio.gather(*futures)", "[0] * len(futures)", "tests/stream/test_counting.py"),
    Mutant("commit a run that no partial has", f"{STREAM}/counting.py",
           "owned.events[0][0] < below:", "owned.events[0][0] <= below:", "tests/stream/test_counting.py"),
    Mutant("forget kept outputs in a rebalance", f"{STREAM}/counting.py",
           "            if partition in self.partitions:\n",
           "            if partition in self.partitions:\n                self.partitions[partition].unacknowledged.clear()\n",
           "tests/stream/test_counting.py"),
    Mutant("skip the continuity check", f"{STREAM}/counting.py",
           "        if first != due:\n", "        if False:\n", "tests/stream/test_counting.py"),
    Mutant("fold a jump back", f"{STREAM}/counting.py",
           "if not run.after_seek:", "if False:", "tests/stream/test_counting.py"),
    Mutant("accept an older partial", f"{DOMAIN}/standings.py",
           "figures.next_offset <= old.next_offset:", "figures.next_offset == old.next_offset:",
           "tests/stream/test_merging.py"),
    Mutant("add a partial instead of the difference", f"{DOMAIN}/standings.py",
           "[n - o for n, o in", "[n for n, o in", "tests/stream/test_merging.py"),
    Mutant("leave a twin's older record on top", f"{STREAM}/merging.py",
           "if offset > own.offset and version < own.version:", "if False:",
           "tests/stream/test_merging.py"),
    Mutant("go on above a standings topic made anew", f"{STREAM}/merging.py",
           "0 <= offset <= stood_at", "0 <= offset < stood_at", "tests/stream/test_merging.py"),
    Mutant("pass over whatever stands where an own partial should", f"{STREAM}/merging.py",
           "own is not None and own[1] == record.value", "own is not None",
           "tests/stream/test_merging.py"),
    Mutant("take an own partial before those that stand before it", f"{STREAM}/merging.py",
           "if self._put_own():", "if self._put(figures) is None:", "tests/stream/test_merging.py"),
    Mutant("publish behind a published root", f"{STREAM}/merging.py",
           "        if not behind:\n", "        if True:\n", "tests/stream/test_merging.py"),
    Mutant("give up waiting a moment early", f"{STREAM}/merging.py",
           "> CATCH_UP_SECONDS:", ">= CATCH_UP_SECONDS:", "tests/stream/test_merging.py"),
    Mutant("drop the revision check", f"{DOMAIN}/ledger.py",
           "    if not 0 < r.revision - entry.top <= REVISION_STEP_MAX:\n", "    if r == entry.top_statement:\n",
           "tests/domain/test_sequence.py"),
    Mutant("add a report instead of the difference", f"{DOMAIN}/tally.py",
           "sums[i] += votes[i] - old_votes[i]", "sums[i] += votes[i]", "tests/domain/test_plain.py"),
    Mutant("A3 off by one", f"{DOMAIN}/rules.py",
           "if 100 * denominator * ballots <= numerator * station.registered:",
           "if 100 * denominator * ballots < numerator * station.registered:", "tests/domain/test_rules_arithmetic.py"),
    Mutant("round progress up to 100", f"{DOMAIN}/rounding.py",
           "if units >= hundred and (done < of or not is_finished):", "if False:", "tests/domain/test_progress.py"),
    Mutant("equal remainders in the other order", f"{DOMAIN}/rounding.py",
           "(-(votes[i] * scale % valid), i))", "(-(votes[i] * scale % valid), -i))", "tests/domain/test_rounding.py"),
    Mutant("certified before all is certified", f"{DOMAIN}/standings.py",
           "self.is_complete and all(f.is_certified for f in present)", "any(f.is_certified for f in present)",
           "tests/domain"),
    Mutant("a correction is no status", f"{DOMAIN}/standings.py",
           '        return "correction"\n', '        return "unofficial-complete"\n', "tests/domain/test_status.py"),
    # Some of them once more, seen from outside: by the auditor of the simulation, who knows only what was published.
    Mutant("commit before the acknowledgement", f"{STREAM}/counting.py",
           "await asyncio.gather(*futures)", "[0] * len(futures)", seeds=(1, 6, 9)),
    Mutant("forget what waits behind a hold at the commit", f"{STREAM}/counting.py",
           "held.take_below(owned.fold.figures(contest).next_offset)", "held.take_below(owned.fold.next_offset)",
           seeds=(0, 7, 12)),
    Mutant("forget kept outputs in a rebalance", f"{STREAM}/counting.py",
           "            if partition in self.partitions:\n",
           "            if partition in self.partitions:\n                self.partitions[partition].held_back.clear()\n",
           seeds=(21, 30, 47)),
    Mutant("accept an older partial", f"{DOMAIN}/standings.py",
           "figures.next_offset <= old.next_offset:", "figures.next_offset == old.next_offset:", seeds=(9, 31, 35)),
    Mutant("leave a twin's older record on top", f"{STREAM}/merging.py",
           "if offset > own.offset and version < own.version:", "if False:", seeds=(350, 647)),
    Mutant("all for one member", f"{STREAM}/shares.py",
           "least + (place < larger_count)", "len(partitions) * (place == 0)", seeds=(0, 1, 2)),
)  # fmt: skip


def pytest(copy: Path, *tests: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests], cwd=copy, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=TEST_SECONDS,
        # No bytecode: it is matched to its file by second and size, and a mutant is quicker than that.
        env={**os.environ, "PYTHONPATH": str(copy), "TALLY_TEST_INTERPRETED": "1", "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    return done.returncode, done.stdout


def simulation(copy: Path, seeds: Iterable[int]) -> list[tuple[int, str]]:
    """(seed, what it found wrong) of those that failed."""
    done = subprocess.run(
        [sys.executable, str(copy / "tests" / "simulation" / "run.py"), "--json", "--stop", "--jobs", "1",
         "--chosen", *map(str, seeds)], cwd=copy, text=True, capture_output=True, check=False, timeout=TEST_SECONDS,
        env={**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert done.stdout.startswith("{"), done.stdout + done.stderr
    return [(seed, sentence) for seed, sentence in json.loads(done.stdout)["failures"]]


def play_seeds(copy: Path, mutant: Mutant) -> tuple[bool, str]:
    for seed, sentence in simulation(copy, mutant.seeds):
        if re.match("the simulation itself failed|a step of the simulation failed|hung", sentence):
            return False, f"DID NOT RUN: seed {seed}: {sentence[:200]}"
        return True, f"seed {seed}: {sentence.splitlines()[0][:70]}"
    return False, "SURVIVED"


def run_test(copy: Path, mutant: Mutant) -> tuple[bool, str]:
    code, said = pytest(copy, mutant.test)
    failed = re.search(r"^FAILED (\S+)", said, re.MULTILINE)
    if code == TESTS_FAILED and failed:
        return True, failed[1].split("/")[-1]
    return False, "SURVIVED" if code == 0 else f"DID NOT RUN: exit {code}\n{said[-2000:]}"


def try_mutant(copy: Path, mutant: Mutant) -> tuple[bool, str]:
    """Whether it was caught, and by what; else why not."""
    path = copy / mutant.file
    text = path.read_text(encoding="utf-8")
    if text.count(mutant.old) != 1:
        return False, f"DOES NOT APPLY: its text stands {text.count(mutant.old)} times"
    path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
    try:
        return (play_seeds if mutant.seeds else run_test)(copy, mutant)
    except subprocess.TimeoutExpired:
        return False, f"DID NOT END in {TEST_SECONDS} s"
    finally:
        path.write_text(text, encoding="utf-8")


def main() -> int:
    copies: queue.Queue[Path] = queue.Queue()
    made = [Path(without_compiled()) for _ in range(COPIES)]
    try:
        with ThreadPoolExecutor(COPIES) as pool:
            tests = pool.submit(pytest, made[0], *sorted({m.test for m in MUTANTS if m.test}))
            seeds = pool.submit(simulation, made[1], sorted({seed for m in MUTANTS for seed in m.seeds}))
            (code, said), found = tests.result(), seeds.result()
        if code != 0 or found:
            print(f"the tests are red without a fault:\n{said[-4000:] if code else found}")
            return 1
        for copy in made:
            copies.put(copy)

        def one(mutant: Mutant) -> bool:
            copy, begin = copies.get(), time.monotonic()
            try:
                is_caught, by = try_mutant(copy, mutant)
            finally:
                copies.put(copy)
            print(f"{time.monotonic() - begin:5.1f} s  {mutant.name:46} {mutant.file:36} {by}", flush=True)
            return is_caught

        with ThreadPoolExecutor(COPIES) as pool:
            caught = list(pool.map(one, MUTANTS))
    finally:
        for copy in made:
            shutil.rmtree(copy, ignore_errors=True)
    print(f"{sum(caught)} of {len(caught)} faults caught")
    return 0 if all(caught) else 1


if __name__ == "__main__":
    sys.exit(main())
