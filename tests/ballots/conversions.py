"""What each real set means: its definition, and of every protocol one report. A function a set, named as its folder is.

Decides rules, scopes and what a protocol's items are called in a report, as the README.md of each set explains them. The
sets say differently which stations vote in a contest, and so they try every way that a folder has: scopes.csv (Georgia),
areas in contests.csv (Germany, Spain), nothing (Switzerland, whose one contest stands in election.toml). Refuses to change
a figure. How files are written: `folder.py`.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator

from tests.ballots.folder import Made, Statement
from tests.ballots.source import Ballots, Protocol, Row

Rule = Callable[[Row], str]
HOUR = datetime.timedelta(hours=1)


def ge_local_2017(ballots: Ballots) -> Made:
    """Georgia: mayor or gamgebeli, party list, and one of 1,088 districts at every station; then the second rounds.

    A district is no area and no set of areas, so every contest names its stations. Cast are the ballots found, not the
    signatures: papers were taken and not put in."""
    rules = {"MAYOR": "majority", "GAMGEBELI": "majority", "SAKPR": "none", "SAKMAJ": "plurality", "R2": "plurality"}
    return Made(
        head=_head(ballots, "GE-LOCAL-2017", "Georgia, local elections", "GE", "Georgia"),
        ballots=ballots,
        contests=_contests(ballots, lambda row: rules[row["contest"].split("-")[0]]),
        scopes=list(ballots.protocols),
        reports=_reports(ballots, "GE-LOCAL-2017", {"cast", "valid", "invalid"}),
    )


def de_btw_2025(ballots: Ballots) -> Made:
    """Germany: the second vote everywhere, the first one in each of 299 constituencies, which are stations here."""
    return Made(
        head=_head(ballots, "DE-BTW-2025", "Germany, Bundestag", "DE", "Deutschland"),
        ballots=ballots,
        contests=_in_their_areas(ballots, "DE", _contests(ballots, lambda row: "none")),
        reports=_reports(ballots, "DE-BTW-2025", {"cast", "valid", "invalid"}),
    )


def es_congreso_2019_11(ballots: Ballots) -> Made:
    """Spain: a contest in each province. Municipalities are stations, and so are the residents abroad of each province,
    who have a register of their own. `@valid` are the votes for lists; blank ballots, valid in Spain too, stand apart."""
    return Made(
        head=_head(ballots, "ES-CONGRESO-2019-11", "España, Congreso de los Diputados", "ES", "España"),
        ballots=ballots,
        contests=_in_their_areas(ballots, "ES", _contests(ballots, lambda row: "none")),
        reports=_reports(ballots, "ES-CONGRESO-2019-11", {"cast", "valid", "blank", "invalid"}),
    )


def ch_2014_02_09(ballots: Ballots) -> Made:
    """Switzerland: yes or no to one initiative, in 2,353 municipalities. Blank and invalid ballots are known together only,
    as cast less valid."""
    (contest,) = ballots.contests
    table = (
        f'[[contests]]\nid = "{contest["contest"]}"\nname = {_quoted(contest["name"])}\nrule = "plurality"\n'
        'rounding = { method = "half-up", places = 2 }\n'
    )
    return Made(
        head=_head(ballots, "CH-2014-02-09", "Schweiz, Volksabstimmung", "CH", "Schweiz", defaults="") + table,
        ballots=ballots,
        contests=[],
        reports=_reports(ballots, "CH-2014-02-09", {"cast", "valid"}),
    )


CONVERSIONS: dict[str, Callable[[Ballots], Made]] = {
    "ge-local-2017": ge_local_2017,
    "de-btw-2025": de_btw_2025,
    "es-congreso-2019-11": es_congreso_2019_11,
    "ch-2014-02-09": ch_2014_02_09,
}
DEFAULTS = """[contest_defaults]
majority_base = "valid"
rounding = { method = "half-up", places = 2 }
"""


def _head(ballots: Ballots, id: str, name: str, root: str, root_name: str, defaults: str = DEFAULTS) -> str:
    """election.toml but for its contests; every level is published."""
    levels = ", ".join(f'"{level}"' for level in ballots.levels)
    return (
        f'id = "{id}"\nname = {_quoted(name)}\nphase = "official"\npolls_close = {ballots.official["polls_close"]}\n'
        f'[areas]\nroot = "{root}"\nroot_name = {_quoted(root_name)}\nlevels = [{levels}]\n'
        f"publish_depth = {len(ballots.levels)}\n{defaults}"
    )


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _contests(ballots: Ballots, rule: Rule) -> list[Row]:
    """Rows of contests.csv; `seats` as the source has them, where it has them."""
    return [{"id": row["contest"], "name": row["name"], "seats": row["seats"], "rule": rule(row)} for row in ballots.contests]


def _in_their_areas(ballots: Ballots, root: str, contests: list[Row]) -> list[Row]:
    """The same rows, each with the area whose stations are those of the contest; none where that is the whole.

    Raises ValueError where no area has just these stations."""
    stations: dict[str, set[str]] = {}
    for contest, station in ballots.protocols:
        stations.setdefault(contest, set()).add(station)
    below: dict[tuple[str, ...], set[str]] = {}
    for station, path in ballots.path_of.items():
        for depth in range(len(path) + 1):
            below.setdefault(path[:depth], set()).add(station)
    area_of = {frozenset(those): path for path, those in sorted(below.items(), key=lambda item: -len(item[0]))}
    found = []
    for row in contests:
        area = area_of.get(frozenset(stations[row["id"]]))
        if area is None:
            raise ValueError(f"{row['id']}: its stations are no whole area")
        quoted = _quoted("/".join((root, *area)))
        found.append({**row, "scope": f"[{quoted}]" if area else ""})
    return found


def _reports(ballots: Ballots, election: str, ballot_items: set[str]) -> Iterator[Statement]:
    """A report a protocol, an hour after the polls of its own day closed. A candidate without a cell stood elsewhere in the
    contest: no votes here."""
    closed = datetime.datetime.fromisoformat(ballots.official["polls_close"])
    day_of = {row["contest"]: row.get("date", "") for row in ballots.contests}
    for (contest, station), protocol in ballots.protocols.items():
        day = datetime.date.fromisoformat(day_of[contest]) if day_of[contest] else closed.date()
        counted = datetime.datetime.combine(day, closed.timetz()) + HOUR
        yield {
            "schema": 1,
            "election": election,
            "contest": contest,
            "station": station,
            "revision": 1,
            "kind": "report",
            "counted_at": counted.isoformat(),
            "registered": protocol["@registered"],
            "ballots": {name: protocol[f"@{name}"] for name in sorted(ballot_items)},
            "votes": votes_of(protocol, ballots.candidates_of[contest]),
        }


def votes_of(protocol: Protocol, candidates: list[str]) -> dict[str, int]:
    """The votes of each candidate of the contest; what stands nowhere in the protocol is none."""
    if unknown := {item for item in protocol if not item.startswith("@")} - set(candidates):
        raise ValueError(f"votes for {sorted(unknown)}, who are no candidates")
    return {candidate: protocol.get(candidate, 0) for candidate in candidates}
