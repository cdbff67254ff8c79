"""A good election folder, written out, with changes: what the folder tests break one thing at a time.

Its second contest has two seats and one candidate, which is the one warning that it gives.
"""

from pathlib import Path

import pytest

from tally_stream.domain.election import Election
from tally_stream.wire.folder.assembling import ElectionFolderError, load_election, read_folder
from tally_stream.wire.folder.doubts import doubts_of

TOML = """\
id = "X-2024"
name = "An election"
phase = "official"
polls_close = 2024-02-07T19:00:00+04:00

[areas]
root = "X"
root_name = "Everywhere"
levels = ["region", "town"]
publish_depth = 1

[[contests]]
id = "PRES"
name = "President"
seats = 1
rule = "majority"
majority_base = "valid"
rounding = { method = "half-up", places = 2 }

[[contests.candidates]]
id = "ANNA"
name = "Anna Ahl"
party = "Greens"

[[contests.candidates]]
id = "BELA"
name = "Béla Bodó"

[[contests]]
id = "SEAT"
name = "Council"
seats = 2
rule = "plurality"
rounding = { method = "largest-remainder", places = 0 }

[[contests.candidates]]
id = "CLEO"
name = "Cleo"

[[exit_polls]]
contest = "PRES"
pollster = "Street Poll"
publish_after = 2024-02-07T20:00:00+04:00
shares = { ANNA = 52.10, BELA = 48 }

[checks]
P5_turnout_percent = 97.5
Q7_skew_seconds = 60

[[skip]]
partition = 0
offset = 123
reason = "crashes the code"
authority = "commission"
"""
STATIONS = """\
station_id,name,registered,ballots_expected,region,town
A-1,School 1,200,,North,Alder
A-2,,100,90,North,Birch
B-1,"Hall, town",,250,South,Alder
"""
AREAS = """\
area,name
X/North,The North
X/South,The South
"""


class Folder:
    """`replace` swaps texts in one of its files; `load` reads it; `mistakes` are the sentences that refuse it;
    `warnings` those of `check` that do not."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.write("election.toml", TOML)
        self.write("stations.csv", STATIONS)
        self.write("areas.csv", AREAS)

    def write(self, name: str, text: str | bytes) -> None:
        (self.path / name).write_bytes(text.encode() if isinstance(text, str) else text)

    def replace(self, *pairs: tuple[str, str], name: str = "election.toml") -> "Folder":
        text = (self.path / name).read_text(encoding="utf-8")
        for old, new in pairs:
            assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {name}"
            text = text.replace(old, new)
        self.write(name, text)
        return self

    def load(self) -> Election:
        return load_election(self.path)

    def warnings(self) -> list[str]:
        return [doubt.removeprefix(f"{self.path}/") for doubt in doubts_of(read_folder(self.path))]

    def mistakes(self) -> list[str]:
        with pytest.raises(ElectionFolderError) as caught:
            self.load()
        assert str(caught.value) == "\n".join(caught.value.shown)
        assert set(caught.value.shown[:-1]) <= set(caught.value.errors)
        return [error.removeprefix(f"{self.path}/") for error in caught.value.shown]
