"""`tally-stream topics`: set-up is a command, never a side effect of a worker."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tally_stream.cli.common import ELECTION, EXIT_USAGE, open_election, out, refuse, run_async, say, settings_of, with_broker
from tally_stream.settings import Settings

if TYPE_CHECKING:
    from tally_stream.kafka.topics import TopicReport

_T = TypeVar("_T")


@click.group()
def topics() -> None:
    """Create the five topics, or list what is wrong with them."""


@topics.command()
@with_broker
@click.option("--election", type=ELECTION, metavar="DIR",
              help="Election folder [TALLY_ELECTION]; its phase decides the timestamps.")  # fmt: skip
@click.option("--partitions", type=click.IntRange(1, 1000), default=4, show_default=True, help="Fixed for ever.")
@click.option("--replication", type=click.IntRange(1, 9), default=3, show_default=True)
@click.option("--create-time", is_flag=True, help="Keep the records' own times (a rehearsal of a recorded night).")
def create(election: str | None, partitions: int, replication: int, create_time: bool, **flags: object) -> None:
    """Create the topics that are missing, with the settings the count needs.

    Example: tally-stream topics create --election az-2024 --partitions 8 --replication 3
    """
    settings, is_official = _settings(election, flags)

    async def main() -> list[str]:
        from tally_stream.kafka.client import wait_for_broker
        from tally_stream.kafka.topics import create_topics

        await wait_for_broker(settings, lambda line: say(f"tally-stream: {line}"))
        return await create_topics(
            settings, partitions=partitions, replication=replication, is_log_append=is_official and not create_time
        )

    created = _run(main)
    for name in created:
        out.print(f"created {name}", markup=False)
    if not created:
        out.print("all topics are there already; `topics check` looks at their settings", markup=False)


@topics.command()
@with_broker
@click.option("--election", type=ELECTION, metavar="DIR",
              help="Election folder [TALLY_ELECTION]; its phase decides the timestamps.")  # fmt: skip
@click.option("--rehearsal", is_flag=True, default=None, help="Durability settings are shown, not refused.")
@click.option("--json", "as_json", is_flag=True)
def check(election: str | None, as_json: bool, **flags: object) -> None:
    """List everything that is wrong with the topics; exit 1 where a worker would refuse them.

    Example: tally-stream topics check --election az-2024
    """
    settings, is_official = _settings(election, flags)

    async def main() -> TopicReport:
        from tally_stream.kafka.client import wait_for_broker
        from tally_stream.kafka.topics import check_topics

        await wait_for_broker(settings, lambda line: say(f"tally-stream: {line}"))
        return await check_topics(settings, is_official=is_official)

    report = _run(main)
    refusals = report.refusals + ([] if settings.rehearsal else report.risks)
    if as_json:
        click.echo(json.dumps({"partitions": report.partitions, "refusals": refusals, "risks": report.risks}))
    elif settings.rehearsal:
        for risk in report.risks:
            out.print(f"rehearsal: {risk}", markup=False)
    if refusals:
        refuse([] if as_json else refusals)
    if not as_json:
        out.print(f"the topics are as they should be, {report.partitions} partitions", markup=False)


def _settings(election: str | None, flags: dict[str, object]) -> tuple[Settings, bool]:
    settings = settings_of(election=election, **flags)
    if settings.election is None:
        refuse(["no election: give --election or set TALLY_ELECTION"], EXIT_USAGE)
    definition, _ = open_election(settings.election)
    return settings, definition.phase == "official"


def _run(main: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
    from tally_stream.kafka.client import BrokerUnavailable, KafkaError
    from tally_stream.kafka.topics import TopicsError

    try:
        return run_async(main())
    except TopicsError as refused:
        refuse(refused.errors)
    except (BrokerUnavailable, KafkaError, OSError) as error:
        refuse([str(error)])
