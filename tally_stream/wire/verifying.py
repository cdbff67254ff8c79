"""Signatures verified in threads, before their records are judged: OpenSSL frees the interpreter's lock for it.

Decides how many threads, and how records are dealt out. Refuses to know what a verdict is made of: what is found here is only
found earlier (`signing.py`).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Protocol, Self

from tally_stream.domain.fold import PartitionFold
from tally_stream.domain.key_ring import KeyRing
from tally_stream.wire.signing import Ahead, Verified, verify_ahead

VERIFIED_TOGETHER = 1_024
"""Records whose signatures are verified before the first of them is judged: about a tenth of a second on one core, so that what
was counted is never published later for it."""

DEALT_OUT = 64
"""Records a thread takes at a time."""

THREADS_MAX = 4
"""More have no use: what is between two verifications needs the interpreter's lock, a fifteenth of the time."""


class ValueOfPartition(Protocol):
    """A record, of a log or a topic."""

    @property
    def partition(self) -> int: ...
    @property
    def value(self) -> bytes | None: ...


def by_ring(folds: Sequence[PartitionFold], records: Iterable[ValueOfPartition]) -> dict[KeyRing, list[bytes | None]]:
    """The ring of each partition that has some of the records → their values. `folds` are those that take them, by
    partition."""
    found: dict[KeyRing, list[bytes | None]] = {}
    for record in records:
        found.setdefault(folds[record.partition].keys, []).append(record.value)
    return found


class VerifyingThreads:
    """A few threads. `ahead` waits for them, `ahead_of` lets a loop go on meanwhile."""

    def __init__(self) -> None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(min(THREADS_MAX, cores), thread_name_prefix="verifying")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """What is under way is waited for, at most DEALT_OUT records a thread."""
        self._pool.shutdown(cancel_futures=True)

    def _begun(self, values: Mapping[KeyRing, Sequence[bytes | None]]) -> Iterator[Future[dict[bytes, Verified]]]:
        for ring, of_ring in values.items():
            for at in range(0, len(of_ring), DEALT_OUT):
                yield self._pool.submit(verify_ahead, of_ring[at : at + DEALT_OUT], ring)

    def ahead(self, values: Mapping[KeyRing, Sequence[bytes | None]]) -> Ahead:
        """The values of records, by the ring of their partition → what was found of them."""
        found: dict[bytes, Verified] = {}
        for future in list(self._begun(values)):
            found.update(future.result())
        return found

    async def ahead_of(self, values: Mapping[KeyRing, Sequence[bytes | None]]) -> Ahead:
        """As `ahead`. No record of these partitions may be taken meanwhile."""
        found: dict[bytes, Verified] = {}
        for some in await asyncio.gather(*map(asyncio.wrap_future, self._begun(values))):
            found.update(some)
        return found
