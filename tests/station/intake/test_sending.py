"""A client that cannot reach Kafka: its statements go by an intake, and their receipts come by it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tally_stream.cli.submit_receipts import wait_for_receipts
from tally_stream.settings import Settings, SettingsError, load_settings
from tally_stream.station.client import StationClient
from tally_stream.station.intake import sending
from tally_stream.station.intake.identity import new_token, token_line
from tally_stream.station.intake.sending import (
    IntakeTransport,
    KafkaOrIntake,
    ReceiptsOfIntake,
    transport_of,
    uses_intake_alone,
)
from tally_stream.station.intake.server import Intake
from tally_stream.station.receipt_pages import sentence_of
from tally_stream.station.receipts import StationReceipt, noted
from tally_stream.station.spool import Spool
from tally_stream.station.transport import KafkaTransport, NotSent, NotTaken, NotTakenOfStation, RefusedForGood
from tests.support.report_messages import ELECTION, as_bytes, counts, decision, turnout
from tests.support.topic_of_lists import TopicOfLists, absent
from tests.support.waiting import until

NOBODY = "127.0.0.1:1"


@pytest.fixture
def topic() -> TopicOfLists:
    return TopicOfLists()


@pytest.fixture
async def served(topic: TopicOfLists, tmp_path: Path) -> AsyncIterator[Intake]:
    token = new_token()
    (tmp_path / "tokens").write_text(token_line(token, ["A-1", "B-1"]))
    (tmp_path / "token").write_text(token + "\n")
    settings = load_settings(bootstrap=NOBODY, intake_port=0, intake_tokens=str(tmp_path / "tokens"))
    async with Intake(settings, ELECTION, print, topic) as intake:
        yield intake


@pytest.fixture
def settings(served: Intake, tmp_path: Path) -> Settings:
    return load_settings(intake_url=served.address, intake_token_file=str(tmp_path / "token"))


async def test_a_spool_is_sent_by_an_intake_and_its_receipts_come_by_it(
    topic: TopicOfLists, served: Intake, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    topic.before = absent
    spool = Spool(tmp_path / "spool", "tally.reports", ELECTION.id)
    async with (
        StationClient(ELECTION, spool, transport_of(settings, print), say=said.append) as client,
        ReceiptsOfIntake(settings) as reader,
    ):
        await client.submit(counts(ballots={"cast": 99, "valid": 96, "blank": 2, "invalid": 2}), accepts_errors=True)
        await client.submit(turnout(station="B-1"))
        await until(lambda: said, "a try")
        assert "no broker has acknowledged it" in said[0]
        topic.before = lambda count: None
        await client.flush()
        assert sorted(topic.values) == sorted(s.value for s in client.statements())
        assert [receipt.state for _, receipt in await client.receipts(reader)] == ["waiting", "waiting"]
        told = StationReceipt("held", ("A2",), ("two figures",), "abc", None)

        async def receipt(taken: object) -> StationReceipt:
            return told

        monkeypatch.setattr(served.receipts, "receipt", receipt)
        assert {receipt for _, receipt in await client.receipts(reader)} == {told}


async def test_what_waiting_does_not_cure(served: Intake, settings: Settings, tmp_path: Path) -> None:
    transport = IntakeTransport(settings)
    value = as_bytes(counts())
    place = await transport.send(b"A-1", value)
    assert await transport.send(b"A-1", value) == place
    for message, said, state, code in (
        (counts(votes={"ANNA": 51, "BELA": 45}), "A-1: revision 1 was taken before with other content", "conflicting", "Q3"),
        (counts(votes={"ANNA": 1}), r"it would be refused.*S3", "rejected", "S3"),
        (decision(), "annul is an authority's order", "rejected", "no-statement"),
    ):
        with pytest.raises(RefusedForGood, match=said) as refused:
            await transport.send(b"A-1", as_bytes(message))
        assert (refused.value.receipt.state, refused.value.receipt.codes) == (state, (code,))
    with pytest.raises(NotTakenOfStation, match=r"may not speak for station C-1.*TALLY_INTAKE_TOKEN_FILE"):
        await transport.send(b"C-1", as_bytes(counts(station="C-1")))
    await transport.close()
    (tmp_path / "token").write_text(new_token())
    stranger = IntakeTransport(load_settings(intake_url=served.address, intake_token_file=str(tmp_path / "token")))
    with pytest.raises(NotTaken, match=r"give the token of your station.*TALLY_INTAKE_TOKEN_FILE names our token"):
        await stranger.send(b"A-1", value)
    await stranger.close()


async def test_what_is_refused_for_good_holds_up_nothing_behind_it(
    topic: TopicOfLists, served: Intake, settings: Settings, tmp_path: Path
) -> None:
    """Two machines with one station's identity: the other one's statements came first."""
    other = IntakeTransport(settings)
    for station in ("A-1", "B-1"):
        await other.send(station.encode(), as_bytes(counts(votes={"ANNA": 60, "BELA": 36}, station=station)))
    await other.close()
    said: list[str] = []

    def opened() -> StationClient:
        spool = Spool(tmp_path / "spool", "tally.reports", ELECTION.id)
        return StationClient(ELECTION, spool, transport_of(settings, print), say=said.append)

    async with opened() as client:
        await client.submit(counts())
        await client.submit(counts(votes={"ANNA": 51, "BELA": 45}, revision=2), accepts_warnings=True)
        await client.submit(turnout())
        async with asyncio.timeout(20):
            await client.flush()
        first, second, voters = client.statements()
        assert (first.waits, first.offset, first.receipt_state, second.offset, voters.offset) == (
            False,
            None,
            "conflicting",
            1,
            2,
        )
        assert topic.values[1:3] == [second.value, voters.value], "in their order"
        assert said == [f"A-1 PRES revision 1: {first.last_error}"]
        told = sentence_of(first, noted(first.receipt))
        assert "a higher --revision settles it (said by an intake); Q3: revision 1" in told
        async with ReceiptsOfIntake(settings) as reader:
            receipts = await client.receipts(reader)
        assert [receipt.state for _, receipt in receipts] == ["conflicting", "waiting", "waiting"], "it stays refused"
        for _ in range(2):
            await client.submit(counts(station="B-1", revision=None))
            await client.flush()
        assert [(s.revision, s.offset is None) for s in client.statements()[3:]] == [(1, True), (2, False)], (
            "the same, put right"
        )
    async with opened() as client:
        await client.flush()
    assert len(topic.values) == 5, "it is not tried again"


async def test_a_station_of_another_token_holds_up_no_other(
    topic: TopicOfLists, served: Intake, settings: Settings, tmp_path: Path
) -> None:
    own = (tmp_path / "token").read_text().strip()
    (tmp_path / "tokens").write_text(token_line(own, ["B-1"]))
    spool = Spool(tmp_path / "spool", "tally.reports", ELECTION.id)
    async with StationClient(ELECTION, spool, transport_of(settings, print)) as client:
        await client.submit(counts())
        for message in (counts(station="B-1"), turnout(station="B-1")):
            await client.submit(message)
        async with asyncio.timeout(20):
            with pytest.raises(NotTakenOfStation, match="may not speak for station A-1"):
                await client.flush()
        assert [(s.station, s.waits) for s in client.statements()] == [("A-1", True), ("B-1", False), ("B-1", False)]
    (tmp_path / "tokens").write_text(token_line(own, ["A-1", "B-1"]))
    spool = Spool(tmp_path / "spool", "tally.reports", ELECTION.id)
    async with StationClient(ELECTION, spool, transport_of(settings, print)) as client:
        await client.flush()
        assert client.statements()[0].value in topic.values


async def test_a_receipt_of_another_token_s_station_keeps_nobody_from_hearing_of_the_others(
    topic: TopicOfLists, served: Intake, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Two tokens with one spool: what the first one sent, the second one may not ask for."""
    own = (tmp_path / "token").read_text().strip()

    async def receipt(taken: object) -> StationReceipt:
        return StationReceipt("counted", definition="abc", version=7)

    monkeypatch.setattr(served.receipts, "receipt", receipt)
    spool = Spool(tmp_path / "spool", "tally.reports", ELECTION.id)
    async with StationClient(ELECTION, spool, transport_of(settings, print)) as client:
        await client.submit(counts())
        await client.flush()
        (tmp_path / "tokens").write_text(token_line(own, ["B-1"]))
        await client.submit(turnout(station="B-1"))
        await client.flush()
        async with ReceiptsOfIntake(settings) as reader:
            (hidden, told), (_, counted) = await client.receipts(reader)
        assert (told.state, told.codes, counted.state) == ("waiting", ("not-yours",), "counted")
        assert "not-yours: " + served.address + ": the statement there is another station's" in sentence_of(hidden, told)
        async with asyncio.timeout(20):
            found = await wait_for_receipts(client, settings, [client.statements()[1].id], in_json=False)
        assert [one.state for _, one in found] == ["counted"], "no other is waited for"
        waiting = asyncio.create_task(wait_for_receipts(client, settings, [hidden.id], in_json=False))
        await until(lambda: "is another station's" in capsys.readouterr().err, "why it waits")
        waiting.cancel()


