"""The brokers, for every test folder; see broker/brokers.py."""

import os
import re
import signal
from pathlib import Path

import pytest
from broker.brokers import embedded_broker, kafka_one, kafka_three

from tally_stream.cli.lifeline import end_with_parent
from tally_stream.domain import fold

__all__ = ["embedded_broker", "kafka_one", "kafka_three"]

ROOT = Path(__file__).parent.parent


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
    if not list(ROOT.glob("tally_stream/compiled__mypyc.*")):
        return
    stamp = ROOT / ".venv" / ".compiled"
    sources = re.findall(r"tally_stream/[a-z_/]*\.py", (ROOT / "setup.py").read_text())
    assert sources, "setup.py names what is compiled"
    stale = [name for name in sources if (ROOT / name).stat().st_mtime > stamp.stat().st_mtime]
    if stale:
        raise pytest.UsageError(f"compiled before it was changed: {', '.join(stale)}; run make setup")
