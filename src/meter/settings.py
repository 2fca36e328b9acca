"""Settings, read from ``METER_…`` environment variables."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from meter.errors import ConfigurationError
from meter.nodes import split_urls
from meter.url_files import read_url, read_url_files

if TYPE_CHECKING:
    from pydantic import ValidationInfo

#: A host, an IPv6 address in brackets or nothing, and a port or none.
_SERVER = re.compile(r"(\[[0-9A-Fa-f:.]*\]|[^:@\[\]]*)(:[0-9]{1,5})?")


_SCHEMES = {"amqp_url": ("amqp", "amqps"), "redis_url": ("redis", "rediss")}
_ORIGIN = re.compile(r"https?://(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(:[0-9]{1,5})?")

#: What may sign a token, of all that the standard has: what needs no shared secret.
Algorithm = Literal["EdDSA", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"]


class Settings(BaseSettings):
    """Everything a meter process can be told from outside; secrets are never printed."""

    model_config = SettingsConfigDict(env_prefix="METER_", frozen=True, extra="ignore")

    #: PostgreSQL; without it ``meter up`` runs its own.
    database_url: SecretStr | None = None
    #: A replica for the read API; the primary where absent.
    read_database_url: SecretStr | None = None
    #: RabbitMQ; without it ``meter up`` runs its own.
    amqp_url: SecretStr | None = None
    #: Files with these addresses instead; read anew for every connection, so that a password may change.
    database_url_file: Path | None = None
    read_database_url_file: Path | None = None
    amqp_url_file: Path | None = None
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
    admin_host: str = "127.0.0.1"
    admin_port: int = Field(default=8081, ge=0, le=65535)
    admin_metrics_port: int = Field(default=9466, ge=0, le=65535)
    #: Whether admins of an organization may add credits that it has paid for; else only system admins may.
    admin_purchases: bool = False
    #: Whether every user may make an organization over HTTP and own it, and not only system admins.
    anyone_creates_organizations: bool = False
    worker_host: str = "127.0.0.1"
    worker_port: int = Field(default=9465, ge=0, le=65535)

    #: Events settled in one transaction at the most, reached only when the worker is behind.
    batch_max_events: int = Field(default=6_000, ge=1, le=10_000)
    #: How long an event waits for company while others are being settled, in milliseconds.
    batch_max_wait_ms: int = Field(default=20, ge=0, le=10_000)
    #: Transactions in flight at once; of all workers together best as many as the database has cores.
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

    #: Who may issue bearer tokens, and for whom.
    token_issuer: str | None = None
    token_audience: str = "meter"  # noqa: S105 - a name, not a secret
    #: Where the issuer's public keys are (a JWK set): a file, an address, or where the issuer itself says.
    token_jwks_file: Path | None = None
    token_jwks_url: str | None = None
    #: What may sign them; asymmetric only.
    token_algorithms: Annotated[tuple[Algorithm, ...], NoDecode] = ("EdDSA", "RS256", "ES256")
    #: Which of their claims carry roles (names, or paths with dots), and which role sees every organization.
    token_role_claims: Annotated[tuple[str, ...], NoDecode] = ("roles",)
    system_admin_role: str = Field(default="system_admin", min_length=1)

    #: What each caller of the API may do in a minute, where its API key does not say, and how often a client
    #: address may fail to sign in.
    reads_per_minute: int = Field(default=100, ge=1)
    writes_per_minute: int = Field(default=20, ge=1)
    failed_sign_ins_per_minute: int = Field(default=30, ge=1)
    #: Where all processes count together; each for itself where absent.
    redis_url: SecretStr | None = None
    #: Origins whose pages may call the API, as ``https://app.example.com``.
    cors_origins: Annotated[tuple[str, ...], NoDecode] = ()

    def current(self, setting: Literal["database_url", "read_database_url", "amqp_url"]) -> str:
        """Say what an address is now, which may be another than at the start where it lies in a file.

        Args:
            setting: which; it is set.

        Returns:
            The address with its password.

        Raises:
            UrlFileUnusable: its file cannot be read any more.
        """
        file: Path | None = getattr(self, f"{setting}_file")
        if file is not None:
            return read_url(file, setting)
        secret: SecretStr = getattr(self, setting)
        return secret.get_secret_value()

    @model_validator(mode="before")
    @classmethod
    def _read_files(cls, told: dict[str, object]) -> dict[str, object]:
        return read_url_files(told)

    @field_validator("token_algorithms", "token_role_claims", "cors_origins", mode="before")
    @classmethod
    def _is_list(cls, listed: object) -> object:
        if not isinstance(listed, str):
            return listed
        return tuple(part for part in (part.strip() for part in listed.split(",")) if part)

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        if not all(map(_ORIGIN.fullmatch, origins)):
            raise PydanticCustomError("origin", "name origins in full, as https://app.example.com")
        return origins

    @field_validator("token_jwks_url")
    @classmethod
    def _is_web_address(cls, url: str | None) -> str | None:
        if url is not None and not is_web_address(url):
            raise PydanticCustomError("address", "it must look like https://host/path")
        return url

    @field_validator("database_url", "read_database_url", "amqp_url", "redis_url")
    @classmethod
    def _is_address(cls, url: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if url is None:
            return None
        if info.field_name == "amqp_url":
            return _broker_url(url)
        schemes = _SCHEMES.get(info.field_name or "", ("postgresql", "postgres"))
        if not _is_address(url.get_secret_value(), schemes):
            raise PydanticCustomError(
                "address", "it must look like {scheme}://user:password@host:port/name", {"scheme": schemes[0]}
            )
        return url


def _broker_url(url: SecretStr) -> SecretStr:
    try:
        split_urls(url.get_secret_value())
    except ConfigurationError as error:
        raise PydanticCustomError("address", "{reason}", {"reason": str(error)}) from None
    return url


def is_web_address(url: str) -> bool:
    """Tell whether a text looks like an address of HTTP."""
    return _is_address(url, ("https", "http")) and not re.search(r"\s", url)


def _is_address(url: str, schemes: tuple[str, ...]) -> bool:
    scheme, separator, rest = url.partition("://")
    servers = re.split("[/?#]", rest, maxsplit=1)[0].rpartition("@")[2]
    # PostgreSQL takes several, and none at all for a socket.
    return scheme in schemes and bool(separator) and all(map(_SERVER.fullmatch, servers.split(",")))


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
