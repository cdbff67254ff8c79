"""Settings: every mistake at once, each naming its variable and file; secrets from files; the page and the help name all."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from deploy.kafka.local.certificates import Authority
from tally_stream.cli.main import cli
from tally_stream.cli.settings import markdown
from tally_stream.kafka.client import ssl_context
from tally_stream.settings import CATALOGUE, ON_KAFKA, Settings, SettingsError, load_settings
from tests.cli.calling import call
from tests.support.processes import command

PASSPHRASE = "open sesame"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate with its key, one with an encrypted key, and who signed them."""
    folder = tmp_path_factory.mktemp("certificates")
    authority = Authority(folder / "ca.pem", "an authority")
    authority.issue(folder / "plain.pem", "worker")
    authority.issue(folder / "locked.pem", "worker", passphrase=PASSPHRASE)
    (folder / "both.pem").write_text((folder / "plain.pem").read_text() + (folder / "plain.key").read_text())
    (folder / "passphrase").write_text(PASSPHRASE + "\n")
    (folder / "other passphrase").write_text("another one")
    for file in folder.iterdir():
        file.chmod(0o600)
    return folder


def refused(**flags: object) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(**flags)
    return caught.value.errors


def tls(files: Path, **names: str) -> dict[str, str]:
    return {"security_protocol": "SSL", **{f"security_{name}": str(files / file) for name, file in names.items()}}


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    missing = tmp_path / "ca.pem"
    assert refused(
        bootstrap="nowhere", publish_interval_ms=0, security_protocol="SASL_SSL", security_cafile=str(missing),
        security_certfile=str(tmp_path), log_format="xml",
    ) == [
        "TALLY_BOOTSTRAP: 'nowhere' is not host:port",
        "TALLY_PUBLISH_INTERVAL_MS: input should be greater than or equal to 1",
        "TALLY_LOG_FORMAT: input should be 'text' or 'json'",
        f"TALLY_SECURITY_CAFILE: {missing}: No such file or directory",
        f"TALLY_SECURITY_CERTFILE: {tmp_path}: Is a directory",
        "TALLY_SECURITY_USERNAME and TALLY_SECURITY_PASSWORD (or TALLY_SECURITY_PASSWORD_FILE): needed for SASL",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["cafile", "certfile", "keyfile", "password_file", "key_password_file"])
def test_a_file_that_is_not_there_is_named_with_its_setting(name: str, tmp_path: Path) -> None:
    assert refused(**{f"security_{name}": str(tmp_path / "gone")}) == [
        f"TALLY_SECURITY_{name.upper()}: {tmp_path / 'gone'}: No such file or directory"
    ]


def test_a_certificate_and_its_key_are_taken(files: Path) -> None:
    for names in ({"certfile": "plain.pem", "keyfile": "plain.key"}, {"certfile": "both.pem"}, {"cafile": "ca.pem"}):
        settings = load_settings(**tls(files, **names))
        assert settings.warnings == []
        assert ssl_context(settings) is not None


def test_an_encrypted_key_opens_with_its_passphrase(files: Path) -> None:
    settings = load_settings(**tls(files, certfile="locked.pem", keyfile="locked.key", key_password_file="passphrase"))
    assert settings.key_password == PASSPHRASE
    assert ssl_context(settings) is not None
    assert PASSPHRASE not in repr(settings)


