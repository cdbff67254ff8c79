"""No way in which the outstanding ballots can fall breaks what the standings said was certain.

Each case is a small night; the product says what is certain of it, and every completion is looked at. Short here; all pairs
of stations, and more drawn nights, with `python -m tests.certainty.run`.
"""

from collections import Counter

from tests.certainty.checking import Count, checked
from tests.certainty.nights import CONTESTS, SEATS, SEVERAL, some_cases, some_cases_of_seats, some_cases_of_several_votes

CASES, SEATS_CASES, SEVERAL_CASES, SEED = 3_000, 600, 450, 20_241_130


def test_no_completion_breaks_a_certainty() -> None:
    count: Count = Counter()
    for case in some_cases(CASES, SEED):
        count += checked(case)
    print(f"\n{CASES:,} small nights, every completion: " + ", ".join(f"{n:,} {what}" for what, n in sorted(count.items())))
    assert all(count[state] > 5 for state in ("decided", "runoff", "tie", "undecided", "none")), count
    assert count["elected beside an open seat"] > 10, count
    assert count["completions"] > 10_000, count


def test_no_completion_takes_a_seat_that_was_certain() -> None:
    count: Count = Counter()
    for case in some_cases_of_seats(SEATS_CASES, SEED):
        count += checked(case)
    print(f"\n{SEATS_CASES:,} small proportional nights: " + ", ".join(f"{n:,} {what}" for what, n in sorted(count.items())))
    assert all(count[state] > 5 for state in ("decided", "tie", "undecided", "none")), count
    assert count["seats said to be certain with ballots out"] > 50, count
    assert count["completions"] > 2_000, count


def test_nor_where_a_ballot_has_several_votes() -> None:
    count: Count = Counter()
    for case in some_cases_of_several_votes(SEVERAL_CASES, SEED):
        count += checked(case)
    print(
        f"\n{SEVERAL_CASES:,} small nights of several votes: " + ", ".join(f"{n:,} {what}" for what, n in sorted(count.items()))
    )
    assert all(count[state] > 3 for state in ("decided", "tie", "undecided", "none")), count
    assert count["elected beside an open seat"] > 10, count
    assert count["completions"] > 2_000, count


def test_the_cases_have_every_method_and_base() -> None:
    allocations = [c.allocation for c in SEATS if c.allocation]
    assert {a.method for a in allocations} == {"dhondt", "sainte-lague", "sainte-lague-1.4", "hare"}
    assert {a.threshold_base for a in allocations} == {"valid", "valid-and-blank", "cast"}
    assert {a.tie for a in allocations} == {"nobody", "more-votes"}
    assert {(a.method, bool(c.combinations)) for a, c in zip(allocations, SEATS, strict=True)} == {
        (a.method, is_combined) for a in allocations for is_combined in (True, False)
    }
    assert {(c.rule, c.votes_per_ballot) for c in SEVERAL} == {
        ("plurality", 2), ("plurality", 3), ("majority", 2), ("proportional", 2), ("proportional", 3),
    }  # fmt: skip


def test_the_cases_have_every_rule() -> None:
    assert {(c.rule, c.majority_base, c.majority is not None and c.majority.or_percent is not None) for c in CONTESTS} == {
        ("majority", "valid", False), ("majority", "cast", False), ("majority", "valid", True), ("majority", "cast", True),
        ("plurality", "valid", False),
    }  # fmt: skip
