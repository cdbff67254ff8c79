"""A secured local Kafka for tests, and every way to come to it wrongly.

    kafka.environment("worker")                                     # right, with a password
    kafka.environment("worker", MTLS)                               # right, with a certificate
    kafka.environment("worker", password="wrong")
    kafka.environment("worker", sasl_mechanism="PLAIN")             # not enabled there
    kafka.environment("worker", cafile=str(kafka.unknown_cafile))   # trusts an authority that signed nothing here
    kafka.environment("worker", OTHER_HOST)                         # the broker's certificate names another host
    kafka.environment("worker", EXPIRED)                            # the broker's certificate has expired
    kafka.environment("worker", MTLS, **kafka.expired_certificate)  # the client's has
    kafka.environment("worker", MTLS, **kafka.unknown_certificate)  # nobody there knows who signed the client's
    kafka.environment("worker", MTLS, **kafka.encrypted_key)        # right, but the key wants KEY_PASSPHRASE

Decides nothing about what a program says of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from deploy.kafka.local.certificates import Authority
from deploy.kafka.local.node import Node
from deploy.kafka.local.secured import BROKER, HOSTS, MTLS, PRINCIPALS, SCRAM, SETUP, SecuredKafka
from tally_stream.settings import Settings

__all__ = [
    "BROKER",
    "EXPIRED",
    "HOSTS",
    "KEY_PASSPHRASE",
    "MTLS",
    "OTHER_HOST",
    "PRINCIPALS",
    "SCRAM",
    "SETUP",
    "STRANGER",
    "KafkaSecured",
    "settings_of",
]

OTHER_HOST, EXPIRED = "OTHER_HOST", "EXPIRED"
"""Listeners for passwords whose certificate is for another host, or of another time."""

KEY_PASSPHRASE = "the key's own"

STRANGER = "stranger"
"""Let in by its certificate (over MTLS), and named in no table."""


class KafkaSecured(SecuredKafka):
    """A real Apache Kafka with TLS, passwords, certificates and access lists; listeners that are wrong stand beside."""

    MORE_LISTENERS: ClassVar[tuple[str, ...]] = (*SecuredKafka.MORE_LISTENERS, OTHER_HOST, EXPIRED)

    def __init__(self, directory: Path | None = None, *, brokers: int = 1) -> None:
        super().__init__(directory, brokers=brokers, more_settings={"metadata.max.idle.interval.ms": "0"})
        self.unknown_cafile = self.directory / "unknown-ca.pem"
        self.expired_certificate: dict[str, str] = {}
        self.unknown_certificate: dict[str, str] = {}
        self.encrypted_key: dict[str, str] = {}

    def run(self, java_options: list[str]) -> str:
        return super().run([*java_options, "-XX:TieredStopAtLevel=1"])

    def _certify(self, authority: Authority) -> None:
        super()._certify(authority)
        for number in range(1, self._brokers + 1):
            folder = self.directory / f"node-{number}"
            self.issue_keystore(authority, folder / "other-host.pem", ("elsewhere.example",))
            self.issue_keystore(authority, folder / "expired.pem", HOSTS, is_expired=True)
        unknown = Authority(self.unknown_cafile, "an authority that nobody here knows")
        self.expired_certificate = _issued(authority, self.clients / "expired.pem", is_expired=True)
        self.unknown_certificate = _issued(unknown, self.clients / "unknown.pem")
        self.encrypted_key = _issued(authority, self.clients / "encrypted.pem", passphrase=KEY_PASSPHRASE)
        authority.issue(self.clients / f"{STRANGER}.pem", STRANGER)

    def _settings_of(self, node: Node) -> dict[str, str]:
        return {
            **super()._settings_of(node),
            f"listener.name.{OTHER_HOST.lower()}.ssl.keystore.location": str(node.directory / "other-host.pem"),
            f"listener.name.{EXPIRED.lower()}.ssl.keystore.location": str(node.directory / "expired.pem"),
        }


def settings_of(environment: dict[str, str]) -> Settings:
    """What a program would read from this environment and no other."""
    return Settings(**{name.removeprefix("TALLY_").lower(): value for name, value in environment.items()})  # type: ignore[arg-type]


def _issued(authority: Authority, file: Path, *, is_expired: bool = False, passphrase: str | None = None) -> dict[str, str]:
    key_file = authority.issue(file, "worker", is_expired=is_expired, passphrase=passphrase)
    return {"certfile": str(file), "keyfile": str(key_file)}
