"""An authority's order on topics that stand in memory: what is due, who was quicker, what a death between copies leaves behind.

The same over real brokers is in tests/cli/test_authority.py (embedded) and tests/nights/test_authority_on_kafka.py.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tally_stream.audit.replay import Replay
from tally_stream.domain.scalars import murmur2_partition
from tally_stream.kafka.client import KafkaError, StoredRecord
from tally_stream.settings import Settings
from tally_stream.station import authority
from tally_stream.station.authority import SENDINGS_MAX, Given, give, unsealed
from tally_stream.station.orders import AuthorityOrder, Docket, OrderDue, OrderKind, OrderRefused, StationSeen
from tally_stream.wire.report_log import LogRecord
from tests.support.report_messages import ELECTION, LOG_MS, control, counts, decision, election
from tests.support.signing import signed, signing_key

PARTITIONS = 4
HOME = murmur2_partition(b"A-1", PARTITIONS)
SETTINGS = Settings(prefix="t")


class Landed:
    def __init__(self, offset: int) -> None:
        self.offset = offset


class Topic:
    """The reports topic. `before` is called with (partition, value) before a record of a producer lands; what it raises is
    the broker's answer."""

    def __init__(self) -> None:
        self.stored: list[list[StoredRecord]] = [[] for _ in range(PARTITIONS)]
        self.before: Callable[[int, bytes], None] = lambda partition, value: None

    def put(self, partition: int, key: str, statement: dict[str, Any] | bytes) -> int:
        value = statement if isinstance(statement, bytes) else json.dumps(statement).encode()
        at = self.stored[partition]
        at.append(StoredRecord(partition, len(at), LOG_MS + len(at), key.encode(), value))
        return len(at) - 1

    def report(self, **changes: Any) -> None:
        self.put(HOME, "A-1", counts(**changes))

    def decide(self, **changes: Any) -> None:
        self.put(HOME, "A-1", decision(**changes))

    def docket(self, order: AuthorityOrder) -> tuple[Docket, dict[int, int]]:
        docket = Docket(ELECTION, order, PARTITIONS)
        for records in self.stored:
            for record in records:
                docket.take(record)
        return docket, {p: len(records) for p, records in enumerate(self.stored)}

    def give(
        self, order: AuthorityOrder, between: Callable[[], object] | None = None, seal: authority.Seal = unsealed
    ) -> Given:
        """As the command does; `between`: what comes while its giver looks at what would change."""
        docket, next_offsets = self.docket(order)
        shown = None if order.station is None else docket.shown
        if between is not None:
            between()
        return asyncio.run(give(SETTINGS, docket, next_offsets, shown, seal, said.append))

    def replay(self) -> Replay:
        replay = Replay(ELECTION, "t.reports", PARTITIONS)
        for records in self.stored:
            for r in records:
                replay.take(LogRecord(r.timestamp_ms, r.key, r.value, r.partition, r.offset))
        return replay

    def root(self) -> dict[str, Any]:
        return self.replay().messages(0)[-1]

    def verdicts(self) -> dict[str, int]:
        return {name: count for name, count in self.replay().verdict_counts().items() if name != "codes" and count}


said: list[str] = []


class Reader:
    def __init__(self, topic: Topic) -> None:
        self.topic = topic
        self.at = dict.fromkeys(range(PARTITIONS), 0)

    async def __aenter__(self) -> Reader:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def seek(self, offsets: dict[int, int]) -> None:
        self.at.update(offsets)

    async def poll(self) -> list[StoredRecord]:
        await asyncio.sleep(0)
        found = [record for p, records in enumerate(self.topic.stored) for record in records[self.at[p] :]]
        self.at = {p: len(records) for p, records in enumerate(self.topic.stored)}
        return found

    async def read_to_end(self) -> AsyncIterator[list[StoredRecord]]:
        yield await self.poll()


