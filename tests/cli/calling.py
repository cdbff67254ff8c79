"""A command of the product, called as a user calls it."""

from __future__ import annotations

import os
import subprocess

from tests.support.paths import NIGHTS
from tests.support.processes import command

AZ = NIGHTS / "az-2024"


def call(*arguments: str, expect: int = 0, stdin: str | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command(*arguments), capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **environment},
        input=stdin,
    )  # fmt: skip
    assert done.returncode == expect, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done
