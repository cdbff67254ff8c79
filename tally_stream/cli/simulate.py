"""`tally-stream simulate`: a night of any size from a seed, as an election folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import click
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from tally_stream.cli.common import err, note, open_election, out, refuse, settings_of, with_broker
from tally_stream.cli.send import send_night
from tally_stream.station.simulate import SEED_MAX, Plan, SimulationRefused, every_code
from tally_stream.station.simulate_folder import EXPECTED_FILE, LOG_FILE, write_night
from tally_stream.station.simulate_places import STATIONS_MAX
from tally_stream.station.simulate_sheets import RACES
from tally_stream.wire.limits import LOG_PARTITIONS_MAX


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
@click.option("--to", type=click.Choice(["file", "kafka"]), default="file", show_default=True,
              help="kafka: play it into the reports topic too, as `tally-stream send` does.")  # fmt: skip
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="With --to kafka: records a second.")
@with_broker
@click.option("--json", "as_json", is_flag=True, help=f"Print what {EXPECTED_FILE} has.")
def simulate(
    folder: Path, stations: int, seed: int, contests: int, errors: str, partitions: int | None,
    phase: Literal["official", "test"], signed: bool, to: str, rate: float | None, as_json: bool, **flags: object,
) -> None:  # fmt: skip
    """Write an invented election night to the folder DIR: a definition and a report log.

    Small polling stations report first, some late, a region falls silent; there are corrections, annulments, duplicates, and at
    least one record for each code of --errors. DIR/simulate.json has what the night is made to come to: `tally-stream replay
    DIR --verdicts` must find the same counts.

    Example: tally-stream simulate night --stations 1000 --seed 7
    """
    if to == "file" and (rate is not None or any(flags.values())):
        raise click.UsageError("--rate, --bootstrap and --prefix are for --to kafka: a file has no pace and no broker")
    settings = settings_of(**flags) if to == "kafka" else None
    plan = Plan(stations, seed, contests, _codes(errors, partitions), partitions, phase, signed)
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


def _codes(text: str, partitions: int | None) -> tuple[str, ...]:
    if text in ("all", "none"):
        return every_code(partitions) if text == "all" else ()
    return tuple(dict.fromkeys(code.strip().upper() for code in text.split(",") if code.strip()))
