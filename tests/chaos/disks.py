"""Faults of disks and of the power, as scenes: what a broker acknowledged and its disk has not, has wrongly, or takes slowly.

They follow docs/runbook.md as an operator would: after a power cut the workers start with `--resend`; a replica with a
turned bit is wiped. Each asserts that its fault happened. `run.py` checks after each scene, as after every other, that nothing
acknowledged is lost and that everything published is what the log gives.
"""

from __future__ import annotations

import os
import re
import resource
import shlex
import shutil
import signal
import statistics
import time
from pathlib import Path

from aiokafka.errors import CorruptRecordException

from deploy.kafka.local.disk import KafkaOnDisks
from deploy.kafka.local.tools import TOOLS
from tests.chaos.cluster import in_sync, is_left_out, partitions
from tests.chaos.stage import SESSION_OVER, SESSION_SECONDS, Stage, until, worker_pid
from tests.support.brokers import KafkaThree
from tests.support.doc_pages import marked
from tests.support.paths import DOCS
from tests.support.runbook import ADDRESS, STEPS, kafka_tool
from tests.support.topics import read_topic
from tests.support.waiting import wait_for

PLACE_AND_LENGTH, BATCH_HEADER = 12, 61
"""Bytes of a batch in a segment: before what its length counts, and before its records."""

MEND = marked(DOCS / "runbook.md", "mend")["a replica"].text.splitlines()
TURNED = r"the batch at offset \d+ is not what was written, its checksum"
FULL_ROOM_BYTES = 100_000
SLOW_SECONDS, SLOW_SYNC_MS = 20, 500


class KafkaThreeOnDisks(KafkaThree, KafkaOnDisks):
    """Three nodes, of whose disks is known what is on them."""


def cut_the_power(stage: Stage) -> None:
    """All brokers at once lose what their disks do not have: of the reports nothing that was acknowledged. What is published
    goes with all its topics, and is made again by a worker that starts as the runbook has it."""
    before = len(stage.stations.acknowledged)
    wait_for(lambda: len(stage.stations.acknowledged) > before, "an acknowledgement just before")
    since = time.monotonic()
    cuts = stage.kafka.cut_power()
    lost: dict[str, int] = {}
    for cut in cuts:
        if cut.path.suffix == ".log":
            name = cut.path.parent.name.removeprefix(f"{stage.settings.prefix}.").rpartition("-")[0]
            lost[name] = lost.get(name, 0) + cut.size - cut.left
    assert lost.get("standings", 0) > 0, f"everything was on the disks: this is no power cut ({lost})"
    stage.workers.pop("one").close()  # its machine had no other power
    stage.newsroom.begin_again()
    stage.kafka.power_on()
    (*_, worker) = STEPS["a power cut"]
    stage.start("one", *shlex.split(worker)[4:]).wait_ready(stage.settle_seconds)
    stage.measure(since, 1 if stage.is_short else SESSION_SECONDS)
    in_sync(stage.settings)
    stage.notes.append("lost " + ", ".join(f"{size / 1e6:.1f} MB of {name}" for name, size in sorted(lost.items())))


def turn_a_bit(stage: Stage) -> None:
    """In the leader's segment of each kind of topic, while all is well elsewhere. Who reads it says so; another replica is
    read once its broker is gone; its own copy is wiped, and made again from the others'."""
    stage.may_end_of += [*SESSION_OVER, r"CorruptRecordException"]
    for name in ("reports", "partials", "standings", "rejections", "changes"):
        topic = f"{stage.settings.prefix}.{name}"
        in_sync(stage.settings)
        leader = partitions(stage.settings)[topic, 0].leader
        replica = stage.kafka.nodes[leader - 1].data / f"{topic}-0"
        offset = _turn_a_bit_in(replica)
        said = ""
        try:
            read_topic(stage.settings, name)
        except CorruptRecordException as error:
            said = str(error)
        assert re.search(rf"{re.escape(topic)}, partition 0: {TURNED}", said), (
            f"{topic}: a turned bit was read as if nothing were"
        )
        is_read_at_start = name in ("reports", "partials", "standings")
        if is_read_at_start:
            _start_meets_it(stage, topic)
        _mend_as_the_runbook_says(stage, name, leader)
        stage.notes.append(f"{name}: a bit of byte {offset:,} at broker {leader}")