class Producer:
    def __init__(self, topic: Topic) -> None:
        self.topic = topic

    async def send(self, topic: str, value: bytes, *, key: bytes, partition: int) -> asyncio.Future[Landed]:
        assert topic == "t.reports"
        answer: asyncio.Future[Landed] = asyncio.get_running_loop().create_future()
        try:
            self.topic.before(partition, value)
            answer.set_result(Landed(self.topic.put(partition, key.decode(), value)))
        except KafkaError as error:
            answer.set_exception(error)
        return answer


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch) -> Topic:
    made = Topic()

    @asynccontextmanager
    async def sender(settings: Settings) -> AsyncIterator[Producer]:
        yield Producer(made)

    monkeypatch.setattr(authority, "TopicReader", lambda settings, name, *, is_log: Reader(made))
    monkeypatch.setattr(authority, "sender", sender)
    monkeypatch.setattr(authority, "AGAIN_SECONDS", 0)
    said.clear()
    return made


def order(kind: OrderKind, station: str | None = "A-1", *, contest: str = "PRES", reason: str = "why",
          by: str = "who") -> AuthorityOrder:  # fmt: skip
    return AuthorityOrder(kind, contest, station, reason, by)


def due(topic: Topic, of: AuthorityOrder) -> OrderDue:
    return topic.docket(of)[0].due()


def refusal(topic: Topic, of: AuthorityOrder) -> str:
    with pytest.raises(OrderRefused) as caught:
        due(topic, of)
    return str(caught.value)


def test_a_statement_says_what_the_format_wants() -> None:
    assert json.loads(order("annul").statement(ELECTION, 7, 3)) == {
        "schema": 1, "election": "X-2024", "phase": "official", "contest": "PRES", "station": "A-1", "revision": 7,
        "kind": "annul", "replaces": 3, "reason": "why", "authority": "who",
    }  # fmt: skip
    assert json.loads(order("hold", None).statement(ELECTION, 2, None)) == {
        "schema": 1, "election": "X-2024", "phase": "official", "contest": "PRES", "revision": 2, "kind": "hold",
        "reason": "why", "authority": "who",
    }  # fmt: skip


