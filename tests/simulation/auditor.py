"""A second opinion on everything published: the raw report log, recomputed by the model written from the rules alone.

Takes records as the cluster keeps them, shares with the product the decoder and the definition, and no arithmetic
(`domain/model.py` walks the prefix). `Wrong` names the promise that is broken. Each check is made at the moment a record
is appended, when nobody can have acted on it yet:

- standings: the bytes are those of the vector they name (P01), one vector a version and one message a vector, which grows
  in every partition from version to version (P02), a total falls only where the changes that stand on their topic by then
  add up to it (P06), no progress lies (P07);
- pages: `changed_at` is where the model says that these areas changed, one value of each has one form (P02), and all that is
  owed below it was acknowledged before;
- marks: all of what they say is the model's, and everything owed below was acknowledged before;
- a commit: an acknowledged mark with acknowledged pages covers it, and all rejections and changes below it;
- folds in memory: their verdicts add up to their offsets and are the model's (P08).
"""

from __future__ import annotations

import base64
import hashlib
import json
from bisect import bisect
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tally_stream.domain.election import Election
from tally_stream.domain.pages import Layout
from tally_stream.domain.report import Report, Turnout
from tally_stream.wire.reading import ReportReader
from tests.simulation.cluster import Record
from tests.support.second_model import BALLOTS, Walk, message, step
from tests.support.second_model import Record as Judged

REJECTED = ("rejected", "held", "conflicting", "stale")
VOLATILE = ("version", "as_of", "provenance")
"""An area is not sent again when only these change."""

Vector = tuple[int, ...]


class Wrong(Exception):
    """A promise is broken: `args` is the sentence."""


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@dataclass
class Outputs:
    """Rejections or changes as they stand on their topic: (partition, offset) → bytes; and those acknowledged."""

    values: dict[tuple[int, int], bytes] = field(default_factory=dict)
    acknowledged: set[tuple[int, int]] = field(default_factory=set)


