"""The longest report and message that a definition allows, foretold: never too short, and refused by the contest's name."""

import json
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from tally_stream.domain.contest import Allocation, Candidate, Contest, DoubleMajority, Majority, Quorum, Rounding
from tally_stream.domain.election import Election, ExitPoll
from tally_stream.domain.extra_sums import EXTRA_SCALARS, extra_width
from tally_stream.domain.pages import SUM_MAX_DIGITS, Figures, Page, Stand
from tally_stream.domain.report import Report
from tally_stream.domain.scalars import COUNT_MAX, REVISION_MAX
from tally_stream.domain.standings import MergedFigures
from tally_stream.domain.tally import SCALARS
from tally_stream.wire import limits, widths
from tally_stream.wire.folder import assembling
from tally_stream.wire.limits import BOUND_REGISTER_PERCENT_MAX, MESSAGE_MAX_BYTES, STATIONS_MAX, VALUE_MAX_BYTES
from tally_stream.wire.messages import canonical_json
from tally_stream.wire.reading import ReportReader
from tally_stream.wire.widths import PARTITIONS_FORESEEN, longest_message_bytes, longest_report_bytes
from tests.support.folders import TOML, Folder
from tests.support.small_elections import CLOSE_MS, election, station

STATION = "S" * 64


def wide(candidate_count: int, name: str = "x" * 200, channels: int = 0, **rule: Any) -> Election:
    """Everything at its longest that a definition may say. Each channel has a station."""
    ids = [f"{n:04}".ljust(64, "K") for n in range(candidate_count)]
    fields: dict[str, Any] = {"seats": 1_000, "rule": "plurality", "majority": None, **rule}
    of = Contest(
        "C" * 64, "c", rounding=Rounding("half-up", 6), candidates=tuple(Candidate(id, name) for id in ids), majority_base="valid",
        **fields,
    )  # fmt: skip
    polls = [ExitPoll("C" * 64, "😀" * 200, CLOSE_MS, tuple((id, Decimal("99.123456789")) for id in ids)) for _ in range(3)]
    places = [(STATION, None), *((f"C-{n}", "".join(["😀" * 36, f"{n:04}"])) for n in range(channels))]
    path = ("\u0f53" * 200, "n" * 200)
    return election(
        [station(id, path=path) for id, _ in places], [of], levels=("a", "b"), depth=2, polls=polls,
        channels={id: channel or "😀" * 40 for id, channel in places} if channels else None,
    )  # fmt: skip


@pytest.mark.parametrize("count", [1, 2, 200])
def test_no_report_is_longer(count: int) -> None:
    of = wide(count)
    (contest,) = of.contests
    report = {
        "schema": 1, "election": of.id, "contest": contest.id, "station": STATION, "revision": REVISION_MAX, "kind": "recount",
        "complete": False, "phase": "official", "counted_at": "2024-02-07T20:00:00." + "9" * 38 + "+04:00",
        "registered": COUNT_MAX,
        "ballots": dict.fromkeys(("cast", "valid", "blank", "invalid", "undervotes", "overvotes"), COUNT_MAX),
        "votes": dict.fromkeys(contest.candidate_ids, COUNT_MAX), "replaces": REVISION_MAX, "reason": "😀" * 200,
        "authority": "😀" * 200,
    }  # fmt: skip
    value = json.dumps(report).encode()
    assert isinstance(ReportReader(of).read(value, STATION.encode()), Report)
    assert len(value) <= longest_report_bytes(of, contest) <= len(value) + 10


LARGEST = COUNT_MAX * 2_000_000


def messages(of: Election, valid: int = LARGEST, votes: list[int] | None = None) -> list[bytes]:
    """Those of every area with all sums at their largest; but for the valid ballots, and the votes where they are given."""
    (contest,) = of.contests
    count = len(contest.candidates)
    standings = MergedFigures(of, 0, "t" * 200, PARTITIONS_FORESEEN)
    scalars = {name: 0 if "unknown" in name else LARGEST for name in SCALARS}
    integers = [*(votes or [LARGEST] * count), *{**scalars, "valid": valid, "turnout_registered": 1}.values()]
    # All stations said undervotes and what they expect, and each channel has the largest sums.
    extra = [0 if "unknown" in name else LARGEST for name in EXTRA_SCALARS]
    extra[EXTRA_SCALARS.index("voted_registered")] = 1
    extra += [LARGEST] * (extra_width(count, len(of.contest_channels[0])) - len(extra))
    for partition in range(PARTITIONS_FORESEEN):
        pages = () if partition else (Page(0, 0, 0, 1, of.leaf_areas, [(*integers, *extra)]),)
        standings.put(Figures(0, partition, Stand(2**62, 2**47, True, True), pages))
    return [canonical_json(message) for message in standings.messages()]


def foretold(of: Election) -> int:
    return longest_message_bytes(of, of.contests[0], max(len(area.id.encode()) for area in of.areas))


@pytest.mark.parametrize("count", [1, 2, 200])
@pytest.mark.parametrize("name", ["", '"\\' * 100, "😀" * 200])
def test_no_message_is_longer(count: int, name: str) -> None:
    of = wide(count, name)
    lengths = [len(message) for message in messages(of)]
    assert max(lengths) <= foretold(of) <= lengths[-1] + 6_000 + 500 * count


