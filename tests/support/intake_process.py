"""One intake as a real process, with a file of tokens beside it; killed and started again it has the same address."""

from __future__ import annotations

import signal
from collections.abc import Iterable
from pathlib import Path

from tally_stream.settings import Settings
from tally_stream.station.intake.identity import new_token, token_line
from tests.support.preloaded import Running, begun
from tests.support.processes import command, environment, free_port, said_in
from tests.support.waiting import wait_for
from tests.support.worker import planted_in

END_SECONDS = 60
"""Far above what it takes: of two hundred clients the machine is busy."""


def add_token(file: Path, stations: Iterable[str]) -> str:
    """A token for these, which the file then knows."""
    token = new_token()
    with file.open("a") as tokens:
        tokens.write(token_line(token, list(stations)))
    return token


class IntakeProcess:
    """`tally-stream intake`, for the tokens of a file."""

    def __init__(self, settings: Settings, election: Path | str, tokens: Path, log_path: Path, planted: str = "") -> None:
        """`planted`: a fault of tests/nights/planted/sitecustomize.py."""
        self._settings, self._log_path, port = settings, log_path, free_port()
        self._planted = planted_in(planted)
        self._words = ("intake", "--election", str(election), "--tokens", str(tokens), "--port", str(port))
        self.address = f"http://127.0.0.1:{port}"
        self.process = self._started()

    def _started(self) -> Running:
        with self._log_path.open("ab") as log:
            return begun(command(*self._words), {**environment(self._settings), **self._planted}, log)

    @property
    def log(self) -> str:
        return said_in(self._log_path)

    def wait_ready(self) -> IntakeProcess:
        """It listens; brokers may be there or not."""

        def look() -> bool:
            assert self.process.poll() is None, f"the intake ended with {self.process.returncode}:\n{self.log}"
            return self.log.count("intake at http") == self._starts

        wait_for(look, "the intake")
        return self

    _starts = 1

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def restart(self) -> None:
        self._starts += 1
        self.process = self._started()

    def close(self) -> None:
        """A clean end, and nothing that only a developer could read."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(END_SECONDS)
        assert code in (0, -signal.SIGKILL), f"{code}: {self.log}"
        assert "Traceback" not in self.log, self.log
