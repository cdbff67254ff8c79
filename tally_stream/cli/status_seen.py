"""What `status` looks at: Kafka, the programs' own metrics, certificates. Everything that gives no answer is told as such.

Decides where a program's figures come from and how long it may take to answer. Refuses to judge: `status_judged.py` does, on
a `Situation` alone, and nothing else knows how it came about.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from time import time
from typing import TYPE_CHECKING, Any, Literal

from tally_stream.domain.election import Election
from tally_stream.metrics import read_samples
from tally_stream.settings import Settings
from tally_stream.wire.newest import is_root

if TYPE_CHECKING:  # the client is loaded late, so that --help is quick
    from tally_stream.kafka.client import StoredRecord
    from tally_stream.kafka.observing import Observed
    from tally_stream.kafka.refused import Seen as Try
    from tally_stream.kafka.refused import Step

ANSWER_SECONDS = 3.0
"""For one program's metrics."""

CONNECT_SECONDS = 3.0
"""For a broker's certificate."""

Kind = Literal["worker", "board", "dump", "intake", "submit"]
_READY: dict[Kind, str] = {
    "worker": "tally_ready", "board": "tally_board_ready", "dump": "tally_dump_ready", "intake": "tally_intake_ready",
}  # fmt: skip
"""The metric that each program alone serves."""
_SPOOL = "tally_spool_unsent_statements"
"""Of `submit`, in a file that node_exporter serves."""
_OLDEST = "tally_spool_oldest_unsent_timestamp_seconds"
_WAITING: dict[Kind | None, str] = {
    "worker": "tally_lag_records", "dump": "tally_dump_lag_records", "intake": "tally_intake_under_way", "submit": _SPOOL,
}  # fmt: skip
_LATE: dict[Kind | None, str] = {"dump": "tally_dump_behind_seconds", "board": "tally_board_contact_age_seconds"}
NO_PROGRAM = "these are no metrics of a worker, board, dump or intake, and none of a spool"


@dataclass(frozen=True, slots=True)
class Program:
    """A program that serves metrics. `error`: why it told nothing; then `samples` is empty. `is_asked_for`: the operator named
    it; the addresses that settings make are looked at without being missed."""

    address: str
    is_asked_for: bool
    kind: Kind | None = None
    samples: dict[str, list[tuple[dict[str, str], float]]] = field(default_factory=dict)
    error: str = ""
    reasons: tuple[str, ...] = ()
    """Of an intake that is not ready: why, in its own words."""

    def values(self, name: str) -> list[float]:
        return [value for _, value in self.samples.get(name, [])]

    def value(self, name: str) -> float | None:
        """Of a metric without labels; None where it is not served."""
        return next(iter(self.values(name)), None)

    @property
    def is_ready(self) -> bool:
        if self.kind == "submit":
            return not any(self.values(_SPOOL))
        return self.kind is not None and self.value(_READY[self.kind]) == 1

    @property
    def behind_records(self) -> int | None:
        """Records that it has to count or to copy, statements that it has to send; None where it tells none: a board, a worker
        without a partition."""
        waiting = self.values(_WAITING[self.kind]) if self.kind in _WAITING else []
        return int(sum(waiting)) if waiting else None

    def behind_seconds(self, at: float) -> float | None:
        """For how long a copy has not been whole, the oldest statement of a spool has waited (0: none does), and since when a
        board has heard of no worker. None of others: they tell records alone. `at`: now, in seconds since 1970."""
        if self.kind == "submit":
            return round(max((at - oldest for oldest in self.values(_OLDEST) if oldest), default=0.0), 1)
        late = self.values(_LATE[self.kind]) if self.kind in _LATE else []
        return round(max(late), 1) if late else None

    def labels(self, name: str) -> dict[str, str]:
        """Of a metric's first sample."""
        return next((labels for labels, _ in self.samples.get(name, [])), {})


@dataclass(frozen=True, slots=True)
class Certificate:
    """`what`: whose it is, for the operator; `ends_at` in seconds since 1970."""

    what: str
    ends_at: float


@dataclass(frozen=True, slots=True)
class Root:
    """The newest root of a contest among the messages that were read; `sent_at` in seconds since 1970."""

    contest: str
    version: int
    definition: str
    status: str
    is_on_hold: bool
    held: int
    disputed: int
    stations: tuple[int, int] | None
    """Done, of; None where nobody knows how many there are."""
    next_offsets: dict[int, int]
    sent_at: float


