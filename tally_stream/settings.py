"""Every setting, once: environment `TALLY_*`, overridden by a command's flags; all mistakes are reported at once.

Decides what each setting may be, which commands use it, what its line in the docs says, and whether files that settings name
can be used, alone and together (a key that is not that of the certificate). Refuses to know what a broker thinks of them:
`kafka/refused.py`. `cli/settings.py` and docs/settings.md are made of `CATALOGUE`.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import AfterValidator, Field, PrivateAttr, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

ENV_PREFIX = "TALLY_"
SECRET_MAX_BYTES = 64 * 1024
OPERATOR_TOKEN_MIN_CHARS = 20
OTHERS_MAY_READ = 0o004
_INTAKE_URL = re.compile(r"https?://[^\s/?#@]+/?")


class SettingsError(Exception):
    """`errors` are sentences naming the environment variable, one a mistake."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("\n".join(errors))
        self.errors = errors


def checked_address(value: str) -> str:
    """`host:port`, without the space around it. Raises ValueError on anything else."""
    address = value.strip()
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65_536:
        raise ValueError(f"{address!r} is not host:port")
    return address


def _bootstrap(value: str) -> str:
    return ",".join(checked_address(address) for address in value.split(","))


def _readable(value: str) -> str:
    """A file that can be opened, or the system's own words for why not."""
    try:
        with open(value, "rb") as file:
            if not stat.S_ISFIFO(os.fstat(file.fileno()).st_mode):  # a pipe gives it once, to `_secret_in`
                file.read(1)
    except (OSError, ValueError) as error:
        raise ValueError(f"{value}: {getattr(error, 'strerror', None) or error}") from error
    return value


def _prom_file(value: str | None) -> str | None:
    if value is not None and not value.endswith(".prom"):
        raise ValueError(f"{value} does not end with .prom: node_exporter reads no other file")
    return value


_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,200}$")]
_Port = Annotated[int, Field(ge=0, le=65_535)]
_File = Annotated[str, AfterValidator(_readable)]


@dataclass(frozen=True, slots=True)
class UsedBy:
    """Beside a setting's type: the commands that use it."""

    commands: tuple[str, ...]


ON_KAFKA = (
    "worker", "topics", "send", "simulate", "submit", "intake", "authority", "keys", "held", "status", "standings", "export",
    "board", "dump", "restore", "verify",
)  # fmt: skip
_KAFKA = UsedBy(ON_KAFKA)
_SECURITY = UsedBy((*ON_KAFKA, "demo"))
_COUNTED = UsedBy(("worker", "topics", "authority", "keys", "held", "board", "status", "submit", "intake"))
_WORKER = UsedBy(("worker",))
_WATCHED = UsedBy(("worker", "status"))
_BOARD = UsedBy(("board", "demo", "status"))
_DUMP = UsedBy(("dump", "status"))
_SIGNS = UsedBy(("submit", "authority", "keys"))
_INTAKE = UsedBy(("intake",))
_INTAKE_WATCHED = UsedBy(("intake", "status"))
_OVER_HTTP = UsedBy(("intake", "submit", "simulate"))
_TO_INTAKE = UsedBy(("submit", "simulate"))
EVERY = UsedBy(("every command",))


