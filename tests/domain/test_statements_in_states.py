"""Which statement fits which state of a station, and what it leaves (the second table of the rules); Q4 and Q5."""

from typing import Any

import pytest

from tally_stream.domain.ledger import Entry
from tally_stream.domain.report import Report
from tests.support.small_elections import Night, contest, control, correct, decision, election, report, station

HELD: dict[str, Any] = {"valid": 97}  # A1: the votes add up to 96

# state: (statements that lead there, revision in force, held revision, station state)
STATES: dict[str, tuple[list[Report], int, int | None, str]] = {
    "outstanding": ([], 0, None, "outstanding"),
    "held only": ([report(revision=1, **HELD)], 0, 1, "held"),
    "counted": ([report()], 1, None, "counted"),
    "counted and held": ([report(), report(revision=2, **HELD)], 1, 2, "counted"),
    "partial": ([report(complete=False)], 1, None, "partial"),
    "partial and held": ([report(complete=False), report(revision=2, **HELD)], 1, 2, "partial"),
    "annulled": ([report(), decision("annul")], 2, None, "annulled"),
    "annulled without counts": ([decision("annul", revision=1, replaces=0)], 1, None, "annulled"),
    "annulled, held before": ([report(**HELD), decision("annul")], 2, 1, "annulled"),
    "annulled, held since": ([report(), decision("annul"), report(revision=3)], 2, 3, "annulled"),
    "withdrawn": ([report(), decision("withdraw")], 2, None, "outstanding"),
    "withdrawn, held since": ([report(), decision("withdraw"), report(revision=3, **HELD)], 2, 3, "held"),
}
# What a station becomes when a statement with the right `replaces` comes: its state, None where the statement is refused.
BECOMES: dict[str, dict[str, str | None]] = {
    "annul": {
        **dict.fromkeys(STATES, "annulled"),
        **dict.fromkeys([name for name in STATES if name.startswith("annulled")], None),
    },
    "restore": {
        **dict.fromkeys(STATES),
        "annulled": "counted",
        "annulled without counts": "outstanding",
        "annulled, held before": "held",
        "annulled, held since": "counted",
    },
    "withdraw": {
        **dict.fromkeys(STATES),
        "held only": "outstanding",
        "counted": "outstanding",
        "counted and held": "outstanding",
        "partial": "outstanding",
        "partial and held": "outstanding",
        "withdrawn, held since": "outstanding",
    },
    "accept": {
        **dict.fromkeys(STATES),
        "held only": "counted",
        "counted and held": "counted",
        "partial and held": "counted",
        "withdrawn, held since": "counted",
    },
}
NEXT = 10


def in_state(name: str) -> Night:
    night = Night(election(phase="test"), *STATES[name][0])
    entry = night.fold.entry(0, "A-1") or Entry(night.election.stations["A-1"])
    held = entry.held.revision if entry.held else None
    assert (entry.in_force_revision, held, *night.states()) == STATES[name][1:]
    return night


def right_replaces(kind: str, name: str) -> int:
    _, in_force, held, _ = STATES[name]
    return held if held is not None and (kind == "accept" or in_force == 0) else in_force


@pytest.mark.parametrize("name", STATES)
@pytest.mark.parametrize("kind", BECOMES)
def test_a_decision_that_names_what_it_replaces(kind: str, name: str) -> None:
    night = in_state(name)
    expected = BECOMES[kind][name]
    statement = decision(kind, revision=NEXT, replaces=right_replaces(kind, name))
    assert night.verdict(statement) == ("counted" if expected else "rejected Q5")
    assert list(night.states()) == [expected or STATES[name][3]]


@pytest.mark.parametrize("name", STATES)
def test_a_report_is_counted_everywhere_but_held_where_annulled(name: str) -> None:
    night = in_state(name)
    is_annulled = STATES[name][3] == "annulled"
    expected = "held Q4" if is_annulled else "counted"
    assert night.verdict(report(revision=NEXT, votes=(60, 50), cast=114)) == expected
    assert list(night.states()) == ["annulled" if is_annulled else "counted"]
    assert night.root()["flags"]["held"] == int(is_annulled), "counts that take effect clear the held report"


