"""The spool's figures as a file that node_exporter serves to Prometheus: a station's machine has nothing else that listens.

Decides what is written and that nothing waits for it: a file that cannot be written is told once, and reports are sent as ever.
A time stands there, never an age: a file that nobody writes any more goes on telling how long its statements have waited.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from tally_stream.cli.common import warn
from tally_stream.cli.sealing import key_id_of
from tally_stream.cli.status_seen import end_of_certificate
from tally_stream.domain.election import Election
from tally_stream.metrics import SPOOL_METRICS, SPOOL_STATES, Sample, write_file
from tally_stream.settings import Settings
from tally_stream.station.spool import SpoolFigures

AGAIN_SECONDS = 20.0
"""Before the same figures are written anew."""

Watch = Callable[[SpoolFigures], None]


def watch_of(settings: Settings, election: Election) -> Watch:
    """What to call with the figures of a spool: it writes the file that the settings name, and nothing where they name none."""
    if settings.spool_metrics_file is None:
        return lambda figures: None
    return _SpoolFile(Path(settings.spool_metrics_file), settings, election)


class _SpoolFile:
    def __init__(self, path: Path, settings: Settings, election: Election) -> None:
        self._path, self._of = path, (election.id, f"{settings.prefix}.reports")
        self._ends = dict(_ends(settings, election))
        self._is_told = False
        self._last: SpoolFigures | None = None
        self._written_at = 0.0

    def __call__(self, figures: SpoolFigures) -> None:
        if figures == self._last and time.monotonic() - self._written_at < AGAIN_SECONDS:
            return  # who waits for receipts looks twice a second
        self._last, self._written_at = figures, time.monotonic()
        try:
            write_file(self._path, self._samples(figures), SPOOL_METRICS)
        except OSError as error:
            if not self._is_told:
                self._is_told = True
                warn(f"TALLY_SPOOL_METRICS_FILE: {self._path}: {error.strerror or error}: the spool's figures are not written, "
                     "its statements are sent as ever")  # fmt: skip

    def _samples(self, figures: SpoolFigures) -> dict[str, Iterable[Sample]]:
        oldest = 0.0 if figures.oldest_unsent_ms is None else figures.oldest_unsent_ms / 1000
        return {
            "tally_spool_unsent_statements": [(self._of, figures.unsent_count)],
            "tally_spool_oldest_unsent_timestamp_seconds": [(self._of, oldest)],
            "tally_spool_newest_statements": [((*self._of, state), figures.newest.get(state, 0)) for state in SPOOL_STATES],
            "tally_spool_written_timestamp_seconds": [(self._of, round(time.time(), 3))],
            "tally_spool_credential_ends_timestamp_seconds": [((*self._of, what), ends) for what, ends in self._ends.items()],
        }


def _ends(settings: Settings, election: Election) -> Iterable[tuple[str, float]]:
    """What we prove with who we are → when that ends, as far as this machine knows."""
    files = {
        "kafka-certificate": settings.security_certfile if settings.uses_tls else None,
        "intake-certificate": settings.intake_certfile if settings.intake_url is not None else None,
    }
    for what, file in files.items():
        if file is not None:
            try:
                yield what, end_of_certificate(file)
            except (OSError, ValueError) as error:
                warn(f"when the certificate in {file} ends is not known: {error}")
    key = election.keys.get(key_id_of(settings, election) or "")
    if key is not None and key.valid_to_ms is not None:
        yield "signing-key", key.valid_to_ms / 1000
