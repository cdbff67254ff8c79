"""A second count, written from the published rules alone: every question is answered by judging the whole prefix again.

Slow and plain on purpose. It shares the statements and the definition with the product, and no arithmetic: no ledger,
no tally, no rounding, no outcome. Where it and the product differ, one of them has misread the rules.
Longer than other files: it is the rules written once more, to be read beside them in one go.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from itertools import combinations
from math import ceil, floor
from typing import Any

from tally_stream.domain.contest import Contest
from tally_stream.domain.election import Election, Station
from tally_stream.domain.report import Control, Report, Turnout, UnsignedStatement
from tally_stream.domain.rules import Finding
from tally_stream.domain.scalars import format_time, murmur2_partition
from tests.support.second_outcomes import (
    Totals,
    double_majority_of,
    proportional,
    quorum_of,
    referendum,
    seats_of,
)

Record = tuple[int, bytes, UnsignedStatement | Finding]  # log time in ms, key, what the bytes were
Codes = list[str]


@dataclass
class Position:
    """One station in one contest. `effective` are the statements that took effect, each with the counts it put in force
    and their warnings."""

    top: int = 0
    top_statement: UnsignedStatement | None = None
    effective: list[tuple[Report, tuple[Report, Codes] | None]] = field(default_factory=list)
    held: tuple[Report, Codes] | None = None
    is_disputed: bool = False

    @property
    def revision_in_force(self) -> int:
        return self.effective[-1][0].revision if self.effective else 0

    @property
    def kind_in_force(self) -> str:
        return self.effective[-1][0].kind if self.effective else ""

    @property
    def is_annulled(self) -> bool:
        return self.kind_in_force == "annul"

    def remembered(self) -> tuple[Report | None, Codes, bool]:
        """The counts as if no annulment stood, their warnings, and whether they replaced earlier ones."""
        counts: Report | None = None
        codes: Codes = []
        replaced = False
        for statement, put in self.effective:
            if statement.kind == "withdraw":
                counts, codes, replaced = None, [], False
            elif put is not None:
                replaced = counts is not None
                counts, codes = put
        return counts, codes, replaced

    @property
    def counts(self) -> Report | None:
        return None if self.is_annulled else self.remembered()[0]


@dataclass
class Walk:
    """One partition's prefix, judged."""

    verdicts: list[tuple[str, Codes]] = field(default_factory=list)
    changes: list[dict[str, Any] | None] = field(default_factory=list)
    positions: dict[tuple[int, str], Position] = field(default_factory=dict)
    turnouts: dict[str, Position] = field(default_factory=dict)
    controls: dict[int, Position] = field(default_factory=dict)
    certified: set[int] = field(default_factory=set)
    hold_ends: dict[int, int] = field(default_factory=dict)  # contest → the hold's own offset + 1

    def position(self, contest: int, station: str) -> Position:
        return self.positions.setdefault((contest, station), Position())


def walk(election: Election, records: Sequence[Record], partition: int, partition_count: int | None) -> Walk:
    w = Walk()
    for record in records:
        step(w, election, record, partition, partition_count)
    return w


def step(w: Walk, election: Election, record: Record, partition: int, partition_count: int | None) -> None:
    """One record further. Nothing of the walk so far is looked at but what the rules name."""
    log_ms, key, read = record
    verdict, codes, change = "counted", [], None
    if isinstance(read, Finding):
        verdict, codes = "rejected", [read.code]
    elif partition_count and not isinstance(read, Control) and murmur2_partition(key, partition_count) != partition:
        verdict, codes = "rejected", ["S7"]
    elif isinstance(read, Report):
        verdict, codes, change = _take_report(election, w, read, log_ms)
    else:
        verdict, codes = _take_other(w, read, len(w.verdicts))
    w.verdicts.append((verdict, codes))
    w.changes.append(change)


def _sequence(p: Position, statement: UnsignedStatement) -> tuple[str, Codes] | None:
    revision = statement.revision
    if revision == p.top:
        return ("repeated", ["Q1"]) if statement == p.top_statement else ("conflicting", ["Q3"])
    if revision < p.top:
        return "stale", ["Q2"]
    return ("rejected", ["Q8"]) if revision > p.top + 1000 else None


