"""Wide elections through a real Kafka with two workers, of which the one that publishes is killed in the middle.

Georgia's 1,222 contests as they were counted; the islands' seats; Kalamazoo's votes for several; 8,000 areas; 2,000
contests. Every area of every contest must be, byte for
byte, what a stranger computes from the saved log, and the commands that read the topics must take them.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tally_stream.audit.replay import Replay
from tally_stream.settings import Settings
from tally_stream.wire.folder.assembling import load_election
from tests.ballots.counted import seats
from tests.ballots.folder import LOG_NAME
from tests.ballots.generated import long_ballot, wide
from tests.ballots.source import MadeSet
from tests.support.against_replay import check_against_replay
from tests.support.killed_worker import kill_in_the_middle
from tests.support.processes import run, settings_for
from tests.support.topics import save_log, wait_every_contest
from tests.support.worker import WorkerProcess

pytestmark = pytest.mark.kafka


@dataclass
class Played:
    """An election on topics of its own, half of which was counted when a worker was killed."""

    settings: Settings
    folder: Path
    records: int
    workers: list[WorkerProcess] = field(default_factory=list)
    newest: dict[bytes, bytes] = field(default_factory=dict)
    """Key → what the topic shows at the end."""
    log: Path = Path()

    def play(self, directory: Path) -> None:
        run("topics", "create", "--election", str(self.folder), "--create-time", "--replication", "1", settings=self.settings)
        for number in (1, 2):
            self.workers.append(WorkerProcess(self.settings, str(self.folder), directory / f"worker-{number}.log"))
        first, second = (worker.wait_ready() for worker in self.workers)
        other = kill_in_the_middle(
            self.settings, str(self.folder), self.folder / LOG_NAME, self.records, first, second
        )  # fmt: skip
        contests = [contest.id for contest in load_election(self.folder).contests]
        self.newest = wait_every_contest(self.settings, contests, self.records)
        self.log = directory / "saved.jsonl"
        assert other.stop() == 0

    def check(self) -> Replay:
        election = load_election(self.folder)
        replay = check_against_replay(election, save_log(self.settings, self.log), self.newest)
        assert replay.record_count == self.records
        return replay

    def root(self, contest: str, root: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.newest[f"{contest}|{root}".encode()])
        return found

    def close(self) -> None:
        for worker in self.workers:
            worker.close()


Plays = Callable[[Path, int], Played]


@pytest.fixture(scope="module")
def plays(kafka_one: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plays]:
    """A folder and its log, played to the end."""
    made: list[Played] = []

    def play(folder: Path, records: int) -> Played:
        made.append(Played(settings_for(kafka_one.bootstrap, f"b{uuid.uuid4().hex[:8]}"), folder, records))
        made[-1].play(tmp_path_factory.mktemp("played"))
        return made[-1]

    yield play
    for played in made:
        played.close()


@pytest.fixture(scope="module")
def georgia(plays: Plays, made_set: MadeSet) -> Played:
    return plays(made_set("ge-local-2017"), 11_218 + 2 * 3_634)


def test_georgia_counted_by_two_workers_of_which_one_is_killed(georgia: Played) -> None:
    georgia.check()
    runoffs = {
        key.decode().split("|")[0] for key, value in georgia.newest.items()
        if b"/" not in key and json.loads(value)["outcome"]["state"] == "runoff"
    }  # fmt: skip
    assert runoffs == {"MAYOR-59", *(f"GAMGEBELI-{number}" for number in (29, 35, 36, 60, 65))}
    votes = sorted(candidate["votes"] for candidate in georgia.root("MAYOR-TBILISI", "GE")["candidates"])
    assert votes[-2:] == [69_803, 204_061]


def test_the_commands_that_read_the_topics_take_1222_contests(georgia: Played) -> None:
    settings, folder = georgia.settings, str(georgia.folder)
    said = json.loads(run("verify", folder, "--json", settings=settings).stdout)
    assert said["compared"] >= len(georgia.newest)
    assert said["different"] == 0
    lines = run("standings", "--contest", "MAYOR-TBILISI", "--json", settings=settings).stdout.splitlines()
    assert json.loads(lines[-1])["contest"] == "MAYOR-TBILISI"
    report = json.loads(run("export", folder, "--format", "nist-err-v2", settings=settings).stdout)
    assert len(report["Election"][0]["Contest"]) == 1_222


def test_the_seats_of_seven_islands(plays: Plays, made_set: MadeSet) -> None:
    """Turnout before the close, seats, two annulments and a report that an authority lets in."""
    played = plays(made_set("es-cabildos-2019"), 3 * 2_825 + 3)
    verdicts = played.check().verdict_counts()
    assert (verdicts["held"], verdicts["rejected"]) == (2, 0)
    roots = [json.loads(value) for key, value in played.newest.items() if b"/" not in key]
    assert sum(sum(seats(root).values()) for root in roots) == 157
    assert list(seats(played.root("CABILDO-TENERIFE", "ES05")).values()) == [11, 11, 4, 3, 2]
    assert played.root("CABILDO-GRAN-CANARIA", "ES05")["stations"]["annulled"] == 2
    assert all(root["voted"]["stations"] == root["stations"]["expected"] for root in roots)


def test_149_contests_with_up_to_six_votes_a_ballot(plays: Plays, made_set: MadeSet) -> None:
    """38 reports with more votes than their ballots can give, held until an authority lets them in."""
    played = plays(made_set("us-mi-kalamazoo-2024"), 3_235 + 38)
    verdicts = played.check().verdict_counts()
    assert (verdicts["held"], verdicts["codes"]) == (38, {"A2": 38, "P8": 249})
    president = played.root("PRESIDENT", "KALAMAZOO")
    assert [c["votes"] for c in president["candidates"][:2]] == [84_501, 58_671]
    assert president["ballots"]["cast"] == 146_736
    roots = [json.loads(value) for key, value in played.newest.items() if b"/" not in key]
    assert len(roots) == 149
    assert not any(root["flags"]["held"] or root["stations"]["outstanding"] for root in roots)


def test_an_election_of_8000_areas(plays: Plays, tmp_path: Path) -> None:
    folder = tmp_path / "wide"
    replay = (played := plays(folder, wide(folder))).check()
    assert len(played.newest) == 1 + 27 + 8_000
    assert replay.verdict_counts()["held"] == 800


def test_an_election_of_2000_contests(plays: Plays, tmp_path: Path) -> None:
    folder = tmp_path / "long"
    played = plays(folder, long_ballot(folder))
    replay = played.check()
    assert sum(1 for key in played.newest if b"/" not in key) == 2_000
    assert replay.verdict_counts()["held"] == 3 * 320
