"""Standings as a report of NIST SP 1500-100 version 2 (JSON), the common format of election results.

Decides what goes where, and what is left out because the format has no place for it or would let it be misread:
- a test election is marked (IsTest); figures that are hidden before the polls close are not there at all;
- units reported are polling stations processed: counted or annulled;
- a way of voting is a type of count where the format has a word for it, else `other` with its name (`nist_ways.py`);
- seats are those that the votes counted so far give; which of them are certain stands in the notes;
- voters who participated are given only where an area is finished, because the format relates them to all registered;
- shares, progress in per cent and exit polls are left out; nobody is called a winner, which is an authority's word: what is
  certain by arithmetic stands in the notes, in words.
Refuses to know whether the result is right: `nist_checks.py` says so, and the command asks it. Read that next.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from fractions import Fraction

from tally_stream import __version__
from tally_stream.domain.contest import Candidate, Contest, Majority
from tally_stream.domain.scalars import format_time
from tally_stream.export.ballot_figures import processed
from tally_stream.export.nist_ways import TOTAL, Object, nist_object, ways_of
from tally_stream.export.outcome_words import decimal_text, outcome_sentences
from tally_stream.export.snapshot import AreaStandings, ContestSnapshot
from tally_stream.wire.messages import canonical_json
from tally_stream.wire.schema.published import OutcomeState, Standings, Stations

LANGUAGE = "und"  # BCP 47: the definition does not say which language its names are in

# Levels that NIST has a word for; every other one is `other` with its own name.
UNIT_TYPES = frozenset({
    "borough", "city", "country", "county", "municipality", "precinct", "state", "town", "township", "village", "ward",
})  # fmt: skip
_STATUSES = ("pre-election", "unofficial-partial", "recount", "correction", "unofficial-complete", "certified")
"""Of several contests the first that any of them has, so that a report never says more than all of them bear."""
_COUNT_STATUSES = ("not-processed", "in-process", "completed")
"""What says least comes first."""


def nist_report(snapshots: Sequence[ContestSnapshot], day: date, generated_ms: int) -> Object:
    """The ElectionReport of one or more contests of one election, each without `problems`. `day` is the election's."""
    election = snapshots[0].election
    parties = sorted({c.party for s in snapshots for c in s.contest.candidates if c.party})
    return nist_object(
        "ElectionReport",
        Format="summary-contest",
        GeneratedDate=_whole_seconds(generated_ms),
        VendorApplicationId=f"tally-stream {__version__}",
        Issuer=election.name or election.id,
        IssuerAbbreviation=election.id,
        SequenceStart=1,
        SequenceEnd=1,
        Status=min((s.root.status for s in snapshots), key=_STATUSES.index),
        IsTest=election.phase == "test",
        **({"TestType": "rehearsal"} if election.phase == "test" else {}),
        Notes=" ".join(_notes(snapshots)),
        ExternalIdentifier=[_identifier("definition", election.digest)],
        Party=[nist_object("Party", **{"@id": _id("party", party)}, Name=_text(party)) for party in parties],
        GpUnit=_units(snapshots),
        Election=[_election(snapshots, day)],
    )


def _text(content: str) -> Object:
    return nist_object("InternationalizedText", Text=[nist_object("LanguageString", Language=LANGUAGE, Content=content)])


def _identifier(name: str, value: str) -> Object:
    return nist_object("ExternalIdentifier", Type="other", OtherType=name, Value=value)


def _whole_seconds(time_ms: int) -> str:
    """The format has no fractions of a second."""
    return format_time(time_ms)[:19] + "Z"


def _id(kind: str, *parts: str) -> str:
    """An XML name (NCName), the same for the same thing in every report; two things never share one."""
    return "__".join((kind, *("".join(map(_of_name, part)) for part in parts)))


def _of_name(character: str) -> str:
    return character if character.isascii() and (character.isalnum() or character in ".-") else f"_{ord(character):X}_"


def _area_id(area_id: str) -> str:
    return _id("area", area_id)


def _notes(snapshots: Sequence[ContestSnapshot]) -> Iterable[str]:
    if snapshots[0].election.phase == "test":
        yield "TEST: these figures are no result of an election."
    for snapshot in snapshots:
        root, contest = snapshot.root, snapshot.contest.id
        if root.on_hold:
            yield f"{contest} is ON HOLD by the authority: its figures stand still while counting goes on."
        if root.ballots.valid is None:
            yield f"{contest}: there are no figures before the polls close."
        if root.stations.annulled:
            yield (f"{contest}: {root.stations.annulled} polling stations are annulled; they are among SubUnitsReported, "
                   "their votes are not counted.")  # fmt: skip
        yield f"{contest}: as of {root.as_of or 'no report yet'}."
        votes = snapshot.contest.votes_per_ballot
        if votes > 1:
            yield f"{contest}: a ballot has up to {votes} votes: shares of valid ballots can add up to more than 100 %."
        if root.outcome is not None:
            yield from (f"{contest}: {sentence}." for sentence in _of_outcome(snapshot, root.outcome))
        if root.voted is not None:
            yield (f"{contest}: {root.voted.done} voters had taken part, as {root.voted.stations} polling stations stated "
                   "before they counted.")  # fmt: skip
    if len(snapshots) > 1:
        yield "Ballots are left out: the format has one place for them, and there are several contests."
    yield "SubUnits are polling stations."


