"""`tally-stream worker`: both stages in one Faust worker, and its supervisor."""

from __future__ import annotations

import logging
import os
import sys

import click

from tally_stream.cli.common import EXIT_USAGE, open_election, refuse, run_async, say, settings_of, with_broker
from tally_stream.cli.supervise import ToSupervisor, supervise
from tally_stream.settings import Settings

PROCESSES_MAX = 64


@click.command()
@click.option("--election", metavar="DIR", help="Election folder or a night that ships [TALLY_ELECTION].")
@with_broker
@click.option("--group", help="Consumer group [TALLY_GROUP, default <prefix>-workers].")
@click.option("--instance", help="This worker's own name in the group [TALLY_INSTANCE, default host and metrics port].")
@click.option("--publish-interval-ms", type=int, help="Least time between two partials [50].")
@click.option("--metrics-host", help="Where metrics and health are served [127.0.0.1].")
@click.option("--metrics-port", type=int, help="0: any free port [9180].")
@click.option("--rehearsal", is_flag=True, default=None, help="Show durability settings that break a promise; go on.")
@click.option("--replace-definition", metavar="DIGEST", multiple=True,
              help="Ignore partials and standings of this older definition; may be given again for each.")  # fmt: skip
@click.option("--resend", is_flag=True, help="Send all rejections and changes again, from offset 0.")
@click.option("--once", is_flag=True, help="End instead of starting again: something else does (systemd, Kubernetes).")
@click.option("--processes", type=click.IntRange(1, PROCESSES_MAX), default=1,
              help="Workers in one group, one a core is best; each next one has the next metrics port [1].")  # fmt: skip
@click.option("--embedded", is_flag=True, hidden=True, help="The broker is the embedded one: no topic settings.")
def worker(
    election: str | None, replace_definition: tuple[str, ...], resend: bool, once: bool, processes: int, embedded: bool,
    **flags: object,
) -> None:  # fmt: skip
    """Count the reports topic of an election and publish standings, until SIGTERM or Ctrl-C.

    A worker that ends by a surprise is started again and replays, one that found no broker tries again; after three
    crashes by one record it stays down.

    Example: tally-stream worker --election az-2024 --bootstrap 127.0.0.1:9092 --rehearsal
    """
    if once and processes > 1:
        raise click.UsageError("--processes is for the supervisor: give it or --once, not both")
    settings = settings_of(election=election, **flags)
    if not once:
        commands = [_command(settings, number) for number in range(processes)]
        sys.exit(supervise(commands, lambda line: say(f"tally-stream: {line}")))
    if settings.election is None:
        refuse(["no election: give --election or set TALLY_ELECTION"], EXIT_USAGE)
    definition, _ = open_election(settings.election)

    from tally_stream.kafka.client import BrokerUnavailable, KafkaError
    from tally_stream.stream.app import WorkerOptions, WorkerRefused, run
    from tally_stream.stream.batching import fatal

    if os.environ.get("TALLY_DEBUG"):
        logging.getLogger("tally_stream").addHandler(logging.StreamHandler())  # traces too; else a line names the place
    supervisor = ToSupervisor()

    def end(reason: str) -> None:
        supervisor.tell_reason(reason)
        fatal(reason)

    options = WorkerOptions(
        checks_topics=not embedded, replaced_definitions=frozenset(replace_definition), resends_outputs=resend
    )
    def tell(line: str) -> None:
        say(f"tally-stream: {line}")

    try:
        run_async(run(settings, definition, options, tell, on_ready=supervisor.tell_ready, on_fatal=end))
    except WorkerRefused as refused:
        refuse(refused.errors)
    except Exception as error:
        # No refusal: brokers come back, and a file or a password can be put right. The supervisor is told why and tries again.
        reason = str(error) or type(error).__name__
        supervisor.tell_reason(reason)
        if not isinstance(error, BrokerUnavailable | KafkaError | OSError):
            raise
        refuse([reason])


def _command(settings: Settings, number: int) -> list[str]:
    """This same command for the process `number`, from 0: with a name in the group and a port of its own."""
    command = [sys.executable, "-m", "tally_stream", *sys.argv[1:], "--once", "--processes", "1"]
    if number and settings.metrics_port:
        command += ["--metrics-port", str(settings.metrics_port + number)]
    if number and settings.instance:
        command += ["--instance", f"{settings.instance}-{number + 1}"]
    return command
