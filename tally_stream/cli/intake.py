"""`tally-stream intake`: reports over HTTP, and the tokens of those who may send them.

Decides what is said at the start and on the metrics' port. What answers where stands in `station/intake/server.py`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tally_stream.cli.common import (
    ELECTION,
    EXIT_USAGE,
    begin_log,
    cancel_when_told,
    chosen_election,
    note,
    open_election,
    out,
    refuse,
    run_async,
    settings_of,
    warn,
    with_broker,
)
from tally_stream.cli.memory import memory_given_back
from tally_stream.domain.election import Election
from tally_stream.metrics import INTAKE_METRICS, Sample, build, registry_of
from tally_stream.settings import Settings, is_loopback, why_not_listening

if TYPE_CHECKING:
    from tally_stream.station.intake.server import Intake
    from tally_stream.stream.health import HealthServer

TOKENS_MODE = 0o644
"""Hashes of random tokens: who reads them cannot send."""

STATIONS_SHOWN_MAX = 20


@click.group(invoke_without_command=True)
@click.option("--election", type=ELECTION, metavar="DIR", help="Election folder or a night that ships [TALLY_ELECTION].")
@with_broker
@click.option("--intake-host", "--host", help="Where the intake listens [TALLY_INTAKE_HOST, default 127.0.0.1].")
@click.option("--intake-port", "--port", type=int, help="0: any free port [TALLY_INTAKE_PORT, default 8090].")
@click.option("--tokens", "intake_tokens", metavar="FILE", help="Tokens, hashed, with their stations [TALLY_INTAKE_TOKENS].")
@click.option("--metrics-host", "intake_metrics_host", help="Where metrics are served [127.0.0.1].")
@click.option("--metrics-port", "intake_metrics_port", type=int,
              help="Their port [TALLY_INTAKE_METRICS_PORT, default 0: none].")  # fmt: skip
@click.pass_context
def intake(context: click.Context, /, election: str | None, **flags: object) -> None:
    """Take reports over HTTP and send them to Kafka, until Ctrl-C. Any number may run.

    Example: tally-stream intake --election council --tokens tokens --port 8090
    """
    if context.invoked_subcommand is not None:
        return
    begin_log("intake")
    settings = settings_of(election=election, **flags)
    if settings.election is None:
        refuse(["no election: give --election or set TALLY_ELECTION"], EXIT_USAGE)
    if settings.intake_tokens is None and settings.intake_cafile is None:
        refuse(["nobody could send anything: give --tokens FILE (`tally-stream intake token` makes one), or "
                "TALLY_INTAKE_CAFILE for certificates"], EXIT_USAGE)  # fmt: skip
    if settings.intake_cafile is not None and settings.intake_certfile is None:
        refuse(["TALLY_INTAKE_CAFILE: certificates are shown over TLS alone: TALLY_INTAKE_CERTFILE names the intake's"],
               EXIT_USAGE)  # fmt: skip
    if settings.intake_certfile is None and not is_loopback(settings.intake_host):
        warn(f"the intake listens at {settings.intake_host} without TLS: tokens can be read on the way, unless a proxy in "
             "front of it ends TLS; or give TALLY_INTAKE_CERTFILE")  # fmt: skip
    definition, _ = open_election(settings.election)

    from tally_stream.station.intake.identity import TokenFileError

    try:
        run_async(_serve(settings, definition))
    except TokenFileError as error:
        refuse([f"TALLY_INTAKE_TOKENS: {error}"], EXIT_USAGE)
    except OSError as error:
        refuse([str(error)])
    except KeyboardInterrupt:
        return


@intake.command()
@click.option("--station", "stations", multiple=True, required=True, metavar="ID", help="For which it speaks; several times.")
@click.option("--election", type=ELECTION, metavar="DIR", help="Election folder or a night that ships [TALLY_ELECTION].")
@click.option("--tokens", "intake_tokens", metavar="FILE", help="The file it is added to [TALLY_INTAKE_TOKENS].")
def token(stations: tuple[str, ...], election: str | None, intake_tokens: str | None) -> None:
    """Make a token for a station (or several), add its hash to FILE, and print it: this once and never again.

    To take it away, remove its line: an intake that runs sees that.

    Example: tally-stream intake token --station 041-038 --election council --tokens tokens
    """
    from tally_stream.station.intake.identity import TokenFileError, new_token, read_tokens, token_line

    settings = settings_of(election=election, intake_tokens=intake_tokens)
    if settings.intake_tokens is None:
        refuse(["no file: give --tokens or set TALLY_INTAKE_TOKENS"], EXIT_USAGE)
    definition = chosen_election(settings)
    unknown = [f"{definition.id} has no station {station}" for station in stations if station not in definition.stations]
    if unknown:
        refuse(unknown, EXIT_USAGE)
    path, made = Path(settings.intake_tokens), new_token()
    line = token_line(made, stations)
    try:
        before = path.read_text("utf-8") if path.exists() else ""
        read_tokens(before, str(path), definition)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, TOKENS_MODE), "a") as file:
            file.write("\n" * bool(before and not before.endswith("\n")) + line)
    except TokenFileError as error:
        refuse([str(error)])
    except (OSError, UnicodeDecodeError) as error:
        refuse([f"{path}: {getattr(error, 'strerror', None) or error}"])
    named = sorted(set(stations))
    whose = ", ".join(named) if len(named) <= STATIONS_SHOWN_MAX else f"{len(named):,} stations"
    note(f"{path} has its hash, for {whose}; the token below is kept nowhere: hand it over now")
    out.print(made, markup=False, soft_wrap=True)


async def _serve(settings: Settings, definition: Election) -> None:
    from tally_stream.cli.board import allow_sockets
    from tally_stream.station.intake.server import Intake

    cancel_when_told()
    allow_sockets()
    watched: HealthServer | None = None
    try:
        async with memory_given_back(), Intake(settings, definition, warn) as served:
            watched = await _watched(settings, served)
            note(f"intake at {served.address}{_watched_at(watched, settings)} for {definition.id}, into {served.topic}")
            await served.run()
    except asyncio.CancelledError:
        note("stopped")
    finally:
        if watched is not None:
            await watched.stop()


async def _watched(settings: Settings, served: Intake) -> HealthServer | None:
    """Metrics and health, where a port is given. Raises OSError, with a sentence, where it can't be had."""
    if not settings.intake_metrics_port:
        return None
    from tally_stream.stream.health import HealthServer

    def readiness() -> dict[str, Any]:
        reasons = served.why_not_ready()
        return {"ready": not reasons, "reasons": reasons}

    host, port = settings.intake_metrics_host, settings.intake_metrics_port
    server = HealthServer(host, port, registry_of(lambda: samples(served), INTAKE_METRICS), readiness)
    try:
        await server.start()
    except OSError as error:
        raise OSError(
            f"metrics of the intake can't be served at {host}:{port}: {why_not_listening(error)}; another port: --metrics-port "
            "or TALLY_INTAKE_METRICS_PORT"
        ) from error
    return server


def _watched_at(watched: HealthServer | None, settings: Settings) -> str:
    return "" if watched is None else f", metrics at {settings.intake_metrics_host}:{watched.port}"


def samples(served: Intake) -> dict[str, Iterable[Sample]]:
    """The metrics of `metrics.INTAKE_METRICS`."""
    return {
        "tally_build_info": build(served.election.id, served.election.digest),
        "tally_intake_taken_total": [((), served.taken_count)],
        "tally_intake_repeated_total": [((), served.repeated_count)],
        "tally_intake_refused_total": [((why,), count) for why, count in served.refused.items()],
        "tally_intake_under_way": [((), served.taking.under_way_count)],
        "tally_intake_body_bytes": [((), served.room.used)],
        "tally_intake_tokens": [((), len(served.identities))],
        "tally_intake_ready": [((), int(not served.why_not_ready()))],
    }
