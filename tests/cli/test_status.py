"""`status`: what it says of each trouble, judged on hand-made sights; the command itself on a real Kafka is in
tests/broker/test_status_on_kafka.py."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import pytest
from aiohttp import web

from deploy.kafka.local.certificates import Authority
from tally_stream.cli.status_judged import Standstills, judge
from tally_stream.cli.status_object import as_json
from tally_stream.cli.status_screen import screen
from tally_stream.cli.status_seen import (
    Certificate,
    Program,
    Situation,
    end_of_certificate,
    look,
    look_at_certificates,
    usual_addresses,
)
from tally_stream.kafka.client import StoredRecord
from tally_stream.kafka.observing import Group, GroupMember, Observed, PartitionState
from tally_stream.kafka.topics import SettingDifference, TopicReport
from tally_stream.metrics import INTAKE_METRICS, SPOOL_METRICS, Sample, read_samples, registry_of, write_file
from tally_stream.settings import load_settings
from tally_stream.stream.health import HealthServer
from tests.cli.calling import call

NOW = 1_800_000_000.0
DIGEST = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64


def root(contest: str = "PRES", *, seconds_ago: float = 4.0, area: str = "AZ", **other: Any) -> StoredRecord:
    message = {
        "contest": contest, "area": area, "version": 12, "definition": DIGEST, "status": "unofficial-partial",
        "on_hold": False, "flags": {"held": 0, "disputed": 0}, "progress": {"stations": {"done": 7, "of": 9}},
        "provenance": {"next_offsets": {"0": 5, "1": 7}}, **other,
    }  # fmt: skip
    return StoredRecord(0, 40, int((NOW - seconds_ago) * 1000), f"{contest}|{area}".encode(), json.dumps(message).encode())


def kafka(**other: Any) -> Observed:
    """Three brokers, two workers that have all, nothing behind."""
    seen = Observed(
        brokers={n: f"10.0.0.{n}:9092" for n in (1, 2, 3)},
        partitions=[PartitionState("tally.reports", p, 1, (1, 2, 3), (1, 2, 3)) for p in (0, 1)],
        topics=TopicReport(2, True, [], []),
        group=Group(
            "tally-workers", "Stable", (GroupMember("one", "10.0.1.1", (0,), True), GroupMember("two", "10.0.1.2", (1,), False))
        ),
        starts={0: 0, 1: 0},
        ends={0: 5, 1: 7},
        committed={0: 5, 1: 7},
    )
    roots = other.pop("standings", [root()])
    seen.newest_ms = max((one.timestamp_ms for one in roots), default=None)
    seen.roots = {(one.key or b"").decode().split("|")[0]: one for one in roots}
    for name, value in other.items():
        setattr(seen, name, value)
    return seen


def worker(**values: float) -> Program:
    lines = {"tally_ready": 1, 'tally_lag_records{partition="0"}': 0, "tally_publishes_standings": 1, **values}
    text = f'tally_build_info{{version="1.0",election="AZ",digest="{DIGEST}"}} 1\n'
    text += "".join(f"{name} {value}\n" for name, value in lines.items())
    return Program("one:9180", True, "worker", read_samples(text))


def intake(digest: str = DIGEST, **values: float) -> Program:
    lines = {
        "tally_intake_ready": 1,
        "tally_intake_under_way": 0,
        "tally_intake_taken_total": 7,
        "tally_intake_tokens": 2,
        **values,
    }
    text = f'tally_build_info{{version="1.0",election="AZ",digest="{digest}"}} 1\n'
    return Program("i:1", True, "intake", read_samples(text + "".join(f"{name} {value}\n" for name, value in lines.items())))


SPOOL = 'election="AZ",topic="tally.reports"'


def spool(seconds: float, *, written: float = 5.0, ends_days: float = 90.0, **states: int) -> Program:
    """Of a station's machine; the oldest statement has waited so long, 0 where none does."""
    text = f"tally_spool_unsent_statements{{{SPOOL}}} {int(seconds > 0)}\n"
    text += f"tally_spool_oldest_unsent_timestamp_seconds{{{SPOOL}}} {NOW - seconds if seconds else 0}\n"
    text += f"tally_spool_written_timestamp_seconds{{{SPOOL}}} {NOW - written}\n"
    text += f'tally_spool_credential_ends_timestamp_seconds{{{SPOOL},what="signing-key"}} {NOW + ends_days * 86_400}\n'
    for state, count in states.items():
        text += f'tally_spool_newest_statements{{{SPOOL},state="{state}"}} {count}\n'
    return Program("s:9100", True, "submit", read_samples(text))


