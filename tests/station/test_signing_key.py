"""Private keys in files: for their owner alone, never asked for a passphrase, and never written over."""

import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from tally_stream.station.signing_key import (
    KeyFileError,
    SealingKey,
    make_key_file,
    named_key,
    public_of,
    read_key_file,
)
from tally_stream.wire.envelope import is_right, open_plainly, to_base64
from tests.support.report_messages import as_bytes, counts, election
from tests.support.signing import private, public, signed, signing_key


class TestFile:
    @pytest.mark.parametrize("passphrase", [None, "a word"])
    def test_made_for_its_owner_and_read_again(self, tmp_path: Path, passphrase: str | None) -> None:
        path = tmp_path / "own.key"
        before = os.umask(0)
        try:
            made = make_key_file(path, passphrase)
        finally:
            os.umask(before)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert public_of(read_key_file(path, passphrase)) == public_of(made)
        assert (b"ENCRYPTED" in path.read_bytes()) is (passphrase is not None)

    def test_a_passphrase_that_nobody_asked_for_is_no_mistake(self, tmp_path: Path) -> None:
        made = make_key_file(tmp_path / "own.key", None)
        assert public_of(read_key_file(tmp_path / "own.key", "a word")) == public_of(made)

    def test_never_over_a_file(self, tmp_path: Path) -> None:
        path = tmp_path / "own.key"
        path.write_text("somebody's")
        with pytest.raises(KeyFileError, match="a key is never written over"):
            make_key_file(path, None)
        assert path.read_text() == "somebody's"

    def test_where_it_can_not_be(self, tmp_path: Path) -> None:
        with pytest.raises(KeyFileError, match="No such file"):
            make_key_file(tmp_path / "none" / "own.key", None)

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
    def test_others_may_not_read_it(self, tmp_path: Path, mode: int) -> None:
        make_key_file(tmp_path / "own.key", None)
        (tmp_path / "own.key").chmod(mode)
        with pytest.raises(KeyFileError, match="chmod 600"):
            read_key_file(tmp_path / "own.key", None)

    def test_what_is_wrong_with_one_is_said(self, tmp_path: Path) -> None:
        path = tmp_path / "own.key"
        with pytest.raises(KeyFileError, match=r"own\.key: No such file"):
            read_key_file(path, None)
        make_key_file(path, "a word")
        with pytest.raises(KeyFileError, match="TALLY_SIGNING_KEY_PASSWORD_FILE names the file"):
            read_key_file(path, None)
        with pytest.raises(KeyFileError, match="its passphrase does not open it"):
            read_key_file(path, "another")
        path.write_bytes(b"nothing")
        with pytest.raises(KeyFileError, match="holds no private key"):
            read_key_file(path, None)
        other = X25519PrivateKey.generate()
        path.write_bytes(other.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ))  # fmt: skip
        with pytest.raises(KeyFileError, match="another kind than Ed25519"):
            read_key_file(path, None)


class TestSealing:
    def test_the_same_bytes_each_time_that_hold_for_the_public_key(self) -> None:
        key = SealingKey("K-1", private("K-1"))
        value = key.seal(as_bytes(counts()))
        assert value == key.seal(as_bytes(counts())) == signed(counts(), "K-1")
        envelope = open_plainly(value)
        assert envelope is not None
        assert is_right(envelope, public("K-1"))
        assert key.public == to_base64(public("K-1"))


class TestName:
    OF = election(signatures="required", keys=[signing_key("K-1"), signing_key("K-2")])
    PATH = Path("own.key")

    def test_the_one_that_the_definition_has(self) -> None:
        assert named_key(private("K-2"), self.OF, None, self.PATH).id == "K-2"

    def test_the_one_that_is_given(self) -> None:
        assert named_key(private("K-2"), self.OF, "K-9", self.PATH).id == "K-9"

    def test_none_or_two(self) -> None:
        with pytest.raises(KeyFileError, match="does not have it: TALLY_SIGNING_KEY_ID says"):
            named_key(private("K-3"), self.OF, None, self.PATH)
        twice = election(
            keys=[signing_key("K-1"), signing_key("K-1").__class__("K-9", "", "", frozenset({"report"}), public("K-1"))]
        )
        with pytest.raises(KeyFileError, match="has it as K-1, K-9"):
            named_key(private("K-1"), twice, None, self.PATH)
