"""The authority's desk: held and disputed stations, why, beside what is in force, oldest first, and what each needs.

Decides which stations stand there and which orders would settle them; `tally-stream held` and the board's page for operators
show it. It is fed with what a fold judged, and asks the fold's ledger what stands now. Refuses to know where records come
from, and who may look. Figures are those at the end of the log that was folded, also behind a hold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tally_stream.domain.election import Election
from tally_stream.domain.fold import PartitionFold
from tally_stream.domain.ledger import Entry, Verdict
from tally_stream.domain.report import Report, Statement
from tally_stream.domain.rules import Finding, message_of
from tally_stream.domain.scalars import format_time, murmur2_partition


@dataclass(frozen=True, slots=True)
class CasePlace:
    """The record that a case is about, and when the log took it."""

    partition: int
    offset: int
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class _Open:
    """Of one contest at one station: the held report's place and reasons, the first statement that contradicts another one."""

    held_at: CasePlace | None = None
    findings: tuple[Finding, ...] = ()
    disputed_at: CasePlace | None = None
    other: Report | None = None

    @property
    def since(self) -> CasePlace:
        found = [place for place in (self.held_at, self.disputed_at) if place is not None]
        return min(found, key=lambda place: (place.timestamp_ms, place.partition, place.offset))


@dataclass(frozen=True, slots=True)
class Need:
    """What would settle a case, and the command for it, the authority's or the station's; `command` is None where nothing is
    to be done."""

    what: str
    command: str | None


class Desk:
    """`take` each record that a fold has judged, right after it did; `cases` are those that are open now."""

    def __init__(self, election: Election) -> None:
        self._election = election
        self._open: dict[tuple[int, str], _Open] = {}
        self.keys: set[bytes] = set()
        """Record keys of the stations that are open: of others only what is held or conflicting changes anything here."""

    def concerns(self, key: bytes | None, verdict: Verdict) -> bool:
        """Whether a record has to be taken."""
        return verdict.name in ("held", "conflicting") or key in self.keys

    def take(self, fold: PartitionFold, place: CasePlace, read: Statement | Finding, verdict: Verdict) -> None:
        if not isinstance(read, Report) or verdict.name not in ("counted", "held", "conflicting"):
            return
        asked = read.contest, read.station.id
        entry = fold.entry(*asked)
        assert entry is not None, "something was judged there"
        known = self._open.get(asked, _Open())
        if verdict.name == "held":
            known = replace(known, held_at=place, findings=verdict.findings)
        elif entry.held is None:
            known = replace(known, held_at=None, findings=())
        if not entry.is_disputed:
            known = replace(known, disputed_at=None, other=None)
        elif verdict.name == "conflicting" and known.disputed_at is None:
            known = replace(known, disputed_at=place, other=read)
        if known.held_at is None and known.disputed_at is None:
            self._open.pop(asked, None)
        else:
            self._open[asked] = known
        self._note_key(read.station.id)

    def _note_key(self, station_id: str) -> None:
        is_open = any((contest, station_id) in self._open for contest in self._election.stations[station_id].contests)
        (self.keys.add if is_open else self.keys.discard)(station_id.encode())

    def count(self, contest: int | None = None) -> int:
        return sum(contest in (None, index) for index, _ in self._open)

    def cases(
        self,
        folds: Sequence[PartitionFold],
        contest: int | None = None,
        station: str | None = None,
        *,
        hides_counts: Callable[[int], bool] = lambda contest: False,
    ) -> list[dict[str, Any]]:
        """The open cases, oldest first, as a program reads them. `hides_counts(contest)`: figures are left out."""
        asked = [
            (known.since, index, id, known)
            for (index, id), known in self._open.items()
            if contest in (None, index) and station in (None, id)
        ]
        asked.sort(key=lambda one: (one[0].timestamp_ms, one[0].partition, one[0].offset))
        return [self._case(folds, *one, hides_counts=hides_counts(one[1])) for one in asked]

    def _case(
        self,
        folds: Sequence[PartitionFold],
        since: CasePlace,
        contest: int,
        station_id: str,
        known: _Open,
        *,
        hides_counts: bool,
    ) -> dict[str, Any]:
        election = self._election
        definition, station = election.contests[contest], election.stations[station_id]
        fold = folds[murmur2_partition(station_id.encode(), len(folds)) if len(folds) > 1 else 0]
        entry = fold.entry(contest, station_id)
        assert entry is not None, "a case has an entry"
        counts: Callable[[Report | None], Any] = lambda r: None if hides_counts else _counts(r, definition.candidate_ids)  # noqa: E731
        return {
            "since": format_time(since.timestamp_ms),
            "contest": definition.id,
            "station": station_id,
            "name": station.name,
            "area": election.areas[station.leaf].id,
            "is_annulled": entry.is_annulled,
            "in_force_revision": entry.in_force_revision,
            "in_force": counts(entry.counts_in_force),
            "held": counts(entry.held),
            "held_at": _place(known.held_at),
            "codes": [] if entry.held is None else [_finding(found, hides=hides_counts) for found in known.findings],
            "is_disputed": entry.is_disputed,
            "other": counts(known.other),
            "disputed_at": _place(known.disputed_at),
            "needs": [{"what": n.what, "command": n.command} for n in needs_of(entry, known.findings, definition.id)],
        }


