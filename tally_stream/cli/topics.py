"""`tally-stream topics`: set-up is a command, never a side effect of a worker."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tally_stream.cli.common import (
    ELECTION,
    EXIT_USAGE,
    chosen_election,
    out,
    refuse,
    run_async,
    settings_of,
    warn,
    with_broker,
)
from tally_stream.settings import Settings

if TYPE_CHECKING:
    from tally_stream.kafka.acls import AccessTable
    from tally_stream.kafka.topics import TopicReport

_T = TypeVar("_T")
ACLS = click.option("--acls", "acls_file", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path),
                    help="Table of who may do what (deploy/kafka/acls.toml).")  # fmt: skip


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
@ACLS
@click.option("--revoke", is_flag=True, help="Take from the principals in FILE what it does not give them.")
def create(
    election: str | None,
    partitions: int,
    replication: int,
    create_time: bool,
    acls_file: Path | None,
    revoke: bool,
    **flags: object,
) -> None:
    """Create the topics that are missing, with the settings the count needs.

    With --acls it also makes the access rules of FILE that are missing, which takes a super user of the brokers.

    Example: tally-stream topics create --election az-2024 --partitions 8 --replication 3 --acls deploy/kafka/acls.toml
    """
    settings, is_official = _settings(election, flags)
    table = _table(acls_file, settings)
    if revoke and table is None:
        refuse(["--revoke goes with --acls FILE"], EXIT_USAGE)

    async def main() -> list[str]:
        from tally_stream.kafka.client import wait_for_broker
        from tally_stream.kafka.topics import create_topics

        await wait_for_broker(settings, warn)
        return await create_topics(
            settings, partitions=partitions, replication=replication, is_log_append=is_official and not create_time
        )

    created = _run(main)
    for name in created:
        out.print(f"created {name}", markup=False)
    if not created:
        out.print("all topics are there already; `topics check` looks at their settings", markup=False)
    if table is not None:
        _give(settings, table, revokes=revoke)


@topics.command()
@with_broker
@click.option("--election", type=ELECTION, metavar="DIR",
              help="Election folder [TALLY_ELECTION]; its phase decides the timestamps.")  # fmt: skip
@click.option("--rehearsal", is_flag=True, default=None, help="Durability settings are shown, not refused.")
@ACLS
@click.option("--json", "as_json", is_flag=True)
def check(election: str | None, acls_file: Path | None, as_json: bool, **flags: object) -> None:
    """List everything that is wrong with the topics; exit 1 where a worker would refuse them.

    With --acls it also lists each access rule of FILE that the brokers lack, and each that they have on our topics and FILE
    has not; exit 1 where there is one.

    Example: tally-stream topics check --election az-2024 --acls deploy/kafka/acls.toml
    """
    settings, is_official = _settings(election, flags)
    table = _table(acls_file, settings)

    async def main() -> TopicReport:
        from tally_stream.kafka.client import wait_for_broker
        from tally_stream.kafka.topics import check_topics

        await wait_for_broker(settings, warn)
        return await check_topics(settings, is_official=is_official)

    report = _run(main)
    refusals = report.refusals + ([] if settings.rehearsal else report.risks)
    access = None if table is None else _differences(settings, table)
    if as_json:
        told = {"partitions": report.partitions, "refusals": refusals, "risks": report.risks}
        click.echo(json.dumps(told if access is None else {**told, "access": access}))
    elif settings.rehearsal:
        for risk in report.risks:
            out.print(f"rehearsal: {risk}", markup=False)
    if refusals or access:
        refuse([] if as_json else [*refusals, *(access or [])])
    if not as_json:
        out.print(f"the topics are as they should be, {report.partitions} partitions", markup=False)


def _settings(election: str | None, flags: dict[str, object]) -> tuple[Settings, bool]:
    settings = settings_of(election=election, **flags)
    definition = chosen_election(settings)
    return settings, definition.phase == "official"


def _table(path: Path | None, settings: Settings) -> AccessTable | None:
    """The table of access rules; every mistake in it is printed and exits 2."""
    from tally_stream.kafka.acls import AclsError, read_table

    try:
        return None if path is None else read_table(path, settings)
    except AclsError as broken:
        refuse(broken.errors, EXIT_USAGE)


def _give(settings: Settings, table: AccessTable, *, revokes: bool) -> None:
    from tally_stream.kafka.acls import give_access

    given, taken, after = _run(lambda: give_access(settings, table, revokes=revokes))
    for rule in given:
        out.print(f"allowed {rule}", markup=False)
    for rule in taken:
        out.print(f"taken away: {'denied ' if rule.is_denied else ''}{rule}", markup=False)
    if not given and not taken:
        out.print(f"all {len(table.rules)} access rules of {table.path} are there already", markup=False)
    for line in after.sentences:
        warn(line)


def _differences(settings: Settings, table: AccessTable) -> list[str]:
    from tally_stream.kafka.acls import check_access

    return _run(lambda: check_access(settings, table)).sentences


def _run(main: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
    from tally_stream.kafka.acls import AclsError
    from tally_stream.kafka.client import BrokerUnavailable, KafkaError
    from tally_stream.kafka.topics import TopicsError

    try:
        return run_async(main())
    except (TopicsError, AclsError) as refused:
        refuse(refused.errors)
    except (BrokerUnavailable, KafkaError, OSError) as error:
        refuse([str(error)])
