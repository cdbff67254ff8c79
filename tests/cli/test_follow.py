"""The view that goes on: what is shown when, what its freshness says, and that it ends as asked, on a real broker.

Longer than other files: what is shown without a broker and with one is one promise, tried on one night.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import pty
import re
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from tally_stream.audit.replay import replay
from tally_stream.cli import follow, standings, whole
from tally_stream.cli.follow import (
    NO_CONTACT_SECONDS,
    NO_STANDINGS_SECONDS,
    Following,
    Freshness,
    duration,
    follow_in_lines,
)
from tally_stream.cli.shown import ShownStandings
from tally_stream.cli.view import Fitted, board, plain_line
from tally_stream.domain.election import Election
from tally_stream.kafka.client import StoredRecord, sender
from tally_stream.kafka.embedded import EmbeddedBroker
from tally_stream.settings import load_settings
from tally_stream.wire.folder.assembling import load_election
from tally_stream.wire.messages import canonical_json, standings_key
from tests.support.paths import NIGHTS
from tests.support.processes import LIFELINE, command, run, settings_for
from tests.support.waiting import until, wait_for

Message = dict[str, Any]
ELECTION = load_election(NIGHTS / "az-2024")


def at(records: int) -> list[Message]:
    return replay(ELECTION, NIGHTS / "az-2024" / "reports.jsonl.gz", at={0: records}).messages(0)


EARLY, LATE = at(36_000), at(38_649)


def pair(message: Message) -> tuple[bytes, bytes]:
    return standings_key(message["contest"], message["area"]), canonical_json(message)


class TestShown:
    def take(self, shown: ShownStandings, *messages: Message) -> list[bytes]:
        return [key for message in messages for key in shown.take(canonical_json(message))]

    def test_areas_are_shown_when_their_root_arrives(self) -> None:
        shown = ShownStandings()
        self.take(shown, *EARLY)
        assert self.take(shown, *LATE[:-1]) == []
        changed = self.take(shown, LATE[-1])
        assert len(changed) == 126
        assert shown.all()[b"PRES|AZ/041"].message["version"] == 38_649

    def test_a_root_sent_again_is_no_change(self) -> None:
        shown = ShownStandings()
        self.take(shown, *LATE)
        assert self.take(shown, LATE[-1]) == []

    def test_what_is_no_standings_message_is_passed_over(self) -> None:
        shown = ShownStandings()
        for value in (None, b"", b"{}", b"\xff", b"[]", b'{"version": "9"}', canonical_json({**LATE[-1], "candidates": []})):
            assert shown.take(value) == []
        assert shown.all() == {}

    def test_order_is_areas_first_and_the_root_last(self) -> None:
        shown = ShownStandings()
        self.take(shown, *LATE)
        keys = list(shown.all("PRES"))
        assert (len(keys), keys[0], keys[-1]) == (126, b"PRES|AZ/001", b"PRES|AZ")
        assert list(shown.all("PRES", "AZ/041")) == [b"PRES|AZ/041"]
        assert shown.all("MAYOR") == {}
        assert [root.message["area"] for root in shown.roots] == ["AZ"]


def record(message: Message, *, age_seconds: float = 0) -> StoredRecord:
    key, value = pair(message)
    return StoredRecord(0, 0, int((time.time() - age_seconds) * 1000), key, value)


def test_what_changed_is_found_without_a_look_at_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """8,000 areas stand there, and one changes; of 1,200 contests a screen shows the first few."""
    silent: Any = Silent()
    following = Following(silent, None, None)
    contests = [{**LATE[-1], "contest": f"C{n}"} for n in range(9)]
    following.take([record(m) for m in [*LATE, *contests]], is_start=True)
    monkeypatch.setattr(ShownStandings, "all", None)
    newer = [{**m, "version": m["version"] + 1} for m in (LATE[0], LATE[-1], contests[3])]
    found = following.take([record(m) for m in newer])
    assert [(s.message["contest"], s.area) for s in found] == [("C3", "AZ"), ("PRES", "AZ/001"), ("PRES", "AZ")]
    assert [s.message["contest"] for s in following.on_screen()] == [*(f"C{n}" for n in range(9)), "PRES"]
    assert len(follow.picture(following, 3).renderables) == 1 + 3 + 1, "a line, three boards, and how many more"
    other = Following(silent, "C4", None, standings=following.standings)
    assert other.take([record(m) for m in newer]) == []
    assert [s.message["contest"] for s in other.on_screen()] == ["C4"]


def test_only_a_root_that_is_new_is_news(monkeypatch: pytest.MonkeyPatch) -> None:
    silent: Any = Silent()
    following = Following(silent, None, None)
    monkeypatch.setattr(follow, "monotonic", lambda: 100.0)
    following.take([record(m) for m in EARLY], is_start=True)
    assert following.freshness.changed_at is None, "it stood there before this view began"
    following.take([record(EARLY[-1])])
    assert following.freshness.changed_at is None, "sent again"
    found = following.take([record(m) for m in LATE[:-1]])
    assert (found, following.freshness.changed_at) == ([], None), "areas ahead of their root"
    found = following.take([record(LATE[-1])])
    assert following.freshness.changed_at == 100.0
    assert len(found) == 126
    assert [shown.message["area"] for shown in following.wanted(found)] == ["AZ"]


class TestFreshness:
    def test_a_quiet_night_is_no_trouble(self) -> None:
        fresh = Freshness(contact_at=0)
        fresh.root(0, 0, is_new=True)
        for now in range(10, 7_200, 10):
            fresh.contact_at = now
            fresh.root(now, 0.5, is_new=False)
            assert fresh.trouble(now + 9) is None
        assert fresh.line(7_199).plain == "live · standings sent 9 s ago · last new records 119 min ago"

    def test_before_the_first_standings(self) -> None:
        assert Freshness(contact_at=0).line(1).plain == "waiting for the first standings"

    def test_figures_that_were_there_before(self) -> None:
        fresh = Freshness(contact_at=0)
        fresh.root(0, 3, is_new=False)
        assert fresh.line(1).plain == "live · standings sent 4 s ago · no new records since this view began"

    def test_a_worker_that_publishes_no_more(self) -> None:
        fresh = Freshness(contact_at=0)
        fresh.root(0, 0, is_new=True)
        fresh.contact_at = NO_STANDINGS_SECONDS
        assert fresh.trouble(NO_STANDINGS_SECONDS - 0.1) is None
        assert fresh.trouble(NO_STANDINGS_SECONDS) == "NO STANDINGS for 30 s: Kafka answers, but no worker publishes"

    def test_standings_that_were_old_when_the_view_began(self) -> None:
        fresh = Freshness(contact_at=0)
        fresh.root(0, 3 * 3600 + 300, is_new=False)
        assert fresh.trouble(0) == "NO STANDINGS for 3 h 05 min: Kafka answers, but no worker publishes"

    def test_no_contact_comes_before_no_standings(self) -> None:
        fresh = Freshness(contact_at=0)
        fresh.root(0, 0, is_new=True)
        assert fresh.trouble(NO_CONTACT_SECONDS - 0.1) is None
        assert fresh.trouble(40) == "NO CONTACT with Kafka for 40 s: these figures may be old"

    def test_a_clock_behind_the_workers_makes_no_negative_age(self) -> None:
        fresh = Freshness(contact_at=0)
        fresh.root(0, -5, is_new=False)
        assert "standings sent 0 s ago" in fresh.line(0).plain

    @pytest.mark.parametrize(
        ("seconds", "said"), [(-1, "0 s"), (119.9, "119 s"), (120, "2 min"), (7_199, "119 min"), (7_500, "2 h 05 min")]
    )
    def test_durations(self, seconds: float, said: str) -> None:
        assert duration(seconds) == said


def drawn(renderable: Any, width: int = 120, height: int = 40) -> str:
    console = Console(width=width, height=height, force_terminal=False, highlight=False)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


class TestBoard:
    def test_texts_are_never_markup(self) -> None:
        message = json.loads(canonical_json(LATE[-1]))
        message["candidates"][0]["name"] = "[/red] [bold]x"
        message["exit_polls"][0]["pollster"] = "[/x] poll"
        said = drawn(board(message | {"election": "[/nothing] election"}, None))
        for text in ("[/nothing] election", "[/red] [bold]x", "[/x] poll"):
            assert text in said

    def test_test_and_hold_are_said(self) -> None:
        message = {**LATE[-1], "phase": "test", "on_hold": True}
        said = drawn(board(message, None))
        assert "TEST: these figures are no result of an election" in said
        assert "ON HOLD by the authority" in said
        assert plain_line(message).startswith("TEST  ON HOLD  2024-02-07T23:13:00.000Z")

    def test_a_title_has_the_names_of_the_definition_it_is_of(self) -> None:
        area = next(m for m in LATE if m["area"] == "AZ/041")

        def title(message: Message, election: Election | None) -> str:
            return drawn(board(message, election), width=160).splitlines()[0].strip()

        president = "Azerbaijan, early presidential election: President"
        assert title(LATE[-1], ELECTION) == president
        assert title(area, ELECTION) == f"{president} · {dict(ELECTION.area_names)['AZ/041']}"
        assert title({**area, "area": "AZ/1000"}, ELECTION) == f"{president} · AZ/1000", "an area without a name"
        assert title(area, None) == "AZ-2024 · PRES · AZ/041"
        assert title({**area, "definition": OTHER}, ELECTION) == "AZ-2024 · PRES · AZ/041"
        assert title({**area, "contest": "MAYOR"}, ELECTION) == "AZ-2024 · MAYOR · AZ/041"

    def test_figures_of_the_definition_stand_where_it_is_there(self) -> None:
        still_out = "still out at most: all that the rules let in from stations not counted yet, "
        assert f"{still_out}usually 150 % of their register" in drawn(board(LATE[-1], ELECTION), width=160)
        assert f"{still_out}a percentage of their register" in drawn(board(LATE[-1], None), width=160)

    def test_what_progress_counts_is_said(self) -> None:
        assert (
            "processed  polling stations (counted or annulled): 93.35 % (6,102 of 6,537) · their registered voters: 93.66 % "
        ) in drawn(board(LATE[-1], None), width=200)

    def test_a_line_names_contest_and_area(self) -> None:
        assert "AZ/041" in plain_line(next(m for m in LATE if m["area"] == "AZ/041"))
        assert plain_line(LATE[-1]) == (
            "2024-02-07T23:13:00.000Z  93.35 % of polling stations (6,102 of 6,537)  Ilham Aliyev 92.05 %  "
            "[PRES, unofficial-partial, version 38649]"
        )

    @pytest.mark.parametrize(("ranks", "votes", "said"), [
        ((None, None), (9, 1), "nobody who can win has votes"), ((None, 1), (9, 0), "nobody who can win has votes"),
        ((None, 1), (9, 1), "Bela 10.00 %"), ((1, 1), (0, 0), "no result yet"), ((None, None), (None, None), "no result yet"),
    ])  # fmt: skip
    def test_a_line_names_nobody_who_can_not_lead(
        self, ranks: tuple[int | None, ...], votes: tuple[int | None, ...], said: str
    ) -> None:
        valid = None if None in votes else sum(v or 0 for v in votes)
        lines = [
            {
                "id": name.upper(),
                "name": name,
                "votes": v,
                "rank": rank,
                "share": f"{10 * v:.2f}" if v is not None and valid else None,
            }
            for name, rank, v in zip(("Anna", "Bela"), ranks, votes, strict=True)
        ]
        message = {**LATE[-1], "candidates": lines, "ballots": {**LATE[-1]["ballots"], "valid": valid}}
        assert f"(6,102 of 6,537)  {said}  [" in plain_line(message)

    def test_the_leader_has_a_name_and_what_is_assumed_is_said(self) -> None:
        said = drawn(board(LATE[-1], None))
        assert "the lead can't be overtaken by the ballots still out: Ilham Aliyev leads by" in said
        assert "I-ALIYEV" not in said
        assert "not an official declaration" in said
        assert f"shares of {LATE[-1]['ballots']['valid']:,} valid ballots, rounded: half-up" in said

    def test_what_does_not_fit_is_cut_and_said(self) -> None:
        whole = board(LATE[-1], None)
        lines = drawn(Fitted(whole, "… more below"), height=10).splitlines()
        assert len(lines) == 10
        assert lines[-1].startswith("… more below")
        assert drawn(Fitted(whole, "… more below"), height=40).rstrip() == drawn(whole).rstrip()

    def test_what_stands_at_the_foot_is_never_cut(self) -> None:
        fitted = Fitted(board(LATE[-1], None), "… more below", "the board's address\nthe night")
        lines = drawn(fitted, height=10).splitlines()
        assert len(lines) == 10
        assert [line.rstrip() for line in lines[-3:]] == ["… more below", "the board's address", "the night"]

    @pytest.mark.parametrize("width", [50, 60, 80, 100, 120, 160])
    def test_names_and_figures_are_whole_at_any_width(self, width: int) -> None:
        said = drawn(board(LATE[-1], None), width=width)
        for text in ("│ 1 │ Ilham Aliyev ", "Gudrat Hasanguliyev │", "│ 4,281,625 │", "│   92.05 │", "share %", "24,799"):
            assert text in said, said
        together = " ".join(said.split())
        assert "93.9 (-1.85)" in together
        assert ("exit poll Oracle Advisory Group" in together) == (width < 98)
        assert ("█" in said) == (width not in {50, 100})
        assert max(len(line) for line in said.splitlines()) <= width


class Silent:
    """A topic that says what it is told to, then nothing; Kafka answers as long as `is_there`."""

    topic = "tally.standings"

    def __init__(self, *runs: list[StoredRecord]) -> None:
        self.runs = list(runs)
        self.is_there = True

    async def poll(self) -> list[StoredRecord]:
        await asyncio.sleep(0)
        return self.runs.pop(0) if self.runs else []

    async def answers(self, limit_seconds: float) -> bool:
        return self.is_there


async def test_trouble_is_told_once_and_its_end_too(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(follow, "warn", said.append)
    monkeypatch.setattr(follow, "note", said.append)
    monkeypatch.setattr(follow, "PROBE_SECONDS", 0.001)
    monkeypatch.setattr(follow, "NO_CONTACT_SECONDS", 0.05)
    reader: Any = Silent()
    reader.is_there = False
    following = Following(reader, None, None)
    task = asyncio.create_task(follow_in_lines(following, lambda found: None, every_area=False))
    await until(lambda: said, "trouble is told")
    reader.is_there = True
    await until(lambda: len(said) == 2, "its end is told")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert said == [
        "NO CONTACT with Kafka for 0 s: these figures may be old",
        "standings come again",
    ]


# -- on a real broker ----------------------------------------------------------------------------------------------


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker({"tally.standings": 1}) as started:
        yield started


def publish(broker: EmbeddedBroker, messages: list[Message], *, stray: bytes | None = None) -> None:
    async def send() -> None:
        async with sender(load_settings(bootstrap=broker.bootstrap)) as producer:
            for key, value in [*map(pair, messages), *([(b"stray", stray)] if stray is not None else [])]:
                await producer.send("tally.standings", value, key=key)

    asyncio.run(send())


class Terminal:
    """A command on a terminal of its own, 120 columns by 30 lines, and all it wrote there."""

    def __init__(self, *arguments: str) -> None:
        self.master, slave = pty.openpty()
        environment = {**os.environ, "COLUMNS": "120", "LINES": "30", "TERM": "xterm-256color"}
        self.process = subprocess.Popen(command(*arguments), stdin=slave, stdout=slave, stderr=slave,
                                        **LIFELINE.arguments(environment), start_new_session=True)  # fmt: skip
        os.close(slave)
        self.text = ""

    def read(self) -> str:
        while select.select([self.master], [], [], 0)[0]:
            try:
                got = os.read(self.master, 65_536)
            except OSError:  # the command has ended
                break
            if not got:
                break
            self.text += got.decode("utf-8", "replace")
        return self.text

    def wait(self, wanted: str, limit_seconds: float = 30) -> None:
        wait_for(lambda: wanted in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.read()), wanted, limit_seconds)

    def end(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        end = time.monotonic() + 20
        while self.process.poll() is None and time.monotonic() < end:
            self.read()
            select.select([self.master], [], [], 0.05)
        code = self.process.wait(1)
        self.read()
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)


@pytest.fixture
def terminal(broker: EmbeddedBroker) -> Iterator[Terminal]:
    publish(broker, EARLY)
    started = Terminal("standings", "--election", "az-2024", "--follow", "--bootstrap", broker.bootstrap)
    yield started
    started.close()


ALTERNATE, BACK = "\x1b[?1049h", "\x1b[?1049l"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_terminal_gets_one_screen_and_is_given_back(broker: EmbeddedBroker, terminal: Terminal, how: signal.Signals) -> None:
    terminal.wait("version 36,000")
    terminal.wait("no new records since this view began")
    publish(broker, LATE)
    terminal.wait("version 38,649")
    terminal.wait("last new records")
    assert terminal.end(how) == 0
    assert terminal.text.count(ALTERNATE) == terminal.text.count(BACK) == 1
    # Drawn in place: nothing is wiped, so that nothing flickers.
    assert "\x1b[2J" not in terminal.text.partition(BACK)[0].partition(ALTERNATE)[2].lstrip("\x1b[H")
    left = terminal.text.partition(BACK)[2]
    assert "4,281,625" in left
    assert "Azerbaijan, early presidential election: President" in left
    assert "Traceback" not in terminal.text


def test_a_broker_that_is_gone_is_said_and_the_view_ends_all_the_same(broker: EmbeddedBroker, terminal: Terminal) -> None:
    terminal.wait("live · standings sent")
    broker.stop()
    terminal.wait("NO CONTACT with Kafka for", limit_seconds=60)
    assert terminal.end(signal.SIGINT) == 0
    assert f"{EARLY[-1]['candidates'][0]['votes']:,}" in terminal.text.partition(BACK)[2]


def test_without_a_terminal_a_line_for_each_version(broker: EmbeddedBroker) -> None:
    publish(broker, EARLY)
    process = subprocess.Popen(command("standings", "--follow", "--bootstrap", broker.bootstrap), stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, **LIFELINE.arguments())  # fmt: skip
    try:
        assert process.stdout is not None
        assert "version 36000]" in process.stdout.readline()
        publish(broker, [EARLY[-1], *LATE, LATE[-1]])  # roots sent again make no line
        assert "version 38649]" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest, said = process.communicate(timeout=30)
        assert (process.returncode, rest, said) == (0, "", "")
    finally:
        process.kill()
        process.wait()


def test_once_and_for_programs(broker: EmbeddedBroker) -> None:
    settings = settings_for(broker.bootstrap, "tally")
    publish(broker, LATE)
    assert "4,281,625" in run("standings", settings=settings).stdout
    assert "AZ-2024 · PRES · AZ" in run("standings", settings=settings).stdout
    assert "election: President" in run("standings", "--election", "az-2024", settings=settings).stdout
    lines = run("standings", "--json", settings=settings).stdout.splitlines()
    assert [json.loads(line)["area"] for line in lines][-1] == "AZ"
    assert [line.encode() for line in lines] == [canonical_json(m) for m in LATE]
    assert json.loads(run("standings", "--area", "AZ/041", "--json", settings=settings).stdout)["area"] == "AZ/041"
    assert run("standings", "--area", "AZ/999", settings=settings, expect=1).stderr == (
        "tally-stream: no such standings on tally.standings: it has contests PRES\n"
    )
    wrong = run(
        "standings", "--election", "az-2024", "--contest", "PREZ", "--area", "AZ/0411", settings=settings, expect=2
    ).stderr
    assert wrong.splitlines() == [
        "tally-stream: PREZ: no contest of AZ-2024; there is PRES",
        "tally-stream: AZ/0411: no published area of AZ-2024; there is AZ/041, AZ/011, AZ/121",
    ]


@pytest.mark.parametrize(("contest", "area"), [("PREZ", None), (None, "AZ/999"), ("PREZ", "AZ/999")])
def test_a_screen_says_that_nothing_has_the_name_asked_for(contest: str | None, area: str | None) -> None:
    of: Any = SimpleNamespace(topic="t.standings")
    following = Following(of, contest, area)
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(follow.picture(following, 3))
    assert "is the name right" not in console.export_text(), "nothing is there yet"
    following.take([record(m) for m in LATE])
    console.print(follow.picture(following, 3))
    asked = ", ".join(f"{what} {name}" for what, name in (("contest", contest), ("area", area)) if name)
    assert f"nothing of {asked} is on t.standings: is the name right?" in console.export_text()
    of_all = Following(of, None, None)
    of_all.take([StoredRecord(0, 0, 0, b"PRES|AZ", b"no message")])
    console.print(follow.picture(of_all, 3))
    assert "is the name right" not in console.export_text(), "no name was asked for"


def other(message: Message) -> Message:
    return {**message, "definition": OTHER}


OTHER = "sha256:" + 64 * "0"


def test_a_replaced_definition_is_not_taken_for_the_newest(broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands on the topic from `--replace-definition` to its compaction: all of the old one, with higher versions."""
    settings = settings_for(broker.bootstrap, "tally")
    publish(broker, [*LATE, *map(other, EARLY[:-1])])
    process = subprocess.Popen(command("standings", "--json", "--bootstrap", broker.bootstrap), stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, **LIFELINE.arguments())  # fmt: skip
    said = run("export", "az-2024", "--format", "csv", settings=settings, expect=1)
    assert said.stdout == ""
    assert said.stderr == (f"tally-stream: not exported: the newest standings are of definition {OTHER}, this election is "
                           f"{ELECTION.digest}: it was replaced; export the folder whose definition is {OTHER}\n")  # fmt: skip
    publish(broker, [other(EARLY[-1])])
    out, complaint = process.communicate(timeout=60)
    assert (process.returncode, complaint) == (0, b""), "it waited for the root"
    assert out.splitlines() == [canonical_json(other(m)) for m in EARLY]
    publish(broker, LATE)
    assert run("standings", "--json", settings=settings).stdout.encode().splitlines() == [canonical_json(m) for m in LATE]
    assert run("export", "az-2024", "--format", "csv", settings=settings).stdout, "the old definition counts again"


