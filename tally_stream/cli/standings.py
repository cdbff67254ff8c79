"""`tally-stream standings`: the newest standings, by the reader's rule."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from typing import Any

import click
import msgspec
from rich.live import Live

from tally_stream.cli.common import out, refuse, run_async, say, settings_of, with_broker
from tally_stream.cli.view import board, plain_line
from tally_stream.settings import Settings


class Newest:
    """The newest message of each key. The reader's rule: an older version never replaces a newer one."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self.messages: dict[bytes, dict[str, Any]] = {}

    def take(self, key: bytes | None, value: bytes | None) -> bool:
        """Whether this became the newest of its key. A record that is no standings message is passed over."""
        if key is None or value is None:
            return False
        try:
            message = msgspec.json.decode(value)
            version = message["version"]
            held = self.messages.get(key)
            if held is not None and version < held["version"]:
                return False
        except (msgspec.MsgspecError, KeyError, TypeError, UnicodeDecodeError):
            return False
        self.messages[key], self.values[key] = message, value
        return True

    def ordered(self, contest: str | None, area: str | None) -> list[bytes]:
        """Keys asked for: contests in order of id, areas first, the root (the shortest id) last."""
        found = [
            key
            for key, message in self.messages.items()
            if contest in (None, message["contest"]) and area in (None, message["area"])
        ]
        return sorted(found, key=lambda k: (self.messages[k]["contest"], is_root(self.messages[k]), k))


def is_root(message: dict[str, Any]) -> bool:
    return "/" not in message["area"]


@click.command()
@with_broker
@click.option("--contest", help="Only this contest.")
@click.option("--area", help="Only this area, for example AZ/041.")
@click.option("--follow", is_flag=True, help="Go on as standings change, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="The messages themselves, one a line: areas first, root last.")
def standings(contest: str | None, area: str | None, follow: bool, as_json: bool, **flags: object) -> None:
    """Show the newest standings.

    Example: tally-stream standings --follow
    """
    settings = settings_of(**flags)

    from tally_stream.kafka.client import BrokerUnavailable, KafkaError

    try:
        run_async(_show(settings, contest, area, follow, as_json))
    except (BrokerUnavailable, KafkaError, OSError) as error:
        refuse([str(error)])
    except KeyboardInterrupt:
        return


async def _show(settings: Settings, contest: str | None, area: str | None, follow: bool, as_json: bool) -> None:
    from tally_stream.kafka.client import TopicReader, wait_for_broker

    await wait_for_broker(settings, lambda line: say(f"tally-stream: {line}"))
    newest = Newest()
    async with TopicReader(settings, f"{settings.prefix}.standings") as reader:
        async for records in reader.read_to_end():
            for record in records:
                newest.take(record.key, record.value)
        keys = newest.ordered(contest, area)
        if not keys and not follow:
            refuse([f"no such standings on {settings.prefix}.standings"])
        if as_json:
            _print_lines(newest, keys)
            if follow:
                async for changed in _changes(reader, newest, contest, area):
                    _print_lines(newest, changed)
            return
        shown = [k for k in keys if area is not None or is_root(newest.messages[k])]
        if not follow:
            for key in shown:
                out.print(board(newest.messages[key], _title(newest.messages[key])))
            return
        await _follow(reader, newest, contest, area)


async def _follow(reader: Any, newest: Newest, contest: str | None, area: str | None) -> None:
    def wanted(key: bytes) -> bool:
        return area is not None or is_root(newest.messages[key])

    if not out.is_terminal:
        for key in filter(wanted, newest.ordered(contest, area)):
            out.print(plain_line(newest.messages[key]), markup=False, soft_wrap=True)
        async for changed in _changes(reader, newest, contest, area):
            for key in filter(wanted, changed):
                out.print(plain_line(newest.messages[key]), markup=False, soft_wrap=True)
        return
    with Live(console=out, refresh_per_second=4) as live:

        def draw() -> None:
            from rich.console import Group

            keys = [k for k in newest.ordered(contest, area) if wanted(k)]
            live.update(Group(*(board(newest.messages[k], _title(newest.messages[k])) for k in keys)))

        draw()
        async for _ in _changes(reader, newest, contest, area):
            draw()


async def _changes(reader: Any, newest: Newest, contest: str | None, area: str | None) -> AsyncIterator[list[bytes]]:
    while True:
        changed: dict[bytes, None] = {}
        for record in await reader.poll():
            before = newest.values.get(record.key)
            if newest.take(record.key, record.value) and record.value != before:
                changed[record.key] = None
        wanted = [key for key in newest.ordered(contest, area) if key in changed]
        if wanted:
            yield wanted


def _print_lines(newest: Newest, keys: list[bytes]) -> None:
    for key in keys:
        sys.stdout.buffer.write(newest.values[key] + b"\n")
    sys.stdout.flush()


def _title(message: dict[str, Any]) -> str:
    return f"{message['election']} · {message['contest']} · {message['area']}"
