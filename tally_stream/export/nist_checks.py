"""What a report of NIST SP 1500-100 must hold beyond its JSON Schema, which lets much pass.

The schema takes negative and fractional counts, ids that lead nowhere, `SequenceStart` 0, a start date of "yesterday",
and times with anything around them. Decides what is wrong with a report, whoever made it; refuses to know standings.
The command writes nothing that fails here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import date
from typing import Any

Object = dict[str, Any]

PROBLEMS_SHOWN_MAX = 20

_NC_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*\Z")  # those of the XML rule that are ASCII; no other is needed
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(Z|[+-](0\d|1[0-4]):[0-5]\d)\Z", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d\Z", re.ASCII)
_COUNTS = frozenset({
    "Count", "BallotsCast", "BallotsOutstanding", "BallotsRejected", "SubUnitsReported", "TotalSubUnits",
    "VotersRegistered", "VotersParticipated", "VotesAllowed", "NumberElected", "Undervotes", "Overvotes",
})  # fmt: skip
_REFERENCES = {
    "GpUnitId": "ReportingUnit",
    "ComposingGpUnitIds": "ReportingUnit",
    "ElectionScopeId": "ReportingUnit",
    "ElectionDistrictId": "ReportingUnit",
    "CandidateIds": "Candidate",
    "PartyId": "Party",
}
_TYPED = frozenset({"ReportingUnit", "BallotCounts", "VoteCounts", "CountStatus", "ExternalIdentifier", "Election"})


def nist_problems(report: Object) -> list[str]:
    """What is wrong, one sentence each, at most twenty; [] for a report that may be written."""
    objects = list(_objects(report))
    found = list(_of_ids(objects))
    found += [problem for o in objects for problem in (*_of_counts(o), *_of_other_types(o))]
    found += _of_head(report)
    found += _of_units(report)
    for election in report.get("Election", []):
        found += _of_election(report, election)
    return found[:PROBLEMS_SHOWN_MAX]


def _objects(value: Any) -> Iterator[Object]:
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from _objects(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _objects(inner)


def _class(o: Object) -> str:
    return str(o.get("@type", "")).removeprefix("ElectionResults.")


def _named(o: Object) -> str:
    return f"{_class(o)} {o['@id']}" if "@id" in o else f"{_class(o)} of {o['GpUnitId']}" if "GpUnitId" in o else _class(o)


def _of_ids(objects: list[Object]) -> Iterator[str]:
    ids = [(o["@id"], _class(o)) for o in objects if "@id" in o]
    for name, count in Counter(name for name, _ in ids).items():
        if not (isinstance(name, str) and _NC_NAME.match(name)):
            yield f"the id {name!r} is no XML name"
        if count > 1:
            yield f"the id {name} stands {count} times"
    class_of = dict(ids)
    for o in objects:
        for field, wanted in _REFERENCES.items():
            named = o.get(field, [])
            for name in named if isinstance(named, list) else [named]:
                if class_of.get(name) != wanted:
                    yield f"{_named(o)}: {field} {name} is no {wanted} of this report"


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _of_counts(o: Object) -> Iterator[str]:
    for name in sorted(_COUNTS & o.keys()):
        if not _is_count(o[name]):
            yield f"{_named(o)}: {name} is {o[name]!r}, not a count"
    reported, total = o.get("SubUnitsReported"), o.get("TotalSubUnits")
    if (reported is None) != (total is None):
        yield f"{_named(o)}: SubUnitsReported and TotalSubUnits go together"
    if not (type(reported) is int and type(total) is int):
        return
    if reported > total:
        yield f"{_named(o)}: {reported} sub units reported of {total}"
    if reported < total and any(_is_all_of_it(s) for s in o.get("CountStatus", [])):
        yield f"{_named(o)}: completed with {reported} sub units of {total}"


def _is_all_of_it(status: Object) -> bool:
    """A way of voting can be through while others are not."""
    return bool(status.get("Status") == "completed" and status.get("Type") == "total")


def _of_other_types(o: Object) -> Iterator[str]:
    if _class(o) in _TYPED and (o.get("Type") == "other") != bool(o.get("OtherType")):
        yield f"{_named(o)}: Type is {o.get('Type')}, OtherType {o.get('OtherType')!r}"


def _day(text: Any) -> date | None:
    """The date, None for anything that no calendar has."""
    if not (isinstance(text, str) and _DATE.match(text)):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _of_head(report: Object) -> Iterator[str]:
    time = _TIME.match(str(report.get("GeneratedDate")))
    if time is None or _day(time[1]) is None:
        yield f"GeneratedDate is {report.get('GeneratedDate')!r}, no time in whole seconds with an offset"
    start, end = report.get("SequenceStart"), report.get("SequenceEnd")
    if not (_is_count(start) and _is_count(end) and 1 <= int(start or 0) <= int(end or 0)):
        yield f"SequenceStart {start!r} and SequenceEnd {end!r} are no part of a whole"
    if bool(report.get("IsTest")) != bool(report.get("TestType")):
        yield f"IsTest is {report.get('IsTest')!r}, TestType {report.get('TestType')!r}"


def _of_units(report: Object) -> Iterator[str]:
    """One root; every other unit is part of exactly one; nothing is part of itself, however far around."""
    units = {u["@id"]: u.get("ComposingGpUnitIds", []) for u in report.get("GpUnit", [])}
    above = Counter(part for parts in units.values() for part in parts)
    roots = [name for name in units if not above[name]]
    if len(roots) != 1:
        yield f"there are {len(roots)} root units, not one"
    for name, count in above.items():
        if count > 1:
            yield f"ReportingUnit {name} is part of {count} units"
    reached, ahead = set(), list(roots)
    while ahead:
        name = ahead.pop()
        if name not in reached:
            reached.add(name)
            ahead += [part for part in units.get(name, []) if part in units]
    for name in sorted(units.keys() - reached):
        yield f"ReportingUnit {name} is part of itself"
    for election in report.get("Election", []):
        if election.get("ElectionScopeId") not in roots:
            yield f"the election's scope {election.get('ElectionScopeId')} is not the root unit"


def _of_election(report: Object, election: Object) -> Iterator[str]:
    start, end = _day(election.get("StartDate")), _day(election.get("EndDate"))
    if start is None or end is None or start > end:
        yield f"StartDate {election.get('StartDate')!r} and EndDate {election.get('EndDate')!r} are no days in order"
    counted = list(election.get("BallotCounts", []))
    yield from _twice(counted, "BallotCounts")
    parts = {u["@id"]: u["ComposingGpUnitIds"] for u in report.get("GpUnit", []) if u.get("ComposingGpUnitIds")}
    chosen: Counter[str] = Counter()
    for contest in election.get("Contest", []):
        covered = set()
        for selection in contest.get("ContestSelection", []):
            votes = selection.get("VoteCounts", [])
            counted += votes
            chosen.update(selection.get("CandidateIds", []))
            yield from _twice(votes, _named(selection))
            yield from _sums(votes, parts, _named(selection))
            yield from _sums_of_ways(votes, _named(selection))
            covered.add(frozenset((v["GpUnitId"], v["Type"], v.get("OtherType")) for v in votes))
        if len(covered) > 1:
            yield f"{_named(contest)}: its selections have votes of different units"
    for candidate in election.get("Candidate", []):
        if chosen[candidate["@id"]] != 1:
            yield f"{_named(candidate)}: stands in {chosen[candidate['@id']]} selections"
    if report.get("Status") == "pre-election" and report.get("IsTest") is not True and counted:
        yield "there are figures before the polls close"


def _twice(counts: list[Object], where: str) -> Iterator[str]:
    for key, count in Counter((c["GpUnitId"], c["Type"], c.get("OtherType")) for c in counts).items():
        if count > 1:
            yield f"{where}: {key[0]} has {count} counts of one type"


def _sums(votes: list[Object], parts: dict[str, list[str]], where: str) -> Iterator[str]:
    """Where a unit and all its parts have votes, these add up to those."""
    count_of = {v["GpUnitId"]: v["Count"] for v in votes if v["Type"] == "total" and _is_count(v["Count"])}
    for unit, below in parts.items():
        if unit in count_of and all(part in count_of for part in below):
            total = sum(count_of[part] for part in below)
            if total != count_of[unit]:
                yield f"{where}: {count_of[unit]} votes in {unit}, its parts add up to {total}"


def _sums_of_ways(votes: list[Object], where: str) -> Iterator[str]:
    """Where a unit has votes by way of voting, these add up to all its votes."""
    total = {v["GpUnitId"]: v["Count"] for v in votes if v["Type"] == "total" and _is_count(v["Count"])}
    by_way: Counter[str] = Counter()
    for v in votes:
        if v["Type"] not in ("total", "seats") and _is_count(v["Count"]):
            by_way[v["GpUnitId"]] += v["Count"]
    for unit, count in by_way.items():
        if unit in total and count != total[unit]:
            yield f"{where}: {total[unit]} votes in {unit}, its ways of voting add up to {count}"
