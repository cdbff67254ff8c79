"""A signed envelope: what is one, what is signed, and which signatures hold.

The criterion is pinned by published edge cases: the ten of ed25519-speccheck (Chalkias, Garillot, Nikolaenko: "Taming the many EdDSAs",
SSR 2020), where verifiers differ, and the first signatures of RFC 8032, section 7.1.
"""

import json
from typing import Any

import pytest

from tally_stream.domain.keys import public_key_error
from tally_stream.wire.envelope import (
    PAYLOAD_TYPE,
    SIGNATURE_BYTES,
    Envelope,
    from_base64,
    is_right,
    open_fields,
    open_plainly,
    sealed,
    signed_bytes,
    to_base64,
)

RFC_8032 = [
    ("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"),
    ("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"),
]  # fmt: skip

SPECCHECK = [
    # message, public key, signature, whether S B = R + k A without cofactor and S < L
    ("8c93255d71dcab10e8f379c26200f3c7bd5f09d9bc3068d3ef4edeb4853022b6", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
     "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a0000000000000000000000000000000000000000000000000000000000000000", True),
    ("9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
     "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43a5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04", True),
    ("aebf3f2601a0c8c5d39cc7d8911642f740b78168218da8471772b35f9d35b9ab", "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
     "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa8c4bd45aecaca5b24fb97bc10ac27ac8751a7dfe1baff8b953ec9f5833ca260e", True),
    ("9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79", "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
     "9046a64750444938de19f227bb80485e92b83fdb4b6506c160484c016cc1852f87909e14428a7a1d62e9f22f3d3ad7802db02eb2e688b6c52fcd6648a98bd009", True),
    ("e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c", "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
     "160a1cb0dc9c0258cd0a7d23e94d8fa878bcb1925f2c64246b2dee1796bed5125ec6bc982a269b723e0668e540911a9a6a58921d6925e434ab10aa7940551a09", False),
    ("e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c", "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
     "21122a84e0b5fca4052f5b1235c80a537878b38f3142356b2c2384ebad4668b7e40bc836dac0f71076f9abe3a53f9c03c1ceeeddb658d0030494ace586687405", False),
    ("85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40", "442aad9f089ad9e14647b1ef9099a1ff4798d78589e66f28eca69c11f582a623",
     "e96f66be976d82e60150baecff9906684aebb1ef181f67a7189ac78ea23b6c0e547f7690a0e2ddcd04d87dbc3490dc19b3b3052f7ff0538cb68afb369ba3a514", False),
    ("85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40", "442aad9f089ad9e14647b1ef9099a1ff4798d78589e66f28eca69c11f582a623",
     "8ce5b96c8f26d0ab6c47958c9e68b937104cd36e13c33566acd2fe8d38aa19427e71f98a473474f2f13f06f97c20d58cc3f54b8bd0d272f42b695dd7e89a8c22", False),
    ("fdaebc429f4a735932a160da1301080c13280eea8bc280d1b392c6b9e6ba3a5a", "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
     "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f454d370c8d9fc323a41450f8d513eafeb5b0697390c1e505a0d4ddc71f566607", False),
    ("84b698d39be126ff55fe45079e6c8bf64a0d7db6994560b4e96b7021eb39c1a1", "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
     "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f084d5b99c2a9463d9c8bd5026916996984eeec87ddf1d3be329006ace1b37b09", False),
]  # fmt: skip


