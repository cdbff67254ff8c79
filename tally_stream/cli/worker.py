"""`tally-stream worker`: both stages in one Faust worker."""

from __future__ import annotations

import click

from tally_stream.cli.common import EXIT_USAGE, open_election, refuse, run_async, say, settings_of, with_broker


@click.command()
@click.option("--election", metavar="DIR", help="Election folder or a night that ships [TALLY_ELECTION].")
@with_broker
@click.option("--group", help="Consumer group [TALLY_GROUP, default <prefix>-workers].")
@click.option("--instance", help="This worker's own name in the group [TALLY_INSTANCE, default host and metrics port].")
@click.option("--publish-interval-ms", type=int, help="Least time between two partials [50].")
@click.option("--metrics-host", help="Where metrics and health are served [127.0.0.1].")
@click.option("--metrics-port", type=int, help="0: any free port [9180].")
@click.option("--rehearsal", is_flag=True, default=None, help="Show durability settings that break a promise; go on.")
@click.option("--replace-definition", metavar="DIGEST", help="Ignore partials and standings of this older definition.")
@click.option("--embedded", is_flag=True, hidden=True, help="The broker is the embedded one: no topic settings.")
def worker(
    election: str | None, replace_definition: str | None, embedded: bool, **flags: object
) -> None:
    """Count the reports topic of an election and publish standings, until SIGTERM or Ctrl-C.

    Example: tally-stream worker --election az-2024 --bootstrap 127.0.0.1:9092 --rehearsal
    """
    settings = settings_of(election=election, **flags)
    if settings.election is None:
        refuse(["no election: give --election or set TALLY_ELECTION"], EXIT_USAGE)
    definition, _ = open_election(settings.election)

    from tally_stream.kafka.client import BrokerUnavailable, KafkaError
    from tally_stream.stream.app import WorkerOptions, WorkerRefused, run

    options = WorkerOptions(checks_topics=not embedded, replaced_definition=replace_definition)
    try:
        run_async(run(settings, definition, options, lambda line: say(f"tally-stream: {line}")))
    except WorkerRefused as refused:
        refuse(refused.errors)
    except (BrokerUnavailable, KafkaError, OSError) as error:
        refuse([str(error)])