class TestAboutAStation:
    def test_each_takes_effect_one_after_the_other(self, topic: Topic) -> None:
        topic.report()
        for kind, replaces in (("annul", 1), ("restore", 2), ("withdraw", 3)):
            given = topic.give(order(kind, reason=kind))  # type: ignore[arg-type]  # a test's literal
            assert (given.due.replaces, given.due.revision) == (replaces, replaces + 1)
            assert given.sent == {HOME: given.due.revision - 1} == given.stands_at
        topic.report(revision=5, ballots={"cast": 99, "valid": 96, "blank": 2, "invalid": 2})
        given = topic.give(order("accept"))
        assert (given.due.replaces, given.due.revision) == (5, 6)
        assert topic.verdicts() == {"counted": 5, "held": 1}
        assert topic.root()["stations"]["counted"] == 1
        assert said == []

    @pytest.mark.parametrize(
        ("of", "sentence"),
        [
            (order("annul", "Z-9"), "S2: "),
            (order("annul", contest="MAYOR"), "S2: "),
            (order("annul", reason=""), "Q5: annul without reason"),
            (order("annul", reason="a\nb"), "S4: "),
            (order("annul", reason="x" * 201), "S4: "),
            (order("annul", by="\udc80"), "S1: "),
            (order("annul", "\udc80"), "S"),
            (order("accept"), "Q5: accept of revision 1, held is none"),
            (order("restore"), "Q5: restore of a station that is not annulled"),
            (order("withdraw", "B-1"), "Q5: withdraw where nothing is in force or held"),
            (order("hold", None, contest="MAYOR"), "S2: "),
            (order("hold", None, reason=""), "S1: "),
        ],
    )
    def test_what_a_rule_refuses_is_not_sent(self, topic: Topic, of: AuthorityOrder, sentence: str) -> None:
        topic.report()
        assert refusal(topic, of).startswith(sentence)

    def test_an_annulled_station_is_not_annulled_again(self, topic: Topic) -> None:
        topic.give(order("annul"))
        assert refusal(topic, order("annul", by="another")) == "Q5: annul of an annulled station"
        assert refusal(topic, order("withdraw")) == "Q5: withdraw of an annulled station"

    def test_the_same_order_again_finds_itself_standing(self, topic: Topic) -> None:
        topic.report()
        first = topic.give(order("annul"))
        again = topic.give(order("annul"))
        assert again.due.partitions == ()
        assert (again.sent, again.stands_at) == ({}, first.stands_at)
        topic.give(order("restore"))
        assert topic.give(order("annul")).due.revision == 4, "annulled, restored, annulled again for the same reason"

    def test_the_same_order_given_while_this_one_was_looked_at_stands(self, topic: Topic) -> None:
        topic.report()
        given = topic.give(order("annul"), between=lambda: topic.decide(reason="why", authority="who"))
        assert given.sent == {}
        assert topic.verdicts() == {"counted": 2}

    def test_what_comes_first_makes_it_the_next_revision(self, topic: Topic) -> None:
        """A report that was held meanwhile has the revision: the annulment is sent again and takes effect."""
        topic.report()
        wrong = counts(revision=2, ballots={"cast": 99, "valid": 96, "blank": 2, "invalid": 2})

        def quicker(partition: int, value: bytes) -> None:
            topic.before = lambda partition, value: None
            topic.put(partition, "A-1", wrong)

        topic.before = quicker
        given = topic.give(order("annul"))
        assert (given.due.revision, given.due.replaces) == (3, 1)
        assert topic.verdicts() == {"counted": 2, "held": 1, "conflicting": 1}
        assert said == ["somebody else was quicker than revision 2: it is sent again as the next one"]

    def test_an_order_that_lost_is_told_what_stands(self, topic: Topic) -> None:
        topic.report()

        def quicker(partition: int, value: bytes) -> None:
            topic.before = lambda partition, value: None
            topic.decide(revision=2, kind="annul")

        topic.before = quicker
        with pytest.raises(OrderRefused, match="Q5: annul of an annulled station"):
            topic.give(order("annul"))

    @pytest.mark.parametrize("kind", ["accept", "withdraw", "restore"])
    def test_it_is_not_given_about_what_nobody_looked_at(self, topic: Topic, kind: OrderKind) -> None:
        """Another statement came while its giver read what would change: that one was never looked at."""
        wrong = {"cast": 99, "valid": 96, "blank": 2, "invalid": 2}
        topic.report()
        if kind == "restore":
            topic.decide(revision=2)
        elif kind == "accept":
            topic.report(revision=2, ballots=wrong)

        def meanwhile() -> None:
            if kind == "restore":
                topic.decide(revision=3, kind="restore", replaces=2)
                topic.decide(revision=4, replaces=3)
            elif kind == "accept":
                topic.report(revision=3, ballots={**wrong, "cast": 98})
            else:
                topic.report(revision=2)

        with pytest.raises(OrderRefused, match=f"A-1 has stated something else meanwhile than what {kind} was"):
            topic.give(order(kind), between=meanwhile)

    def test_annulling_excludes_whatever_was_stated_meanwhile(self, topic: Topic) -> None:
        topic.report()
        given = topic.give(order("annul"), between=lambda: topic.report(revision=2))
        assert (given.due.revision, given.due.replaces) == (3, 2)

    def test_it_gives_up_and_says_so(self, topic: Topic) -> None:
        topic.report()

        def always_quicker(partition: int, value: bytes) -> None:
            revision = json.loads(value)["revision"]
            topic.report(revision=revision, votes={"ANNA": 50 + revision, "BELA": 46 - revision})

        topic.before = always_quicker
        with pytest.raises(OrderRefused, match=f"{SENDINGS_MAX} revisions were sent and each time somebody else was quicker"):
            topic.give(order("annul"))

    def test_turnout_and_other_contests_of_the_station_change_nothing_of_it(self, topic: Topic) -> None:
        topic.report()
        topic.put(HOME, "A-1", counts(contest="SEAT", votes={"CLEO": 96}, revision=9))
        topic.put((HOME + 1) % PARTITIONS, "A-1", counts(revision=5))
        assert due(topic, order("annul")).revision == 2

    def test_a_station_that_stated_nothing_can_be_annulled(self, topic: Topic) -> None:
        assert topic.docket(order("annul"))[0].shown == StationSeen(0, 0, 0)
        assert due(topic, order("annul")).replaces == 0


