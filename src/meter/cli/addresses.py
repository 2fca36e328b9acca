"""Where database and broker are: as the environment says, else those of ``meter up`` on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meter.errors import ConfigurationError
from meter.settings import load_settings

if TYPE_CHECKING:
    from meter.local.address_book import AddressBook


def database_url() -> str:
    """Find the database for what an operator writes.

    Returns:
        Its DSN, with a password.

    Raises:
        ConfigurationError: ``METER_DATABASE_URL`` is not set and no stack runs here.
    """
    settings = load_settings()
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    return _embedded("METER_DATABASE_URL").database_admin


def amqp_url() -> str:
    """Find the broker for what is published.

    Returns:
        Its URL, with a password.

    Raises:
        ConfigurationError: ``METER_AMQP_URL`` is not set and no stack runs here.
    """
    settings = load_settings()
    if settings.amqp_url is not None:
        return settings.amqp_url.get_secret_value()
    return _embedded("METER_AMQP_URL").broker_publisher


def dead_letters_url() -> str:
    """Find the broker for what is done with dead letters.

    Returns:
        Its URL, with a password; its user may read ``meter.dead`` and write to ``meter.usage``.

    Raises:
        ConfigurationError: ``METER_AMQP_URL`` is not set and no stack runs here.
    """
    settings = load_settings()
    if settings.amqp_url is not None:
        return settings.amqp_url.get_secret_value()
    return _embedded("METER_AMQP_URL").broker_replayer


def _embedded(variable: str) -> AddressBook:
    from meter.local.address_book import read_address_book  # noqa: PLC0415 - an operator's machine may lack the embedded servers

    book = read_address_book(load_settings().state_dir)
    if book is None:
        raise ConfigurationError(
            f"{variable} is not set, and no stack of `meter up` runs here; start one or set it"
        )
    return book
