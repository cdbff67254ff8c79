"""Faults planted in `domain/`."""

from tests.mutants.planted import DOMAIN, Mutant

MUTANTS = (
    Mutant("accept an older partial", f"{DOMAIN}/standings.py",
           "figures.next_offset <= old.next_offset:", "figures.next_offset == old.next_offset:",
           "tests/stream/test_merging.py"),
    Mutant("add a partial instead of the difference", f"{DOMAIN}/standings.py",
           "[n - o for n, o in", "[n for n, o in", "tests/stream/test_merging.py"),
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
)  # fmt: skip
