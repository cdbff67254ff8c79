"""The commands of docs/runbook.md as they stand there, carried out: page and test cannot differ.

Decides what a line means here: `tally-stream` is the product of this tree, a tool of Kafka's is run from the jars of the local
Kafka, and the names that the page uses (its election, its file, its prefix, its address) stand for a test's own. Refuses any
line that it does not know. `worker`, which does not end, is the test's to start.
"""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable, Mapping

from deploy.kafka.local.jars import JARS, find_java
from deploy.kafka.local.tools import TOOLS
from tally_stream.settings import Settings
from tests.support.doc_pages import marked
from tests.support.paths import DOCS
from tests.support.processes import run

TALLY = ".venv/bin/tally-stream"
STEPS = {name: block.text.splitlines() for name, block in marked(DOCS / "runbook.md", "recover").items()}
"""Name of a block → its lines."""

ELECTION, SAVED, ADDRESS, REPORTS = "az-2024", "reports-saved.jsonl.gz", "HOST:PORT", "tally.reports"

NOTHING_MORE: Mapping[str, tuple[str, ...]] = {}


def follow(
    name: str,
    settings: Settings,
    means: Mapping[str, str],
    start_worker: Callable[[list[str]], None],
    *,
    more: Mapping[str, tuple[str, ...]] = NOTHING_MORE,
) -> None:
    """The steps of a block; `means`: a word of the page → the test's own; `start_worker` gets the flags behind `--election DIR`;
    `more`: flags of `topics create` and `topics check`, where the topics had another replication."""
    means = {ADDRESS: settings.bootstrap, REPORTS: f"{settings.prefix}.reports", **means}
    for line in STEPS[name]:
        program, *words = (means.get(word, word) for word in shlex.split(line))
        if program in TOOLS:
            kafka_tool(TOOLS[program], *words)
        elif words[0] == "worker":
            start_worker(words[3:])
        else:
            assert program == TALLY, line
            run(*words, *(more.get(words[1], ()) if words[0] == "topics" else ()), settings=settings)


def kafka_tool(name: str, *words: str) -> str:
    """A tool of Kafka's; what it said."""
    command = [find_java() or "java", "-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp", f"{JARS}/*", name, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
