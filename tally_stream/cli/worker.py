"""`tally-stream worker`: both stages in one Faust worker, and its supervisor."""

from __future__ import annotations

import logging
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from tally_stream.cli.common import (
    ELECTION,
    EXIT_FAILED,
    EXIT_USAGE,
    begin_log,
    chosen_election,
    note,
    refuse,
    run_async,
    say,
    settings_of,
    stop_when_told,
    tell_unexpected,
    warn,
    with_broker,
)
from tally_stream.cli.lifeline import end_with_parent, take_lifeline
from tally_stream.cli.memory import memory_given_back
from tally_stream.cli.supervise import ToSupervisor, supervise
from tally_stream.domain.election import Election
from tally_stream.settings import Settings

if TYPE_CHECKING:  # the engine is loaded late, so that --help is quick
    from tally_stream.stream.starting import WorkerOptions

PROCESSES_MAX = 64
PORT_MAX = 65_535


@click.command()
@click.option("--election", type=ELECTION, metavar="DIR", help="Election folder or a night that ships [TALLY_ELECTION].")
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
@click.option("--once", is_flag=True, help="End instead of starting again: something else does (Docker, Kubernetes).")
@click.option("--processes", type=click.IntRange(1, PROCESSES_MAX), default=1,
              help="Workers in one group, one a core is best; each next one has the next metrics port [1].")  # fmt: skip
@click.option("--embedded", is_flag=True, hidden=True, help="The broker is the embedded one: no topic settings.")
def worker(
    election: str | None, replace_definition: tuple[str, ...], resend: bool, once: bool, processes: int, embedded: bool,
    **flags: Any,
) -> None:  # fmt: skip
    """Count the reports topic of an election and publish standings, until SIGTERM or Ctrl-C.

    A worker that ends by a surprise is started again and replays, one that found no broker tries again; after three
    crashes by one record, or where brokers refuse its login or a right, it stays down.

    Example: tally-stream worker --election az-2024 --bootstrap 127.0.0.1:9092 --rehearsal
    """
    if once and processes > 1:
        raise click.UsageError("--processes is for the supervisor: give it or --once, not both")
    begin_log("worker" if once else "supervisor")
    flags["election"] = election
    settings = settings_of(**flags)
    last_port = settings.metrics_port + processes - 1
    if settings.metrics_port and last_port > PORT_MAX:
        refuse([
            f"--processes {processes} from metrics port {settings.metrics_port} on: process {processes} would need port "
            f"{last_port}, the last one is {PORT_MAX}; a lower one: --metrics-port or TALLY_METRICS_PORT"
        ], EXIT_USAGE)  # fmt: skip
    each = [_settings_of_process(number, settings, flags) for number in range(processes)]
    definition = chosen_election(settings)

    import tally_stream.stream.worker  # noqa: F401 (before any fork: what is loaded here no worker loads again)
    from tally_stream.stream.starting import WorkerOptions

    options = WorkerOptions(
        checks_topics=not embedded, replaced_definitions=frozenset(replace_definition), resends_outputs=resend
    )
    if once:
        end_with_parent()
        sys.exit(_count(settings, definition, options, ToSupervisor()))
    bodies = [partial(_count, one, definition, options) for one in each]
    sys.exit(supervise(bodies, warn, take_lifeline()))


def _settings_of_process(number: int, settings: Settings, flags: dict[str, Any]) -> Settings:
    """Of the process `number`, from 0: with a name in the group and a port of its own. Exits 2 where one is past its limit."""
    changed: dict[str, object] = {}
    if number and settings.metrics_port:
        changed["metrics_port"] = settings.metrics_port + number
    if number and settings.instance:
        changed["instance"] = f"{settings.instance}-{number + 1}"
    return settings_of(**{**flags, **changed}) if changed else settings


def _count(settings: Settings, definition: Election, options: WorkerOptions, supervisor: ToSupervisor) -> int:
    """A worker from start to end, in this process; its exit code."""
    from tally_stream.kafka.client import BrokerRefused, BrokerUnavailable, KafkaError
    from tally_stream.kafka.rights import names_a_missing_right
    from tally_stream.stream.fatal import fatal
    from tally_stream.stream.starting import WorkerRefused
    from tally_stream.stream.worker import run

    log = begin_log(supervisor.name or "worker")

    def end(reason: str) -> None:
        supervisor.tell_reason(reason)
        if names_a_missing_right(reason):
            supervisor.tell_incurable()
        fatal(reason, log.last_words)

    async def main() -> None:
        stop = stop_when_told()
        async with memory_given_back():
            await run(settings, definition, options, note, stop, warn=warn, on_ready=supervisor.tell_ready, on_fatal=end)

    try:
        run_async(main())
    except WorkerRefused as refused:
        for line in refused.errors:
            say(f"tally-stream: {line}", logging.ERROR)
        if any(names_a_missing_right(line) for line in refused.errors):
            supervisor.tell_incurable()
        return EXIT_FAILED
    except Exception as error:
        # No refusal: brokers come back, and a file or a password can be put right. The supervisor is told why and tries again.
        reason = str(error) or type(error).__name__
        supervisor.tell_reason(reason)
        if isinstance(error, BrokerRefused) or names_a_missing_right(reason):
            supervisor.tell_incurable()
        if isinstance(error, BrokerUnavailable | KafkaError | OSError):
            say(f"tally-stream: {reason}", logging.ERROR)
        else:
            tell_unexpected(error)
        return EXIT_FAILED
    finally:
        log.settle(at_once=True)  # a fork ends without what Python does at an exit
    return 0
