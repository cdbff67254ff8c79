"""The brokers, for every test folder; see support/brokers.py."""

import os
import signal
from collections.abc import Iterator

import pytest

from tally_stream.cli.lifeline import end_with_parent
from tally_stream.domain import fold
from tests.support.brokers import embedded_broker, kafka_of_its_own, kafka_one, kafka_secured, kafka_three
from tests.support.compiled import out_of_date
from tests.support.paths import ROOT

__all__ = ["embedded_broker", "kafka_of_its_own", "kafka_one", "kafka_secured", "kafka_three"]


def pytest_configure() -> None:
    """Python prefers a compiled module to its file: a test of a stale one would say nothing of the file."""
    end_with_parent()
    # A shell starts what it puts in the background without Ctrl-C, and every command started from here would be so too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    is_compiled = not fold.__file__.endswith(".py")
    if os.environ.get("TALLY_TEST_INTERPRETED") and is_compiled:
        raise pytest.UsageError(f"the interpreted lane runs compiled code: {fold.__file__}")
    if os.environ.get("TALLY_CI") and not os.environ.get("TALLY_TEST_INTERPRETED") and not is_compiled:
        raise pytest.UsageError(f"the counting code is not compiled: {fold.__file__}")
    refused = out_of_date(ROOT)
    if refused:
        raise pytest.UsageError(f"{refused}; run make setup")


@pytest.fixture
def hangup_ends() -> Iterator[None]:
    """Whatever is started meanwhile ends at SIGHUP, though these tests may run under nohup, which ignores it for all below."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)
