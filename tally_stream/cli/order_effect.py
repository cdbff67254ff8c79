"""What an authority's order would change of the published figures, folded in memory, as a terminal and a program read it.

Decides which figures are compared: of the whole, and of the areas that the station lies in; votes, shares, seats, status,
outcome, stations and progress. Where the contest is on hold the figures behind the hold are compared, and that is said: the
published ones do not move. What is folded here is a log with the order at its end, and of no use to count on with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rich.table import Table
from rich.text import Text

from tally_stream.audit.replay import Replay
from tally_stream.cli.view import STATUS_WORDS
from tally_stream.domain.election import Election, Station
from tally_stream.domain.fold import PartitionFold
from tally_stream.domain.report import Control
from tally_stream.domain.standings import Message
from tally_stream.export.outcome_words import NOT_A_DECLARATION, outcome_sentences
from tally_stream.station.orders import AuthorityOrder, OrderDue

CANDIDATES_SHOWN_MAX = 60
AREA_CANDIDATES_SHOWN_MAX = 6
MEASURES = {"stations": "polling stations", "registered": "registered voters", "ballots": "ballots"}


@dataclass(frozen=True, slots=True)
class OrderEffect:
    """Messages of the root, and of the areas that the station lies in, before the order and with it. `freezes_at`: of a hold,
    partition → the offset at which the published figures stand still; behind_hold: the figures are those behind a hold."""

    before: Mapping[str, Message]
    after: Mapping[str, Message]
    root: str
    is_behind_hold: bool
    freezes_at: Mapping[int, int]


def effect_of(replay: Replay, order: AuthorityOrder, due: OrderDue, now_ms: int) -> OrderEffect:
    """Compare the messages at the log's end with those that the order would make. The replay has the order in it after this."""
    election = replay.election
    contest = election.contest_index(order.contest)
    assert contest is not None, "an order is about a contest of the election"
    areas = _areas(election, None if order.station is None else election.stations[order.station])
    on_hold = [fold for fold in replay.folds if fold.is_on_hold(contest)]
    is_behind_hold = bool(on_hold) and order.kind not in ("hold", "release")
    if is_behind_hold:
        for fold in on_hold:
            _release(fold, contest, now_ms)
    before = _messages(replay, contest, areas)
    for partition in due.partitions:
        fold = replay.folds[
            partition
        ]  # past its reading: what is not sealed yet would be refused where signatures are demanded
        fold.take(fold.next_offset, now_ms, order.key, due.said)
    after = _messages(replay, contest, areas)
    freezes_at = {fold.partition: fold.published_offset(contest) for fold in replay.folds} if order.kind == "hold" else {}
    return OrderEffect(before, after, election.root, is_behind_hold, freezes_at)


def _areas(election: Election, station: Station | None) -> list[str]:
    """The root, and the published areas that the station lies in."""
    found = [election.root]
    at = None if station is None else station.leaf
    while at is not None:
        area = election.areas[at]
        if area.parent is not None:
            found.append(area.id)
        at = area.parent
    return found


def _messages(replay: Replay, contest: int, areas: Iterable[str]) -> dict[str, Message]:
    found = {message["area"]: message for message in replay.messages(contest)}
    return {area: found[area] for area in areas if area in found}


def _release(fold: PartitionFold, contest: int, now_ms: int) -> None:
    """In memory. Which revision is due nobody asks a fold: it refuses an old one and says what it stands at."""
    refused = fold.take(fold.next_offset, now_ms, None, Control(contest, "release", 1, "", ""))
    if refused.name != "counted":
        top = refused.findings[0].right
        assert isinstance(top, int), "a revision too low is told the highest"
        fold.take(fold.next_offset, now_ms, None, Control(contest, "release", top + 1, "", ""))


# -- for a program -----------------------------------------------------------------------------------------------------

COMPARED = ("status", "on_hold", "stations", "flags", "progress", "ballots", "outcome")


