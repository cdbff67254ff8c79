"""A receipt to keep: as JSON for programs, and as a page of text for the clerk who signs for the paper.

Decides the words. What became of a statement stands in `receipts.py`.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from tally_stream.domain.election import Election
from tally_stream.domain.scalars import format_time
from tally_stream.station.checking import TURNOUT
from tally_stream.station.receipts import StationReceipt
from tally_stream.station.spool import Spooled
from tally_stream.wire.signed import statement_in

# A verdict never changes, and nobody reads of later orders for a receipt: the words have to stay true after them.
SPOKEN = {
    "waiting": "waiting: it is not known yet what became of it",
    "counted": "counted when it was read: it is in the published figures unless a later revision or an order of an authority "
               "has replaced it since",
    "held": "held when it was read: it is not counted unless an authority has accepted it since; a correction replaces it",
    "rejected": "refused: it is not counted and never will be; put it right and send it as a new revision",
    "stale": "refused as older: a higher revision of this station was there before, as from a second machine, or as an order "
             "of an authority. If this one is newer, send it with a higher --revision",
    "conflicting": "refused as conflicting: this revision was there before with other content, as from a second machine with "
                   "this station's identity, or as an order of an authority. Compare both with the paper; a higher --revision "
                   "settles it",
}  # fmt: skip
NOT_SENT = "waiting: no broker has acknowledged it yet; it is kept here and sent again and again"


def sentence_of(spooled: Spooled, receipt: StationReceipt) -> str:
    """What became of it, in one sentence, with the reasons."""
    if spooled.offset is None and not receipt.is_final:
        return NOT_SENT + (f" ({spooled.last_error})" if spooled.last_error else "")
    said = SPOKEN[receipt.state]
    if spooled.offset is None:
        said += " (said by an intake; of a try before, its answer may be lost)" if spooled.tries > 1 else " (said by an intake)"
    if receipt.version is not None:
        said += f" (version {receipt.version})"
    if receipt.is_of_a_copy:
        said += " (said of the same statement, sent before)"
    reasons = [f"{code}: {sentence}" for code, sentence in zip(receipt.codes, receipt.sentences, strict=False)]
    return "; ".join([said, *reasons])


def as_json(spooled: Spooled, receipt: StationReceipt, election: Election, topic: str, now_ms: int) -> dict[str, Any]:
    return {
        "receipt": 1, "election": election.id, "topic": topic, "station": spooled.station,
        "contest": None if spooled.sequence == TURNOUT else spooled.sequence, "revision": spooled.revision,
        "kind": spooled.kind, "state": receipt.state, "is_sent": spooled.offset is not None, "codes": list(receipt.codes),
        "sentences": list(receipt.sentences), "is_of_a_copy": receipt.is_of_a_copy, "partition": spooled.partition,
        "offset": spooled.offset, "value_sha256": hashlib.sha256(spooled.value).hexdigest(),
        "value": spooled.value.decode("utf-8", "backslashreplace"), "definition": receipt.definition,
        "version": receipt.version, "kept_at": format_time(spooled.kept_ms),
        "sent_at": None if spooled.sent_ms is None else format_time(spooled.sent_ms), "looked_at": format_time(now_ms),
    }  # fmt: skip


def page(spooled: Spooled, receipt: StationReceipt, election: Election, topic: str, now_ms: int) -> str:
    """One page of text."""
    station = election.stations.get(spooled.station)
    contest = next((c.name for c in election.contests if c.id == spooled.sequence), None)
    fields = _fields(spooled)
    lines = [
        ("Receipt", f"{election.name} ({election.id})"),
        ("Polling station", spooled.station + (f", {station.name}" if station else "")),
        ("Contest", f"{spooled.sequence}, {contest}" if contest else "voters so far (turnout)"),
        ("Statement", f"{spooled.kind}, revision {spooled.revision}"),
        *_correction(fields),
        ("What became of it", sentence_of(spooled, receipt)),
        *_figures(fields, spooled.sequence, election),
        ("Kept here", format_time(spooled.kept_ms)),
        ("Acknowledged", "not yet" if spooled.sent_ms is None else format_time(spooled.sent_ms)),
        ("Where it stands", "nowhere yet" if spooled.waits else "it was not taken" if spooled.offset is None
         else f"{topic}, partition {spooled.partition}, offset {spooled.offset}"),
        ("Judged by", receipt.definition or "not yet"),
        ("SHA-256 of it", hashlib.sha256(spooled.value).hexdigest()),
        ("Looked at", format_time(now_ms)),
    ]  # fmt: skip
    return "".join(f"{name + ':':<20}{text}\n" for name, text in lines)


def _fields(spooled: Spooled) -> dict[str, Any]:
    """The statement's own, as they were sent; none where it cannot be read."""
    try:
        fields = json.loads(statement_in(spooled.value) or b"")
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}


def _correction(fields: dict[str, Any]) -> list[tuple[str, str]]:
    """What it replaces, why, and who decided it: the clerk signs for these too."""
    found = [("Replaces", "replaces"), ("Reason", "reason"), ("Authority", "authority")]
    said = [(head, fields.get(name)) for head, name in found]
    return [(head, f"revision {text}" if head == "Replaces" else str(text)) for head, text in said if text is not None]


def _figures(fields: dict[str, Any], sequence: str, election: Election) -> list[tuple[str, str]]:
    names = {k.id: k.name for contest in election.contests if contest.id == sequence for k in contest.candidates}
    found = [(name, fields[name]) for name in ("counted_at", "registered", "as_of", "voted") if fields.get(name) is not None]
    found += list((fields.get("ballots") or {}).items())
    found += [(names.get(id, id), count) for id, count in (fields.get("votes") or {}).items()]
    return [(f"  {name}", str(figure)) for name, figure in found if figure is not None]
