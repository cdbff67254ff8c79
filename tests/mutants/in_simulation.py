"""Some of the faults once more, seen from outside: by the auditor of the simulation, who knows only what was published."""

from tests.mutants.planted import DOMAIN, STREAM, Mutant

MUTANTS = (
    Mutant("commit before the acknowledgement", f"{STREAM}/counting.py",
           "await asyncio.gather(*futures)", "[0] * len(futures)", seeds=(1, 6, 9)),
    Mutant("forget what waits behind a hold at the commit", f"{STREAM}/counting.py",
           "held.take_below(owned.fold.figures(contest).next_offset)", "held.take_below(owned.fold.next_offset)",
           seeds=(11, 13, 14)),
    Mutant("forget kept outputs in a rebalance", f"{STREAM}/counting.py",
           "            if partition in self.partitions:\n",
           "            if partition in self.partitions:\n                self.partitions[partition].held_back.clear()\n",
           seeds=(13, 14, 18)),
    Mutant("accept an older partial", f"{DOMAIN}/standings.py",
           "figures.next_offset <= old.next_offset:", "figures.next_offset == old.next_offset:", seeds=(9, 31, 35)),
    Mutant("leave an older record of another owner on top", f"{STREAM}/merging.py",
           "if offset > sent.offset and version < sent.version:", "if False:", seeds=(244, 338)),
    Mutant("all for one member", f"{STREAM}/shares.py",
           "least + (place < larger_count)", "len(partitions) * (place == 0)", seeds=(0, 1, 2)),
)  # fmt: skip
