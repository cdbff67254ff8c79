"""The reader's rule, the history, the ledger and the stream's manners, without a broker.

Longer than other files: they are the parts of one board, each fed with the same few messages.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tally_stream.board import changes as changes_module
from tally_stream.board import shown as shown_module
from tally_stream.board.changes import Ledger, Refusals
from tally_stream.board.feed import Feed
from tally_stream.board.history import HISTORY_MAX_POINTS, History, Point
from tally_stream.board.readers import BEHIND_MAX_SECONDS, UPDATE_MIN_SECONDS, Channel, Reader, Stream
from tally_stream.board.shown import ContestShown, Published
from tally_stream.kafka.client import StoredRecord
from tally_stream.settings import load_settings
from tally_stream.wire.folder.assembling import load_election
from tally_stream.wire.messages import canonical_json
from tests.support.board_scene import rehearsal_folder, root_message
from tests.support.wide_elections import election_of

STATIC = Path(shown_module.__file__).parent / "static"


def message(version: int, area: str = "R", **more: Any) -> Published:
    content = {
        "version": version, "area": area, "as_of": "2026-01-01T20:00:00Z", "status": "unofficial-partial", "phase": "test",
        "progress": {"stations": None, "registered": None, "ballots": None}, "ballots": {"valid": version},
        "stations": {"received": version}, "flags": {"corrected": 0}, "turnout": None,
        "candidates": [{"id": "A", "votes": version, "share": "100.00"}], **more,
    }  # fmt: skip
    return Published(version, json.dumps(content).encode(), 1_000 + version)


def at(sent_ms: int, published: Published) -> Published:
    """The same, in a record of another time."""
    return replace(published, sent_ms=sent_ms)


class TestTheReadersRule:
    def test_an_older_root_is_dropped_and_a_newer_one_shown(self) -> None:
        shown = ContestShown()
        assert shown.take_root(at(100, message(5)), 100)
        assert not shown.take_root(at(200, message(4)), 200)
        assert shown.version == 5
        assert shown.contact_ms == 100, "an older record is no contact"
        assert shown.take_root(at(300, message(6)), 300)
        assert shown.version == 6

    def test_a_root_sent_again_is_contact_and_no_rise(self) -> None:
        shown = ContestShown()
        shown.take_root(at(100, message(5)), 100)
        assert not shown.take_root(at(900, message(5)), 900)
        assert (shown.contact_ms, shown.rise_ms) == (900, 100)

    @pytest.mark.parametrize(
        ("more", "rises"),
        [
            ({}, False), ({"on_hold": True}, False), ({"as_of": "2026-01-01T21:00:00.000Z"}, False), ({"exit_polls": [1]}, False),
            ({"stations": {"received": 6}}, True), ({"flags": {"corrected": 1}}, True),
            ({"candidates": [{"id": "A", "votes": 4, "share": "100.00"}]}, True), ({"ballots": {"valid": 6}}, True),
        ],
    )  # fmt: skip
    def test_only_what_is_counted_is_a_rise(self, more: dict[str, Any], rises: bool) -> None:
        """A refused record and a control raise the version, and nothing else."""
        shown = ContestShown()
        shown.take_root(at(100, message(5)), 100)
        same = {k: json.loads(message(5).value)[k] for k in ("stations", "ballots", "candidates")}
        assert shown.take_root(at(900, message(6, **{**same, **more})), 900)
        assert (shown.contact_ms, shown.rise_ms) == (900, 900 if rises else 100)

    def test_a_backlog_has_its_own_times(self) -> None:
        shown = ContestShown()
        shown.take_root(at(100, message(5)), 90_000)
        shown.take_root(at(200, message(6)), 90_000)
        assert (shown.contact_ms, shown.rise_ms) == (200, 200)
        shown.take_root(at(99_000, message(7)), 90_000)
        assert (shown.contact_ms, shown.rise_ms) == (90_000, 90_000), "nothing comes from the future"

    def test_the_first_one_that_compaction_left_is_as_old_as_what_it_counts(self) -> None:
        shown = ContestShown()
        shown.take_root(at(1_767_307_600_000, message(5)), 1_767_311_200_000)
        assert shown.rise_ms == 1_767_297_600_000, "20:00, as_of"
        assert shown.contact_ms == 1_767_307_600_000

    def test_an_area_newer_than_the_root_waits_for_it(self) -> None:
        shown = ContestShown()
        shown.take_area("R/N", message(5, "R/N"))
        assert shown.areas == {}
        shown.take_root(message(5), 100)
        assert shown.areas["R/N"].version == 5
        shown.take_area("R/N", message(7, "R/N"))
        shown.take_area("R/N", message(9, "R/N"))
        assert shown.areas["R/N"].version == 5
        shown.take_root(message(8), 100)
        assert shown.areas["R/N"].version == 7, "9 is of a set whose root is not here"
        shown.take_root(message(9), 100)
        assert shown.areas["R/N"].version == 9

    def test_an_older_area_is_dropped(self) -> None:
        shown = ContestShown()
        shown.take_root(message(9), 100)
        shown.take_area("R/N", message(8, "R/N"))
        taken = shown.areas_taken
        shown.take_area("R/N", message(7, "R/N"))
        assert shown.areas["R/N"].version == 8
        assert shown.areas_taken == taken

    def test_no_result_of_an_official_election_before_its_polls_close(self) -> None:
        shown = ContestShown()
        assert shown.is_before_the_close
        shown.take_root(message(1, phase="official", status="pre-election"), 1)
        assert shown.is_before_the_close
        shown.take_root(message(2, phase="official"), 1)
        assert not shown.is_before_the_close


class TestTheHistory:
    def history(self, versions: range, sent: Callable[[int], int] = lambda version: 1_000 * version) -> History:
        history = History()
        for version in versions:
            history.take(Point(version, sent(version), b"%d" % version))
        return history

    def test_every_tenth_of_the_night_has_its_part(self) -> None:
        night = 38_649
        history = self.history(range(1, night + 1))
        versions = [p.version for p in history.since(-1)]
        assert versions == sorted(set(versions))
        assert HISTORY_MAX_POINTS / 2 <= len(versions) <= HISTORY_MAX_POINTS
        assert (versions[0], versions[-1]) == (1, night)
        tenths = Counter((v - 1) * 10 // night for v in versions)
        assert sorted(tenths) == list(range(10))
        assert min(tenths.values()) > len(versions) / 11, tenths

    def test_the_newest_is_there_at_every_moment(self) -> None:
        history = History()
        for version in range(1, 6_000):
            history.take(Point(version, 7 * version, b""))
            assert history.since(version - 1)[-1].version == version

    def test_a_burst_takes_no_room_from_the_quiet_hours(self) -> None:
        """20,000 versions in one minute of ten hours with a version a minute."""
        sent = [minute * 60_000 for minute in range(600)]
        sent[300:300] = [18_000_000 + 3 * n for n in range(20_000)]
        history = self.history(range(len(sent)), lambda version: sent[version])
        hours = Counter(p.sent_ms // 3_600_000 for p in history.since(-1))
        assert min(hours.values()) >= 59, hours

    def test_a_record_stamped_ahead_of_its_time_takes_none_of_those_behind_it(self) -> None:
        sent = [1_000 * n for n in range(400)]
        sent[10] += 3_600_000
        history = self.history(range(400), lambda version: sent[version])
        assert len(history.since(-1)) == 400

    def test_thinning_ends_whatever_the_stamps_are(self) -> None:
        far = 2**62
        history = self.history(range(2 * HISTORY_MAX_POINTS + 1), lambda version: far * (version % 2) - 5)
        versions = [p.version for p in history.since(-1)]
        assert versions[-1] == 2 * HISTORY_MAX_POINTS
        assert len(versions) <= HISTORY_MAX_POINTS

    def test_who_asks_again_is_given_only_what_is_new(self) -> None:
        history = self.history(range(1, 11))
        assert [p.version for p in history.since(8)] == [9, 10]
        assert history.since(10) == []
        assert len(history.since(11)) == 10, "of another night: all"


def change(partition: int, offset: int, timestamp: int, **more: Any) -> bytes:
    content = {
        "definition": "d", "contest": "PRES", "station": "S1", "area": "R/N",
        "source": {"partition": partition, "offset": offset, "timestamp": timestamp}, **more,
    }  # fmt: skip
    return json.dumps(content).encode()


class TestTheLedger:
    def test_newest_first_once_each(self) -> None:
        ledger = Ledger("d")
        lines = [change(0, 1, 10), change(1, 1, 30), change(0, 2, 20)]
        assert [ledger.take(line) for line in [*lines, lines[0]]] == [True, True, True, False]
        found = ledger.page(contest=None, area=None, station=None, before=None, limit=10)
        assert [line.place[0] for line in found] == [30, 20, 10]
        assert found[0].value == lines[1], "as published"

    def test_pages_and_filters(self) -> None:
        ledger = Ledger("d")
        for n in range(10):
            ledger.take(change(0, n, n, station=f"S{n % 2}", area="R/N" if n < 5 else "R/NORTH"))
        assert len(ledger.page(contest="SEAT", area=None, station=None, before=None, limit=10)) == 0
        assert len(ledger.page(contest=None, area="R/N", station=None, before=None, limit=10)) == 5
        assert len(ledger.page(contest=None, area="R", station="S1", before=None, limit=10)) == 5
        older = ledger.page(contest=None, area=None, station=None, before=(3, 0, 3), limit=2)
        assert [line.place[2] for line in older] == [2, 1]

    def test_the_oldest_goes_from_every_list_it_is_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(changes_module, "CHANGES_MAX", 3)
        ledger = Ledger("d")
        for n in range(5):
            ledger.take(change(0, n, n, contest="PRES" if n < 2 else "SEAT", area=f"R/{n}"))
        for contest, area, left in ((None, None, 3), ("SEAT", None, 3), (None, "R", 3), ("PRES", None, 0), (None, "R/1", 0)):
            assert len(ledger.page(contest=contest, area=area, station=None, before=None, limit=9)) == left, (contest, area)
        assert ledger.taken("PRES", "R/1") == 1, "that it goes is no news, and what was told of it is told no more"

    def test_many_are_forgotten_at_once_and_what_was_forgotten_may_come_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(changes_module, "CHANGES_MAX", 300)
        ledger = Ledger("d")
        kept = []
        for n in range(500):
            ledger.take(change(0, n, n, contest="PRES" if n % 3 else "SEAT"))
            kept.append(len(ledger.page(contest=None, area=None, station=None, before=None, limit=999)))
        assert kept[:302] == list(range(1, 303))
        assert (kept[302], max(kept), min(kept[302:])) == (300, 302, 300)
        found = ledger.page(contest=None, area="R", station=None, before=None, limit=999)
        assert [line.place[0] for line in found] == list(range(499, 499 - kept[-1], -1))
        seats = ledger.page(contest="SEAT", area=None, station=None, before=None, limit=999)
        assert seats == [line for line in found if line.contest == "SEAT"]
        assert not ledger.take(change(0, 499, 499)), "still known"
        assert ledger.take(change(0, 0, 0)), "not known any more"

    def test_each_place_is_told_of_its_own_changes(self) -> None:
        ledger = Ledger("d")
        ledger.take(change(0, 1, 1, area="R/N/A"))
        ledger.take(change(0, 2, 2, area="R/N/B", contest="SEAT"))
        assert [ledger.taken("PRES", area) for area in ("R", "R/N", "R/N/A", "R/N/B", "R/NO")] == [1, 1, 1, 0, 0]
        assert [ledger.taken(None, area) for area in (None, "R", "R/N", "R/N/B")] == [2, 2, 2, 1]

    def test_a_path_of_many_slashes_makes_few_lists(self) -> None:
        ledger = Ledger("d")
        ledger.take(change(0, 1, 1, area="R" + "/" * 30_000))
        assert len(ledger._lists) <= 2 * (changes_module.AREA_MAX_LEVELS + 2)  # noqa: SLF001  (how many are kept is what the test is about)

    @pytest.mark.parametrize(
        "value",
        [None, b"", b"nothing", b"[]", b"{}", b"7", change(0, 1, 1, definition="other"), change("x", 1, 1)],  # type: ignore[arg-type]
    )
    def test_what_is_no_change_of_ours_is_passed_over(self, value: bytes | None) -> None:
        assert not Ledger("d").take(value)
        refusals = Refusals("d")
        refusals.take(value)
        assert refusals.newest() == []

    def test_refusals_are_counted_once_without_their_bytes(self) -> None:
        refusals = Refusals("d")
        line = json.dumps({
            "definition": "d", "verdict": "rejected", "codes": ["S2"], "details": [], "key_base64": "UzE=", "value_base64": "AAAA",
            "value_bytes": 3, "value_sha256": "x", "source": {"partition": 0, "offset": 4, "timestamp": 1},
        }).encode()  # fmt: skip
        refusals.take(line)
        refusals.take(line)
        assert dict(refusals.verdicts) == {"rejected": 1}
        assert dict(refusals.codes) == {"S2": 1}
        (newest,) = refusals.newest()
        assert newest["key"] == "S1"
        assert "value_base64" not in newest


class Socket:
    """Stands in for a transport: what was written, and whether the reader reads."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.waiting = 0
        self.is_aborted = False

    def write(self, chunk: bytes) -> None:
        self.written.append(chunk)

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def is_closing(self) -> bool:
        return False

    def abort(self) -> None:
        self.is_aborted = True


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def feed(tmp_path: Path, said: list[str]) -> Feed:
    return Feed(load_settings(), load_election(rehearsal_folder(tmp_path / "e")), said.append)


