"""An election of many contests on a terminal: some of them, then how many more there are and where they stand."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tally_stream.audit.replay import Replay
from tally_stream.cli import demo_screen, follow, standings
from tally_stream.cli.demo_screen import Screen, Show
from tally_stream.cli.follow import Following
from tally_stream.cli.view import more_contests
from tally_stream.domain.election import Election
from tally_stream.wire.folder.assembling import load_election
from tally_stream.wire.messages import canonical_json
from tests.cli.calling import call
from tests.support.folders import Folder
from tests.support.waiting import until

CONTESTS, SHOWN, A_TICK = 62, 50, 5


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Folder(tmp_path_factory.mktemp("wide"))
    rows = "".join(f"C{n},Contest {n},none,half-up,0\n" for n in range(CONTESTS - 2))
    folder.write("contests.csv", "id,name,rule,rounding.method,rounding.places\n" + rows)
    folder.write("candidates.csv", "contest,id,name\n" + "".join(f"C{n},A,Anna\n" for n in range(CONTESTS - 2)))
    folder.write("reports.jsonl", json.dumps({"timestamp": 1_707_318_000_000, "key": "A-1", "value": "{}"}) + "\n")
    return folder.path


@pytest.fixture(scope="module")
def election(wide: Path) -> Election:
    return load_election(wide)


@pytest.fixture(scope="module")
def roots(election: Election) -> list[bytes]:
    replayed = Replay(election, "tally.reports", 1)
    return [canonical_json({**replayed.messages(n)[-1], "version": 1}) for n in range(CONTESTS)]


def boards_in(said: str) -> int:
    return said.count("share %")


def test_replay_shows_some_and_counts_the_others(wide: Path) -> None:
    said = call("replay", str(wide)).stdout
    assert boards_in(said) == SHOWN
    assert "\n… and 12 contests more: --contest ID shows one, --json has all\n" in said
    one = call("replay", str(wide), "--contest", "C59").stdout
    assert (boards_in(one), "contests more" in one) == (1, False)
    assert len({json.loads(line)["contest"] for line in call("replay", str(wide), "--json").stdout.splitlines()}) == CONTESTS


def test_one_more_is_one() -> None:
    assert more_contests(51, SHOWN, "there") == ["… and 1 contest more: there"]
    assert more_contests(SHOWN, SHOWN, "there") == []
    assert more_contests(1_250, SHOWN, "there") == ["… and 1,200 contests more: there"]


class Ended:
    """A topic of standings whose end was reached."""

    topic = "tally.standings"


def following_of(roots: list[bytes]) -> Following:
    reader: Any = Ended()
    following = Following(reader, None, None)
    for root in roots:
        following.standings.take(root)
    return following


async def test_standings_show_some_and_count_the_others(roots: list[bytes], capsys: pytest.CaptureFixture[str]) -> None:
    await standings._print_once(following_of(roots), as_json=False)  # noqa: SLF001  (one look, which the command makes once)
    said = capsys.readouterr().out
    assert boards_in(said) == SHOWN
    assert said.endswith("\n… and 12 contests more: --contest ID shows one, --json has all\n")


def test_what_a_screen_leaves_behind_is_no_flood(roots: list[bytes]) -> None:
    assert len(follow.picture(following_of(roots), SHOWN).renderables) == 1 + SHOWN + 1


def screen_of(election: Election, roots: list[bytes], address: str = "") -> Screen:
    show = Show(election, address=address)
    for root in roots:
        show.standings.take(root)
    return Screen(show, is_live=False, as_json=False)


async def test_a_demo_has_a_few_lines_a_tick(
    election: Election, roots: list[bytes], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo_screen, "PLAIN_FIRST_LOOK_SECONDS", 0)
    said = ""

    def is_told() -> bool:
        nonlocal said
        said += capsys.readouterr().out
        return "more" in said

    drawing = asyncio.create_task(screen_of(election, roots, "http://127.0.0.1:8080/").draw())
    await until(is_told, "a tick")
    drawing.cancel()
    lines = said.splitlines()
    assert len(lines) == A_TICK + 1
    assert lines[-1] == "… and 57 contests more: http://127.0.0.1:8080/contests"


def test_a_demo_ends_with_some_boards(election: Election, roots: list[bytes], capsys: pytest.CaptureFixture[str]) -> None:
    screen_of(election, roots).finish()
    said = capsys.readouterr().out
    assert boards_in(said) == SHOWN
    assert said.endswith("\n… and 12 contests more: --json has all\n")
