"""The issuer's public keys from a file, a JWK set; a changed file counts from the next token on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meter.api.key_sets import ALGORITHMS, KeySet, KeySetRefused, chosen_key, read_key_set
from meter.errors import ConfigurationError
from meter.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    import jwt

log = get_logger(__name__)


class KeyFile:
    """A JWK set in a file.

    Keys that are not for signatures or not of an allowed algorithm are passed over.

    Args:
        path: the file.
        algorithms: what may sign a token.

    Raises:
        ConfigurationError: the file cannot be read or holds no key that can be used.
    """

    def __init__(self, path: Path, algorithms: Collection[str] = ALGORITHMS) -> None:
        self._path = path
        self._algorithms = algorithms
        self._seen = self._version()
        self._keys = _read(path, algorithms)

    def key(self, key_id: str | None) -> jwt.PyJWK:
        """Return the key of a token's ``kid``; the only one where the token names none.

        Raises:
            KeyNotKnown: there is no such key.
        """
        self._reread_if_changed()
        return chosen_key(self._keys, key_id)

    def _version(self) -> tuple[int, int, int]:
        try:
            status = self._path.stat()
        except OSError:
            return (0, 0, 0)
        return (status.st_ino, status.st_mtime_ns, status.st_size)

    def _reread_if_changed(self) -> None:
        version = self._version()
        if version == self._seen:
            return
        self._seen = version
        try:
            self._keys = _read(self._path, self._algorithms)
        except ConfigurationError as error:
            # Half a deployment must not lock everyone out: good keys stay until there are better ones.
            log.warning("keeping the former keys", reason=str(error))
        else:
            log.info("keys read again", keys=len(self._keys))


def _read(path: Path, algorithms: Collection[str]) -> KeySet:
    try:
        return read_key_set(path.read_bytes(), algorithms)
    except OSError as error:
        raise ConfigurationError(f"METER_TOKEN_JWKS_FILE cannot be read: {error.strerror}") from None
    except KeySetRefused as refused:
        raise ConfigurationError(f"METER_TOKEN_JWKS_FILE {refused}") from None
