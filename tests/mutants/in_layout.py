"""Imports that nobody drew, planted in any room."""

from tests.mutants.planted import Mutant

ARROWS = "tests/docs/test_arrows.py"

MUTANTS = (
    Mutant("let the client of Kafka know the domain", "tally_stream/kafka/following.py", "from __future__ import annotations\n",
           "from __future__ import annotations\n\nimport tally_stream.domain.scalars as _undrawn  # noqa: F401\n", ARROWS),
    Mutant("use a terminal's library on the board", "tally_stream/board/shown.py", "from __future__ import annotations\n",
           "from __future__ import annotations\n\nimport rich as _undrawn  # noqa: F401\n", ARROWS),
    Mutant("let two modules of one package import each other", "tally_stream/domain/scalars.py", "from __future__ import annotations\n",
           "from __future__ import annotations\n\nimport tally_stream.domain.election as _circle  # noqa: F401\n", ARROWS),
)  # fmt: skip
