"""Azerbaijan, 7 February 2024: a night by polling station that meets every published figure exactly.

Only totals were published. This script decides, from a fixed seed, which station reported when and
with what, so that the announcements of 22:00, 03:13, 9 and 11 February and the five turnout bulletins
come out to the vote; every per-station figure is therefore reconstructed. It states no cast, blank or
invalid ballots: their totals were not published. SOURCE.md names the source of each figure below.

    python tally_stream/elections/az-2024/make.py [--check]
"""

import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parents[2]))

from tally_stream.elections import night  # noqa: E402

SEED = 20240207
BAKU = timezone(timedelta(hours=4))

# Published: the shape of the night.
CONSTITUENCY_COUNT = 125
STATION_COUNT = 6_537
REGISTERED_TOTAL = 6_478_623
LIBERATED_COUNT = 26
ABROAD_COUNT, ABROAD_COUNTRY_COUNT = 49, 37

# Published: what was announced, candidates in the order of election.toml.
FIRST_STATION_COUNT = 3_561
FIRST_SHARES = (9210, 220, 199, 178, 79, 66, 48)  # hundredths of a per cent, adding up to 100 %
SECOND_STATION_COUNT = 6_102
SECOND_VOTES = (4_281_625, 101_851, 92_980, 81_799, 37_386, 31_033, 24_799)
ALL_VOTES = (4_577_693, 107_877, 98_623, 85_607, 39_727, 32_956, 26_561)
FINAL_VOTES = (4_567_458, 107_632, 98_421, 85_411, 39_643, 32_885, 26_517)
ANNULLED = (
    (41, 38), (61, 7), (61, 27), (65, 9), (68, 2), (77, 7), (77, 31), (92, 6), (99, 2), (114, 1), (115, 6),
)  # fmt: skip

# Published: hour, voted, stations heard. The count of 17:00 was not published: 6,518 is ours.
BULLETINS = (
    (10, 1_259_371, 6_493),
    (12, 2_499_033, 6_499),
    (15, 3_922_187, 6_515),
    (17, 4_590_075, 6_518),
    (19, 4_971_032, 6_522),
)

# Constituencies that hold liberated territory (118 Aghdam-Khojali, 120 Jabrayil-Gubadli, 121 Lachin,
# 122 Khankendi, 123 Kalbajar, 124 Shusha-Aghdam-Khojavend, 125 Zangilan-Gubadli); which of their
# stations lay there is ours.
LIBERATED_CONSTITUENCIES = (118, 120, 121, 122, 123, 124, 125)

# Reconstructed: bounds that keep each station plausible.
REGISTER_MIN, REGISTER_MAX = 50, 1_499
VALID_MAX_PERCENT, VOTED_MAX_PERCENT = 95, 97

ANNOUNCED = (
    datetime(2024, 2, 7, 22, 0, tzinfo=BAKU),
    datetime(2024, 2, 8, 3, 13, tzinfo=BAKU),
    datetime(2024, 2, 9, 9, 0, tzinfo=BAKU),
)
FIRST_ARRIVAL = datetime(2024, 2, 7, 19, 35, tzinfo=BAKU)
FIRST_COUNTED_AT = datetime(2024, 2, 7, 19, 15, tzinfo=BAKU)
ANNULLED_AT = datetime(2024, 2, 11, 12, 0, tzinfo=BAKU)
ANNULMENT = night.Order(
    replaces=1,
    reason="Results of this station annulled, protocol of 11 February 2024",
    authority="Central Election Commission",
)

Votes = tuple[int, ...]


@dataclass(frozen=True)
class Station:
    constituency: int
    number: int
    note: str = ""

    @property
    def id(self) -> str:
        return f"{self.constituency:03}-{self.number:03}"

    @property
    def name(self) -> str:
        return f"Constituency {self.constituency}, station {self.number}{self.note}"

    @property
    def is_annulled(self) -> bool:
        return (self.constituency, self.number) in ANNULLED


