"""Development tokens: an issuer that exists only beside an embedded database on loopback."""

from __future__ import annotations

import json
import secrets
import time
from typing import TYPE_CHECKING

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

from meter.errors import ConfigurationError
from meter.local.account import write_private

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

#: Its name says that nobody should trust it elsewhere.
ISSUER = "meter-development"
#: With which it signs.
ALGORITHM = "EdDSA"
_KEY_ID = "development"


class DevelopmentIssuer:
    """Signs tokens with a key of its own, kept in the state folder."""

    def __init__(self, folder: Path, audience: str) -> None:
        """Use the key in a folder.

        Args:
            folder: where key and key set are.
            audience: whom the tokens are for.
        """
        self._key_file = folder / "key.pem"
        self._audience = audience
        #: The public key as a JWK set, for ``METER_TOKEN_JWKS_FILE``.
        self.key_set = folder / "jwks.json"

    def prepare(self) -> None:
        """Make the key at the first start; later starts keep it, so that tokens stay good."""
        self._key_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._key_file.exists():
            private = Ed25519PrivateKey.generate().private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            write_private(self._key_file, private.decode())
        public = OKPAlgorithm.to_jwk(self._key().public_key(), as_dict=True)
        described = public | {"kid": _KEY_ID, "use": "sig", "alg": ALGORITHM}
        self.key_set.write_text(json.dumps({"keys": [described]}))

    def issue(self, user_id: str, *, roles: Sequence[str] = (), ttl_seconds: int = 86_400) -> str:
        """Sign a token.

        Args:
            user_id: whose token it is.
            roles: roles beyond the memberships in the database, such as an operator's.
            ttl_seconds: how long it is good.

        Returns:
            The token, as in ``Authorization: Bearer …``.

        Raises:
            ConfigurationError: no stack was ever started on this state folder.
        """
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": self._audience,
            "sub": user_id,
            "iat": now,
            "exp": now + ttl_seconds,
            "jti": secrets.token_hex(8),
            "roles": list(roles),
        }
        return jwt.encode(claims, self._key(), algorithm=ALGORITHM, headers={"kid": _KEY_ID})

    def _key(self) -> Ed25519PrivateKey:
        try:
            key = serialization.load_pem_private_key(self._key_file.read_bytes(), password=None)
        except OSError:
            raise ConfigurationError(
                "there is no development key yet; start the stack once with: meter up"
            ) from None
        if not isinstance(key, Ed25519PrivateKey):
            raise ConfigurationError(f"{self._key_file} holds another kind of key; remove it")
        return key
