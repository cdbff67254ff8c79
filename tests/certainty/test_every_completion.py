"""No way in which the outstanding ballots can fall breaks what the standings said was certain.

Each case is a small night; the product says what is certain of it, and every completion is looked at. Short here; all pairs
of stations with `python -m tests.certainty.run`.
"""

from collections import Counter

from tests.certainty.checking import Count, checked
from tests.certainty.nights import CONTESTS, some_cases

CASES, SEED = 3_000, 20_241_130


def test_no_completion_breaks_a_certainty() -> None:
    count: Count = Counter()
    for case in some_cases(CASES, SEED):
        count += checked(case)
    print(f"\n{CASES:,} small nights, every completion: " + ", ".join(f"{n:,} {what}" for what, n in sorted(count.items())))
    assert all(count[state] > 5 for state in ("decided", "runoff", "tie", "undecided", "none")), count
    assert count["elected beside an open seat"] > 10, count
    assert count["completions"] > 10_000, count


def test_the_cases_have_every_rule() -> None:
    assert {(c.rule, c.majority_base, c.majority is not None and c.majority.or_percent is not None) for c in CONTESTS} == {
        ("majority", "valid", False), ("majority", "cast", False), ("majority", "valid", True), ("majority", "cast", True),
        ("plurality", "valid", False),
    }  # fmt: skip
