"""The keys of a simulated night whose statements are signed: private ones that everybody can make again from the seed.

Decides whose key signs what: a station's own what it states, the commission's what an authority orders and what is said under
a name that no station has. Beside these there are keys that may not sign when they do. Refuses to know what is said
(`simulate_stories.py`) and which wrong signatures there are (`simulate_signed.py`).
"""

from __future__ import annotations

from collections.abc import Iterator

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tally_stream.domain.keys import SIGNED_KINDS
from tally_stream.domain.scalars import format_time
from tally_stream.station.signing_key import SealingKey
from tally_stream.station.simulate_draws import Draws
from tally_stream.station.simulate_places import CLOSE_MS, MINUTE_MS, Country

STATION_KINDS = ("correct", "report", "turnout")
COMMISSION_KEY = "COMMISSION"
REVOKED, ADDED, EXPIRED, EARLY, STRANGER = "STOLEN", "SPARE", "TOO-OLD", "TOO-NEW", "STRANGER"
"""Revoked and added on the record before the first report; too old and too new; and one that nobody has ever named."""
_KEY = 8
_BITS = 1 << 32
_YEAR_MS = 365 * 24 * 60 * MINUTE_MS
_NEXT_CENTURY = "2101-01-01T00:00:00.000Z"
"""A night may be played on any day, and an intake's records have the time of that day."""


class NightKeys:
    """Keys by their ids; none is kept, each is made when it signs."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def key(self, key_id: str) -> SealingKey:
        draws = Draws(self._seed, _KEY, *key_id.encode())
        return SealingKey(
            key_id, Ed25519PrivateKey.from_private_bytes(b"".join(draws.below(_BITS).to_bytes(4, "big") for _ in range(8)))
        )

    def seal(self, value: bytes, key_id: str) -> bytes:
        return self.key(key_id).seal(value)

    def rows(self, country: Country) -> Iterator[str]:
        """Of keys.csv, without their line ends."""
        yield "key_id,holder,station,kinds,public_key,valid_from,valid_to"
        all_kinds, own = " ".join(sorted(SIGNED_KINDS)), " ".join(STATION_KINDS)
        yield f"{COMMISSION_KEY},Electoral commission,,{all_kinds},{self.key(COMMISSION_KEY).public},,"
        yield f"{REVOKED},A laptop that was stolen,,{own},{self.key(REVOKED).public},,"
        yield f"{EXPIRED},A key of the last election,,{own},{self.key(EXPIRED).public},,{format_time(CLOSE_MS - _YEAR_MS)}"
        yield f"{EARLY},A key of the next century,,{own},{self.key(EARLY).public},{_NEXT_CENTURY},"
        for station in range(country.stations):
            id = country.id_of(station)
            yield f"{key_id_of(id)},Polling station {station + 1},{id},{own},{self.key(key_id_of(id)).public},,"


def key_id_of(station_id: str) -> str:
    return f"K-{station_id}"
