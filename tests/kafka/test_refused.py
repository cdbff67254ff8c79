"""What is said of a broker that does not let us in: on what a try saw, and against small servers on loopback.

The same on a real Kafka that refuses: `tests/broker/test_refused_on_kafka.py`.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from aiokafka.errors import IllegalSaslStateError, SaslAuthenticationFailed, UnsupportedSaslMechanismError

from deploy.kafka.local.certificates import Authority
from tally_stream.kafka import client
from tally_stream.kafka.client import BrokerRefused, BrokerUnavailable, connection, wait_for_broker
from tally_stream.kafka.probe import probe, unreachable
from tally_stream.kafka.refused import Refusal, Seen, judge, judge_all
from tally_stream.settings import Settings, load_settings
from tests.support.brokers import Embedded
from tests.support.paths import DOCS

AT = "10.0.0.1:9093"


def settings(protocol: str = "SASL_SSL", **more: str) -> Settings:
    given = {"security_username": "worker", "security_password": "x"} if protocol.startswith("SASL") else {}
    return load_settings(bootstrap=AT, security_protocol=protocol, **given, **more)


def certificate(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = code, "as OpenSSL says it"
    return error


def alert(name: str) -> ssl.SSLError:
    error = ssl.SSLError(1, name)
    error.reason = name
    return error


OUR_CERTIFICATE = Settings.model_construct(security_protocol="SSL", security_certfile="/etc/worker.pem", security_cafile=None)
CASES: list[tuple[Seen, Settings, str, bool]] = [
    (Seen(AT, "login", SaslAuthenticationFailed("no")), settings(),
     "the broker at 10.0.0.1:9093 answered and refused the login of 'worker': TALLY_SECURITY_USERNAME, TALLY_SECURITY_PASSWORD", True),
    (Seen(AT, "login", UnsupportedSaslMechanismError(), mechanisms=("PLAIN", "GSSAPI")), settings(),
     "the broker at 10.0.0.1:9093 does not offer SCRAM-SHA-512, but PLAIN, GSSAPI: TALLY_SECURITY_SASL_MECHANISM", True),
    (Seen(AT, "login", IllegalSaslStateError()), settings(),
     "the broker at 10.0.0.1:9093 takes no login there: TALLY_SECURITY_PROTOCOL is SASL_SSL, it should be SSL", True),
    (Seen(AT, "login", IllegalSaslStateError()), settings("SASL_PLAINTEXT"),
     "the broker at 10.0.0.1:9093 takes no login there: TALLY_SECURITY_PROTOCOL is SASL_PLAINTEXT, it should be PLAINTEXT", True),
    (Seen(AT, "metadata", ConnectionResetError(), "a login"), settings("PLAINTEXT"),
     "the broker at 10.0.0.1:9093 wants a login there: TALLY_SECURITY_PROTOCOL is PLAINTEXT, it should be SASL_PLAINTEXT", True),
    (Seen(AT, "hello", EOFError(), "plain text"), settings("SSL"),
     "the broker at 10.0.0.1:9093 speaks plain text there, not TLS: TALLY_SECURITY_PROTOCOL is SSL, or the port is another one's", True),
    (Seen(AT, "hello", EOFError(), "TLS"), settings("PLAINTEXT"),
     "the broker at 10.0.0.1:9093 speaks TLS there: TALLY_SECURITY_PROTOCOL is PLAINTEXT, it should be SSL or SASL_SSL", True),
    (Seen(AT, "hello", EOFError(), "TLS"), settings("SASL_PLAINTEXT"),
     "the broker at 10.0.0.1:9093 speaks TLS there: TALLY_SECURITY_PROTOCOL is SASL_PLAINTEXT, it should be SASL_SSL", True),
    (Seen(AT, "hello", certificate(19)), settings(),
     "the certificate of the broker at 10.0.0.1:9093 is signed by nobody that this system knows: TALLY_SECURITY_CAFILE names a file", True),
    (Seen(AT, "hello", certificate(64)), settings(),
     "the certificate of the broker at 10.0.0.1:9093 is not for '10.0.0.1': TALLY_BOOTSTRAP has to name a host that stands in the "
     "certificate", True),
    (Seen(AT, "hello", certificate(62), named_by="b:1", broker_id=2), settings(),
     "the certificate of the broker at 10.0.0.1:9093, as the broker at b:1 names it (advertised.listeners) is not for '10.0.0.1': "
     "advertised.listeners has to name a host that stands in the certificate", True),
    (Seen(AT, "hello", certificate(10)), settings(),
     "the certificate of the broker at 10.0.0.1:9093 has expired: that broker needs a new one (or this machine's clock is wrong)", True),
    (Seen(AT, "hello", certificate(9)), settings(),
     "the certificate of the broker at 10.0.0.1:9093 is not valid yet: this machine's clock, or the certificate", False),
    (Seen(AT, "hello", certificate(23)), settings(),
     "the certificate of the broker at 10.0.0.1:9093 was not accepted (as OpenSSL says it): TALLY_SECURITY_CAFILE", True),
    (Seen(AT, "hello", alert("TLSV13_ALERT_CERTIFICATE_REQUIRED")), settings("SSL"),
     "the broker at 10.0.0.1:9093 asks for a certificate of ours (certificate required): TALLY_SECURITY_CERTFILE, "
     "TALLY_SECURITY_KEYFILE", True),
    (Seen(AT, "hello", alert("SSLV3_ALERT_CERTIFICATE_UNKNOWN")), OUR_CERTIFICATE,
     "the broker at 10.0.0.1:9093 did not accept our certificate (certificate unknown): TALLY_SECURITY_CERTFILE (/etc/worker.pem) "
     "has expired, or is signed by nobody it knows", True),
    (Seen(AT, "hello", alert("TLSV1_ALERT_PROTOCOL_VERSION")), settings("SSL"),
     "the broker at 10.0.0.1:9093 ended the TLS handshake (protocol version): TALLY_SECURITY_PROTOCOL is SSL", True),
    (Seen(AT, "connect", ConnectionRefusedError(111, "Connection refused")), settings(),
     "no Kafka broker answers at 10.0.0.1:9093 (Connection refused): not up yet, or TALLY_BOOTSTRAP is wrong", False),
    (Seen(AT, "connect", ConnectionRefusedError(111, "Connect call failed ('10.0.0.1', 9093)")), settings(),  # asyncio's words
     "no Kafka broker answers at 10.0.0.1:9093 (Connection refused): not up yet, or TALLY_BOOTSTRAP is wrong", False),
    (Seen(AT, "connect", TimeoutError()), settings(), "no Kafka broker answers at 10.0.0.1:9093 (no answer): not up yet, or TALLY_BOOTSTRAP is wrong", False),
    (Seen("kafka:9093", "connect", socket.gaierror(-2, "Name or service not known")), settings(),
     "there is no host 'kafka' (Name or service not known): TALLY_BOOTSTRAP", False),
    (Seen("kafka:9093", "connect", socket.gaierror(-2, "Name or service not known"), named_by=AT, broker_id=3), settings(),
     "the broker at 10.0.0.1:9093 answered and names kafka:9093 as the address of broker 3, where nobody answers (Name or service "
     "not known): advertised.listeners of that broker, or the way to it", False),
    (Seen(AT, "hello", EOFError("0 bytes")), settings("PLAINTEXT"),
     "something answers at 10.0.0.1:9093, but not as a Kafka broker (it closed the connection): TALLY_BOOTSTRAP", False),
    (Seen(AT, "hello", TimeoutError()), settings(), "10.0.0.1:9093 takes connections but does not answer: frozen, overloaded, or TALLY_BOOTSTRAP names no broker", False),
    (Seen(AT, "metadata", TimeoutError(), named_by="b:1"), settings(),
     "10.0.0.1:9093, as the broker at b:1 names it (advertised.listeners), takes connections but does not answer", False),
]  # fmt: skip


@pytest.mark.parametrize(("seen", "told", "sentence", "is_final"), CASES, ids=[case[2][:60] for case in CASES])
def test_each_way_to_be_refused_has_its_sentence(seen: Seen, told: Settings, sentence: str, is_final: bool) -> None:
    refusal = judge(seen, told)
    assert refusal is not None
    assert (refusal.sentence, refusal.is_final) == (sentence, is_final)


RUNBOOK = [line for line in (DOCS / "runbook.md").read_text(encoding="utf-8").splitlines() if line.startswith("tally-stream: ")]


@pytest.mark.parametrize("sentence", sorted({case[2] for case in CASES}))
def test_each_sentence_stands_in_the_runbook(sentence: str) -> None:
    """As the beginning of a line: of those that are waited for, it goes on."""
    lines = [re.escape(line.removeprefix("tally-stream: ")).replace("…", ".+") for line in RUNBOOK]
    ends = ("", "; next try in 0.5 s (limit 120 s)")
    assert [line for line in lines for end in ends if re.fullmatch(line, sentence + end)]


def test_a_password_from_a_file_is_named_so(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("x")
    from_file = load_settings(
        security_protocol="SASL_SSL", security_username="w", security_password_file=str(tmp_path / "password")
    )
    refusal = judge(Seen(AT, "login", SaslAuthenticationFailed("no")), from_file)
    assert refusal is not None
    assert refusal.sentence.endswith("TALLY_SECURITY_USERNAME, TALLY_SECURITY_PASSWORD_FILE")


SAME_EVERYWHERE = {
    "a login": (Seen(AT, "login", SaslAuthenticationFailed("no")), settings()),
    "a mechanism": (Seen(AT, "login", UnsupportedSaslMechanismError(), mechanisms=("PLAIN",)), settings()),
    "no login taken": (Seen(AT, "login", IllegalSaslStateError()), settings()),
    "a protocol": (Seen(AT, "hello", EOFError(), "TLS"), settings("PLAINTEXT")),
    "no handshake": (Seen(AT, "hello", alert("TLSV1_ALERT_PROTOCOL_VERSION")), settings("SSL")),
    "no certificate of ours": (Seen(AT, "hello", alert("TLSV13_ALERT_CERTIFICATE_REQUIRED")), settings("SSL")),
    "our certificate": (Seen(AT, "hello", alert("SSLV3_ALERT_CERTIFICATE_EXPIRED")), OUR_CERTIFICATE),
}


@pytest.mark.parametrize("what", SAME_EVERYWHERE)
def test_what_is_wrong_with_us_is_final_where_another_broker_is_down(what: str) -> None:
    """No broker that comes up later would let us in: a supervisor has nothing to wait for."""
    seen, told = SAME_EVERYWHERE[what]
    absent = Seen("b:1", "connect", ConnectionRefusedError(111, "Connection refused"))
    for tries in ([absent, seen], [seen, absent], [Seen("b:2", "hello", certificate(10)), absent, seen]):
        refusal = judge_all(tries, told)
        assert refusal is not None
        assert (refusal, refusal.is_final) == (judge(seen, told), True)


@pytest.mark.parametrize("code", [10, 19, 23, 62])
def test_a_broker_s_own_certificate_is_waited_for_where_another_broker_is_down(code: int) -> None:
    refusal = judge_all(
        [Seen("b:1", "connect", ConnectionRefusedError(111, "no")), Seen(AT, "hello", certificate(code))], settings()
    )
    assert refusal is not None
    assert not refusal.is_final
    assert "the certificate of the broker at" in refusal.sentence


def test_of_several_brokers_what_says_most_is_said() -> None:
    """A login is the same at all brokers; a certificate may be wrong at one, and another still come up."""
    absent = Seen("b:1", "connect", ConnectionRefusedError(111, "Connection refused"))
    expired = Seen("b:2", "hello", certificate(10))
    login = Seen("b:3", "login", SaslAuthenticationFailed("no"))

    def found(*tries: Seen) -> Refusal:
        refusal = judge_all(tries, settings())
        assert refusal is not None
        return refusal

    assert "refused the login" in found(absent, expired, login).sentence
    assert found(absent, login).is_final
    assert "has expired" in found(absent, expired).sentence
    assert not found(absent, expired).is_final
    assert found(expired, expired).is_final
    assert found(absent, absent).is_absent
    assert judge_all([absent, Seen("b:4", "done")], settings()) is None


@asynccontextmanager
async def server(answer: bytes | None, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Answers whatever is said with `answer`, None: never, and closes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        if answer is not None:
            writer.write(answer)
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield f"127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    finally:
        listening.close()


@pytest.fixture(scope="module")
def tls_server(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    folder = tmp_path_factory.mktemp("server")
    key = Authority(folder / "ca.pem", "an authority").issue(folder / "server.pem", "server", hosts=["127.0.0.1"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", key)
    return context


async def refusal_at(address: str, protocol: str = "PLAINTEXT") -> str:
    told = settings(protocol).model_copy(update={"bootstrap": address})
    refusal = judge_all(await probe(told, connection(told)), told)
    assert refusal is not None
    return refusal.sentence.replace(address, "HERE")


async def test_a_port_that_is_no_kafka(monkeypatch: pytest.MonkeyPatch, tls_server: ssl.SSLContext) -> None:
    async with server(b"HTTP/1.1 400 Bad Request\r\n\r\n") as web:
        assert (
            await refusal_at(web)
            == "something answers at HERE, but not as a Kafka broker (it closed the connection): TALLY_BOOTSTRAP"
        )
        assert (await refusal_at(web, "SSL")).startswith("something answers at HERE, but not as a Kafka broker (")
    async with server(b"", tls_server) as secure:
        assert await refusal_at(secure) == (
            "the broker at HERE speaks TLS there: TALLY_SECURITY_PROTOCOL is PLAINTEXT, it should be SSL or SASL_SSL"
        )
        assert "is signed by nobody that this system knows" in await refusal_at(secure, "SSL")
    monkeypatch.setattr("tally_stream.kafka.probe.ANSWER_SECONDS", 0.2)
    async with server(None) as silent:
        assert (
            await refusal_at(silent)
            == "HERE takes connections but does not answer: frozen, overloaded, or TALLY_BOOTSTRAP names no broker"
        )


class Named:
    """In place of an admin client that is let in, by a cluster whose brokers are at these addresses: the first is ready."""

    def __init__(self, addresses: list[str]) -> None:
        self.cluster = self._client = self
        self._brokers = [SimpleNamespace(nodeId=n, host="127.0.0.1", port=int(address.rpartition(":")[2]))
                         for n, address in enumerate(addresses, 1)]  # fmt: skip

    def brokers(self) -> list[SimpleNamespace]:
        return self._brokers

    async def ready(self, number: int) -> bool:
        return number == 1

    @asynccontextmanager
    async def as_admin(self, _: Settings) -> AsyncIterator[Named]:
        yield self


async def test_a_broker_whose_certificate_is_wrong_is_named_where_the_others_let_us_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ours, other = Authority(tmp_path / "ca.pem", "ours"), Authority(tmp_path / "other.pem", "another")

    def context(name: str, authority: Authority, *, is_expired: bool = False) -> ssl.SSLContext:
        key = authority.issue(tmp_path / name, "server", hosts=["127.0.0.1"], is_expired=is_expired)
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(tmp_path / name, key)
        return made

    async with (
        server(None, context("good.pem", ours)) as good,
        server(None, context("old.pem", ours, is_expired=True)) as expired,
        server(None, context("foreign.pem", other)) as foreign,
    ):
        told = settings("SSL", security_cafile=str(tmp_path / "ca.pem")).model_copy(update={"bootstrap": good})
        monkeypatch.setattr(client, "admin_client", Named([good, expired, foreign]).as_admin)
        said = list[str]()
        await wait_for_broker(told, said.append)
    assert said == [
        f"the certificate of the broker at {expired}, as the broker at {good} names it (advertised.listeners) has expired: that "
        "broker needs a new one (or this machine's clock is wrong)",
        f"the certificate of the broker at {foreign}, as the broker at {good} names it (advertised.listeners) is signed by nobody "
        f"that TALLY_SECURITY_CAFILE ({tmp_path / 'ca.pem'}) knows",
    ]


async def test_an_address_that_is_named_and_leads_nowhere() -> None:
    with socket.create_server(("127.0.0.1", 0)) as there, socket.create_server(("127.0.0.1", 0)) as gone:
        open_port, closed_port = there.getsockname()[1], gone.getsockname()[1]
        gone.close()
        (lost,) = await unreachable([(1, "127.0.0.1", open_port), (2, "127.0.0.1", closed_port)], "boot:9092")
    assert (lost.broker_id, lost.address, lost.named_by) == (2, f"127.0.0.1:{closed_port}", "boot:9092")


class Tries:
    """In place of tries at brokers: what each comes to, the last one again and again."""

    def __init__(self, *came_to: Refusal | None) -> None:
        self.came_to, self.count = list(came_to), 0

    async def __call__(self, *_: object) -> Refusal | None:
        self.count += 1
        return self.came_to.pop(0) if len(self.came_to) > 1 else self.came_to[0]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SECOND_TRY_SECONDS", "BACK_OFF_FIRST_SECONDS"):
        monkeypatch.setattr(client, name, 0.001)


LOGIN = Refusal("the login is refused", True, is_everywhere=True)
ABSENT = Refusal("nobody is there", False, is_absent=True)


@pytest.mark.usefixtures("quick")
async def test_what_no_waiting_cures_ends_after_a_second_try(monkeypatch: pytest.MonkeyPatch) -> None:
    tries, said = Tries(LOGIN), list[str]()
    monkeypatch.setattr(client, "_refusal", tries)
    with pytest.raises(BrokerRefused, match=r"^the login is refused$"):
        await wait_for_broker(settings(), said.append)
    assert (tries.count, said) == (2, [])


@pytest.mark.usefixtures("quick")
async def test_a_broker_that_has_not_read_its_users_yet_refuses_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = Tries(ABSENT, LOGIN, ABSENT, LOGIN, None)
    monkeypatch.setattr(client, "_refusal", tries)
    await wait_for_broker(settings(), lambda _: None)
    assert tries.count == 5


@pytest.mark.usefixtures("quick")
async def test_absence_is_waited_for_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    said = list[str]()
    monkeypatch.setattr(client, "_refusal", Tries(ABSENT, ABSENT, None))
    await wait_for_broker(settings(), said.append)
    assert said == ["nobody is there; next try in 0.0 s (limit 120 s)"] * 2
    monkeypatch.setattr(client, "_refusal", Tries(ABSENT))
    hasty = settings().model_copy(update={"broker_wait_seconds": 0})
    with pytest.raises(BrokerUnavailable, match=r"^nobody is there; waited \d s$") as caught:
        await wait_for_broker(hasty, lambda _: None)
    assert not isinstance(caught.value, BrokerRefused)


@pytest.mark.parametrize(("protocol", "sentence"), [
    ("SSL", "the broker at HERE speaks plain text there, not TLS: TALLY_SECURITY_PROTOCOL is SSL, or the port is another one's"),
    ("SASL_PLAINTEXT",
     "the broker at HERE takes no login there: TALLY_SECURITY_PROTOCOL is SASL_PLAINTEXT, it should be PLAINTEXT"),
])  # fmt: skip
async def test_a_plain_broker_is_told_from_none(embedded_broker: Embedded, protocol: str, sentence: str) -> None:
    assert await refusal_at(embedded_broker.bootstrap, protocol) == sentence
