"""`tally-stream submit`: a station's reports, looked at before they are sent.

Decides what is asked for and in which order; what is wrong with a report stands in `station/checking.py`.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from tally_stream.cli.common import (
    ELECTION,
    EXIT_FAILED,
    EXIT_USAGE,
    open_election,
    out,
    refuse,
    settings_of,
    warn,
    with_broker,
)
from tally_stream.cli.sealing import record_of, sealing_key_of
from tally_stream.cli.stations import hint
from tally_stream.cli.submit_form import ask, is_odd
from tally_stream.cli.submit_receipts import status
from tally_stream.cli.submit_said import as_json, lines_of
from tally_stream.cli.submit_send import ToldOfReceipts, send_and_say, spool_of
from tally_stream.domain.election import Election
from tally_stream.station.authority import Seal
from tally_stream.station.checking import KnownStatements, why_not
from tally_stream.station.entry import FILE_MAX_BYTES, read_entries
from tally_stream.station.entry_values import Entered
from tally_stream.station.known import known_of
from tally_stream.station.known_keys import KnownKeys
from tally_stream.station.preparing import NotAStatement, Prepared, prepare
from tally_stream.station.spool import SpoolError, spool_path, spooled_in


@dataclass(frozen=True)
class ToldWithReports:
    """What a command line adds to each statement, and what it agrees to."""

    contest: str | None = None
    revision: int | None = None
    added: dict[str, Any] = field(default_factory=dict)
    accepts_warnings: bool = False
    accepts_errors: bool = False
    seal: Seal | None = None


@dataclass
class Looked:
    """Statements in the order in which they were given, each as its file has it; and every mistake, one line each."""

    found: list[tuple[Prepared, Entered]] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)

    @property
    def is_right(self) -> bool:
        return not self.mistakes


@click.command()
@click.argument("files", metavar="[FILE]...", nargs=-1, type=click.Path())
@with_broker
@click.option("--intake", "intake_url", metavar="URL", help="Send by it where no Kafka answers [TALLY_INTAKE_URL].")
@click.option("--spool", metavar="FILE", help="Where statements stand until they are taken [TALLY_SPOOL].")
@click.option("--election", type=ELECTION, metavar="DIR", help="Election folder or a night that ships [TALLY_ELECTION].")
@click.option("--station", help="Ask for a report of this station, field by field.")
@click.option("--contest", help="The contest of reports that name none.")
@click.option(
    "--revision",
    type=click.IntRange(min=1),
    help="The revision, whatever a report says; default: one above the highest sent from here.",
)
@click.option("--kind", type=click.Choice(["report", "correct", "recount"]), help="The kind of reports that name none.")
@click.option("--replaces", type=click.IntRange(min=0), help="With --kind correct: the revision that is corrected.")
@click.option("--reason", help="Why it is corrected.")
@click.option("--authority", help="Who ordered that.")
@click.option("--accept-warnings", is_flag=True, help="The paper says so: send it with its warnings.")
@click.option("--accept-errors", is_flag=True, help="The paper contradicts itself: send it, it is held until somebody decides.")
@click.option("--signing-key", metavar="FILE", help="The key that signs them [TALLY_SIGNING_KEY].")
@click.option("--signing-key-id", metavar="ID", help="Its id, where keys.csv does not tell it [TALLY_SIGNING_KEY_ID].")
@click.option("--check", "only_check", is_flag=True, help="Only look: nothing is sent, no broker is needed.")
@click.option(
    "--wait", "waits", is_flag=True, help="Wait until it is known what became of each; exit 1 unless all are counted."
)
@click.option("--status", "only_status", is_flag=True, help="Only say what became of all that was ever sent from here.")
@click.option(
    "--save", type=click.Path(path_type=Path), metavar="FILE.json", help="Save the receipts, and a page of text beside it."
)
@click.option(
    "--metrics-file", "spool_metrics_file", metavar="FILE.prom",
    help="Write the spool's figures there, for node_exporter [TALLY_SPOOL_METRICS_FILE].",
)  # fmt: skip
@click.option("--json", "in_json", is_flag=True, help="One JSON object a line.")
def submit(
    files: tuple[str, ...], election: str | None, station: str | None, contest: str | None, revision: int | None,
    kind: str | None, replaces: int | None, reason: str | None, authority: str | None, accept_warnings: bool,
    accept_errors: bool, only_check: bool, waits: bool, only_status: bool, save: Path | None, in_json: bool, **flags: object,
) -> None:  # fmt: skip
    """Look at the reports in each FILE (`-`: standard input), keep them in the spool, and send them until they are taken.

    FILE is JSON, JSON Lines or a table (CSV) with a row for each station; docs/stations.md has its columns. Every rule that
    would speak at the count speaks here, with the two figures that it compares. With --station a report is asked for, field by
    field. Without both, what the spool still has is sent.

    Example: tally-stream submit reports.csv --election council --check
    """
    settings = settings_of(election=election, **flags)
    if settings.election is None:
        refuse(["no election: give --election or set TALLY_ELECTION"], EXIT_USAGE)
    if station is not None and (files or only_status or in_json):
        raise click.UsageError("--station asks for a report: it goes without FILE, --status and --json")
    if station is not None and kind in (None, "report") and (replaces, reason, authority) != (None, None, None):
        raise click.UsageError("--replaces, --reason and --authority are a correction's: with --kind correct, or recount")
    _refuse_what_does_not_fit((*files, *([station] if station else [])), only_check, only_status or waits, only_status, save)
    definition, _ = open_election(settings.election)
    stated = {"kind": kind, "replaces": replaces, "reason": reason, "authority": authority}
    added = {k: v for k, v in stated.items() if v is not None}
    entries, mistakes = read_files(files, definition)
    key, keys, record = None, None, None
    if (files or station) and (not only_check or settings.signing_key is not None):
        key = sealing_key_of(settings, definition)
        if not only_check and not mistakes:
            record = record_of(settings, definition, stations_in(entries) if station is None else {station}, key)
        ring = None if record is None else record.keys
        keys = KnownKeys(definition) if key is None else KnownKeys(definition, ring, settings.signing_key, warn)
    seal = None if key is None else key.seal
    given = ToldWithReports(contest, revision, added, accept_warnings, accept_errors, seal)
    path = spool_path(settings.spool, settings.prefix, definition.id)
    spool = None
    try:
        if only_status:
            status(settings, definition, path, save, in_json=in_json)
            return
        if station is not None:  # before anybody types a paper that may not be signed here, or could not be kept
            if keys is not None and seal is not None:
                _refuse_what_it_may_not_sign(keys, seal, kind or "report", station)
            if not only_check:
                spool = click.get_current_context().with_resource(spool_of(settings, definition, path))
        known = known_of(definition, spooled_in(path), keys, () if record is None else record.stated)
    except SpoolError as error:
        refuse([str(error)])
    if station is not None:
        try:
            prepared = ask(known, station, contest, given.added, revision, seal, only_check=only_check)
        except click.Abort:
            click.echo()  # the question's line has no end
            refuse(["the input ended at a question, or was stopped there: nothing was kept"])
        if only_check:
            sys.exit(EXIT_FAILED if is_odd(prepared) else 0)
        found = [prepared]
    else:
        looked = look_at(entries, mistakes, known, given)
        say(looked, in_json)
        if not looked.is_right:
            sys.exit(EXIT_FAILED)
        found = [prepared for prepared, _ in looked.found]
    if not only_check:
        told = ToldOfReceipts(waits, save)
        send_and_say(settings, definition, spool or path, found, told, in_json=in_json)


def _refuse_what_it_may_not_sign(keys: KnownKeys, seal: Seal, kind: str, station: str) -> None:
    why = keys.why_refused(seal(b"{}"), int(time.time() * 1000), kind, station)
    if why is not None:
        refuse([f"S6: {why}"])


def _refuse_what_does_not_fit(
    files: tuple[str, ...], only_check: bool, asks_brokers: bool, only_status: bool, save: Path | None
) -> None:
    if only_check and (not files or asks_brokers or save):
        raise click.UsageError("--check looks at a FILE, and at nothing else: it goes without --wait, --status and --save")
    if only_status and files:
        raise click.UsageError("--status is about what was sent before: it goes without FILE")
    if save is not None and save.suffix != ".json":
        raise click.UsageError("--save names a file that ends with .json; the page of text stands beside it")


def read_files(files: tuple[str, ...], election: Election) -> tuple[list[Entered], list[str]]:
    """What stands in them, and every mistake of a file, one line each. Exits 1 where one cannot be read."""
    entries: list[Entered] = []
    wrong: list[str] = []
    for name in files:
        found, mistakes = read_entries(name, _content(name), election)
        entries += found
        wrong += map(str, mistakes) if mistakes or found else [f"{name}: there is no report in it"]
    return entries, wrong


def stations_in(entries: list[Entered]) -> set[str]:
    """Those that the statements name."""
    return {id for entered in entries if isinstance(id := entered.fields.get("station"), str)}


def look_at(entries: list[Entered], mistakes: list[str], known: KnownStatements, given: ToldWithReports) -> Looked:
    """Each statement as it would be sent, the ones before it known."""
    looked = Looked(mistakes=[*mistakes])
    for entered in entries:
        _look(looked, known, given, entered)
    return looked


def _said(fields: dict[str, Any]) -> dict[str, Any]:
    """Without what is null: absent."""
    return {name: value for name, value in fields.items() if value is not None}


def _look(looked: Looked, known: KnownStatements, given: ToldWithReports, entered: Entered) -> None:
    place, fields = entered.place, {**given.added, **_said(entered.fields)}
    now_ms = int(time.time() * 1000)
    try:
        prepared = prepare(fields, known, now_ms, given.contest, given.revision, given.seal)
    except NotAStatement as error:
        looked.mistakes.append(f"{place}: {error}")
        return
    looked.found.append((prepared, entered))
    refusal = why_not(prepared.checked, accepts_warnings=given.accepts_warnings, accepts_errors=given.accepts_errors)
    if refusal is not None:
        hints = [said for remark in prepared.checked.remarks if (said := hint(known.election, remark)) is not None]
        looked.mistakes.append("; ".join([f"{place}: {prepared}: {refusal}", *hints]))
    else:
        known.take(prepared.value, prepared.key, now_ms)


def _content(name: str) -> bytes:
    """Of a file, up to one byte more than is read; exits 1 where it can't be."""
    try:
        if name == "-":
            return sys.stdin.buffer.read(FILE_MAX_BYTES + 1)
        with Path(name).open("rb") as file:
            return file.read(FILE_MAX_BYTES + 1)
    except OSError as error:
        refuse([f"{name}: cannot be read: {error.strerror or error}"])


def say(looked: Looked, in_json: bool) -> None:
    """What was found on stdout, what keeps it from being sent on stderr."""
    for prepared, entered in looked.found:
        if in_json:
            click.echo(json.dumps(as_json(prepared, entered), ensure_ascii=False))
        else:
            for line in lines_of(prepared, entered):
                out.print(Text(line), soft_wrap=True)
    if in_json:
        for line in looked.mistakes:
            click.echo(json.dumps({"mistake": line}, ensure_ascii=False))
    elif looked.mistakes:
        refuse(looked.mistakes)
