"""Receipts against the replay's verdict: topics are late in turn, records come twice, definitions change, and no answer is false."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tally_stream.audit.replay import Replay
from tally_stream.domain.election import Election
from tally_stream.domain.scalars import murmur2_partition
from tally_stream.station.receipt_reader import rejection_of
from tally_stream.station.receipts import REJECTION_OWN_BYTES, Evidence, RejectionRead, RootRead, StationReceipt
from tally_stream.wire.messages import encode_rejection
from tally_stream.wire.report_log import LogRecord
from tests.support.report_messages import LOG_MS, as_bytes, counts, key_of, turnout
from tests.support.small_elections import election, station

PARTITIONS = 2
TOPIC = "t.reports"
DEFINITIONS = tuple(election([station("A-1", register), station("B-1", 300)]) for register in (200, 50))
"""Where fifty voters are registered, a hundred ballots are held (A3)."""
CONTENTS: tuple[dict[str, Any], ...] = (
    {}, {"votes": {"ANNA": 49, "BELA": 47}}, {"ballots": {"cast": 99, "valid": 96, "blank": 2, "invalid": 2}},
    {"ballots": {"cast": 98, "valid": 96, "blank": 2, "invalid": 2}}, {"nonsense": 1}, {"registered": 100},
)  # fmt: skip
"""Good, good, held, held, S1, good."""


@dataclass
class World:
    """The three topics, and a worker between them: rejections first, roots afterwards, both as late as the test likes."""

    log: list[LogRecord] = field(default_factory=list)
    rejections: list[bytes] = field(default_factory=list)
    roots: list[RootRead] = field(default_factory=list)
    definition: int = 0
    counted: int = 0
    """Records of the log that the worker has taken."""

    def __post_init__(self) -> None:
        self.replay = Replay(DEFINITIONS[0], TOPIC, PARTITIONS)

    def append(self, message: dict[str, Any]) -> None:
        key = key_of(message)
        partition = murmur2_partition(key, PARTITIONS)
        offset = sum(r.partition == partition for r in self.log)
        self.log.append(LogRecord(LOG_MS + len(self.log), key, as_bytes(message), partition, offset))

    def count(self, most: int) -> None:
        for r in self.log[self.counted : self.counted + most]:
            verdict = self.replay.take(r)
            if verdict.is_refusal:
                place = TOPIC, r.partition, r.offset, r.timestamp_ms, r.key, r.value
                self.rejections.append(encode_rejection(self.replay.election, *place, verdict))
        self.counted = min(len(self.log), self.counted + most)

    def publish(self) -> None:
        offsets = {fold.partition: fold.next_offset for fold in self.replay.folds}
        self.roots.append(RootRead(self.replay.election.digest, sum(offsets.values()), offsets))

    def replace_definition(self) -> None:
        """All is judged again, from offset 0: rejections first, as far as the count had come."""
        self.definition = 1 - self.definition
        self.replay, most, self.counted = Replay(DEFINITIONS[self.definition], TOPIC, PARTITIONS), self.counted, 0
        self.count(most)


def truths(of: Election, log: list[LogRecord]) -> dict[tuple[int, int], str]:
    """Place → the replay's verdict; of a repeated statement that of the first one that was like it."""
    replay, found = Replay(of, TOPIC, PARTITIONS), {}
    tops: dict[tuple[bytes | None, int, bool], str] = {}
    for r in log:
        verdict = replay.take(r)
        name: str = verdict.name
        read = replay._reader.read(r.value, r.key)  # noqa: SLF001 (the replay's own, so that both read alike)
        at = (r.key, getattr(read, "revision", 0), hasattr(read, "voted"))
        if name in ("counted", "held"):
            tops[at] = name
        found[r.partition, r.offset] = tops[at] if name == "repeated" else name
    return found


