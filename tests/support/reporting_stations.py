"""An election folder of two stations and two candidates, X-2024, in which `report_messages.counts` is a good report."""

from __future__ import annotations

from pathlib import Path


def write_election(folder: Path, *more_contests: str, station_count: int = 0) -> Path:
    """With stations S-0, S-1, … where they are counted."""
    folder.mkdir()
    contests = "".join(
        f'[[contests]]\nid = "{id}"\nname = "{id.title()}"\nrule = "plurality"\n'
        'rounding = { method = "half-up", places = 2 }\n'
        '[[contests.candidates]]\nid = "ANNA"\nname = "Anna"\n[[contests.candidates]]\nid = "BELA"\nname = "Bela"\n'
        for id in ("PRES", *more_contests)
    )
    (folder / "election.toml").write_text(
        'id = "X-2024"\nname = "An election"\nphase = "official"\npolls_close = 2024-02-07T19:00:00+04:00\n'
        '[areas]\nroot = "X"\nroot_name = "All"\nlevels = []\npublish_depth = 0\n' + contests
    )
    more = "".join(f"S-{n},School {n},200,\n" for n in range(station_count))
    (folder / "stations.csv").write_text(
        "station_id,name,registered,ballots_expected\nA-1,School,200,\nB-1,Town hall,300,\n" + more
    )
    return folder
