"""What the product publishes, as bytes: standings, partials, rejections (changes: `changes.py`).

Decides keys and canonical JSON (RFC 8785: sorted keys, shortest escapes; our messages hold no numbers but integers).
Every function is pure: the same values give the same bytes, which is what lets a stranger compare.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from tally_stream.domain.election import Election
from tally_stream.domain.fold import Figures
from tally_stream.domain.ledger import Verdict
from tally_stream.domain.rules import message_of
from tally_stream.domain.tally import SCALARS, SUMS, integers_per_area
from tally_stream.wire.limits import PARTIAL_MAX_BYTES, REJECTION_KEY_MAX_BYTES, REJECTION_VALUE_MAX_BYTES

_encoder = msgspec.json.Encoder(order="sorted")


def canonical_json(message: dict[str, Any]) -> bytes:
    """RFC 8785 for values made of objects, arrays, text, integers, booleans and null."""
    return _encoder.encode(message)


def standings_key(contest_id: str, area_id: str) -> bytes:
    return f"{contest_id}|{area_id}".encode()


def record_key(partition: int, offset: int) -> bytes:
    """Key of a rejection or change: the report's own place."""
    return b"%d/%d" % (partition, offset)


def _source(topic: str, partition: int, offset: int, log_ms: int) -> dict[str, Any]:
    return {"topic": topic, "partition": partition, "offset": offset, "timestamp": log_ms}


def encode_rejection(
    election: Election,
    topic: str,
    partition: int,
    offset: int,
    log_ms: int,
    key: bytes | None,
    value: bytes | None,
    verdict: Verdict,
) -> bytes:
    """A refused or held record with its raw bytes: the key and value are cut at 64 KiB, length and SHA-256 are whole."""
    return canonical_json(
        {
            "schema": 1,
            "verdict": verdict.name,
            "codes": [f.code for f in verdict.findings],
            "details": [{"code": f.code, "message": message_of(f), "left": f.left, "right": f.right} for f in verdict.findings],
            "source": _source(topic, partition, offset, log_ms),
            "definition": election.digest,
            "key_base64": None if key is None else base64.b64encode(key[:REJECTION_KEY_MAX_BYTES]).decode(),
            "value_base64": None if value is None else base64.b64encode(value[:REJECTION_VALUE_MAX_BYTES]).decode(),
            "value_bytes": None if value is None else len(value),
            "value_sha256": None if value is None else hashlib.sha256(value).hexdigest(),
        }
    )


class ForeignPartial(Exception):
    """A partial of another definition or another partition count; `args` is the sentence for the operator."""

    def __init__(self, sentence: str, definition: str) -> None:
        super().__init__(sentence)
        self.definition = definition


class Partial(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One flush of a worker: the cumulative sums of one partition for one contest, from offset 0 to below `next_offset`.
    Key: `<contest>|<partition>`. What the integers of an area mean stands in docs/wire-format.md, "Partials"."""

    schema: Literal[1]
    definition: str
    contest: str
    partition: Annotated[int, Meta(ge=0)]
    partitions: Annotated[int, Meta(ge=1)]
    next_offset: Annotated[int, Meta(ge=0)]
    newest_ms: int | None
    hold: bool
    certify: bool
    areas: dict[str, list[int]]


_partial_decoder = msgspec.json.Decoder(Partial)
_partial_encoder = msgspec.json.Encoder()
"""Writes the fields in the order in which they stand there: partials are read by workers, so not canonical."""


def partial_key(contest_id: str, partition: int) -> bytes:
    return f"{contest_id}|{partition}".encode()


def encode_partial(election: Election, figures: Figures, partition_count: int) -> bytes:
    """One flush: the whole of a partition's touched areas. Raises ValueError above 512 KiB, which a definition that
    was accepted can't reach."""
    areas = election.areas
    value = _partial_encoder.encode(
        Partial(
            schema=1,
            definition=election.digest,
            contest=election.contests[figures.contest].id,
            partition=figures.partition,
            partitions=partition_count,
            next_offset=figures.next_offset,
            newest_ms=figures.newest_ms,
            hold=figures.is_on_hold,
            certify=figures.is_certified,
            areas={areas[index].id: integers for index, integers in sorted(figures.areas.items())},
        )
    )
    if len(value) > PARTIAL_MAX_BYTES:
        raise ValueError(f"a partial of {len(value)} bytes; at most {PARTIAL_MAX_BYTES} are sent")
    return value


def widest_partial_bytes(election: Election) -> int:
    """An upper bound for one partial of the widest contest, in bytes: every area, every integer at its widest.

    A sum of counts has at most 9 digits more than the number of stations it is over, and a sign.
    """
    stations_in = dict.fromkeys(election.leaf_areas, 0)
    for station in election.stations.values():
        stations_in[station.leaf] += 1
    counters = len(SCALARS) - len(SUMS)
    widest = 0
    for contest, leaves in zip(election.contests, election.contest_leaves, strict=True):
        sums = len(contest.candidate_ids) + len(SUMS)
        total = 400
        for area in leaves:
            digits = len(str(stations_in[area]))
            total += len(election.areas[area].id.encode()) * 2 + 8
            total += sums * (digits + 9 + 2) + counters * (digits + 2)
        widest = max(widest, total)
    return widest


class PartialReader:
    """Reads the partials of one election and partition count."""

    def __init__(self, election: Election, partition_count: int) -> None:
        self.election = election
        self.partition_count = partition_count
        self._area_index = {election.areas[index].id: index for index in election.leaf_areas}

    def read(self, value: bytes) -> Figures:
        """Figures of a partial. Raises ForeignPartial for another digest or N, ValueError for anything else wrong."""
        try:
            p = _partial_decoder.decode(value)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ValueError(f"not a partial: {error}") from error
        if p.definition != self.election.digest:
            raise ForeignPartial(
                f"a partial of definition {p.definition}, this worker counts {self.election.digest}", p.definition
            )
        if p.partitions != self.partition_count:
            raise ForeignPartial(
                f"a partial made for {p.partitions} partitions, the reports topic has {self.partition_count}",
                p.definition,
            )
        contest = self.election.contest_index(p.contest)
        if contest is None or p.partition >= p.partitions:
            raise ValueError(f"a partial of contest {p.contest!r}, partition {p.partition} at {p.next_offset}")
        width = integers_per_area(len(self.election.contests[contest].candidate_ids))
        areas = {}
        for area_id, integers in p.areas.items():
            index = self._area_index.get(area_id)
            if index is None or len(integers) != width:
                raise ValueError(f"a partial with {len(integers)} integers for area {area_id!r}")
            areas[index] = integers
        return Figures(contest, p.partition, p.next_offset, p.newest_ms, p.hold, p.certify, areas)


class PublishedStandings(msgspec.Struct, frozen=True):
    """The fields of a standings message that a worker needs of one it finds on the topic."""

    definition: str
    contest: str
    area: str
    version: int
    provenance: dict[str, Any]

    @property
    def next_offsets(self) -> dict[str, int]:
        offsets: dict[str, int] = self.provenance["next_offsets"]
        return offsets


_standings_decoder = msgspec.json.Decoder(PublishedStandings)


def read_published(value: bytes) -> PublishedStandings:
    """Raises ValueError on anything that is no standings message."""
    try:
        published = _standings_decoder.decode(value)
        if not all(isinstance(o, int) for o in published.next_offsets.values()):
            raise ValueError("next_offsets are not integers")
    except (msgspec.MsgspecError, UnicodeDecodeError, KeyError, AttributeError) as error:
        raise ValueError(f"not a standings message: {error}") from error
    return published
