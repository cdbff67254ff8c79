"""What the board writes into the page before any script runs, without a broker."""

from __future__ import annotations

import pytest

from tally_stream.board.page import _bar_width  # noqa: PLC2701  (at its edges: in a page it is one number among many)
from tally_stream.board.wording import Words


def test_what_is_not_whole_never_looks_full() -> None:
    assert [_bar_width(x) for x in (None, "0.00", "52.08", "99.75", "100.00")] == ["0", "0", "52.08", "99", "100"]


@pytest.mark.parametrize(
    ("language", "said"),
    [("en", ["0 votes", "1 vote", "2 votes"]), ("es", ["0 votos", "1 voto", "2 votos"]),
     ("az", ["0 səs", "1 səs", "2 səs"]), ("ru", ["0 голосов", "1 голос", "2 голоса"])],
)  # fmt: skip
def test_plural_forms(language: str, said: list[str]) -> None:
    words = Words(language)
    assert [words.counted("votes", n) for n in range(3)] == said
    assert Words("ru").counted("votes", 12).endswith("голосов")
    assert Words("ru").counted("ballots", 21).endswith("бюллетеня")