KEYS = (signing_key("CEC"), signing_key("A-1", "A-1", ["report"]))


class TestWhereSignaturesAreDemanded:
    @pytest.fixture
    def signed_topic(self, topic: Topic, monkeypatch: pytest.MonkeyPatch) -> Topic:
        monkeypatch.setattr(sys.modules[__name__], "ELECTION", election(signatures="required", keys=KEYS))
        topic.put(HOME, "A-1", signed(counts(), "A-1"))
        return topic

    def test_an_order_is_sealed_and_takes_effect(self, signed_topic: Topic) -> None:
        given = signed_topic.give(order("annul"), seal=lambda statement: signed(statement, "CEC"))
        assert given.due.revision == 2
        assert signed_topic.give(order("annul")).sent == {}, "what stands needs no key"
        assert signed_topic.verdicts() == {"counted": 2}

    @pytest.mark.parametrize("by", ["", "A-1", "NOBODY"])
    def test_what_would_be_refused_for_its_signature_is_not_sent(self, signed_topic: Topic, by: str) -> None:
        for of in (order("annul"), order("hold", None)):
            with pytest.raises(OrderRefused, match="S6: "):
                signed_topic.give(of, seal=(lambda statement: signed(statement, by)) if by else unsealed)
        assert signed_topic.verdicts() == {"counted": 1}

    def test_missing_copies_are_sent_as_they_are_sealed(self, signed_topic: Topic) -> None:
        value = signed(order("hold", None).statement(ELECTION, 1, None), "CEC")
        signed_topic.put(2, "PRES", value)
        given = signed_topic.give(order("hold", None))
        assert sorted(given.sent) == [0, 1, 3]
        assert {record.value for record in signed_topic.stored[0]} == {value}


def contest_order(kind: OrderKind, *, reason: str = "why", by: str = "who") -> AuthorityOrder:
    return order(kind, None, reason=reason, by=by)


