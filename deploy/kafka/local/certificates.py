"""An authority of its own for a local Kafka, and what it signs: certificates of brokers and of clients, as PEM files.

Decides what stands in a certificate and how long it holds. It refuses to know what a broker or a client does with one
(`secured.py`). Nothing here is for production: the authority's key is kept nowhere, so that nobody can sign with it later.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID_DAYS = 90
"""A local Kafka makes its certificates anew at each start."""

CLOCK_SKEW = timedelta(minutes=5)
"""A certificate holds from a little before it was made: no other clock is exactly ours."""


class Authority:
    """A certificate authority whose key exists only in this object; `certificate_file` is for those who trust it."""

    def __init__(self, certificate_file: Path, name: str) -> None:
        self.certificate_file = certificate_file
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        self._certificate = (
            _unsigned(self._name, self._name, self._key.public_key(), now + timedelta(days=VALID_DAYS))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(is_authority=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        certificate_file.parent.mkdir(parents=True, exist_ok=True)
        certificate_file.write_bytes(_pem(self._certificate))

    def issue(
        self,
        certificate_file: Path,
        name: str,
        *,
        hosts: Sequence[str] = (),
        is_expired: bool = False,
        passphrase: str | None = None,
    ) -> Path:
        """Write a certificate of `CN=name` and, beside it, its key (`.key`, for its owner alone); returns the key's file.

        `hosts`: addresses or names it is good for as a server; without any it is a client's. A broker's is good for both: it
        is a client of the others. `is_expired`: its time ended yesterday. `passphrase` encrypts the key.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        end = datetime.now(UTC) + timedelta(days=-1 if is_expired else VALID_DAYS)
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH, *([ExtendedKeyUsageOID.SERVER_AUTH] if hosts else [])]
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        unsigned = (
            _unsigned(subject, self._name, key.public_key(), end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(is_authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if hosts:
            unsigned = unsigned.add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False)
        certificate_file.parent.mkdir(parents=True, exist_ok=True)
        certificate_file.write_bytes(_pem(unsigned.sign(self._key, hashes.SHA256())))
        key_file = certificate_file.with_suffix(".key")
        encryption = serialization.BestAvailableEncryption(passphrase.encode()) if passphrase else serialization.NoEncryption()
        secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
        write_secret(key_file, secret.decode())
        return key_file


def write_secret(file: Path, text: str) -> None:
    """A file that only its owner may read, from its first byte on."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    file.write_text(text)


def _unsigned(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, end: datetime) -> x509.CertificateBuilder:
    begin = min(datetime.now(UTC), end - timedelta(days=1)) - CLOCK_SKEW
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
    )


def _key_usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True, key_cert_sign=is_authority, crl_sign=is_authority, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