class Auditor:
    """The report log so far, and everything that was published on it."""

    def __init__(self, election: Election, prefix: str, partitions: int) -> None:
        self.election = election
        self.partitions = partitions
        self.reports = f"{prefix}.reports"
        self.raw: list[list[Record]] = [[] for _ in range(partitions)]
        self.logs: list[list[Judged]] = [[] for _ in range(partitions)]
        self.rejections, self.changes = Outputs(), Outputs()
        self.newest: dict[tuple[str, str], dict[str, Any]] = {}
        """(contest, area) → the message a reader shows: the one of the highest version."""
        self.vectors: dict[tuple[str, int], Vector] = {}
        self._versions: defaultdict[str, list[int]] = defaultdict(list)
        """Contest → its versions, in order."""
        self.layout = Layout(election)
        self.marks: defaultdict[int, set[int]] = defaultdict(set)
        """Partition → next offsets of acknowledged marks."""
        self.pages: set[tuple[int, int, int, int]] = set()
        """(contest, partition, page, changed_at) that were acknowledged."""
        self._page_values: dict[tuple[bytes, int], bytes] = {}
        self._touched: dict[int, list[list[tuple[int, int]]]] = defaultdict(list)
        """Partition → offset → the (contest, page) whose sums that record moved."""
        self.counts: Counter[str] = Counter()
        self._reader = ReportReader(election)
        self._index = {c.id: i for i, c in enumerate(election.contests)}
        self._walks: dict[tuple[Any, int], Walk] = {}
        self._expected: dict[tuple[str, str, Vector], bytes] = {}

    # -- the log and the model -------------------------------------------------------------------------------------

    def take_reports(self, partition: int, records: Sequence[Record]) -> None:
        for r in records:
            assert r.offset == len(self.raw[partition]), "the simulation appends in order"
            self.raw[partition].append(r)
            self.logs[partition].append((r.timestamp, r.key or b"", self._reader.read(r.value, r.key)))

    def walk(self, partition: int, length: int, reader: Any = None) -> Walk:
        """The prefix of that length, judged. Each `reader` goes forward through it once, mostly."""
        known = self._walks.get((reader, partition))
        if known is None or len(known.verdicts) > length:
            known = self._walks[reader, partition] = Walk()
        log = self.logs[partition]
        for offset in range(len(known.verdicts), length):
            step(known, self.election, log[offset], partition, self.partitions)
        return known

    def expected(self, contest: str, area: str, vector: Vector) -> bytes:
        """The message of an area at these offsets, as it must be."""
        key = (contest, area, vector)
        if key not in self._expected:
            prefixes = [log[:n] for log, n in zip(self.logs, vector, strict=True)]

            def walked(_: Election, records: Sequence[Judged], partition: int, count: int | None) -> Walk:
                return self.walk(partition, len(records), contest)

            found = message(self.election, self._index[contest], self.reports, prefixes, area, walked)
            self._expected[key] = canonical(found)
        return self._expected[key]

    def published_vector(self, contest: str, ends: Sequence[int]) -> Vector:
        """Where a contest's published figures stand when the log is counted to `ends`: at a hold, if one is on."""
        index = self._index[contest]
        return tuple(self.walk(p, n, "vector").hold_ends.get(index, n) for p, n in enumerate(ends))

    @property
    def ends(self) -> Vector:
        return tuple(len(log) for log in self.logs)

    # -- rejections and changes ------------------------------------------------------------------------------------

    def take_rejection(self, record: Record) -> None:
        partition, offset = self._place(record)
        raw = self.raw[partition][offset]
        verdict, codes = self.walk(partition, offset + 1, "outputs").verdicts[offset]
        found = json.loads(record.value or b"{}")
        value = raw.value
        wanted = {
            "schema": 1, "verdict": verdict, "codes": sorted(codes), "definition": self.election.digest,
            "source": {"topic": self.reports, "partition": partition, "offset": offset, "timestamp": raw.timestamp},
            "key_base64": None if raw.key is None else base64.b64encode(raw.key).decode(),
            "value_base64": None if value is None else base64.b64encode(value[:65_536]).decode(),
            "value_bytes": None if value is None else len(value),
            "value_sha256": None if value is None else hashlib.sha256(value).hexdigest(),
        }  # fmt: skip
        details = found.pop("details", [])
        if verdict not in REJECTED or {**found, "codes": sorted(found["codes"])} != wanted:
            raise Wrong(f"rejection {partition}/{offset} is {found}, the model says {wanted}")
        if sorted(d["code"] for d in details) != sorted(codes):
            raise Wrong(f"rejection {partition}/{offset} has the details {details}, the model says {codes}")
        self._note(self.rejections, (partition, offset), record, "rejection")

    def take_change(self, record: Record) -> None:
        partition, offset = self._place(record)
        wanted = self.change(partition, offset)
        if wanted is None or canonical(wanted) != record.value:
            raise Wrong(f"change {partition}/{offset} is {record.value!r}, the model says {wanted}")
        self._note(self.changes, (partition, offset), record, "change")

    def change(self, partition: int, offset: int) -> dict[str, Any] | None:
        """The change that the record at this place makes, as it must be published."""
        change = self.walk(partition, offset + 1, "outputs").changes[offset]
        if change is None:
            return None
        log_ms, _, r = self.logs[partition][offset]
        assert isinstance(r, Report)
        contest = self.election.contests[r.contest]
        path = r.station.path[: self.election.publish_depth]
        return {
            "schema": 1, "contest": contest.id, "station": r.station.id, "area": "/".join((self.election.root, *path)),
            "kind": change["kind"], "from_revision": change["from"], "to_revision": change["to"],
            "reason": r.reason, "authority": r.authority,
            "votes_delta": {c: change["delta"][str(i)] for i, c in enumerate(contest.candidate_ids)},
            "ballots_delta": {name: change["delta"][name] for name in BALLOTS},
            "definition": self.election.digest,
            "source": {"topic": self.reports, "partition": partition, "offset": offset, "timestamp": log_ms},
        }  # fmt: skip

    def _place(self, record: Record) -> tuple[int, int]:
        partition, offset = (int(part) for part in (record.key or b"").decode().split("/"))
        return partition, offset

    def _note(self, outputs: Outputs, place: tuple[int, int], record: Record, what: str) -> None:
        self.counts[what + "s checked"] += 1
        assert record.value is not None
        if outputs.values.setdefault(place, record.value) != record.value:
            raise Wrong(f"P02: {what} {place} has other bytes than before")

    def acknowledge(self, records: Iterable[Record], outputs: Outputs) -> None:
        outputs.acknowledged.update(self._place(r) for r in records)

    # -- pages and marks -------------------------------------------------------------------------------------------

    def take_partial(self, record: Record) -> None:
        """Nothing may be owed below it: what explains a fall is acknowledged before the fall can be seen."""
        said = json.loads(record.value or b"{}")
        partition, key = said["partition"], (record.key or b"").decode()
        if key.startswith("|"):
            self.counts["marks checked"] += 1
            if key != f"|{partition}":
                raise Wrong(f"a mark of partition {partition} under the key {key!r}")
            self._take_mark(said, partition, said["next_offset"])
            return
        self.counts["pages checked"] += 1
        contest, number, end = self._index[said["contest"]], said["page"], said["changed_at"]
        what = f"page {number} of {said['contest']} at {partition}/{end}"
        if key != f"{said['contest']}|{partition}|{number}":
            raise Wrong(f"{what} under the key {key!r}")
        if end > len(self.logs[partition]) or (contest, number) not in self._touched_by(partition, end - 1):
            raise Wrong(f"{what}: the model says that it did not change there")
        if self._page_values.setdefault((record.key or b"", end), record.value or b"") != record.value:
            raise Wrong(f"P02: {what} has other bytes than before")
        self._owed(partition, end, what, only=contest)

    def _take_mark(self, said: dict[str, Any], partition: int, end: int) -> None:
        if end > len(self.logs[partition]):
            raise Wrong(f"the mark of {partition}/{end}: the log ends at {len(self.logs[partition])}")
        judged = self.walk(partition, end, "marks")
        times = [log_ms for log_ms, _, _ in self.logs[partition][:end]]
        holds = sorted(judged.hold_ends.items())
        # What was certified behind a hold does not show before the release.
        before = {contest: self.walk(partition, hold, f"hold {contest}").certified for contest, hold in holds}
        number = {self._index[id]: place for place, id in enumerate(sorted(self._index))}
        certified = sorted(number[c] for c in number if c in before.get(c, judged.certified))
        wanted = {
            "next_offset": end, "newest_ms": max(times, default=None),
            "holds": sorted([number[contest], hold, max(times[:hold], default=None)] for contest, hold in holds),
            "changed_sum": sum(self._changed_at(partition, end).values()),
        }  # fmt: skip
        found = {name: said[name] for name in wanted}
        listed = [contest for first, last in said["certified"] for contest in range(first, last + 1)]
        if found != wanted or listed != certified:
            raise Wrong(f"the mark of {partition}/{end} says {found}, {listed}; the model says {wanted}, {certified}")
        self._owed(partition, end, f"the mark of {partition}/{end}")

    def _touched_by(self, partition: int, offset: int) -> list[tuple[int, int]]:
        known = self._touched[partition]
        while len(known) <= offset:
            at = len(known)
            verdict, _ = self.walk(partition, at + 1, "touched").verdicts[at]
            _, _, statement = self.logs[partition][at]
            contests: Iterable[int] = ()
            if isinstance(statement, Report) and verdict in ("counted", "held", "conflicting"):
                contests = (statement.contest,)
            elif isinstance(statement, Turnout) and verdict == "counted":
                contests = statement.station.contests
            known.append([(c, self.layout.page_of(c, statement.station.leaf)) for c in contests])  # type: ignore[union-attr]
        return known[offset]

    def _changed_at(self, partition: int, end: int) -> dict[tuple[int, int], int]:
        """(contest, page) → `changed_at` as published when the partition is counted to `end`."""
        holds = dict(self.walk(partition, end, "changed").hold_ends)
        found = {}
        for offset in range(end):
            for contest, number in self._touched_by(partition, offset):
                if offset < holds.get(contest, end):
                    found[contest, number] = offset + 1
        return found

    def acknowledge_partial(self, record: Record) -> None:
        said = json.loads(record.value or b"{}")
        if "page" in said:
            self.pages.add((self._index[said["contest"]], said["partition"], said["page"], said["changed_at"]))
        else:
            self.marks[said["partition"]].add(said["next_offset"])

    def _is_flushed(self, partition: int, offset: int) -> bool:
        """Whether a mark at this offset or above it, and all the pages that it speaks of, were acknowledged."""
        ends = sorted(end for end in self.marks[partition] if end >= offset)
        return any(
            all((c, partition, number, at) in self.pages for (c, number), at in self._changed_at(partition, end).items())
            for end in ends
        )

    def _owed(self, partition: int, end: int, what: str, only: int | None = None) -> None:
        """All rejections and changes below `end` must be acknowledged, but changes that wait behind a hold."""
        judged = self.walk(partition, end, "owed")
        for offset in range(end):
            place = (partition, offset)
            if judged.verdicts[offset][0] in REJECTED and place not in self.rejections.acknowledged:
                raise Wrong(f"{what} came before the rejection {place} was acknowledged")
            if judged.changes[offset] is not None and place not in self.changes.acknowledged:
                statement = self.logs[partition][offset][2]
                assert isinstance(statement, Report)
                hold = judged.hold_ends.get(statement.contest)
                if only not in (None, statement.contest) or (hold is not None and offset >= hold):
                    continue
                raise Wrong(f"P06: {what} came before the change {place} was acknowledged")

    # -- commits ---------------------------------------------------------------------------------------------------

    def take_commit(self, partition: int, offset: int) -> None:
        """The group may go on from here: everything below has left and was acknowledged."""
        self.counts["commits checked"] += 1
        if offset > len(self.logs[partition]):
            raise Wrong(f"partition {partition} is committed to {offset}, the log ends at {len(self.logs[partition])}")
        if not self._is_flushed(partition, offset):
            raise Wrong(f"partition {partition} is committed to {offset}, no mark there was acknowledged with all its pages: "
                        f"marks at {sorted(self.marks[partition])[-5:]}")  # fmt: skip
        self._owed(partition, offset, f"the commit of {partition}/{offset}")

    # -- standings -------------------------------------------------------------------------------------------------

    def take_standings(self, record: Record) -> None:
        assert record.value is not None
        found = json.loads(record.value)
        contest, area, version = found["contest"], found["area"], found["version"]
        named = found["provenance"]["next_offsets"]
        vector = tuple(named[str(p)] for p in range(self.partitions))
        if (record.key or b"").decode() != f"{contest}|{area}" or len(named) != self.partitions:
            raise Wrong(f"standings of {contest}, {area} under the key {record.key!r}, over {named}")
        if any(n > len(log) for n, log in zip(vector, self.logs, strict=True)):
            raise Wrong(f"standings of {contest} name {vector}, the log ends at {self.ends}")
        wanted = self.expected(contest, area, vector)
        if record.value != wanted:
            raise Wrong(
                f"P01: {contest}, {area} at {vector} is\n  {record.value.decode()}\nthe model says\n  {wanted.decode()}"
            )
        self._grows(contest, version, vector)
        self._progress(found)
        before = self.newest.get((contest, area))
        if before is None or before["version"] <= version:
            if before is not None:
                self._falls(before, found, vector)
            self.newest[contest, area] = found
        else:
            self.counts["older standings seen"] += 1
        self.counts["standings checked"] += 1
        self.counts["reports checked"] += sum(vector)

    def _grows(self, contest: str, version: int, vector: Vector) -> None:
        """One vector a version, and no partition's offset falls from a version to any higher one, whoever sent them when."""
        if (contest, version) in self.vectors:
            if self.vectors[contest, version] != vector:
                raise Wrong(f"P02: {contest} has version {version} at {vector} and at {self.vectors[contest, version]}")
            return
        versions = self._versions[contest]
        at = bisect(versions, version)
        for lower, higher in ((versions[at - 1 : at], [version]), ([version], versions[at : at + 1])):
            for old, new in zip(lower, higher, strict=False):
                before, after = (vector if v == version else self.vectors[contest, v] for v in (old, new))
                if any(n < was for was, n in zip(before, after, strict=True)):
                    raise Wrong(f"P02: {contest} has version {old} at {before} and version {new} at {after}")
        versions.insert(at, version)
        self.vectors[contest, version] = vector

    def _progress(self, found: dict[str, Any]) -> None:
        stations = found["stations"]
        is_done = stations["counted"] + stations["annulled"] == stations["expected"]
        for name, measure in found["progress"].items():
            if measure is None:
                continue
            percent = Decimal(measure["percent"])
            if percent > 100 or measure["done"] > measure["of"]:
                raise Wrong(f"P07: progress by {name} of {found['area']} is {measure}")
            if percent >= 100 and not (is_done and measure["done"] >= measure["of"]):
                raise Wrong(f"P07: progress by {name} of {found['area']} is {measure} with {stations}")

    def _falls(self, before: dict[str, Any], after: dict[str, Any], vector: Vector) -> None:
        """Every change between the two vectors stands on its topic now, and no figure fell by more than they say."""
        named = before["provenance"]["next_offsets"]
        contest, area = after["contest"], after["area"]
        explained: Counter[str] = Counter()
        unknown = set()
        for partition, end in enumerate(vector):
            for offset in range(named[str(partition)], end):
                change = self.change(partition, offset)
                if change is None or change["contest"] != contest or not f"{change['area']}/".startswith(f"{area}/"):
                    continue
                if (partition, offset) not in self.changes.values:
                    raise Wrong(f"P06: {contest}, {area} at {vector} without the change {partition}/{offset}")
                published = json.loads(self.changes.values[partition, offset])
                for name, delta in {**published["votes_delta"], **published["ballots_delta"]}.items():
                    if delta is None:
                        unknown.add(name)
                    else:
                        explained[name] += delta
        old, new = _figures(before), _figures(after)
        for name, was in old.items():
            now = new[name]
            if was is None or now is None or name in unknown:
                continue
            if now - was < explained[name]:
                raise Wrong(f"P06: {name} of {contest}, {area} went from {was} to {now} at {vector}, "
                            f"the changes between add up to {explained[name]}")  # fmt: skip
            self.counts["falls explained"] += now < was

    # -- folds in memory -------------------------------------------------------------------------------------------

    def take_fold(self, partition: int, next_offset: int, verdicts: dict[str, int], codes: dict[str, int]) -> None:
        self.counts["folds checked"] += 1
        if sum(verdicts.values()) != next_offset:
            raise Wrong(f"P08: the verdicts of partition {partition} add up to {sum(verdicts.values())} at {next_offset}")
        judged = self.walk(partition, next_offset, "fold").verdicts
        wanted = Counter(verdict for verdict, _ in judged)
        wanted_codes = Counter(code for _, listed in judged for code in listed)
        if Counter(verdicts) != wanted or Counter(codes) != wanted_codes:
            raise Wrong(
                f"P08: partition {partition} at {next_offset}: {verdicts} {codes}, the model says {wanted} {wanted_codes}"
            )

    # -- at the end ------------------------------------------------------------------------------------------------

    def missing(self, newest: dict[bytes, bytes]) -> str | None:
        """What is not yet as it must be when the whole log was counted; `newest` is the last raw value of each key."""
        areas = self._areas
        for contest in self._index:
            vector = self.published_vector(contest, self.ends)
            for area in areas:
                shown = self.newest.get((contest, area))
                if shown is None:
                    return f"{contest}, {area} was never published"
                wanted = json.loads(self.expected(contest, area, vector))
                names = () if area == self.election.root else VOLATILE
                if any(shown[name] != wanted[name] for name in wanted if name not in names):
                    return f"{contest}, {area} is at {shown['provenance']['next_offsets']}, not at {vector}"
                raw = json.loads(newest[f"{contest}|{area}".encode()])
                if raw["version"] != shown["version"]:
                    return f"the newest record of {contest}, {area} is version {raw['version']}, version {shown['version']} was shown"
        for partition, end in enumerate(self.ends):
            judged = self.walk(partition, end, "missing")
            for offset, (verdict, _) in enumerate(judged.verdicts):
                if verdict in REJECTED and (partition, offset) not in self.rejections.values:
                    return f"the rejection {partition}/{offset} is missing"
                change = self.change(partition, offset)
                if change is None or (partition, offset) in self.changes.values:
                    continue
                hold = judged.hold_ends.get(self._index[change["contest"]])
                if hold is None or offset < hold:
                    return f"the change {partition}/{offset} is missing"
        return None

    @property
    def _areas(self) -> list[str]:
        election = self.election
        paths = {s.path[:d] for s in election.stations.values() for d in range(election.publish_depth + 1)}
        return sorted("/".join((election.root, *path)) for path in paths)


def _figures(standings: dict[str, Any]) -> dict[str, int | None]:
    return {**{c["id"]: c["votes"] for c in standings["candidates"]}, **standings["ballots"]}
