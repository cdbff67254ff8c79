"""What is said of a report log that lost records, in the words that the runbook has too.

Decides the sentence, and when the two ends of a partition alone show a loss. Refuses to know who needs the records: whoever
asks says how far it must reach, and why. Read next: `stream/starting.py` and `stream/counting.py`, which end on it.
"""

from __future__ import annotations


def lost_records(partition: int, first: int, last: int, why: str = "") -> str:
    """`why`: who says that they were there, where the records around them do not."""
    sentence = f"the report log lost records: partition {partition}, from {first}, to {last}"
    return f"{sentence} ({why})" if why else sentence


def lost_at_ends(partition: int, log_start: int, log_end: int, needed: int, why: str) -> list[str]:
    """A sentence for each end: where a partition begins above 0, and where it ends below `needed`, which `why` says."""
    found = []
    if log_start > 0:
        found.append(lost_records(partition, 0, log_start - 1, "the log must begin at offset 0"))
    if log_end < needed:
        found.append(lost_records(partition, log_end, needed - 1, why))
    return found
