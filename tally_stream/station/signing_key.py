"""A private key in a file, and statements sealed with it.

Decides how such a file is made and read: PKCS#8 in PEM, for nobody but its owner, encrypted where a passphrase is given;
nobody is ever asked for one. Refuses to know which statements a key may sign: `wire/signing.py` does, at the count.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tally_stream.domain.election import Election
from tally_stream.wire.envelope import sealed, signed_bytes, to_base64

FILE_MAX_BYTES = 16_384


class KeyFileError(Exception):
    """`args[0]` names the file and says what is wrong with it."""


@dataclass(frozen=True)
class SealingKey:
    """A private key, and the id under which others know it."""

    id: str
    private: Ed25519PrivateKey

    @property
    def public(self) -> str:
        """As keys.csv has it."""
        return public_of(self.private)

    def seal(self, statement: bytes) -> bytes:
        """The record's value: the envelope with the statement's bytes. The same bytes each time."""
        return sealed(statement, self.id, self.private.sign(signed_bytes(statement)))


def public_of(private: Ed25519PrivateKey) -> str:
    """Of a private key, what keys.csv has in `public_key`."""
    return to_base64(private.public_key().public_bytes_raw())


def make_key_file(path: Path, passphrase: str | None) -> Ed25519PrivateKey:
    """A new key in a new file that only its owner may read. Raises KeyFileError, also where there is a file."""
    private = Ed25519PrivateKey.generate()
    how = serialization.NoEncryption() if passphrase is None else serialization.BestAvailableEncryption(passphrase.encode())
    pem = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(descriptor)
    except FileExistsError as error:
        raise KeyFileError(f"{path}: there is a file already; a key is never written over") from error
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror or error}") from error
    return private


def read_key_file(path: Path, passphrase: str | None) -> Ed25519PrivateKey:
    """Raises KeyFileError: others may read the file, it holds no such key, or the passphrase does not open it."""
    try:
        with path.open("rb") as file:
            mode, pem = os.fstat(file.fileno()).st_mode, file.read(FILE_MAX_BYTES + 1)
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror or error}") from error
    if mode & 0o077:
        raise KeyFileError(f"{path}: others than its owner may read this key: chmod 600, and make another one if they did")
    is_encrypted = b"ENCRYPTED" in pem
    if is_encrypted and passphrase is None:
        raise KeyFileError(f"{path} is encrypted: TALLY_SIGNING_KEY_PASSWORD_FILE names the file that holds its passphrase")
    try:
        private = serialization.load_pem_private_key(pem, passphrase.encode() if is_encrypted and passphrase else None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        what = "its passphrase does not open it" if is_encrypted else "holds no private key (PKCS#8 in PEM)"
        raise KeyFileError(f"{path}: {what}") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise KeyFileError(f"{path}: is a key of another kind than Ed25519; `tally-stream keys make` makes one")
    return private


def named_key(private: Ed25519PrivateKey, election: Election, key_id: str | None, path: Path) -> SealingKey:
    """The key under the id that is given, else under the one that the definition has for it. Raises KeyFileError."""
    if key_id is not None:
        return SealingKey(key_id, private)
    public = private.public_key().public_bytes_raw()
    ids = [key.id for key in election.keys.values() if key.public_key == public]
    if len(ids) != 1:
        found = f"has it as {', '.join(ids)}" if ids else "does not have it"
        raise KeyFileError(f"{path}: keys.csv of {election.id} {found}: TALLY_SIGNING_KEY_ID says under which id it signs")
    return SealingKey(ids[0], private)
