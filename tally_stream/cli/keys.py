"""`tally-stream keys`: make a key that signs, look at those of an election, add and revoke one on the record.

Decides the conversation. How a key file is made stands in `station/signing_key.py`, how a statement about a key is sent in
`station/key_orders.py`. docs/signatures.md has it in order, for a technician.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from tally_stream.cli.common import (
    ELECTION,
    EXIT_USAGE,
    chosen_election,
    note,
    open_election,
    out,
    refuse,
    run_async,
    settings_of,
    with_broker,
)
from tally_stream.domain.election import Election
from tally_stream.domain.fold import PartitionFold
from tally_stream.domain.keys import SIGNED_KINDS, SigningKey, kinds_of, public_key_error
from tally_stream.domain.report import KeyStatement
from tally_stream.domain.scalars import format_time, is_id, text_error
from tally_stream.settings import Settings
from tally_stream.wire.envelope import from_base64, to_base64
from tally_stream.wire.report_log import LogError

STATION_KINDS = "report correct turnout"
"""What a station's own key may sign unless told otherwise."""


@click.group()
def keys() -> None:
    """Keys that sign statements: make one, look at an election's, add and revoke them on the record.

    An election whose definition has [security] counts only what is signed by a key that may. keys.csv of its folder has those
    of the start; what is added or revoked later stands in the report log, where everybody can read it.
    """


_election = click.option(
    "--election", type=ELECTION, metavar="DIR", help="Election folder or a night that ships [TALLY_ELECTION]."
)
_password = click.option(
    "--password-file",
    metavar="FILE",
    help="Its passphrase, one line [TALLY_SIGNING_KEY_PASSWORD_FILE].",
)


@keys.command()
@click.argument("file", type=click.Path(path_type=Path))
@_password
@click.option("--key-id", metavar="ID", help="For the row that is printed.")
@click.option("--holder", default="", metavar="NAME", help="For the row that is printed: whose it is.")
@click.option("--station", default="", metavar="ID", help="For the row that is printed: for which it signs.")
@click.option("--kinds", default=STATION_KINDS, show_default=True, metavar="WORDS", help="For the row: what it may sign.")
def make(file: Path, password_file: str | None, key_id: str | None, holder: str, station: str, kinds: str) -> None:
    """Make a private key in FILE, which only you may read, and print its row for keys.csv.

    Example: tally-stream keys make 041-038.key --key-id K-041-038 --station 041-038
    """
    from tally_stream.station.signing_key import KeyFileError, make_key_file, public_of

    settings = settings_of(signing_key_password_file=password_file)
    if kinds_of(kinds) is None:
        raise click.BadParameter(f"{kinds!r} is not words of {' '.join(sorted(SIGNED_KINDS))}", param_hint="--kinds")
    try:
        private = make_key_file(file, settings.signing_password)
    except KeyFileError as error:
        refuse([str(error)])
    encrypted = "" if settings.signing_password else "; it is not encrypted: --password-file FILE encrypts the next one"
    note(f"{file} holds the private key{encrypted}. It never leaves this machine; the line below goes to who keeps keys.csv")
    out.print(Text(",".join([key_id or file.stem.upper(), holder, station, kinds, public_of(private), "", ""])), soft_wrap=True)