def seen(**other: Any) -> Situation:
    fields = {"kafka": kafka(), "definition": DIGEST, "contests": ("PRES",), "programs": [worker()], **other}
    return Situation(NOW, load_settings(), **fields)


def board(seconds: float, digest: str = DIGEST) -> Program:
    text = f'tally_build_info{{version="1.0",election="AZ",digest="{digest}"}} 1\ntally_board_ready 1\n'
    return Program("b:1", True, "board", read_samples(f"{text}tally_board_contact_age_seconds {seconds}\n"))


def dump(records: int, seconds: float, *, ready: int = 1) -> Program:
    text = 'tally_build_info{version="1.0",election="",digest=""} 1\n'
    text += f'tally_dump_ready {ready}\ntally_dump_lag_records{{partition="0"}} {records}\n'
    text += f'tally_dump_lag_records{{partition="1"}} 1\ntally_dump_behind_seconds {seconds}\n'
    return Program("d:1", True, "dump", read_samples(text))


def shown(of: Situation, capsys: pytest.CaptureFixture[str]) -> str:
    from rich.console import Console  # noqa: PLC0415

    Console(width=200, force_terminal=False).print(screen(of, judge(of)))
    return capsys.readouterr().out


def problems(of: Situation) -> list[str]:
    return judge(of).problems


def test_a_quiet_night_has_nothing_wrong() -> None:
    assert judge(seen()).problems == []
    assert judge(seen()).notices == []


LEADERLESS = [PartitionState("tally.reports", 1, -1, (1, 2, 3), ())]
LATE = [PartitionState("tally.reports", 0, 1, (1, 2, 3), (1, 3))]
GONE = [PartitionState("tally.reports", 0, 1, (1, 2, 4), (1, 2))]


@pytest.mark.parametrize(
    ("trouble", "sentence"),
    [
        (lambda: kafka(partitions=LEADERLESS), "no broker leads tally.reports[1]: nothing there can be read or written"),
        (lambda: kafka(partitions=LATE), "copies of tally.reports[0] are behind on brokers that are up"),
        (lambda: kafka(partitions=GONE), "broker 4 is down: 3 answer"),
        (lambda: kafka(group=Group("g", "Empty", ())), "no worker is in the group g: nobody counts"),
        (
            lambda: kafka(group=Group("g", "PreparingRebalance", (GroupMember("one", "h", (), False),))),
            "the group g is being put together (PreparingRebalance)",
        ),
        (
            lambda: kafka(group=Group("g", "Stable", (GroupMember("one", "h", (0,), True),))),
            "no worker has partition 1 of the reports: it is not counted",
        ),
        (
            lambda: kafka(group=Group("g", "Stable", (GroupMember("one", "h", (0, 1), False),))),
            "no worker has the partials: nobody publishes standings",
        ),
        (lambda: kafka(starts={0: 3, 1: 0}), "partition 0 of the reports begins above offset 0: the log lost records"),
        (lambda: kafka(ends={0: 5, 1: 6}), "partition 1 of the reports ends below what standings stand on"),
        (lambda: kafka(standings=[]), "there are reports and no standings: nothing was ever published"),
        (lambda: kafka(standings=[root(seconds_ago=30)]), "no standings were published for 30 s"),
        (
            lambda: kafka(standings=[root(seconds_ago=31), root("B", seconds_ago=1)]),
            "no root of PRES was published for 30 s and more, though others are",
        ),
        (lambda: kafka(standings=[root("B")], is_read_whole=True), "no root of PRES stands on the topic"),
        (lambda: kafka(standings=[root("B")]), "no root of PRES stands among the newest messages"),
        (lambda: kafka(topics=TopicReport(2, True, ["a: broken"], [])), "a: broken"),
        (lambda: kafka(topics=TopicReport(2, True, [], ["a: at risk"])), "a: at risk"),
        (lambda: kafka(silent=["Kafka did not tell this"]), "Kafka did not tell this"),
        (lambda: kafka(standings=[root(definition=OTHER)]), "they do not count by one definition"),
    ],
)
def test_each_trouble_of_kafka_has_its_sentence(trouble: Callable[[], Observed], sentence: str) -> None:
    (found,) = problems(seen(kafka=trouble()))
    assert sentence in found


