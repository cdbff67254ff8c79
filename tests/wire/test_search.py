"""What a search compares: as somebody types it who has no accents on the keyboard."""

from __future__ import annotations

import pytest

from tally_stream.wire.search import folded


@pytest.mark.parametrize(
    ("text", "as_compared"),
    [("Bad  Dürkheim ", "bad durkheim"), ("İSTANBUL", "istanbul"), ("Straße", "strasse"), ("ﬁn", "fin"), ("Ⓐ", "a"),
     ("Київ", "киів"), ("PLAIN", "plain"), ("e\u0301", "e"), ("Łódź", "lodz"), ("Ærø", "aero"), ("Đà Nẵng", "da nang"),
     ("GƏNCƏ", "gence"), ("Diyarbakır", "diyarbakir"), ("Þingvellir, Seyðisfjörður", "thingvellir, seydisfjordur"),
     ("Œuilly", "oeuilly"), ("Ħamrun", "hamrun"), ("Ŋ Ŧ", "n t"), ("GROẞ", "gross")],
)  # fmt: skip
def test_what_a_search_compares(text: str, as_compared: str) -> None:
    assert folded(text) == as_compared
    assert folded(as_compared) == as_compared