@keys.command("list")
@_election
@with_broker
@click.option("--record", "on_record", is_flag=True, help="As they are in force on the record now: reads the reports topic.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_keys(election: str | None, on_record: bool, as_json: bool, **flags: object) -> None:
    """The keys of an election: those of its folder, or those in force on the record.

    Example: tally-stream keys list --election DIR --record
    """
    settings, definition = _opened(election, flags)
    listed = list(definition.keys.values())
    if on_record:
        folds = _folded(settings, definition)
        listed = folds[0].keys.all()
        differing = [str(f.partition) for f in folds if f.keys.all() != listed]
        if differing:
            partitions = ", ".join(differing)
            refuse([f"partition {partitions} has other keys than partition 0: an order stands incomplete; give it again"])
    if as_json:
        for key in listed:
            click.echo(json.dumps(_as_json(key), ensure_ascii=False))
        return
    table = Table(
        "key", "holder", "station", "may sign", "from", "to", title=f"{definition.id}: signatures {_demanded(definition)}"
    )
    for key in listed:
        table.add_row(*map(Text, [key.id, key.holder, key.station or "every one", " ".join(sorted(key.kinds)), *_times(key)]))
    out.print(table)


@keys.command()
@click.argument("file", type=click.Path(path_type=Path))
@_password
@_election
def check(file: Path, password_file: str | None, election: str | None) -> None:
    """Whether the private key in FILE opens, and what it may sign in an election.

    Example: tally-stream keys check 041-038.key --election DIR
    """
    from tally_stream.station.signing_key import KeyFileError, public_of, read_key_file

    settings = settings_of(election=election, signing_key_password_file=password_file)
    try:
        private = read_key_file(file, settings.signing_password)
    except KeyFileError as error:
        refuse([str(error)])
    public = public_of(private)
    out.print(Text(f"{file} opens; its public key is {public}"), soft_wrap=True)
    if settings.election is None:
        return
    definition, _ = open_election(settings.election)
    found = [key for key in definition.keys.values() if to_base64(key.public_key) == public]
    for key in found:
        begin, end = _times(key)
        where = f"for station {key.station}" if key.station else "for every station"
        when = "".join([f", from {begin}" if begin else "", f", to {end}" if end else ""])
        out.print(Text(f"{key.id} of {definition.id} may sign {' '.join(sorted(key.kinds))} {where}{when}"), soft_wrap=True)
    if definition.signatures is None:
        out.print(Text(f"{definition.id} has no [security]: nothing is signed in it"), soft_wrap=True)
    if not found:
        refuse([f"keys.csv of {definition.id} does not have this key; one added on the record is in `keys list --record`"])


def _about_key(command: Any) -> Any:
    for option in (
        click.option("--json", "as_json", is_flag=True, help="One JSON object: what was sent where."),
        click.option("--yes", is_flag=True, help="Do not ask."),
        click.option("--authority", "by", required=True, metavar="WHO", help="Who orders it; everybody can read it."),
        click.option("--reason", required=True, metavar="WHY", help="Everybody can read it."),
        click.option("--signing-key", metavar="FILE", help="The key that signs this, of kind `key` [TALLY_SIGNING_KEY]."),
        click.option("--signing-key-id", metavar="ID", help="Its id, where keys.csv does not tell it [TALLY_SIGNING_KEY_ID]."),
    ):
        command = option(command)
    return _election(with_broker(command))


@keys.command()
@click.argument("key_id", metavar="KEY_ID")
@click.option("--holder", required=True, metavar="NAME", help="Whose it is.")
@click.option("--station", default="", metavar="ID", help="For which it signs; without it every station and contest.")
@click.option("--kinds", default=STATION_KINDS, show_default=True, metavar="WORDS", help="What it may sign.")
@click.option("--public-key", required=True, metavar="BASE64", help="As `keys make` printed it.")
@_about_key
def add(key_id: str, holder: str, station: str, kinds: str, public_key: str, **given: Any) -> None:
    """Let a key sign from now on: a signed statement goes to every partition, and is read back.

    Example: tally-stream keys add K-2 --station 041-038 --holder "School 1" --public-key … --reason "Lost." --authority CEC
    """
    words, public = kinds_of(kinds), from_base64(public_key)
    wrong = "is not standard base64 with padding" if public is None else public_key_error(public)
    if words is None:
        raise click.BadParameter(f"{kinds!r} is not words of {' '.join(sorted(SIGNED_KINDS))}", param_hint="--kinds")
    if public is None or wrong is not None:
        raise click.BadParameter(str(wrong), param_hint="--public-key")
    _give(KeyStatement(_an_id(key_id), 0, "add", holder, station, words, public, given["reason"], given["by"]), **given)


@keys.command()
@click.argument("key_id", metavar="KEY_ID")
@_about_key
def revoke(key_id: str, **given: Any) -> None:
    """Let a key sign nothing more: what it signed before this in the log stays counted.

    Example: tally-stream keys revoke K-041-038 --reason "The laptop was stolen." --authority CEC
    """
    _give(KeyStatement(_an_id(key_id), 0, "revoke", "", "", frozenset(), b"", given["reason"], given["by"]), **given)


def _an_id(key_id: str) -> str:
    if not is_id(key_id):
        raise click.BadParameter(f"{key_id!r} is not an id", param_hint="KEY_ID")
    return key_id


def _give(
    order: KeyStatement, *, election: str | None, reason: str, by: str, yes: bool, as_json: bool, **flags: object,
) -> None:  # fmt: skip
    from tally_stream.cli.sealing import key_of
    from tally_stream.kafka.client import BrokerUnavailable, KafkaError
    from tally_stream.station.key_orders import due_of, give_key_order
    from tally_stream.station.orders import OrderRefused

    settings, definition = _opened(election, flags)
    if definition.signatures is None:
        refuse([f"{definition.id} has no [security]: nothing is signed in it, and no key is asked for"], EXIT_USAGE)
    for name, text in (("--reason", reason), ("--authority", by), ("--holder", order.holder)):
        if (wrong := text_error(text)) is not None or (not text and name != "--holder"):
            raise click.BadParameter(wrong or "is empty", param_hint=name)
    key = key_of(settings, definition)
    folds = _folded(settings, definition)
    due = due_of(folds, order)
    what = f"{order.action} {order.key_id}"
    if not as_json:
        for line in _shown(folds, definition, due.statement, due.partitions, key.id):
            out.print(Text(line), soft_wrap=True)
    if due.partitions and not yes:
        if not sys.stdin.isatty():
            refuse(["nothing was sent: there is no terminal to ask on; look at what would change, and give --yes"])
        if not click.confirm("Send it?", err=True):
            refuse(["nothing was sent"])
    try:
        given, offsets = run_async(give_key_order(settings, definition, folds, order, key.seal))
    except (OrderRefused, BrokerUnavailable, KafkaError, OSError) as error:
        refuse([str(error)])
    sent = {str(partition): offset for partition, offset in sorted(offsets.items())}
    if as_json:
        click.echo(
            json.dumps({"key_id": order.key_id, "action": order.action, "revision": given.statement.revision, "sent": sent})
        )
    elif sent:
        where = ", ".join(f"partition {partition} at offset {offset:,}" for partition, offset in sent.items())
        out.print(Text(f"in force: {what} is revision {given.statement.revision}, {where}"), soft_wrap=True)


def _shown(
    folds: Sequence[PartitionFold], election: Election, said: KeyStatement, partitions: tuple[int, ...], signer: str
) -> list[str]:
    """What would change, in sentences."""
    if not partitions:
        return [f"{said.action} {said.key_id} stands already, as revision {said.revision}: nothing is to be sent"]
    before = folds[0].keys.get(said.key_id)
    lines = [f"{said.action} {said.key_id}, revision {said.revision}, by {said.authority}: {said.reason}"]
    if said.action == "add":
        where = f"station {said.station}" if said.station else "every station and contest"
        lines.append(f"from now on it may sign {' '.join(sorted(said.kinds))} for {where}; holder: {said.holder}")
    if before is not None:
        lines.append(f"until now it is of {before.holder}, for {before.station or 'every station'}")
    elif said.action == "revoke":
        lines.append(f"{election.id} knows no such key now: it can not be added under a lower revision any more")
    if len(partitions) < len(folds):
        lines.append(f"it stands in some partitions already; copies go to partition {', '.join(map(str, partitions))}")
    lines.append(
        f"signed by {signer}; a copy goes to {'every partition' if len(partitions) == len(folds) else 'each of these'}"
    )
    return lines


def _opened(election: str | None, flags: dict[str, Any]) -> tuple[Settings, Election]:
    settings = settings_of(election=election, **flags)
    definition = chosen_election(settings)
    return settings, definition


def _folded(settings: Settings, election: Election) -> Sequence[PartitionFold]:
    from tally_stream.cli.folding import fold_reports, partitions_of_reports
    from tally_stream.kafka.client import BrokerUnavailable, KafkaError

    async def folded() -> Sequence[PartitionFold]:
        partitions = await partitions_of_reports(settings)
        return (await fold_reports(settings, election, partitions, lambda replay, record, verdict: None)).folds

    try:
        return run_async(folded())
    except (LogError, BrokerUnavailable, KafkaError, OSError) as error:
        refuse([str(error)])


def _demanded(election: Election) -> str:
    return election.signatures or "not demanded (no [security])"


def _times(key: SigningKey) -> tuple[str, str]:
    begin, end = key.valid_from_ms, key.valid_to_ms
    return "" if begin is None else format_time(begin), "" if end is None else format_time(end)


def _as_json(key: SigningKey) -> dict[str, Any]:
    begin, end = _times(key)
    return {
        "key_id": key.id, "holder": key.holder, "station": key.station, "kinds": sorted(key.kinds),
        "public_key": to_base64(key.public_key), "valid_from": begin or None, "valid_to": end or None,
    }  # fmt: skip