@dataclass
class Situation:
    """Everything at one moment, `at` in seconds since 1970."""

    at: float
    settings: Settings
    definition: str | None = None
    """The digest of the election that was given; None: none was."""
    contests: tuple[str, ...] = ()
    """Ids of its contests."""
    kafka: Observed | None = None
    kafka_error: str = ""
    programs: list[Program] = field(default_factory=list)
    certificates: list[Certificate] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    """Why a certificate of ours, or of a broker that the cluster names, could not be looked at."""
    unused: list[str] = field(default_factory=list)
    """What is wrong at an address of TALLY_BOOTSTRAP where the brokers let us in by another."""

    @cached_property
    def roots(self) -> dict[str, Root]:
        """Contest → its newest root; what is no standings message is passed over."""
        found = [] if self.kafka is None else [_root(record) for record in self.kafka.roots.values()]
        return {root.contest: root for root in sorted((one for one in found if one), key=lambda one: one.contest)}


def _root(record: StoredRecord) -> Root | None:
    """Read for the fields that are shown alone: a message of another version must not look like none."""
    try:
        message = json.loads(record.value or b"")
        stations = message["progress"]["stations"]
        return Root(
            message["contest"], message["version"], message["definition"], message["status"], message["on_hold"],
            message["flags"]["held"], message["flags"]["disputed"],
            None if stations is None else (stations["done"], stations["of"]),
            {int(p): offset for p, offset in message["provenance"]["next_offsets"].items()},
            record.timestamp_ms / 1000,
        )  # fmt: skip
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


async def look(settings: Settings, at: Sequence[str], election: Election | None) -> Situation:
    """Ask all at once; nothing is raised for what does not answer."""
    seen = Situation(time(), settings)
    if election is not None:
        seen.definition, seen.contests = election.digest, tuple([contest.id for contest in election.contests])
    addresses = dict.fromkeys(at, True) or dict.fromkeys(usual_addresses(settings), False)

    async def of_kafka() -> None:
        is_official = election is not None and election.phase == "official"
        seen.kafka, seen.kafka_error = await _kafka(settings, seen.contests, is_official=is_official)
        await look_at_certificates(seen)

    _, seen.programs = await asyncio.gather(
        of_kafka(), asyncio.gather(*(_program(address, is_asked) for address, is_asked in addresses.items()))
    )
    seen.at = time()
    return seen


def usual_addresses(settings: Settings) -> list[str]:
    """Where the programs of this machine serve their metrics, by the settings at hand."""
    found = [f"{settings.metrics_host}:{settings.metrics_port}", f"{settings.board_host}:{settings.board_port}"]
    if settings.dump_metrics_port:
        found.append(f"{settings.dump_metrics_host}:{settings.dump_metrics_port}")
    if settings.intake_metrics_port:
        found.append(f"{settings.intake_metrics_host}:{settings.intake_metrics_port}")
    return [address for address in found if not address.endswith(":0")]


async def _kafka(settings: Settings, contests: Sequence[str], *, is_official: bool) -> tuple[Observed | None, str]:
    from tally_stream.kafka.client import BrokerUnavailable, KafkaError, wait_for_broker
    from tally_stream.kafka.observing import observe

    said: list[str] = []
    try:
        await wait_for_broker(settings.model_copy(update={"broker_wait_seconds": 0}), said.append)
        return await observe(settings, contests, is_root, is_official=is_official), ""
    except BrokerUnavailable as error:
        return None, str(error)
    except (KafkaError, OSError, TimeoutError) as error:
        return None, f"the brokers at {settings.bootstrap} tell nothing: {' '.join(str(error).split()) or type(error).__name__}"