def _take_other(w: Walk, s: Turnout | Control, offset: int) -> tuple[str, Codes]:
    if isinstance(s, Turnout):
        p = w.turnouts.setdefault(s.station.id, Position())
    else:
        p = w.controls.setdefault(s.contest, Position())
    refused = _sequence(p, s)
    if refused:
        return refused
    p.top, p.top_statement = s.revision, s
    if isinstance(s, Control):
        if s.kind == "certify":
            w.certified.add(s.contest)
        elif s.kind == "hold":
            w.hold_ends.setdefault(s.contest, offset + 1)
        else:
            w.hold_ends.pop(s.contest, None)
    return "counted", []


def _take_report(election: Election, w: Walk, r: Report, log_ms: int) -> tuple[str, Codes, dict[str, Any] | None]:
    p = w.position(r.contest, r.station.id)
    refused = _sequence(p, r)
    if refused:
        p.is_disputed = p.is_disputed or refused[0] == "conflicting"
        return *refused, None
    if r.kind != "report" and not _is_named(r, p):
        return "rejected", ["Q5"], None
    before, from_revision = p.counts, p.revision_in_force
    if r.kind in ("report", "correct", "recount"):
        errors, warnings = _judge(election, r, p, r.contest in w.certified, log_ms)
        if errors:
            p.top, p.top_statement, p.held = r.revision, r, (r, warnings)
            return "held", errors + warnings, None
        put: tuple[Report, Codes] | None = (r, warnings)
    else:
        warnings = []
        put = p.held if r.kind == "accept" else None
    if put is not None or r.kind == "withdraw":
        p.held = None
    p.effective.append((r, put))
    p.top, p.top_statement, p.is_disputed = r.revision, r, False
    return "counted", warnings, _change(r, before, p.counts, from_revision)


def _is_named(r: Report, p: Position) -> bool:
    if r.replaces is None or not r.reason or not r.authority:
        return False
    held = p.held[0].revision if p.held else None
    if r.replaces == 0:
        is_right = not p.effective and held is None
    else:
        is_right = r.replaces in (p.revision_in_force, held)
    fits = {
        "annul": not p.is_annulled,
        "restore": p.is_annulled and r.replaces == p.revision_in_force,
        "withdraw": not p.is_annulled and (p.counts is not None or held is not None),
        "accept": not p.is_annulled and held is not None and r.replaces == held,
    }
    return is_right and fits.get(r.kind, True)


def ballots_of(r: Report) -> int:
    """As Q6 and P10 compare them."""
    return r.valid if r.cast is None else r.cast


def told_apart(r: Report) -> int:
    return sum(x for x in (r.valid, r.blank, r.invalid) if x is not None)


def ballots_at_least(r: Report) -> int:
    """As A3, A8, P4 and the bound take them."""
    return told_apart(r) if r.cast is None else r.cast


def has_no_voters_of_its_own(s: Station) -> bool:
    return s.registered == 0 and s.ballots_expected is not None and s.ballots_expected > 0


