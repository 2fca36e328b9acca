"""How an API key looks, and what of it is kept: ``mk_`` + eight characters that people see + a secret."""

from __future__ import annotations

import hashlib
import re
import secrets
import string
from dataclasses import dataclass, field

_ALPHABET = string.ascii_letters + string.digits
_SHOWN_CHARS = 8
#: 43 of 62 characters are 256 bits: as good as the digest that is kept, and far from being guessed.
_SECRET_CHARS = 43
_KEY = re.compile(rf"(mk_[A-Za-z0-9]{{{_SHOWN_CHARS}}})_[A-Za-z0-9]{{{_SECRET_CHARS}}}")

#: What tells an API key from a token of the issuer, which is Base64 of a JSON object and begins with "ey".
KEY_BEGINS = "mk_"


@dataclass(frozen=True, slots=True)
class MadeKey:
    """A key just made; shown once, for nothing that is kept leads back to it."""

    key: str = field(repr=False)
    prefix: str
    sha256: bytes = field(repr=False)


def make_key() -> MadeKey:
    """Make a key of the operating system's random numbers."""
    prefix = KEY_BEGINS + _random(_SHOWN_CHARS)
    key = f"{prefix}_{_random(_SECRET_CHARS)}"
    return MadeKey(key, prefix, digest(key))


def looks_like_a_key(text: str) -> bool:
    """Tell whether a text has the form of a key."""
    return _KEY.fullmatch(text) is not None


def prefix_of(text: str) -> str:
    """Cut a whole key to the part that people see; anything else stays as it is."""
    whole = _KEY.fullmatch(text)
    return whole[1] if whole else text


def digest(key: str) -> bytes:
    """Return what is kept of a key."""
    return hashlib.sha256(key.encode()).digest()


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
