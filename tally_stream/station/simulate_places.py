"""An invented country: its regions and districts, its polling stations, how large each is and when it reports.

Decides the size of a station and its times, each from the seed and its number alone: small stations are ready first, a few take
very long, and whole regions are silent for an hour, then heard at once. Refuses to know contests and what is reported; read
`simulate_sheets.py` next.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator

from tally_stream.station.simulate_draws import Draws

ROOT = "SIM"
STATIONS_A_DISTRICT = 50
STATIONS_MAX = 2_000_000
REGISTERED_MEDIAN = 900
REGISTERED_MIN = 60
"""So that the smallest station still has some ballots for each candidate."""
MINUTE_MS = 60_000
CLOSE_MS = 1_748_800_800_000
"""2025-06-01T20:00:00+02:00. A day that is over: a broker refuses times that lie ahead of its own."""
SILENT_MS = 60 * MINUTE_MS
CAUGHT_UP_MS = 30_000
"""After the silence everything arrives within this time."""
ONE_REGION_SILENT_IN = 8
_SIZE, _TIME, _SILENCE = 1, 2, 3


class Country:
    """Polling stations, by number from 0; nothing is held of them."""

    def __init__(self, stations: int, seed: int) -> None:
        self.stations = stations
        self.districts = max(1, stations // STATIONS_A_DISTRICT)
        self.regions = max(1, min(self.districts // 4, 200))
        self._seed = seed
        self._digits = max(4, len(str(stations)))
        self.silences = dict(self._silences())
        """Region → when it falls silent, in ms since 1970."""

    def _silences(self) -> Iterator[tuple[int, int]]:
        draws = Draws(self._seed, _SILENCE)
        for _ in range(1 + self.regions // ONE_REGION_SILENT_IN):
            yield draws.below(self.regions), CLOSE_MS + draws.between(30, 90) * MINUTE_MS

    def id_of(self, station: int) -> str:
        return f"S{station + 1:0{self._digits}d}"

    def district_of(self, station: int) -> int:
        return min(station // STATIONS_A_DISTRICT, self.districts - 1)

    def region_of(self, station: int) -> int:
        return self.district_of(station) * self.regions // self.districts

    def registered(self, station: int) -> int:
        return max(REGISTERED_MIN, Draws(self._seed, _SIZE, station).spread(REGISTERED_MEDIAN))

    def counted_ms(self, station: int, contest: int) -> int:
        """When its count is ready, to the second: a contest after the other, the larger the later, a few very late."""
        draws = Draws(self._seed, _TIME, station)
        seconds = 600 + self.registered(station) * draws.between(2, 7)
        if draws.below(100) < 4:
            seconds = seconds * draws.between(20, 60) // 10
        for _ in range(contest):
            seconds += draws.between(120, 900)
        return CLOSE_MS + seconds * 1000

    def arrival_ms(self, station: int, said_ms: int) -> int:
        """When what a station says then reaches the log. Of two statements the earlier stays the earlier."""
        silent_ms = self.silences.get(self.region_of(station))
        if silent_ms is None:
            return said_ms
        heard_ms = silent_ms + SILENT_MS
        after_ms = said_ms - silent_ms
        if not 0 <= after_ms < SILENT_MS + CAUGHT_UP_MS:
            return said_ms
        return heard_ms + after_ms * CAUGHT_UP_MS // (SILENT_MS + CAUGHT_UP_MS)

    def in_order(self, first_ms: Iterator[int]) -> Iterator[tuple[int, int]]:
        """(time, station) in the order of time; `first_ms` has each station's, in their order. Holds a number a station."""
        begin = CLOSE_MS - 24 * 60 * MINUTE_MS
        numbers = array("Q", ((ms - begin) * STATIONS_MAX + station for station, ms in enumerate(first_ms)))
        for number in sorted(numbers):
            after_ms, station = divmod(number, STATIONS_MAX)
            yield begin + after_ms, station
