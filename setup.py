"""The compiled part of the package: the same Python files, through mypyc, where a C compiler is at hand.

Everything else is in pyproject.toml. Without a compiler, or with TALLY_PURE=1, the files run as they are, slower.
"""

import os

from setuptools import Extension, setup

COMPILED = (
    "tally_stream/domain/scalars.py",
    "tally_stream/domain/election.py",
    "tally_stream/domain/report.py",
    "tally_stream/domain/rules.py",
    "tally_stream/domain/ledger.py",
    "tally_stream/domain/tally.py",
    "tally_stream/domain/fold.py",
    "tally_stream/domain/outcome.py",
    "tally_stream/domain/rounding.py",
    "tally_stream/domain/standings.py",
    "tally_stream/wire/codec.py",
    "tally_stream/wire/changes.py",
)
"""What runs once for each record or change, and what it runs on. `make` reads this list."""


def extensions() -> list[Extension]:
    if os.environ.get("TALLY_PURE"):
        return []
    from mypyc.build import mypycify

    found = mypycify(list(COMPILED), opt_level="3", debug_level="0", group_name="tally_stream.compiled")
    for extension in found:
        extension.optional = True  # no compiler: a warning, and the package is built without
    return found


setup(ext_modules=extensions())
