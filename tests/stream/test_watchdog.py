"""When standing still is a hang."""

from tally_stream.stream.watchdog import Watchdog, Watched


def at(position: int, is_owed: bool = True) -> dict[str, Watched]:
    return {"reading": Watched(position, is_owed, f"stands at {position}: no progress")}


def test_a_position_that_stands_for_the_limit_with_work_for_it_is_named() -> None:
    dog = Watchdog(30)
    assert dog.look(100, at(5)) is None
    assert dog.look(129.9, at(5)) is None
    assert dog.look(130, at(5)) == "stands at 5: no progress for 30 s"


def test_one_that_moves_is_not() -> None:
    dog = Watchdog(30)
    assert [dog.look(20 * i, at(i)) for i in range(10)] == [None] * 10


def test_a_quiet_night_is_no_hang_and_gives_no_credit_later() -> None:
    dog = Watchdog(30)
    assert [dog.look(20 * i, at(5, is_owed=False)) for i in range(10)] == [None] * 10
    assert dog.look(200, at(5)) is None
    assert dog.look(209, at(5)) is None
    assert dog.look(210.1, at(5)) is not None  # 30 s after it was last seen without work


def test_work_that_was_done_between_ends_the_time() -> None:
    dog = Watchdog(30)
    assert dog.look(0, at(5)) is None
    assert dog.look(25, at(5, is_owed=False)) is None
    assert dog.look(50, at(5)) is None


def test_an_outage_ends_the_time_and_so_does_a_partition_that_goes() -> None:
    dog = Watchdog(30)
    assert dog.look(0, at(5)) is None
    dog.forget()
    assert dog.look(31, at(5)) is None
    assert dog.look(40, {}) is None
    assert dog.look(70, at(5)) is None
    assert dog.look(100, at(5)) is not None


def test_each_is_judged_by_itself() -> None:
    dog = Watchdog(10)
    for second in range(0, 12, 2):
        found = dog.look(second, {**at(second), "committing": Watched(7, True, "no commit")})
    assert found == "no commit for 10 s"
