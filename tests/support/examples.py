"""How many examples a property is tried on: the same ones on every run, fewer of them in the interpreted lane, or new ones
in a hunt."""

import os

from hypothesis import HealthCheck, settings

HUNT = int(os.environ.get("TALLY_TEST_HUNT", "0"))
ONE_IN = int(os.environ.get("TALLY_TEST_ONE_EXAMPLE_IN", "1"))


def examples(count: int) -> settings:
    """The same examples on every run; with `TALLY_TEST_HUNT=n` n times as many, new ones each time. With
    `TALLY_TEST_ONE_EXAMPLE_IN=n` an nth: in the lane that runs beside one that tries them all."""
    return settings(
        max_examples=max(1, count * max(1, HUNT) // ONE_IN),
        derandomize=not HUNT,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