@dataclass
class Station:
    """Reads the topics, as late as the test likes, and answers."""

    most: int = 1_000
    evidence: Evidence = field(init=False)
    roots_read: int = 0
    rejections_read: int = 0
    before_end: dict[str, RootRead] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.evidence = Evidence(self.most)

    def read_roots(self, world: World, most: int) -> None:
        for root in world.roots[self.roots_read : self.roots_read + most]:
            self.evidence.root("PRES", root)
        self.roots_read = min(len(world.roots), self.roots_read + most)

    def take_end(self, world: World) -> int:
        """Asked for after the roots were read; what is written meanwhile may be read too."""
        self.before_end = self.evidence.roots()
        return len(world.rejections)

    def read_rejections(self, world: World, end: int) -> None:
        for value in world.rejections[self.rejections_read : end]:
            read = rejection_of(value, {b"A-1", b"B-1"})
            assert read is not None
            self.evidence.rejection(read)
        self.rejections_read = max(self.rejections_read, end)

    def receipt(self, world: World, r: LogRecord, of: Election) -> StationReceipt:
        """Where a rejection may have been dropped, all that there are now are read again for this one."""

        def is_same(read: RejectionRead) -> bool:
            reader = Replay(of, TOPIC, PARTITIONS)._reader  # noqa: SLF001 (the replay's own, so that both read alike)
            return (read.key, read.value) == (r.key, r.value) or reader.read(read.value, read.key) == reader.read(
                r.value, r.key
            )

        assert r.key is not None
        assert len(self.evidence._rejections) <= self.most  # noqa: SLF001 (nobody else counts them)
        found = self.evidence.receipt(["PRES"], r.key, r.partition, r.offset, is_same)
        if found is not None:
            return found
        again = self.evidence.without_rejections()
        roots = again.roots()
        for value in world.rejections:
            read = rejection_of(value, {r.key})
            if read is not None and ((read.partition, read.offset) == (r.partition, r.offset) or is_same(read)):
                again.rejection(read)
        again.end_reached(roots)
        found = again.receipt(["PRES"], r.key, r.partition, r.offset, is_same)
        assert found is not None
        return found


def compare(world: World, reader: Station, *, is_done: bool = False) -> None:
    for of in DEFINITIONS:
        due = truths(of, world.log)
        for r in world.log:
            receipt = reader.receipt(world, r, of)
            if receipt.state == "waiting":
                assert not is_done
                continue
            assert receipt.definition == world.roots[reader.roots_read - 1].definition, "of the root that was read last"
            if receipt.definition == of.digest:
                assert receipt.state == due[r.partition, r.offset], (r, receipt)


STATEMENTS = st.builds(
    lambda station, revision, content, is_turnout: (
        turnout(station=station, revision=revision, voted=80 + content)
        if is_turnout
        else counts(station=station, revision=revision, **CONTENTS[content])
    ),
    st.sampled_from(["A-1", "B-1"]), st.integers(1, 3), st.integers(0, len(CONTENTS) - 1), st.sampled_from([False] * 5 + [True]),
)  # fmt: skip
STEPS = st.one_of(
    st.tuples(st.just("append"), STATEMENTS),
    st.tuples(st.just("again"), st.integers(0, 20)),
    st.tuples(st.just("count"), st.integers(1, 4)),
    st.tuples(st.just("publish"), st.just(0)),
    st.tuples(st.just("old root"), st.integers(0, 20)),
    st.tuples(st.just("rejections again"), st.integers(0, 20)),
    st.tuples(st.just("replace"), st.just(0)),
    st.tuples(st.just("roots"), st.integers(1, 3)),
    st.tuples(st.just("end"), st.just(0)),
    st.tuples(st.just("rejections"), st.integers(1, 3)),
)


def play(steps: list[tuple[str, Any]], most: int = 1_000) -> None:
    world, reader, end = World(), Station(most), None
    for what, n in steps:
        if what == "append":
            world.append(n)
        elif what == "again" and world.log:
            r = world.log[n % len(world.log)]  # an acknowledgement that was lost
            offset = sum(one.partition == r.partition for one in world.log)
            world.log.append(LogRecord(LOG_MS + len(world.log), r.key, r.value, r.partition, offset))
        elif what == "count":
            world.count(n)
        elif what == "publish":
            world.publish()
        elif what == "old root" and world.roots:
            old = world.roots[n % len(world.roots)]
            if old.definition == world.roots[-1].definition:
                world.roots.append(old)  # of a worker that was frozen
        elif what == "rejections again" and world.rejections:
            world.rejections.append(world.rejections[n % len(world.rejections)])
        elif what == "replace":
            world.replace_definition()
        elif what == "roots":
            reader.read_roots(world, n)
        elif what == "end":
            end = reader.take_end(world)
        elif what == "rejections" and end is not None:
            reader.read_rejections(world, min(end, reader.rejections_read + n))
            if reader.rejections_read >= end:
                reader.evidence.end_reached(reader.before_end)
                end = None
        compare(world, reader)
    world.count(len(world.log))
    world.publish()
    reader.read_roots(world, len(world.roots))
    reader.read_rejections(world, reader.take_end(world))
    reader.evidence.end_reached(reader.before_end)
    compare(world, reader, is_done=True)


@settings(max_examples=200, deadline=None)
@given(st.lists(STEPS, max_size=24), st.sampled_from([1_000, 0, 1, 2]))
def test_whatever_is_late_or_dropped_no_answer_is_false_and_in_the_end_each_has_one(
    steps: list[tuple[str, Any]], most: int
) -> None:
    play(steps, most)


