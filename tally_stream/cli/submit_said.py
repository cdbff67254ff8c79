"""What `submit` says of statements before they are sent: a line for each, and one for each rule that has something to say.

Decides words. What there is to say stands in `station/checking.py`.
"""

from __future__ import annotations

from typing import Any

from tally_stream.domain.rules import Severity
from tally_stream.station.checking import Remark
from tally_stream.station.entry_values import Entered
from tally_stream.station.preparing import Prepared

_SPOKEN: dict[Severity, str] = {
    "reject": "refused", "error": "it would be held, not counted", "warning": "warning", "information": "note",
}  # fmt: skip


def lines_of(prepared: Prepared, entered: Entered | None) -> list[str]:
    """For people. `entered`: as a file has it, None where it was typed here."""

    def at(field: str | None) -> str:
        return f"{prepared}" if entered is None else f"{entered.place_of(field)}: {prepared}"

    remarks = prepared.checked.remarks
    if not remarks:
        return [f"{at(None)}: nothing is wrong with it"]
    return [f"{at(remark.field)}: {_SPOKEN[remark.severity]}: {remark}" for remark in remarks]


def as_json(prepared: Prepared, entered: Entered) -> dict[str, Any]:
    """For programs."""
    return {
        "place": entered.place, "station": prepared.station, "sequence": prepared.sequence, "revision": prepared.revision,
        "kind": prepared.kind, "verdict": prepared.checked.verdict,
        "remarks": [_remark(remark, entered) for remark in prepared.checked.remarks],
    }  # fmt: skip


def _remark(remark: Remark, entered: Entered) -> dict[str, Any]:
    return {
        "code": remark.code, "severity": remark.severity, "sentence": remark.sentence, "left": remark.left,
        "right": remark.right, "place": entered.place_of(remark.field),
    }  # fmt: skip