def bell(rng: random.Random, middle: int, spread: int) -> int:
    """A whole number around `middle`, at most `spread` away, the middle likelier than the ends."""
    return middle + sum(rng.randrange(-spread, spread + 1) for _ in range(3)) // 3


def lay_out(rng: random.Random) -> list[Station]:
    counts = night.apportion(
        STATION_COUNT,
        [bell(rng, 100, 22) for _ in range(CONSTITUENCY_COUNT)],
        [40] * CONSTITUENCY_COUNT,
        [66] * CONSTITUENCY_COUNT,
    )
    liberated = night.apportion(LIBERATED_COUNT, [1] * len(LIBERATED_CONSTITUENCIES), [0] * 7, [LIBERATED_COUNT] * 7)
    liberated_at = dict(zip(LIBERATED_CONSTITUENCIES, liberated, strict=True))
    elsewhere = [number for number in range(1, CONSTITUENCY_COUNT + 1) if number not in LIBERATED_CONSTITUENCIES]
    abroad = sorted(rng.sample(elsewhere, ABROAD_COUNT))
    stations = []
    for constituency, count in enumerate(counts, start=1):
        for number in range(1, count + 1):
            note = ""
            if number > count - liberated_at.get(constituency, 0):
                note = ", liberated territories"
            elif number == count and constituency in abroad:
                country = abroad.index(constituency) % ABROAD_COUNTRY_COUNT + 1
                note = f", abroad (country {country} of {ABROAD_COUNTRY_COUNT})"
            stations.append(Station(constituency, number, note))
    return stations


def draw_registers(rng: random.Random, stations: Sequence[Station]) -> list[int]:
    """Voters on the list: constituencies within a few per cent of each other, as the law asks for;
    in each, many ordinary stations and a few small ones."""
    whole = night.apportion(
        REGISTERED_TOTAL,
        [bell(rng, 1_000, 60) for _ in range(CONSTITUENCY_COUNT)],
        [0] * CONSTITUENCY_COUNT,
        [REGISTERED_TOTAL] * CONSTITUENCY_COUNT,
    )
    registers: list[int] = []
    for constituency, total in enumerate(whole, start=1):
        here = [station for station in stations if station.constituency == constituency]
        weights, low = [], []
        for station in here:
            is_small = rng.randrange(100) < 7
            weights.append(rng.randrange(60, 350) if is_small else bell(rng, 1_000, 450))
            low.append(REGISTER_MIN)
            if station.is_annulled:  # 1,007 valid votes each on average: they were large
                low[-1] = rng.randrange(1_230, 1_450)
        registers += night.apportion(total, weights, low, [REGISTER_MAX] * len(here))
    return registers


def draw_waves(rng: random.Random, stations: Sequence[Station], registers: Sequence[int]) -> list[list[int]]:
    """Which stations were in by 22:00, by 03:13, and after, each in order of arrival."""
    last_count = STATION_COUNT - SECOND_STATION_COUNT
    promptness = [  # stations far away are late
        rng.randrange(1_000) - (450 if station.note else 0) + registers[at] // 30 for at, station in enumerate(stations)
    ]
    last = sorted(range(STATION_COUNT), key=lambda at: (promptness[at], at))[:last_count]
    rest = sorted(set(range(STATION_COUNT)) - set(last))
    counting_time = {at: registers[at] + rng.randrange(2_500) for at in rest}  # small ones first
    rest.sort(key=lambda at: (counting_time[at], at))
    rng.shuffle(last)
    return [rest[:FIRST_STATION_COUNT], rest[FIRST_STATION_COUNT:], last]


def difference(left: Sequence[int], right: Sequence[int]) -> Votes:
    return tuple(a - b for a, b in zip(left, right, strict=True))


def total_votes(votes: dict[int, Votes]) -> Votes:
    return tuple(map(sum, zip(*votes.values(), strict=True)))