async def _program(address: str, is_asked_for: bool) -> Program:
    import aiohttp

    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS)) as session:
            async with session.get(f"http://{address}/metrics") as answer:
                if answer.status != 200:
                    elsewhere = (
                        ": is it the port of its metrics? An intake's is TALLY_INTAKE_METRICS_PORT"
                        if answer.status == 404
                        else ""
                    )
                    return Program(address, is_asked_for, error=f"it answered {answer.status}{elsewhere}")
                samples = read_samples(await answer.text())
            named: dict[Kind, str] = {**_READY, "submit": _SPOOL}
            kind = next((kind for kind, name in named.items() if name in samples), None)
            found = Program(address, is_asked_for, kind, samples, "" if kind else NO_PROGRAM)
            if kind == "intake" and not found.is_ready:
                async with session.get(f"http://{address}/readyz") as answer:
                    return replace(found, reasons=tuple(map(str, (await answer.json())["reasons"])))
            return found
    except TimeoutError:
        return Program(address, is_asked_for, error=f"no answer within {ANSWER_SECONDS:.0f} s")
    except aiohttp.ClientConnectorError as error:
        return Program(address, is_asked_for, error=f"nobody listens there ({error.os_error.strerror or error.os_error})")
    except (aiohttp.ClientError, OSError, ValueError, LookupError, TypeError) as error:
        return Program(address, is_asked_for, error=f"no metrics: {' '.join(str(error).split())[:200] or type(error).__name__}")


async def look_at_certificates(seen: Situation) -> None:
    """When our own and the brokers' certificates end: of each broker that the cluster names, for the addresses that a client is
    given only tell it those, and of these. Where no broker let us in, Kafka's line says why, and nothing here does."""
    context = _our_own(seen)
    if context is None:
        return
    from tally_stream.kafka.refused import judge

    for found in await asyncio.gather(*(_of_broker(one, context) for one in _broker_addresses(seen))):
        if isinstance(found, Certificate):
            seen.certificates.append(found)
        elif seen.kafka is not None and (refusal := judge(found, seen.settings)):
            (seen.unread if found.named_by else seen.unused).append(
                f"{refusal.sentence}; when its certificate ends is not known"
            )


def _our_own(seen: Situation) -> ssl.SSLContext | None:
    """Our certificate, and the context that brokers are looked at with: None without TLS, and where a file can't be read."""
    from tally_stream.kafka.client import ssl_context

    own = seen.settings.security_certfile
    try:
        if seen.settings.uses_tls and own is not None:
            seen.certificates.append(Certificate(f"our own, {own}", end_of_certificate(own)))
        return ssl_context(seen.settings)
    except (OSError, ValueError) as error:
        seen.unread.append(f"a certificate or key can no longer be read: {error}")
        return None


def _broker_addresses(seen: Situation) -> list[Try]:
    """Those that the cluster names, ADVERTISED_MAX at most, and those of TALLY_BOOTSTRAP that are none of them."""
    from tally_stream.kafka.probe import ADVERTISED_MAX
    from tally_stream.kafka.refused import Seen as Try

    brokers = sorted(seen.kafka.brokers.items()) if seen.kafka is not None else []
    first = seen.settings.bootstrap
    if len(brokers) > ADVERTISED_MAX:
        seen.unread.append(f"of {len(brokers):,} brokers the certificates of {ADVERTISED_MAX} were looked at, and of no more")
    named = [Try(address, "connect", named_by=first, broker_id=number) for number, address in brokers[:ADVERTISED_MAX]]
    others = dict.fromkeys(first.split(",")).keys() - {address for _, address in brokers}
    return named + [Try(address, "connect") for address in sorted(others)]


def end_of_certificate(file: str) -> float:
    """When the first certificate in a file ends. Raises OSError, or ValueError where this Python can't tell."""
    # The one way of the standard library to read a certificate from a file; its own tests stand on it.
    read: Any = getattr(importlib.import_module("_ssl"), "_test_decode_cert", None)
    if read is None:
        raise ValueError(f"{file}: this Python does not tell when it ends; openssl x509 -enddate -noout -in {file} does")
    return ssl.cert_time_to_seconds(read(file)["notAfter"])


async def _of_broker(one: Try, context: ssl.SSLContext) -> Certificate | Try:
    from tally_stream.kafka.probe import split
    from tally_stream.kafka.refused import EXPIRED

    host, port = split(one.address)
    what = f"broker {one.broker_id}'s, at {one.address}" if one.named_by else f"the broker's at {one.address}"
    step: Step = "connect"
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(host, port)
            step = "hello"
            await writer.start_tls(context, server_hostname=host)
        return Certificate(what, ssl.cert_time_to_seconds(writer.get_extra_info("peercert")["notAfter"]))
    except ssl.SSLCertVerificationError as error:
        return Certificate(what, 0.0) if error.verify_code == EXPIRED else replace(one, step=step, error=error)
    except (OSError, TimeoutError) as error:
        return replace(one, step=step, error=error)
    finally:
        if writer is not None:
            writer.close()