def test_just_below_the_limits_nothing_is_said() -> None:
    assert problems(seen(kafka=kafka(standings=[root(seconds_ago=29.9)]))) == []
    late = kafka(ends={0: 5, 1: 9}, standings=[root(seconds_ago=29.9)])
    assert judge(seen(kafka=late), {"partition 1": 7.9}).problems == []


def test_what_stands_still_with_reports_waiting_is_told_after_eight_seconds() -> None:
    """Roots come again every 10 s whatever they stand on, and a worker that is ready stays so: neither tells it."""
    standstills = Standstills()

    def looked(seconds: float, committed: int, next_offset: int, *, on_hold: bool = False) -> dict[str, float]:
        newest = root(provenance={"next_offsets": {"0": 5, "1": next_offset}}, on_hold=on_hold)
        of = seen(kafka=kafka(ends={0: 5, 1: 9}, committed={0: 5, 1: committed}, standings=[newest]))
        of.at = NOW + seconds
        return standstills.note(of)

    assert looked(0, 7, 7) == {"partition 1": 0, "the standings of PRES": 0}
    assert looked(4, 8, 7) == {"partition 1": 0, "the standings of PRES": 4}
    still = looked(8, 8, 7)
    assert still == {"partition 1": 4, "the standings of PRES": 8}
    (sentence,) = judge(seen(), still).problems
    assert sentence == "reports wait, and the standings of PRES did not move for 8 s: look at the worker's log"
    assert looked(13, 8, 7, on_hold=True) == {"partition 1": 9}, "a hold stands still on purpose"
    assert looked(14, 9, 9) == {}
    assert looked(15, 8, 8) == {"partition 1": 0, "the standings of PRES": 0}, "from the beginning"
    assert standstills.note(seen(kafka=None)) == {}


def test_statements_that_wait_at_an_intake_are_told_after_eight_seconds_with_or_without_kafka() -> None:
    standstills = Standstills()

    def looked(seconds: float, taken: int, under_way: int, *, with_kafka: bool = True) -> dict[str, float]:
        of = seen(programs=[intake(tally_intake_taken_total=taken, tally_intake_under_way=under_way)])
        of.kafka = of.kafka if with_kafka else None
        of.at = NOW + seconds
        return standstills.note(of)

    assert looked(0, 7, 2) == {"the intake i:1": 0}
    assert looked(5, 8, 2) == {"the intake i:1": 0}, "one was acknowledged"
    still = looked(13, 8, 2, with_kafka=False)
    assert still == {"the intake i:1": 8}
    sentence = "statements wait at the intake i:1, and none was acknowledged for 8 s: look at its log"
    assert judge(seen(), still).problems == [sentence]
    assert judge(seen(kafka=None, kafka_error="no broker answers"), still).problems == ["no broker answers", sentence]
    assert judge(seen(), {"the intake i:1": 7.9}).problems == []
    assert looked(14, 8, 0) == {}, "nothing waits"


def test_a_spool_in_which_something_waits_for_a_while_is_all_right_and_what_was_refused_worth_knowing() -> None:
    judged = judge(seen(programs=[worker(), spool(299, written=999, counted=3, held=1, rejected=2, stale=1, conflicting=0)]))
    assert judged.problems == []
    assert judged.notices == [
        "2 newest statements are rejected at s:9100: `tally-stream submit --status` there says why",
        "1 newest statement is stale at s:9100: `tally-stream submit --status` there says why",
    ]
    assert (spool(299).is_ready, spool(0).is_ready) == (False, True)


async def test_a_spool_is_known_among_the_figures_of_node_exporter(tmp_path: Path) -> None:
    path = tmp_path / "s.prom"
    samples: dict[str, Iterable[Sample]] = {"tally_spool_unsent_statements": [(("AZ", "tally.reports"), 1)]}
    write_file(path, samples, SPOOL_METRICS)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(text="# TYPE node_textfile_scrape_error gauge\nnode_textfile_scrape_error 0\n" + path.read_text())

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    served = web.AppRunner(app)
    await served.setup()
    await web.TCPSite(served, "127.0.0.1", 0).start()
    try:
        found = await look(load_settings(bootstrap="127.0.0.1:1"), [f"127.0.0.1:{served.addresses[0][1]}"], None)
    finally:
        await served.cleanup()
    (one,) = found.programs
    assert (one.kind, one.error, one.is_ready) == ("submit", "", False)


