"""Settings, read from ``METER_…`` environment variables."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from meter.errors import ConfigurationError


class Settings(BaseSettings):
    """Everything a meter process can be told from outside; secrets are never printed."""

    model_config = SettingsConfigDict(env_prefix="METER_", frozen=True, extra="ignore")

    #: PostgreSQL; without it ``meter up`` runs its own.
    database_url: SecretStr | None = None
    #: A replica for the read API; the primary where absent.
    read_database_url: SecretStr | None = None
    #: RabbitMQ; without it ``meter up`` runs its own.
    amqp_url: SecretStr | None = None
    #: Where the embedded servers keep their state and what was downloaded for them.
    state_dir: Path = Field(default_factory=lambda: Path.home() / ".local" / "share" / "meter")

    log_format: Literal["auto", "json", "console"] = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    api_host: str = "127.0.0.1"
    api_port: int = Field(default=8080, ge=0, le=65535)
    api_metrics_port: int = Field(default=9464, ge=0, le=65535)
    worker_host: str = "127.0.0.1"
    worker_port: int = Field(default=9465, ge=0, le=65535)

    #: Events settled in one transaction.
    batch_max_events: int = Field(default=2_000, ge=1, le=10_000)
    #: How long an event waits for company, in milliseconds.
    batch_max_wait_ms: int = Field(default=50, ge=0, le=10_000)
    #: Transactions in flight at once.
    settle_connections: int = Field(default=2, ge=1, le=16)
    #: How many events and bytes the worker holds unacknowledged, about.
    prefetch_events: int = Field(default=8_000, ge=1)
    prefetch_bytes: int = Field(default=64 * 1024 * 1024, ge=1024 * 1024)

    #: Who may issue bearer tokens, for whom, and the file with the issuer's public keys (a JWK set).
    token_issuer: str | None = None
    token_audience: str = "meter"  # noqa: S105 - a name, not a secret
    token_jwks_file: Path | None = None


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