class Settings(BaseSettings):
    """What a process needs to know about its surroundings; nothing here changes a count. What each one is for stands in its
    description, once for code, help and docs. `warnings` are sentences for the operator that refuse nothing."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, extra="forbid", env_ignore_empty=True)

    bootstrap: Annotated[str, AfterValidator(_bootstrap), _KAFKA] = Field(
        default="127.0.0.1:9092", description="Kafka brokers to ask first, `host:port`, several behind commas."
    )
    prefix: Annotated[_Name, _KAFKA] = Field(default="tally", description="What the names of the five topics begin with.")
    election: Annotated[str | None, _COUNTED] = Field(
        default=None, description="Election folder, or the name of a night that ships."
    )
    spool: Annotated[str | None, UsedBy(("submit",))] = Field(
        default=None,
        description="File in which statements stand before they are sent, and until it is known what became of them; without "
        "it `tally-stream/PREFIX-ELECTION.spool` below `$XDG_STATE_HOME`, or below `~/.local/state`.",
    )
    spool_metrics_file: Annotated[str | None, AfterValidator(_prom_file), UsedBy(("submit",))] = Field(
        default=None,
        description="File (`.prom`) with the spool's figures for node_exporter's textfile collector, written anew at each "
        "change; one for each spool.",
    )
    group: Annotated[_Name | None, _WATCHED] = Field(
        default=None, description="Consumer group; without it the prefix and `-workers`."
    )
    instance: Annotated[_Name | None, _WORKER] = Field(
        default=None,
        description="Name of this worker in its group over restarts (static membership), without it made of group, host and "
        "metrics port; two living workers never share one.",
    )
    publish_interval_ms: Annotated[int, _WORKER] = Field(
        default=50, ge=1, le=60_000, description="Least time between two publications of a partition's sums, in milliseconds."
    )
    broker_wait_seconds: Annotated[int, _SECURITY] = Field(
        default=120, ge=0, le=86_400,
        description="How long brokers that are not up are waited for, in seconds. What waiting cannot cure ends a command "
        "sooner. `submit` sends for as long as it takes.",
    )  # fmt: skip
    metrics_host: Annotated[str, _WATCHED] = Field(default="127.0.0.1", description="Where metrics and health are served.")
    metrics_port: Annotated[_Port, _WATCHED] = Field(default=9180, description="Their port, 0 for any free one.")
    dump_metrics_host: Annotated[str, _DUMP] = Field(
        default="127.0.0.1", description="Where `dump --follow` serves metrics and health."
    )
    dump_metrics_port: Annotated[_Port, _DUMP] = Field(default=0, description="Their port, 0 for none: nothing listens then.")
    board_host: Annotated[str, _BOARD] = Field(default="127.0.0.1", description="Where the board listens.")
    board_port: Annotated[_Port, _BOARD] = Field(default=8080, description="Its port, 0 for any free one.")
    board_operator: Annotated[bool, UsedBy(("board",))] = Field(
        default=False,
        description="The board also serves the authority's desk, `/operator/held`: to this machine alone, or to whoever has "
        "the token.",
    )
    board_operator_token: Annotated[SecretStr | None, UsedBy(("board",))] = Field(
        default=None,
        description="What the desk asks for, 20 characters and more. Needed where the board is open to the network.",
    )
    board_operator_token_file: Annotated[_File | None, UsedBy(("board",))] = Field(
        default=None, description="File that holds the token instead."
    )
    rehearsal: Annotated[bool, UsedBy(("worker", "topics", "status"))] = Field(
        default=False, description="Durability settings of topics that break a promise are shown instead of refused."
    )
    log_format: Annotated[Literal["text", "json"], EVERY] = Field(
        default="text",
        description="How lines on stderr are written. `text`: what runs until it is stopped begins each with time, level and "
        "process, any other command with its name alone. `json`: one object a line, of every command.",
    )
    security_protocol: Annotated[Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"], _SECURITY] = Field(
        default="PLAINTEXT", description="How brokers are talked to: `SSL` is TLS, `SASL` a login."
    )
    security_sasl_mechanism: Annotated[Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"], _SECURITY] = Field(
        default="SCRAM-SHA-512", description="How a login is proved; one that the brokers offer."
    )
    security_username: Annotated[str | None, _SECURITY] = Field(default=None, description="Who logs in. Needed for SASL.")
    security_password: Annotated[SecretStr | None, _SECURITY] = Field(
        default=None, description="Its password. Needed for SASL, here or in a file."
    )
    security_password_file: Annotated[_File | None, _SECURITY] = Field(
        default=None, description="File that holds the password instead; a line end behind it does not count."
    )
    security_cafile: Annotated[_File | None, _SECURITY] = Field(
        default=None, description="Certificates (PEM) of who signed the brokers' certificates; without it those of the system."
    )
    security_certfile: Annotated[_File | None, _SECURITY] = Field(
        default=None, description="Our own certificate (PEM), where the brokers ask for one (mTLS)."
    )
    security_keyfile: Annotated[_File | None, _SECURITY] = Field(
        default=None, description="Its private key (PEM), where it does not stand in the same file."
    )
    security_key_password_file: Annotated[_File | None, _SECURITY] = Field(
        default=None, description="File that holds the passphrase of an encrypted key. Nobody is ever asked for it."
    )

    signing_key: Annotated[str | None, _SIGNS] = Field(
        default=None,
        description="File with the private key that signs statements (`tally-stream keys make`); needed where the election "
        "demands signatures.",
    )
    signing_key_id: Annotated[str | None, _SIGNS] = Field(
        default=None, description="Its id, where keys.csv does not have its public key, or has it twice."
    )
    signing_key_password_file: Annotated[_File | None, _SIGNS] = Field(
        default=None, description="File that holds the passphrase of an encrypted signing key. Nobody is ever asked for it."
    )

    intake_host: Annotated[str, _INTAKE] = Field(default="127.0.0.1", description="Where the intake listens.")
    intake_port: Annotated[_Port, _INTAKE] = Field(default=8090, description="Its port, 0 for any free one.")
    intake_tokens: Annotated[str | None, _INTAKE] = Field(
        default=None, description="File of the tokens, hashed, with the stations of each (`tally-stream intake token`)."
    )
    intake_rate_per_minute: Annotated[int, _INTAKE] = Field(
        default=60, ge=1, le=1_000_000,
        description="Statements a minute that are taken of one caller, for each station it may speak for; so many at once too.",
    )  # fmt: skip
    intake_metrics_host: Annotated[str, _INTAKE_WATCHED] = Field(
        default="127.0.0.1", description="Where the intake serves metrics and its reasons for not being ready."
    )
    intake_metrics_port: Annotated[_Port, _INTAKE_WATCHED] = Field(
        default=0, description="Their port, 0 for none: nothing listens then."
    )
    intake_url: Annotated[str | None, _TO_INTAKE] = Field(
        default=None,
        description="An intake (`https://host:port`) that is sent to where no Kafka answers, or TALLY_BOOTSTRAP is not set; by "
        "`simulate --to http` always.",
    )
    intake_token_file: Annotated[_File | None, _TO_INTAKE] = Field(
        default=None, description="File that holds our token for it."
    )
    intake_cafile: Annotated[_File | None, _OVER_HTTP] = Field(
        default=None,
        description="Certificates (PEM) of who signed the other side's: an intake then knows stations by theirs (the common "
        "name is the station's id); `submit` trusts these instead of the system's.",
    )
    intake_certfile: Annotated[_File | None, _OVER_HTTP] = Field(
        default=None, description="Our own certificate (PEM): an intake is served over TLS with it, `submit` shows who it is."
    )
    intake_keyfile: Annotated[_File | None, _OVER_HTTP] = Field(
        default=None, description="Its private key (PEM, not encrypted), where it does not stand in the same file."
    )

    _intake_token: SecretStr | None = PrivateAttr(default=None)
    _key_password: SecretStr | None = PrivateAttr(default=None)
    _signing_password: SecretStr | None = PrivateAttr(default=None)
    _warnings: list[str] = PrivateAttr(default_factory=list)

    @property
    def group_id(self) -> str:
        return self.group or f"{self.prefix}-workers"

    @property
    def instance_id(self) -> str | None:
        """The worker's own name: given, or host and metrics port, which two workers of a host can't share."""
        if self.instance:
            return self.instance
        return f"{self.group_id}-{socket.gethostname()}-{self.metrics_port}" if self.metrics_port else None

    @property
    def key_password(self) -> str | None:
        """The passphrase of the private key, as its file had it when the settings were loaded."""
        return self._key_password.get_secret_value() if self._key_password else None

    def keep_key_password(self, secret: SecretStr | None) -> None:
        self._key_password = secret

    @property
    def signing_password(self) -> str | None:
        """The passphrase of the signing key, as its file had it when the settings were loaded."""
        return self._signing_password.get_secret_value() if self._signing_password else None

    def keep_signing_password(self, secret: SecretStr | None) -> None:
        self._signing_password = secret

    @property
    def intake_token(self) -> str | None:
        """Our token for an intake, as its file had it when the settings were loaded."""
        return self._intake_token.get_secret_value() if self._intake_token else None

    def keep_intake_token(self, secret: SecretStr | None) -> None:
        self._intake_token = secret

    @property
    def warnings(self) -> list[str]:
        return self._warnings

    @property
    def uses_tls(self) -> bool:
        return self.security_protocol.endswith("SSL")

    @property
    def uses_login(self) -> bool:
        return self.security_protocol.startswith("SASL")


@dataclass(frozen=True, slots=True)
class Setting:
    """One of `CATALOGUE`, as docs and help show it; `default` is "" where there is none."""

    variable: str
    type: str
    default: str
    commands: tuple[str, ...]
    text: str


def _setting(name: str, field: FieldInfo) -> Setting:
    used = next(found for found in field.metadata if isinstance(found, UsedBy))
    default = "" if field.default is None else str(field.default)
    default = default.lower() if isinstance(field.default, bool) else default
    kind = _type_of(name, field.annotation)
    return Setting(f"{ENV_PREFIX}{name.upper()}", kind, default, used.commands, field.description or "")


def _type_of(name: str, kind: Any) -> str:
    """In the operator's words."""
    if get_origin(kind) is Literal:
        return ", ".join(str(word) for word in get_args(kind))
    kinds = {kind, *get_args(kind)}
    if name.endswith("file"):
        return "file"
    words = {bool: "true or false", int: "whole number", SecretStr: "secret"}
    return next((word for known, word in words.items() if known in kinds), "text")


