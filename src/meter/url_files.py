"""Addresses that lie in files, as orchestrators mount secrets: read anew for every connection."""

from __future__ import annotations

from pathlib import Path

from meter.errors import ConfigurationError

#: The settings that may lie in a file, which is named by the same with ``_file`` behind it.
URL_SETTINGS = ("database_url", "read_database_url", "amqp_url")
#: An address is not longer; what is, is another file.
_MAX_CHARACTERS = 16_384


class UrlFileUnusable(ConfigurationError, OSError):
    """The file with an address cannot be read."""

    retryable = True


def variable_of(setting: str) -> str:
    """The environment variable of a setting."""
    return f"METER_{setting.upper()}"


def read_url(file: Path, setting: str) -> str:
    """Read an address.

    Args:
        file: has nothing else in it.
        setting: which setting it is.

    Returns:
        The address, without the space around it.

    Raises:
        UrlFileUnusable: there is no such file, or no text in it; the message does not repeat what is in it.
    """
    named = f"{variable_of(setting)}_FILE names {file}"
    try:
        with file.open(encoding="utf-8") as opened:
            url = opened.read(_MAX_CHARACTERS + 1).strip()
    except OSError as error:
        raise UrlFileUnusable(f"{named}, which cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UrlFileUnusable(f"{named}, which is not text") from None
    if not url or len(url) > _MAX_CHARACTERS:
        raise UrlFileUnusable(f"{named}, which has no address in it")
    return url


def read_url_files(told: dict[str, object]) -> dict[str, object]:
    """Put the addresses that lie in files beside what else was told.

    Args:
        told: settings by name.

    Returns:
        The same with the addresses.

    Raises:
        ConfigurationError: an address and a file for it are both told.
        UrlFileUnusable: as of :func:`read_url`.
    """
    found: dict[str, object] = {}
    for setting in URL_SETTINGS:
        if not (file := told.get(f"{setting}_file")):
            continue
        if told.get(setting):
            name = variable_of(setting)
            raise ConfigurationError(f"{name} and {name}_FILE are both set; set one of them")
        found[setting] = read_url(Path(str(file)), setting)
    return told | found
