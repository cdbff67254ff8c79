"""Two workers of one group over topics of their own, of which the one that publishes is killed while reports come in.

Decides when: half of the night is counted by then, and the other half is on its way. Refuses to know which election it is.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from tally_stream.settings import Settings
from tests.support.processes import command, tied
from tests.support.waiting import wait_for
from tests.support.worker import WorkerProcess

SENDING_SECONDS = 4
"""Of a night in whose middle a worker is killed."""


def kill_in_the_middle(
    settings: Settings, folder: str, log: Path, records: int, first: WorkerProcess, second: WorkerProcess
) -> WorkerProcess:
    """Play the log to both, which are ready; the one that is left, when everything was sent."""

    def publishing() -> list[bool]:
        return [json.loads(w.get("/readyz")[1])["publishes_standings"] for w in (first, second)]

    # The first may still be on its way out of the assignment it had before the second joined.
    wait_for(lambda: sum(publishing()) == 1, "one owner of the standings", 20)
    victim, other = (first, second) if publishing()[0] else (second, first)
    assert asyncio.run(_send_and_kill(settings, folder, log, records, victim, other)) == 0
    return other


async def _send_and_kill(
    settings: Settings, folder: str, log: Path, records: int, victim: WorkerProcess, other: WorkerProcess
) -> int:
    process = await asyncio.create_subprocess_exec(
        *command("send", folder, str(log), "--rate", str(records / SENDING_SECONDS)),
        **tied(settings), stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip

    def is_half() -> bool:
        return sum(victim.next_offsets().values()) + sum(other.next_offsets().values()) >= records // 2

    await asyncio.to_thread(wait_for, is_half, "half the night", 60)
    victim.kill()
    return await asyncio.wait_for(process.wait(), 60)