def test_an_intake_without_tokens_is_worth_knowing() -> None:
    judged = judge(seen(programs=[worker(), intake(tally_intake_tokens=0)]))
    assert judged.problems == []
    assert judged.notices == ["intake i:1 knows no token: only a station with a certificate can send"]


async def test_an_intake_says_itself_why_it_is_not_ready() -> None:
    reasons = ["the file of tokens: tokens:3: no station B-9"]
    figures: dict[str, Iterable[Sample]] = {"tally_intake_ready": [((), 0)], "tally_intake_tokens": [((), 1)]}
    server = HealthServer(
        "127.0.0.1", 0, registry_of(lambda: figures, INTAKE_METRICS), lambda: {"ready": False, "reasons": reasons}
    )
    await server.start()
    other = web.AppRunner(web.Application())
    await other.setup()
    await web.TCPSite(other, "127.0.0.1", 0).start()
    addresses = [f"127.0.0.1:{server.port}", f"127.0.0.1:{other.addresses[0][1]}"]
    try:
        found = await look(load_settings(bootstrap="127.0.0.1:1"), addresses, None)
    finally:
        await server.stop()
        await other.cleanup()
    one, wrong = found.programs
    assert wrong.error == "it answered 404: is it the port of its metrics? An intake's is TALLY_INTAKE_METRICS_PORT"
    assert (one.kind, one.reasons, one.error) == ("intake", tuple(reasons), "")
    assert f"intake {one.address} is not ready: {reasons[0]}" in judge(found).problems


@pytest.mark.parametrize(
    ("trouble", "sentence"),
    [
        (
            worker(tally_ready=0, **{'tally_replay_remaining_records{partition="0"}': 1200}),
            "it replays, 1,200 records are left",
        ),
        (worker(tally_ready=0, **{'tally_lag_records{partition="0"}': 17}), "17 records are not counted yet"),
        (worker(**{'tally_commit_age_seconds{partition="0"}': 20}), "has not committed for 20 s"),
        (
            worker(**{'tally_incomplete_statements{kind="hold"}': 2}),
            "hold (or its release) incomplete, it stands in some partitions and not in all (2 contests): the same order, given "
            "again with `tally-stream authority`, sends the copies that are missing",
        ),
        (
            worker(
                **{
                    'tally_incomplete_statements{kind="certify"}': 1,
                    'tally_incomplete_statement_partitions{kind="certify",contest="PRES"}': 1,
                }
            ),
            "certification incomplete, it stands in some partitions and not in all (PRES: 1 of 2)",
        ),
        (Program("one:9180", True, error="no answer within 3 s"), "one:9180: no answer within 3 s"),
        (
            Program("b:1", True, "board", read_samples("tally_board_ready 0\ntally_board_contact_age_seconds 41\n")),
            "board b:1 is not ready: it last heard of a worker 41 s ago",
        ),
        (
            Program("b:1", True, "board", read_samples("tally_board_ready 0\ntally_board_fold_failed 1\n")),
            "board b:1 shows no stations: a record stopped its fold",
        ),
        (
            Program("b:1", True, "board", read_samples("tally_board_ready 0\ntally_board_contact_age_seconds 3\n")),
            "board b:1 is not ready: it still reads what was published before it started",
        ),
        (worker(tally_ready=0), "worker one:9180 is not ready: it waits for its group, or for a partition of another worker"),
        (Program("d:1", True, "dump", read_samples("tally_dump_file_bytes 0\n")), "has no file under its name"),
        (
            Program(
                "d:1", True, "dump", read_samples('tally_dump_behind_seconds 60\ntally_dump_lag_records{partition="0"} 9\n')
            ),
            "the copy of the log (d:1) has been behind for 60 s: 9 records are not in it",
        ),
        (
            replace(
                intake(tally_intake_ready=0),
                reasons=("the file of tokens: tokens:3: no station", "receipts are not read on: x"),
            ),
            "intake i:1 is not ready: the file of tokens: tokens:3: no station; receipts are not read on: x",
        ),
        (intake(tally_intake_ready=0), "intake i:1 is not ready: /readyz says why"),
        (intake(tally_intake_under_way=2_000), "intake i:1 takes nothing more: 2,000 statements wait there for brokers"),
        (Program("i:1", True, error="nobody listens there"), "i:1: nobody listens there"),
        (
            spool(300, written=239),
            "a statement has waited in the spool of s:9100 for 5 min: its `submit` runs, and its lines say what keeps it",
        ),
        (
            spool(400, written=241),
            "a statement has waited in the spool of s:9100 for 6 min: no `submit` has tried for 4 min: run it there",
        ),
        (spool(0, ends_days=13), "the signing-key of s:9100 expires in 312 h 00 min"),
        (spool(0, ends_days=-1), "the signing-key of s:9100 has expired"),
        (
            replace(worker(), address="i:1", kind="intake", samples=intake(digest=OTHER).samples),
            f"they do not count by one definition: {DIGEST}: the election given, standings of PRES; {OTHER}: intake i:1",
        ),
    ],
)
def test_each_trouble_of_a_program_has_its_sentence(trouble: Program, sentence: str) -> None:
    (found,) = problems(seen(programs=[trouble]))
    assert sentence in found