CATALOGUE = tuple(_setting(name, field) for name, field in Settings.model_fields.items())


def settings_used_by(command: str) -> list[Setting]:
    """Of `CATALOGUE`, those of a command by its first word: `topics`."""
    return [setting for setting in CATALOGUE if command in setting.commands]


def why_not_listening(error: OSError) -> str:
    """Why an address can't be had, in the system's words: what asyncio and uvloop raise says it in different ones."""
    if isinstance(error, socket.gaierror) or not error.errno:
        return str(error.strerror or error)
    return os.strerror(error.errno)


def log_format() -> str:
    """`TALLY_LOG_FORMAT` before settings are loaded: what is wrong with them must be said somehow, so a wrong one is `text`."""
    return "json" if os.environ.get(f"{ENV_PREFIX}LOG_FORMAT") == "json" else "text"


def load_settings(**flags: Any) -> Settings:
    """Environment, then `flags` that are not None. Raises SettingsError with every mistake."""
    given = {name: value for name, value in flags.items() if value is not None}
    errors: list[str] = []
    wrong: set[str] = set()
    try:
        settings = Settings(**given)
    except ValidationError as error:
        for item in error.errors(include_url=False, include_input=False):
            wrong.add(str(item["loc"][0]))
            name = ".".join(str(part) for part in item["loc"])
            message = item["msg"].removeprefix("Value error, ")
            errors.append(f"{ENV_PREFIX}{name.upper()}: {message[:1].lower()}{message[1:]}")
        # The others are looked at together all the same: with what is wrong left out, so that all is said at once.
        kept = {name: value for name, value in given.items() if name in Settings.model_fields}
        settings = Settings(**{**kept, **{n: Settings.model_fields[n].default for n in wrong if n in Settings.model_fields}})
    errors += _take_secrets(settings)
    errors += _operator_mistakes(settings)
    errors += _intake_mistakes(settings)
    errors += _login_mistakes(settings, wrong)
    if settings.uses_tls:
        errors += _tls_mistakes(settings, wrong)
    if errors:
        raise SettingsError(errors)
    _warn_of_what_is_not_used(settings)
    _warn_of_open_secrets(settings)
    return settings


