"""The single values: ids, texts, times."""

import unicodedata
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally_stream.domain.rules import RULES, Finding, message_of
from tally_stream.domain.scalars import days_since_1970, format_time, is_id, parse_time, text_error
from tests.support.examples import examples

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class TestId:
    @pytest.mark.parametrize("text", ["A", "0", "A" * 64, "A._-", "041-038", "9Z"])
    def test_good(self, text: str) -> None:
        assert is_id(text)

    @pytest.mark.parametrize(
        "text", ["", "A" * 65, "a", "-A", ".A", "_A", "A B", "A/B", "A|B", "A\n", "É", "Ａ", "A\x00", "٣", "A\u200b"]
    )
    def test_not_one(self, text: str) -> None:
        assert not is_id(text)


class TestText:
    @pytest.mark.parametrize("text", ["", "x" * 200, "Óscar", "क\u200dष", "a\u200cb", "😀" * 200, "a / b | c", "\u00ad"])
    def test_good(self, text: str) -> None:
        assert text_error(text) is None

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("x" * 201, "longer than 200 code points"),
            ("😀" * 201, "longer than 200 code points"),
            ("a\x00", "has the control or separator character U+0000"),
            ("a\nb", "has the control or separator character U+000A"),
            ("\x7f", "has the control or separator character U+007F"),
            ("\x85", "has the control or separator character U+0085"),
            ("\u2028", "has the control or separator character U+2028"),
            ("\u2029", "has the control or separator character U+2029"),
            ("\ud800", "has the control or separator character U+D800"),
            ("O\u0301scar", "is not in Unicode normal form C"),
            ("\u212b", "is not in Unicode normal form C"),
        ],
    )
    def test_refused_and_why(self, text: str, why: str) -> None:
        assert text_error(text) == why

    @pytest.mark.parametrize("code", [0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)])
    def test_every_bidirectional_control(self, code: int) -> None:
        assert text_error(f"a{chr(code)}b") == f"has the bidirectional control U+{code:04X}"

    @pytest.mark.parametrize("code", [0x061B, 0x061D, 0x200D, 0x2010, 0x202F, 0x2065, 0x206A])
    def test_not_their_neighbours(self, code: int) -> None:
        assert text_error(f"a{chr(code)}b") is None

    def test_every_character_by_its_category(self) -> None:
        for code in range(0x3000):
            text = chr(code)
            if unicodedata.category(text) in ("Cc", "Zl", "Zp"):
                assert text_error(text) is not None


class TestTimes:
    @pytest.mark.parametrize(
        ("text", "time_ms"),
        [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01T00:00:00.001Z", 1),
            ("1969-12-31T23:59:59.999Z", -1),
            ("2024-02-07T19:00:00+04:00", 1_707_318_000_000),
            ("2024-02-07T15:00:00Z", 1_707_318_000_000),
            ("2024-02-07T11:30:00-03:30", 1_707_318_000_000),
            ("2024-02-07T15:00:00-00:00", 1_707_318_000_000),
            ("2024-02-07T15:00:00.1Z", 1_707_318_000_100),
            ("2024-02-07T15:00:00.9999999999Z", 1_707_318_000_999),
            ("2024-02-29T00:00:00Z", 1_709_164_800_000),
            ("2000-02-29T00:00:00Z", 951_782_400_000),
            ("0000-02-29T00:00:00Z", -62_162_121_600_000),
            ("2024-02-07T15:00:00+23:59", 1_707_318_000_000 - (23 * 60 + 59) * 60_000),
        ],
    )
    def test_rfc_3339_in_whole_milliseconds_cut_off(self, text: str, time_ms: int) -> None:
        assert parse_time(text) == time_ms

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "2024-02-07",
            "2024-02-07T15:00:00",
            "2024-02-07t15:00:00Z",
            "2024-02-07T15:00:00z",
            "2024-02-07 15:00:00Z",
            "2024-02-07T15:00:60Z",
            "2024-02-07T15:60:00Z",
            "2024-02-07T24:00:00Z",
            "2024-02-07T15:00Z",
            "2024-02-07T15:00:00.Z",
            "2024-02-07T15:00:00,5Z",
            "2024-02-07T15:00:00+24:00",
            "2024-02-07T15:00:00+04:60",
            "2024-02-07T15:00:00+0400",
            "2024-02-07T15:00:00+04",
            "2024-00-07T15:00:00Z",
            "2024-13-07T15:00:00Z",
            "2024-02-00T15:00:00Z",
            "2024-02-30T15:00:00Z",
            "2023-02-29T15:00:00Z",
            "1900-02-29T15:00:00Z",
            "2024-04-31T15:00:00Z",
            "24-02-07T15:00:00Z",
            "+2024-02-07T15:00:00Z",
            "2024-02-07T15:00:00Z\n",
            " 2024-02-07T15:00:00Z",
            "٢٠٢٤-02-07T15:00:00Z",
        ],
    )
    def test_anything_else_is_no_time(self, text: str) -> None:
        assert parse_time(text) is None

    @pytest.mark.parametrize("decimals", [1, 43, 44, 60_000])
    def test_any_number_of_decimals(self, decimals: int) -> None:
        assert parse_time("2024-02-07T15:00:00." + "1" * decimals + "Z") == 1_707_318_000_000 + int(
            "111"[:decimals].ljust(3, "0")
        )
        assert parse_time("2024-02-07T15:00:00." + "1" * decimals) is None

    @examples(200)
    @given(st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)), st.integers(-1439, 1439))
    def test_as_the_standard_library_has_it(self, local: datetime, offset_minutes: int) -> None:
        sign = "-" if offset_minutes < 0 else "+"
        hours, minutes = divmod(abs(offset_minutes), 60)
        moment = local.replace(tzinfo=UTC) if local.year in (1, 9999) else local.replace(tzinfo=UTC)
        text = f"{local:%H:%M:%S.%f}{sign}{hours:02d}:{minutes:02d}"
        time_ms = (moment - EPOCH) // timedelta(milliseconds=1) - offset_minutes * 60_000
        assert parse_time(f"{local.year:04d}-{local:%m-%d}T{text}") == time_ms

    @examples(200)
    @given(st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)))
    def test_printing_is_reading_backwards(self, moment: datetime) -> None:
        time_ms = (moment.replace(tzinfo=UTC) - EPOCH) // timedelta(milliseconds=1)
        text = format_time(time_ms)
        assert text == moment.isoformat(timespec="milliseconds") + "Z"
        assert parse_time(text) == time_ms

    def test_days(self) -> None:
        assert days_since_1970(1970, 1, 1) == 0
        assert days_since_1970(2024, 2, 29) == days_since_1970(2024, 3, 1) - 1


class TestCatalogue:
    def test_every_number_once(self) -> None:
        assert len({rule.code for rule in RULES}) == len(RULES)

    def test_a_sentence_with_its_two_figures(self) -> None:
        assert message_of(Finding("A1", "{left} is not {right}", 3, 4)) == "3 is not 4"
        assert message_of(Finding("Q7", "counted at {left}", "late", None)) == "counted at late"
