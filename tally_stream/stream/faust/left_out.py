"""What Faust has and this worker does without: tables, and a monitor that counts messages."""

from __future__ import annotations

from typing import Any

from faust.sensors.base import Sensor
from faust.tables.manager import TableManager
from faust.types import TP


class SlimMonitor(Sensor):  # type: ignore[misc]  # faust is not followed by mypy
    """Faust's monitor with nothing in it: our own metrics count records, which Faust cannot see."""

    def on_tp_commit(self, tp_offsets: Any) -> None:
        """Called after each commit."""

    def track_tp_end_offset(self, tp: TP, offset: int) -> None:
        """Called for each fetched message of other topics."""


class NoTables(TableManager):  # type: ignore[misc]  # as above
    """Faust's table manager without tables: it starts the seeks after a rebalance, which we need, and waits for nothing."""

    async def on_start(self) -> None:
        """As Faust's without its first second, in which an app would register tables; nothing is subscribed meanwhile.

        What acts on an assignment stands before there can be one: `_update_channels` is what the subscription waits for.
        """
        await self.recovery.start()
        await self._update_channels()