def _judge(election: Election, r: Report, p: Position, is_certified: bool, log_ms: int) -> tuple[Codes, Codes]:
    c, station = election.checks, election.stations[r.station.id]
    register = station.registered if r.registered is None else r.registered
    ballots, at_least = ballots_of(r), ballots_at_least(r)
    is_unit = has_no_voters_of_its_own(station)
    if is_unit:
        is_too_many = 100 * at_least > c.A3_register_percent * station.ballots_expected  # type: ignore[operator]
    elif r.registered is not None:
        is_too_many = at_least > r.registered
    else:
        is_too_many = station.registered is not None and 100 * at_least > c.A3_register_percent * station.registered
    known = [r.valid] + [x for x in (r.blank, r.invalid) if x is not None]
    errors = {
        "Q4": p.is_annulled or is_certified,
        "A1": _votes_contradict(r, election.contests[r.contest].votes_per_ballot),
        "A2": r.cast is not None and (sum(known) != r.cast if len(known) == 3 else sum(known) > r.cast),
        "A3": is_too_many,
        "A8": register == 0 and at_least > 0 and not is_unit,
        "A9": not is_unit
        and None not in (r.registered, station.registered)
        and 100 * r.registered > c.bound_register_percent * station.registered,  # type: ignore[operator]
    }

    def is_many(part: int | None, percent: Fraction) -> bool:
        return part is not None and r.cast is not None and part >= max(1, ceil(percent * r.cast / 100))

    before = p.counts
    was = ballots_of(before) if before else 0
    warnings = {
        "P1": is_many(r.invalid, c.P1_invalid_percent),
        "P2": is_many(r.blank, c.P2_blank_percent),
        "P4": r.complete and at_least == 0,
        "P5": not is_unit
        and bool(register)
        and r.cast is not None
        and Fraction(r.cast, register) * 100 >= c.P5_turnout_percent,
        "P6": max(r.votes) == sum(r.votes) and max(r.votes) >= max(1, c.P6_votes_min),
        "P7": not is_unit
        and None not in (r.registered, station.registered)
        and 100 * abs(r.registered - station.registered) > c.P7_register_percent * station.registered,  # type: ignore[operator]
        "P8": r.undervotes is not None
        and sum(r.votes) + r.undervotes + (r.overvotes or 0) < election.contests[r.contest].votes_per_ballot * r.valid,
        "Q6": before is not None and (ballots < was or any(n < o for n, o in zip(r.votes, before.votes, strict=True))),
        "P10": before is not None and before.complete and 100 * abs(ballots - was) > c.P10_change_percent * was,
        "Q7": r.counted_at_ms is not None
        and (
            r.counted_at_ms < (election.polls_close_ms if station.polls_close_ms is None else station.polls_close_ms)
            or r.counted_at_ms - log_ms > c.Q7_skew_seconds * 1000
        ),
    }
    return [k for k, fired in errors.items() if fired], [k for k, fired in warnings.items() if fired]


def _votes_contradict(r: Report, k: int) -> bool:
    """Rule A1."""
    if any(v > r.valid for v in r.votes):
        return True
    if r.undervotes is not None and r.overvotes is not None:
        return sum(r.votes) + r.undervotes + r.overvotes > k * r.valid
    return sum(r.votes) != r.valid if k == 1 else sum(r.votes) > k * r.valid


BALLOTS = ("cast", "valid", "blank", "invalid", "undervotes", "overvotes")


def _figures(r: Report | None, candidates: int) -> dict[str, int | None]:
    if r is None:
        return {**dict.fromkeys(map(str, range(candidates)), 0), **dict.fromkeys(BALLOTS, 0)}
    return {**{str(i): v for i, v in enumerate(r.votes)}, **{name: getattr(r, name) for name in BALLOTS}}


def _change(r: Report, before: Report | None, after: Report | None, from_revision: int) -> dict[str, Any] | None:
    if before is after:
        return None
    candidates = len((before or after).votes)  # type: ignore[union-attr]  # one of them is there
    old, new = _figures(before, candidates), _figures(after, candidates)
    delta = {k: None if (was := old[k]) is None or (now := new[k]) is None else now - was for k in old}
    falls = before is not None and any(was is not None and ((now := new[k]) is None or now < was) for k, was in old.items())
    is_put_back = r.kind == "restore" and after is not None and after.complete
    if not ((before is not None and before.complete) or is_put_back or falls):
        return None
    return {"kind": r.kind, "from": from_revision, "to": r.revision, "delta": delta}


# -- standings -----------------------------------------------------------------------------------------------------


