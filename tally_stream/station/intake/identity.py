"""Who may speak for which stations: tokens in a file, hashed, and the names in clients' certificates.

Decides what a token is (256 random bits) and how it is kept: as its SHA-256, which is enough here. A slow hash (scrypt) makes
guessing dear where what is hashed can be guessed, as a password can; nobody guesses 256 random bits, and a slow hash would let
whoever sends wrong tokens keep the intake busy. The file is read again when it has changed, so that a token is taken away
without a restart. Refuses to know what is said with it. Read `taking.py` next.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from tally_stream.domain.election import Election

TOKEN_MARK = "tally-intake-"
"""What a token begins with, so that it is known for one where it turns up (a log, a repository)."""
TOKEN_RANDOM_BYTES = 32
TOKEN_MAX_CHARS = 200
FILE_MAX_BYTES = 64 * 1024 * 1024
HASH_SHOWN_CHARS = 12
_LINE = re.compile(r"sha256:([0-9a-f]{64})((?: +[A-Z0-9][A-Z0-9._-]{0,63})+) *")


class TokenFileError(Exception):
    """`args[0]` is a sentence that names the file and the line."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is calling. `name` may stand in a log: it is no secret, and not the caller's to choose."""

    name: str
    stations: frozenset[str]

    def may_speak_for(self, station: str) -> bool:
        return station in self.stations


def new_token() -> str:
    return TOKEN_MARK + secrets.token_urlsafe(TOKEN_RANDOM_BYTES)


def token_hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def token_line(token: str, stations: Collection[str]) -> str:
    """A token's line in the file: its hash, and the ids of the stations it may speak for."""
    return f"sha256:{token_hash(token)} {' '.join(sorted(set(stations)))}\n"


def read_tokens(text: str, name: str, election: Election) -> dict[str, Identity]:
    """Hash → who has the token, of a file's text. An empty line says nothing, nor does what is behind `#`. Raises
    TokenFileError."""
    found: dict[str, Identity] = {}
    for number, line in enumerate(text.splitlines(), 1):
        said = line.partition("#")[0].strip()
        if not said:
            continue
        match = _LINE.fullmatch(said)
        if match is None:
            raise TokenFileError(f"{name}, line {number}: not `sha256:HASH STATION …` (`tally-stream intake token` writes it)")
        digest, stations = match[1], match[2].split()
        unknown = next((station for station in stations if station not in election.stations), None)
        if unknown is not None:
            raise TokenFileError(f"{name}, line {number}: {election.id} has no station {unknown}")
        if digest in found:
            raise TokenFileError(f"{name}, line {number}: the token of this hash has a line above: give it one line")
        found[digest] = Identity(f"token {digest[:HASH_SHOWN_CHARS]}", frozenset(stations))
    return found


class Identities:
    """The tokens in `path`, as they are now; without a file nobody has one. `say` is told why a changed file is not read: the
    tokens that were known stay known then, and `mistake` says so until it is mended."""

    def __init__(self, election: Election, path: Path | None, say: Callable[[str], None]) -> None:
        """Raises TokenFileError."""
        self._election, self._path = election, path
        self._say: Callable[[str], object] = lambda line: None
        self._tokens: dict[str, Identity] = {}
        self._seen: tuple[int, ...] = ()
        self.mistake: str | None = None
        self._read()
        if self.mistake is not None:
            raise TokenFileError(self.mistake)
        self._say = say

    def of_token(self, token: str) -> Identity | None:
        """Who has it; None: nobody."""
        if len(token) > TOKEN_MAX_CHARS:
            return None
        self._read()
        return self._tokens.get(token_hash(token))

    def of_certificate(self, common_name: str) -> Identity | None:
        """Whom a certificate names that the server's TLS has verified: a station, by its id."""
        if common_name not in self._election.stations:
            return None
        return Identity(f"certificate {common_name}", frozenset({common_name}))

    @property
    def stations(self) -> frozenset[str]:
        """All that any token may speak for."""
        return frozenset().union(*(identity.stations for identity in self._tokens.values()))

    def __len__(self) -> int:
        return len(self._tokens)

    def _read(self) -> None:
        if self._path is None:
            return
        try:
            stat = os.stat(self._path)
            seen = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if seen == self._seen:
                return
            self._seen = seen
            if stat.st_size > FILE_MAX_BYTES:
                raise TokenFileError(f"{self._path}: {stat.st_size:,} bytes, at most {FILE_MAX_BYTES:,} are read")
            self._tokens = read_tokens(self._path.read_text("utf-8"), str(self._path), self._election)
            self.mistake = None
        except TokenFileError as error:
            self._told(str(error))
        except (OSError, UnicodeDecodeError) as error:
            self._seen = ()
            self._told(f"{self._path}: cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8'}")

    def _told(self, sentence: str) -> None:
        if sentence != self.mistake:
            self.mistake = sentence
            self._say(f"TALLY_INTAKE_TOKENS: {sentence}; the tokens that were known stay known")
