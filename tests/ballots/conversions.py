"""What each real set means: its definition, and what its stations said. A function a set, named as its folder is.

Decides rules, scopes and what a protocol's items are called in a report, as the README.md of each set explains them. The
sets say differently which stations vote in a contest, and so they try every way that a folder has: scopes.csv (Georgia,
Kalamazoo), areas in contests.csv (Germany, Spain), nothing (Switzerland and Israel, whose one contest stands in
election.toml). Refuses to change a figure. Statements are made in `statements.py`, files written in `folder.py`.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from itertools import chain

from tests.ballots.folder import Made
from tests.ballots.source import Ballots, Protocol, Row
from tests.ballots.statements import DAY, HOUR, as_stated, order, reports, turnouts

Rule = Callable[[Row], Row]
"""A row of the set → the fields of contests.csv that say who wins."""


# -- the sets ----------------------------------------------------------------------------------------------------------


def ge_local_2017(ballots: Ballots) -> Made:
    """Georgia: mayor or gamgebeli, party list, and one of 1,088 districts at every station; then the second rounds.

    A district is no area and no set of areas, so every contest names its stations. Cast are the ballots found, not the
    signatures: papers were taken and not put in. The lists' seats are not in the set."""
    id = "GE-LOCAL-2017"
    rules = {"MAYOR": "majority", "GAMGEBELI": "majority", "SAKPR": "none", "SAKMAJ": "plurality", "R2": "plurality"}
    return Made(
        head=_head(ballots, id, "Georgia, local elections", "GE", "Georgia"),
        ballots=ballots,
        contests=_contests(ballots, lambda row: {"rule": rules[row["contest"].split("-")[0]]}),
        scopes=list(ballots.protocols),
        statements=chain(turnouts(ballots, id, (12, 17)), reports(ballots, id, as_stated("cast", "valid", "invalid"))),
    )


def de_btw_2025(ballots: Ballots) -> Made:
    """Germany: the second vote everywhere, the first one in each of 299 constituencies, which are stations here.

    Second votes share the seats out; the list of a national minority needs no 5 per cent. Whether a constituency's winner
    gets a seat hangs on the second votes of a Land, so first votes elect nobody by themselves. Three constituencies won
    instead of 5 per cent: no list had one and not the other."""
    id = "DE-BTW-2025"

    def rule(row: Row) -> Row:
        is_list = row["contest"] == "ZWEIT"
        return _proportional("sainte-lague", 5, "valid", exempt=["P-SSW"]) if is_list else {"rule": "none"}

    return Made(
        head=_head(ballots, id, "Germany, Bundestag", "DE", "Deutschland"),
        ballots=ballots,
        contests=_in_their_areas(ballots, "DE", _contests(ballots, rule)),
        statements=reports(ballots, id, as_stated("cast", "valid", "invalid")),
    )


ANNULLED = "the official result leaves this station out"
OVERFULL = "the official result counts it as it is"
MINISTRY = "Ministry of the Interior, as published"


def es_cabildos_2019(ballots: Ballots) -> Made:
    """The Canary Islands: the council of each island. `@valid` are the votes for lists; blank ballots, valid in Spain too,
    stand apart. Two stations are annulled, one with more ballots than voters is let in: so the official result has it."""
    id = "ES-CABILDOS-2019"
    contest = "CABILDO-GRAN-CANARIA"
    annulled = sorted(ballots.annulled)
    overfull = set(ballots.official["held_by_A3"]) - ballots.annulled
    return Made(
        head=_head(ballots, id, "Canarias, cabildos insulares", "ES05", "Canarias"),
        ballots=ballots,
        contests=_in_their_areas(ballots, "ES05", _contests(ballots, _spanish)),
        statements=chain(
            turnouts(ballots, id, (14, 18)),
            reports(ballots, id, as_stated("cast", "valid", "blank", "invalid")),
            (order(ballots, id, "annul", contest, station, ANNULLED, MINISTRY) for station in annulled),
            (order(ballots, id, "accept", contest, station, OVERFULL, MINISTRY) for station in overfull),
        ),
    )


