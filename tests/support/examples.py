"""How many examples a property is tried on: the same ones on every run, or new ones in a hunt."""

import os

from hypothesis import HealthCheck, settings

HUNT = int(os.environ.get("TALLY_TEST_HUNT", "0"))


def examples(count: int) -> settings:
    """The same examples on every run; with `TALLY_TEST_HUNT=n` n times as many, new ones each time."""
    return settings(
        max_examples=count * max(1, HUNT),
        derandomize=not HUNT,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
