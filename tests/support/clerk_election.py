"""An election for the clerk's page: two contests at three stations, and a name that would be markup."""

from __future__ import annotations

from tally_stream.domain.contest import Candidate, Contest, Rounding
from tally_stream.domain.election import Election
from tests.support.small_elections import election, station

HOSTILE = "<img src=x onerror=\"document.title='broken'\"><script>document.title=1</script>"


def clerks_election() -> Election:
    """Three stations; a contest for one vote with a hostile name in it, and one for two votes a ballot."""
    rounding = Rounding("half-up", 2)
    mayor = Contest(
        "MAYOR", "Mayor", 1, "plurality", "valid", None, rounding,
        (Candidate("ANNA", "Anna Ahl", "Greens"), Candidate("EVIL", HOSTILE, "party " + HOSTILE)),
    )  # fmt: skip
    board = Contest(
        "BOARD", "School board", 2, "plurality", "valid", None, rounding,
        (Candidate("CLEO", "Cleo"), Candidate("DORA", "Dora")), votes_per_ballot=2,
    )  # fmt: skip
    return election([station("A-1"), station("A-2"), station("B-1")], [mayor, board], phase="test")
