"""What the reports topic has of the stations that may send here, followed from its start: whoever sent it, and whenever.

Decides what of it stands: what the count makes of the same records (`count_of_stations.py`), so that a forged record, or one
that is refused, takes no revision from a station. Decides also when a station is known: once the topic was read to the end that
it had then; where a station is added, all is read again. Refuses to know what an intake makes of that
(`taking.py`). Read `receipts_read.py` for what became of a statement.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from tally_stream.domain.election import Election
from tally_stream.domain.ledger import Entry
from tally_stream.domain.report import Report, Turnout
from tally_stream.domain.rules import VerdictName
from tally_stream.kafka.client import KafkaError, StoredRecord, TopicReader, short
from tally_stream.kafka.rights import NotAllowed
from tally_stream.settings import Settings
from tally_stream.station.checking import TURNOUT, name_of
from tally_stream.station.count_of_stations import CountOfStations
from tally_stream.station.intake.recent import RecentStatement, RecentStatements

LOOK_SECONDS = 0.25
"""Between two looks at the end of the topic: so much later is known what another intake took."""
LOOKS = 4
"""Between two looks at who may send: where many may, that is work."""
AGAIN_SECONDS = 5.0
STALL_SECONDS = 30.0
"""For which a reading may get nothing before it is begun anew."""
KNOWN_SECONDS = 5.0
"""For which a caller waits until its station is known."""
CHUNK_RECORDS = 100
"""After so many, callers get their turn: of signed records they take about 10 ms."""


class CountedReports(CountOfStations):
    """The count of the records of `stations`, in a log of `partition_count` partitions."""

    def __init__(self, election: Election, stations: Iterable[str], partition_count: int) -> None:
        super().__init__(election, partition_count, stations, range(partition_count))
        self._turnouts: dict[str, Turnout] = {}

    def take(self, record: StoredRecord) -> tuple[VerdictName, RecentStatement | None] | None:
        """What becomes of the record, and the statement there, where it can be read as one; None of another station's."""
        found = self.count(record)
        if found is None:
            return None
        read, verdict = found
        if not isinstance(read, Report | Turnout):
            return verdict.name, None
        kind = TURNOUT if isinstance(read, Turnout) else read.kind
        if isinstance(read, Turnout) and verdict.name == "counted":
            self._turnouts[read.station.id] = read
        place = record.value or b"", record.partition, record.offset
        return verdict.name, RecentStatement(*name_of(self.election, read), kind, *place)

    def has(self, station: str, offset: int) -> bool:
        """Whether the record of the station at this offset was taken."""
        return self.next_offsets[self.partition_of(station)] > offset

    def entries(self, station: str) -> list[tuple[int, Entry]]:
        """Contest and what the ledger has of the station there; not to be changed."""
        entries = self.folds[self.partition_of(station)].entries
        return [(contest, entries[contest][station]) for contest in self.election.stations[station].contests]

    def turnout(self, station: str) -> Turnout | None:
        """The newest."""
        return self._turnouts.get(station)


class ReportsFollowed:
    """`run` it beside the service. `stations` says now who may send here; `recent` is kept to what the count made of theirs."""

    def __init__(
        self, settings: Settings, election: Election, recent: RecentStatements, stations: Callable[[], Iterable[str]],
        say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._settings, self._election, self._recent, self._stations, self._say = settings, election, recent, stations, say
        self._counted: CountedReports | None = None
        self._news = asyncio.Condition()
        self._nobody_waits_until = 0.0
        self.trouble: str | None = "not read yet"
        """Why nothing new is known; None where all is read."""

    def counted(self, station: str) -> CountedReports | None:
        """What stands of it; None while that is not known."""
        return self._counted if self._counted is not None and station in self._counted.stations else None

    async def is_known(self, station: str) -> bool:
        """Whether it is known what stands of it; waits a while for that. After somebody waited in vain nobody does for as long:
        ten thousand lines are not told one after the other."""
        clock = asyncio.get_running_loop().time
        if self.counted(station) is None and clock() >= self._nobody_waits_until:
            try:
                async with asyncio.timeout(KNOWN_SECONDS), self._news:
                    await self._news.wait_for(lambda: self.counted(station) is not None)
            except TimeoutError:
                self._nobody_waits_until = clock() + KNOWN_SECONDS
        return self.counted(station) is not None

    async def run(self) -> None:
        while True:
            try:
                await self._follow()
            except (KafkaError, NotAllowed, OSError, TimeoutError) as error:
                trouble = short(error) if str(error) else f"nothing came for {STALL_SECONDS:.0f} s"
                if trouble != self.trouble:
                    self._say(f"the reports topic is not read on: {trouble}")
                self.trouble = trouble
                await asyncio.sleep(AGAIN_SECONDS)

    async def _follow(self) -> None:
        """Until other stations are asked for."""
        async with TopicReader(self._settings, f"{self._settings.prefix}.reports", is_log=True) as reader:
            async with asyncio.timeout(STALL_SECONDS):
                bounds = await reader.bounds()
            counted = self._to_go_on(bounds)
            await reader.seek({p: max(first, counted.next_offsets[p]) for p, (first, _) in bounds.items()})
            while counted.stations.issuperset(self._stations()):
                for _ in range(LOOKS):
                    await self._read_to_end(reader, counted)
                    self.trouble = None
                    if self._counted is not counted:
                        self._counted = counted
                        async with self._news:
                            self._news.notify_all()
                    await asyncio.sleep(LOOK_SECONDS)

    def _to_go_on(self, bounds: dict[int, tuple[int, int]]) -> CountedReports:
        """What was read before, where it goes on; else nothing."""
        stations, before = frozenset(self._stations()), self._counted
        if before is not None and before.stations.issuperset(stations) and before.goes_on_in(bounds):
            return before
        return CountedReports(self._election, stations, len(bounds))

    async def _read_to_end(self, reader: TopicReader, counted: CountedReports) -> None:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(STALL_SECONDS) as limit:
            async for records in reader.read_to_end():
                for number, record in enumerate(records, 1):
                    self._note(record, counted.take(record))
                    if not number % CHUNK_RECORDS:
                        await asyncio.sleep(0)
                limit.reschedule(loop.time() + STALL_SECONDS)

    def _note(self, record: StoredRecord, found: tuple[VerdictName, RecentStatement | None] | None) -> None:
        """What counts, or is held, has its place, copies that of the first; what was refused has none, and can come again."""
        if found is None:
            return
        verdict, statement = found
        if verdict == "rejected":
            self._recent.forget(record.partition, record.offset)
        elif verdict in ("counted", "held") and statement is not None and self._recent.at(*statement.place) is None:
            self._recent.add(statement)
