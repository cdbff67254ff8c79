"""One worker as a real process: its log, its health and metrics, its end. For Kafka topics see `topics.py`."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tally_stream.settings import Settings
from tests.support.paths import ROOT
from tests.support.preloaded import Running, begun
from tests.support.processes import LIFELINE, command, environment, terminated
from tests.support.waiting import wait_for

PLANTED = ROOT / "tests" / "nights" / "planted"


def planted_in(fault: str) -> dict[str, str]:
    """What a process's environment has for a fault of tests/nights/planted/sitecustomize.py; nothing for none."""
    return {"PYTHONPATH": f"{PLANTED}:{ROOT}", "TALLY_TEST_PLANTED": fault} if fault else {}


class WorkerProcess:
    """One `tally-stream worker` in a process of its own."""

    def __init__(
        self,
        settings: Settings,
        election: str,
        log_path: Path,
        *flags: str,
        is_supervised: bool = False,
        planted: str = "",
        through: Sequence[str] = (),
    ) -> None:
        """`planted`: a fault of tests/nights/planted/sitecustomize.py; `through`: a program that runs it, with its flags."""
        self.log_path = log_path
        self._log = log_path.open("wb")
        once = [] if is_supervised else ["--once"]
        words = command("worker", "--election", election, "--metrics-port", "0", "--rehearsal", *once, *flags)
        env = {**environment(settings), **planted_in(planted)}
        self.process: Running
        if through:
            self.process = subprocess.Popen(
                [*through, *words], **LIFELINE.arguments(env), stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log
            )
        else:
            self.process = begun(words, env, self._log)

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def address(self) -> str:
        """Where metrics and health are served now: a worker that was started again has another port."""

        def look() -> str | None:
            assert self.process.poll() is None, f"the worker ended with {self.process.returncode}:\n{self.log}"
            told = re.findall(r"metrics at (\S+)/metrics\n", self.log)
            return told[-1] if told else None

        return wait_for(look, "the worker's address")

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(self.address() + path, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def wait_ready(self, limit_seconds: float = 120) -> WorkerProcess:
        def look() -> bool:
            assert self.process.poll() is None, f"the worker ended with {self.process.returncode}:\n{self.log}"
            return self.get("/readyz")[0] == 200

        wait_for(look, f"the worker to be ready:\n{self.log}", limit_seconds)
        return self

    def next_offsets(self) -> dict[int, int]:
        _, text = self.get("/readyz")
        partitions = json.loads(text)["partitions"] if text else {}
        return {int(p): state["next_offset"] for p, state in partitions.items()}

    def verdicts(self) -> Counter[str]:
        """Verdict → records, over the partitions this worker owns, and `read` beside them."""
        counts: Counter[str] = Counter()
        for line in self.get("/metrics")[1].splitlines():
            if line.startswith("tally_verdicts_total{"):
                counts[line.split('verdict="')[1].split('"')[0]] += int(float(line.rsplit(" ", 1)[1]))
            elif line.startswith("tally_records_read_total{"):
                counts["read"] += int(float(line.rsplit(" ", 1)[1]))
        return counts

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        code = terminated(self.process)
        self._log.close()
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.kill()
        self._log.close()
