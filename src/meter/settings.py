"""Settings, read from ``METER_…`` environment variables."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

from meter.errors import ConfigurationError
from meter.nodes import split_urls

if TYPE_CHECKING:
    from pydantic import ValidationInfo

#: A host, an IPv6 address in brackets or nothing, and a port or none.
_SERVER = re.compile(r"(\[[0-9A-Fa-f:.]*\]|[^:@\[\]]*)(:[0-9]{1,5})?")


class Settings(BaseSettings):
    """Everything a meter process can be told from outside; secrets are never printed."""

    model_config = SettingsConfigDict(env_prefix="METER_", frozen=True, extra="ignore")

    #: PostgreSQL; without it ``meter up`` runs its own.
    database_url: SecretStr | None = None
    #: A replica for the read API; the primary where absent.
    read_database_url: SecretStr | None = None
    #: RabbitMQ; without it ``meter up`` runs its own.
    amqp_url: SecretStr | None = None
    #: Where the embedded servers keep their state.
    state_dir: Path = Field(
        default_factory=lambda: default_folder("XDG_DATA_HOME", ".local/share", "/var/lib")
    )
    #: What was downloaded for them; may be removed at any time while they do not run.
    cache_dir: Path = Field(default_factory=lambda: default_folder("XDG_CACHE_HOME", ".cache", "/var/cache"))

    log_format: Literal["auto", "json", "console"] = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    api_host: str = "127.0.0.1"
    api_port: int = Field(default=8080, ge=0, le=65535)
    api_metrics_port: int = Field(default=9464, ge=0, le=65535)
    worker_host: str = "127.0.0.1"
    worker_port: int = Field(default=9465, ge=0, le=65535)

    #: Events settled in one transaction at the most, reached only when the worker is behind.
    batch_max_events: int = Field(default=6_000, ge=1, le=10_000)
    #: How long an event waits for company while others are being settled, in milliseconds.
    batch_max_wait_ms: int = Field(default=20, ge=0, le=10_000)
    #: Transactions in flight at once.
    settle_connections: int = Field(default=2, ge=1, le=16)
    #: How many events and bytes the worker holds unacknowledged, about: the batches that are being settled,
    #: the one that is formed, and as much on its way.
    prefetch_events: int = Field(default=24_000, ge=1)
    prefetch_bytes: int = Field(default=64 * 1024 * 1024, ge=1024 * 1024)

    #: A message delivered more often than this is handled alone: it may be what kills the workers.
    suspect_after_deliveries: int = Field(default=3, ge=1, le=1_000_000)
    #: A worker that does nothing at all for so long, in seconds, ends itself and is started again by whoever
    #: looks after it.
    hang_timeout_s: float = Field(default=60.0, ge=1.0, le=3_600.0)

    #: When the database has not settled for so long, in seconds, a worker gives back to the broker what it
    #: holds and consumes nothing until it does; well below the broker's consumer timeout, 30 min by default.
    give_back_after_s: float = Field(default=300.0, ge=1.0, le=86_400.0)
    #: How long one statement of a settlement may take, in seconds; then it is given up and tried again.
    settle_timeout_s: float = Field(default=60.0, ge=1.0, le=3_600.0)

    #: Who may issue bearer tokens, for whom, and the file with the issuer's public keys (a JWK set).
    token_issuer: str | None = None
    token_audience: str = "meter"  # noqa: S105 - a name, not a secret
    token_jwks_file: Path | None = None

    @field_validator("database_url", "read_database_url", "amqp_url")
    @classmethod
    def _is_address(cls, url: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if url is None:
            return None
        if info.field_name == "amqp_url":
            return _broker_url(url)
        if not _is_address(url.get_secret_value()):
            raise PydanticCustomError(
                "address", "it must look like postgresql://user:password@host:port/name"
            )
        return url


def _broker_url(url: SecretStr) -> SecretStr:
    try:
        split_urls(url.get_secret_value())
    except ConfigurationError as error:
        raise PydanticCustomError("address", "{reason}", {"reason": str(error)}) from None
    return url


def _is_address(url: str) -> bool:
    scheme, separator, rest = url.partition("://")
    servers = re.split("[/?#]", rest, maxsplit=1)[0].rpartition("@")[2]
    # PostgreSQL takes several, and none at all for a socket.
    return (
        scheme in ("postgresql", "postgres")
        and bool(separator)
        and all(map(_SERVER.fullmatch, servers.split(",")))
    )


def default_folder(variable: str, below_home: str, for_root: str) -> Path:
    """Choose meter's folder of one kind.

    Root's home is closed to the account that the embedded servers drop to, so root gets a system folder.

    Args:
        variable: the XDG variable that a person may have set.
        below_home: the folder in the home where it is not set.
        for_root: the folder when meter runs as root.

    Returns:
        An absolute path; nothing is made.
    """
    if os.geteuid() == 0:
        return Path(for_root) / "meter"
    chosen = os.environ.get(variable, "")
    parent = Path(chosen) if Path(chosen).is_absolute() else Path.home() / below_home
    return parent / "meter"


def load_settings() -> Settings:
    """Read the settings from the environment.

    Returns:
        The settings.

    Raises:
        ConfigurationError: a variable cannot be used; the message names it and never its value.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = "METER_" + "_".join(str(part) for part in first["loc"]).upper()
        raise ConfigurationError(f"{name} cannot be used: {first['msg']}") from None
