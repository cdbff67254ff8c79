"""`tally-stream authority`: an authority's orders about a station or a contest, shown, sent, and read back until in force.

Decides the conversation: what would change, the question, what became of it. What is due is said in `station/orders.py`, how
it is sent in `station/authority.py`, what it changes in `order_effect.py`. Read `docs/authority.md` for who may order what.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from tally_stream.cli.common import (
    ELECTION,
    EXIT_FAILED,
    EXIT_USAGE,
    chosen_election,
    err,
    note,
    out,
    refuse,
    run_async,
    settings_of,
    warn,
    with_broker,
)
from tally_stream.cli.sealing import seal_of
from tally_stream.cli.view import board
from tally_stream.domain.election import Election
from tally_stream.domain.report import COUNT_KINDS, Report
from tally_stream.domain.rules import message_of
from tally_stream.settings import Settings
from tally_stream.wire.report_log import LogError

if TYPE_CHECKING:
    from tally_stream.audit.replay import Replay
    from tally_stream.cli.order_effect import OrderEffect
    from tally_stream.station.authority import Given
    from tally_stream.station.orders import AuthorityOrder, Docket, OrderDue, OrderKind, StationSeen


@click.group()
def authority() -> None:
    """Orders about a station or a contest: shown before they are sent, and read back until they are in force.

    Each says what it would change of the figures, asks, sends the next revision with what it replaces, and waits until the
    standings have it. Run again with the same words it does nothing twice: what stands already is said to stand.
    """


def _every_order(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--json", "as_json", is_flag=True, help="One JSON object: what would change, and what became of it."),
        click.option(
            "--no-wait", is_flag=True, help="End when the order is in force on the log, before the standings have it."
        ),
        click.option("--yes", is_flag=True, help="Do not ask."),
        click.option("--signing-key", metavar="FILE", help="The key that signs it [TALLY_SIGNING_KEY]."),
        click.option("--signing-key-id", metavar="ID", help="Its id, where keys.csv does not tell it [TALLY_SIGNING_KEY_ID]."),
        click.option("--authority", "by", required=True, metavar="WHO", help="Who orders it; everybody can read it."),
        click.option("--reason", required=True, metavar="WHY", help="Everybody can read it."),
    ):
        command = option(command)
    command = with_broker(command)
    return click.option("--election", type=ELECTION, metavar="DIR",
                        help="Election folder or a night that ships [TALLY_ELECTION].")(command)  # fmt: skip


def _about_station(command: Callable[..., Any]) -> Callable[..., Any]:
    command = click.option("--contest", metavar="ID", help="Needed where the station has several.")(_every_order(command))
    return click.option("--station", required=True, metavar="ID")(command)


def _about_contest(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--contest", metavar="ID", help="Needed where the election has several.")(_every_order(command))


@authority.command()
@_about_station
def annul(**given: Any) -> None:
    """Exclude a station: its counts are remembered and count no more, and later ones are held.

    Example: tally-stream authority annul --election az-2024 --station 041-038 --reason "Seal broken." --authority CEC
    """
    _order("annul", **given)


@authority.command()
@_about_station
def restore(**given: Any) -> None:
    """Undo an annulment: the remembered counts count again.

    Example: tally-stream authority restore --election az-2024 --station 041-038 --reason "Court ruling 12." --authority CEC
    """
    _order("restore", **given)


@authority.command()
@_about_station
def accept(**given: Any) -> None:
    """Let the held report of a station count as it is.

    Example: tally-stream authority accept --election az-2024 --station 041-038 --reason "Checked on paper." --authority CEC
    """
    _order("accept", **given)


@authority.command()
@_about_station
def withdraw(**given: Any) -> None:
    """Take the counts of a station back, and a held report too: it is outstanding again.

    Example: tally-stream authority withdraw --election az-2024 --station 041-038 --reason "Wrong sheet." --authority CEC
    """
    _order("withdraw", **given)


@authority.command()
@_about_contest
def hold(**given: Any) -> None:
    """Let the published figures of a contest stand still; counting goes on behind them.

    Example: tally-stream authority hold --election az-2024 --reason "Two sheets are compared." --authority CEC
    """
    _order("hold", **given)


@authority.command()
@_about_contest
def release(**given: Any) -> None:
    """End a hold: everything that was counted behind it is published.

    Example: tally-stream authority release --election az-2024 --reason "The sheets agree." --authority CEC
    """
    _order("release", **given)


@authority.command()
@_about_contest
def certify(**given: Any) -> None:
    """Make the figures of a contest final: counts that come later are held until an authority accepts them.

    Example: tally-stream authority certify --election az-2024 --reason "Session of 12 February." --authority CEC
    """
    _order("certify", **given)


def _order(
    kind: OrderKind, *, election: str | None, contest: str | None, reason: str, by: str, yes: bool, no_wait: bool,
    as_json: bool, station: str | None = None, **flags: object,
) -> None:  # fmt: skip
    from tally_stream.kafka.client import BrokerUnavailable, KafkaError
    from tally_stream.station.orders import AuthorityOrder, OrderRefused

    settings = settings_of(election=election, **flags)
    definition = chosen_election(settings)
    order = AuthorityOrder(kind, contest or _only_contest(definition, station), station, reason, by)
    conversation = _Conversation(settings, definition, order, as_json)
    try:
        due = conversation.show()
        if due.partitions and not yes:
            conversation.ask()
        conversation.give(due)
        is_published = no_wait or conversation.wait()
    except (OrderRefused, LogError, BrokerUnavailable, KafkaError, OSError) as error:
        refuse([str(error)])
    conversation.write()
    sys.exit(0 if is_published else EXIT_FAILED)


def _only_contest(election: Election, station: str | None) -> str:
    """Where nobody has to say it."""
    having = None if station is None else election.stations.get(station)
    contests = range(len(election.contests)) if having is None else having.contests
    if len(contests) != 1:
        names = [election.contests[index].id for index in contests]
        more = f" and {len(names) - 20:,} more" if len(names) > 20 else ""
        refuse([f"--contest is missing: there are {', '.join(names[:20])}{more}"], EXIT_USAGE)
    return election.contests[contests[0]].id


class _Conversation:
    """One order from its effect to what became of it. `told` has all of it for a program."""

    def __init__(self, settings: Settings, election: Election, order: AuthorityOrder, as_json: bool) -> None:
        self._settings, self._election, self._order, self._as_json = settings, election, order, as_json
        self._seal = seal_of(settings, election)
        self._docket: Docket
        self._given: Given
        self._shown: StationSeen | None = None
        self._next_offsets: dict[int, int] = {}
        self.told: dict[str, Any] = {"order": asdict(order)}

    def write(self) -> None:
        """For a program: all that is known, in one line."""
        if self._as_json:
            sys.stdout.write(json.dumps(self.told, ensure_ascii=False) + "\n")

    def _print(self, line: str) -> None:
        if not self._as_json:
            out.print(Text(line), soft_wrap=True)

    def show(self) -> OrderDue:
        """Fold the log, and say what the order would change. Raises OrderRefused where it would be refused."""
        from tally_stream.cli.order_effect import effect_of

        replay = run_async(self._fold())
        self._next_offsets = {fold.partition: fold.next_offset for fold in replay.folds}
        self._shown = None if self._order.station is None else self._docket.shown
        due = self._docket.due()
        if not due.partitions:
            self._print(f"{self._what()} stands already, as revision {due.revision}: nothing is to be sent")
            return due
        now_ms = int(time.time() * 1000)
        self._refuse_another_definition()
        self._docket.refuse_unsealed(due, self._seal(due.statement) if due.value is None else due.value, now_ms)
        effect = effect_of(replay, self._order, due, now_ms)
        self._show_statement(due)
        self._show_effect(effect)
        return due

    def _refuse_another_definition(self) -> None:
        """With another folder than the workers', what would change is not what would change, nor is the next revision."""
        from tally_stream.kafka.client import KafkaError
        from tally_stream.station.authority import published_definition

        try:
            found = run_async(published_definition(self._settings, self._docket))
        except KafkaError as error:
            warn(f"whether the workers count by this election folder is not known: {error}")
            return
        if found not in (None, self._election.digest):
            refuse([
                f"standings of {self._order.contest} are of definition {found}, this folder is {self._election.digest}: "
                "give orders with the election folder that the workers count with"
            ])  # fmt: skip

    async def _fold(self) -> Replay:
        from tally_stream.cli.folding import fold_reports, partitions_of_reports
        from tally_stream.station.orders import Docket

        partitions = await partitions_of_reports(self._settings)
        self._docket = Docket(self._election, self._order, partitions)
        return await fold_reports(self._settings, self._election, partitions, lambda _, record, __: self._docket.take(record))

    def _what(self) -> str:
        order = self._order
        return f"{order.kind} of {order.contest}" + (f" at station {order.station}" if order.station else "")

    def _show_statement(self, due: OrderDue) -> None:
        self.told |= {"revision": due.revision, "partitions": list(due.partitions), "replaces": due.replaces}
        self._print(f"{self._what()}, revision {due.revision}, by {self._order.authority}: {self._order.reason}")
        if self._order.station is None:
            self._show_copies(due)
        else:
            for line in _of_station(self._docket, self._election, due):
                self._print(line)

    def _show_copies(self, due: OrderDue) -> None:
        partitions = ", ".join(str(partition) for partition in due.partitions)
        if due.value is not None:
            self._print(
                f"it stands in some partitions already; the missing copies go to partition {partitions}, the same bytes"
            )
            return
        self._print(f"a copy goes to every partition: {partitions}")
        incomplete = self._docket.incomplete()
        if incomplete is not None:
            said, lacking = incomplete
            count = len(self._docket.partitions)
            after = "only that very order, given again, completes it" if said.kind == "certify" else "this order replaces it"
            self._print(
                f"before it: {said.kind} of revision {said.revision} by {said.authority} ({said.reason}) stands incomplete, in "
                f"{count - len(lacking)} of {count} partitions; {after}"
            )

    def _show_effect(self, effect: OrderEffect) -> None:
        from tally_stream.cli.order_effect import as_json, lines_of, still_open, table_of

        self.told["changes"] = as_json(effect)
        if self._as_json:
            return
        root = effect.after[effect.root]
        if self._order.kind == "certify":
            out.print(board(root, self._election))
            for line in still_open(root):
                self._print(line)
            return
        table = table_of(effect, self._election, self._order)
        if table is not None:
            out.print(table)
        for line in lines_of(effect, self._election, self._order):
            self._print(line)

    def ask(self) -> None:
        if self._as_json:
            self.write()
            refuse(["nothing was sent: with --json nobody is asked; look at what would change, and give --yes"])
        if not sys.stdin.isatty():
            refuse(["nothing was sent: there is no terminal to ask on; look at what would change, and give --yes"])
        if not click.confirm("Send it?", err=True):
            refuse(["nothing was sent"])

    def give(self, due: OrderDue) -> None:
        """Send it, and read it back until it is in force. Of what stood when it was looked at nobody was asked anything, so
        nothing is sent."""
        from tally_stream.station.authority import Given, give

        if due.partitions:
            given = run_async(give(self._settings, self._docket, self._next_offsets, self._shown, self._seal, warn))
        else:
            given = Given(due, {}, dict(self._docket.stands_at))
        self._given = given
        self.told |= {
            "revision": given.due.revision,
            "sent": {str(partition): offset for partition, offset in given.sent.items()},
            "stands_at": {str(partition): offset for partition, offset in given.stands_at.items()},
            "published": None,
        }
        if given.sent:
            where = ", ".join(f"partition {p} at offset {offset:,}" for p, offset in sorted(given.sent.items()))
            self._print(f"in force: {self._what()} is revision {given.due.revision}, {where}")
        if self._order.kind == "hold":
            stops = ", ".join(f"{p} at {offset:,}" for p, offset in sorted(self._published_offsets().items()))
            self._print(f"the published figures stand still at these offsets: partition {stops}")

    def wait(self) -> bool:
        """Whether the standings have it; what they say then is printed."""
        from tally_stream.kafka.client import KafkaError
        from tally_stream.station.authority import published_root

        if self._is_behind_hold():
            note(f"{self._order.contest} is on hold: the standings have this order after the release, and are not waited for")
            return True
        published = self._published_offsets()
        # A further hold does not move the first: the standings never pass the one, and have the other.
        due = {p: min(offset, published[p] - 1) for p, offset in self._given.stands_at.items()}
        try:
            with err.status("waiting for the standings", spinner="line") if err.is_terminal else nullcontext():
                root = run_async(published_root(self._settings, self._docket, due))
        except (KafkaError, OSError) as error:
            warn(f"the order is in force on the log, but the standings could not be read: {error}")
            return False
        if root is None:
            warn("the order is in force on the log, but no standings that have it came: does a worker run? "
                 "`tally-stream status` says; this command, run again, sends nothing and waits again")  # fmt: skip
            return False
        self.told["published"] = root
        if not self._as_json:
            out.print(board(root, self._election))
        return True

    def _published_offsets(self) -> dict[int, int]:
        """Of the order's partitions: below which the contest's figures stand, with what was read back."""
        return {p: fold.published_offset(self._docket.contest) for p, fold in self._docket.folds.items()}

    def _is_behind_hold(self) -> bool:
        docket = self._docket
        return self._order.kind != "hold" and any(fold.is_on_hold(docket.contest) for fold in docket.folds.values())


