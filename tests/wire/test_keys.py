"""keys.csv and [security]: who may sign what, every mistake with its line, and what of it the digest knows."""

import pytest

from tally_stream.domain.keys import SigningKey
from tally_stream.domain.scalars import parse_time
from tally_stream.wire.envelope import to_base64
from tally_stream.wire.folder import keys
from tests.support.folders import Folder
from tests.support.signing import public

NOT_CANONICAL = to_base64(bytes([255]) * 32)
HEADER = "key_id,holder,station,kinds,public_key,valid_from,valid_to\n"
P1, P2 = (to_base64(public(id)) for id in ("K-1", "K-2"))
GOOD = f"K-1,School 1,A-1,report correct,{P1},,2024-02-08T00:00:00+04:00\nK-2,The court,,annul key,{P2},2024-02-07T00:00:00Z,\n"


class TestKeys:
    def test_a_row_says_who_may_sign_what_and_when(self, folder: Folder) -> None:
        folder.write("keys.csv", HEADER + GOOD)
        assert folder.load().keys == {
            "K-1": SigningKey(
                "K-1", "School 1", "A-1", frozenset({"report", "correct"}), public("K-1"), None, parse_time("2024-02-07T20:00:00Z")
            ),
            "K-2": SigningKey(
                "K-2", "The court", "", frozenset({"annul", "key"}), public("K-2"), parse_time("2024-02-07T00:00:00Z")
            ),
        }  # fmt: skip

    def test_without_the_file_there_are_none(self, folder: Folder) -> None:
        assert folder.load().keys == {}
        folder.write("keys.csv", HEADER)
        assert folder.load().keys == {}

    @pytest.mark.parametrize(
        ("row", "what"),
        [
            (f"k-1,a,,report,{P1},,", "key_id 'k-1' is not an id"),
            (f"K-1,a\u202e,,report,{P1},,", "holder"),
            (f"K-1,a,A-9,report,{P1},,", "station 'A-9' is no polling station (empty: every station)"),
            (f"K-1,a,,,{P1},,", "kinds is '', not words of "),
            (f"K-1,a,,report guess,{P1},,", "kinds is 'report guess', not words of "),
            ("K-1,a,,report,,,", "public_key has 0 bytes, not 32"),
            ("K-1,a,,report,?,,", "public_key is not standard base64 with padding"),
            (f"K-1,a,,report,{to_base64(bytes(32))},,", "public_key is a point of small order"),
            (f"K-1,a,,report,{NOT_CANONICAL},,", "public_key is no canonical point"),
            (f"K-1,a,,report,{P1},today,", "valid_from is 'today', not an RFC 3339 time"),
            (f"K-1,a,,report,{P1},,2024-02-08", "valid_to is '2024-02-08', not an RFC 3339 time"),
            (f"K-1,a,,report,{P1},2024-02-08T00:00:00Z,2024-02-07T00:00:00Z", "valid_from is later than valid_to"),
            (f"K-1,a,,report,{P1}", "5 fields, the header has 7"),
        ],
    )  # fmt: skip
    def test_a_mistake_has_its_line(self, folder: Folder, row: str, what: str) -> None:
        folder.write("keys.csv", HEADER + f"K-9,a,,report,{P2},,\n" + row + "\n")
        (mistake,) = folder.mistakes()
        assert mistake.startswith(f"keys.csv:3: {what}")

    def test_an_id_that_stands_twice(self, folder: Folder) -> None:
        folder.write("keys.csv", HEADER + GOOD + GOOD)
        assert folder.mistakes() == ["keys.csv:4: key_id K-1 occurs twice", "keys.csv:5: key_id K-2 occurs twice"]

    def test_stations_are_not_asked_where_they_could_not_be_read(self, folder: Folder) -> None:
        folder.write("keys.csv", HEADER + f"K-1,a,A-9,report,{P1},,\n")
        folder.replace(("A-1,School 1", "A-1"), name="stations.csv")
        assert all(mistake.startswith("stations.csv") for mistake in folder.mistakes())

    def test_a_limit(self, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
        folder.write("keys.csv", HEADER + GOOD)
        monkeypatch.setattr(keys, "KEYS_MAX", 2)
        assert len(folder.load().keys) == 2
        monkeypatch.setattr(keys, "KEYS_MAX", 1)
        assert folder.mistakes() == ["keys.csv:3: more than 1 keys"]


class TestSecurity:
    def with_security(self, folder: Folder, text: str) -> Folder:
        return folder.replace(("[[exit_polls]]", f"[security]\n{text}\n\n[[exit_polls]]"))

    @pytest.mark.parametrize("word", ["required", "optional"])
    def test_signatures_are_required_or_optional(self, folder: Folder, word: str) -> None:
        before = folder.load()
        assert before.signatures is None
        found = self.with_security(folder, f'signatures = "{word}"').load()
        assert found.signatures == word
        assert found.digest != before.digest

    @pytest.mark.parametrize("text", ['signatures = "always"', "signatures = true", "", 'signatures = "required"\ncolour = 1'])
    def test_nothing_else(self, folder: Folder, text: str) -> None:
        (mistake,) = self.with_security(folder, text).mistakes()
        assert "security" in mistake

    def test_the_digest_knows_every_field_of_a_key(self, folder: Folder) -> None:
        seen = {folder.load().digest}
        for rows in (
            GOOD, GOOD.replace("School 1", "School 2"), GOOD.replace("A-1", "B-1"), GOOD.replace("report correct", "report"),
            GOOD.replace(P1, P2), GOOD.replace("2024-02-08T00", "2024-02-08T01"), GOOD.replace("2024-02-07T00", "2024-02-07T01"),
            GOOD.replace("K-1", "K-3"),
        ):  # fmt: skip
            folder.write("keys.csv", HEADER + rows)
            seen.add(folder.load().digest)
        assert len(seen) == 9

    def test_and_no_order(self, folder: Folder) -> None:
        folder.write("keys.csv", HEADER + GOOD)
        first = folder.load().digest
        one, other = GOOD.splitlines(keepends=True)
        folder.write("keys.csv", HEADER + other + one.replace("report correct", "correct report"))
        assert folder.load().digest == first
