"""Two intakes as processes on a real Kafka, beside a worker, one of them killed in the middle of requests: what was answered 2xx
is what the topic holds, and every receipt is what a replay says. Frozen brokers are in `test_killed_clients_on_kafka.py`."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tally_stream.audit.replay import Replay
from tally_stream.settings import Settings
from tally_stream.wire.folder.assembling import load_election
from tests.support.brokers import KafkaOne, SharedKafka
from tests.support.intake_process import IntakeProcess, add_token
from tests.support.processes import run, settings_for
from tests.support.report_messages import as_bytes, counts, turnout
from tests.support.reporting_stations import write_election
from tests.support.topics import save_log
from tests.support.waiting import until
from tests.support.worker import WorkerProcess

pytestmark = pytest.mark.kafka

STATIONS = 120
HELD = {"ballots": {"cast": 99, "valid": 96, "blank": 2, "invalid": 2}}
OTHER_VOTES = {"votes": {"ANNA": 51, "BELA": 45}}
ACCEPTED = {"accept_warnings": "true", "accept_errors": "true"}
Place = tuple[int, int]


@dataclass
class Night:
    settings: Settings
    folder: Path
    token: str
    one: IntakeProcess
    two: IntakeProcess
    answered: dict[Place, bytes] = field(default_factory=dict)
    """What was answered 2xx, at the place that was told."""

    async def post(self, intake: IntakeProcess, message: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Status and answer; 0 where none came."""
        try:
            async with self.http.post(intake.address + "/v1/reports", data=as_bytes(message), params=ACCEPTED) as response:
                content: dict[str, Any] = await response.json(content_type=None)
        except aiohttp.ClientError:
            return 0, {}
        if response.status in (200, 201):
            self.answered[content["partition"], content["offset"]] = as_bytes(message)
        return response.status, content

    async def post_many(self, intake: IntakeProcess, messages: list[dict[str, Any]]) -> list[int]:
        lines, kind = b"\n".join(as_bytes(message) for message in messages), {"Content-Type": "application/x-ndjson"}
        async with self.http.post(intake.address + "/v1/reports", data=lines, params=ACCEPTED, headers=kind) as response:
            answers = [json.loads(line) for line in (await response.text()).splitlines()]
        for message, answer in zip(messages, answers, strict=True):
            if answer["status"] in (200, 201):
                self.answered[answer["partition"], answer["offset"]] = as_bytes(message)
        return [answer["status"] for answer in answers]

    async def receipts(self, intake: IntakeProcess) -> dict[Place, str]:
        """Of all that was answered 2xx, once each is final."""
        found: dict[Place, str] = {}

        async def all_known() -> bool:
            for partition, offset in self.answered.keys() - found.keys():
                async with self.http.get(f"{intake.address}/v1/receipts/{partition}/{offset}") as response:
                    receipt = await response.json()
                    assert response.status == 200, receipt
                if receipt["is_final"]:
                    found[partition, offset] = receipt["state"]
            return found.keys() == self.answered.keys()

        await until(all_known, "every receipt")
        return found

    async def __aenter__(self) -> Night:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        self.http = aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=0))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.close()


@pytest.fixture
def night(kafka_one: KafkaOne | SharedKafka, tmp_path: Path) -> Iterator[Night]:
    settings = settings_for(kafka_one.bootstrap, f"intake{uuid.uuid4().hex[:8]}")
    folder = write_election(tmp_path / "election", station_count=STATIONS)
    run("topics", "create", "--election", str(folder), "--create-time", "--replication", "1", "--partitions", "3",
        settings=settings)  # fmt: skip
    token = add_token(tmp_path / "tokens", ["A-1", "B-1", *(f"S-{n}" for n in range(STATIONS))])
    worker = WorkerProcess(settings, str(folder), tmp_path / "worker.log")
    one, two = (IntakeProcess(settings, folder, tmp_path / "tokens", tmp_path / f"intake-{n}.log") for n in (1, 2))
    try:
        one.wait_ready()
        two.wait_ready()
        worker.wait_ready()
        yield Night(settings, folder, token, one, two)
    finally:
        for process in (one, two, worker):
            process.close()


