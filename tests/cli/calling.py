"""A command of the product, called as a user calls it."""

from __future__ import annotations

import os
import subprocess

from tests.support.paths import NIGHTS
from tests.support.preloaded import ran
from tests.support.processes import command

AZ = NIGHTS / "az-2024"


def call(*arguments: str, expect: int = 0, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    done = ran(command(*arguments), {**os.environ, **environment}, 60, stdin)
    assert done.returncode == expect, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done