def _variable(name: str) -> str:
    return f"{ENV_PREFIX}SECURITY_{name}"


def _take_secrets(settings: Settings) -> list[str]:
    """Read the secrets that stand in files."""
    errors = []
    if settings.security_password_file is not None:
        if settings.security_password is not None:
            errors.append("TALLY_SECURITY_PASSWORD and TALLY_SECURITY_PASSWORD_FILE are both given: give one of them")
        secret = _secret_in("TALLY_SECURITY_PASSWORD_FILE", settings.security_password_file, errors)
        settings.security_password = settings.security_password or secret
    if settings.security_key_password_file is not None:
        settings.keep_key_password(_secret_in("TALLY_SECURITY_KEY_PASSWORD_FILE", settings.security_key_password_file, errors))
    if settings.signing_key_password_file is not None:
        settings.keep_signing_password(
            _secret_in("TALLY_SIGNING_KEY_PASSWORD_FILE", settings.signing_key_password_file, errors)
        )
    return errors


def _operator_mistakes(settings: Settings) -> list[str]:
    """The desk is not for the public: it is never open to a network without a token."""
    errors: list[str] = []
    if settings.board_operator_token_file is not None:
        if settings.board_operator_token is not None:
            errors.append("TALLY_BOARD_OPERATOR_TOKEN and TALLY_BOARD_OPERATOR_TOKEN_FILE are both given: give one of them")
        secret = _secret_in("TALLY_BOARD_OPERATOR_TOKEN_FILE", settings.board_operator_token_file, errors)
        settings.board_operator_token = settings.board_operator_token or secret
        if secret is None:
            return errors
    token = settings.board_operator_token
    if token is not None and len(token.get_secret_value()) < OPERATOR_TOKEN_MIN_CHARS:
        errors.append(f"TALLY_BOARD_OPERATOR_TOKEN: has less than {OPERATOR_TOKEN_MIN_CHARS} characters, and could be guessed")
    if settings.board_operator and token is None and not is_loopback(settings.board_host):
        errors.append(
            f"TALLY_BOARD_OPERATOR: the board listens at {settings.board_host}, open to the network: give the desk a token "
            "(TALLY_BOARD_OPERATOR_TOKEN_FILE), or let the board listen at 127.0.0.1"
        )
    return errors


