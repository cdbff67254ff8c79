"""What goes wrong in the safety phase, and when: all of it drawn from the seed.

Decides the weather (how likely each request is delayed, lost, refused, answered late or cut) and a list of blows: kill a
worker before one of its next steps, freeze one with or without a worker that takes its place, silence a broker, force a
rebalance, stop a worker in order, compact partials or standings up to any record, cut a flush short, say an old page or mark
again. `lose_reports` is the blow after which
nothing may be published any more. Refuses to know what comes of it; `KINDS` are the faults that a round must have seen.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from tests.simulation.cluster import Weather

if TYPE_CHECKING:
    from tests.simulation.clock import Process
    from tests.simulation.world import World


@dataclass(frozen=True)
class Lost:
    """What was taken from a partition of the report log: workers must name it from `first` to one of `lasts`."""

    partition: int
    first: int
    lasts: range

    def is_named_in(self, reason: str) -> bool:
        found = re.search(r"the report log lost records: partition (\d+), from (\d+), to (\d+)", reason)
        return (
            found is not None and [int(found[1]), int(found[2])] == [self.partition, self.first] and int(found[3]) in self.lasts
        )


KINDS = (
    "duplicate report", "reordered stations", "delay", "lost request", "cut run", "kill", "rebalance", "late thaw, stage 1",
    "late thaw, stage 2", "failed acknowledgement", "late acknowledgement", "failed commit", "silent broker",
    "compaction of partials", "compaction of standings", "shortened log", "flush cut short", "older page on top",
    "page said again", "newer page lost to compaction",
)  # fmt: skip

BLOW_SECONDS = ((0.3, 3.0), (0.3, 3.0), (1.0, 6.0))
"""Between two blows; a seed has one of these paces."""

KILL_STEPS = 600
"""A worker is killed before one of so many next steps: about two seconds of a busy one."""

CUT_STEPS = 60
"""After the request of a flush in whose midst a worker is killed: about as many as the next ones take."""

FREEZE_SHORT, FREEZE_LONG = (0.5, 6.0), (11.0, 16.0)
"""Below and above the session timeout of 10 s."""

SILENCE_SECONDS = (0.5, 8.0)
REFUSALS_SECONDS = 8.0
"""In which every worker is started, refuses and is started again, several times."""

SLOW_SHARE, SLOW_SECONDS = 0.6, 2.0
"""How often acknowledgements are slow around the thaw of one that froze while it sent, and for how long."""

LURK_SHARE = 0.6
REPLACED_SHARE = 0.5
"""How often another process is started in a frozen one's place at once, as a supervisor does that thinks it dead."""

AMBUSH_SHARE = 0.6
"""How often a worker freezes in the middle of sending standings or partials, not just anywhere."""

OWNER_SHARE = 0.7
"""How often it is the owner of the standings that freezes."""


def a_weather(chance: Random) -> Weather:
    return Weather(
        delay=chance.choice((0.0, 0.01, 0.06)),
        lost=chance.choice((0.0, 0.001, 0.005)),
        failed_ack=chance.choice((0.0, 0.01, 0.04)),
        fatal_ack=chance.choice((0.0, 0.0, 0.003)),
        late_ack=chance.choice((0.0, 0.02, 0.1)),
        failed_commit=chance.choice((0.0, 0.05, 0.2)),
        cut=chance.choice((0.0, 0.3, 0.95)),
    )


