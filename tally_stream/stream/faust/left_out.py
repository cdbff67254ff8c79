"""What Faust has and this worker does without: tables, and a monitor that counts messages.

A table's offset is committed ahead of its changelog, so a kill loses reports; here a partition's state is built by reading
its log (docs/adr). A message is a run, so what a monitor counts would be runs: `tally_stream/metrics.py` counts records.
"""

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
    """Faust's table manager without tables. It stays because it is what has Faust seek after a rebalance (`perform_seek`)."""

    async def on_start(self) -> None:
        """As Faust's, without the second that it sleeps for an app to register tables, and in the other order.

        Nothing is subscribed before `_update_channels`, so `recovery`, which acts on assignments, runs before there is one.
        """
        await self.recovery.start()
        await self._update_channels()
