"""JWK sets: the public keys of an issuer, as they are published."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import jwt

from meter.errors import MeterError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

#: What may sign a token where it is not told. Asymmetric only, whatever is told: with a shared secret
#: everyone who can check a token could make one.
ALGORITHMS = ("EdDSA", "RS256", "ES256")

#: The keys of an issuer by their ``kid``.
KeySet = dict[str | None, jwt.PyJWK]


class KeySetRefused(MeterError):
    """The keys cannot be used; the message says why, after a name of where they are from."""


class TokenRefused(MeterError):
    """The bearer token is not valid; the message says why without repeating any of it."""


class KeyNotKnown(TokenRefused):
    """The token is signed with a key that is not known."""


def read_key_set(text: str | bytes, algorithms: Collection[str] = ALGORITHMS) -> KeySet:
    """Read a JWK set.

    Keys that are not for signatures or not of an allowed algorithm are passed over.

    Args:
        text: JSON.
        algorithms: what may sign a token.

    Returns:
        The keys that can be used, one at least.

    Raises:
        KeySetRefused: it is no JWK set, holds a private key, or no key that can be used.
    """
    try:
        listed = json.loads(text)["keys"]
        keys = {entry.get("kid"): _key(entry) for entry in listed if _is_usable(entry)}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise KeySetRefused("is not a JWK set") from None
    usable = {
        key_id: key for key_id, key in keys.items() if key is not None and key.algorithm_name in algorithms
    }
    if not usable:
        raise KeySetRefused(f"has no key for signatures by {', '.join(algorithms)}")
    return usable


def chosen_key(keys: KeySet, key_id: str | None) -> jwt.PyJWK:
    """Choose the key of a token's ``kid``; the only one where the token names none.

    Raises:
        KeyNotKnown: there is no such key.
    """
    if key_id is None and len(keys) == 1:
        return next(iter(keys.values()))
    try:
        return keys[key_id]
    except (KeyError, TypeError):
        raise KeyNotKnown from None


def _key(entry: dict[str, object]) -> jwt.PyJWK | None:
    try:
        return jwt.PyJWK(entry)
    except jwt.PyJWTError:
        # Of a kind that we do not know; it may stand beside others that we do.
        return None


def _is_usable(entry: Mapping[str, object]) -> bool:
    if "d" in entry:
        raise KeySetRefused("holds a private key; give it the public keys only")
    return entry.get("kty") in ("OKP", "RSA", "EC") and entry.get("use", "sig") == "sig"