def es_congreso_2019_11(ballots: Ballots) -> Made:
    """Spain: a contest in each province, looked at together. Municipalities are stations, and so are the residents abroad
    of each province: they have a register of their own, and are counted three days later. Ballots as in the islands."""
    id = "ES-CONGRESO-2019-11"
    return Made(
        head=_head(ballots, id, "España, Congreso de los Diputados", "ES", "España"),
        ballots=ballots,
        contests=_in_their_areas(ballots, "ES", _contests(ballots, lambda row: {**_spanish(row), "group": "CONGRESO"})),
        statements=chain(
            turnouts(ballots, id, (14, 18)),
            reports(ballots, id, as_stated("cast", "valid", "blank", "invalid"), _abroad_later),
        ),
        party=NATIONWIDE,
    )


ABROAD = "CERA"
NATIONWIDE = {
    **dict.fromkeys(("PSE-EE (PSOE)", "PSC-PSOE", "PSdeG-PSOE"), "PSOE"),
    "PP-FORO": "PP",
    **dict.fromkeys(
        ("PODEMOS-EUPV", "PODEMOS-EUIB", "PODEMOS-IU LV CA", "PODEMOS-IU-", "PODEMOS-IU-BATZARRE", "PODEMOS-IX"), "PODEMOS-IU"
    ),
    **dict.fromkeys(("MÁS PAÍS-AN", "MÁS PAÍS-CA"), "MÁS PAÍS-EQ"),
    "M PAÍS": "MÁS PAÍS",
    "NC-CCa-PNC": "CCa-PNC-NC",
}
"""Names under which six parties stood in some provinces → the name that the national sums have."""


def _abroad_later(station: str) -> datetime.timedelta:
    return 3 * DAY + HOUR if station.endswith(ABROAD) else HOUR


def ch_2014_02_09(ballots: Ballots) -> Made:
    """Switzerland: yes or no to one initiative, in 2,353 municipalities; the cantons must approve too. Blank and invalid
    ballots are known together only, as cast less valid."""
    half = ", ".join(f'"CH/{canton}"' for canton in ("OW", "NW", "BS", "BL", "AR", "AI"))
    rule = (
        'rule = "referendum"\napproval = "YES"\nmajority = { percent = 50 }\n'
        f'double_majority = {{ level = "canton", half = [{half}] }}\n'
    )
    return Made(
        head=_head(ballots, "CH-2014-02-09", "Schweiz, Volksabstimmung", "CH", "Schweiz", contest=rule),
        ballots=ballots,
        contests=[],
        statements=reports(ballots, "CH-2014-02-09", as_stated("cast", "valid")),
    )


def il_knesset_24(ballots: Ballots) -> Made:
    """Israel: one contest, lists that are counted together. A blank slip is invalid. The 799 boxes of double envelopes have
    no voters of their own, and the set has no other figure for what was expected of them than what they held."""
    (contest,) = ballots.contests
    combined = [pair.split("+") for pair in contest["list_combinations"].split(";")]
    rule = (
        'seats = 120\nrule = "proportional"\nallocation = { method = "dhondt", threshold_percent = 3.25 }\n'
        f"combinations = {json.dumps(combined)}\n"
    )
    stations = []
    for row in ballots.stations:
        is_envelopes = not row["registered"]
        own = {"channel": "double envelopes" if is_envelopes else "ballot boxes"}
        if is_envelopes:
            held = ballots.protocols[contest["contest"], row["station_id"]]["@cast"]
            own |= {"registered": "0", "ballots_expected": str(held)}
        stations.append({**row, **own})
    return Made(
        head=_head(ballots, "IL-KNESSET-24", "Israel, 24th Knesset", "IL", "Israel", contest=rule),
        ballots=ballots,
        contests=[],
        stations=stations,
        statements=reports(ballots, "IL-KNESSET-24", as_stated("cast", "valid", "invalid")),
    )


COUNTY = "Kalamazoo County Clerk, as published"
MORE_VOTES = "published so: more votes than these ballots can give"