@pytest.mark.parametrize("name", [name for name in STATES if name != "outstanding"])
@pytest.mark.parametrize("kind", ["correct", "recount"])
def test_a_correct_or_recount_fits_everywhere_and_is_held_where_annulled(kind: str, name: str) -> None:
    _, in_force, held, state = STATES[name]
    for replaces in {in_force, held} - {None, 0}:
        night = in_state(name)
        statement = correct(kind=kind, revision=NEXT, replaces=replaces)
        assert night.verdict(statement) == ("held Q4" if state == "annulled" else "counted")
        assert list(night.states()) == ["annulled" if state == "annulled" else "counted"]


@pytest.mark.parametrize("name", STATES)
@pytest.mark.parametrize("kind", ["report", "correct", "recount"])
def test_counts_with_an_error_are_held_and_what_was_in_force_stays(kind: str, name: str) -> None:
    _, in_force, held, state = STATES[name]
    night = in_state(name)
    before = night.root()
    named: dict[str, Any] = {} if kind == "report" else {"replaces": held or in_force, "reason": "r", "authority": "a"}
    verdict = night.verdict(report(revision=NEXT, votes=(60, 50), valid=111, cast=115, kind=kind, **named))
    assert verdict == ("held Q4 A1" if state == "annulled" else "held A1")
    assert list(night.states()) == ["held" if state == "outstanding" else state]
    entry = night.fold.entry(0, "A-1")
    assert entry is not None
    assert entry.held is not None
    assert (entry.held.revision, entry.in_force_revision) == (NEXT, in_force)
    for name_of_total in ("candidates", "ballots", "progress", "turnout"):
        assert night.root()[name_of_total] == before[name_of_total]


class TestWhatReplacesMayName:
    @pytest.mark.parametrize("kind", ["correct", "recount", "annul", "withdraw"])
    @pytest.mark.parametrize(("replaces", "expected"), [(0, "rejected"), (1, "counted"), (2, "counted"), (3, "rejected")])
    def test_the_revision_in_force_or_the_held_one(self, kind: str, replaces: int, expected: str) -> None:
        night = in_state("counted and held")
        if kind in ("correct", "recount"):
            statement = correct(kind=kind, revision=NEXT, replaces=replaces)
        else:
            statement = decision(kind, revision=NEXT, replaces=replaces)
        assert night.verdict(statement).split()[0] == expected

    @pytest.mark.parametrize(("replaces", "fits"), [(1, False), (2, True), (3, False)])
    def test_accept_names_the_held_revision(self, replaces: int, fits: bool) -> None:
        night = in_state("counted and held")
        assert night.verdict(decision("accept", revision=NEXT, replaces=replaces)).startswith("counted") == fits

    @pytest.mark.parametrize(("replaces", "fits"), [(1, False), (2, True), (3, False)])
    def test_restore_names_the_annulment_not_the_held_report(self, replaces: int, fits: bool) -> None:
        night = in_state("annulled, held since")
        assert night.verdict(decision("restore", revision=NEXT, replaces=replaces)).startswith("counted") == fits

    @pytest.mark.parametrize("name", [name for name, s in STATES.items() if s[1] or s[2]])
    @pytest.mark.parametrize("kind", ["correct", "annul", "restore", "withdraw", "accept"])
    def test_0_only_where_nothing_ever_took_effect_and_nothing_is_held(self, kind: str, name: str) -> None:
        statement = decision(kind, revision=NEXT, replaces=0)
        if kind == "correct":
            statement = correct(revision=NEXT, replaces=0)
        assert in_state(name).verdict(statement) == "rejected Q5"

    def test_an_annulment_of_a_station_without_anything_replaces_0(self) -> None:
        assert in_state("outstanding").verdict(decision("annul", revision=NEXT, replaces=0)) == "counted"
        assert in_state("outstanding").verdict(decision("annul", revision=NEXT, replaces=1)) == "rejected Q5"

    def test_a_correct_where_nothing_stands_may_replace_0_alone(self) -> None:
        assert in_state("outstanding").verdict(correct(revision=NEXT, replaces=0)) == "counted"
        assert in_state("outstanding").verdict(correct(revision=NEXT, replaces=1)) == "rejected Q5"

    def test_after_a_withdrawal_its_own_revision(self) -> None:
        assert in_state("withdrawn").verdict(correct(revision=NEXT, replaces=1)) == "rejected Q5"
        assert in_state("withdrawn").verdict(correct(revision=NEXT, replaces=2)) == "counted"
        assert in_state("withdrawn").verdict(decision("annul", revision=NEXT, replaces=2)) == "counted"

    def test_after_an_accept_its_own_revision(self) -> None:
        night = Night(election(), report(**HELD), decision("accept"))
        assert night.verdict(correct(revision=3, replaces=1)) == "rejected Q5"
        assert night.verdict(correct(revision=3, replaces=2, votes=(51, 46))) == "counted"

    def test_a_report_may_name_anything(self) -> None:
        assert in_state("counted").verdict(report(revision=2, replaces=77, reason="r", authority="a")) == "counted"


