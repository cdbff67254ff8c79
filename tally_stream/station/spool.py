"""What a station has stated, in one SQLite file, before it is sent: the exact bytes of each record, and how far it has come.

Decides what is kept and when it is certain: a statement stands on the disk (write-ahead log, `synchronous=FULL`) before
`keep` returns, one row for each station, sequence and revision, with the bytes that every try sends. Several are kept
together or not at all. A process that dies at any step leaves either no row or a whole one; what was acknowledged and not
noted is sent again, and counted once (rule Q1). A second process on one spool is refused by name: the kernel holds the lock
on a file beside it and gives it back however the first one ends. The files are their owner's alone: counts stand there before
they are public. Whatever the disk refuses is `SpoolError`, which names the file. Refuses to know what the bytes say, and
brokers. Read `client.py` next.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

FORMAT = 1
_APPLICATION = 0x74616C79
"""`taly`, in SQLite's own field for it: what is no spool is not written to."""
LOCK_WAIT_MS = 2_000
_OWNER_ALONE, _OTHERS = 0o600, 0o077
_WAITS = "\"offset\" IS NULL AND coalesce(receipt_state, 'waiting') = 'waiting'"
"""What is still to be sent: no broker has acknowledged it, and nobody has refused it for good."""
_TABLES = """
CREATE TABLE belongs (topic TEXT NOT NULL, election TEXT NOT NULL);
CREATE TABLE statements (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  station TEXT NOT NULL, sequence TEXT NOT NULL, revision INTEGER NOT NULL, kind TEXT NOT NULL,
  key BLOB NOT NULL, value BLOB NOT NULL, kept_ms INTEGER NOT NULL,
  tries INTEGER NOT NULL DEFAULT 0, last_error TEXT,
  partition INTEGER, "offset" INTEGER, sent_ms INTEGER,
  receipt TEXT, receipt_state TEXT,
  UNIQUE (station, sequence, revision)
);
CREATE INDEX waiting ON statements (station, id) WHERE "offset" IS NULL;
"""
_COLUMNS = (
    "id, station, sequence, revision, kind, key, value, kept_ms, tries, last_error, partition, "
    '"offset", sent_ms, receipt, receipt_state'
)


def spool_path(given: str | None, prefix: str, election: str) -> Path:
    """Where the spool of an election lies, unless it is `given`: one for each user, prefix and election."""
    if given is not None:
        return Path(given)
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "tally-stream" / f"{prefix}-{election}.spool"


class SpoolError(Exception):
    """`args[0]` is a sentence that names the spool and says what to do."""