def us_mi_kalamazoo_2024(ballots: Ballots) -> Made:
    """Kalamazoo County: 149 contests by lists of precincts, with up to six votes a ballot. Cast are the ballots that the
    source has beside a contest, also of voters whose ballot did not carry it; `kalamazoo_valid` says which carried it.
    A question needs more yes than no, however many ballots leave it open. 38 reports have more votes than ballots; published
    they are all the same, so an authority lets them in."""
    id = "US-MI-KALAMAZOO-2024"
    votes_of = ballots.votes_per_ballot

    def counted(contest: str, protocol: Protocol) -> dict[str, int]:
        valid = kalamazoo_valid(protocol, votes_of[contest])
        return {
            "cast": protocol["@cast"],
            "valid": valid,
            "undervotes": protocol["@undervotes"],
            "overvotes": protocol["@overvotes"],
        }

    def rule(row: Row) -> Row:
        is_question = row["rule"] == "yes-no"
        return {
            "rule": "referendum" if is_question else "plurality",
            "votes_per_ballot": row["votes_per_ballot"],
            "approval": "YES" if is_question else "",
            "majority.percent": "0" if is_question else "",
        }

    too_many = [
        of for of, protocol in ballots.protocols.items() if kalamazoo_valid(protocol, votes_of[of[0]]) > protocol["@cast"]
    ]
    return Made(
        head=_head(ballots, id, "Kalamazoo County, general election", "KALAMAZOO", "Kalamazoo County"),
        ballots=ballots,
        contests=_contests(ballots, rule),
        scopes=list(ballots.protocols),
        statements=chain(
            reports(ballots, id, counted),
            (order(ballots, id, "accept", contest, station, MORE_VOTES, COUNTY) for contest, station in too_many),
        ),
    )


def kalamazoo_valid(protocol: Protocol, votes_per_ballot: int) -> int:
    """The ballots that carried the contest: votes given, not given and lost, by the votes of a ballot, rounded up. In one
    village a candidate has more votes than that: then so many ballots."""
    votes = [count for item, count in protocol.items() if not item.startswith("@")]
    given_or_not = sum(votes) + protocol["@undervotes"] + protocol["@overvotes"]
    return max(-(-given_or_not // votes_per_ballot), *votes)


CONVERSIONS: dict[str, Callable[[Ballots], Made]] = {
    "ge-local-2017": ge_local_2017,
    "de-btw-2025": de_btw_2025,
    "es-cabildos-2019": es_cabildos_2019,
    "es-congreso-2019-11": es_congreso_2019_11,
    "ch-2014-02-09": ch_2014_02_09,
    "il-knesset-24": il_knesset_24,
    "us-mi-kalamazoo-2024": us_mi_kalamazoo_2024,
}


# -- election.toml and contests.csv ------------------------------------------------------------------------------------

ROUNDING = 'rounding = { method = "half-up", places = 2 }\n'
DEFAULTS = f'[contest_defaults]\nmajority_base = "valid"\n{ROUNDING}'


def _head(ballots: Ballots, id: str, name: str, root: str, root_name: str, *, contest: str = "") -> str:
    """election.toml; every level is published. `contest`: the rule of the one contest that stands in it, in TOML."""
    levels = ", ".join(f'"{level}"' for level in ballots.levels)
    if contest:
        (row,) = ballots.contests
        below = f'[[contests]]\nid = "{row["contest"]}"\nname = {_quoted(row["name"])}\n{ROUNDING}{contest}'
    else:
        below = DEFAULTS
    return (
        f'id = "{id}"\nname = {_quoted(name)}\nphase = "official"\npolls_close = {ballots.official["polls_close"]}\n'
        f'[areas]\nroot = "{root}"\nroot_name = {_quoted(root_name)}\nlevels = [{levels}]\n'
        f"publish_depth = {len(ballots.levels)}\n{below}"
    )


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _contests(ballots: Ballots, rule: Rule) -> list[Row]:
    """Rows of contests.csv; `seats` as the source has them, where it has them."""
    rows = [{"id": row["contest"], "name": row["name"], "seats": row["seats"], **rule(row)} for row in ballots.contests]
    columns = dict.fromkeys(name for row in rows for name in row)
    return [{name: row.get(name, "") for name in columns} for row in rows]


def _proportional(method: str, percent: int, base: str, exempt: list[str] | None = None) -> Row:
    return {
        "rule": "proportional",
        "allocation.method": method,
        "allocation.threshold_percent": str(percent),
        "allocation.threshold_base": base,
        "allocation.exempt": json.dumps(exempt) if exempt else "",
    }


def _spanish(row: Row) -> Row:
    """D'Hondt with a threshold of valid ballots, which in Spain blank ones are too; one seat goes to whoever has most."""
    if row["rule"] == "plurality":
        return {"rule": "plurality"}
    return _proportional("dhondt", int(row["threshold_percent"]), "valid-and-blank")


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