def frames(socket: Socket) -> list[int]:
    return [int(line[4:]) for line in b"".join(socket.written).split(b"\n") if line.startswith(b"id: ")]


class TestTheStream:
    async def test_one_encoding_for_all_and_the_slow_skip_to_the_newest(self, feed: Feed) -> None:
        channel = Channel("PRES", "R", feed)
        fast, other, slow = Socket(), Socket(), Socket()
        channel.readers = {Reader(s, -1) for s in (fast, other, slow)}  # type: ignore[arg-type]
        slow.waiting = 10
        for version in (1, 2, 3):
            feed.shown["PRES"].take_root(message(version), version)
            await channel.push(float(version))
        assert channel.has_slow_readers
        slow.waiting = 0
        await channel.push(4.0)
        assert frames(fast) == [1, 2, 3]
        assert frames(slow) == [3], "the newest, and nothing of what was missed"
        assert all(a is b for a, b in zip(fast.written, other.written, strict=True)), "the same bytes, not a copy each"
        assert not channel.has_slow_readers

    async def test_no_more_than_two_updates_a_second_and_the_last_one_comes(self, feed: Feed) -> None:
        stream = Stream(feed, lambda *_: None)
        reader = Socket()
        stream.channel("PRES", "R").readers = {Reader(reader, -1)}  # type: ignore[arg-type]
        running = asyncio.create_task(stream.run())
        begin = time.monotonic()
        async with asyncio.timeout(20):
            for version in range(1, 31):
                feed.shown["PRES"].take_root(message(version), version)
                feed.news.set()
                await asyncio.sleep(0.02)
            while frames(reader)[-1] < 30:  # noqa: ASYNC110  (a stream tells nobody what it sent)
                await asyncio.sleep(0.02)
        seconds = time.monotonic() - begin
        running.cancel()
        assert frames(reader)[0] == 1, "the first goes at once"
        assert len(frames(reader)) <= 1 + seconds / UPDATE_MIN_SECONDS

    async def test_who_does_not_read_for_a_minute_is_cut_off(self, feed: Feed) -> None:
        channel = Channel("PRES", "R", feed)
        slow = Socket()
        slow.waiting = 10
        channel.readers = {Reader(slow, -1)}  # type: ignore[arg-type]
        feed.shown["PRES"].take_root(message(1), 1)
        await channel.push(0.0)
        await channel.push(BEHIND_MAX_SECONDS)
        assert not slow.is_aborted
        await channel.push(BEHIND_MAX_SECONDS + 1)
        assert slow.is_aborted
        assert not channel.readers
        assert (channel.sent.sent_count, channel.sent.skipped_count, channel.sent.cut_count) == (0, 1, 1)

    async def test_it_speaks_when_nothing_happens(self, feed: Feed) -> None:
        channel = Channel("PRES", "R", feed)
        reader = Socket()
        channel.readers = {Reader(reader, -1)}  # type: ignore[arg-type]
        feed.shown["PRES"].take_root(message(1), 1)
        await channel.push(0.0)
        written = len(reader.written)
        await channel.push(1.0)
        assert len(reader.written) == written
        await channel.push(5.0)
        assert b"event: beat" in reader.written[-1]
        assert b"event: standings" not in reader.written[-1]

    @pytest.mark.parametrize(
        "happens",
        [
            lambda feed: feed.shown["PRES"].take_root(message(2), 2),
            lambda feed: feed.shown["PRES"].take_area("R/N", message(1, "R/N")),
            lambda feed: feed.ledger.take(change(0, 1, 1, definition=feed.election.digest)),
        ],
        ids=["a root", "an area", "a change"],
    )
    async def test_whatever_the_page_would_ask_for_anew_is_news_at_once(
        self, feed: Feed, happens: Callable[[Feed], Any]
    ) -> None:
        channel = Channel("PRES", "R", feed)
        reader = Socket()
        channel.readers = {Reader(reader, 1)}  # type: ignore[arg-type]
        feed.shown["PRES"].take_root(message(1), 1)
        assert await channel.push(0.0)
        assert not await channel.push(0.1), "nothing happened"
        written = len(reader.written)
        happens(feed)
        assert await channel.push(0.2)
        assert len(reader.written) == written + 1
        assert b"event: beat" in reader.written[-1]

    async def test_a_reader_is_sent_what_it_looks_at_and_told_of_nothing_else(self, feed: Feed) -> None:
        """8,000 areas change: whoever looks at one of them is sent that one."""
        shown, reader = feed.shown["PRES"], Socket()
        channel = Channel("PRES", "R/N", feed)
        channel.readers = {Reader(reader, -1)}  # type: ignore[arg-type]
        shown.take_area("R/N", message(1, "R/N"))
        shown.take_root(message(1), 1)
        await channel.push(0.0)
        assert b'"area": "R/N"' in reader.written[0]
        assert b'"areas":0,"changes":0' in reader.written[0]
        for area in ("R/S", "R/N/A", "R/N/B"):
            shown.take_area(area, message(2, area))
        feed.ledger.take(change(0, 1, 1, area="R/S", definition=feed.election.digest))
        feed.ledger.take(change(0, 2, 2, area="R/N/A", definition=feed.election.digest))
        shown.take_root(message(2), 2)
        assert await channel.push(1.0)
        assert frames(reader) == [1], "its own standings are the same"
        assert b'"version":1,"areas":2,"changes":1' in reader.written[-1], "two areas below it, and one change in it"
        assert b'"as_of":"2026-01-01T20:00:00Z"' in reader.written[-1]

    async def test_a_channel_without_readers_is_no_more(self, feed: Feed) -> None:
        stream = Stream(feed, lambda *_: None)
        stream.channel("PRES", "R/N")
        kept = stream.channel("SEAT", "R")
        kept.readers = {Reader(Socket(), -1)}  # type: ignore[arg-type]
        assert stream.readers_of() == {"PRES": 0, "SEAT": 1}
        feed.news.set()
        running = asyncio.create_task(stream.run())
        async with asyncio.timeout(20):
            while len(stream.channels) > 1:  # noqa: ASYNC110  (a stream tells nobody what it forgot)
                await asyncio.sleep(0.01)
        running.cancel()
        assert stream.channels == {("SEAT", "R"): kept}
        assert kept.sent is stream.sent["SEAT"], "what was sent is counted by contest, however many channels come and go"


class TestTheFeed:
    def record(self, feed: Feed, key: bytes = b"PRES|R", **more: Any) -> StoredRecord:
        content = root_message(feed.election, **{"version": 1, **more})
        return StoredRecord(0, 0, 5, key, canonical_json(content))

    def test_another_definition_is_passed_over_and_counted(self, feed: Feed) -> None:
        feed._take_standings(self.record(feed, definition="sha256:other"))  # noqa: SLF001  (what `run` does with each record of the topic)
        assert feed.foreign_definitions == {"sha256:other": 1}
        assert feed.shown["PRES"].root is None
        feed._take_standings(self.record(feed))  # noqa: SLF001  (what `run` does with each record of the topic)
        assert (feed.shown["PRES"].version, feed.refused_count) == (1, 0)

    @pytest.mark.parametrize("more", [{"contest": "NONE"}, {"area": "R/NOWHERE"}, {"version": "7"}, {"provenance": 1},
                                      {"candidates": 7}, {"candidates": [{}]}, {"ballots": None}, {"status": "x"}, {"more": 1},
                                      {"as_of": "a\x1b[2Jb"}])  # fmt: skip
    def test_nonsense_on_the_topic_is_counted_said_and_never_shown(
        self, feed: Feed, said: list[str], more: dict[str, Any]
    ) -> None:
        for _ in range(2):
            feed._take_standings(self.record(feed, **more))  # noqa: SLF001  (what `run` does with each record of the topic)
        feed._take_standings(StoredRecord(0, 0, 5, None, None))  # noqa: SLF001  (what `run` does with each record of the topic)
        assert feed.shown["PRES"].root is None
        assert feed.shown["PRES"].areas == {}
        assert feed.refused_count == 2
        (line,) = said
        assert line.startswith("tally.standings, offset 0 is not shown: ")
        assert line.isprintable()

    def test_an_area_in_which_the_contest_has_no_station_is_refused_as_one_that_nobody_knows(self, said: list[str]) -> None:
        election = election_of(regions=2, towns=2, contests=2, named_stations={"C0001": ["S00001"]})
        feed = Feed(load_settings(), election, said.append)
        for area in ("X", "X/R00", "X/R00/T000", "X/R00/T001", "X/R01", "X/R01/T001"):
            content = root_message(election, contest="C0001", area=area, version=1)
            if area != "X":
                content |= {"outcome": None, "exit_polls": None}
            record = StoredRecord(0, 0, 5, b"C0001|" + area.encode(), canonical_json(content))
            feed._take_standings(record)  # noqa: SLF001  (what `run` does with each record of the topic)
        assert set(feed.shown["C0001"].areas) == {"X/R00", "X/R00/T001"}
        assert feed.refused_count == 3
        assert said[0] == "tally.standings, offset 0 is not shown: no contest 'C0001' with an area 'X/R00/T000'"

    def test_other_bytes_for_the_same_are_not_shown(self, feed: Feed, said: list[str]) -> None:
        """A line break would end an event of the stream in its middle."""
        good = self.record(feed)
        for value in (json.dumps(json.loads(good.value or b"")).encode(), (good.value or b"") + b"\n"):
            feed._take_standings(replace(good, value=value))  # noqa: SLF001  (what `run` does with each record of the topic)
        assert feed.shown["PRES"].root is None
        assert said == ["tally.standings, offset 0 is not shown: not a standings message: its bytes are not canonical JSON"]
        feed._take_standings(good)  # noqa: SLF001  (what `run` does with each record of the topic)
        assert feed.shown["PRES"].version == 1

    def test_a_flood_of_nonsense_is_said_for_the_first_keys_only(self, feed: Feed, said: list[str]) -> None:
        for n in range(100):
            feed._take_standings(self.record(feed, key=b"%d" % n, status="x"))  # noqa: SLF001  (what `run` does with each record of the topic)
        assert (len(said), feed.refused_count) == (20, 100)


def test_every_catalogue_has_the_same_words() -> None:
    catalogues = {p.stem: json.loads(p.read_text(encoding="utf-8")) for p in (STATIC / "lang").glob("*.json")}
    assert set(catalogues) == {"en", "az", "es", "ru"}
    english = catalogues["en"]
    for language, words in catalogues.items():
        assert words.keys() == english.keys(), language
        for key, text in words.items():
            assert text or key == "_group", (language, key)
            places = sorted(part.split("}")[0] for part in text.split("{")[1:])
            assert places == sorted(part.split("}")[0] for part in english[key].split("{")[1:]), (language, key)


def test_every_word_that_is_asked_for_is_in_the_catalogue_and_none_is_idle() -> None:
    """Keys made of a prefix and a name (`state.` + name) count by their prefix."""
    words = json.loads((STATIC / "lang" / "en.json").read_text(encoding="utf-8"))
    sources = [p for p in STATIC.rglob("*") if p.suffix in (".js", ".html")]
    sources += STATIC.parent.glob("page*.py")
    text = "\n".join(p.read_text(encoding="utf-8") for p in sources)
    idle = [k for k in words if f'"{k}"' not in text and f"t:{k}}}" not in text and f"'{k}'" not in text]
    prefixes = ("status.", "method.", "measure.", "state.", "outcome.", "verdict.", "kind.", "station.", "fresh.", "_", "area.",
                "ways.", "quorum.", "wins.")  # fmt: skip
    assert [k for k in idle if not k.startswith(prefixes)] == []


def test_the_board_needs_no_faust() -> None:
    blocked = "import sys; sys.modules['faust'] = sys.modules['mode'] = None; import tally_stream.board.server"
    subprocess.run([sys.executable, "-c", blocked], check=True)


MARKUP_FROM_TEXT = (
    r"\b(?:innerHTML|outerHTML|insertAdjacentHTML|srcdoc|setHTML\w*|parseFromString|createContextualFragment)\b"
    r"|\bdocument\.write|\beval\(|\bFunction\("
)


def test_the_page_holds_no_script_or_style_of_its_own() -> None:
    page = "".join(path.read_text(encoding="utf-8") for path in sorted(STATIC.glob("*.html")))
    assert "style=" not in page
    assert "<style" not in page
    assert all("src=" in tag.split(">")[0] for tag in page.split("<script")[1:])
    assert "http://" not in page
    assert "https://" not in page
    for script in STATIC.glob("*.js"):
        code = script.read_text(encoding="utf-8")
        assert re.findall(MARKUP_FROM_TEXT, code) == [], script.name


@pytest.mark.parametrize(
    "code", ["a.innerHTML=b", "a.innerHTML += b", "a.outerHTML = b", "document.write(a)", "document.writeln(a)",
             "a.insertAdjacentHTML('x', b)", "eval(a)", "new Function(a)", "a.setHTMLUnsafe(b)", "createContextualFragment(a)"],
)  # fmt: skip
def test_what_makes_markup_of_text_would_be_found(code: str) -> None:
    assert re.search(MARKUP_FROM_TEXT, code)
    assert not re.search(MARKUP_FROM_TEXT, "fresh.innerText === evaluate(functions)")


def test_what_a_phone_loads_is_small() -> None:
    """On a bad network, uncompressed: all there is, of the catalogues the longest. Seats, referendums, ways of voting and groups
    are a quarter of it."""
    sizes = {p.relative_to(STATIC): p.stat().st_size for p in STATIC.rglob("*") if p.is_file()}
    catalogues = [size for path, size in sizes.items() if path.parts[0] == "lang"]
    assert sum(sizes.values()) - sum(catalogues) + max(catalogues) < 110_000
