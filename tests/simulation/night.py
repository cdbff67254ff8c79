"""A small night from a seed: a definition, and the records of its report log in the order they are sent.

Decides who states what: mostly plain counts, then corrections, annulments, holds, turnout, and what must be refused.
Every value is bytes, as a station's client or an attacker would have written them. What comes of them is not known here;
`auditor.py` works that out.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from fractions import Fraction
from random import Random
from typing import Any

from tally_stream.domain.contest import Allocation, Contest, ContestRule, Quorum, SeatMethod, SeatTie, ThresholdBase
from tally_stream.domain.election import Election
from tally_stream.domain.report import Control, Report, Turnout, UnsignedStatement
from tally_stream.domain.scalars import format_time, murmur2_partition
from tests.support.random_nights import STATEMENT, TURNOUT, statement_of
from tests.support.second_model import BALLOTS, Position, Walk, step
from tests.support.small_elections import CLOSE_MS, contest, election, key_of, placed, report, station

STATIONS, RECORDS, PARTITIONS = (5, 30), (50, 300), (2, 4)
GARBAGE = (b"", b"not JSON", b'{"schema": 1', b"\xff\xfe", b"[]", b'{"schema": 1, "schema": 1}', b"null")


@dataclass(frozen=True)
class Sent:
    partition: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    is_duplicate: bool = False
    is_overtaking: bool = False


@dataclass(frozen=True)
class Night:
    election: Election
    partitions: int
    sent: list[Sent]


def a_night(chance: Random) -> Night:
    of = _definition(chance)
    partitions = chance.randint(*PARTITIONS)
    return Night(of, partitions, _overtaken(chance, _Writer(chance, of, partitions).write(chance.randint(*RECORDS))))


def _definition(chance: Random) -> Election:
    towns = [("NORTH", "ELM"), ("NORTH", "OAK"), ("SOUTH", "ASH"), ("SOUTH", "FIR")]
    registers = [80, 90, 100, 120, 200]
    if chance.random() < 0.3:
        registers += [0, None]  # type: ignore[list-item]
    expected = [40, 50, 60, 80] + ([None] if chance.random() < 0.3 else [])
    stations = [
        station(f"S-{i:02}", chance.choice(registers), chance.choice(expected), chance.choice(towns))
        for i in range(chance.randint(*STATIONS))
    ]

    def a_contest(id: str, candidates: tuple[str, ...]) -> Contest:
        rules: list[ContestRule] = ["majority", "plurality", "proportional"]
        if len(candidates) == 2:
            rules.append("referendum")
        rule = chance.choice(rules)
        return contest(
            id, candidates, seats=chance.randint(1, 2), rule=rule,
            base=chance.choice(("valid", "cast")), method=chance.choice(("half-up", "truncate", "largest-remainder")),
            places=chance.randint(0, 3), votes_per_ballot=chance.choice((1, 1, 1, 2)), **_fields_of(rule, candidates, chance),
        )  # fmt: skip

    contests = [a_contest("PRES", ("ANNA", "BELA", "CLEO"))]
    if chance.random() < 0.8:
        contests.append(a_contest("SEAT", ("DORA", "EMIL")))
    if chance.random() < 0.3:
        contests.append(a_contest("MAYOR", ("FAY", "GIL")))
    channels = {row[0]: chance.choice(("early", "postal", "election day")) for row in stations}
    return election(
        stations, contests, levels=("region", "town"), depth=chance.randint(0, 2), phase=chance.choice(("official", "test")),
        channels=channels if chance.random() < 0.3 else None,
    )  # fmt: skip


def _fields_of(rule: ContestRule, candidates: tuple[str, ...], chance: Random) -> dict[str, Any]:
    """What only contests of that rule have."""
    if rule == "proportional":
        method: SeatMethod = chance.choice(("dhondt", "sainte-lague", "sainte-lague-1.4", "hare"))
        base: ThresholdBase = chance.choice(("valid", "valid-and-blank", "cast"))
        tie: SeatTie = chance.choice(("nobody", "more-votes"))
        return {"allocation": Allocation(method, Fraction(chance.choice((0, 10, 30))), base, candidates[:1], tie)}
    if rule == "referendum":
        quorum = Quorum(Fraction(chance.randint(5, 40)), chance.choice(("cast", "valid", "approval")), chance.random() < 0.5)
        return {"approval": candidates[1], "quorum": chance.choice((None, quorum))}
    return {}


class _Writer:
    """Plans against the count as it stands, so that most statements mean something."""

    def __init__(self, chance: Random, of: Election, partitions: int) -> None:
        self.chance, self.of, self.partitions = chance, of, partitions
        self.walks = [Walk() for _ in range(partitions)]
        self.log_ms = CLOSE_MS + chance.choice((-60_000, 0, 0, 60_000))
        self.written: list[Sent] = []

    def write(self, count: int) -> list[Sent]:
        silent = [(s, c) for s in self.of.stations for c in range(len(self.of.contests))]
        self.chance.shuffle(silent)
        while len(self.written) < count:
            draw = self.chance.random()
            if silent and draw < 0.45:
                self._first(*silent.pop())
            elif draw < 0.80:
                self._any(STATEMENT)
            elif draw < 0.85:
                self._any(TURNOUT)
            elif draw < 0.89:
                self._control()
            elif draw < 0.94:
                self._again()
            else:
                self._refused()
        return self.written

    def _first(self, name: str, of_contest: int) -> None:
        votes = [self.chance.randint(0, 20) for _ in self.of.contests[of_contest].candidates]
        self._put(report(name, self._position(of_contest, name).top + 1, votes, contest=of_contest, blank=0, invalid=0))

    def _plan(self, table: dict[str, Any]) -> dict[str, Any]:
        plan = {name: self.chance.choice(choices) for name, choices in table.items()}
        return {**plan, "station": self.chance.choice(list(self.of.stations))}

    def _any(self, table: dict[str, Any]) -> None:
        plan = self._plan(table)
        if plan["what"] == "turnout":
            position = self.walks[self._home(plan["station"].encode())].turnouts.get(plan["station"], Position())
        else:
            position = self._position(plan["contest"] % len(self.of.contests), plan["station"])
        self._put(statement_of(plan, self.of, position))

    def _control(self) -> None:
        """To every partition, as the command sends it, or to some of them, as one does that was broken off."""
        index = self.chance.randrange(len(self.of.contests))
        what = self.chance.choice(("hold", "release", "release", "certify" if self.chance.random() < 0.2 else "hold"))
        places = list(range(self.partitions))
        if self.chance.random() < 0.3:
            places = self.chance.sample(places, self.chance.randint(1, len(places)))
        revision = 1 + max(self.walks[p].controls.get(index, Position()).top for p in places)
        for place in places:
            self._put(Control(index, what, revision, "a ruling", "the court"), place)  # type: ignore[arg-type]

    def _again(self) -> None:
        if self.written:
            old = self.chance.choice(self.written[-30:])
            place = old.partition
            if self.chance.random() < 0.15:
                place = self.chance.randrange(self.partitions)
            self._send(Sent(place, self._tick(), old.key, old.value, is_duplicate=place == old.partition))

    def _refused(self) -> None:
        place = self.chance.randrange(self.partitions)
        draw = self.chance.random()
        if draw < 0.6 or not self.written:
            value: bytes | None = self.chance.choice((None, *GARBAGE))
            self._send(Sent(place, self._tick(), self.chance.choice((None, b"S-01", b"\x00")), value))
            return
        old = self.chance.choice(self.written)
        key, value = old.key, old.value
        if value is not None and draw < 0.85:
            value = value.replace(
                *self.chance.choice(((b"X-2024", b"Y-2024"), (b"PRES", b"PREZ"), (b":1", b":-1"), (b"{", b"[")))
            )
        else:
            key = b"S-99"
        self._send(Sent(place, self._tick(), key, value))

    def _position(self, of_contest: int, name: str) -> Position:
        return self.walks[self._home(name.encode())].position(of_contest, name)

    def _home(self, key: bytes) -> int:
        return murmur2_partition(key, self.partitions)

    def _tick(self) -> int:
        self.log_ms += self.chance.choice((0, 1, 400, 2_000, -1_000))
        return self.log_ms

    def _put(self, statement: UnsignedStatement, place: int | None = None) -> None:
        statement = placed(statement, self.of)  # type: ignore[assignment]  # a statement stays one
        key = key_of(statement, self.of)
        place = self._home(key) if place is None else place
        sent = Sent(place, self._tick(), key, encoded(statement, self.of))
        self._send(sent)
        step(self.walks[place], self.of, (sent.timestamp_ms, key, statement), place, self.partitions)

    def _send(self, sent: Sent) -> None:
        self.written.append(sent)


def encoded(s: UnsignedStatement, of: Election) -> bytes:
    """A statement as its client writes it."""
    fields: dict[str, Any] = {"schema": 1, "election": of.id, "phase": of.phase, "revision": s.revision}
    if isinstance(s, Turnout):
        fields |= {"kind": "turnout", "station": s.station.id, "as_of": s.as_of, "voted": s.voted}
    elif isinstance(s, Control):
        fields |= {"kind": s.kind, "contest": of.contests[s.contest].id, "reason": s.reason, "authority": s.authority}
    else:
        fields |= {"kind": s.kind, "contest": of.contests[s.contest].id, "station": s.station.id}
        fields |= {name: getattr(s, name) for name in ("replaces", "reason", "authority") if getattr(s, name) is not None}
        if s.kind in ("report", "correct", "recount"):
            fields |= _counts(s, of)
    return json.dumps(fields, separators=(",", ":")).encode()


def _counts(r: Report, of: Election) -> dict[str, Any]:
    assert r.counted_at_ms is not None
    fields: dict[str, Any] = {
        "complete": r.complete,
        "counted_at": format_time(r.counted_at_ms),
        "ballots": {name: getattr(r, name) for name in BALLOTS},
        "votes": dict(zip(of.contests[r.contest].candidate_ids, r.votes, strict=True)),
    }
    return fields if r.registered is None else {**fields, "registered": r.registered}


def _overtaken(chance: Random, sent: list[Sent]) -> list[Sent]:
    """Stations do not wait for each other: neighbours of different keys change places, most of them."""
    result = list(sent)
    share = chance.random()
    for i in range(1, len(result)):
        if result[i].key != result[i - 1].key and chance.random() < share:
            result[i - 1], result[i] = replace(result[i], is_overtaking=True), result[i - 1]
    return result