def test_what_does_not_fit_each_other_is_told(files: Path) -> None:
    locked, key = files / "locked.pem", files / "locked.key"
    assert refused(**tls(files, certfile="locked.pem", keyfile="locked.key")) == [
        f"TALLY_SECURITY_KEYFILE: {key} is encrypted: TALLY_SECURITY_KEY_PASSWORD_FILE names the file that holds its passphrase"
    ]
    assert refused(**tls(files, certfile="locked.pem", keyfile="locked.key", key_password_file="other passphrase")) == [
        f"TALLY_SECURITY_KEY_PASSWORD_FILE: {files / 'other passphrase'} does not open the key: TALLY_SECURITY_KEYFILE: {key}"
    ]
    assert refused(**tls(files, certfile="locked.pem", keyfile="plain.key")) == [
        f"TALLY_SECURITY_KEYFILE: {files / 'plain.key'} is not the key of the certificate in TALLY_SECURITY_CERTFILE {locked}"
    ]
    assert refused(**tls(files, certfile="plain.pem")) == [
        f"TALLY_SECURITY_CERTFILE: {files / 'plain.pem'} holds no private key (PEM), and there is no TALLY_SECURITY_KEYFILE"
    ]
    assert refused(**tls(files, certfile="plain.key", keyfile="plain.key")) == [
        f"TALLY_SECURITY_CERTFILE: {files / 'plain.key'} holds no certificate (PEM)"
    ]
    assert refused(**tls(files, certfile="plain.pem", keyfile="ca.pem")) == [
        f"TALLY_SECURITY_KEYFILE: {files / 'ca.pem'} holds no private key (PEM)"
    ]
    assert refused(**tls(files, keyfile="plain.key")) == [
        f"TALLY_SECURITY_KEYFILE: {files / 'plain.key'} without the certificate that it belongs to: TALLY_SECURITY_CERTFILE"
    ]
    assert refused(**tls(files, cafile="plain.key")) == [
        f"TALLY_SECURITY_CAFILE: {files / 'plain.key'} holds no certificate (PEM)"
    ]


def test_nobody_is_asked_for_a_passphrase(files: Path) -> None:
    """OpenSSL asks the terminal by itself, and a worker would hang there."""
    ours, theirs = pty.openpty()
    environment = {f"TALLY_{k.upper()}": v for k, v in tls(files, certfile="locked.pem", keyfile="locked.key").items()}
    done = subprocess.run(
        command("standings"), stdin=theirs, capture_output=True, text=True, timeout=30, check=False, start_new_session=True,
        env={"PATH": "", **environment},
    )  # fmt: skip
    assert (done.returncode, done.stderr.count("is encrypted: TALLY_SECURITY_KEY_PASSWORD_FILE")) == (2, 1)
    del ours


def login(**more: str) -> dict[str, str]:
    return {"security_protocol": "SASL_PLAINTEXT", "security_username": "worker", **more}


def test_a_password_comes_from_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    for content in ("a b ç\n", "a b ç\r\n", "a b ç"):
        secret.write_bytes(content.encode())
        secret.chmod(0o600)
        settings = load_settings(**login(security_password_file=str(secret)))
        assert settings.security_password is not None
        assert (settings.security_password.get_secret_value(), settings.warnings) == ("a b ç", [])
    secret.chmod(0o644)
    assert load_settings(**login(security_password_file=str(secret))).warnings == [
        f"TALLY_SECURITY_PASSWORD_FILE: every user of this machine may read {secret}: chmod o-r"
    ]