@pytest.mark.parametrize("kind", ["correct", "recount", "annul", "restore", "withdraw", "accept"])
@pytest.mark.parametrize("field", ["replaces", "reason", "authority"])
def test_q5_every_kind_but_report_names_what_it_replaces_why_and_by_whom(kind: str, field: str) -> None:
    name = {"restore": "annulled", "accept": "counted and held"}.get(kind, "counted")
    for missing in (None, *([""] if field != "replaces" else [])):
        fields: dict[str, Any] = {
            "replaces": right_replaces(kind, name), "reason": "r", "authority": "a", field: missing
        }  # fmt: skip
        night = in_state(name)
        if kind in ("correct", "recount"):
            statement = correct(kind=kind, revision=NEXT, **fields)
        else:
            statement = decision(kind, revision=NEXT, **fields)
        verdict = night.take(statement)
        assert (verdict.name, verdict.findings[0].code) == ("rejected", "Q5")
        assert verdict.findings[0].message == f"{kind} without {field}"


@pytest.mark.parametrize(
    ("missing", "named"), [(("replaces", "reason", "authority"), "replaces"), (("reason", "authority"), "reason")]
)
def test_q5_names_the_first_of_several_that_are_missing(missing: tuple[str, ...], named: str) -> None:
    fields: dict[str, Any] = {"replaces": 1, "reason": "r", "authority": "a", **dict.fromkeys(missing)}
    verdict = in_state("counted").take(correct(revision=NEXT, **fields))
    assert verdict.findings[0].message == f"correct without {named}"


class TestEffects:
    def test_an_annulment_takes_the_counts_out_and_a_restore_puts_them_back(self) -> None:
        night = Night(election(), report(), decision("annul"))
        assert night.votes() == {"ANNA": 0, "BELA": 0}
        night.take(decision("restore", revision=3, replaces=2))
        assert night.votes() == {"ANNA": 50, "BELA": 46}

    def test_a_held_report_outlives_annulment_and_restore_and_can_be_accepted(self) -> None:
        night = in_state("annulled, held since")
        night.take(decision("restore", revision=4, replaces=2))
        assert night.root()["flags"]["held"] == 1
        assert night.verdict(decision("accept", revision=5, replaces=3)) == "counted"
        assert night.root()["flags"]["held"] == 0

    def test_an_accept_puts_the_held_counts_in_force_under_its_own_revision(self) -> None:
        night = Night(election(), report(votes=(50, 45), valid=96), decision("accept"))
        assert night.votes() == {"ANNA": 50, "BELA": 45}
        entry = night.fold.entry(0, "A-1")
        assert entry is not None
        assert (entry.top, entry.in_force_revision, entry.in_force_kind, entry.held) == (2, 2, "accept", None)

    def test_an_accepted_partial_count_is_partial(self) -> None:
        night = Night(election(), report(complete=False, **HELD), decision("accept"))
        assert night.states() == {"partial": 1}

    def test_a_newer_held_report_replaces_the_older_one(self) -> None:
        night = Night(election(), report(**HELD), report(revision=2, valid=98))
        assert night.verdict(decision("accept", revision=3, replaces=1)) == "rejected Q5"
        assert night.verdict(decision("accept", revision=3, replaces=2)) == "counted"

    def test_a_partial_count_is_replaced_by_a_higher_revision_never_added_to(self) -> None:
        night = Night(election(), report(complete=False, votes=(10, 10)), report(revision=2, votes=(50, 46)))
        assert night.votes() == {"ANNA": 50, "BELA": 46}

    def test_after_an_annulment_without_counts_the_station_is_restored_outstanding(self) -> None:
        night = Night(election(), decision("annul", revision=1, replaces=0))
        night.take(decision("restore", revision=2, replaces=1))
        assert night.states() == {"outstanding": 1}
        assert night.verdict(report(revision=3)) == "counted"

    def test_a_held_or_refused_statement_changes_no_total(self) -> None:
        night = Night(election(), report())
        before = night.root()
        for statement in (report(revision=2, valid=99), report(votes=(9, 9)), decision("restore", revision=3)):
            night.take(statement)
        after = night.root()
        for name in ("candidates", "ballots", "progress", "turnout", "outcome", "stations"):
            assert after[name] == before[name]

    def test_one_contests_statements_leave_the_others_alone(self) -> None:
        of = election(contests=[contest("PRES"), contest("SEAT")])
        night = Night(of, report(), report(contest=1), decision("annul"))
        assert night.root(0)["stations"]["annulled"] == 1
        assert night.root(1)["stations"]["counted"] == 1