APPEND_HELD = ("append", counts(**CONTENTS[2]))


@pytest.mark.parametrize(
    "steps",
    [
        # The root is read, the rejections are late: between the two nothing is said.
        [APPEND_HELD, ("count", 1), ("publish", 0), ("roots", 1), ("end", 0), ("rejections", 1)],
        # The end of the rejections is taken before the root is read: it proves nothing for that root.
        [("end", 0), APPEND_HELD, ("count", 1), ("publish", 0), ("roots", 1), ("rejections", 1)],
        # An acknowledgement was lost; the first copy is held, the second repeats it and owes no rejection.
        [APPEND_HELD, ("again", 0), ("count", 2), ("publish", 0), ("roots", 1), ("end", 0), ("rejections", 1)],
        # The standings are late: a rejection says it by itself.
        [("publish", 0), ("roots", 1), APPEND_HELD, ("count", 1), ("end", 0), ("rejections", 1)],
        # A replaced definition: what the old one held is not held.
        [APPEND_HELD, ("count", 1), ("publish", 0), ("roots", 1), ("end", 0), ("rejections", 1), ("replace", 0), ("publish", 0),
         ("roots", 1), ("end", 0), ("rejections", 2)],
        # The other way round: what the old one held, both copies, the new one counts.
        [("replace", 0), ("append", counts()), ("again", 0), ("count", 2), ("publish", 0), ("roots", 1), ("end", 0),
         ("rejections", 2), ("replace", 0), ("publish", 0), ("roots", 1), ("end", 0), ("rejections", 2)],
    ],
)  # fmt: skip
def test_each_topic_late_in_turn(steps: list[tuple[str, Any]]) -> None:
    play(steps)


def receipt_of(*messages: dict[str, Any]) -> StationReceipt:
    """Of the last one, when all is published and read."""
    world, reader = World(), Station()
    for message in messages:
        world.append(message)
    world.count(len(messages))
    world.publish()
    reader.read_roots(world, 1)
    reader.read_rejections(world, reader.take_end(world))
    reader.evidence.end_reached(reader.before_end)
    return reader.receipt(world, world.log[-1], DEFINITIONS[0])


def test_what_a_receipt_says() -> None:
    good = receipt_of(counts())
    assert (good.state, good.codes, good.version, good.is_final) == ("counted", (), 1, True)
    held = receipt_of(counts(**CONTENTS[2]))
    assert (held.state, held.codes, held.sentences) == (
        "held",
        ("A2",),
        ("valid, blank and invalid add up to 100, cast are 99",),
    )
    copy = receipt_of(counts(**CONTENTS[2]), counts(**CONTENTS[2]))
    assert (copy.state, copy.codes, copy.is_of_a_copy) == ("held", ("A2",), True)
    other_bytes = receipt_of(counts(**CONTENTS[2]), dict(reversed(counts(**CONTENTS[2]).items())))
    assert (other_bytes.state, other_bytes.is_of_a_copy) == ("held", True), "the same content"
    assert receipt_of(counts(), counts()).state == "counted"


def test_two_laptops_with_one_identity_are_told_the_conflict() -> None:
    conflict = receipt_of(counts(), counts(votes={"ANNA": 46, "BELA": 50}))
    assert (conflict.state, conflict.codes) == ("conflicting", ("Q3",))


def test_a_laptop_restored_from_a_backup_is_told_that_it_is_stale() -> None:
    stale = receipt_of(counts(revision=3), counts(revision=2, votes={"ANNA": 51, "BELA": 45}))
    assert (stale.state, stale.codes, stale.sentences) == ("stale", ("Q2",), ("revision 2 after revision 3",))


def test_an_unknown_contest_is_told() -> None:
    unknown = receipt_of(counts(contest="NONE"))
    assert (unknown.state, unknown.codes, unknown.sentences) == ("rejected", ("S2",), ("unknown contest NONE",))


def test_rejections_are_kept_up_to_bytes_too_and_the_oldest_are_dropped() -> None:
    """Of what is not held no value is kept, as nobody compares it."""
    evidence = Evidence(most_bytes=3 * REJECTION_OWN_BYTES)
    read = RejectionRead("d", 0, 0, "rejected", ("S1",), ("no",), b"A-1", b"x" * 60_000)
    for offset in range(5):
        evidence.rejection(replace(read, offset=offset))
    assert [offset for _, _, offset in evidence._rejections] == [3, 4]  # noqa: SLF001 (nobody else counts them)
    evidence.rejection(replace(read, offset=5, verdict="held"))
    kept = evidence._rejections, evidence._held, evidence.bytes_kept  # noqa: SLF001 (the same)
    assert kept == ({}, {}, 0), "it alone is more"
