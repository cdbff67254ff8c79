"""Ways of voting as the types of counts that NIST SP 1500-100 has words for.

Decides which word a channel's name stands for: the word itself, with a space or underscore for its hyphen, in whatever case.
Every other name is `other`, with the name; so are two names of one election that would be the same word.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from tally_stream.wire.schema.published import ChannelLine, Standings

Object = dict[str, Any]

WAYS = frozenset({
    "absentee", "absentee-fwab", "absentee-in-person", "absentee-mail", "early", "election-day", "provisional", "uocava",
})  # fmt: skip
"""CountItemType's, without those that are no way of voting: other, seats, total, write-in."""

TOTAL: Object = {"Type": "total"}


def nist_object(name: str, **fields: Any) -> Object:
    return {"@type": f"ElectionResults.{name}", **fields}


def _word(channel: str) -> str:
    return channel.casefold().replace(" ", "-").replace("_", "-")


def ways_of(message: Standings) -> list[tuple[Object, ChannelLine]]:
    """Each channel with the fields that say its type; [] where the definition has none."""
    channels = message.channels or []
    count_of = Counter(_word(channel.channel) for channel in channels)
    return [(_kind(channel.channel, count_of), channel) for channel in channels]


def _kind(channel: str, count_of: Counter[str]) -> Object:
    word = _word(channel)
    if word in WAYS and count_of[word] == 1:
        return {"Type": word}
    return {"Type": "other", "OtherType": f"voted by {channel}" if word in ("valid", "blank") else channel}
