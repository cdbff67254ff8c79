"""The longest report and message that a definition allows, foretold: never too short, and refused by the contest's name."""

import json
from decimal import Decimal

import pytest

from tally_stream.domain.contest import Candidate, Contest, Rounding
from tally_stream.domain.election import Election, ExitPoll
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


def wide(candidate_count: int, name: str = "x" * 200) -> Election:
    """Everything at its longest that a definition may say."""
    ids = [f"{n:04}".ljust(64, "K") for n in range(candidate_count)]
    of = Contest(
        "C" * 64, "c", 1_000, "plurality", "valid", None, Rounding("half-up", 6), tuple(Candidate(id, name) for id in ids)
    )  # fmt: skip
    polls = [ExitPoll("C" * 64, "😀" * 200, CLOSE_MS, tuple((id, Decimal("99.123456789")) for id in ids)) for _ in range(3)]
    return election([station(STATION, path=("\u0f53" * 200, "n" * 200))], [of], levels=("a", "b"), depth=2, polls=polls)


@pytest.mark.parametrize("count", [1, 2, 200])
def test_no_report_is_longer(count: int) -> None:
    of = wide(count)
    (contest,) = of.contests
    report = {
        "schema": 1, "election": of.id, "contest": contest.id, "station": STATION, "revision": REVISION_MAX, "kind": "recount",
        "complete": False, "phase": "official", "counted_at": "2024-02-07T20:00:00." + "9" * 38 + "+04:00",
        "registered": COUNT_MAX, "ballots": dict.fromkeys(("cast", "valid", "blank", "invalid"), COUNT_MAX),
        "votes": dict.fromkeys(contest.candidate_ids, COUNT_MAX), "replaces": REVISION_MAX, "reason": "😀" * 200,
        "authority": "😀" * 200,
    }  # fmt: skip
    value = json.dumps(report).encode()
    assert isinstance(ReportReader(of).read(value, STATION.encode()), Report)
    assert len(value) <= longest_report_bytes(of, contest) <= len(value) + 10


@pytest.mark.parametrize("count", [1, 2, 200])
@pytest.mark.parametrize("name", ["", '"\\' * 100, "😀" * 200])
def test_no_message_is_longer(count: int, name: str) -> None:
    of = wide(count, name)
    (contest,) = of.contests
    standings = MergedFigures(of, 0, "t" * 200, PARTITIONS_FORESEEN)
    largest = COUNT_MAX * 2_000_000
    integers = [largest] * count + [0 if "unknown" in name else largest for name in SCALARS]
    for partition in range(PARTITIONS_FORESEEN):
        pages = () if partition else (Page(0, 0, 0, 1, of.leaf_areas, [tuple(integers)]),)
        standings.put(Figures(0, partition, Stand(2**62, 2**47, True, True), pages))
    longest = longest_message_bytes(of, contest, max(len(area.id.encode()) for area in of.areas))
    lengths = [len(canonical_json(message)) for message in standings.messages()]
    assert max(lengths) <= longest <= lengths[-1] + 6_000 + 400 * count


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