def draw_votes(
    rng: random.Random,
    stations: Sequence[Station],
    registers: Sequence[int],
    waves: Sequence[Sequence[int]],
) -> dict[int, Votes]:
    """Votes by station, so that each wave, and the annulled stations, have their published totals.

    The valid total at 22:00 was not published: it is chosen so that turnout in the first two waves
    is the same, and the candidates' votes follow from the printed shares.
    """
    leanings = Leanings(rng, stations)
    annulled = [at for at, station in enumerate(stations) if station.is_annulled]
    votes = draw_group(rng, annulled, registers, leanings, difference(ALL_VOTES, FINAL_VOTES))

    first, second = (sum(registers[at] for at in wave) for wave in waves[:2])
    first_valid = sum(SECOND_VOTES) * first // (first + second)
    first_votes = night.apportion(first_valid, FIRST_SHARES, [0] * 7, [first_valid] * 7)
    wave_votes = (
        tuple(first_votes),
        difference(SECOND_VOTES, first_votes),
        difference(ALL_VOTES, SECOND_VOTES),
    )
    for wave, published in zip(waves, wave_votes, strict=True):
        known = total_votes({at: votes[at] for at in wave if at in annulled} or {0: (0,) * 7})
        others = [at for at in wave if at not in annulled]
        votes |= draw_group(rng, others, registers, leanings, difference(published, known))
    return votes


class Leanings:
    """How much more or less than the country a station likes each candidate, in thousandths."""

    def __init__(self, rng: random.Random, stations: Sequence[Station]) -> None:
        regional = [[bell(rng, 1_000, 500) for _ in FIRST_SHARES] for _ in range(CONSTITUENCY_COUNT)]
        self._of = [[region * bell(rng, 1_000, 800) for region in regional[station.constituency - 1]] for station in stations]

    def __call__(self, at: int, candidate: int) -> int:
        return self._of[at][candidate]