class TestCriterion:
    """`cryptography` itself is asked here, on bare messages: an envelope signs more than its payload."""

    @staticmethod
    def holds(message: str, public: str, signature: str, monkeypatch: pytest.MonkeyPatch) -> bool:
        monkeypatch.setattr("tally_stream.wire.envelope.signed_bytes", lambda payload: payload)
        return is_right(Envelope("K-1", bytes.fromhex(message), bytes.fromhex(signature)), bytes.fromhex(public))

    @pytest.mark.parametrize(("public", "message", "signature"), RFC_8032)
    def test_the_signatures_of_the_standard(
        self, public: str, message: str, signature: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert self.holds(message, public, signature, monkeypatch)
        assert not self.holds(message + "00", public, signature, monkeypatch)

    @pytest.mark.parametrize("case", range(len(SPECCHECK)))
    def test_where_verifiers_differ(self, case: int, monkeypatch: pytest.MonkeyPatch) -> None:
        message, public, signature, expected = SPECCHECK[case]
        assert self.holds(message, public, signature, monkeypatch) is expected

    def test_keys_of_small_order_never_come_so_far(self) -> None:
        refused = [case for case, (_, public, *_) in enumerate(SPECCHECK) if public_key_error(bytes.fromhex(public))]
        assert refused == [0, 1]

    def test_a_key_that_is_no_point_signs_nothing(self) -> None:
        assert not is_right(Envelope("K-1", b"{}", bytes(SIGNATURE_BYTES)), (2).to_bytes(32, "little"))


class TestSignedBytes:
    def test_the_encoding_is_dsse_s(self) -> None:
        length = len(PAYLOAD_TYPE)
        assert signed_bytes(b"hello world") == f"DSSEv1 {length} {PAYLOAD_TYPE} 11 hello world".encode()

    def test_lengths_are_of_bytes(self) -> None:
        assert b" 2 \xc3\xa9" in signed_bytes("é".encode())


class TestBase64:
    @pytest.mark.parametrize("value", [b"", b"a", b"ab", b"abc", bytes(range(256))])
    def test_there_and_back(self, value: bytes) -> None:
        assert from_base64(to_base64(value)) == value

    @pytest.mark.parametrize("text", ["YQ", "YQ=", "YR==", "YQ==\n", " YQ==", "Y Q=", "YQ===", "-_8=", "=", "é", "YQ==YQ=="])
    def test_every_other_spelling_is_refused(self, text: str) -> None:
        assert from_base64(text) is None


GOOD: dict[str, Any] = {
    "payload": to_base64(b"{}"), "payload_type": PAYLOAD_TYPE, "key_id": "K-1", "signature": to_base64(bytes(SIGNATURE_BYTES)),
}  # fmt: skip


def as_text(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields).encode()


class TestOpening:
    def test_both_readers_open_the_same(self) -> None:
        expected = Envelope("K-1", b"{}", bytes(SIGNATURE_BYTES))
        assert open_plainly(as_text(GOOD)) == expected
        assert open_fields(GOOD) == expected

    def test_what_was_sealed_is_plain(self) -> None:
        assert open_plainly(sealed(b"{}", "K-1", bytes(SIGNATURE_BYTES))) == Envelope("K-1", b"{}", bytes(SIGNATURE_BYTES))

    @pytest.mark.parametrize(
        ("changes", "what"),
        [
            ({"payload": 5}, "payload of the envelope is not a text"),
            ({"key_id": ["K-1"]}, "key_id of the envelope is not a text"),
            ({"payload_type": "application/json"}, "payload_type is not"),
            ({"payload_type": PAYLOAD_TYPE + " "}, "payload_type is not"),
            ({"payload": "e30"}, "payload is not standard base64"),
            ({"signature": "e30="}, "signature is not standard base64 of 64 bytes"),
            ({"signature": "?"}, "signature is not standard base64 of 64 bytes"),
            ({"signature": to_base64(bytes(65))}, "signature is not standard base64 of 64 bytes"),
        ],
    )
    def test_what_can_not_be_verified(self, changes: dict[str, Any], what: str) -> None:
        found = open_fields(GOOD | changes)
        assert isinstance(found, str)
        assert found.startswith(what)
        assert open_plainly(as_text(GOOD | changes)) is None

    @pytest.mark.parametrize(
        "value",
        [
            as_text(GOOD | {"schema": 1}),
            as_text({k: v for k, v in GOOD.items() if k != "key_id"}),
            as_text(GOOD).replace(b'"K-1"', b'"K-\\u0031"'),
            as_text(GOOD).replace(b'"key_id": "K-1"', b'"key_id": "K-2", "key_id": "K-1"'),
            as_text(GOOD).replace(b"K-1", b"\xff"),
            b"{}", b"", b"[" * 100_000 + b'"' * 16,
        ],
    )  # fmt: skip
    def test_what_is_not_plain_is_left_to_the_exact_reader(self, value: bytes) -> None:
        assert open_plainly(value) is None
