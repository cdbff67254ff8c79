"""docs/wire-format.md as a test: every vector on the page is run through the product, the digest is recomputed."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from pathlib import Path

import pytest

from tally_stream.domain import rules, scalars
from tally_stream.domain.extra_sums import CHANNEL_SCALARS, EXTRA_SCALARS
from tally_stream.domain.tally import SCALARS
from tally_stream.wire import limits
from tally_stream.wire.folder.assembling import load_election
from tests.support import format_vectors as vectors
from tests.support.doc_pages import blocks, marked

VECTORS = marked(vectors.PAGE, "vector")
_MARKERS = {"vector", "base", "scalars"}


@pytest.mark.parametrize("name", VECTORS)
def test_the_code_does_what_the_page_says(name: str, tmp_path: Path) -> None:
    block = VECTORS[name]
    try:
        vectors.run(json.loads(block.text), tmp_path)
    except AssertionError as difference:
        pytest.fail(f"{block.where}, {name}: {difference}", pytrace=False)


def test_every_json_block_is_run() -> None:
    unmarked = [b.where for b in blocks(vectors.PAGE) if b.language == "json" and b.marker not in _MARKERS]
    assert unmarked == []


def test_every_vector_states_something() -> None:
    answers = {"verdicts", "root", "areas_say", "changes", "rejections", "verdict_counts", "pages", "marks",
               "root_canonical", "page_bytes", "mark_bytes", "digest", "mistakes", "error", "records_read"}  # fmt: skip
    silent = [name for name, block in VECTORS.items() if not answers & json.loads(block.text).keys()]
    assert silent == []


def test_every_log_is_used() -> None:
    used = {json.loads(block.text).get("log") for block in VECTORS.values()}
    assert set(marked(vectors.PAGE, "log")) <= used


class TestDigest:
    def test_of_the_lines_as_they_stand(self) -> None:
        digest = marked(vectors.PAGE, "digest")
        assert "sha256:" + hashlib.sha256(digest["lines"].text.encode()).hexdigest() + "\n" == digest["answer"].text

    def test_of_the_folder(self, tmp_path: Path) -> None:
        election = load_election(vectors.folder_of({}, tmp_path))
        assert election.digest + "\n" == marked(vectors.PAGE, "digest")["answer"].text

    def test_of_the_folder_packed_and_in_another_order(self, tmp_path: Path) -> None:
        folder = vectors.folder_of({}, tmp_path)
        header, *rows = (folder / "stations.csv").read_text().splitlines(keepends=True)
        (folder / "stations.csv").unlink()
        (folder / "stations.csv.gz").write_bytes(gzip.compress("".join([header, *reversed(rows)]).encode()))
        assert load_election(folder).digest + "\n" == marked(vectors.PAGE, "digest")["answer"].text

    def test_the_lines_are_the_canonical_form(self) -> None:
        for line in marked(vectors.PAGE, "digest")["lines"].text.splitlines():
            assert json.dumps(json.loads(line), ensure_ascii=False, separators=(",", ":"), sort_keys=True) == line


def test_the_integers_of_an_area() -> None:
    stated = {name: tuple(json.loads(block.text)) for name, block in marked(vectors.PAGE, "scalars").items()}
    assert stated == {"": SCALARS, "extra": EXTRA_SCALARS, "channel": CHANNEL_SCALARS}


def test_the_limits() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| ([\d,]+) \|", vectors.PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    stated = {name: int(value.replace(",", "")) for name, value in rows}
    names = {n for module in (limits, scalars, rules) for n in vars(module) if re.search(r"_MAX(_|\Z)", n)}
    names = {n for n in names if not n.startswith("_")} - {"FOLDER_ERRORS_SHOWN_MAX"}  # only of messages to people
    assert stated.keys() == names
    for name, value in stated.items():
        assert {getattr(module, name) for module in (limits, scalars, rules) if hasattr(module, name)} == {value}, name