def _of_outcome(snapshot: ContestSnapshot, outcome: OutcomeState) -> list[str]:
    names = {candidate.id: candidate.name for candidate in snapshot.contest.candidates}
    seats = {line.id: {"now": line.seats.now, "certain": line.seats.certain} for line in snapshot.root.candidates if line.seats}
    return outcome_sentences(outcome.as_published(), names, snapshot.election, snapshot.contest, seats)


# -- areas ---------------------------------------------------------------------------------------------------------


def _units(snapshots: Sequence[ContestSnapshot]) -> list[Object]:
    """Every area of any of the contests, with what each of them says of it: a contest has only the areas of its stations."""
    rows: dict[str, list[AreaStandings]] = {}
    for snapshot in snapshots:
        for shown in snapshot.areas():
            rows.setdefault(shown.area.id, []).append(shown)
    areas = snapshots[0].election.areas
    parts: dict[int, list[str]] = {}
    for area in areas:
        if area.parent is not None and area.id in rows:
            parts.setdefault(area.parent, []).append(_area_id(area.id))
    return [_unit(rows[area.id], parts.get(index, [])) for index, area in enumerate(areas) if area.id in rows]


def _unit(row: Sequence[AreaStandings], parts: list[str]) -> Object:
    """An area. What contests say differently is that of the one that is least far: each expects stations of its own, so a
    small one that is finished has fewer than one that is not."""
    first = row[0]
    messages = [shown.message for shown in row]
    behind = min(messages, key=_how_far)
    kind = {"Type": first.level} if first.level in UNIT_TYPES else {"Type": "other", "OtherType": first.level}
    unit = nist_object(
        "ReportingUnit",
        **{"@id": _area_id(first.area.id)},
        **kind,
        Name=_text(first.name),
        ExternalIdentifier=[_identifier("area", first.area.id)],
        SubUnitsReported=processed(behind.stations),
        TotalSubUnits=behind.stations.expected,
        CountStatus=[nist_object("CountStatus", Type="total", Status=_count_status(behind.status, behind.stations))],
    )
    if parts:
        unit["ComposingGpUnitIds"] = parts
    registered = {None if m.progress.registered is None else m.progress.registered.of for m in messages}
    if len(registered) == 1 and None not in registered:
        unit["VotersRegistered"] = registered.pop()
    if len(messages) == 1 and behind.turnout is not None and processed(behind.stations) == behind.stations.expected:
        unit["VotersParticipated"] = behind.turnout.cast
    return unit


def _count_status(status: str, stations: Stations) -> str:
    """Of an area, or of a way of voting in it; `status` is the message's."""
    if status == "pre-election" or stations.received == 0:
        return "not-processed"
    return "completed" if processed(stations) == stations.expected else "in-process"


def _how_far(message: Standings) -> tuple[int, Fraction, int]:
    """The least far sorts first; of two that are as far, the one that is about more stations."""
    stations = message.stations
    place = _COUNT_STATUSES.index(_count_status(message.status, stations))
    return place, Fraction(processed(stations), stations.expected), -stations.expected


# -- the election --------------------------------------------------------------------------------------------------


def _election(snapshots: Sequence[ContestSnapshot], day: date) -> Object:
    election = snapshots[0].election
    body = nist_object(
        "Election",
        Name=_text(election.name),
        Type="other",
        OtherType="not stated",
        StartDate=day.isoformat(),
        EndDate=day.isoformat(),
        ElectionScopeId=_area_id(election.root),
        ExternalIdentifier=[_identifier("election", election.id)],
        Candidate=[_candidate(s.contest, c) for s in snapshots if s.contest.rule != "referendum" for c in s.contest.candidates],
        Contest=[_contest(snapshot) for snapshot in snapshots],
    )
    if len(snapshots) == 1:
        body["BallotCounts"] = [counts for shown in snapshots[0].areas() for counts in _ballot_counts(shown)]
    return body


def _candidate(contest: Contest, candidate: Candidate) -> Object:
    body = nist_object(
        "Candidate",
        **{"@id": _id("candidate", contest.id, candidate.id)},
        BallotName=_text(candidate.name),
        ExternalIdentifier=[_identifier("candidate", candidate.id)],
    )
    if candidate.party:
        body["PartyId"] = _id("party", candidate.party)
    return body


def _ballot_counts(shown: AreaStandings) -> Iterable[Object]:
    """Total with rejected ballots; valid and blank ones, for which the format has no field, as `other`."""
    ballots, unit = shown.message.ballots, _area_id(shown.area.id)
    total = {"BallotsCast": ballots.cast, "BallotsRejected": ballots.invalid}
    known = {name: figure for name, figure in total.items() if figure is not None}
    if known:
        yield nist_object("BallotCounts", GpUnitId=unit, Type="total", **known)
    for kind, channel in ways_of(shown.message):
        if channel.ballots.cast is not None:
            yield nist_object("BallotCounts", GpUnitId=unit, **kind, BallotsCast=channel.ballots.cast)
    for name, figure in (("valid", ballots.valid), ("blank", ballots.blank)):
        if figure is not None:
            yield nist_object("BallotCounts", GpUnitId=unit, Type="other", OtherType=name, BallotsCast=figure)