async def test_standings_whose_root_never_came_are_refused_with_both_digests(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(whole, "WHOLE_WITHIN_SECONDS", 0)
    for before, said in (
        (LATE, f"have no root yet, and replace those of {ELECTION.digest}: run it again when the worker has published"),
        ([], "have no root yet: is a worker running?"),
    ):
        silent: Any = Silent()
        following = Following(silent, None, None)
        following.take([record(m) for m in [*before, *map(other, EARLY[:-1])]], is_start=True)
        with pytest.raises(SystemExit) as ended:
            await standings._print_once(following, as_json=True)  # noqa: SLF001  (one look, which the command makes once)
        assert ended.value.code == 1
        printed = capsys.readouterr()
        assert printed.out == ""
        assert f"tally.standings: standings of definition {OTHER} have no root yet" in printed.err
        assert said in printed.err


def test_the_export_reads_the_topic_and_waits_for_the_root(broker: EmbeddedBroker) -> None:
    """What compaction may leave while a set is being written: newer areas, an older root."""
    settings = settings_for(broker.bootstrap, "tally")
    publish(broker, [*LATE[:-1], EARLY[-1]])
    process = subprocess.Popen(command("export", "az-2024", "--format", "csv", "--bootstrap", broker.bootstrap),
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, **LIFELINE.arguments())  # fmt: skip
    with pytest.raises(subprocess.TimeoutExpired):
        process.communicate(timeout=3)
    publish(broker, [LATE[-1]])
    out, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (0, b"")
    assert b",4281625,4651473,92.05," in out
    publish(broker, [], stray=b'{"version": 99999999}')
    done = run("export", "az-2024", "--format", "nist-err-v2", settings=settings)
    assert json.loads(done.stdout)["Status"] == "unofficial-partial"
    assert "passed over tally.standings, offset 127: not a standings message" in done.stderr
