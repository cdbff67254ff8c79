"""Every setting, once: environment `TALLY_*`, overridden by a command's flags; all mistakes are reported at once."""

from __future__ import annotations

import os
import socket
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

ENV_PREFIX = "TALLY_"


class SettingsError(Exception):
    """`errors` are sentences naming the environment variable, one a mistake."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("\n".join(errors))
        self.errors = errors


def _bootstrap(value: str) -> str:
    for address in value.split(","):
        host, _, port = address.strip().rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65_536:
            raise ValueError(f"{address.strip()!r} is not host:port")
    return ",".join(address.strip() for address in value.split(","))


_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,200}$")]
_Port = Annotated[int, Field(ge=0, le=65_535)]


class Settings(BaseSettings):
    """What a process needs to know about its surroundings; nothing here changes a count."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, extra="forbid", env_ignore_empty=True)

    bootstrap: Annotated[str, AfterValidator(_bootstrap)] = "127.0.0.1:9092"
    prefix: _Name = "tally"
    election: str | None = None
    group: _Name | None = None
    instance: _Name | None = None
    """Name of this worker in its group over restarts (static membership); two living workers never share one."""
    publish_interval_ms: int = Field(default=50, ge=1, le=60_000)
    broker_wait_seconds: int = Field(default=120, ge=0, le=86_400)
    """How long a broker that is not up is waited for."""
    metrics_host: str = "127.0.0.1"
    metrics_port: _Port = 9180
    board_host: str = "127.0.0.1"
    board_port: _Port = 8080
    rehearsal: bool = False
    """Durability settings that break a promise are shown instead of refused."""
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    security_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    security_username: str | None = None
    security_password: SecretStr | None = None
    security_cafile: str | None = None
    security_certfile: str | None = None
    security_keyfile: str | None = None

    @property
    def group_id(self) -> str:
        return self.group or f"{self.prefix}-workers"

    @property
    def instance_id(self) -> str | None:
        """The worker's own name: given, or host and metrics port, which two workers of a host can't share."""
        if self.instance:
            return self.instance
        return f"{self.group_id}-{socket.gethostname()}-{self.metrics_port}" if self.metrics_port else None


def why_not_listening(error: OSError) -> str:
    """Why an address can't be had, in the system's words: what asyncio and uvloop raise says it in different ones."""
    if isinstance(error, socket.gaierror) or not error.errno:
        return str(error.strerror or error)
    return os.strerror(error.errno)


def load_settings(**flags: Any) -> Settings:
    """Environment, then `flags` that are not None. Raises SettingsError with every mistake."""
    given = {name: value for name, value in flags.items() if value is not None}
    errors: list[str] = []
    settings = None
    try:
        settings = Settings(**given)
    except ValidationError as error:
        for item in error.errors(include_url=False, include_input=False):
            name = ".".join(str(part) for part in item["loc"])
            message = item["msg"].removeprefix("Value error, ")
            errors.append(f"{ENV_PREFIX}{name.upper()}: {message[:1].lower()}{message[1:]}")
    if (
        settings is not None
        and settings.security_protocol.startswith("SASL")
        and not (settings.security_username and settings.security_password)
    ):
        errors.append("TALLY_SECURITY_USERNAME and TALLY_SECURITY_PASSWORD: needed for SASL")
    if errors or settings is None:
        raise SettingsError(errors)
    return settings
