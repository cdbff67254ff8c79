"""A real Kafka that is gone when reports are given: each arrives once when it is back, and each receipt is what a replay says."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tally_stream.audit.replay import Replay
from tally_stream.settings import Settings
from tally_stream.station.checking import KnownStatements
from tally_stream.station.client import StationClient
from tally_stream.station.preparing import prepare
from tally_stream.station.receipt_reader import ReceiptReader
from tally_stream.station.spool import Spool, spooled_in
from tally_stream.station.transport import KafkaTransport
from tally_stream.wire.folder.assembling import load_election
from tests.support.brokers import KafkaOne
from tests.support.processes import run, settings_for
from tests.support.report_messages import LOG_MS, counts, turnout
from tests.support.reporting_stations import write_election
from tests.support.topics import save_log
from tests.support.waiting import until
from tests.support.worker import WorkerProcess

pytestmark = pytest.mark.kafka

HELD = {"ballots": {"cast": 99, "valid": 96, "blank": 2, "invalid": 2}}


def verdicts(settings: Settings, folder: Path, path: Path) -> dict[tuple[int, int], str]:
    """Place → what a replay of the topic says, and that no statement stands there twice."""
    log = save_log(settings, path)
    replay = Replay(load_election(folder), log.topic, log.partition_count)
    return {(r.partition, r.offset): replay.take(r).name for r in log}


async def test_reports_given_while_it_is_gone_arrive_once_and_every_receipt_is_the_replay_s(
    kafka_of_its_own: KafkaOne, tmp_path: Path
) -> None:
    settings = settings_for(kafka_of_its_own.bootstrap, "given")
    folder = write_election(tmp_path / "election", "SEAT")
    election = load_election(folder)
    create = ("topics", "create", "--election", str(folder), "--create-time", "--replication", "1", "--partitions", "3")
    await asyncio.to_thread(run, *create, settings=settings)
    await asyncio.to_thread(kafka_of_its_own.kill, 0)
    said: list[str] = []
    transport = KafkaTransport(settings, print)
    async with StationClient(
        election, Spool(tmp_path / "first", transport.topic, election.id), transport, say=said.append
    ) as one:
        given: list[dict[str, Any]] = [
            turnout(), counts(), counts(revision=2, votes={"ANNA": 51, "BELA": 45}), turnout(station="B-1"),
            counts(station="B-1", **HELD), counts(contest="SEAT", station="B-1"),
        ]  # fmt: skip
        for statement in given:
            await one.submit(statement, accepts_warnings=True, accepts_errors=True)
        await until(lambda: len(said) >= 2, "two tries")
        assert all(spooled.offset is None for spooled in one.statements())
        await asyncio.to_thread(kafka_of_its_own.restart, 0)
        await one.flush()

        # A second laptop with the same identity knows nothing of the first while no broker answers.
        unknown = KnownStatements(election)
        with Spool(tmp_path / "second", transport.topic, election.id) as second_spool:
            given = [
                counts(), counts(station="B-1"),
                counts(revision=7, station="B-1", contest="SEAT", kind="correct", replaces=3, reason="misread", authority="it"),
            ]  # fmt: skip
            second_spool.keep([prepare(message, unknown, LOG_MS) for message in given], LOG_MS)
        worker = WorkerProcess(settings, str(folder), tmp_path / "worker.log")
        try:
            await asyncio.to_thread(worker.wait_ready)
            words = ("submit", "--election", str(folder), "--spool", str(tmp_path / "second"), "--wait", "--json",
                     "--save", str(tmp_path / "receipts.json"))  # fmt: skip
            second = await asyncio.to_thread(lambda: run(*words, settings=settings, expect=1))
            async with ReceiptReader(settings, election) as reader:

                async def all_known() -> bool:
                    return all(receipt.is_final for _, receipt in await one.receipts(reader))

                await until(all_known, "every receipt")
                found = await one.receipts(reader)
            seen = await asyncio.to_thread(
                lambda: run(
                    "submit", "--status", "--election", str(folder), "--spool", str(tmp_path / "second"), settings=settings
                )
            )
        finally:
            worker.close()

    due = await asyncio.to_thread(verdicts, settings, folder, tmp_path / "log")
    kept = spooled_in(tmp_path / "first") + spooled_in(tmp_path / "second")
    assert {(s.partition, s.offset) for s in kept} == set(due), "each of them once, and nothing else"
    assert {(s.partition, s.offset): receipt.state for s, receipt in found}.items() <= due.items()
    assert [receipt.state for _, receipt in found] == ["counted", "counted", "counted", "counted", "held", "counted"]
    receipts = json.loads((tmp_path / "receipts.json").read_text())
    assert {(r["partition"], r["offset"]): r["state"] for r in receipts}.items() <= due.items()
    assert [(r["state"], r["codes"]) for r in receipts] == [("stale", ["Q2"]), ("conflicting", ["Q3"]), ("rejected", ["Q5"])]
    assert "with other content, as from a second machine" in (tmp_path / "receipts.txt").read_text()
    assert '"state": "conflicting"' in second.stdout
    assert "B-1 SEAT revision 7: refused: it is not counted" in seen.stdout
