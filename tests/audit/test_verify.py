"""verify: every message recomputed at its own vector; any difference is found and named."""

import json
import os
import subprocess
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from tally_stream.audit.replay import replay
from tally_stream.audit.verify import Found, Verification
from tally_stream.domain.election import Election
from tally_stream.wire.folder.assembling import load_election
from tally_stream.wire.messages import canonical_json, standings_key
from tally_stream.wire.report_log import ReportLog
from tests.audit.small_logs import saved
from tests.support.paths import NIGHTS
from tests.support.preloaded import ran, ran_in_bytes
from tests.support.processes import command


def every_message(of: Election, log: Path, partitions: int) -> list[bytes]:
    """All messages at all vectors, in an order in which vectors do not only grow."""
    ends = [fold.next_offset for fold in replay(of, log).folds]
    assert len(ends) == partitions == 2
    vectors = [{0: first, 1: second} for first in range(ends[0] + 1) for second in range(ends[1] + 1)]
    return [canonical_json(m) for at in vectors for m in replay(of, log, at=at).messages(0)]


def verified(of: Election, log: Path, values: list[bytes], keys: list[bytes | None] | None = None) -> Verification:
    opened = ReportLog(log)
    check = Verification(of, opened.topic, opened.partition_count)
    keys = keys or [None] * len(values)
    check.expect([Found(f"line {n}", key, v) for n, (key, v) in enumerate(zip(keys, values, strict=True), 1)])
    for record in opened:
        check.take(record)
    check.finish()
    return check


def test_every_message_at_every_vector_is_what_the_log_gives(of: Election, tmp_path: Path) -> None:
    log = saved(tmp_path / "log")
    values = every_message(of, log, 2)
    check = verified(of, log, values)
    assert check.differences == []
    assert check.compared == len(values) > 20
    assert check.records == 9


def test_a_record_asks_only_the_contests_that_wait_for_it(of: Election, tmp_path: Path) -> None:
    """Of 1,200 contests few have a message at an offset: to ask all of them at each record took longer than the count."""

    class NeverAll(list[Any]):
        def __iter__(self) -> Any:
            raise AssertionError("all contests are asked")

    opened = ReportLog(saved(tmp_path / "log"))
    check = Verification(of, opened.topic, opened.partition_count)
    values = every_message(of, tmp_path / "log", 2)
    check.expect([Found(f"line {n}", None, value) for n, value in enumerate(values)])
    contests, check._contests = check._contests, NeverAll(check._contests)  # noqa: SLF001  (what is asked is what the test is about)
    for record in opened:
        check.take(record)
    check._contests = contests  # noqa: SLF001  (as that)
    check.finish()
    assert (check.differences, check.compared) == ([], len(values))


def test_messages_of_a_replaced_definition_are_passed_over_and_no_others(of: Election, tmp_path: Path) -> None:
    log = saved(tmp_path / "log")
    mine = every_message(of, log, 2)
    old, unknown = "sha256:" + "0" * 64, "sha256:" + "1" * 64
    others = [canonical_json(json.loads(mine[-1]) | {"definition": digest}) for digest in (old, unknown)]
    opened = ReportLog(log)
    check = Verification(of, opened.topic, opened.partition_count, frozenset({old, of.digest}))
    check.expect([Found(f"line {n}", None, value) for n, value in enumerate([*mine, *others], 1)])
    for record in opened:
        check.take(record)
    check.finish()
    assert [str(d) for d in check.differences] == [
        f"line {len(mine) + 2}: definition: found {unknown}, this election is {of.digest}"
    ]
    assert (check.ignored, check.compared) == (1, len(mine) + 1), "its own definition is never passed over"


def test_a_changed_digit_is_found_with_its_field(of: Election, tmp_path: Path) -> None:
    log = saved(tmp_path / "log")
    values = every_message(of, log, 2)
    message = json.loads(values[-1])
    message["candidates"][1]["votes"] += 1
    (difference,) = verified(of, log, [*values[:-1], canonical_json(message)]).differences
    assert difference.where == f"line {len(values)}, PRES|X at version 9"
    assert difference.field == "candidates[1].votes"
    assert (
        difference.what == f"found {message['candidates'][1]['votes']}, the log gives {message['candidates'][1]['votes'] - 1}"
    )


def test_every_turned_bit_of_a_message_is_found(of: Election, tmp_path: Path) -> None:
    log = saved(tmp_path / "log")
    value = every_message(of, log, 2)[-1]
    turned = [value[:at] + bytes([value[at] ^ 1 << bit]) + value[at + 1 :] for at in range(len(value)) for bit in range(8)]
    check = verified(of, log, turned)
    assert check.compared == len(turned) == 8 * len(value)
    assert len(check.differences) == len(turned)


def test_messages_wait_packed_and_go_once_they_are_compared(of: Election, tmp_path: Path) -> None:
    """Thousands of versions of a long night: not their bytes, nor the figures of every offset, may lie in memory."""
    log = ReportLog(saved(tmp_path / "log"))
    values = every_message(of, log.path, 2) * 100
    check = Verification(of, log.topic, log.partition_count)
    tracemalloc.start()
    check.expect(Found("here", None, value) for value in values)
    waiting, _ = tracemalloc.get_traced_memory()
    for record in log:
        check.take(record)
    check.finish()
    left, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (check.compared, check.differences) == (len(values), [])
    assert waiting < 0.4 * sum(map(len, values))
    assert left < 0.05 * sum(map(len, values))


def test_a_log_with_another_record_gives_other_standings(of: Election, tmp_path: Path) -> None:
    log = saved(tmp_path / "log")
    values = every_message(of, log, 2)
    text = log.read_bytes()
    other = tmp_path / "other"
    first = text.index(b'\\"ANNA\\": 40')
    other.write_bytes(text[:first] + b'\\"ANNA\\": 39' + text[first + len(b'\\"ANNA\\": 40') :])
    assert verified(of, other, values).differences


