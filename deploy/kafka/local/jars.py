"""Java, Maven and Kafka's jars: whether they are there, and what this version of Kafka makes once.

Decides whether a local Kafka can run on this machine, and fetches its jars into `.jars/`, one caller at a time. It knows
nothing of a running Kafka: `node.py` has one process, `cluster.py` one or three of them.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent

JARS = HERE / ".jars"

POM = HERE / "pom.xml"

JAVA_MINIMUM = 17
"""Kafka 4 brokers do not start on an older Java."""


class LocalKafkaError(RuntimeError):
    """Kafka could not be started or stopped; the message names the log file where there is one."""


def available() -> str | None:
    """Why a local Kafka cannot run on this machine, in one sentence; None when it can."""
    if not Path("/proc/self/cmdline").exists():
        return "local Kafka needs Linux: it knows its own processes by /proc"
    java = find_java()
    if java is None:
        return f"Java is missing: local Kafka needs a JDK or JRE {JAVA_MINIMUM} or newer"
    version = _java_version(java)
    if version < JAVA_MINIMUM:
        return f"Java {version} is too old: local Kafka needs {JAVA_MINIMUM} or newer"
    if not has_all_jars() and shutil.which("mvn") is None:
        return "Maven is missing: local Kafka needs `mvn` once, to fetch Kafka's jars"
    return None


def find_java() -> str | None:
    home = os.environ.get("JAVA_HOME")
    if home and (Path(home) / "bin" / "java").exists():
        return str(Path(home) / "bin" / "java")
    return shutil.which("java")


def _java_version(java: str) -> int:
    """The feature version (17 for "17.0.15", 8 for "1.8.0_392"); 0 when it does not say."""
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(?:1\.)?(\d+)', said)
    return int(found.group(1)) if found else 0


def _pom_digest() -> str:
    return hashlib.sha256(POM.read_bytes()).hexdigest()


def has_all_jars() -> bool:
    """Whether `.jars/` was filled to the end from the pom.xml that stands here now."""
    marker = JARS / "pom.sha256"
    return marker.exists() and marker.read_text() == _pom_digest()


def ensure_jars() -> None:
    """Have Kafka's jars in `.jars/`; runs Maven only if they are missing, one caller at a time."""
    if has_all_jars():
        return
    JARS.mkdir(exist_ok=True)
    with (JARS / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if has_all_jars():  # somebody else did it while we waited for the lock
            return
        for old in [*JARS.glob("*.jar"), JARS / "bootstrap.checkpoint"]:
            old.unlink(missing_ok=True)
        ran = subprocess.run(
            [
                *(
                    "mvn",
                    "--batch-mode",
                    "--quiet",
                    "--file",
                    str(POM),
                    "dependency:copy-dependencies",
                ),
                *("-DincludeScope=runtime", f"-DoutputDirectory={JARS}"),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if ran.returncode != 0:
            last = "\n".join((ran.stdout + ran.stderr).strip().splitlines()[-8:])
            raise LocalKafkaError(f"Maven could not fetch Kafka's jars into {JARS}:\n{last}")
        (JARS / "pom.sha256").write_text(_pom_digest())


def class_archive(java: str) -> Path:
    """Where Kafka's loaded classes are kept for this very Java: another build refuses the file."""
    said = subprocess.run([java, "-version"], capture_output=True, check=False).stderr
    return JARS / f"classes-{hashlib.sha256(said).hexdigest()[:12]}.jsa"