def as_json(effect: OrderEffect) -> dict[str, Any]:
    """Area → each figure that changes as `[before, with the order]`; the root's whole candidates."""
    areas = {}
    for area, before in effect.before.items():
        after = effect.after[area]
        changed = {name: [before[name], after[name]] for name in COMPARED if before[name] != after[name]}
        candidates = [
            {"id": old["id"], **{name: [old[name], new[name]] for name in ("votes", "share", "seats")}}
            for old, new in _pairs(before, after)
            if area == effect.root or old != new
        ]
        areas[area] = {**changed, "candidates": candidates}
    return {
        "areas": areas,
        "behind_hold": effect.is_behind_hold,
        "freezes_at": {str(partition): offset for partition, offset in effect.freezes_at.items()},
    }


def _pairs(before: Message, after: Message) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Each candidate's figures before and with the order, in the order of the votes before."""
    later = {one["id"]: one for one in after["candidates"]}
    return [(one, later[one["id"]]) for one in before["candidates"]]


# -- for a person ------------------------------------------------------------------------------------------------------


def table_of(effect: OrderEffect, election: Election, order: AuthorityOrder) -> Table | None:
    """The whole, candidate by candidate; None where no candidate's figures change."""
    before, after = effect.before[effect.root], effect.after[effect.root]
    pairs = _pairs(before, after)
    if all((old["votes"], old["share"], old["seats"]) == (new["votes"], new["share"], new["seats"]) for old, new in pairs):
        return None
    index = election.contest_index(order.contest)
    assert index is not None
    title = f"{election.name}: {election.contests[index].name}, what {order.kind} would change"
    table = Table(title=Text(title, style="bold"), expand=False)
    table.add_column("candidate", min_width=16, max_width=40, no_wrap=True)
    has_seats = any(one["seats"] for pair in pairs for one in pair)
    for head in ("votes now", "then", "change", "share % now", "then", *(("seats now", "then") if has_seats else ())):
        table.add_column(head, justify="right", no_wrap=True)
    for old, new in pairs[:CANDIDATES_SHOWN_MAX]:
        seats = (_seats(old), _seats(new)) if has_seats else ()
        table.add_row(
            Text(old["name"]), _count(old["votes"]), _count(new["votes"]), _rise(old["votes"], new["votes"]),
            old["share"] or "–", new["share"] or "–", *seats,
        )  # fmt: skip
    return table


def lines_of(effect: OrderEffect, election: Election, order: AuthorityOrder) -> list[str]:
    """All that is not in the table, one sentence a line."""
    before, after = effect.before[effect.root], effect.after[effect.root]
    lines = []
    if effect.is_behind_hold:
        lines.append("the contest is on hold: the published figures stay as they are; these are the figures behind the hold")
    if len(before["candidates"]) > CANDIDATES_SHOWN_MAX:
        lines.append(f"and {len(before['candidates']) - CANDIDATES_SHOWN_MAX:,} more")
    if before["ballots"]["valid"] is None and after["ballots"]["valid"] is None:
        lines.append("no votes are shown: the polls have not closed, or valid ballots are not known")
    lines += [f"{name} ballots: {_arrow(before['ballots'][name], after['ballots'][name])}" for name in ("cast", "valid")
              if before["ballots"][name] != after["ballots"][name]]  # fmt: skip
    lines.append(f"status: {_words(STATUS_WORDS[before['status']], STATUS_WORDS[after['status']])}")
    lines.append(f"on hold: {_words(*('yes' if one['on_hold'] else 'no' for one in (before, after)))}")
    lines.append(f"outcome: {_words(*(_outcome(one, election, order) for one in (before, after)))}")
    lines += _progress(before, after)
    moved = _moved({**before["stations"], **_flags(before)}, {**after["stations"], **_flags(after)})
    lines.append(f"stations: {moved or 'no change'}")
    lines += [
        _area_line(area, effect.before[area], effect.after[area], election) for area in effect.before if area != effect.root
    ]
    if effect.freezes_at:
        where = ", ".join(f"{partition}: {offset:,}" for partition, offset in effect.freezes_at.items())
        lines.append(f"the published figures stop at these offsets, or a little above, as reports come meanwhile: {where}")
    return lines