def message(
    election: Election,
    contest: int,
    topic: str,
    logs: Sequence[Sequence[Record]],
    area: str,
    walked: Callable[[Election, Sequence[Record], int, int | None], Walk] = walk,
) -> dict[str, Any]:
    """The message of one area over the partitions' logs, one log a partition; a single log has no S7. `walked` is `walk`,
    or gives the same and remembers."""
    prefixes, walks = [], []
    count = len(logs) if len(logs) > 1 else None
    is_on_hold = False
    for partition, log in enumerate(logs):
        judged = walked(election, log, partition, count)
        if contest in judged.hold_ends:
            is_on_hold = True
            log = log[: judged.hold_ends[contest]]  # noqa: PLW2901  # the published prefix
            judged = walked(election, log, partition, count)
        prefixes.append(log)
        walks.append(judged)
    times = [log_ms for log in prefixes for log_ms, _, _ in log]
    as_of = max(times) if times else None
    is_hidden = election.phase == "official" and (as_of is None or as_of < election.polls_close_ms)
    inside = [s for s in election.stations.values() if contest in s.contests and area in _areas_of(election, s)]
    rows = [_row(s, contest, walks) for s in inside]
    c = election.contests[contest]
    is_root = area == election.root
    in_force = [r for r in rows if r.counts]
    votes = [sum(r.counts.votes[i] for r in rows if r.counts) for i in range(len(c.candidates))]
    ballots = {name: _sum(getattr(r.counts, name) for r in in_force) for name in BALLOTS}
    states = Counter(r.state for r in rows)
    shares = dict.fromkeys(c.candidate_ids) if is_hidden else _shares(c, votes, ballots["valid"] or 0)
    is_final = all(contest in w.certified for w in walks)
    stand = _stand(election, c, rows, is_final)
    areas: dict[str, Totals] = {}
    if c.double_majority and is_root:
        depth = 1 + election.levels.index(c.double_majority.level)
        for area_id in sorted({_areas_of(election, r.station)[depth] for r in rows}):
            areas[area_id] = _stand(election, c, [r for r in rows if area_id in _areas_of(election, r.station)], is_final)
    seats = seats_of(c, stand) if c.rule == "proportional" and is_root and not is_hidden else None
    kinds = {r.position.kind_in_force for r in rows if r.state in ("counted", "partial", "annulled")}
    if as_of is None or is_hidden:
        status = "pre-election"
    elif all(contest in w.certified for w in walks):
        status = "certified"
    elif states["counted"] + states["annulled"] < len(rows):
        status = "unofficial-partial"
    elif "recount" in kinds:
        status = "recount"
    else:
        status = "correction" if kinds & {"correct", "annul", "restore", "accept"} else "unofficial-complete"
    return {
        "schema": 1,
        "election": election.id,
        "phase": election.phase,
        "definition": election.digest,
        "contest": c.id,
        "area": area,
        "version": sum(map(len, prefixes)),
        "status": status,
        "on_hold": is_on_hold,
        "as_of": None if as_of is None else format_time(as_of),
        "stations": {
            "expected": len(rows),
            "received": len(rows) - states["outstanding"],
            **{name: states[name] for name in ("counted", "partial", "held", "annulled", "outstanding")},
        },
        "flags": {
            "corrected": sum(r.replaced_by == "correct" for r in in_force),
            "recounted": sum(r.replaced_by == "recount" for r in in_force),
            "disputed": sum(r.position.is_disputed for r in rows),
            "held": sum(r.position.held is not None for r in rows),
            "warned": sum(bool(r.codes) for r in in_force),
        },
        "progress": {
            "stations": _measure(c, states["counted"] + states["annulled"], len(rows), rows),
            "registered": _measure(c, _sum(r.registered for r in rows if r.is_done), _sum(r.registered for r in rows), rows),
            "ballots": None
            if is_hidden
            else _measure(c, ballots["cast"], _sum(r.expected_ballots for r in rows if r.state != "annulled"), rows),
        },
        "turnout": None if is_hidden else _turnout(c, rows),
        "ballots": dict.fromkeys(ballots) if is_hidden else ballots,
        "voted": _voted(c, rows),
        "candidates": _candidates(c, votes, shares, is_hidden, seats),
        "channels": _channels(election, contest, rows, is_hidden, ballots["cast"] is None) if election.channels else None,
        "rounding": {"method": c.rounding.method, "places": c.rounding.places, "base": "valid"},
        "outcome": _outcome(election, c, stand, areas) if is_root and not is_hidden else None,
        "exit_polls": _polls(election, c, shares, as_of) if is_root else None,
        "provenance": {"topic": topic, "next_offsets": {str(i): len(log) for i, log in enumerate(prefixes)}},
    }