class TestFlags:
    @pytest.mark.parametrize(("kind", "flag"), [("correct", "corrected"), ("recount", "recounted")])
    def test_counts_that_replaced_earlier_counts(self, kind: str, flag: str) -> None:
        night = Night(election(), report(), correct(kind=kind))
        assert night.root()["flags"][flag] == 1
        night.take(report(revision=3, votes=(52, 46)))
        assert night.root()["flags"][flag] == 0, "the counts in force are a plain report's again"

    def test_not_where_nothing_was_replaced(self) -> None:
        night = Night(election(), report(), decision("withdraw"), correct(revision=3, replaces=2))
        assert night.root()["flags"]["corrected"] == 0

    def test_a_held_correction_is_flagged_once_accepted(self) -> None:
        night = Night(election(), report(), correct(valid=98, cast=102))
        assert night.root()["flags"]["corrected"] == 0
        night.take(decision("accept", revision=3, replaces=2))
        assert night.root()["flags"]["corrected"] == 1

    def test_remembered_counts_keep_their_flags_and_an_annulled_station_shows_none(self) -> None:
        night = Night(
            election(), report(), correct(votes=(50, 46), invalid=5, cast=103), decision("annul", revision=3, replaces=2)
        )
        assert (night.root()["flags"]["corrected"], night.root()["flags"]["warned"]) == (0, 0)
        night.take(decision("restore", revision=4, replaces=3))
        assert (night.root()["flags"]["corrected"], night.root()["flags"]["warned"]) == (1, 1)

    def test_the_warnings_of_a_held_report_come_with_its_acceptance(self) -> None:
        warned = Night(election(), report(votes=(50, 40), valid=96), decision("accept"))
        assert warned.root()["flags"]["warned"] == 0
        warned = Night(election(), report(invalid=5, valid=97), decision("accept"))
        assert warned.root()["flags"]["warned"] == 1

    def test_held_counts_every_station_with_one_waiting_whatever_its_state(self) -> None:
        of = election([station(f"A-{n}") for n in range(1, 4)])
        night = Night(of, report("A-1", **HELD), report("A-2"), report("A-2", 2, **HELD), decision("annul", "A-3", 1, 0))
        night.take(report("A-3", 2))
        assert night.root()["flags"]["held"] == 3
        assert night.root()["stations"] == {
            "expected": 3, "received": 3, "counted": 1, "partial": 0, "held": 1, "annulled": 1, "outstanding": 0
        }  # fmt: skip


class TestQ4:
    def test_after_certify_counts_are_held_and_decisions_take_effect(self) -> None:
        of = election([station("A-1"), station("A-2"), station("A-3")])
        night = Night(of, report("A-1"), report("A-2", valid=97), control("certify"))
        assert night.verdict(report("A-3")) == "held Q4"
        assert night.verdict(correct("A-1")) == "held Q4"
        assert night.verdict(decision("accept", "A-3", 2, 1)) == "counted"
        assert night.verdict(decision("accept", "A-2", 2, 1)) == "counted"
        assert night.verdict(decision("annul", "A-2", 3, 2)) == "counted"
        assert night.verdict(decision("withdraw", "A-3", 3, 2)) == "counted"

    def test_once_even_where_annulled_and_certified(self) -> None:
        night = Night(election(), report(), decision("annul"), control("certify"))
        assert night.verdict(report(revision=3)) == "held Q4"

    def test_q5_comes_before_it(self) -> None:
        night = Night(election(), report(), control("certify"))
        assert night.verdict(correct(replaces=7)) == "rejected Q5"

    def test_another_contest_is_not_certified(self) -> None:
        night = Night(election(contests=[contest("PRES"), contest("SEAT")]), control("certify"))
        assert night.verdict(report(contest=1)) == "counted"
