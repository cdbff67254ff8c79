"""Who is asked, and that he does not answer yet: for a person who would else look at nothing.

A broker that is frozen takes connections and says nothing; the clients' own limits pass after half a minute and more.
"""

from __future__ import annotations

import asyncio

from tally_stream.cli.common import warn
from tally_stream.settings import Settings

SILENCE_SECONDS = 5.0


def asked_at(settings: Settings) -> str:
    """The brokers, or the intake that is there in their place."""
    from tally_stream.station.intake.sending import uses_intake_alone

    if uses_intake_alone(settings):
        return str(settings.intake_url)
    if "bootstrap" not in settings.model_fields_set:
        return f"{settings.bootstrap} (TALLY_BOOTSTRAP is not set)"
    return settings.bootstrap


class Silence:
    """`begin` when a question is asked, `end` when it is answered. What is said by `warn` meanwhile ends it too."""

    def __init__(self, settings: Settings) -> None:
        self._line = f"{asked_at(settings)} does not answer yet"
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        self.end()
        self._timer = asyncio.get_running_loop().call_later(SILENCE_SECONDS, warn, self._line)

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def warn(self, line: str) -> None:
        self.end()
        warn(line)
