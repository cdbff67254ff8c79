"""A local Kafka that lets nobody in who is not named: TLS everywhere, passwords or certificates, access lists that deny.

    with SecuredKafka() as kafka:
        kafka.environment("worker")             # TALLY_* of a principal that logs in with a password (SCRAM-SHA-512)
        kafka.environment("worker", "MTLS")     # the same principal by its certificate

Decides the listeners, who has a password and a certificate, and where a person finds them: `clients/NAME.env` in the
cluster's directory, `NAME-mtls.env` beside it. It refuses to know what a principal may do: without access rules that is
nothing, except for SETUP, which may do everything and is there to make the rules. No listener is plain text, the
controllers' and the brokers' own included. Certificates are made anew at each start, passwords stay with the data.
"""

from __future__ import annotations

import json
import secrets
import shlex
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from deploy.kafka.local.certificates import Authority, write_secret
from deploy.kafka.local.cluster import LocalKafka
from deploy.kafka.local.jars import find_java
from deploy.kafka.local.node import Node, brokers_seen_by, write_bootstrap_checkpoint

BROKER = "broker"
"""The brokers among themselves, by certificate alone: nobody can log in under this name with a password."""

SETUP = "setup"
"""May do everything: it makes topics and access rules, and no program of the night runs as it."""

PRINCIPALS = ("admin", "authority", "board", "dump", "monitor", "reader", "station", "worker")
"""Each has a password and a certificate, and no right until rules are made."""

SCRAM, MTLS = "SCRAM", "MTLS"
HOSTS = ("127.0.0.1", "localhost")


class SecuredKafka(LocalKafka):
    """LocalKafka with its faults, behind TLS. `bootstrap` is the listener for passwords, `mtls_bootstrap` that for
    certificates."""

    MORE_LISTENERS: ClassVar[tuple[str, ...]] = (MTLS,)

    def __init__(
        self,
        directory: Path | str | None = None,
        *,
        brokers: int = 1,
        port_base: int | None = None,
        outlive_parent: bool = False,
        more_settings: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(
            directory, brokers=brokers, port_base=port_base, outlive_parent=outlive_parent, more_settings=more_settings
        )
        self.cafile = self.directory / "ca.pem"
        self.clients = self.directory / "clients"
        self._passwords: dict[str, str] = {}
        self._context: ssl.SSLContext | None = None

    @property
    def mtls_bootstrap(self) -> str:
        return self.listener(MTLS)

    def listener(self, name: str) -> str:
        """host:port of every node, comma separated, of one listener."""
        return self.bootstrap if name == SCRAM else ",".join(f"127.0.0.1:{node.more_ports[name]}" for node in self.nodes)

    def environment(self, principal: str, listener: str = SCRAM, **changed: str) -> dict[str, str]:
        """The `TALLY_*` with which a program is this principal.

        `changed`: settings that differ, by the end of their names: `environment("worker", password="wrong")`.
        """
        said = {"bootstrap": self.listener(listener), "security_cafile": str(self.cafile)}
        if listener == MTLS:
            said |= {
                "security_protocol": "SSL",
                "security_certfile": str(self.clients / f"{principal}.pem"),
                "security_keyfile": str(self.clients / f"{principal}.key"),
            }
        else:
            said |= {
                "security_protocol": "SASL_SSL",
                "security_username": principal,
                "security_password": self._passwords[principal],
            }
        said |= {name if name == "bootstrap" else f"security_{name}": value for name, value in changed.items()}
        return {f"TALLY_{name.upper()}": value for name, value in said.items()}

    def start(self) -> str:
        bootstrap = super().start()
        for principal in (*PRINCIPALS, SETUP):
            for ending, listener in (("", SCRAM), ("-mtls", MTLS)):
                lines = [f"{k}={shlex.quote(v)}\n" for k, v in self.environment(principal, listener).items()]
                write_secret(self.clients / f"{principal}{ending}.env", "".join(lines))
        return bootstrap

    # What LocalKafka asks of a subclass.

    def _lay_out(self) -> None:
        self._passwords = self._kept_passwords()
        self._certify(Authority(self.cafile, "tally-stream local Kafka"))
        super()._lay_out()

    def _certify(self, authority: Authority) -> None:
        """Certificates of brokers and principals, made before the nodes' settings name them."""
        for principal in (*PRINCIPALS, SETUP):
            authority.issue(self.clients / f"{principal}.pem", principal)
        for number in range(1, self._brokers + 1):
            self.issue_keystore(authority, self.directory / f"node-{number}" / "keystore.pem", HOSTS)
        self._context = ssl.create_default_context(cafile=str(self.cafile))
        self._context.load_cert_chain(self.clients / f"{SETUP}.pem", self.clients / f"{SETUP}.key")

    @staticmethod
    def issue_keystore(authority: Authority, file: Path, hosts: tuple[str, ...], *, is_expired: bool = False) -> None:
        """A broker's certificate and key in one file, as Kafka wants its PEM key stores."""
        key_file = authority.issue(file, BROKER, hosts=hosts, is_expired=is_expired)
        write_secret(file, key_file.read_text() + file.read_text())
        key_file.unlink()

    def _kept_passwords(self) -> dict[str, str]:
        kept = self.directory / "passwords.json"
        if not kept.exists():
            made = {principal: secrets.token_urlsafe(24) for principal in (*PRINCIPALS, SETUP)}
            write_secret(kept, json.dumps(made, indent=2) + "\n")
        passwords: dict[str, str] = json.loads(kept.read_text())
        return passwords

    def _settings_of(self, node: Node) -> dict[str, str]:
        listeners = {SCRAM: node.port, **node.more_ports}
        addresses = [f"{name}://127.0.0.1:{port}" for name, port in listeners.items()]
        protocols = [f"{name}:{'SSL' if name == MTLS else 'SASL_SSL'}" for name in listeners]
        return {
            **super()._settings_of(node),
            "listeners": ",".join([*addresses, f"CONTROLLER://127.0.0.1:{node.controller_port}"]),
            "advertised.listeners": ",".join(addresses),
            "listener.security.protocol.map": ",".join([*protocols, "CONTROLLER:SSL"]),
            "inter.broker.listener.name": MTLS,
            "listener.name.mtls.ssl.client.auth": "required",
            "listener.name.controller.ssl.client.auth": "required",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(node.directory / "keystore.pem"),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.cafile),
            # A certificate's CN is the principal's name, so that rules are the same for both ways in.
            "ssl.principal.mapping.rules": "RULE:^CN=([^,]+)$/$1/",
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            **{
                f"listener.name.{name.lower()}.scram-sha-512.sasl.jaas.config":
                    "org.apache.kafka.common.security.scram.ScramLoginModule required;"
                for name in listeners if name != MTLS
            },
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "allow.everyone.if.no.acl.found": "false",
            "super.users": f"User:{BROKER};User:{SETUP}",
        }  # fmt: skip

    def _checkpoint(self, node: Node) -> Path:
        """The cluster's log begins with the users, or no broker could let the first of them in."""
        file = self.directory / "bootstrap.checkpoint"
        if not file.exists():
            words = [
                f"--add-scram=SCRAM-SHA-512=[name={name},password={password}]" for name, password in self._passwords.items()
            ]
            write_bootstrap_checkpoint(find_java() or "java", node, file, words)
        return file

    def _seen_by(self, node: Node) -> set[int]:
        return brokers_seen_by(node.more_ports[MTLS], self._context)
