"""What the intake takes: judged, sent once, its place told again; and whose statements."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tally_stream.domain.scalars import murmur2_partition
from tally_stream.station.intake import taking as taking_module
from tally_stream.station.intake.identity import (
    TOKEN_MAX_CHARS,
    Identities,
    Identity,
    TokenFileError,
    new_token,
    read_tokens,
    token_hash,
    token_line,
)
from tally_stream.station.intake.recent import RecentStatement, RecentStatements
from tally_stream.station.intake.taking import RefusedStatement, Taken, Taking
from tally_stream.station.transport import NotSent, NotTaken
from tally_stream.wire.limits import VALUE_MAX_BYTES
from tests.support.report_messages import ELECTION, LOG_MS, as_bytes, control, counts, decision, election, turnout
from tests.support.signing import key_statement, signed, signing_key
from tests.support.topic_of_lists import PARTITIONS, TopicOfLists, absent
from tests.support.waiting import until

A = Identity("token a", frozenset({"A-1"}))
BOTH = Identity("token b", frozenset({"A-1", "B-1"}))
OTHER_VOTES = {"votes": {"ANNA": 51, "BELA": 45}}
WARNED = {"ballots": {"cast": 100, "valid": 96, "blank": 0, "invalid": 4}}
HELD = {"ballots": {"cast": 99, "valid": 96, "blank": 2, "invalid": 2}}


@pytest.fixture
def topic() -> TopicOfLists:
    return TopicOfLists()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def taking(topic: TopicOfLists, said: list[str]) -> Taking:
    return Taking(ELECTION, topic, said.append, lambda: LOG_MS)


async def taken(taking: Taking, message: dict[str, Any] | bytes, **accepts: bool) -> Taken:
    answer = await taking.take(message if isinstance(message, bytes) else as_bytes(message), BOTH, **accepts)
    assert isinstance(answer, Taken), answer
    return answer


async def refused(taking: Taking, message: dict[str, Any] | bytes, who: Identity = BOTH, **accepts: bool) -> RefusedStatement:
    value = message if isinstance(message, bytes) else as_bytes(message)
    answer = await taking.take(value, who, **accepts)
    assert isinstance(answer, RefusedStatement), answer
    return answer


async def test_a_statement_is_taken_where_it_belongs_byte_for_byte(taking: Taking, topic: TopicOfLists) -> None:
    value = as_bytes(counts()) + b" \n"
    answer = await taking.take(value, A)
    partition = murmur2_partition(b"A-1", PARTITIONS)
    assert answer == Taken("A-1", "PRES", 1, "report", partition, 0)
    assert topic.stored[partition] == [(b"A-1", value)]
    assert (await taken(taking, turnout())).sequence == "turnout"


async def test_the_same_again_has_its_place_and_other_content_is_refused(taking: Taking, topic: TopicOfLists) -> None:
    first = await taken(taking, counts())
    again = await taken(taking, counts())
    assert (again.partition, again.offset, again.is_repeated) == (first.partition, first.offset, True)
    assert len(topic.values) == 1
    other = await refused(taking, counts(**OTHER_VOTES))
    assert (other.why, [r.code for r in other.remarks]) == ("other-content", ["Q3"])
    await taken(taking, counts(revision=2, **OTHER_VOTES), accepts_warnings=True)
    assert (await taken(taking, counts())).offset == first.offset, "an earlier one too"
    assert (await refused(taking, counts(**OTHER_VOTES))).why == "other-content"
    assert len(topic.values) == 2


async def test_the_same_in_other_bytes_is_sent_as_its_signature_may_be_another(topic: TopicOfLists) -> None:
    taking = Taking(
        election(signatures="optional", keys=[signing_key("ALL"), signing_key("TWO")]), topic, print, lambda: LOG_MS
    )
    await taken(taking, counts())
    assert not (await taken(taking, signed(counts(), "ALL"))).is_repeated
    assert not (await taken(taking, signed(counts(), "TWO"))).is_repeated
    assert (await taken(taking, signed(counts(), "TWO"))).is_repeated
    assert topic.values == [as_bytes(counts()), signed(counts(), "ALL"), signed(counts(), "TWO")]


async def test_rules_refuse_and_the_paper_may_say_so(taking: Taking, topic: TopicOfLists) -> None:
    wrong = await refused(taking, counts(votes={"ANNA": 1}), accepts_warnings=True, accepts_errors=True)
    assert (wrong.why, [r.code for r in wrong.remarks]) == ("rules", ["S3"])
    assert (await refused(taking, counts(kind="correct"), accepts_errors=True)).remarks[0].code == "Q5"
    warned = await refused(taking, counts(**WARNED), accepts_errors=True)
    assert (warned.why, "accept_warnings" in warned.sentence) == ("confirm", True)
    held = await refused(taking, counts(**HELD), accepts_warnings=True)
    assert (held.why, "accept_errors" in held.sentence, held.remarks[0].left) == ("confirm", True, 100)
    assert topic.values == []
    assert [r.code for r in (await taken(taking, counts(**WARNED), accepts_warnings=True)).remarks] == ["P1"]
    assert [r.code for r in (await taken(taking, counts(**HELD, station="B-1"), accepts_errors=True)).remarks] == ["A2"]


async def test_a_clock_two_days_off_is_told_in_times(taking: Taking) -> None:
    late = await refused(taking, counts(counted_at="2024-02-09T20:00:00+04:00"))
    assert (late.why, late.remarks[0].code) == ("confirm", "Q7")
    assert "later than this machine's clock" in late.remarks[0].sentence
    await taken(taking, counts(counted_at="2024-02-09T20:00:00+04:00"), accepts_warnings=True)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (b"", "not JSON"), (b"\xff", "not JSON"), (b"[" * 60_000, "not JSON"), (b"[]", "no JSON object"),
        (b"{}", "names no station"), (as_bytes(counts(station=7)), "names no station"),
        (as_bytes(decision()), "annul is an authority's order"), (as_bytes(control()), "hold is an authority's order"),
        (as_bytes(key_statement()), "key is an authority's order"), (signed(key_statement(), "ALL"), "key is an authority's"),
        (b" " * (VALUE_MAX_BYTES + 1), "65,537 bytes: a statement has at most 65,536"),
    ],
)  # fmt: skip
async def test_what_is_no_station_s_statement(taking: Taking, topic: TopicOfLists, value: bytes, sentence: str) -> None:
    answer = await refused(taking, value, accepts_warnings=True, accepts_errors=True)
    assert (answer.why, sentence in answer.sentence) == ("no-statement", True), answer
    assert topic.values == []


async def test_the_longest_statement_is_taken(taking: Taking) -> None:
    value = as_bytes(counts())
    await taken(taking, value + b" " * (VALUE_MAX_BYTES - len(value)))


async def test_nobody_speaks_for_another_station(taking: Taking, topic: TopicOfLists) -> None:
    answer = await refused(taking, counts(station="B-1"), A, accepts_warnings=True, accepts_errors=True)
    assert (answer.why, answer.sentence) == ("not-yours", "who calls may not speak for station B-1")
    assert (await refused(taking, counts(station="NONE", votes=1), A)).why == "not-yours", "before a rule says anything"
    assert topic.values == []


async def test_a_signature_that_must_be_there_or_must_not(topic: TopicOfLists) -> None:
    keys = [signing_key("ALL")]
    required = Taking(election(signatures="required", keys=keys), topic, print, lambda: LOG_MS)
    assert str((await refused(required, counts())).remarks[0]) == "S6: not signed, and the definition demands signatures"
    await taken(required, signed(counts(), "ALL"))
    unsigned = Taking(ELECTION, topic, print, lambda: LOG_MS)
    assert [r.code for r in (await refused(unsigned, signed(counts(), "ALL"))).remarks] == ["S6"]


async def test_brokers_that_are_gone_are_told_and_the_same_again_is_taken(
    taking: Taking, topic: TopicOfLists, said: list[str]
) -> None:
    topic.before = absent
    for _ in range(2):
        answer = await refused(taking, counts())
        assert (answer.why, answer.retry_seconds) == ("brokers", taking_module.RETRY_SECONDS)
        assert "nobody is there" not in answer.sentence, "addresses of brokers are not for callers"
    assert said == ["nobody is there"], "once"
    assert taking.trouble == "nobody is there"
    topic.before = lambda count: NotTaken("a wrong login")
    assert (await refused(taking, counts())).why == "brokers"
    topic.before = lambda count: None
    topic.after = lambda count: NotSent("no answer")
    assert (await refused(taking, counts())).why == "brokers", "it stands there all the same"
    topic.after = lambda count: None
    assert (await taken(taking, counts())).offset == 1
    assert taking.trouble is None


async def test_who_hangs_up_changes_nothing(taking: Taking, topic: TopicOfLists) -> None:
    gate = asyncio.Event()
    sending = topic.send

    async def send(key: bytes, value: bytes) -> tuple[int, int]:
        await gate.wait()
        return await sending(key, value)

    topic.send = send  # type: ignore[method-assign]
    calls = [asyncio.create_task(taking.take(as_bytes(counts()), A)) for _ in range(3)]
    await until(lambda: taking.under_way_count == 3, "three under way")
    for call in calls[:2]:
        call.cancel()
    await asyncio.gather(*calls[:2], return_exceptions=True)
    gate.set()
    answer = await calls[2]
    assert isinstance(answer, Taken)
    assert answer.is_repeated, "the first was sent though nobody waited for it"
    await taking.settle()
    assert (len(topic.values), taking.under_way_count) == (1, 0)


async def test_many_at_once_are_told_to_come_again(
    taking: Taking, topic: TopicOfLists, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking_module, "UNDER_WAY_MAX", 10)
    answers = await asyncio.gather(*(taking.take(as_bytes(turnout(revision=n + 1)), A) for n in range(11)))
    assert [isinstance(answer, Taken) for answer in answers] == [True] * 10 + [False]
    assert isinstance(answers[10], RefusedStatement)
    assert (answers[10].why, answers[10].retry_seconds) == ("busy", taking_module.RETRY_SECONDS)
    assert topic.values == [as_bytes(turnout(revision=n + 1)) for n in range(10)], "in the order in which they came"
    assert not taking._lines, "a station that is through leaves nothing"  # noqa: SLF001 (nothing else shows it)


def test_recent_statements_have_a_limit() -> None:
    recent = RecentStatements(most=2, most_bytes=10)

    def add(revision: int, size: int, offset: int) -> None:
        recent.add(RecentStatement("A-1", "PRES", revision, "report", b"x" * size, 0, offset))

    for revision in (1, 2, 3):
        add(revision, 1, revision)
    assert (recent.find("A-1", "PRES", 1), recent.at(0, 1), len(recent)) == (None, None, 2)
    add(3, 9, 9)
    assert (len(recent), recent.bytes_kept, recent.at(0, 3)) == (2, 10, None)
    add(4, 2, 10)
    assert (len(recent), recent.bytes_kept) == (1, 2)


# -- who is who ------------------------------------------------------------------------------------------------------


def test_a_token_is_known_by_its_hash_alone(tmp_path: Path) -> None:
    token, other = new_token(), new_token()
    assert token != other
    path = tmp_path / "tokens"
    path.write_text("# of the north\n\n" + token_line(token, ["B-1", "A-1", "A-1"]))
    assert token not in path.read_text()
    identities = Identities(ELECTION, path, print)
    who = identities.of_token(token)
    assert who == Identity(f"token {token_hash(token)[:12]}", frozenset({"A-1", "B-1"}))
    assert who.may_speak_for("A-1")
    assert not who.may_speak_for("C-1")
    assert [identities.of_token(wrong) for wrong in (other, "", "é\udcff", "x" * (TOKEN_MAX_CHARS + 1))] == [None] * 4
    assert (identities.stations, len(identities)) == ({"A-1", "B-1"}, 1)


def test_a_file_that_changes_is_read_again_and_a_broken_one_is_told(tmp_path: Path) -> None:
    said: list[str] = []
    one, two = new_token(), new_token()
    path = tmp_path / "tokens"
    path.write_text(token_line(one, ["A-1"]))
    identities = Identities(ELECTION, path, said.append)
    path.write_text(token_line(two, ["A-1"]) + "# another\n")
    assert identities.of_token(one) is None
    assert identities.of_token(two) is not None
    path.write_text("nonsense")
    for _ in range(2):
        assert identities.of_token(two) is not None
    path.unlink()
    assert identities.of_token(two) is not None
    assert identities.mistake == f"{path}: cannot be read: No such file or directory"
    path.write_text(token_line(one, ["A-1"]))
    assert identities.of_token(two) is None
    assert identities.mistake is None
    assert len(said) == 2
    assert said[0].startswith(f"TALLY_INTAKE_TOKENS: {path}, line 1: not `sha256:HASH STATION …`")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("sha256:abc A-1", "line 1: not `sha256:HASH STATION"), (f"sha256:{'a' * 64}", "line 1: not `sha256:HASH STATION"),
        (f"sha256:{'a' * 64} C-1", "line 1: X-2024 has no station C-1"),
        (f"sha256:{'a' * 64} A-1\nsha256:{'a' * 64} B-1", "line 2: the token of this hash has a line above"),
    ],
)  # fmt: skip
def test_mistakes_in_the_file_have_their_line(text: str, sentence: str) -> None:
    with pytest.raises(TokenFileError, match=sentence):
        read_tokens(text, "tokens", ELECTION)


def test_a_file_that_is_broken_at_the_start_is_told_once(tmp_path: Path) -> None:
    said: list[str] = []
    with pytest.raises(TokenFileError, match="cannot be read: No such file"):
        Identities(ELECTION, tmp_path / "none", said.append)
    assert said == []


def test_a_certificate_names_a_station() -> None:
    identities = Identities(ELECTION, None, print)
    assert identities.of_certificate("A-1") == Identity("certificate A-1", frozenset({"A-1"}))
    assert identities.of_certificate("C-1") is None
    assert identities.of_token(new_token()) is None
