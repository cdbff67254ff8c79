"""A group's seats by party, as a terminal shows them.

Decides how the table looks. Whose seats are whose is `export/group_seats.py`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from tally_stream.cli.shown import ShownStandings
from tally_stream.domain.election import Election
from tally_stream.export.ballot_figures import majority_of_seats
from tally_stream.export.group_seats import groups_of, party_seats, seats_to_share

PARTIES_SHOWN_MAX = 50
GROUPS_SHOWN_MAX = 5


def group_tables(election: Election | None, roots: Mapping[str, dict[str, Any]], group: str | None = None) -> list[Group]:
    """Of the group asked for, or of all of them, some where there are many; [] where the definition is not there or names
    none. `roots`: id of a contest → its newest root."""
    if election is None:
        return []
    names = [name for name in groups_of(election) if group in (None, name)]
    return [_table(election, name, roots) for name in names[:GROUPS_SHOWN_MAX]]


def roots_of(standings: ShownStandings, election: Election | None) -> dict[str, dict[str, Any]]:
    """The newest root of each contest that is of this very definition; {} where it has no groups."""
    if election is None or not groups_of(election):
        return {}
    messages = (shown.message for shown in standings.roots)
    return {message["contest"]: message for message in messages if message["definition"] == election.digest}


def _table(election: Election, group: str, roots: Mapping[str, dict[str, Any]]) -> Group:
    contests = groups_of(election)[group]
    parties, seats = party_seats(contests, roots), seats_to_share(contests)
    table = Table(title=Text(f"{election.name}: seats of {group}", style="bold"), expand=False)
    table.add_column("party", min_width=16, max_width=40, no_wrap=True)
    for head in ("seats", "certain"):
        table.add_column(head, justify="right", min_width=7)
    for line in parties[:PARTIES_SHOWN_MAX]:
        table.add_row(Text(line.party), f"{line.now:,}", f"{line.certain:,}")
    now, certain = sum(line.now for line in parties), sum(line.certain for line in parties)
    of = f"{len(contests):,} contest{'' if len(contests) == 1 else 's'}"
    said = f"seats {now:,} of {seats:,} in {of}, {certain:,} certain · majority {majority_of_seats(seats):,}"
    more = len(parties) - PARTIES_SHOWN_MAX
    lines = [Text(f"… and {more:,} parties more")] if more > 0 else []
    return Group(table, *lines, Text(said), Text("not an official declaration: arithmetic alone, as each contest says"))