def area_ids(election: Election, contest: int) -> set[str]:
    """Of the areas that have a message of this contest."""
    return {area for s in election.stations.values() if contest in s.contests for area in _areas_of(election, s)}


def _areas_of(election: Election, s: Station) -> list[str]:
    return ["/".join((election.root, *s.path[:depth])) for depth in range(election.publish_depth + 1)]


def _sum(values: Iterable[int | None]) -> int | None:
    listed = list(values)
    return None if None in listed else sum(listed)  # type: ignore[arg-type]  # none is None


@dataclass
class Row:
    """A station as the standings see it."""

    station: Station
    position: Position
    voted: int | None

    def __post_init__(self) -> None:
        self.counts = self.position.counts
        counts, self.codes, replaced = self.position.remembered()
        self.replaced_by = counts.kind if counts and replaced else None
        if self.position.is_annulled:
            self.state = "annulled"
        elif self.counts:
            self.state = "counted" if self.counts.complete else "partial"
        else:
            self.state = "held" if self.position.held else "outstanding"
        self.is_done = self.state in ("counted", "annulled")
        stated = self.counts.registered if self.counts and not has_no_voters_of_its_own(self.station) else None
        self.registered = self.station.registered if stated is None else stated

    @property
    def expected_ballots(self) -> int | None:
        if self.counts and self.counts.complete:
            return self.counts.cast
        expected = self.station.ballots_expected if self.voted is None else self.voted
        if self.counts and None not in (expected, self.counts.cast):
            return max(expected, self.counts.cast)  # type: ignore[type-var]
        return expected


def _row(s: Station, contest: int, walks: Sequence[Walk]) -> Row:
    homes = [w.positions[contest, s.id] for w in walks if (contest, s.id) in w.positions]
    turnouts = [w.turnouts[s.id].top_statement for w in walks if s.id in w.turnouts]
    voted = turnouts[0].voted if turnouts and isinstance(turnouts[0], Turnout) else None
    return Row(s, homes[0] if homes else Position(), voted)


def _text(units: int, places: int) -> str:
    return format(Decimal(units).scaleb(-places), "f")


def _percent_units(c: Contest, numerator: int, denominator: int) -> int:
    exact = Fraction(numerator, denominator) * 100 * 10**c.rounding.places
    return floor(exact) if c.rounding.method == "truncate" else floor(exact + Fraction(1, 2))


def _measure(c: Contest, done: int | None, of: int | None, rows: Sequence[Row]) -> dict[str, Any] | None:
    if done is None or not of:
        return None
    units = _percent_units(c, done, of)
    if done < of or not all(r.is_done for r in rows):
        units = min(units, 100 * 10**c.rounding.places - 1)
    return {"done": done, "of": of, "percent": _text(units, c.rounding.places)}


def _turnout(c: Contest, rows: Sequence[Row]) -> dict[str, Any] | None:
    complete = [r for r in rows if r.counts and r.counts.complete]
    cast = _sum(r.counts.cast for r in complete if r.counts)
    registered = _sum(r.registered for r in complete)
    if cast is None or not registered:
        return None
    percent = _text(_percent_units(c, cast, registered), c.rounding.places)
    return {"cast": cast, "registered": registered, "percent": percent}


def _voted(c: Contest, rows: Sequence[Row]) -> dict[str, Any] | None:
    said = [r for r in rows if r.voted is not None]
    if not said:
        return None
    done, of = _sum(r.voted for r in said) or 0, _sum(r.station.registered for r in said)
    percent = _text(_percent_units(c, done, of), c.rounding.places) if of else None
    return {"done": done, "of": of, "percent": percent, "stations": len(said)}