async def test_an_intake_that_is_gone_may_come_back(settings: Settings, served: Intake) -> None:
    gone = IntakeTransport(load_settings(intake_url=f"http://{NOBODY}/"))
    with pytest.raises(NotSent, match=f"http://{NOBODY}: no answer"):
        await gone.send(b"A-1", b"{}")
    await gone.close()


async def test_brokers_come_first_and_are_left_alone_for_a_while_when_they_do_not_answer(
    topic: TopicOfLists, settings: Settings, served: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    kafka, said = TopicOfLists(), list[str]()
    both = KafkaOrIntake(kafka, IntakeTransport(settings), said.append)
    await both.send(b"A-1", as_bytes(counts()))
    assert (len(kafka.values), topic.values) == (1, [])
    kafka.before = absent
    for message in (turnout(), turnout(station="B-1")):
        await both.send(b"-", as_bytes(message))
    assert (kafka.tries, said) == (2, ["nobody is there; sent by the intake instead"])
    assert sorted(topic.values) == sorted([as_bytes(turnout()), as_bytes(turnout(station="B-1"))])
    monkeypatch.setattr(sending, "KAFKA_AGAIN_SECONDS", 0.0)
    both = KafkaOrIntake(kafka, both, said.append)
    await both.send(b"-", as_bytes(turnout(revision=2)))
    kafka.before = lambda count: None
    await both.send(b"A-1", as_bytes(turnout(revision=3)))
    assert kafka.values[-1] == as_bytes(turnout(revision=3)), "brokers are asked again"
    await both.close()
    assert kafka.is_closed


def test_which_way_the_settings_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TALLY_BOOTSTRAP", raising=False)
    assert isinstance(transport_of(load_settings(), print), KafkaTransport)
    assert isinstance(transport_of(load_settings(intake_url="https://intake:8090"), print), IntakeTransport)
    both = load_settings(intake_url="https://intake:8090/", bootstrap=NOBODY)
    assert isinstance(transport_of(both, print), KafkaOrIntake)
    assert not uses_intake_alone(both)


@pytest.mark.parametrize("url", ["intake:8090", "https://", "https://a/v1/reports", "https://a@b", "ftp://a"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(SettingsError, match="TALLY_INTAKE_URL"):
        load_settings(intake_url=url)


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    nothing = tmp_path / "nothing"
    nothing.write_text("nothing\n")
    with pytest.raises(SettingsError) as broken:
        load_settings(intake_certfile=str(nothing), intake_cafile=str(nothing))
    assert [line.split(":")[0] for line in broken.value.errors] == ["TALLY_INTAKE_CERTFILE", "TALLY_INTAKE_CAFILE"]
    with pytest.raises(SettingsError, match=r"TALLY_INTAKE_KEYFILE: .* without the certificate"):
        load_settings(intake_keyfile=str(nothing))