def draw_group(
    rng: random.Random,
    group: Sequence[int],
    registers: Sequence[int],
    leaning: Callable[[int, int], int],
    totals: Votes,
) -> dict[int, Votes]:
    """Votes for the stations of a group that add up to `totals`: first each station's valid votes,
    then the six smaller candidates'; what is left of a station is the leader's."""
    nothing = [0] * len(group)
    valid = night.apportion(
        sum(totals),
        [registers[at] * bell(rng, 1_000, 180) for at in group],
        nothing,
        [registers[at] * VALID_MAX_PERCENT // 100 for at in group],
    )
    smaller = [
        night.apportion(
            total,
            [count * leaning(at, candidate) for at, count in zip(group, valid, strict=True)],
            nothing,
            valid,
        )
        for candidate, total in enumerate(totals[1:], start=1)
    ]
    votes = {}
    for at, count, *others in zip(group, valid, *smaller, strict=True):
        votes[at] = (count - sum(others), *others)
        if votes[at][0] < 0:
            raise ValueError(f"station {at}: more votes than valid ones")
    return votes


def draw_turnout(rng: random.Random, registers: Sequence[int], votes: dict[int, Votes]) -> list[dict[int, int]]:
    """Voters so far, by bulletin and station, rising strictly. At the close: the valid votes and the
    few ballots more that the bulletin of 19:00 had. A station once heard is heard in every later one."""
    heard = list(range(STATION_COUNT))
    rng.shuffle(heard)
    bulletins: list[dict[int, int]] = []
    for place, (_, voted, heard_count) in reversed(list(enumerate(BULLETINS, start=1))):
        now = sorted(heard[:heard_count])
        if not bulletins:
            low = [sum(votes[at]) for at in now]
            high = [max(registers[at] * VOTED_MAX_PERCENT // 100, sum(votes[at])) for at in now]
            weights = [count * bell(rng, 10_000, 60) for count in low]
            more = night.apportion(
                voted - sum(low),
                [weight // 10_000 for weight in weights],
                [0] * len(now),
                list(difference(high, low)),
            )
            counts = [a + b for a, b in zip(low, more, strict=True)]
        else:
            later = [bulletins[0][at] for at in now]
            weights = [count * bell(rng, 1_000, 150) for count in later]
            ceiling = [count - 1 for count in later]
            counts = night.apportion(voted, weights, [place] * len(now), ceiling)
        bulletins.insert(0, dict(zip(now, counts, strict=True)))
    return bulletins


def arrivals(rng: random.Random, count: int, start: datetime, end: datetime, *, more_at_end: bool) -> list[int]:
    """Distinct log timestamps after `start`, rising, the last one at `end`."""
    first, last = night.milliseconds(start), night.milliseconds(end)
    drawn: set[int] = set()
    while len(drawn) < count - 1:
        pair = rng.randrange(first + 1, last), rng.randrange(first + 1, last)
        drawn.add(max(pair) if more_at_end else min(pair))
    return [*sorted(drawn), last]


def counted_at(rng: random.Random, wave: int, arrival: int) -> datetime:
    """Minutes before the report arrived; in the last wave on the night itself: the paper was late."""
    if wave == 2:
        return ANNOUNCED[0] + timedelta(seconds=rng.randrange(5 * 3600))
    arrived = night.EPOCH + timedelta(seconds=arrival // 1000)
    earlier = arrived - timedelta(seconds=rng.randrange(120, 2_400))
    return max(earlier.astimezone(BAKU), FIRST_COUNTED_AT)


def turnout_records(
    rng: random.Random,
    ballot: night.Ballot,
    stations: Sequence[Station],
    bulletins: Sequence[dict[int, int]],
) -> list[tuple[int, night.Statement]]:
    records = []
    revisions = [0] * STATION_COUNT
    for (hour, _, _), voted in zip(BULLETINS, bulletins, strict=True):
        as_of = datetime(2024, 2, 7, hour, tzinfo=BAKU)
        order = list(voted)
        rng.shuffle(order)
        end = as_of + timedelta(minutes=30)
        times = arrivals(rng, len(order), as_of, end, more_at_end=False)
        for at, timestamp in zip(order, times, strict=True):
            revisions[at] += 1
            statement = ballot.turnout(stations[at].id, revisions[at], as_of, voted[at])
            records.append((timestamp, statement))
    return records


def count_records(
    rng: random.Random,
    ballot: night.Ballot,
    stations: Sequence[Station],
    waves: Sequence[Sequence[int]],
    votes: dict[int, Votes],
) -> list[tuple[int, night.Statement]]:
    records = []
    start = FIRST_ARRIVAL
    for number, (wave, end) in enumerate(zip(waves, ANNOUNCED, strict=True)):
        times = arrivals(rng, len(wave), start, end, more_at_end=number == 0)
        for at, timestamp in zip(wave, times, strict=True):
            moment = counted_at(rng, number, timestamp)
            records.append((timestamp, ballot.counts(stations[at].id, 1, moment, votes[at])))
        start = end
    return records


def annulment_records(ballot: night.Ballot) -> list[tuple[int, night.Statement]]:
    return [
        (
            night.milliseconds(ANNULLED_AT + timedelta(seconds=place)),
            ballot.annulment(Station(*named).id, 2, ANNULMENT),
        )
        for place, named in enumerate(ANNULLED)
    ]


def build() -> night.Files:
    rng = random.Random(SEED)
    ballot = night.Ballot.of(FOLDER)
    stations = lay_out(rng)
    registers = draw_registers(rng, stations)
    waves = draw_waves(rng, stations, registers)
    votes = draw_votes(rng, stations, registers, waves)
    bulletins = draw_turnout(rng, registers, votes)
    records = [
        *turnout_records(rng, ballot, stations, bulletins),
        *count_records(rng, ballot, stations, waves, votes),
        *annulment_records(ballot),
    ]
    station_rows = [
        (station.id, station.name, registered, "", f"{station.constituency:03}")
        for station, registered in zip(stations, registers, strict=True)
    ]
    area_rows = [(f"AZ/{number:03}", f"Constituency {number}") for number in range(1, 126)]
    header = ("station_id", "name", "registered", "ballots_expected", "constituency")
    return {
        "stations.csv.gz": night.gzipped(night.table(header, station_rows)),
        "areas.csv": night.table(("area", "name"), area_rows),
        "reports.jsonl.gz": night.gzipped(night.report_log(records)),
    }


if __name__ == "__main__":
    sys.exit(night.run(FOLDER, build))