def test_two_that_publish_are_named() -> None:
    (found,) = problems(seen(programs=[worker(), replace(worker(), address="two:9180")]))
    assert "more than one worker says that it publishes: one:9180, two:9180" in found


def test_an_address_that_only_the_settings_name_is_not_missed() -> None:
    judged = judge(seen(programs=[Program("127.0.0.1:9180", False, error="nobody listens there")]))
    assert judged.problems == []
    assert "no program's metrics were read (127.0.0.1:9180)" in judged.notices[0]


def test_without_kafka_the_programs_are_told_all_the_same() -> None:
    of = seen(kafka=None, kafka_error="no broker answers", programs=[worker(tally_ready=0)])
    assert problems(of)[0] == "no broker answers"
    assert "is not ready" in problems(of)[1]


def test_rehearsal_waives_risks_and_not_refusals() -> None:
    of = seen(kafka=kafka(topics=TopicReport(2, True, ["a: broken"], ["a: at risk"])))
    of.settings = load_settings(rehearsal=True)
    assert problems(of) == ["a: broken"]


def test_a_missing_topic_is_told_once() -> None:
    missing = TopicReport(0, False, ["tally.reports: there is no such topic"], [])
    of = kafka(topics=missing, missing=["Kafka did not tell where it ends: KafkaError: there is no topic tally.reports"])
    assert problems(seen(kafka=of)) == ["tally.reports: there is no such topic"]
    of.topics = None
    assert "there is no topic" in problems(seen(kafka=of))[0]


def test_held_disputed_and_on_hold_are_worth_knowing() -> None:
    judged = judge(seen(kafka=kafka(standings=[root(on_hold=True, flags={"held": 1, "disputed": 2})])))
    assert judged.problems == []
    assert [line.split(":")[0] for line in judged.notices] == [
        "PRES on hold", "1 station is held in PRES", "2 stations are disputed in PRES",
    ]  # fmt: skip


def test_what_is_no_standings_message_is_passed_over() -> None:
    roots = seen(kafka=kafka(standings=[replace(root("B"), value=b"{}"), root(version=3)])).roots
    assert [(contest, one.version) for contest, one in roots.items()] == [("PRES", 3)]


@pytest.mark.parametrize(("days", "said"), [(15, ""), (13, "expires in"), (-1, "has expired")])
def test_certificates_are_told_before_they_expire(days: int, said: str) -> None:
    found = problems(seen(certificates=[Certificate("our own, a.pem", NOW + days * 86_400)]))
    assert [said in line and "our own, a.pem" in line for line in found] == ([True] if said else [])