@pytest.mark.parametrize(
    ("change", "field", "what"),
    [
        ({"definition": "sha256:00"}, "definition", "this election is"),
        ({"contest": "SEAT"}, "contest", "which this election has not"),
        ({"area": "X/NORTH"}, "area", "no published area"),
        ({"provenance": {"topic": "x.reports", "next_offsets": {"0": 1}}}, "provenance.next_offsets", "the log has 2"),
        ({"provenance": {"topic": "x.reports", "next_offsets": {"0": 1, "1": 99}}}, "provenance.next_offsets.1",
         "found 99, the log ends at"),
        ({"provenance": {"topic": "y.reports", "next_offsets": {"0": 0, "1": 0}}}, "", "found"),
        ({"on_hold": True}, "on_hold", "found true, the log gives false"),
        ({"more": 1}, "more", "found 1, the log gives no such field"),
        ({"more": None}, "more", "found null, the log gives no such field"),
    ],
)  # fmt: skip
def test_what_a_message_may_not_say(of: Election, tmp_path: Path, change: dict[str, Any], field: str, what: str) -> None:
    log = saved(tmp_path / "log")
    message = json.loads(every_message(of, log, 2)[-1]) | change
    (difference,) = verified(of, log, [canonical_json(message)]).differences
    assert difference.field.startswith(field)
    assert what in difference.what


def test_a_field_that_is_not_there_is_not_null(of: Election, tmp_path: Path) -> None:
    """Every field is always there; one without a value is null."""
    log = saved(tmp_path / "log")
    message = json.loads(every_message(of, log, 2)[0])
    assert message["turnout"] is None
    del message["turnout"]
    (difference,) = verified(of, log, [canonical_json(message)]).differences
    assert (difference.field, difference.what) == ("turnout", "found no such field, the log gives null")


def test_of_an_empty_log_the_standings_at_0_are_compared_and_nothing_beyond(of: Election, tmp_path: Path) -> None:
    full = saved(tmp_path / "log")
    empty = tmp_path / "empty"
    empty.write_bytes(full.read_bytes().splitlines(keepends=True)[0])
    at_0 = [canonical_json(m) for m in replay(of, empty).messages(0)]
    check = verified(of, empty, at_0)
    assert (check.records, check.compared, check.differences) == (0, len(at_0), [])
    spoilt = at_0[-1].replace(b'"version":0', b'"version":1')
    (difference,) = verified(of, empty, [spoilt]).differences
    assert (difference.field, difference.what) == ("version", "found 1, the log gives 0")
    (difference,) = verified(of, empty, [canonical_json(replay(of, full).messages(0)[-1])]).differences
    assert difference.what.endswith(", the log ends at 0")


def test_the_key_and_the_bytes_count_too(of: Election, tmp_path: Path) -> None:
    log = saved(tmp_path / "log")
    value = every_message(of, log, 2)[-1]
    assert verified(of, log, [value], [standings_key("PRES", "X")]).differences == []
    assert verified(of, log, [value], [b"PRES|Y"]).differences[0].what == "its key is b'PRES|Y'"
    spaced = json.dumps(json.loads(value), ensure_ascii=False).encode()
    assert "other bytes" in verified(of, log, [spaced]).differences[0].what
    assert "not a standings message" in verified(of, log, [b"nonsense"]).differences[0].what


def call(*arguments: str, expect: int) -> subprocess.CompletedProcess[str]:
    done = ran(command("verify", *arguments), os.environ, 120)
    assert done.returncode == expect, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def test_the_command_checks_a_whole_night_offline(tmp_path: Path) -> None:
    night = NIGHTS / "az-2024"
    published = tmp_path / "standings.jsonl"
    lines = []
    for until in ("2024-02-07T22:00:00+04:00", "2024-02-08T03:13:00+04:00", "2024-02-12T00:00:00+04:00"):
        words = command("replay", str(night), str(night / "reports.jsonl.gz"), "--until", until, "--json")
        lines.append(ran_in_bytes(words, os.environ, 120).stdout)
    published.write_bytes(b"".join(lines))
    arguments = ("az-2024", str(night / "reports.jsonl.gz"), "--standings", str(published))
    assert json.loads(call(*arguments, "--json", expect=0).stdout)["compared"] == 3 * 126
    assert "378 standings messages equal" in call(*arguments, expect=0).stdout
    published.write_bytes(b"".join(lines).replace(b'"votes":4281625', b'"votes":4281626'))
    said = call(*arguments, expect=1).stderr
    assert "candidates[0].votes: found 4281626, the log gives 4281625" in said
    assert f"{published}:252, PRES|AZ" in said
    digest_of_now = load_election(night).digest
    old = [b"sha256:" + digit * 64 for digit in (b"0", b"1")]
    mine = lines[0].splitlines(keepends=True)
    replaced = [line.replace(digest_of_now.encode(), digest) for digest in old for line in mine]
    published.write_bytes(b"".join([*replaced, *mine]))
    lines_said = call(*arguments, expect=1).stderr.splitlines()
    assert lines_said == [
        *(f"tally-stream: {published}:{line}: definition: found {digest.decode()}, this election is {digest_of_now} "
          f"(126 messages; where it was replaced on purpose: --replace-definition {digest.decode()})"
          for line, digest in zip((1, 127), old, strict=True)),
        "tally-stream: 252 of 378 standings messages differ from what 39,095 records give",
    ]  # fmt: skip
    published.write_bytes(b"")
    assert "no standings to compare" in call(*arguments, expect=1).stderr
