"""`tally-stream simulate`: a night of any size from a seed, as an election folder."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tally_stream.cli.common import (
    EXIT_USAGE,
    cancel_when_told,
    err,
    note,
    open_election,
    out,
    refuse,
    run_async,
    settings_of,
    warn,
    with_broker,
)
from tally_stream.cli.send import send_night
from tally_stream.settings import Settings
from tally_stream.station.simulate import SEED_MAX, Plan, SimulationRefused, every_code
from tally_stream.station.simulate_folder import EXPECTED_FILE, LOG_FILE, write_night
from tally_stream.station.simulate_places import STATIONS_MAX
from tally_stream.station.simulate_sheets import RACES
from tally_stream.wire.limits import LOG_PARTITIONS_MAX

if TYPE_CHECKING:  # the HTTP client is loaded late, so that a file is written quickly
    from tally_stream.station.intake.playing import Played

AT_ONCE, AT_ONCE_MAX = 64, 1_000


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option("--stations", type=click.IntRange(1, STATIONS_MAX), required=True, help="How many polling stations.")
@click.option("--seed", type=click.IntRange(0, SEED_MAX), required=True, help="The same seed makes the same bytes.")
@click.option("--contests", type=click.IntRange(1, len(RACES)), default=2, show_default=True,
              help="A president, an assembly, a referendum, a board of three votes.")  # fmt: skip
@click.option("--errors", metavar="CODES", default="all", show_default=True,
              help="Codes of `tally-stream rules` that records earn, as A1,S2; all or none.")  # fmt: skip
@click.option("--partitions", type=click.IntRange(1, LOG_PARTITIONS_MAX),
              help="A saved log of so many partitions; default: a recorded night, which fits every topic.")  # fmt: skip
@click.option("--phase", type=click.Choice(["official", "test"]), default="official", show_default=True,
              help="test: for a rehearsal.")  # fmt: skip
@click.option("--signed", is_flag=True, help="Statements are signed, with keys made from the seed.")
@click.option("--for-intake", "by_intake", is_flag=True, help="Only what stations state and an intake takes.")
@click.option("--to", type=click.Choice(["file", "kafka", "http"]), default="file", show_default=True,
              help="kafka: play it into the reports topic too, as `tally-stream send` does; http: by an intake.")  # fmt: skip
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="With --to kafka or http: records a second.")
@click.option("--at-once", type=click.IntRange(1, AT_ONCE_MAX), help=f"With --to http: so many at once [{AT_ONCE}].")
@click.option("--intake", "intake_url", metavar="URL", help="With --to http: where the intake is [TALLY_INTAKE_URL].")
@with_broker
@click.option("--json", "as_json", is_flag=True, help=f"Print what {EXPECTED_FILE} has.")
def simulate(
    folder: Path, stations: int, seed: int, contests: int, errors: str, partitions: int | None,
    phase: Literal["official", "test"], signed: bool, by_intake: bool, to: str, rate: float | None, at_once: int | None,
    intake_url: str | None, as_json: bool, **flags: object,
) -> None:  # fmt: skip
    """Write an invented election night to the folder DIR: a definition and a report log.

    Small polling stations report first, some late, a region falls silent; there are corrections, annulments, duplicates, and at
    least one record for each code of --errors. DIR/simulate.json has what the night is made to come to: `tally-stream replay
    DIR --verdicts` must find the same counts.

    Example: tally-stream simulate night --stations 1000 --seed 7
    """
    if to == "file" and (rate is not None or any(flags.values())):
        raise click.UsageError("--rate, --bootstrap and --prefix are for --to kafka: a file has no pace and no broker")
    if to != "http" and (at_once is not None or intake_url is not None):
        raise click.UsageError("--at-once and --intake are for --to http")
    settings = settings_of(**flags, intake_url=intake_url) if to != "file" else None
    if to == "http" and settings is not None and settings.intake_url is None:
        refuse(["no intake: give --intake or set TALLY_INTAKE_URL"], EXIT_USAGE)
    by_intake = by_intake or to == "http"
    codes = every_code(partitions, by_intake=by_intake, signed=signed) if errors == "all" else _codes(errors)
    plan = Plan(stations, seed, contests, codes, partitions, phase, signed, by_intake)
    try:
        with Progress(TextColumn("{task.completed:,} records"), TimeElapsedColumn(), console=err,
                      disable=not err.is_terminal, transient=True) as progress:  # fmt: skip
            task = progress.add_task("writing", total=None)
            expected = write_night(plan, folder, lambda count: progress.update(task, completed=count))
    except SimulationRefused as refused:
        refuse([str(refused)])
    except OSError as error:
        refuse([f"{error.filename or folder}: {error.strerror or error}"])
    if as_json:
        click.echo(json.dumps(expected))
    else:
        _tell(folder, expected)
    if settings is not None:
        if to == "http":
            sent = _send_by_intake(settings, folder / LOG_FILE, expected["records"], rate, at_once or AT_ONCE)
        else:
            election, _ = open_election(str(folder))
            sent = send_night(settings, election, folder / LOG_FILE, rate)
        if as_json:  # stdout is a program's
            note(sent)
        else:
            out.print(sent, markup=False)


def _tell(folder: Path, expected: dict[str, Any]) -> None:
    verdicts = expected["verdicts"]
    counts = ", ".join(f"{count:,} {name}" for name, count in verdicts.items() if name != "codes" and count)
    stations = expected["plan"]["stations"]
    out.print(f"{folder}: {expected['records']:,} records of {stations:,} polling stations: {counts}",
              markup=False, soft_wrap=True)  # fmt: skip
    if verdicts["codes"]:
        codes = ", ".join(f"{code} {count:,}" for code, count in verdicts["codes"].items())
        out.print(f"codes: {codes}", markup=False, soft_wrap=True)


def _send_by_intake(settings: Settings, log: Path, total: int, rate: float | None, at_once: int) -> str:
    """What stands there now, in a sentence; whatever hinders it is printed and exits 1."""
    from tally_stream.station.transport import NotTaken

    again = "run it again: what was taken counts once"
    try:
        played = run_async(_played(settings, log, total, rate, at_once))
    except (NotTaken, OSError) as error:
        refuse([str(error), again])
    except (KeyboardInterrupt, asyncio.CancelledError):
        refuse(["stopped", again])
    waits = f" ({played.told_to_wait:,} times they were not, and tried again)" if played.told_to_wait else ""
    taken = f"{played.taken:,} statements were taken by {settings.intake_url}{waits}"
    if played.refused:
        first = "; ".join(played.whys)
        warn(f"{played.refused:,} of {total:,} were refused for good ({first}): has the intake the election {log.parent}?")
        refuse([taken])
    return taken


async def _played(settings: Settings, log: Path, total: int, rate: float | None, at_once: int) -> Played:
    from tally_stream.station.intake.playing import play
    from tally_stream.station.intake.sending import IntakeTransport
    from tally_stream.wire.report_log import ReportLog

    cancel_when_told()
    loop = asyncio.get_running_loop()
    begin = loop.time()

    async def keep_rate(index: int) -> None:
        assert rate is not None
        await asyncio.sleep(max(0.0, index / rate - (loop.time() - begin)))

    transport = IntakeTransport(settings)
    try:
        with Progress(TextColumn("sending"), BarColumn(), MofNCompleteColumn(), console=err, disable=not err.is_terminal,
                      transient=True) as progress:  # fmt: skip
            task = progress.add_task("sending", total=total)
            return await play(
                ReportLog(log), transport, warn, at_once=at_once, wait=None if rate is None else keep_rate,
                on_taken=lambda count: progress.update(task, completed=count),
            )  # fmt: skip
    finally:
        await transport.close()


def _codes(text: str) -> tuple[str, ...]:
    if text == "none":
        return ()
    return tuple(dict.fromkeys(code.strip().upper() for code in text.split(",") if code.strip()))
