"""Keys for tests, and statements signed with them. The private keys are numbers that anybody can guess: nothing else may use them."""

from collections.abc import Iterable
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tally_stream.domain.keys import SIGNED_KINDS, SigningKey
from tally_stream.wire.envelope import sealed, signed_bytes, to_base64
from tests.support.report_messages import as_bytes, changed


def private(key_id: str) -> Ed25519PrivateKey:
    """The same key for the same id, always."""
    return Ed25519PrivateKey.from_private_bytes(key_id.encode().ljust(32, b"."))


def public(key_id: str) -> bytes:
    return private(key_id).public_key().public_bytes_raw()


def signing_key(
    key_id: str,
    station: str = "",
    kinds: Iterable[str] = SIGNED_KINDS,
    valid_from_ms: int | None = None,
    valid_to_ms: int | None = None,
) -> SigningKey:
    """An authority's, which may sign all, unless told otherwise."""
    return SigningKey(key_id, f"holder of {key_id}", station, frozenset(kinds), public(key_id), valid_from_ms, valid_to_ms)


def signed(message: dict[str, Any] | bytes, key_id: str, named: str | None = None) -> bytes:
    """The envelope of a statement, signed with the key of `key_id`, which it names (or `named`)."""
    payload = message if isinstance(message, bytes) else as_bytes(message)
    return sealed(payload, named or key_id, private(key_id).sign(signed_bytes(payload)))


def key_statement(**changes: Any) -> dict[str, Any]:
    """Adds the key NEW, which signs reports of A-1."""
    base = {"schema": 1, "election": "X-2024", "key_id": "NEW", "revision": 1, "kind": "key", "action": "add"}
    base |= {"holder": "a new one", "station": "A-1", "kinds": "report correct", "public_key": to_base64(public("NEW"))}
    return changed(base | {"reason": "a lost key", "authority": "the commission"}, changes)