async def test_what_two_intakes_answered_is_what_is_counted(night: Night, tmp_path: Path) -> None:
    one, two = night.one, night.two
    async with night:
        await one_after_the_other(night)
        many = [counts(station=f"S-{n}", **(HELD if n % 7 == 3 else {})) for n in range(40)]
        many[5:5] = [counts(station="S-0", revision=2, **OTHER_VOTES), {"station": "S-1"}, turnout(station="S-2")]
        assert Counter(await night.post_many(two, many)) == {201: 42, 422: 1}
        assert set(await night.post_many(two, [message for message in many if message != {"station": "S-1"}])) == {200}
        await killed_on_the_way(night)
        receipts = await night.receipts(two)
        assert await night.receipts(one) == receipts, "both say the same, whoever took it, and before or after a restart"

    log = await asyncio.to_thread(save_log, night.settings, tmp_path / "log")
    replay = Replay(load_election(night.folder), log.topic, log.partition_count)
    first: dict[tuple[bytes | None, bytes | None], str] = {}
    due: dict[Place, str] = {}
    stands: dict[Place, bytes | None] = {}
    for r in log:
        name = replay.take(r).name
        assert (name == "repeated") == ((r.key, r.value) in first), "each counts once"
        stands[r.partition, r.offset], due[r.partition, r.offset] = r.value, first.setdefault((r.key, r.value), name)
    assert night.answered.items() <= stands.items(), "what was answered stands where the answer says"
    assert set(stands.values()) == set(night.answered.values()), "and nothing else; what had no answer came again"
    assert receipts == {place: due[place] for place in receipts}
    assert Counter(due[place] for place in receipts)["held"] > 1


async def one_after_the_other(night: Night) -> None:
    """Told their places again, and refused, also by one that was started after the other one took them."""
    one, two = night.one, night.two
    status, first = await night.post(one, counts())
    assert (status, first["is_repeated"]) == (201, False)
    status, again = await night.post(one, counts())
    assert (status, again["partition"], again["offset"], again["is_repeated"]) == (
        200, first["partition"], first["offset"], True,
    )  # fmt: skip
    misfit = {"revision": 4, "kind": "correct", "replaces": 3, "reason": "misread", "authority": "it"}
    placed = {
        state: (await night.post(intake, counts(station="B-1", **message)))[1]
        for state, intake, message in (("held", one, HELD), ("rejected", two, misfit), ("counted", one, {"revision": 9}))
    }
    two.kill()
    two.restart()
    await asyncio.to_thread(two.wait_ready)
    status, other = await night.post(two, counts())
    assert (status, other["partition"], other["offset"]) == (200, first["partition"], first["offset"]), "not sent once more"
    for intake in (one, two):
        status, refused = await night.post(intake, counts(**OTHER_VOTES))
        assert (status, refused["type"]) == (409, "urn:tally-stream:intake:other-content")
    assert (await night.post(two, counts(station="B-1")))[0] == 409
    assert (await night.post(two, counts(station="B-1", revision=5)))[0] == 422, "older than what the other one took"
    for state, place in placed.items():

        async def is_told(state: str = state, place: dict[str, Any] = place) -> bool:
            async with night.http.get(two.address + place["receipt"]) as response:
                receipt = await response.json()
            assert receipt["state"] in ("waiting", state), receipt
            return receipt["state"] == state

        await until(is_told, f"the receipt of what is {state}")


async def killed_on_the_way(night: Night) -> None:
    """Eighty callers, each of which asks the first intake until it is answered. That is killed when some of them are."""
    answers: list[int] = []
    first = asyncio.Event()  # nothing is looked at from time to time here: eighty answers are given in that time

    async def caller(station: str) -> None:
        async def is_answered() -> bool:
            status, _ = await night.post(night.one, counts(station=station))
            answers.append(status)
            first.set()
            assert status in (0, 200, 201, 503), status
            return status in (200, 201)

        await until(is_answered, f"an answer for {station}")

    callers = [asyncio.create_task(caller(f"S-{n}")) for n in range(40, STATIONS)]
    await first.wait()
    night.one.kill()
    night.one.restart()
    await asyncio.gather(*callers)
    assert 0 in answers, "some were cut"