class Director:
    def __init__(self, world: World) -> None:
        self.world = world
        self.chance = Random(f"faults {world.seed}")
        self.lurking: dict[Process, tuple[asyncio.TimerHandle, Callable[[], None]]] = {}
        """Frozen while it sent standings → its thaw, which comes early if another one publishes."""

    async def direct(self) -> None:
        """Blows until cancelled."""
        blows = [self.kill] * 4 + [self.freeze] * 6 + [self.silence, self.rebalance, self.stop] + [self.compact] * 6
        blows += [self.cut_flush] * 8 + [self.say_again] * 4
        pace = self.chance.choice(BLOW_SECONDS)
        while True:
            await asyncio.sleep(self.chance.uniform(*pace))
            self.chance.choice(blows)()

    def _alive(self) -> list[Process]:
        return [s.process for s in self.world.slots if s.process is not None and not s.process.is_frozen]

    def kill(self) -> None:
        for process in self._some():
            process.dies_at = process.steps + self.chance.randint(1, KILL_STEPS)

    def cut_flush(self) -> None:
        """Killed soon after it sends of a flush, which may have more batches to come."""
        for process in self._some():

            def befall(process: Process = process) -> None:
                process.dies_at = process.steps + self.chance.randint(1, CUT_STEPS)

            self.world.cluster.ambushes[process] = (self.world.topics.partials, befall)

    def say_again(self) -> None:
        """A page or mark that was said before comes again, as from a worker that was frozen meanwhile: older than what stands
        there, mostly; and the topic may be compacted right then."""
        world = self.world
        if not world.said:
            return
        key = (world.topics.partials, 0)
        for old in self.chance.choices(list(world.said.values()), k=self.chance.randint(1, 4)):
            world.faults["page said again"] += 1
            world.cluster.append(key, [old])
        if self.chance.random() < 0.7:
            self._compact(world.topics.partials, "partials", world.cluster.logs[key].end)

    def _some(self) -> list[Process]:
        alive = self._alive()
        return [self.chance.choice(alive)] if alive else []

    def freeze(self) -> None:
        """Now, or in the middle of sending: what it sends then arrives when it thaws."""
        cluster, topics = self.world.cluster, self.world.topics
        for process in self._some():
            owner = cluster.group.owner(topics.partials, 0)
            chosen = owner if owner in self._alive() and self.chance.random() < OWNER_SHARE else process
            if self.chance.random() < AMBUSH_SHARE:
                topic = topics.standings if chosen is owner and self.chance.random() < OWNER_SHARE else topics.partials
                cluster.ambushes[chosen] = (topic, partial(self._freeze, chosen, is_sending=True))
            else:
                self._freeze(chosen, is_sending=False)

    def _freeze(self, chosen: Process, *, is_sending: bool) -> None:
        world, cluster = self.world, self.world.cluster
        slot = next((s for s in world.slots if s.process is chosen), None)
        if slot is None or chosen.is_frozen or world.phase != "safety":
            return
        seconds = self.chance.uniform(*self.chance.choice((FREEZE_SHORT, FREEZE_LONG)))
        worker = slot.workers.get(chosen)
        reports = {(world.topics.reports, p) for p in worker.counting.partitions} if worker else set()
        partials = {(world.topics.partials, 0)} if worker and worker.merging.is_owner else set()
        chosen.is_frozen = True
        world.faults["freeze"] += 1
        world.say(f"{chosen.name} freezes for {seconds:.1f} s{' while it sends' if is_sending else ''}")
        if is_sending or self.chance.random() < 0.5:
            cluster.held_until[chosen] = world.loop.time() + seconds
        if self.chance.random() < REPLACED_SHARE:
            slot.process = None
            world.loop.later(self.chance.uniform(0.0, 1.0), world._restart, slot)  # noqa: SLF001  (the simulation's own: a fault that is over)
        if is_sending and self.chance.random() < SLOW_SHARE:
            world.loop.later(seconds - SLOW_SECONDS / 2, self.slow_down)
        thawed = world.loop.later(seconds, self.thaw, chosen, reports, partials)
        if is_sending and partials and self.chance.random() < LURK_SHARE:
            self.lurking[chosen] = (thawed, partial(self.thaw, chosen, reports, partials))

    def standings_appended(self, process: Process | None) -> None:
        """The successor's first: the frozen owner thaws right then, and the successor does not hear of its own for a while."""
        for lurker, (thawed, thaw) in list(self.lurking.items()):
            if process is not lurker and lurker.is_frozen and self.world.phase == "safety":
                del self.lurking[lurker]
                thawed.cancel()
                self.slow_down()
                self.world.cluster.held_until.pop(lurker, None)
                self.world.loop.later(self.chance.uniform(0.0, 0.05), thaw)

    def slow_down(self) -> None:
        """So that what the thawed owner sent arrives between a record of its successor and the acknowledgement of that."""
        if self.world.phase == "safety":
            self.world.cluster.slow_until = self.world.loop.time() + SLOW_SECONDS

    def thaw(self, process: Process, reports: set[tuple[str, int]], partials: set[tuple[str, int]]) -> None:
        group = self.world.cluster.group
        is_member = any(m.owner is process for m in group.members.values())
        for owned, stage in ((reports, 1), (partials, 2)):
            if any(group.owner(*p) is not process and (group.owner(*p) is not None or not is_member) for p in owned):
                self.world.faults[f"late thaw, stage {stage}"] += 1
        self.world.say(f"{process.name} thaws")
        process.is_frozen = False

    def silence(self) -> None:
        cluster = self.world.cluster
        node = self.chance.randrange(cluster.node_count)
        seconds = self.chance.uniform(*SILENCE_SECONDS)
        cluster.silent_until[node] = max(cluster.silent_until.get(node, 0.0), self.world.loop.time() + seconds)
        self.world.faults["silent broker"] += 1
        self.world.say(f"broker {node} is silent for {seconds:.1f} s")

    def rebalance(self) -> None:
        group = self.world.cluster.group
        if group.members and not group.is_joining:
            self.world.say("the group rebalances")
            group.rebalance()

    def stop(self) -> None:
        for process in self._some():
            slot = next(s for s in self.world.slots if s.process is process)
            assert slot.stop is not None
            self.world.say(f"{process.name} is told to stop")
            slot.stop.set()
            self.world.faults["stop"] += 1

    def compact(self) -> None:
        world = self.world
        topic, what = self.chance.choice(((world.topics.partials, "partials"), (world.topics.standings, "standings")))
        end = world.cluster.logs[topic, 0].end
        if end:
            self._compact(topic, what, self.chance.randint(1, end))

    def _compact(self, topic: str, what: str, below: int) -> None:
        world = self.world
        if not world.cluster.compact((topic, 0), below):
            return
        world.faults[f"compaction of {what}"] += 1
        world.say(f"{topic} is compacted below {below}")
        if what == "partials":
            kept: dict[bytes | None, int] = {}
            for record in world.cluster.logs[topic, 0].records:
                changed_at = json.loads(record.value or b"{}").get("changed_at", 0)
                kept[record.key] = max(kept.get(record.key, 0), changed_at)
            lost = sum(kept.get(page, 0) < newest for page, newest in world.newest_pages.items())
            world.faults["newer page lost to compaction"] += lost

    # -- the blow after which nothing is published any more --------------------------------------------------------

    async def lose_reports(self) -> None:
        """Shorten the log of a partition whose records the published standings stand on; then start everything anew, so
        that every worker has to find it at its start."""
        world = self.world
        published = self._published()
        candidates = [p for p, n in published.items() if n > 0]
        if not candidates:
            return
        partition = self.chance.choice(candidates)
        key = (world.topics.reports, partition)
        log = world.cluster.logs[key]
        end = log.end
        if self.chance.random() < 0.5:
            world.cluster.shorten(key, head=self.chance.randint(1, end))
            world.lost = Lost(partition, 0, range(log.start - 1, log.start))
        else:
            world.cluster.shorten(key, tail=self.chance.randrange(published[partition]))
            # What was sent before may still reach the topic, and then the standings stand on more.
            world.lost = Lost(partition, log.end, range(published[partition] - 1, end))
        world.faults["shortened log"] += 1
        world.say(f"{key} now holds {log.start} … {log.end}")
        if self.chance.random() < 0.5:  # those who run may go on for a while: what they publish is still checked
            await asyncio.sleep(self.chance.uniform(0.0, 12.0))
        world.is_refusal_due = True
        world.born_after_loss.clear()
        world.cluster.weather = Weather()  # a broker that can't be asked can't show what it has lost
        world.cluster.silent_until.clear()
        for slot in world.slots:
            for process in [*slot.workers, slot.process]:
                if process is not None:
                    process.exit("killed")
        with suppress(TimeoutError):
            async with asyncio.timeout(REFUSALS_SECONDS):
                await world.is_over.wait()
        for slot in world.slots:
            if not any(p.name.startswith(slot.name) and not p.is_alive for p in world.born_after_loss):
                world.fail(f"no worker of {slot.name} refused the shortened log: {world.lost}")

    def _published(self) -> dict[int, int]:
        """Partition → highest next offset of any root that stands on the topic."""
        world = self.world
        highest = dict.fromkeys(range(world.night.partitions), 0)
        for record in world.cluster.logs[world.topics.standings, 0].records:
            message = json.loads(record.value or b"{}")
            if message.get("area") == world.night.election.root:
                for partition, n in message["provenance"]["next_offsets"].items():
                    highest[int(partition)] = max(highest[int(partition)], n)
        return highest