def _intake_mistakes(settings: Settings) -> list[str]:
    """Of the intake's and of those who send to one."""
    errors: list[str] = []
    if settings.intake_url is not None and not _INTAKE_URL.fullmatch(settings.intake_url):
        errors.append(f"TALLY_INTAKE_URL: {settings.intake_url!r} is not https://host:port (or http://)")
    if settings.intake_token_file is not None:
        settings.keep_intake_token(_secret_in("TALLY_INTAKE_TOKEN_FILE", settings.intake_token_file, errors))
    return errors + _intake_tls_mistakes(settings)


def _intake_tls_mistakes(settings: Settings) -> list[str]:
    import ssl  # noqa: PLC0415 (most commands never need it)

    certificate, key, signers = settings.intake_certfile, settings.intake_keyfile, settings.intake_cafile
    errors = []
    if certificate is None and key is not None:
        errors.append(f"TALLY_INTAKE_KEYFILE: {key} without the certificate that it belongs to: TALLY_INTAKE_CERTFILE")
    if certificate is not None:
        try:
            # Nobody is asked for a passphrase: an empty one opens nothing.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=b"")
        except (ssl.SSLError, OSError, ValueError):
            named = f"the key in TALLY_INTAKE_KEYFILE {key}" if key else "its key in the same file"
            errors.append(
                f"TALLY_INTAKE_CERTFILE: {certificate} cannot be used with {named}: both are PEM, and the key is not encrypted "
                "and this certificate's"
            )
    if signers is not None and not _holds(signers, b"CERTIFICATE"):
        errors.append(f"TALLY_INTAKE_CAFILE: {signers} holds no certificate (PEM)")
    return errors