def _channels(
    election: Election, contest: int, rows: Sequence[Row], is_hidden: bool, is_cast_unknown: bool
) -> list[dict[str, Any]]:
    found = []
    own = {s.channel for s in election.stations.values() if contest in s.contests}
    for channel in sorted(own, key=lambda at: election.channels[at]):
        here = [r for r in rows if r.station.channel == channel]
        states = Counter(r.state for r in here)
        counts = [r.counts for r in here if r.counts]
        found.append({
            "channel": election.channels[channel],
            "stations": {
                "expected": len(here),
                "received": len(here) - states["outstanding"],
                **{name: states[name] for name in ("counted", "partial", "held", "annulled", "outstanding")},
            },
            "ballots": {
                "cast": None if is_hidden or is_cast_unknown else sum(r.cast or 0 for r in counts),
                "valid": None if is_hidden else sum(r.valid for r in counts),
            },
            "votes": {
                id: None if is_hidden else sum(r.votes[i] for r in counts)
                for i, id in enumerate(election.contests[contest].candidate_ids)
            },
        })  # fmt: skip
    return found


def _shares(c: Contest, votes: Sequence[int], valid: int) -> dict[str, str | None]:
    if valid == 0:
        return dict.fromkeys(c.candidate_ids)
    if c.rounding.method != "largest-remainder":
        return {k: _text(_percent_units(c, v, valid), c.rounding.places) for k, v in zip(c.candidate_ids, votes, strict=True)}
    exact = [Fraction(v, valid) * 100 * 10**c.rounding.places for v in votes]
    units = [floor(x) for x in exact]
    while sum(units) < floor(sum(exact)):
        behind = max(range(len(units)), key=lambda i: (exact[i] - units[i], -i))
        units[behind] += 1
    return {k: _text(u, c.rounding.places) for k, u in zip(c.candidate_ids, units, strict=True)}


def _candidates(
    c: Contest,
    votes: Sequence[int],
    shares: dict[str, str | None],
    is_hidden: bool,
    seats: tuple[list[tuple[int, int]], dict[str, Any] | None] | None,
) -> list[dict[str, Any]]:
    rows = [
        {
            "id": k.id,
            "name": k.name,
            "votes": None if is_hidden else v,
            "share": shares[k.id],
            "rank": 1 + sum(other > v and x.eligible for other, x in zip(votes, c.candidates, strict=True))
            if k.eligible and not is_hidden
            else None,
            "seats": seats and {"now": seats[0][i][0], "certain": seats[0][i][1]},
        }
        for i, (k, v) in enumerate(zip(c.candidates, votes, strict=True))
    ]
    return rows if is_hidden else sorted(rows, key=lambda row: -row["votes"])


def _most(election: Election, row: Row) -> int | None:
    """The most ballots the station may come to in all, None where its register is unknown."""
    s = row.station
    register = s.ballots_expected if has_no_voters_of_its_own(s) else s.registered
    if register is None:
        return None
    held = row.position.held
    known = [
        floor(election.checks.bound_register_percent * register / 100),
        s.ballots_expected,
        row.voted,
        ballots_at_least(held[0]) if held else None,
        ballots_at_least(row.counts) if row.counts else None,
    ]
    return max(x for x in known if x is not None)


def _has_won(c: Contest, votes: Sequence[int], who: int, base: int) -> bool:
    """Whether candidate `who` wins a majority with these final votes."""
    m = c.majority
    assert m is not None
    others = [v for i, v in enumerate(votes) if i != who and c.candidates[i].eligible]
    if any(votes[who] <= v for v in others):
        return False
    share = Fraction(100 * votes[who])
    if share > m.percent * base or (m.at_least and share == m.percent * base):
        return True
    lead = votes[who] - max(others, default=0)
    return m.or_percent is not None and share >= m.or_percent * base and 100 * lead >= (m.or_lead_percent or 0) * base