class TestAboutAContest:
    def copies(self, topic: Topic) -> list[list[str]]:
        """Of each partition, the control statements in it: kind, revision, and who."""
        said = [[json.loads(record.value or b"") for record in records] for records in topic.stored]
        return [[f"{one['kind']} {one['revision']} {one['authority']}" for one in records if "station" not in one]
                for records in said]  # fmt: skip

    def values(self, topic: Topic) -> set[bytes | None]:
        return {record.value for records in topic.stored for record in records}

    def test_every_partition_has_the_same_bytes(self, topic: Topic) -> None:
        topic.report()
        for revision, kind in enumerate(("hold", "release", "certify"), 1):
            given = topic.give(contest_order(kind))  # type: ignore[arg-type]  # a test's literal
            assert (given.due.revision, set(given.sent)) == (revision, set(range(PARTITIONS)))
        assert self.copies(topic) == [["hold 1 who", "release 2 who", "certify 3 who"]] * PARTITIONS
        assert len(self.values(topic)) == 1 + 3
        root = topic.root()
        assert (root["status"], root["on_hold"]) == ("certified", False)

    def test_a_hold_freezes_each_partition_at_its_own_offset(self, topic: Topic) -> None:
        topic.report()
        given = topic.give(contest_order("hold"))
        topic.report(revision=2)
        offsets = topic.root()["provenance"]["next_offsets"]
        assert offsets == {str(p): offset + 1 for p, offset in given.stands_at.items()}
        assert topic.root()["on_hold"]

    def test_the_same_order_again_sends_nothing(self, topic: Topic) -> None:
        first = topic.give(contest_order("hold"))
        again = topic.give(contest_order("hold"))
        assert (again.due.partitions, again.sent, again.stands_at) == ((), {}, first.stands_at)
        topic.give(contest_order("release"))
        assert topic.give(contest_order("hold")).due.revision == 3

    @pytest.mark.parametrize("landed", range(1, PARTITIONS))
    def test_what_a_death_between_copies_left_is_completed(self, topic: Topic, landed: int) -> None:
        def die(partition: int, value: bytes) -> None:
            if partition >= landed:
                raise KafkaError("gone")

        topic.before = die
        with pytest.raises(KafkaError, match=r"not every partition has acknowledged revision 1 \(.*\): run it again"):
            topic.give(contest_order("hold"))
        docket, _ = topic.docket(contest_order("hold"))
        incomplete = docket.incomplete()
        assert incomplete is not None
        assert (incomplete[0].kind, incomplete[1]) == ("hold", list(range(landed, PARTITIONS)))
        topic.before = lambda partition, value: None
        given = topic.give(contest_order("hold"))
        assert set(given.sent) == set(range(landed, PARTITIONS))
        assert set(given.stands_at) == set(range(PARTITIONS))
        assert self.copies(topic) == [["hold 1 who"]] * PARTITIONS
        assert len(self.values(topic)) == 1, "the same bytes"
        assert topic.docket(contest_order("hold"))[0].incomplete() is None

    def test_another_order_replaces_what_was_begun(self, topic: Topic) -> None:
        topic.put(0, "PRES", control(kind="hold", authority="another"))
        given = topic.give(contest_order("release"))
        assert (given.due.revision, set(given.sent)) == (2, set(range(PARTITIONS)))
        assert not topic.root()["on_hold"]
        assert topic.docket(contest_order("release"))[0].incomplete() is None

    def test_two_at_once_are_both_in_force_or_told(self, topic: Topic) -> None:
        """Each had a revision in some partitions: the first to be the next one everywhere is in force, then the other."""

        def other_in_two(partition: int, value: bytes) -> None:
            if partition in (2, 3):
                topic.put(partition, "PRES", control(kind="hold", authority="another"))
            if partition == 3:
                topic.before = lambda partition, value: None

        topic.before = other_in_two
        given = topic.give(contest_order("hold"))
        assert given.due.revision == 2
        assert said == ["somebody else was quicker than revision 1 in partition 2, 3: it is sent again as the next one"]
        assert topic.docket(contest_order("hold"))[0].incomplete() is None
        other = topic.give(contest_order("hold", by="another"))
        assert other.due.revision == 3, "its first one can't be completed any more: other bytes stand under that revision"
        assert self.copies(topic) == [
            *[["hold 1 who", "hold 2 who", "hold 3 another"]] * 2,
            *[["hold 1 another", "hold 1 who", "hold 2 who", "hold 3 another"]] * 2,
        ]

    def test_the_same_order_of_two_at_once_stands_once(self, topic: Topic) -> None:
        same = json.loads(contest_order("hold").statement(ELECTION, 1, None))

        def other(partition: int, value: bytes) -> None:
            topic.put(partition, "PRES", same)

        topic.before = other
        given = topic.give(contest_order("hold"))
        assert given.due.revision == 1
        assert topic.verdicts() == {"counted": PARTITIONS, "repeated": PARTITIONS}

    def test_a_partition_too_far_behind_is_told_before_anything_is_sent(self, topic: Topic) -> None:
        topic.put(1, "PRES", control(revision=1_000))
        assert refusal(topic, contest_order("hold")) == (
            "Q8: revision 1001 is more than 1,000 above 0, where some partition stands"
        )
        topic.put(0, "PRES", control(revision=1))
        topic.put(2, "PRES", control(revision=1))
        topic.put(3, "PRES", control(revision=1))
        assert due(topic, contest_order("hold", by="x")).revision == 1_001

    def test_the_other_contest_is_another_matter(self, topic: Topic) -> None:
        topic.put(0, "SEAT", control(contest="SEAT", revision=7))
        assert due(topic, contest_order("hold")).revision == 1
