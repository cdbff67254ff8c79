"""What a worker may end of, each with the faults that explain it: whatever is not in this list fails its seed.

A list of what is allowed, not of what is not: an ending that nobody has thought of yet is a find. A fault explains an
ending only where it has happened, in this very seed, before. Refuses to know what else follows of an ending (`world.py`).
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

LOST_LOG = "shortened log"
PLACE = r"( \([\w./-]+:\d+\))?"
"""Where in the code it came from, behind most sentences."""


@dataclass(frozen=True)
class Ending:
    """`sentence`: a pattern for the whole of it. One of `faults` must have come before, and `order` too if there is one."""

    sentence: str
    faults: tuple[str, ...]
    order: str | None = None

    def explains(self, reason: str, faults: Counter[str]) -> bool:
        is_it = re.fullmatch(f"(?:{self.sentence}){PLACE}", reason, re.DOTALL) is not None
        return is_it and any(faults[f] for f in self.faults) and (self.order is None or faults[self.order] > 0)


OUT_OF_REACH = ("freeze", "silent broker", "lost request")
NO_ANSWER = ("silent broker", "lost request")
LAST_HEARTBEAT = "the last answered heartbeat is older than the session: nothing more is sent"
NO_BOOTSTRAP = r"KafkaConnectionError\W+Unable to bootstrap from .*"
LOST_RECORDS = r"the report log lost records: partition \d+, from \d+, to \d+ \(.*\)"

ALLOWED = (
    Ending("killed", ("kill",)),
    Ending("stopped", ("stop",)),
    Ending(r"did not stop within \d+ s", OUT_OF_REACH, "stop"),
    # Out of the group's reach for longer than a session: by a freeze, or because what it asked or was told was lost.
    Ending("the group no longer knows this worker: its session ended, or another process has its instance id", OUT_OF_REACH),
    Ending(r"no answered heartbeat for [\d.]+ s: the session is over", OUT_OF_REACH),
    Ending(f"publishing (partition \\d+|standings) failed: {LAST_HEARTBEAT}", OUT_OF_REACH),
    Ending(rf"agent count_reports failed: BrokenInvariant\('{LAST_HEARTBEAT}'\)", OUT_OF_REACH),
    # The start, or a reader of its own, against brokers that do not answer.
    Ending(f"(failed|could not start): {NO_BOOTSTRAP}", NO_ANSWER),
    Ending(f"reading tally.(standings|reports) failed: {NO_BOOTSTRAP}", NO_ANSWER),
    # A leader whose own metadata is late gives nobody nothing: it ends, and another one leads.
    Ending(
        r"""group coordination failed: KafkaError\('RuntimeError\("the group\\'s leader does not know the partitions of """
        r"""tally\.\w+(, tally\.\w+)*"\)'\)""", ("delay", *OUT_OF_REACH),
    ),
    # Refused for good by a broker.
    Ending(
        r"a client without a login has no right to Write topic tally\.\w+: an access rule \(ACL\) is missing", ("fatal answer",)
    ),
    Ending(r"publishing (partition \d+|standings) failed: \[Error -1\] UnknownError", ("fatal answer",)),
    # The log is shorter than what stands on it: found at the start, at an assignment, or while reading.
    Ending(f"(refused: )?{LOST_RECORDS}", (LOST_LOG,)),
    Ending(rf"seeking failed: BrokenInvariant\(['\"]{LOST_RECORDS}['\"]\)", (LOST_LOG,)),
    Ending(r"the log lost records: no record to read at tally\.reports\[\d+\] at \d+", (LOST_LOG,)),
)  # fmt: skip


def is_explained(reason: str, faults: Counter[str]) -> bool:
    """Whether a worker may end of this, after these faults."""
    return any(ending.explains(reason, faults) for ending in ALLOWED)
