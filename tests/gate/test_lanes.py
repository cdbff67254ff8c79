"""The gate says no: to a folder that no lane runs, to a lane that fails or skips, and to compiled code of unknown files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.lanes import LANES, ROOT, Lane, Through, without_lane
from tests.support.compiled import out_of_date


def test_every_folder_with_tests_is_run_by_a_lane_and_every_lane_has_its_folders() -> None:
    assert without_lane(ROOT / "tests") == []
    assert [path for lane in LANES for path in lane.paths if not (ROOT / path).exists()] == []


def test_a_new_folder_that_no_lane_names_is_found(tmp_path: Path) -> None:
    for folder in ("domain", "domain/deeper", "brand_new", "brand_new/deeper"):
        (tmp_path / "tests" / folder).mkdir(parents=True)
        (tmp_path / "tests" / folder / "test_it.py").touch()
    (tmp_path / "tests" / "support").mkdir()
    (tmp_path / "tests" / "support" / "brokers.py").touch()
    assert without_lane(tmp_path / "tests") == ["tests/brand_new", "tests/brand_new/deeper"]
    half = Lane("half of a folder", ("tests/brand_new/deeper/test_it.py",))
    assert without_lane(tmp_path / "tests", [*LANES, half]) == ["tests/brand_new"]


def test_a_lane_fails_by_its_exit_code_and_in_ci_by_a_skip(monkeypatch: pytest.MonkeyPatch) -> None:
    lane = Lane("some", ("tests/some",))
    good = Through(lane, 0, "...\n12 passed, 1 xfailed in 3.21s\n", 3)
    skipping = Through(lane, 0, "..s\n12 passed, 1 skipped in 3.21s\n\n", 3)
    monkeypatch.delenv("TALLY_CI", raising=False)
    assert [good.failure, skipping.failure] == ["", ""]
    monkeypatch.setenv("TALLY_CI", "1")
    assert [good.failure, skipping.failure] == ["", "some (a test was skipped)"]
    assert Through(lane, 1, "1 failed, 2 passed, 1 error in 1s\n", 1).failure == "some"
    assert skipping.counts == {"passed": 12, "skipped": 1}


def test_compiled_code_of_unknown_or_older_files_is_refused_in_a_sentence(tmp_path: Path) -> None:
    package, stamp, source = tmp_path / "tally_stream", tmp_path / ".venv" / ".compiled", "tally_stream/domain/fold.py"
    (package / "domain").mkdir(parents=True)
    stamp.parent.mkdir()
    (tmp_path / "setup.py").write_text(f'"{source}"')
    (tmp_path / source).touch()
    assert out_of_date(tmp_path) == ""
    (package / "compiled__mypyc.so").touch()
    assert out_of_date(tmp_path).endswith("(no .venv/.compiled)")
    stamp.touch()
    os.utime(stamp, (2_000_000_000, 2_000_000_000))
    assert out_of_date(tmp_path) == ""
    os.utime(stamp, (1_000_000_000, 1_000_000_000))
    assert out_of_date(tmp_path) == f"compiled before it was changed: {source}"