def still_open(message: Message) -> list[str]:
    """What certifying leaves behind: stations whose later counts are held."""
    stations, flags = message["stations"], message["flags"]
    found = [f"{stations['outstanding']:,} outstanding"] if stations["outstanding"] else []
    found += [f"{stations['partial']:,} with a partial count"] if stations["partial"] else []
    found += [f"{flags['held']:,} with a held report"] if flags["held"] else []
    found += [f"{flags['disputed']:,} disputed"] if flags["disputed"] else []
    final = "these figures become final: counts that come later are held (Q4) until an authority accepts them"
    return [final, *([f"stations that are not settled: {', '.join(found)}"] if found else [])]


def _flags(message: Message) -> dict[str, int]:
    """A held report waiting is told apart from a station that has nothing but one."""
    return {"held report waiting" if name == "held" else name: count for name, count in message["flags"].items()}


def _moved(before: Mapping[str, int], after: Mapping[str, int]) -> str:
    """Of stations by state; those received are told by the others."""
    names = [name for name in before if before[name] != after[name] and name != "received"]
    return ", ".join(f"{name} {before[name]:,} → {after[name]:,}" for name in names)


def _progress(before: Message, after: Message) -> list[str]:
    lines = []
    for name, unit in MEASURES.items():
        old, new = before["progress"][name], after["progress"][name]
        if old != new or name == "stations":
            lines.append(f"processed, {unit}: {_words(_measure(old), _measure(new))}")
    return lines


def _measure(measure: dict[str, Any] | None) -> str:
    return "not known" if measure is None else f"{measure['percent']} % ({measure['done']:,} of {measure['of']:,})"


def _area_line(area: str, before: Message, after: Message, election: Election) -> str:
    name = dict(election.area_names).get(area, "")
    pairs = [(old, new) for old, new in _pairs(before, after) if old["votes"] != new["votes"]]
    said = [f"{old['name']} {_arrow(old['votes'], new['votes'])}" for old, new in pairs[:AREA_CANDIDATES_SHOWN_MAX]]
    if len(pairs) > AREA_CANDIDATES_SHOWN_MAX:
        said.append(f"and {len(pairs) - AREA_CANDIDATES_SHOWN_MAX:,} more")
    moved = _moved(before["stations"], after["stations"])
    said += [f"stations {moved}"] if moved else []
    if before["status"] != after["status"]:
        said.append(f"status {_words(STATUS_WORDS[before['status']], STATUS_WORDS[after['status']])}")
    return f"{f'{area} {name}'.strip()}: {'; '.join(said) or 'no change'}"


def _outcome(message: Message, election: Election, order: AuthorityOrder) -> str:
    if message["outcome"] is None:
        return "not told yet"
    names = {one["id"]: one["name"] for one in message["candidates"]}
    seats = {one["id"]: one["seats"] for one in message["candidates"] if one["seats"]}
    index = election.contest_index(order.contest)
    assert index is not None
    said = outcome_sentences(message["outcome"], names, election, election.contests[index], seats)
    return ". ".join(line for line in said if line != NOT_A_DECLARATION) or "no votes are counted"


def _seats(candidate: dict[str, Any]) -> str:
    seats = candidate["seats"]
    return "–" if seats is None else f"{seats['now']:,} ({seats['certain']:,} certain)"


def _count(figure: int | None) -> str:
    return "–" if figure is None else f"{figure:,}"


def _arrow(old: int | None, new: int | None) -> str:
    return f"{_count(old)} → {_count(new)}"


def _rise(old: int | None, new: int | None) -> str:
    return "–" if old is None or new is None else f"{new - old:+,}"


def _words(old: str, new: str) -> str:
    return f"{new} (no change)" if old == new else f"{old} → {new}"
