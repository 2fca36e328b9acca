"""The issuer's public keys from a file, a JWK set; a changed file counts from the next token on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import jwt

from meter.api.tokens import ALGORITHMS, TokenRefused
from meter.errors import ConfigurationError
from meter.telemetry import get_logger

if TYPE_CHECKING:
    from pathlib import Path

log = get_logger(__name__)


class KeyFile:
    """A JWK set in a file.

    Keys that are not for signatures or not of an allowed algorithm are passed over.

    Args:
        path: the file.

    Raises:
        ConfigurationError: the file cannot be read or holds no key that can be used.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = self._version()
        self._keys = _read(path)

    def key(self, key_id: str | None) -> jwt.PyJWK:
        """Return the key of a token's ``kid``; the only one where the token names none.

        Raises:
            TokenRefused: there is no such key.
        """
        self._reread_if_changed()
        if key_id is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        try:
            return self._keys[key_id]
        except (KeyError, TypeError):
            raise TokenRefused("the token is signed with a key that is not known") from None

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
            self._keys = _read(self._path)
        except ConfigurationError as error:
            # Half a deployment must not lock everyone out: good keys stay until there are better ones.
            log.warning("keeping the former keys", reason=str(error))
        else:
            log.info("keys read again", keys=len(self._keys))


def _read(path: Path) -> dict[str | None, jwt.PyJWK]:
    try:
        listed = json.loads(path.read_text("utf-8"))["keys"]
        keys = {entry.get("kid"): jwt.PyJWK(entry) for entry in listed if _usable(entry)}
    except OSError as error:
        raise ConfigurationError(f"METER_TOKEN_JWKS_FILE cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError, jwt.PyJWTError):
        raise ConfigurationError("METER_TOKEN_JWKS_FILE is not a JWK set") from None
    usable = {key_id: key for key_id, key in keys.items() if key.algorithm_name in ALGORITHMS}
    if not usable:
        raise ConfigurationError(
            f"METER_TOKEN_JWKS_FILE has no key for signatures by {', '.join(ALGORITHMS)}"
        )
    return usable


def _usable(entry: dict[str, object]) -> bool:
    if "d" in entry:
        raise ConfigurationError("METER_TOKEN_JWKS_FILE holds a private key; give it the public keys only")
    return entry.get("kty") in ("OKP", "RSA", "EC") and entry.get("use", "sig") == "sig"