@pytest.mark.parametrize(
    "name", ["security_password_file", "signing_key_password_file", "board_operator_token_file", "intake_token_file"]
)
def test_a_secret_that_others_may_read_is_told(tmp_path: Path, name: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text("a secret of more than sixteen characters\n")
    secret.chmod(0o604)
    more = login() if name.startswith("security") else {}
    told = f"TALLY_{name.upper()}: every user of this machine may read {secret}: chmod o-r"
    assert told in load_settings(**more, **{name: str(secret)}).warnings
    secret.chmod(0o640)
    assert told not in load_settings(**more, **{name: str(secret)}).warnings


@pytest.mark.parametrize(("protocol", "name"), [("SSL", "security"), ("PLAINTEXT", "intake")])
def test_a_certificate_is_public_unless_its_key_stands_beside_it(tmp_path: Path, files: Path, protocol: str, name: str) -> None:
    shutil.copytree(files, tmp_path / "open")
    for file in (tmp_path / "open").iterdir():
        file.chmod(0o644)
    plain, both = tmp_path / "open" / "plain", tmp_path / "open" / "both.pem"
    for given, of in (
        ({"certfile": f"{plain}.pem", "keyfile": f"{plain}.key"}, "keyfile"),
        ({"certfile": str(both)}, "certfile"),
    ):
        flags = {f"{name}_{which}": file for which, file in given.items()}
        assert load_settings(**{"security_protocol": protocol, **flags}).warnings == [
            f"TALLY_{name.upper()}_{of.upper()}: every user of this machine may read {given[of]}: chmod o-r"
        ]


def test_a_passphrase_comes_from_an_agent_by_a_pipe() -> None:
    """As a shell hands it over: `--password-file <(pass show key)`."""
    ours, agents = os.pipe()
    os.write(agents, b"open sesame\n")
    os.close(agents)
    try:
        assert load_settings(signing_key_password_file=f"/dev/fd/{ours}").signing_password == PASSPHRASE
    finally:
        os.close(ours)


@pytest.mark.parametrize("content", [b"", b"\n", b"two\nlines\n", b"x" * 70_000])
def test_a_file_that_is_no_secret_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "password").write_bytes(content)
    assert f"TALLY_SECURITY_PASSWORD_FILE: {tmp_path / 'password'} must hold one line, the secret alone" in refused(
        **login(security_password_file=str(tmp_path / "password"))
    )


def test_two_passwords_are_one_too_many(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("x")
    assert refused(**login(security_password="y", security_password_file=str(tmp_path / "password"))) == [
        "TALLY_SECURITY_PASSWORD and TALLY_SECURITY_PASSWORD_FILE are both given: give one of them"
    ]
    (tmp_path / "password").write_bytes(b"\xff")
    assert refused(**login(security_password_file=str(tmp_path / "password"))) == [
        f"TALLY_SECURITY_PASSWORD_FILE: {tmp_path / 'password'} is no text in UTF-8",
    ]


def test_what_a_forgotten_protocol_leaves_unused_is_told(files: Path) -> None:
    settings = load_settings(security_cafile=str(files / "ca.pem"), security_username="worker", security_password="x")
    assert settings.warnings == [
        "TALLY_SECURITY_CAFILE, TALLY_SECURITY_USERNAME, TALLY_SECURITY_PASSWORD: not used, as TALLY_SECURITY_PROTOCOL is PLAINTEXT"
    ]


def test_the_page_has_each_setting_with_its_default() -> None:
    page = markdown()
    for name, field in Settings.model_fields.items():
        (row,) = [line for line in page.splitlines() if line.startswith(f"| `TALLY_{name.upper()}` |")]
        assert field.default is None or str(field.default).lower() in row.lower()
        assert f"| {field.description} |" in row
    assert all(setting.text.endswith(".") and setting.commands for setting in CATALOGUE)
    assert call("settings", "--markdown").stdout == page
    assert len(call("settings", "--json").stdout.splitlines()) == len(CATALOGUE)


def test_whoever_talks_to_kafka_says_so() -> None:
    """A command with `--bootstrap` uses the settings of a connection, and no other does."""
    context = click.Context(cli)
    found = set()
    for name in cli.list_commands(context):
        whole = cli.get_command(context, name)
        commands = [whole, *getattr(whole, "commands", {}).values()]
        if any(parameter.name == "bootstrap" for each in commands for parameter in each.params):
            found.add(name)
    assert found == {*ON_KAFKA, "demo"}


@pytest.mark.parametrize("words", [(name,) for name in ON_KAFKA] + [("topics", "create"), ("topics", "check")])
def test_the_help_of_a_command_names_its_settings(words: tuple[str, ...]) -> None:
    said = CliRunner().invoke(cli, [*words, "--help"]).stdout
    used = [setting.variable for setting in CATALOGUE if words[0] in setting.commands]
    assert {"TALLY_BOOTSTRAP", "TALLY_SECURITY_KEY_PASSWORD_FILE"} <= set(used)
    assert [variable for variable in used if variable not in said] == []
    assert "tally-stream settings" in " ".join(said.split())
