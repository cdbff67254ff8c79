"""`tally-stream standings`: the newest standings, by the reader's rule."""

from __future__ import annotations

import asyncio
from typing import Any

import click
import msgspec

from tally_stream.cli.common import out, refuse, run_async, say, settings_of, with_broker
from tally_stream.cli.follow import Following, follow_in_lines, follow_on_screen, json_of, lines_of
from tally_stream.cli.view import board, title_of
from tally_stream.settings import Settings
from tally_stream.wire.schema.published import read_standings

WHOLE_WITHIN_SECONDS = 30.0
"""How long areas that are on the topic already may wait for their root: one comes every 10 s at the latest."""


class Newest:
    """The newest message of each key, by the reader's rule: an older version never replaces a newer one, and an area
    that is newer than its root is shown when the root arrives."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self.messages: dict[bytes, dict[str, Any]] = {}
        self.roots: dict[bytes, int] = {}
        """Key of a contest's root → the version shown."""
        self._ahead: dict[bytes, tuple[dict[str, Any], bytes]] = {}

    def take(self, key: bytes | None, value: bytes | None) -> list[bytes]:
        """Keys whose shown message changed by it. A record that is no standings message is passed over."""
        if key is None or value is None:
            return []
        try:
            read = read_standings(value)
        except ValueError:
            return []
        message: dict[str, Any] = msgspec.json.decode(value)
        version, contest, area = read.version, read.contest, read.area
        ahead = self._ahead.get(key)
        held = self.messages.get(key) if ahead is None else ahead[0]
        if held is not None and version < held["version"]:
            return []
        root = f"{contest}|{area.partition('/')[0]}".encode()
        if root == key:
            self.roots[key] = version
        elif version > self.roots.get(root, -1):
            self._ahead[key] = (message, value)
            return []
        return [*self._arrive(contest, version), *self._show(key, message, value)]

    def _show(self, key: bytes, message: dict[str, Any], value: bytes) -> list[bytes]:
        is_same = self.values.get(key) == value
        self.messages[key], self.values[key] = message, value
        return [] if is_same else [key]

    def _arrive(self, contest: str, version: int) -> list[bytes]:
        """The areas of a contest up to the version of its root."""
        due = [k for k, (m, _) in self._ahead.items() if m["contest"] == contest and m["version"] <= version]
        return [key for k in due for key in self._show(k, *self._ahead.pop(k))]

    @property
    def is_whole(self) -> bool:
        """Whether no area waits for its root."""
        return not self._ahead

    def ordered(self, contest: str | None, area: str | None) -> list[bytes]:
        """Keys asked for: contests in order of id, areas first, the root last."""
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

    With --follow a terminal shows one screen that says how fresh it is; anything else gets a line for each new version.

    Example: tally-stream standings --follow
    """
    settings = settings_of(**flags)

    from tally_stream.kafka.client import BrokerUnavailable, KafkaError

    try:
        run_async(_show(settings, contest, area, follow, as_json))
    except (BrokerUnavailable, KafkaError, OSError) as error:
        refuse([str(error)])
    except (KeyboardInterrupt, asyncio.CancelledError):
        return


async def _show(settings: Settings, contest: str | None, area: str | None, follow: bool, as_json: bool) -> None:
    from tally_stream.kafka.client import TopicReader, wait_for_broker

    await wait_for_broker(settings, lambda line: say(f"tally-stream: {line}"))
    newest = Newest()
    async with TopicReader(settings, f"{settings.prefix}.standings") as reader:
        following = Following(reader, newest, contest, area)
        async for records in reader.read_to_end():
            following.take(records, is_start=True)
        keys = newest.ordered(contest, area)
        if follow and out.is_terminal and not as_json:
            await follow_on_screen(following)
        elif follow:
            write = json_of(newest) if as_json else lines_of(newest)
            write(keys if as_json else following.wanted(keys))
            await follow_in_lines(following, write, every_area=as_json)
        else:
            await _print_once(settings, following, as_json)


async def _print_once(settings: Settings, following: Following, as_json: bool) -> None:
    deadline = asyncio.get_running_loop().time() + WHOLE_WITHIN_SECONDS
    while not following.newest.is_whole and asyncio.get_running_loop().time() < deadline:
        following.take(await following.reader.poll(), is_start=True)
    keys = following.newest.ordered(following.contest, following.area)
    if not keys:
        refuse([f"no such standings on {settings.prefix}.standings"])
    if as_json:
        json_of(following.newest)(keys)
        return
    for key in following.wanted(keys):
        message = following.newest.messages[key]
        out.print(board(message, title_of(message)))
