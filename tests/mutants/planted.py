"""What a planted fault is; those of each room stand in `in_<room>.py`, and `run.py` plays all of them."""

from dataclasses import dataclass

STREAM, DOMAIN = "tally_stream/stream", "tally_stream/domain"


@dataclass(frozen=True)
class Mutant:
    name: str
    file: str
    old: str
    new: str
    test: str = ""
    """Or several with a space between them: each must catch it."""
    seeds: tuple[int, ...] = ()
    """Of the simulation, instead of a test: one of them must fail. A change of the simulation itself gives a seed another
    night; find others with `make simulate` in a copy that has the fault."""