@pytest.mark.parametrize("count", [1, 2, 200])
def test_no_message_with_shares_of_one_valid_ballot_is_longer(count: int) -> None:
    """What an authority let count may say so."""
    of = wide(count)
    (*_, root) = messages(of, valid=1)
    assert f'"share":"{LARGEST}00.000000"'.encode() in root
    assert len(root) <= foretold(of)


@pytest.mark.parametrize(("count", "channels"), [(1, 1), (2, 40), (200, 3)])
def test_no_message_with_channels_is_longer(count: int, channels: int) -> None:
    of = wide(count, channels=channels)
    lengths = [len(message) for message in messages(of)]
    (*_, root) = messages(of)
    assert len(json.loads(root)["channels"]) == channels + 1
    assert max(lengths) <= foretold(of) <= lengths[-1] + 6_000 + 500 * count + 200 * channels


def test_no_message_of_seats_is_longer() -> None:
    of = wide(200, rule="proportional", allocation=Allocation("dhondt"), seats=999)
    (*_, root) = messages(of)
    assert json.loads(root)["candidates"][0]["seats"]["now"] == 4
    assert len(json.loads(root)["outcome"]["tied"]["between"]) == 200
    assert len(root) <= foretold(of) <= len(root) + 6_000 + 500 * 200


@pytest.mark.parametrize("base", ["cast", "valid", "approval"])
def test_no_message_of_a_referendum_is_longer(base: Any) -> None:
    of = wide(
        2, "", rule="referendum", seats=1, majority=Majority(), approval="0000".ljust(64, "K"),
        quorum=Quorum(Fraction(100), base, more_than=True), double_majority=DoubleMajority("b", ()),
    )  # fmt: skip
    (*_, root) = messages(of, votes=[LARGEST, LARGEST - 1])
    outcome = json.loads(root)["outcome"]
    assert outcome["quorum"]["done"] == LARGEST
    assert outcome["double_majority"]["of"] == "1"
    assert len(root) <= foretold(of) <= len(root) + 6_000


def test_no_sum_is_longer_than_pages_and_messages_are_measured_for() -> None:
    """Of the widest bound of the largest register, at one station and at all of them."""
    most = COUNT_MAX * BOUND_REGISTER_PERCENT_MAX // 100
    assert len(str(most)) == SUM_MAX_DIGITS
    assert len(str(-most * STATIONS_MAX)) <= len(str(widths._LONGEST_SUM))  # noqa: SLF001  (a limit of one module alone)


class TestAFolder:
    def with_candidates(self, folder: Folder, count: int, id_chars: int, name: str) -> Folder:
        seat = TOML[TOML.index('[[contests]]\nid = "SEAT"') : TOML.index('[[contests.candidates]]\nid = "CLEO"')]
        folder.write("election.toml", TOML[: TOML.index('[[contests]]\nid = "SEAT"')] + seat)
        rows = "".join(f"SEAT,{n:04}{'K' * (id_chars - 4)},{name}\n" for n in range(count))
        folder.write("candidates.csv", "contest,id,name\n" + rows)
        return folder

    def test_of_2_000_candidates_is_taken(self, folder: Folder) -> None:
        assert len(self.with_candidates(folder, 2_000, 10, "Candidate of a party").load().contests[1].candidates) == 2_000

    @pytest.mark.parametrize(("limit", "what"), [("VALUE_MAX_BYTES", "report"), ("MESSAGE_MAX_BYTES", "message")])
    def test_at_the_limit_and_one_past_it(self, folder: Folder, monkeypatch: pytest.MonkeyPatch, limit: str, what: str) -> None:
        of = self.with_candidates(folder, 1_000, 20, "K").load()
        contest = of.contests[1]
        area = max(len(area.id.encode()) for area in of.areas)
        longest = longest_report_bytes(of, contest) if what == "report" else longest_message_bytes(of, contest, area)
        assert longest <= getattr(limits, limit)
        monkeypatch.setattr(assembling, limit, longest)
        folder.load()
        monkeypatch.setattr(assembling, limit, longest - 1)
        assert folder.mistakes() == [
            f"election.toml:29: a {what} of contest SEAT could have {longest} bytes, at most {longest - 1} are read"
        ]

    def test_whose_longest_report_is_too_long_is_refused_naming_the_contest(self, folder: Folder) -> None:
        (mistake,) = self.with_candidates(folder, 1_000, 64, "K").mistakes()
        assert mistake.startswith("election.toml:29: a report of contest SEAT could have ")
        assert mistake.endswith(f" bytes, at most {VALUE_MAX_BYTES} are read")

    def test_whose_longest_message_is_too_long_is_refused_naming_the_contest(self, folder: Folder) -> None:
        (mistake,) = self.with_candidates(folder, 2_000, 4, "学" * 200).mistakes()
        assert mistake.startswith("election.toml:29: a message of contest SEAT could have ")
        assert mistake.endswith(f" bytes, at most {MESSAGE_MAX_BYTES} are read")