@asynccontextmanager
async def tls_brokers(folder: Path, *ends: str) -> AsyncIterator[list[str]]:
    """Addresses that show a certificate and say nothing more: one that is good, one that has expired, one signed by another."""
    authorities = {name: Authority(folder / f"{name}-ca.pem", name) for name in ("ours", "foreign")}

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with AsyncExitStack() as stack:
        found = []
        for number, end in enumerate(ends):
            file = folder / f"{number}.pem"
            authority = authorities["foreign" if end == "foreign" else "ours"]
            key = authority.issue(file, "broker", hosts=["127.0.0.1"], is_expired=end == "expired")
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(file, key)
            server = await stack.enter_async_context(await asyncio.start_server(silent, "127.0.0.1", 0, ssl=context))
            found.append(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
        yield found


def over_tls(folder: Path, bootstrap: str, brokers: dict[int, str] | None) -> Situation:
    settings = load_settings(bootstrap=bootstrap, security_protocol="SSL", security_cafile=str(folder / "ours-ca.pem"))
    return Situation(NOW, settings, kafka=None if brokers is None else Observed(brokers=brokers))


def closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as there:
        return f"127.0.0.1:{there.getsockname()[1]}"


async def test_the_certificate_of_each_broker_that_the_cluster_names_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TALLY_BOOTSTRAP is often one name, behind which any of them answers: the one that expires is then another."""
    async with tls_brokers(tmp_path, "good", "good", "expired", "good") as (first, one, two, three):
        told = over_tls(tmp_path, f"{first},{three}", {1: one, 2: two, 3: three})
        monkeypatch.setattr("tally_stream.kafka.client.wait_for_broker", AsyncMock())
        monkeypatch.setattr("tally_stream.kafka.observing.observe", AsyncMock(return_value=told.kafka))
        of = await look(told.settings, [closed_port()], None)
    named = [f"broker 1's, at {one}", f"broker 2's, at {two}", f"broker 3's, at {three}"]
    assert [found.what for found in of.certificates] == [*named, f"the broker's at {first}"], "each address once"
    ends = of.certificates[0].ends_at
    assert ends == end_of_certificate(str(tmp_path / "1.pem"))
    assert (of.unread, of.unused) == ([], [])
    of.at = ends - 15 * 86_400
    assert problems(of)[-1] == f"the certificate has expired: broker 2's, at {two}"
    of.at = ends - 13 * 86_400
    assert [line for line in problems(of) if "the certificate" in line] == [
        f"the certificate {'has expired' if what == named[1] else 'expires in 312 h 00 min'}: {what}"
        for what in [*named, f"the broker's at {first}"]
    ]


async def test_a_certificate_that_cannot_be_looked_at_is_said_once(tmp_path: Path) -> None:
    gone, nobody = closed_port(), closed_port()
    async with tls_brokers(tmp_path, "good", "foreign") as (good, foreign):
        of = over_tls(tmp_path, f"{good},{nobody}", {1: good, 2: foreign, 3: gone})
        await look_at_certificates(of)
        down = over_tls(tmp_path, f"{foreign},{nobody}", None)
        await look_at_certificates(down)
    by = f"the broker at {good},{nobody}"
    assert [found.what for found in of.certificates] == [f"broker 1's, at {good}"]
    assert of.unread == [
        f"the certificate of the broker at {foreign}, as {by} names it (advertised.listeners) is signed by nobody that "
        f"TALLY_SECURITY_CAFILE ({tmp_path / 'ours-ca.pem'}) knows; when its certificate ends is not known",
        f"{by} answered and names {gone} as the address of broker 3, where nobody answers (Connection refused): "
        "advertised.listeners of that broker, or the way to it; when its certificate ends is not known",
    ]
    unused = f"no Kafka broker answers at {nobody} (Connection refused): not up yet, or TALLY_BOOTSTRAP is wrong; when its certificate ends is not known"
    assert of.unused == [unused]
    judged = judge(of)
    assert [judged.problems.count(line) for line in of.unread] == [1, 1]
    assert unused in judged.notices, "the cluster names no broker there, and let us in by another address"
    assert (down.certificates, down.unread, down.unused) == ([], [], []), "why nobody lets us in is Kafka's line"


async def test_a_broker_that_never_ends_its_handshake_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tally_stream.cli.status_seen.CONNECT_SECONDS", 0.2)
    Authority(tmp_path / "ours-ca.pem", "ours")
    with socket.create_server(("127.0.0.1", 0)) as silent:  # the system takes the connection, and nobody reads
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        of = over_tls(tmp_path, address, {1: address})
        await look_at_certificates(of)
    (line,) = of.unread
    assert line.endswith("takes connections but does not answer; when its certificate ends is not known")


async def test_the_certificates_of_so_many_brokers_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tally_stream.kafka.probe.ADVERTISED_MAX", 2)
    async with tls_brokers(tmp_path, "good", "good", "good") as (one, two, three):
        at_the_limit = over_tls(tmp_path, one, {1: one, 2: two})
        above = over_tls(tmp_path, three, {1: one, 2: two, 3: three})
        for of in (at_the_limit, above):
            await look_at_certificates(of)
    assert [len(of.certificates) for of in (at_the_limit, above)] == [2, 2]
    assert at_the_limit.unread == []
    assert above.unread == ["of 3 brokers the certificates of 2 were looked at, and of no more"]


async def test_without_tls_no_certificate_is_looked_at() -> None:
    of = seen()
    await look_at_certificates(of)
    assert (of.certificates, of.unread, of.unused) == ([], [], [])


def test_a_certificate_that_can_no_longer_be_read_is_told() -> None:
    assert problems(seen(unread=["a certificate or key can no longer be read: gone"])) == [
        "a certificate or key can no longer be read: gone"
    ]


def test_messages_that_nobody_can_have_published_are_worth_knowing_until_the_board_starts_again() -> None:
    board = Program("b:1", True, "board", read_samples("tally_board_ready 1\ntally_board_refused_messages_total 3\n"))
    judged = judge(seen(programs=[board]))
    assert judged.problems == []
    assert "board b:1 met 3 messages since its start" in judged.notices[0]


def test_worst_comes_first() -> None:
    of = kafka(partitions=[*LEADERLESS, *GONE], group=Group("g", "Empty", ()), standings=[root(seconds_ago=99)])
    words = ["no broker leads", "nobody counts", "no standings", "broker 4 is down"]
    assert [word in line for word, line in zip(words, problems(seen(kafka=of)), strict=True)] == [True] * 4


def test_the_screen_and_the_object_say_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    of = seen(
        kafka=kafka(group=Group("g", "Empty", ())),
        programs=[worker(), intake(tally_intake_under_way=9), spool(7)],
        certificates=[Certificate("our own, a.pem", NOW + 1e8)],
    )
    text, told = shown(of, capsys), as_json(of, judge(of))
    assert told["ok"] is False
    assert "1 thing is wrong" in text
    assert all(problem in text for problem in told["problems"])
    for word in (
        "7 of 9",
        "12",
        "one:9180",
        "a.pem",
        "10.0.0.2:9092",
        "workers  none",
        "9 statements wait",
        "1 statement waits",
    ):
        assert word in text, text
    assert told["contests"][0]["behind_records"] == 0
    json.dumps(told)


@pytest.mark.parametrize(
    ("program", "is_ready", "records", "seconds", "on_screen"),
    [
        (worker(**{'tally_lag_records{partition="1"}': 1_700}), True, 1_700, None, ["yes", "1,700", "records"]),
        (worker(tally_ready=0), False, 0, None, ["no", "0", "records"]),
        (replace(worker(), samples=read_samples("tally_ready 1\n")), True, None, None, ["yes", "–"]),
        (board(41.25), True, None, 41.2, ["yes", "heard", "41", "s", "ago"]),
        (dump(8, 61), True, 9, 61, ["yes", "9", "records"]),
        (dump(0, 0.5, ready=0), False, 1, 0.5, ["no", "1", "records"]),
        (intake(tally_intake_under_way=2), True, 2, None, ["yes", "2", "statements", "wait"]),
        (spool(299), False, 1, 299, ["no", "1", "statement", "waits"]),
        (spool(0), True, 0, 0, ["yes", "0", "statements", "wait"]),
    ],
)
def test_of_each_program_is_told_whether_it_is_ready_and_how_far_behind(
    program: Program,
    is_ready: bool,
    records: int | None,
    seconds: float | None,
    on_screen: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    of = seen(programs=[program])
    (told,) = as_json(of, judge(of))["programs"]
    assert (told["ready"], told["behind_records"], told["behind_seconds"]) == (is_ready, records, seconds)
    (row,) = [
        line for line in shown(of, capsys).splitlines() if line.startswith(f"{program.kind} ") and program.address in line
    ]
    assert row.split()[3:] == on_screen


def test_of_a_program_that_does_not_answer_nothing_is_told() -> None:
    of = seen(programs=[Program("one:9180", True, error="no answer within 3 s")])
    (told,) = as_json(of, judge(of))["programs"]
    assert (told["ready"], told["behind_records"], told["behind_seconds"]) == (None, None, None)


def test_the_definition_that_all_count_by_is_told_with_how_many_do(capsys: pytest.CaptureFixture[str]) -> None:
    of = seen(
        kafka=kafka(standings=[root("A"), root("B"), root("C")]),
        contests=("A", "B", "C"),
        programs=[worker(), replace(worker(tally_publishes_standings=0), address="two:9180"), board(3), intake(), dump(0, 1)],
    )
    assert f"\ndefinition  {DIGEST}, of 2 workers, 1 board, 1 intake, 3 contests, the election given\n" in shown(of, capsys)
    counts = {"worker": 2, "board": 1, "intake": 1}
    assert as_json(of, judge(of))["definitions"] == {DIGEST: {"given": True, "programs": counts, "contests": 3}}
    of.definition, of.programs = None, [worker()]
    assert f"\ndefinition  {DIGEST}, of 1 worker, 3 contests\n" in shown(of, capsys)


def test_a_digest_that_nobody_counts_by_or_one_of_two_has_no_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    """The operator's own folder says nothing of the count; and of two there is a problem, which has both."""
    alone = seen(kafka=None, kafka_error="no broker answers", programs=[dump(0, 1)])
    assert "definition" not in shown(alone, capsys)
    assert as_json(alone, judge(alone))["definitions"] == {DIGEST: {"given": True, "programs": {}, "contests": 0}}
    two = seen(programs=[worker(), board(3, OTHER)])
    text = shown(two, capsys)
    assert "\ndefinition " not in text
    said = f"by one definition: {DIGEST}: the election given, standings of PRES, worker one:9180; {OTHER}: board b:1"
    assert said in " ".join(text.split())
    assert as_json(two, judge(two))["definitions"] == {
        DIGEST: {"given": True, "programs": {"worker": 1}, "contests": 1},
        OTHER: {"given": False, "programs": {"board": 1}, "contests": 0},
    }


def test_settings_of_topics_that_differ_are_told_as_objects_in_a_rehearsal_too() -> None:
    lost = SettingDifference("t.changes", None, None, None, True, "t.changes: there is no such topic")
    risk = SettingDifference("t.reports", "flush.messages", "9", "1", False, "t.reports: flush.messages is 9, it should be 1")
    of = seen(kafka=kafka(topics=TopicReport(2, False, [lost.sentence], [risk.sentence], [lost, risk])))
    of.settings = load_settings(rehearsal=True)
    judged = judge(of)
    assert judged.problems == [lost.sentence]
    assert as_json(of, judged)["topics"] == [
        {"of": "t.changes", "setting": None, "value": None, "wanted": None, "refuses": True, "sentence": lost.sentence},
        {
            "of": "t.reports",
            "setting": "flush.messages",
            "value": "9",
            "wanted": "1",
            "refuses": False,
            "sentence": risk.sentence,
        },
    ]
    assert as_json(seen(), judge(seen()))["topics"] == []
    silent = seen(kafka=kafka(topics=None))
    assert as_json(silent, judge(silent))["topics"] is None, "nobody told how they are set"


def test_what_is_incomplete_is_told_as_objects() -> None:
    figures = {
        'tally_incomplete_statements{kind="hold"}': 2,
        'tally_incomplete_statement_partitions{kind="hold",contest="B"}': 1,
        'tally_incomplete_statement_partitions{kind="hold",contest="A"}': 1,
        'tally_incomplete_statements{kind="certify"}': 0,
    }
    of = seen(programs=[worker(**figures)])
    judged = judge(of)
    assert "(A: 1 of 2, B: 1 of 2)" in judged.problems[0]
    hold = {"kind": "hold", "contest_count": 2, "partitions": {"A": 1, "B": 1}, "partition_count": 2}
    assert as_json(of, judged)["incomplete"] == [hold]
    of.kafka = None
    assert as_json(of, judged)["incomplete"] == [{**hold, "partition_count": None}]
    assert as_json(seen(), judge(seen()))["incomplete"] == []


def test_of_thousands_of_contests_a_screenful_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(seen(kafka=kafka(standings=[root(f"C-{n}", flags={"held": 1, "disputed": 0}) for n in range(1_000)])), capsys)
    assert "and 992 more contests" in text
    assert "C-0, C-1, C-10 and 997 more" in text
    assert len(text.splitlines()) < 40


def test_addresses_come_from_the_settings() -> None:
    ports = {"metrics_port": 0, "board_port": 8081, "dump_metrics_port": 9190, "intake_metrics_port": 9191}
    assert usual_addresses(load_settings(**ports)) == [
        "127.0.0.1:8081", "127.0.0.1:9190", "127.0.0.1:9191",
    ]  # fmt: skip


def test_a_wrong_address_is_wrong_usage_with_the_code_that_the_help_names() -> None:
    assert "'nowhere' is not host:port" in call("status", "--at", "nowhere", expect=2).stderr
    said = " ".join(call("status", "--help", expect=0).stdout.split())
    assert "Exit code 0: nothing is wrong, 1: something is" in said
    assert "2: wrong usage, a wrong setting" in said


def test_without_a_broker_it_says_so_at_once_and_exits_1() -> None:
    done = call("status", "--bootstrap", "127.0.0.1:1", "--json", expect=1)
    told = json.loads(done.stdout)
    assert "127.0.0.1:1" in told["problems"][0]
    assert told["brokers"] is None
