"""A statement about a key, the same bytes in every partition: sent, and read back until it is in force in each.

Decides what is due: a new statement, or the copies that are missing of one that was begun and says the same. What is lost if
the process dies: nothing that a broker has acknowledged; run again, the missing copies are sent. Refuses to know files
(`signing_key.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import time

from tally_stream.domain.election import Election
from tally_stream.domain.fold import PartitionFold
from tally_stream.domain.ledger import Verdict
from tally_stream.domain.report import KeyStatement
from tally_stream.domain.rules import Finding, message_of
from tally_stream.kafka.client import StoredRecord, TopicReader, sender
from tally_stream.settings import Settings
from tally_stream.station.authority import Seal, read_back, send_copies
from tally_stream.station.entry import encoded
from tally_stream.station.orders import OrderRefused, refused_by
from tally_stream.wire.envelope import to_base64
from tally_stream.wire.reading import ReportReader
from tally_stream.wire.run import read_record
from tally_stream.wire.signed import read_signed
from tally_stream.wire.signing import Signing


def key_statement_bytes(election: Election, order: KeyStatement) -> bytes:
    """The statement as it is signed."""
    fields: dict[str, object] = {"schema": 1, "election": election.id, "phase": election.phase, "key_id": order.key_id}
    fields |= {"revision": order.revision, "kind": "key", "action": order.action}
    if order.action == "add":
        fields |= {"holder": order.holder, "station": order.station, "kinds": " ".join(sorted(order.kinds))}
        fields["public_key"] = to_base64(order.public_key)
    fields |= {"reason": order.reason, "authority": order.authority}
    return encoded(fields)


@dataclass(frozen=True, slots=True)
class KeyOrderDue:
    """The statement with its revision, and the partitions that lack it: none where it stands in all."""

    statement: KeyStatement
    partitions: tuple[int, ...]


def due_of(folds: Sequence[PartitionFold], order: KeyStatement) -> KeyOrderDue:
    """What is to be sent where these folds stand; the order's own revision says nothing."""
    newest = [fold.keys.newest(order.key_id) for fold in folds]
    top = max((said.revision for said in newest if said is not None), default=0)
    same = replace(order, revision=top)
    if top and any(said == same for said in newest):
        lacking = tuple(fold.partition for fold, said in zip(folds, newest, strict=True) if said != same)
        if all(newest[p] is None or newest[p].revision < top for p in lacking):  # type: ignore[union-attr]  # looked at before
            return KeyOrderDue(same, lacking)
    return KeyOrderDue(replace(order, revision=top + 1), tuple(fold.partition for fold in folds))


async def give_key_order(
    settings: Settings, election: Election, folds: Sequence[PartitionFold], order: KeyStatement, seal: Seal
) -> tuple[KeyOrderDue, dict[int, int]]:
    """Bring it into force, reading on where the folds stand; with it, partition → the offset of what was sent now. Raises
    OrderRefused with the rule's reason, and KafkaError where no broker answers."""
    topic = f"{settings.prefix}.reports"
    async with TopicReader(settings, topic, is_log=True) as reader, sender(settings) as producer:
        await reader.seek({fold.partition: fold.next_offset for fold in folds})
        due = due_of(folds, order)
        if not due.partitions:
            return due, {}
        key, value = order.key_id.encode(), seal(key_statement_bytes(election, due.statement))
        finding = why_refused(election, folds[due.partitions[0]], key, value, int(time() * 1000))
        if finding is not None:
            raise refused_by(finding)
        offsets = await send_copies(producer, topic, due.partitions, key, value, "the statement")
        reports = ReportReader(election)

        def take(r: StoredRecord) -> Verdict:
            return read_record(reports, folds[r.partition], r.offset, r.timestamp_ms, r.key, r.value)

        verdicts = await read_back(reader, offsets, take)
    for partition, verdict in sorted(verdicts.items()):
        if verdict.name not in ("counted", "repeated"):
            sentence = message_of(verdict.findings[0])
            raise OrderRefused(
                f"partition {partition}: {sentence}: run it again, it sends what lacks", verdict.findings[0].code
            )
    return due, offsets


def why_refused(election: Election, fold: PartitionFold, key: bytes, value: bytes, now_ms: int) -> Finding | None:
    """Why a signed statement would be refused now; None where it would not."""
    read = read_signed(ReportReader(election), Signing(fold.keys, now_ms), value, key)
    return read if isinstance(read, Finding) else None
