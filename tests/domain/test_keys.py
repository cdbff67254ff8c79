"""Keys that sign: which public keys are none, and what statements about keys change in a partition."""

import pytest

from tally_stream.domain.key_ring import KeyRing
from tally_stream.domain.keys import SIGNED_KINDS, SigningKey, kinds_of, public_key_error
from tally_stream.domain.report import CONTROL_KINDS, COUNT_KINDS, DECISION_KINDS, KeyStatement
from tally_stream.domain.rules import REVISION_STEP_MAX

P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P
BASE_POINT = bytes.fromhex("5866666666666666666666666666666666666666666666666666666666666666")


def encoded(y: int, sign: int = 0) -> bytes:
    return (y | sign << 255).to_bytes(32, "little")


def doubled(x: int, y: int) -> tuple[int, int]:
    """The point added to itself on edwards25519."""
    product = D * x * x * y * y % P
    return 2 * x * y * pow(1 + product, -1, P) % P, (y * y + x * x) * pow(1 - product, -1, P) % P


def x_of(y: int) -> int | None:
    """One of the two points with this y; None where there is none."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    root = pow(square, (P + 3) // 8, P)
    if root * root % P != square:
        root = root * pow(2, (P - 1) // 4, P) % P
    return root if root * root % P == square else None


def test_every_kind_of_statement_can_be_allowed_to_a_key() -> None:
    assert {*COUNT_KINDS, *DECISION_KINDS, *CONTROL_KINDS, "turnout", "key"} == SIGNED_KINDS


class TestPublicKey:
    def test_an_ordinary_point_is_one(self) -> None:
        assert public_key_error(BASE_POINT) is None

    @pytest.mark.parametrize("length", [0, 31, 33, 64])
    def test_another_length(self, length: int) -> None:
        assert public_key_error(b"\x05" * length) == f"has {length} bytes, not 32"

    def test_all_points_of_small_order_are_refused_with_either_sign(self) -> None:
        """They are found here by halving: y of order 8 from d y^4 + 2 y^2 - 1 = 0, whose double has y = 0."""
        root = pow(1 + D, (P + 3) // 8, P)
        if root * root % P != (1 + D) % P:
            root = root * pow(2, (P - 1) // 4, P) % P
        squares = [(-1 + sign * root) * pow(D, -1, P) % P for sign in (1, -1)]
        of_order_8 = [pow(s, (P + 3) // 8, P) for s in squares]
        of_order_8 += [y * pow(2, (P - 1) // 4, P) % P for y in of_order_8]
        of_order_8 = [y for y in of_order_8 if y * y % P in squares and x_of(y) is not None]
        points = {0, 1, P - 1, *of_order_8, *(P - y for y in of_order_8)}
        assert len(points) == 5
        for y in points:
            x = x_of(y)
            assert x is not None
            point = (x, y)
            for _ in range(3):
                point = doubled(*point)
            assert point == (0, 1), "eight times the point is nothing"
            for sign in (0, 1):
                found = public_key_error(encoded(y, sign))
                assert found is not None, (y, sign)
                assert "small order" in found

    @pytest.mark.parametrize("above", [0, 1, 2, 18])
    @pytest.mark.parametrize("sign", [0, 1])
    def test_a_second_spelling_of_a_point_is_refused(self, above: int, sign: int) -> None:
        found = public_key_error(encoded(P + above, sign))
        assert found is not None
        assert "canonical" in found

    def test_the_last_canonical_y_that_is_not_small(self) -> None:
        assert public_key_error(encoded(P - 2)) is None


class TestKinds:
    def test_words_in_any_order_and_twice(self) -> None:
        assert kinds_of("report  correct report ") == {"report", "correct"}

    @pytest.mark.parametrize("words", ["", " ", "Report", "report,correct", "report\tcorrect", "reports"])
    def test_other_words(self, words: str) -> None:
        assert kinds_of(words) is None


def key(**changes: object) -> SigningKey:
    base: dict[str, object] = {
        "id": "K-1", "holder": "one", "station": "", "kinds": frozenset({"report"}), "public_key": BASE_POINT
    }  # fmt: skip
    return SigningKey(**{**base, **changes})  # type: ignore[arg-type]  # a test names what it changes


class TestInForce:
    def test_both_limits_are_included(self) -> None:
        limited = key(valid_from_ms=100, valid_to_ms=200)
        assert [limited.is_in_force(ms) for ms in (99, 100, 200, 201)] == [False, True, True, False]

    def test_no_limits(self) -> None:
        assert key().is_in_force(-(10**15))
        assert key().is_in_force(10**15)


def statement(revision: int = 1, action: str = "add", **changes: object) -> KeyStatement:
    base: dict[str, object] = {
        "key_id": "K-1", "revision": revision, "action": action, "holder": "two", "station": "A-1",
        "kinds": frozenset({"correct"}), "public_key": encoded(P - 2), "reason": "r", "authority": "a",
    }  # fmt: skip
    if action == "revoke":
        base |= {"holder": "", "station": "", "kinds": frozenset(), "public_key": b""}
    return KeyStatement(**{**base, **changes})  # type: ignore[arg-type]


class TestRing:
    def test_the_definitions_keys_until_something_is_said(self) -> None:
        ring = KeyRing({"K-1": key()})
        assert ring.get("K-1") == key()
        assert ring.get("K-2") is None
        assert ring.newest("K-1") is None
        assert ring.all() == [key()]
        assert not ring.is_revoked("K-2")

    def test_an_added_key_takes_the_place_of_the_definitions_and_has_no_limits(self) -> None:
        ring = KeyRing({"K-1": key(valid_to_ms=5)})
        assert ring.take(statement()).name == "counted"
        assert ring.get("K-1") == SigningKey("K-1", "two", "A-1", frozenset({"correct"}), encoded(P - 2))

    def test_revoked_and_added_again(self) -> None:
        ring = KeyRing({"K-1": key()})
        assert ring.take(statement(action="revoke")).name == "counted"
        assert ring.get("K-1") is None
        assert ring.is_revoked("K-1")
        assert ring.newest("K-1") == statement(action="revoke")
        assert ring.all() == []
        assert ring.take(statement(2)).name == "counted"
        assert ring.get("K-1") is not None
        assert not ring.is_revoked("K-1")

    def test_a_sequence_of_its_own_for_each_key(self) -> None:
        ring = KeyRing({})
        assert ring.take(statement(3)).name == "counted"
        assert ring.take(statement(3)).name == "repeated"
        assert ring.take(statement(3, reason="other")).name == "conflicting"
        assert ring.take(statement(2, "revoke")).name == "stale"
        assert ring.get("K-1") is not None
        assert ring.take(statement(4 + REVISION_STEP_MAX, "revoke")).findings[0].code == "Q8"
        assert ring.take(statement(3 + REVISION_STEP_MAX, "revoke")).name == "counted"
        assert ring.take(statement(1, key_id="K-2")).name == "counted"

    def test_two_partitions_do_not_share_a_ring(self) -> None:
        keys = {"K-1": key()}
        one, other = KeyRing(keys), KeyRing(keys)
        one.take(statement(action="revoke"))
        assert other.get("K-1") == key()
