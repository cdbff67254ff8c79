"""`tally-stream check`: an election folder's mistakes, or what it defines and its contests will never tell.

Decides what is worth saying of a contest before its first report. Refuses to know what is wrong with a folder: the reader
of folders says that, the same as it does to a worker.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from tally_stream.cli.common import ELECTION, EXIT_USAGE, election_folder, open_folder, out
from tally_stream.cli.stations import listed
from tally_stream.cli.view import CONTESTS_SHOWN_MAX, more_contests
from tally_stream.domain.baselines import baselines
from tally_stream.domain.contest import Contest
from tally_stream.domain.election import Election
from tally_stream.domain.rules import Limits
from tally_stream.domain.scalars import format_time
from tally_stream.wire.folder.assembling import ElectionFolderError, read_folder
from tally_stream.wire.folder.doubts import doubts_of


def described(election: Election) -> dict[str, Any]:
    """What `--json` prints of a folder in which nothing is wrong."""
    found = baselines(election, Limits(election.checks, election.polls_close_ms))
    contests = []
    for index, contest in enumerate(election.contests):
        root = found[index][0]
        contests.append(
            {
                "id": contest.id,
                "name": contest.name,
                "rule": contest.rule,
                "seats": contest.seats,
                "candidates": len(contest.candidates),
                "stations": root["expected"],
                "areas": len(election.contest_areas[index]),
                "registered": None if root["registered_of_unknown"] else root["registered_of"],
                "never_tells": _never_tells(contest, root),
            }
        )
    return {
        "election": election.id,
        "name": election.name,
        "phase": election.phase,
        "definition": election.digest,
        "polls_close": format_time(election.polls_close_ms),
        "stations": len(election.stations),
        "areas": len(election.areas),
        "contests": contests,
    }


def _never_tells(contest: Contest, root: dict[str, int]) -> list[str]:
    """What its messages leave open, for want of a figure or because it was so defined."""
    stations, found = root["expected"], []
    if contest.rule == "none":
        found.append("who is elected: its rule is none")
    elif not any(candidate.eligible for candidate in contest.candidates):
        found.append("who is elected: nobody is eligible")
    elif root["bound_unknown"]:
        found.append(f"that it is decided, before {root['bound_unknown']:,} of {stations:,} stations are counted: their "
                     "register is unknown")  # fmt: skip
    if contest.quorum is not None and root["registered_of_unknown"]:
        found.append(f"whether its quorum is reached, before {root['registered_of_unknown']:,} of {stations:,} stations report "
                     "a register")  # fmt: skip
    if root["registered_of_unknown"]:
        found.append(f"progress by registered voters and turnout, before {root['registered_of_unknown']:,} of {stations:,} "
                     "stations report a register")  # fmt: skip
    if root["ballots_of_unknown"]:
        found.append(f"progress by ballots, before {root['ballots_of_unknown']:,} of {stations:,} stations are counted or "
                     "report their turnout: no ballots are expected of them")  # fmt: skip
    return found


@click.command()
@click.argument("folder", metavar="DIR", type=ELECTION)
@click.option("--json", "as_json", is_flag=True, help="One JSON object: the definition, or the mistakes in it.")
@click.option("--stations", "lists_stations", is_flag=True, help="Only list the polling stations: id and name.")
def check(folder: str, as_json: bool, lists_stations: bool) -> None:
    """Check the election folder DIR: every mistake, or its digest, its contests, and what they will never tell.

    DIR is an election folder, or the name of a night that ships. Exits 2 where a worker would refuse it. What is allowed and
    hardly meant is a warning, as names that look alike: the exit code stays 0.

    Example: tally-stream check my-election
    """
    if lists_stations:
        if as_json:
            raise click.UsageError("--stations lists lines: it goes without --json")
        for line in listed(open_folder(folder)[0].election):
            click.echo(line)
        return
    if as_json:
        try:
            read = read_folder(election_folder(folder))
        except ElectionFolderError as broken:
            click.echo(json.dumps({"mistakes": broken.errors}, ensure_ascii=False))
            sys.exit(EXIT_USAGE)
        found = {"mistakes": [], "warnings": doubts_of(read), **described(read.election)}
        click.echo(json.dumps(found, ensure_ascii=False))
        return
    read, _ = open_folder(folder)
    found = described(read.election)
    contests = found["contests"]
    out.print(Text(f"{found['election']}: {found['name']} (phase {found['phase']})"))
    out.print(Text(f"definition {found['definition']}"))
    out.print(Text(f"{found['stations']:,} polling stations, {found['areas']:,} published areas, {len(contests):,} contests; "
                   f"polls close {found['polls_close']}"))  # fmt: skip
    table = Table("contest", "rule", "seats", "candidates", "stations", "areas", "registered")
    for c in contests[:CONTESTS_SHOWN_MAX]:
        numbers = [f"{c[name]:,}" for name in ("seats", "candidates", "stations", "areas")]
        table.add_row(Text(c["id"]), c["rule"], *numbers, "unknown" if c["registered"] is None else f"{c['registered']:,}")
    out.print(table)
    for line in more_contests(len(contests), CONTESTS_SHOWN_MAX, "--json has all"):
        out.print(Text(line))
    for sentence, ids in _by_sentence(contests).items():
        names = ", ".join(ids[:3]) + (f" and {len(ids) - 3:,} more" if len(ids) > 3 else "")
        out.print(Text(f"{names} can not tell {sentence}"))
    doubts = doubts_of(read)
    for doubt in doubts:
        out.print(Text(f"warning: {doubt}"), soft_wrap=True)
    out.print(Text("a worker takes this folder, but see the warnings" if doubts else "nothing is wrong with this folder"))


def _by_sentence(contests: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Many contests leave the same open: said once."""
    found: dict[str, list[str]] = {}
    for c in contests:
        for sentence in c["never_tells"]:
            found.setdefault(sentence, []).append(c["id"])
    return found