def _vote_variation(contest: Contest) -> Object:
    if contest.rule == "proportional":
        return {"VoteVariation": "proportional"}
    if contest.rule == "plurality":
        return {"VoteVariation": "n-of-m" if contest.votes_per_ballot > 1 else "plurality"}
    if contest.majority == Majority():
        return {"VoteVariation": "majority"}
    named = "majority with other limits" if contest.majority else "no rule"
    return {"VoteVariation": "other", "OtherVoteVariation": named}


def _district(snapshot: ContestSnapshot) -> str:
    """The area that a contest is held in; the whole where that is several areas, single stations, or none of the report."""
    scope = snapshot.contest.scope
    has_unit = any(shown.area.id in scope for shown in snapshot.areas())
    return scope[0] if len(scope) == 1 and has_unit else snapshot.election.root


def _contest(snapshot: ContestSnapshot) -> Object:
    contest, root = snapshot.contest, snapshot.root
    provenance = {"topic": root.provenance.topic, "next_offsets": root.provenance.next_offsets}
    other_counts = list(_other_counts(snapshot))
    return nist_object(
        "BallotMeasureContest" if contest.rule == "referendum" else "CandidateContest",
        **{"@id": _id("contest", contest.id)},
        Name=contest.name,
        ElectionDistrictId=_area_id(_district(snapshot)),
        **_what_is_voted_on(contest),
        **_vote_variation(contest),
        SubUnitsReported=processed(root.stations),
        TotalSubUnits=root.stations.expected,
        CountStatus=[
            nist_object("CountStatus", **TOTAL, Status=_count_status(root.status, root.stations)),
            *(
                nist_object("CountStatus", **kind, Status=_count_status(root.status, channel.stations))
                for kind, channel in ways_of(root)
            ),
        ],
        ExternalIdentifier=[
            _identifier("contest", contest.id),
            _identifier("version", str(root.version)),
            _identifier("provenance", canonical_json(provenance).decode()),
            *([_identifier("as-of", root.as_of)] if root.as_of else []),
        ],
        ContestSelection=_selections(snapshot),
        **({"OtherCounts": other_counts} if other_counts else {}),
    )


def _what_is_voted_on(contest: Contest) -> Object:
    if contest.rule != "referendum" or contest.majority is None:
        return {"VotesAllowed": contest.votes_per_ballot, "NumberElected": contest.seats}
    m = contest.majority
    limit = f"{'at least' if m.at_least else 'more than'} {decimal_text(m.percent)} % of the {contest.majority_base} ballots"
    return {"Type": "referendum", "PassageThreshold": _text(limit)}


def _other_counts(snapshot: ContestSnapshot) -> Iterable[Object]:
    """Votes that were not given, or lost because a ballot gave too many."""
    for shown in snapshot.areas():
        ballots = shown.message.ballots
        if ballots.undervotes is not None and ballots.overvotes is not None:
            yield nist_object(
                "OtherCounts", GpUnitId=_area_id(shown.area.id), Undervotes=ballots.undervotes, Overvotes=ballots.overvotes
            )


def _selections(snapshot: ContestSnapshot) -> list[Object]:
    contest, counts = snapshot.contest, _vote_counts(snapshot)
    found = []
    for order, candidate in enumerate(contest.candidates, 1):
        common = {
            "@id": _id("selection", contest.id, candidate.id),
            "SequenceOrder": order,
            **({"VoteCounts": counts[candidate.id]} if counts[candidate.id] else {}),
        }
        if contest.rule == "referendum":
            of_yes_or_no = {"Selection": _text(candidate.name), "ExternalIdentifier": [_identifier("candidate", candidate.id)]}
            found.append(nist_object("BallotMeasureSelection", **common, **of_yes_or_no))
        else:
            found.append(nist_object("CandidateSelection", **common, CandidateIds=[_id("candidate", contest.id, candidate.id)]))
    return found


def _vote_counts(snapshot: ContestSnapshot) -> dict[str, list[Object]]:
    """Of each candidate, by area: all its votes, those of each way of voting; and on the root its seats."""
    counts: dict[str, list[Object]] = {candidate: [] for candidate in snapshot.contest.candidate_ids}
    for shown in snapshot.areas():
        unit, ways = _area_id(shown.area.id), ways_of(shown.message)
        for line in shown.message.candidates:
            if line.votes is None:
                continue
            counts[line.id].append(nist_object("VoteCounts", GpUnitId=unit, **TOTAL, Count=line.votes))
            for kind, channel in ways:
                counts[line.id].append(nist_object("VoteCounts", GpUnitId=unit, **kind, Count=channel.votes[line.id]))
            if line.seats is not None:
                counts[line.id].append(nist_object("VoteCounts", GpUnitId=unit, Type="seats", Count=line.seats.now))
    return counts