def _stand(election: Election, c: Contest, rows: Sequence[Row], is_final: bool) -> Totals:
    """What an outcome rests on, of these stations."""
    open_rows = [] if is_final else [r for r in rows if not r.is_done]
    most = [_most(election, r) for r in open_rows]
    parts = [r.counts for r in open_rows]
    in_force = [r.counts for r in rows if r.counts]
    bound = _sum(None if m is None else max(0, m - (told_apart(p) if p else 0)) for m, p in zip(most, parts, strict=True))
    # What partial counts leave open beside: ballots cast and not told apart, and what contradicts itself.
    untold = sum(max(0, p.cast - told_apart(p)) for p in parts if p and p.cast is not None)
    k = c.votes_per_ballot
    amiss = k * sum(max(0, told_apart(p) - p.cast) for p in parts if p and p.cast is not None)
    amiss += sum(max(0, p.valid - sum(p.votes)) for p in parts if p and k == 1 and p.undervotes is None)
    valid, blank = sum(r.valid for r in in_force), _sum(r.blank for r in in_force)
    known = bound or 0
    return Totals(
        [sum(r.votes[i] for r in in_force) for i in range(len(c.candidates))],
        {"valid": valid, "cast": _sum(r.cast for r in in_force), "valid-and-blank": None if blank is None else valid + blank},
        _sum(r.registered for r in rows),
        bound,
        known + amiss,
        k * known + amiss,
        {"valid": known, "least valid": known, "cast": known - untold + amiss, "least cast": known - untold},
    )  # fmt: skip


def _outcome(election: Election, c: Contest, t: Totals, areas: dict[str, Totals]) -> dict[str, Any]:
    votes, bound, free = t.votes, t.bound, t.more_votes
    can_win = [i for i, k in enumerate(c.candidates) if k.eligible]
    ranking = sorted(can_win, key=lambda i: -votes[i])
    has_leader = bool(ranking) and votes[ranking[0]] > 0
    elected: list[int] = []
    tied = None
    state = "undecided"
    quorum = quorum_of(c, t, lambda part, whole: _text(_percent_units(c, part, whole), c.rounding.places))
    double = double_majority_of(c, areas)
    if not any(votes) or not can_win or c.rule == "none":
        state = "none"
    elif c.rule == "proportional":
        state, elected, tied = proportional(c, t)
    elif c.rule == "referendum":
        yes = c.candidate_ids.index(c.approval or "")
        state = referendum(c, t, lambda fall, base: _has_won(c, fall, yes, base), quorum, double)
    elif bound is None:
        pass
    elif c.rule == "majority":
        base = t.bases[c.majority_base]
        if base is not None:
            # All that is open to one of them, or to nobody: no mixture is worse or better than one of these.
            falls = [[v + (free if i == to else 0) for i, v in enumerate(votes)] for to in range(-1, len(votes))]
            worst, best = base + t.more_base[c.majority_base], base + t.more_base["least " + c.majority_base]
            if all(_has_won(c, fall, ranking[0], worst) for fall in falls if fall[ranking[0]] == votes[ranking[0]]):
                state, elected = "decided", [ranking[0]]
            elif not any(_has_won(c, fall, i, best) for fall in falls for i in can_win):
                state = "runoff"
    else:

        def is_safe(i: int) -> bool:
            missing = [max(0, votes[i] - votes[o]) for o in can_win if o != i]
            return all(max(some) > free or sum(some) > t.more_together for some in combinations(missing, c.seats))

        elected = [i for i in can_win if is_safe(i)]
        if len(elected) == min(c.seats, len(can_win)):
            state = "decided"
        elif free == 0:
            state = "tie"
            line = sorted((votes[i] for i in can_win), reverse=True)[c.seats - 1]
            shared = c.seats - sum(votes[i] > line for i in can_win)
            tied = {"seats": shared, "between": [c.candidate_ids[i] for i in can_win if votes[i] == line]}
    return {
        "state": state,
        "leader": c.candidate_ids[ranking[0]] if has_leader else None,
        "lead": votes[ranking[0]] - max([0, *(votes[i] for i in ranking[1:])]) if has_leader else None,
        "outstanding_bound": bound,
        "elected": [c.candidate_ids[i] for i in elected],
        "tied": tied,
        "quorum": quorum,
        "double_majority": double,
    }


def _polls(election: Election, c: Contest, shares: dict[str, str | None], as_of: int | None) -> list[dict[str, Any]]:
    return [
        {
            "pollster": poll.pollster,
            "share": {k: format(share, "f") for k, share in poll.shares},
            "difference": {
                k: None if shares[k] is None else format(Decimal(shares[k]) - share, "f")  # type: ignore[arg-type]
                for k, share in poll.shares
            },
        }
        for poll in election.exit_polls
        if poll.contest == c.id and as_of is not None and as_of >= poll.publish_after_ms
    ]
