"""A key for each station of a generated election, and reports signed with them. The private keys are made of ids: for
benchmarks alone."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tally_stream.wire.envelope import sealed, signed_bytes, to_base64


@cache
def _private(station: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(sha256(station.encode()).digest())


def write_keys(stations: Iterable[str], folder: Path) -> None:
    """keys.csv, and signatures demanded by an election.toml that is there."""
    with (folder / "keys.csv").open("w") as file:
        file.write("key_id,holder,station,kinds,public_key,valid_from,valid_to\n")
        for station in stations:
            public = to_base64(_private(station).public_key().public_bytes_raw())
            file.write(f"K-{station},{station},{station},report correct,{public},,\n")
    toml = folder / "election.toml"
    toml.write_text(toml.read_text() + '\n[security]\nsignatures = "required"\n')


def seal(station: bytes, statement: bytes) -> bytes:
    """The envelope of a station's report."""
    name = station.decode()
    return sealed(statement, f"K-{name}", _private(name).sign(signed_bytes(statement)))