def needs_of(entry: Entry, findings: Sequence[Finding], contest: str) -> list[Need]:
    """What would settle the case of a station, each by itself."""

    def order(kind: str) -> str:
        return f"tally-stream authority {kind} --contest {contest} --station {entry.station.id} --reason … --authority …"

    # Of counts that were accepted the accept's own revision is in force: with the report's a correction is refused (Q5).
    replaces = entry.in_force_revision or (entry.held.revision if entry.held else 0)
    corrects = f"tally-stream submit FILE --contest {contest} --kind correct --replaces {replaces} --reason … --authority …"

    if entry.is_annulled:
        return [
            Need(
                "the annulment was wrong: what it excluded counts again, and what is open here can be settled", order("restore")
            ),
            Need("the station stays excluded", None),
        ]
    found = []
    if entry.held is not None:
        is_late = any(finding.code == "Q4" for finding in findings)
        what = "it belongs to the certified result" if is_late else "the paper says the same, and it is to count as it is"
        found.append(Need(what, order("accept")))
        also = ", which is held too" if is_late else ""
        found.append(Need(f"it was typed wrong: the station sends a correction{also}", corrects))
    if entry.is_disputed:
        found.append(Need("one of the two sheets is right: the station sends it as a correction", corrects))
    if entry.held is not None or entry.counts is not None:
        also = "what is held and what is in force" if entry.held is not None and entry.counts is not None else "it"
        found.append(Need(f"none of it is right: {also} is taken back; the station is outstanding again", order("withdraw")))
    found.append(Need("the station is excluded from the result", order("annul")))
    return found


def _place(place: CasePlace | None) -> dict[str, Any] | None:
    if place is None:
        return None
    return {"partition": place.partition, "offset": place.offset, "time": format_time(place.timestamp_ms)}


def _finding(found: Finding, *, hides: bool) -> dict[str, Any]:
    """A rule with its sentence; its sentence has figures."""
    return {"code": found.code, "message": None if hides else message_of(found)}


def _counts(r: Report | None, candidate_ids: Sequence[str]) -> dict[str, Any] | None:
    """A statement's figures, in the order in which they stand on a sheet."""
    if r is None:
        return None
    figures: dict[str, int | None] = {
        "registered": r.registered, "cast": r.cast, "valid": r.valid, "blank": r.blank, "invalid": r.invalid,
        "undervotes": r.undervotes, "overvotes": r.overvotes,
    }  # fmt: skip
    has_counts = bool(r.votes)
    return {
        "revision": r.revision, "kind": r.kind, "complete": r.complete, "counted_at": r.counted_at,
        "ballots": figures if has_counts else None,
        "votes": dict(zip(candidate_ids, r.votes, strict=True)) if has_counts else None,
        "reason": r.reason, "authority": r.authority,
    }  # fmt: skip


def in_force_said(case: dict[str, Any]) -> str:
    """What is in force in a case, and under which revision; the report's own where that is another one."""
    revision, before = case["in_force_revision"], case["in_force"]
    if before is None:
        return f"nothing in force (revision {revision})" if revision else "nothing in force"
    own = "" if before["revision"] == revision else f", of report {before['revision']}"
    return f"in force (revision {revision}{own})"


def figures_side_by_side(case: dict[str, Any]) -> list[tuple[str, int | None, int | None]]:
    """(figure, in force, held or contradicting) of a case, those that neither has left out."""
    before, after = case["in_force"], case["held"] or case["other"]
    rows: list[tuple[str, int | None, int | None]] = []
    for part in ("ballots", "votes"):
        left, right = ((one or {}).get(part) or {} for one in (before, after))
        rows += [(name, left.get(name), right.get(name)) for name in (left or right)]
    return [row for row in rows if row[1:] != (None, None)]
