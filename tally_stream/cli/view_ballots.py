"""What a terminal shows of contests that are more than one vote for one winner: thresholds, several votes a ballot, ways of
voting, voters so far.

Decides lines and their words. Each is there only where the message (and, for its limits, the contest) has something of it.
`view.py` puts them below a board.
"""

from __future__ import annotations

from typing import Any

from rich.table import Table
from rich.text import Text

from tally_stream.domain.contest import Contest
from tally_stream.export.ballot_figures import (
    channel_percent,
    has_missing_votes,
    has_seats,
    is_all_in,
    majority_of_seats,
    processed_of,
    threshold_of,
)
from tally_stream.export.outcome_words import decimal_text
from tally_stream.wire.newest import is_root

BASE_WORDS = {"valid": "valid ballots", "valid-and-blank": "valid and blank ballots", "cast": "ballots cast"}
LISTS_NAMED_MAX = 8


def has_several_votes(message: dict[str, Any], contest: Contest | None) -> bool:
    """Whether a ballot can have more than one; without the definition, whether there are more votes than ballots."""
    if contest is not None:
        return contest.votes_per_ballot > 1
    return sum(line["votes"] or 0 for line in message["candidates"]) > (message["ballots"]["valid"] or 0)


def several_votes_line(message: dict[str, Any], contest: Contest | None) -> list[str]:
    """Where a ballot has several votes, shares add up to more than one expects."""
    if not has_several_votes(message, contest):
        return []
    has = "several votes" if contest is None else f"up to {contest.votes_per_ballot:,} votes"
    return [f"a ballot has {has}: shares are of valid ballots, and can add up to more than 100 %"]


def undervotes_line(message: dict[str, Any], contest: Contest | None) -> list[str]:
    """Votes that were not given, and those lost because a ballot gave too many."""
    if not has_missing_votes(contest, message):
        return []
    under, over = message["ballots"]["undervotes"], message["ballots"]["overvotes"]
    return [f"undervotes {under:,} · overvotes {over:,} (votes not given; votes of ballots that gave too many)"]


def voted_line(message: dict[str, Any]) -> list[str]:
    voted = message["voted"]
    if voted is None:
        return []
    of = "" if voted["percent"] is None else f" ({voted['percent']} % of {voted['of']:,} registered there)"
    stations = f"{voted['stations']:,} polling station{'' if voted['stations'] == 1 else 's'}"
    when = "had voted by the last statements before the count:" if is_all_in(message) else "voted so far"
    return [f"{when} {voted['done']:,}{of}, as {stations} stated"]


def seats_lines(message: dict[str, Any], contest: Contest | None) -> list[str]:
    """How many seats a majority has, who is below the threshold, and what is counted together; of the whole alone."""
    if not is_root(message["area"]):
        return []
    lines = []
    if has_seats(message):
        now = sum(line["seats"]["now"] for line in message["candidates"] if line["seats"])
        certain = sum(line["seats"]["certain"] for line in message["candidates"] if line["seats"])
        of, majority = "", ""
        if contest is not None:
            of, majority = f" of {contest.seats:,}", f" · majority {majority_of_seats(contest.seats):,}"
        lines.append(f"seats {now:,}{of} shared out, {certain:,} certain{majority}")
    return lines if contest is None else [*lines, *_threshold_line(message, contest), *_combination_lines(message, contest)]


def _threshold_line(message: dict[str, Any], contest: Contest) -> list[str]:
    threshold, rule = threshold_of(contest, message), contest.allocation
    if threshold is None or rule is None:
        return []
    names = {candidate.id: candidate.name for candidate in contest.candidates}
    said = f"threshold {decimal_text(rule.threshold_percent)} % of {BASE_WORDS[rule.threshold_base]}"
    if threshold.needed is None:
        said += "" if threshold.base == 0 or message["outcome"] is None else ", which are not known"
    else:
        said += f": {threshold.needed:,}; below it: {_some([names[id] for id in threshold.below]) or 'nobody'}"
    exempt = _some([names[id] for id in rule.exempt])
    return [said + (f"; exempt: {exempt}" if exempt else "")]


def _some(names: list[str]) -> str:
    more = len(names) - LISTS_NAMED_MAX
    return ", ".join(names[:LISTS_NAMED_MAX]) + (f" and {more:,} more" if more > 0 else "")


def _combination_lines(message: dict[str, Any], contest: Contest) -> list[str]:
    """Without what they are certain of together: it can be more than the sum of what each of them is."""
    names = {candidate.id: candidate.name for candidate in contest.candidates}
    seats = {line["id"]: line["seats"] for line in message["candidates"]}
    lines = []
    for together in contest.combinations:
        found = [seats[id] for id in together if seats[id]]
        of_all = f": {sum(each['now'] for each in found):,} seats"
        lines.append(f"counted together: {' + '.join(names[id] for id in together)}{of_all if found else ''}")
    return lines


def channel_lines(message: dict[str, Any]) -> list[str]:
    """How far each way of voting is counted that the area has."""
    lines = []
    rounding = message["rounding"]
    for channel in message["channels"] or []:
        done, of = processed_of(channel), channel["stations"]["expected"]
        percent = channel_percent(done, of, rounding["method"], rounding["places"])
        if percent is None:
            continue
        valid = channel["ballots"]["valid"]
        said = "" if valid is None else f" · {valid:,} valid ballots"
        lines.append(f"{channel['channel']}: {percent} % of its polling stations counted ({done:,} of {of:,}){said}")
    return lines


def channel_table(message: dict[str, Any]) -> Table | None:
    """Votes by way of voting; None where the election has none."""
    channels = message["channels"]
    if not channels:
        return None
    table = Table(title=Text("votes by way of voting", style="bold"), expand=False)
    table.add_column("candidate", max_width=40, no_wrap=True)
    for channel in channels:
        table.add_column(Text(channel["channel"]), justify="right", max_width=20)
    for candidate in message["candidates"]:
        figures = (channel["votes"][candidate["id"]] for channel in channels)
        table.add_row(Text(candidate["name"]), *("–" if figure is None else f"{figure:,}" for figure in figures))
    for name, figure_of in (("ballots cast", "cast"), ("valid", "valid")):
        figures = (channel["ballots"][figure_of] for channel in channels)
        table.add_row(Text(name, style="italic"), *("–" if figure is None else f"{figure:,}" for figure in figures))
    return table
