"""Elections of any number of areas and contests, made in memory: what is looked at is how work grows."""

from __future__ import annotations

from tally_stream.domain.contest import Candidate, Contest, Rounding
from tally_stream.domain.election import Election, build_election


def election_of(
    *, regions: int, towns: int, contests: int, candidates: int = 11, named_stations: dict[str, list[str]] | None = None
) -> Election:
    """Regions of so many towns, one polling station in each (S00001 in town 1 of region 0), and contests that are held
    everywhere, or at `named_stations` alone."""
    names = [(f"X/R{r:02}", f"Région {r}") for r in range(regions)]
    names += [(f"X/R{r:02}/T{t:03}", f"Dürrheim {r * towns + t}") for r in range(regions) for t in range(towns)]
    return build_election(
        id="MANY", name="An election of many", phase="test", polls_close_ms=1_767_294_000_000, root="X", root_name="Everywhere",
        levels=("region", "town"), publish_depth=2,
        contests=[
            Contest(f"C{n:04}", f"District {n}, seat of Königsberg", 1, "plurality", "valid", None, Rounding("half-up", 2),
                    tuple(Candidate(f"K{k}", f"Candidate {k} of {n}", "Party") for k in range(candidates)))
            for n in range(contests)
        ],
        area_names=names, named_stations=named_stations,
        stations=[(f"S{r:02}{t:03}", f"School {t}", 900, None, (f"R{r:02}", f"T{t:03}")) for r in range(regions) for t in range(towns)],
    )  # fmt: skip
