"""`tally-stream standings`: the newest standings, by the reader's rule."""

from __future__ import annotations

import asyncio

import click
from rich.text import Text

from tally_stream.cli.common import (
    ELECTION,
    EXIT_USAGE,
    begin_log,
    no_such,
    open_election,
    out,
    refuse,
    run_async,
    settings_of,
    warn,
    with_broker,
)
from tally_stream.cli.follow import Following, follow_in_lines, follow_on_screen, write_json, write_lines
from tally_stream.cli.view import CONTESTS_SHOWN_MAX, MORE_CONTESTS_AT, board, more_contests
from tally_stream.cli.view_group import group_tables, roots_of
from tally_stream.cli.whole import read_until_whole
from tally_stream.domain.election import Election
from tally_stream.export.group_seats import groups_of
from tally_stream.settings import Settings
from tally_stream.wire.newest import OtherDefinition


@click.command()
@with_broker
@click.option("--election", type=ELECTION, metavar="NAME|DIR", help="Whose names the titles have; without it, ids.")
@click.option("--contest", help="Only this contest.")
@click.option("--area", help="Only this area, for example AZ/041.")
@click.option("--group", help="Only the seats of this group of contests, by party; with --election.")
@click.option("--channels", is_flag=True, help="With the votes of each way of voting, where the election has several.")
@click.option("--follow", is_flag=True, help="Go on as standings change, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="The messages themselves, one a line: areas first, root last.")
def standings(
    election: str | None, contest: str | None, area: str | None, group: str | None, channels: bool, follow: bool, as_json: bool,
    **flags: object,
) -> None:  # fmt: skip
    """Show the newest standings.

    With --follow a terminal shows one screen that says how fresh it is; anything else gets a line for each new version.

    Example: tally-stream standings --election az-2024 --follow
    """
    if follow and not out.is_terminal:
        begin_log("standings")
    definition = None if election is None else open_election(election)[0]
    if group is not None:
        _refuse_no_group(definition, group, contest or area, as_json)
    if definition is not None:
        _refuse_no_such(definition, contest, area)
    settings = settings_of(**flags)

    from tally_stream.kafka.client import BrokerUnavailable, KafkaError

    try:
        run_async(_show(settings, definition, contest, area, group, channels, follow, as_json))
    except (BrokerUnavailable, KafkaError, OSError) as error:
        refuse([str(error)])
    except (KeyboardInterrupt, asyncio.CancelledError):
        return


def _refuse_no_group(election: Election | None, group: str, other: str | None, as_json: bool) -> None:
    if election is None:
        raise click.UsageError("--group needs --election: the definition says which contests are in it")
    if as_json or other is not None:
        raise click.UsageError("--group is a table of all its contests: it goes without --contest, --area and --json")
    names = list(groups_of(election))
    if group not in names:
        refuse([f"{group}: no group of {election.id}; it has {', '.join(names[:20]) or 'none'}"], EXIT_USAGE)


def _refuse_no_such(election: Election, contest: str | None, area: str | None) -> None:
    """A misspelt name looks like a night in which nothing was published yet."""
    areas = [one.id for one in election.areas]
    asked = (("contest", contest, [one.id for one in election.contests]), ("published area", area, areas))
    wrong = [no_such(name, what, election.id, known) for what, name, known in asked if name is not None and name not in known]
    if not wrong and contest is not None and area is not None:
        index = election.contest_index(contest)
        assert index is not None, "it was just found"
        if areas.index(area) not in election.contest_areas[index]:
            wrong = [f"{area}: contest {contest} is not held there"]
    if wrong:
        refuse(wrong, EXIT_USAGE)


async def _show(
    settings: Settings, election: Election | None, contest: str | None, area: str | None, group: str | None, channels: bool,
    follow: bool, as_json: bool,
) -> None:  # fmt: skip
    from tally_stream.kafka.client import TopicReader, wait_for_broker

    await wait_for_broker(settings, warn)
    async with TopicReader(settings, f"{settings.prefix}.standings") as reader:
        following = Following(reader, contest, area, election, group=group, has_channels=channels)
        async for records in reader.read_to_end():
            following.take(records, is_start=True)
        if follow and out.is_terminal and not as_json:
            await follow_on_screen(following)
        elif follow:
            write = write_json if as_json else write_lines
            found = list(following.all().values())
            write(found if as_json else following.wanted(found))
            await follow_in_lines(following, write, every_area=as_json)
        else:
            await _print_once(following, as_json)


async def _print_once(following: Following, as_json: bool) -> None:
    """What is shown, once nothing waits any more. Standings that another definition replaces are refused: whoever asks
    once takes what is printed for the newest."""
    newest = following.standings.newest
    await read_until_whole(following.reader, lambda records: following.take(records, is_start=True), lambda: newest.is_whole)
    if newest.replaced is not None:
        refuse([sentence_of(newest.replaced, following.reader.topic)])
    found = list(following.all().values())
    if not found:
        there = sorted({shown.message["contest"] for shown in following.standings.roots})
        has = f"it has contests {', '.join(there[:20])}" if there else "nothing is there yet"
        refuse([f"no such standings on {following.reader.topic}: {has}"])
    if as_json:
        write_json(found)
        return
    if following.group is not None:
        for table in group_tables(following.election, roots_of(following.standings, following.election), following.group):
            out.print(table)
        return
    wanted = following.wanted(found)
    for shown in wanted[:CONTESTS_SHOWN_MAX]:
        out.print(board(shown.message, following.election, has_channels=following.has_channels))
    for line in more_contests(len(wanted), CONTESTS_SHOWN_MAX, MORE_CONTESTS_AT):
        out.print(Text(line))
    if following.contest is None and following.area is None:
        for table in group_tables(following.election, roots_of(following.standings, following.election)):
            out.print(table)


def sentence_of(other: OtherDefinition, topic: str) -> str:
    """Why nothing is shown, for the operator."""
    if other.shown is None:
        return f"{topic}: standings of definition {other.newest} have no root yet: is a worker running?"
    return (f"{topic}: standings of definition {other.newest} have no root yet, and replace those of {other.shown}: "
            "run it again when the worker has published")  # fmt: skip