class Record(Protocol):
    """What can be kept."""

    @property
    def station(self) -> str: ...
    @property
    def sequence(self) -> str: ...
    @property
    def revision(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def key(self) -> bytes: ...
    @property
    def value(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Spooled:
    """A statement as it stands in the spool. `sequence`: a contest's id, or `turnout`. Times are milliseconds since 1970 UTC
    by this machine's clock. `partition` and `offset` are those that a broker acknowledged, None before. `receipt` is the
    newest, as `receipts.notes` writes it, `receipt_state` its state: without an offset, what an intake refused for good has."""

    id: int
    station: str
    sequence: str
    revision: int
    kind: str
    key: bytes
    value: bytes
    kept_ms: int
    tries: int
    last_error: str | None
    partition: int | None
    offset: int | None
    sent_ms: int | None
    receipt: str | None
    receipt_state: str | None

    @property
    def waits(self) -> bool:
        """Whether it is still to be sent."""
        return self.offset is None and self.receipt_state in (None, "waiting")

    def __str__(self) -> str:
        return f"{self.station} {self.sequence} revision {self.revision}"


@dataclass(frozen=True, slots=True)
class SpoolFigures:
    """What a spool comes to. `unsent_count`: statements that are still to be sent, of which the oldest was kept at
    `oldest_unsent_ms`. `newest`: the newest statement of each station and sequence, by its receipt's state, `unsent` where it
    waits."""

    unsent_count: int
    oldest_unsent_ms: int | None
    newest: dict[str, int]


class Spool:
    """The spool in the file `path`, of one topic and election; made where there is none. Use it as a context manager, or
    `close` it. Every method raises SpoolError; after one nothing but `close` may be called."""

    def __init__(self, path: Path, topic: str, election: str) -> None:
        self.path = path
        self._lock = _locked(path)
        try:
            _made(path)
            with self._told():
                self._db = sqlite3.connect(path, isolation_level=None, timeout=LOCK_WAIT_MS / 1000)
                self._open(topic, election)
            _narrow(path)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """What was kept stays kept, whether this is called or not."""
        db = self.__dict__.pop("_db", None)
        if db is not None:
            db.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def keep(self, records: Sequence[Record], now_ms: int) -> list[int]:
        """Keep all of them, or none; their ids. One that is kept already, the same bytes, has the id that it had. Raises
        SpoolError where its revision is kept with other bytes."""
        with self._told(), self._whole():
            return [self._keep(record, now_ms) for record in records]

    def _keep(self, record: Record, now_ms: int) -> int:
        at = (record.station, record.sequence, record.revision)
        known = self._db.execute(
            "SELECT id, key, value FROM statements WHERE station = ? AND sequence = ? AND revision = ?", at
        ).fetchone()
        if known is not None:
            if (known[1], known[2]) != (record.key, record.value):
                raise SpoolError(
                    f"{self.path}: {record.station} {record.sequence} revision {record.revision} was kept before with other "
                    "content: a new statement has a higher revision"
                )
            return int(known[0])
        added = self._db.execute(
            "INSERT INTO statements (station, sequence, revision, kind, key, value, kept_ms) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (*at, record.kind, record.key, record.value, now_ms),
        )
        assert added.lastrowid is not None
        return added.lastrowid

    def has(self, station: str, sequence: str, revision: int) -> bool:
        """Whether a statement is kept as this one."""
        try:
            self.find(station, sequence, revision)
        except KeyError:
            return False
        return True

    def find(self, station: str, sequence: str, revision: int) -> int:
        """The id of the statement that is kept as this one. Raises KeyError where there is none."""
        with self._told():
            row = self._db.execute(
                "SELECT id FROM statements WHERE station = ? AND sequence = ? AND revision = ?", (station, sequence, revision)
            ).fetchone()
        if row is None:
            raise KeyError((station, sequence, revision))
        return int(row[0])

    def due(self, most: int, without: Collection[str] = ()) -> list[Spooled]:
        """The oldest statement of each station that is still to be sent: the next one follows once that is, or is refused for
        good, or a later revision could overtake it. `without`: of these stations none."""
        return self._found(
            f"id IN (SELECT min(id) FROM statements WHERE {_WAITS} AND station NOT IN (SELECT value FROM json_each(?)) "
            "GROUP BY station) ORDER BY id LIMIT ?",
            json.dumps([*without]), most,
        )  # fmt: skip

    def all(self) -> list[Spooled]:
        """In the order in which they were kept."""
        return self._found("1 ORDER BY id")

    def of(self, ids: Sequence[int]) -> list[Spooled]:
        wanted = set(ids)
        return [spooled for spooled in self.all() if spooled.id in wanted]

    def waiting_count(self) -> int:
        """Statements that are still to be sent."""
        with self._told():
            (count,) = self._db.execute(f"SELECT count(*) FROM statements WHERE {_WAITS}").fetchone()
        return int(count)

    def figures(self) -> SpoolFigures:
        with self._told():
            count, oldest = self._db.execute(f"SELECT count(*), min(kept_ms) FROM statements WHERE {_WAITS}").fetchone()
            newest = self._db.execute(
                f"""SELECT state, count(*) FROM (
                      SELECT max(revision), CASE WHEN {_WAITS} THEN 'unsent' ELSE coalesce(receipt_state, 'waiting') END
                        AS state FROM statements GROUP BY station, sequence)
                    GROUP BY state"""
            )
            return SpoolFigures(count, oldest, dict(newest.fetchall()))

    def note_sent(self, landed: Sequence[tuple[int, int, int]], now_ms: int) -> None:
        """Brokers have acknowledged these: id, partition and offset of each."""
        with self._told(), self._whole():
            self._db.executemany(
                'UPDATE statements SET partition = ?, "offset" = ?, sent_ms = ?, tries = tries + 1, last_error = NULL '
                "WHERE id = ?",
                [(partition, offset, now_ms, id) for id, partition, offset in landed],
            )

    def note_failed(self, ids: Sequence[int], why: str) -> None:
        """A try that no broker has acknowledged: it may stand on the topic all the same."""
        with self._told(), self._whole():
            self._db.executemany(
                "UPDATE statements SET tries = tries + 1, last_error = ? WHERE id = ?", [(why, id) for id in ids]
            )

    def note_refused(self, found: Sequence[tuple[int, str, str, str]]) -> None:
        """These are never taken as they are, and not sent again: id, why, and the receipt's state and all of it."""
        with self._told(), self._whole():
            self._db.executemany(
                "UPDATE statements SET tries = tries + 1, last_error = ?, receipt_state = ?, receipt = ? WHERE id = ?",
                [(why, state, receipt, id) for id, why, state, receipt in found],
            )

    def note_receipts(self, found: Sequence[tuple[int, str, str]]) -> None:
        """The newest of each: id, state, and all of it."""
        with self._told(), self._whole():
            self._db.executemany(
                "UPDATE statements SET receipt_state = ?, receipt = ? WHERE id = ? AND receipt IS NOT ?",
                [(state, receipt, id, receipt) for id, state, receipt in found],
            )

    def _found(self, where: str, *values: int | str) -> list[Spooled]:
        with self._told():
            return [Spooled(*row) for row in self._db.execute(f"SELECT {_COLUMNS} FROM statements WHERE {where}", values)]

    # -- the file ----------------------------------------------------------------------------------------------------

    def _open(self, topic: str, election: str) -> None:
        (application,) = self._db.execute("PRAGMA application_id").fetchone()
        (has_tables,) = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if application != _APPLICATION and (application or has_tables):
            raise SpoolError(f"{self.path}: a database, but no spool: TALLY_SPOOL names another file")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("PRAGMA fullfsync = ON")
        with self._whole():
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            if version == 0:
                for table in _TABLES.split(";"):
                    self._db.execute(table)
                self._db.execute("INSERT INTO belongs VALUES (?, ?)", (topic, election))
                self._db.execute(f"PRAGMA application_id = {_APPLICATION}")
                self._db.execute(f"PRAGMA user_version = {FORMAT}")
            elif version != FORMAT:
                raise SpoolError(f"{self.path}: a spool of format {version}, this version reads {FORMAT}")
        found = self._db.execute("SELECT topic, election FROM belongs").fetchone()
        if found != (topic, election):
            raise SpoolError(
                f"{self.path}: the spool of {found[1]} on {found[0]}, not of {election} on {topic}: TALLY_SPOOL names another"
            )

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """All of it or nothing."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):  # SQLite has rolled back itself, or the next who opens the file does
                self._db.execute("ROLLBACK")
            raise

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What SQLite says, in a sentence with the file."""
        try:
            yield
        except sqlite3.Error as error:
            raise SpoolError(_sentence(self.path, error)) from error


def spooled_in(path: Path) -> list[Spooled]:
    """The statements of a spool that another process may have; [] where there is none. Raises SpoolError."""
    if not path.exists():
        return []
    try:
        db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=LOCK_WAIT_MS / 1000)
        try:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version != FORMAT:
                return []  # it was never filled, or `Spool` says what it is
            return [Spooled(*row) for row in db.execute(f"SELECT {_COLUMNS} FROM statements ORDER BY id")]
        finally:
            db.close()
    except sqlite3.Error as error:
        raise SpoolError(_sentence(path, error)) from error


def _sentence(path: Path, error: sqlite3.Error) -> str:
    name = getattr(error, "sqlite_errorname", "") or type(error).__name__
    if name == "SQLITE_FULL":
        return f"{path}: the disk is full, and nothing was kept: make room, then give it again"
    if name.startswith("SQLITE_IOERR"):
        return f"{path}: the disk could not be read or written ({name}), so nothing is certain to be kept: give it again"
    if name in ("SQLITE_NOTADB", "SQLITE_CORRUPT"):
        return f"{path}: damaged, or no spool ({error}): put a copy in its place, or name another file in TALLY_SPOOL"
    if name in ("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM") or name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN")):
        return f"{path}: cannot be written to ({error}): TALLY_SPOOL names a place where this user may write"
    return f"{path}: {error} ({name})"


def others_can_read(path: Path) -> str | None:
    """A sentence where other users of this machine may read what the spool has; None where they may not."""
    if not _wider(path):
        return None
    return (f"{path}: other users of this machine may read it, and with it counts before they are public: chmod 600, or "
            "TALLY_SPOOL names a place on a disk that knows owners")  # fmt: skip


def _wider(path: Path) -> list[Path]:
    """Of the spool's files those that not only their owner may read or write."""
    found = []
    for end in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            beside = path.with_name(path.name + end)
            found += [beside] if beside.stat().st_mode & _OTHERS else []
    return found


def _made(path: Path) -> None:
    """The file, for its owner alone; SQLite gives those beside it the same mode. Raises SpoolError."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _OWNER_ALONE))
    except FileExistsError:
        pass
    except OSError as error:
        raise SpoolError(_not_writable(path, error)) from error


def _narrow(path: Path) -> None:
    """As they were made before they may be wider. Where that cannot be changed, `others_can_read` tells."""
    for beside in _wider(path):
        with suppress(OSError):
            beside.chmod(_OWNER_ALONE)


def _not_writable(path: Path, error: OSError) -> str:
    return f"{path}: cannot be written to ({error.strerror}): TALLY_SPOOL names a place where this user may write"


def _locked(path: Path) -> int | None:
    """The lock beside the spool, for as long as this process lives. Raises SpoolError where another one has it."""
    beside = path.with_name(path.name + ".lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _OWNER_ALONE)
    except OSError as error:
        raise SpoolError(_not_writable(path, error)) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = os.pread(lock, 20, 0).decode("ascii", "replace").strip()
        os.close(lock)
        raise SpoolError(f"{path}: another process ({owner or 'unknown'}) has this spool: wait for it, or end it") from error
    with suppress(OSError):  # on a full disk only the name of the owner is missing
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock
