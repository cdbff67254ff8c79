"""A group's seats on the page and for programs."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from tally_stream.board.wording import LANGUAGES
from tally_stream.kafka.client import StoredRecord
from tally_stream.wire.messages import canonical_json
from tests.board.many import ManyBoard
from tests.board.town import pages, read, show, told_town
from tests.support.every_ballot import COUNCIL, SCHOOLS, SEATS, night, town, with_seats
from tests.support.small_elections import Night, contest, election, report


@pytest.fixture(scope="module")
def told() -> ManyBoard:
    return told_town(night())


def asked(told: ManyBoard, path: str) -> dict[str, Any]:
    found: dict[str, Any] = pages(told, f"/api/v1/{path}")[0]
    return found


def test_the_seats_of_parties_over_all_contests(told: ManyBoard) -> None:
    group = asked(told, "groups/TOWN")
    assert (group["seats"], group["majority"], group["now"], group["certain"]) == (24, 13, 23, 18)
    assert group["parties"][:2] == [
        {"party": "Red", "now": 9, "certain": 9, "color": "#a01414"}, {"party": "Blue", "now": 7, "certain": 6, "color": "#0b4f8a"},
    ]  # fmt: skip
    assert [(c["id"], c["seats_to_share"], c["now"], c["certain"], c["stations"]["percent"]) for c in group["contests"]] == [
        ("COUNCIL", 21, 20, 18, "80.00"), ("SCHOOLS", 3, 3, 0, "80.00"),
    ]  # fmt: skip
    assert group["found"] == 2


def test_the_groups_are_listed_with_their_addresses(told: ManyBoard) -> None:
    assert asked(told, "groups") == {
        "found": 1,
        "groups": [{"group": "TOWN", "contests": 2, "seats_of_parties": "/api/v1/groups/TOWN", "page": "/group/TOWN"}],
    }


def test_the_page_has_the_bar_the_table_and_links_to_the_contests(told: ManyBoard) -> None:
    page = pages(told, "/group/TOWN")[0]
    said = read(page)
    assert "23 of 24 seats in 2 contests" in said
    assert "The dotted line marks a majority: 13 of 24 seats." in said
    assert "Party Seats now Certain Red 9 9 Blue 7 6 Green List 3 2 Old Town 1 1 Ada 1 0" in said
    assert re.findall(r'<tr data-key="(\w+)"><th scope="row"><a href="([^"]+)"', page) == [
        ("COUNCIL", "/contest/COUNCIL"), ("SCHOOLS", "/contest/SCHOOLS"),
    ]  # fmt: skip
    assert "Town council Unofficial, counting 21 20 18 80.00" in said
    assert "Not an official declaration" in said


def test_contests_of_a_group_lead_to_it_and_so_does_the_list_of_contests(told: ManyBoard) -> None:
    council, bridge, contests = pages(told, "/contest/COUNCIL?lang=es", "/contest/BRIDGE", "/contests")
    assert '<a href="/group/TOWN?lang=es">Escaños de todas las elecciones juntas: TOWN</a>' in council
    assert "/group/" not in bridge
    assert '<a href="/group/TOWN">' in contests


def test_it_moves_with_the_newest_roots() -> None:
    played = night()
    told = told_town(played)
    assert asked(told, "groups/TOWN")["parties"][1]["now"] == 7
    newer = with_seats({**played.root(), "version": 16}, {**SEATS, "BLUE": (8, 8)})
    told.take([StoredRecord(0, 0, 5, None, canonical_json(newer))])  # no area changed
    assert asked(told, "groups/TOWN")["parties"][1] == {"party": "Blue", "now": 8, "certain": 8, "color": "#0b4f8a"}
    assert "Blue 8 8" in read(pages(told, "/group/TOWN")[0])


def test_before_anything_is_published_and_before_the_close_nobody_has_a_seat() -> None:
    empty = ManyBoard(town())
    group = asked(empty, "groups/TOWN")
    assert (group["now"], group["parties"], group["as_of"]) == (0, [], None)
    assert {(c["now"], c["certain"], c["stations"]) for c in group["contests"]} == {(None, None, None)}
    assert "Nobody has a seat yet." in read(pages(empty, "/group/TOWN")[0])
    before = Night(town())
    closed = {c.id: before.root(n) for n, c in enumerate(before.election.contests)}
    told = ManyBoard(before.election)
    show(told, before, closed)
    assert asked(told, "groups/TOWN")["contests"][0]["now"] is None


def test_a_group_that_is_not_there_is_told_in_words(told: ManyBoard) -> None:
    assert "There is no such contest or area." in read(pages(told, "/group/NOWHERE", status=404)[0])
    assert pages(told, "/api/v1/groups/NOWHERE", status=404) == [{"error": "there is no group 'NOWHERE'"}]
    assert pages(told, "/api/v1/groups/TOWN?limit=0", status=400) == [{"error": "limit is a whole number from 1 to 500"}]


def test_a_name_with_every_sign_has_an_address_of_its_own_and_stays_text() -> None:
    strange = "A/B & <i>100 %?#</i>"
    plain = Night(election(contests=[replace(contest(), group=strange)]), report())
    told = ManyBoard(plain.election)
    listed = asked(told, "groups")["groups"][0]
    assert asked(told, listed["seats_of_parties"].removeprefix("/api/v1/"))["group"] == strange
    page = pages(told, listed["page"])[0]
    assert "<i>" not in page
    assert strange in read(page.replace("&lt;", "\x01")).replace("\x01", "<")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_says_it(told: ManyBoard, language: str) -> None:
    said = read(pages(told, f"/group/TOWN?lang={language}")[0])
    assert re.findall(r"\{\w*\}|\b(?:seats|group|status)\.\w+", said) == []
    assert "Red 9 9" in said


def test_contests_come_a_page_at_a_time() -> None:
    many = [replace(contest(f"C{n}", rule="plurality"), group="G") for n in range(230)]
    told = ManyBoard(election(contests=many))
    first, third = pages(told, "/group/G", "/group/G?from=200")
    assert first.count('<tr data-key="C') == 100
    assert 'href="/group/G?from=100"' in first
    assert third.count('<tr data-key="C') == 30
    assert asked(told, "groups/G?limit=5")["found"] == 230


def test_the_contests_of_the_scene_are_in_it() -> None:
    assert COUNCIL.group == SCHOOLS.group == "TOWN"