def _mend_as_the_runbook_says(stage: Stage, name: str, leader: int) -> None:
    """The lines of docs/runbook.md; `systemctl` is the broker's process here."""
    node, topic, since = stage.kafka.nodes[leader - 1], f"{stage.settings.prefix}.{name}", time.monotonic()
    for line in MEND:
        match shlex.split(line.replace("tally.reports", topic)):
            case ["kafka-topics.sh", *words]:
                told = kafka_tool(TOOLS["kafka-topics.sh"], *(stage.settings.bootstrap if w == ADDRESS else w for w in words))
                assert re.search(rf"Partition: 0\s+Leader: {leader}\s", told), told
            case ["systemctl", "stop", "kafka"]:
                stage.kafka.kill(leader)
                wait_for(lambda: is_left_out(stage.settings, leader), f"broker {leader} to be missed")
                assert read_topic(stage.settings, name)[1], f"{name} is not read from another replica"
                stage.measure(since, 1)
            case ["rm", "-r", folder]:
                shutil.rmtree(folder.replace("LOG_DIR", str(node.data)))
            case ["systemctl", "start", "kafka"]:
                stage.kafka.restart(leader)
            case _:
                raise AssertionError(f"nobody here can do this: {line}")
    in_sync(stage.settings, 300)


def _turn_a_bit_in(replica: Path) -> int:
    """In the batch in the middle of what its oldest segment holds; the byte. Not in the first 21 of a batch, its place and
    length: their checksum does not cover them, and no reader takes a batch that stands elsewhere than was asked for."""
    segment = min(path for path in replica.glob("*.log") if path.stat().st_size)
    with segment.open("r+b") as file:
        content = file.read()
        at = 0
        while at < len(content) // 2:
            begin, at = at, at + PLACE_AND_LENGTH + int.from_bytes(content[at + 8 : at + PLACE_AND_LENGTH], "big")
        byte = (begin + BATCH_HEADER + min(at, len(content))) // 2
        file.seek(byte)
        file.write(bytes([content[byte] ^ 1]))
    return byte


def _start_meets_it(stage: Stage, topic: str) -> None:
    """A worker that starts reads these topics from their beginning: it ends naming topic and partition, and publishes nothing."""
    worker = stage.workers["one"]
    names_it = rf"{re.escape(topic)}, partition 0: {TURNED}"
    told = len(re.findall(names_it, worker.log))
    os.kill(worker_pid(worker), signal.SIGKILL)
    wait_for(lambda: len(re.findall(names_it, worker.log)) > told, f"the worker to name {topic}", stage.settle_seconds)


def fill_a_disk(stage: Stage) -> None:
    """One broker's files can grow no more, in the middle of a batch: it ends itself, the others go on. Then there is room."""
    stage.may_end_of += SESSION_OVER
    number = partitions(stage.settings)[f"{stage.settings.prefix}.reports", 0].leader
    node = stage.kafka.nodes[number - 1]
    largest = max(path.stat().st_size for path in node.data.glob(f"{stage.settings.prefix}.reports-*/*.log"))
    since = time.monotonic()
    assert node.pid is not None
    resource.prlimit(node.pid, resource.RLIMIT_FSIZE, (largest + FULL_ROOM_BYTES, resource.RLIM_INFINITY))
    wait_for(lambda: not node.is_running, f"broker {number} to end of a full disk", stage.settle_seconds)
    assert "File too large" in node.log_file.read_text(errors="replace"), "it ended of something else"
    wait_for(lambda: is_left_out(stage.settings, number), f"broker {number} to be missed")
    stage.measure(since)
    stage.kafka.restart(number)
    in_sync(stage.settings, 300)
    stage.notes.append(f"broker {number}, which led, could write no more and ended")


def slow_a_disk(stage: Stage) -> None:
    """Each sync of one broker takes half a second: acknowledgements wait for it, and come. It leads a partition of reports, of
    which every batch is synced, so that none of its reports can be acknowledged sooner."""
    stage.may_end_of += SESSION_OVER
    number = partitions(stage.settings)[f"{stage.settings.prefix}.reports", 0].leader
    since, before = time.monotonic(), len(stage.stations.acknowledged)
    stage.kafka.slow_disk(number, SLOW_SYNC_MS)
    slow = time.monotonic()
    until(since + SLOW_SECONDS, "the slow disk")
    waits = [waited for partition, begun, waited in stage.stations.waits.copy() if partition == 0 and begun > slow]
    acknowledged = len(stage.stations.acknowledged) - before
    stage.kafka.slow_disk(number, 0)
    stage.measure(since)
    assert waits, "nothing was acknowledged while one disk was slow"
    assert min(waits) >= SLOW_SYNC_MS / 1000, f"a report was acknowledged after {min(waits):.3f} s: the disk was not slow"
    stage.notes.append(
        f"broker {number} synced half a second late, {acknowledged:,} reports were acknowledged in {SLOW_SECONDS} s, those of its "
        f"partition after {statistics.median(waits):.1f} s (p50)"
    )
