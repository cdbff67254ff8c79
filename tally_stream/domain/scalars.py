"""The single values that everything else is made of: ids, counts, texts, times, partitions.

Decides what one value may look like. Knows nothing of records. Read `election.py` next.
Times are whole milliseconds since 1970 UTC in plain integers, so that the count never meets a float or a time zone.
"""

from __future__ import annotations

import re
import unicodedata

from mypy_extensions import i64

COUNT_MAX = 999_999_999
REVISION_MAX = 999_999_999
ID_MAX_CHARS = 64
TEXT_MAX_CODE_POINTS = 200

ID_PATTERN = re.compile(r"[A-Z0-9][A-Z0-9._-]{0,63}\Z", re.ASCII)

_REFUSED_CATEGORIES = frozenset({"Cc", "Zl", "Zp", "Cs"})
_BIDI_CONTROLS = frozenset({0x061C, 0x200E, 0x200F} | set(range(0x202A, 0x202F)) | set(range(0x2066, 0x206A)))


def is_id(text: str) -> bool:
    """`[A-Z0-9][A-Z0-9._-]{0,63}`, ASCII only."""
    return ID_PATTERN.match(text) is not None


def text_error(text: str, most: int = TEXT_MAX_CODE_POINTS) -> str | None:
    """Why `text` breaks the text rule, or None. At most `most` code points, NFC, no control, separator or bidi control."""
    if len(text) > most:
        return f"longer than {most} code points"
    if text.isprintable() and (text.isascii() or unicodedata.is_normalized("NFC", text)):
        return None  # nearly every text: what is refused below is nowhere printable
    for character in text:
        code = ord(character)
        if unicodedata.category(character) in _REFUSED_CATEGORIES:
            return f"has the control or separator character U+{code:04X}"
        if code in _BIDI_CONTROLS:
            return f"has the bidirectional control U+{code:04X}"
    return None if unicodedata.is_normalized("NFC", text) else "is not in Unicode normal form C"


_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T([01]\d|2[0-3]):([0-5]\d):([0-5]\d)(?:\.(\d+))?"
    r"(?:Z|([+-])([01]\d|2[0-3]):([0-5]\d))\Z",
    re.ASCII,
)
_MONTH_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def days_since_1970(year: int, month: int, day: int) -> int:
    """Days from 1970-01-01 in the proleptic Gregorian calendar, year 0 included."""
    shifted = year - (month <= 2)
    era = shifted // 400
    year_of_era = shifted - era * 400
    day_of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146_097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719_468


def parse_time(text: str) -> int | None:
    """RFC 3339 with an offset, capital T and Z, no second 60 → milliseconds since 1970 UTC, cut off. Else None. There may
    be any number of decimals."""
    match = _TIME.match(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(match[i]) for i in range(1, 7))
    if not 1 <= month <= 12:
        return None
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if not 1 <= day <= _MONTH_DAYS[month - 1] + (month == 2 and leap):
        return None
    milliseconds = int((match[7] or "0")[:3].ljust(3, "0"))
    seconds = ((days_since_1970(year, month, day) * 24 + hour) * 60 + minute) * 60 + second
    if match[8]:
        offset = (int(match[9]) * 60 + int(match[10])) * 60
        seconds += offset if match[8] == "-" else -offset
    return seconds * 1000 + milliseconds


def format_time(time_ms: int) -> str:
    """Milliseconds since 1970 UTC → `2024-02-07T23:13:00.000Z`."""
    days, rest = divmod(time_ms, 86_400_000)
    shifted = days + 719_468
    era, day_of_era = divmod(shifted, 146_097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted_month = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * shifted_month + 2) // 5 + 1
    month = shifted_month + (3 if shifted_month < 10 else -9)
    year = year_of_era + era * 400 + (month <= 2)
    seconds, milliseconds = divmod(rest, 1000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}.{milliseconds:03d}Z"


def murmur2_partition(key: bytes, partition_count: int) -> int:
    """The partition Kafka's default partitioner gives to `key`: murmur2 with seed 0x9747b28c, sign bit cleared."""
    mask: i64 = 0xFFFFFFFF
    m: i64 = 0x5BD1E995
    length = len(key)
    h: i64 = 0x9747B28C ^ length
    at = 0
    while at + 4 <= length:
        k: i64 = key[at] | key[at + 1] << 8 | key[at + 2] << 16 | key[at + 3] << 24
        k = k * m & mask
        h = (h * m & mask) ^ ((k ^ k >> 24) * m & mask)
        at += 4
    if at < length:
        tail: i64 = int.from_bytes(key[at:], "little")
        h = (h ^ tail) * m & mask
    h = (h ^ h >> 13) * m & mask
    return int((h ^ h >> 15) & 0x7FFFFFFF) % partition_count
