"""Some of the faults once more, seen from outside: by the auditor of the simulation, who knows only what was published."""

from tests.mutants.planted import STREAM, Mutant

MUTANTS = (
    Mutant("commit before the acknowledgement", f"{STREAM}/counting.py",
           "offsets = await self._partials.send([(one.key, one.value) for one in written])",
           "asyncio.ensure_future(self._partials.send([(one.key, one.value) for one in written]))\n        offsets = [-1] * len(written)",
           seeds=(2, 3, 5)),
    Mutant("forget what waits behind a hold at the commit", f"{STREAM}/counting.py",
           "held.take_below(owned.fold.published_offset(contest))", "held.take_below(owned.fold.next_offset)",
           seeds=(8, 9, 17)),
    Mutant("forget kept outputs in a rebalance", f"{STREAM}/counting.py",
           "            if partition in self.partitions:\n",
           "            if partition in self.partitions:\n                self.partitions[partition].held_back.clear()\n",
           seeds=(26, 68, 106)),
    Mutant("drop the sum check", f"{STREAM}/pages.py",
           "return self._changed_sum == mark.changed_sum and all(", "return all(", seeds=(4, 5, 14)),
    Mutant("all for one member", f"{STREAM}/shares.py",
           "least + (place < larger_count)", "len(partitions) * (place == 0)", seeds=(0, 1, 2)),
)  # fmt: skip