def is_loopback(host: str) -> bool:
    """Whether a name or an address is this machine's own, which nobody else reaches."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _secret_in(variable: str, file: str, errors: list[str]) -> SecretStr | None:
    with open(file, "rb") as opened:
        content = opened.read(SECRET_MAX_BYTES + 1)
    try:
        text = content.decode()
    except UnicodeDecodeError:
        errors.append(f"{variable}: {file} is no text in UTF-8")
        return None
    secret = text.removesuffix("\n").removesuffix("\r")
    if not secret or len(content) > SECRET_MAX_BYTES or "\n" in secret:
        errors.append(f"{variable}: {file} must hold one line, the secret alone")
        return None
    return SecretStr(secret)


def _login_mistakes(settings: Settings, wrong: set[str]) -> list[str]:
    if not settings.uses_login:
        return []
    # A password file that is wrong has its own line.
    has_password = settings.security_password or settings.security_password_file or "security_password_file" in wrong
    if settings.security_username and has_password:
        return []
    return ["TALLY_SECURITY_USERNAME and TALLY_SECURITY_PASSWORD (or TALLY_SECURITY_PASSWORD_FILE): needed for SASL"]


class _NoPassphrase(Exception):
    """OpenSSL asks for a passphrase that nobody gave."""


def _tls_mistakes(settings: Settings, wrong: set[str]) -> list[str]:
    """What is wrong with certificates and keys, without a broker."""
    import ssl  # noqa: PLC0415 (most commands never need it)

    errors = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if settings.security_cafile is not None:
        try:
            context.load_verify_locations(settings.security_cafile)
        except (ssl.SSLError, OSError):
            errors.append(f"TALLY_SECURITY_CAFILE: {settings.security_cafile} holds no certificate (PEM)")
    certificate, key = settings.security_certfile, settings.security_keyfile
    if certificate is None:
        if key is not None and "security_certfile" not in wrong:
            errors.append(f"TALLY_SECURITY_KEYFILE: {key} without the certificate that it belongs to: TALLY_SECURITY_CERTFILE")
        return errors
    if not _holds(certificate, b"CERTIFICATE"):
        return [*errors, f"TALLY_SECURITY_CERTFILE: {certificate} holds no certificate (PEM)"]
    if "security_keyfile" in wrong or "security_key_password_file" in wrong:
        return errors
    named = f"TALLY_SECURITY_KEYFILE: {key}" if key else f"TALLY_SECURITY_CERTFILE: {certificate}"
    if not _holds(key or certificate, b"PRIVATE KEY"):
        return [*errors, f"{named} holds no private key (PEM)" + ("" if key else ", and there is no TALLY_SECURITY_KEYFILE")]

    def passphrase() -> str:
        if settings.key_password is None:
            raise _NoPassphrase
        return settings.key_password

    try:
        context.load_cert_chain(certificate, key, password=passphrase)
    except _NoPassphrase:
        file = settings.security_key_password_file
        if file is None:
            errors.append(f"{named} is encrypted: TALLY_SECURITY_KEY_PASSWORD_FILE names the file that holds its passphrase")
    except ssl.SSLError as error:
        errors.append(_why_no_key(settings, named, error.reason or ""))
    return errors


def _why_no_key(settings: Settings, named: str, reason: str) -> str:
    if reason == "KEY_VALUES_MISMATCH":
        return f"{named} is not the key of the certificate in TALLY_SECURITY_CERTFILE {settings.security_certfile}"
    if settings.security_key_password_file is not None:
        return f"TALLY_SECURITY_KEY_PASSWORD_FILE: {settings.security_key_password_file} does not open the key: {named}"
    return f"{named} cannot be used as the key of {settings.security_certfile} ({reason or 'damaged'})"


def _holds(file: str, what: bytes) -> bool:
    with open(file, "rb") as opened:
        return what + b"-----" in opened.read(SECRET_MAX_BYTES * 16)


def _warn_of_what_is_not_used(settings: Settings) -> None:
    """A password that nobody asks for is most often a protocol that somebody forgot."""
    names = []
    if not settings.uses_tls:
        names += ["cafile", "certfile", "keyfile", "key_password_file"]
    if not settings.uses_login:
        names += ["username", "password"]
    given = [_variable(name.upper()) for name in names if getattr(settings, f"security_{name}") is not None]
    if given:
        settings.warnings.append(f"{', '.join(given)}: not used, as TALLY_SECURITY_PROTOCOL is {settings.security_protocol}")


_SECRET_FILES = (
    "security_password_file", "security_key_password_file", "security_keyfile", "security_certfile",
    "signing_key_password_file", "board_operator_token_file", "intake_token_file", "intake_keyfile", "intake_certfile",
)  # fmt: skip


def _warn_of_open_secrets(settings: Settings) -> None:
    """A certificate is public; in a file with its key it is none."""
    for name in _SECRET_FILES:
        file = getattr(settings, name)
        if file is None or not Path(file).stat().st_mode & OTHERS_MAY_READ:
            continue
        if not name.endswith("_certfile") or _holds(file, b"PRIVATE KEY"):
            settings.warnings.append(f"{ENV_PREFIX}{name.upper()}: every user of this machine may read {file}: chmod o-r")