def _of_station(docket: Docket, election: Election, due: OrderDue) -> list[str]:
    """What is known of the order's station: what is in force and what is held, and why."""
    entry = docket.entry
    station = election.stations[docket.order.station or ""]
    contest = election.contests[docket.contest]
    lines = [f"{station.id} {station.name}, {election.areas[station.leaf].id}: replaces revision {due.replaces}"]
    if entry is None:
        return [*lines, "nothing was stated there yet"]
    if entry.counts is not None:
        state = "annulled, remembered" if entry.is_annulled else "in force"
        lines.append(f"{state}: {_counts(entry.counts, contest.candidate_ids)}")
    elif entry.is_annulled:
        lines.append("annulled; no counts are remembered")
    if entry.held is not None:
        lines.append(f"held: {_counts(entry.held, contest.candidate_ids)}")
        if docket.held is not None:
            lines += [f"held for {finding.code}: {message_of(finding)}" for finding in docket.held.findings]
    return lines


def _counts(counts: Report, candidates: tuple[str, ...]) -> str:
    """A report's figures in one line."""
    assert counts.kind in COUNT_KINDS, "nothing else carries counts"
    ballots = [("cast", counts.cast), ("valid", counts.valid), ("blank", counts.blank), ("invalid", counts.invalid)]
    said = [f"{name} {figure:,}" for name, figure in ballots if figure is not None]
    votes = [f"{id} {figure:,}" for id, figure in zip(candidates, counts.votes, strict=True) if figure]
    more = f" and {len(votes) - 12} more" if len(votes) > 12 else ""
    return f"revision {counts.revision} ({counts.kind}): {', '.join(said)}; {', '.join(votes[:12]) or 'no votes'}{more}"
