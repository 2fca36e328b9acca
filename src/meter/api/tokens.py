"""Bearer tokens: who signed them, for whom, until when, and whose they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import jwt

from meter.errors import MeterError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Asymmetric only: with a shared secret everyone who can check a token could make one.
ALGORITHMS = ("EdDSA", "RS256", "ES256")
#: Seconds by which clocks may differ.
LEEWAY_S = 10
#: Longer than any sane token; signatures are not computed over megabytes for strangers.
TOKEN_MAX_CHARS = 8_192
#: What the database can hold of a user id.
USER_ID_MAX_CHARS = 255

SYSTEM_ADMIN_ROLE = "system_admin"


class TokenRefused(MeterError):
    """The bearer token is not valid; the message says why without repeating any of it."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request."""

    user_id: str
    #: Sees every organization without being a member.
    system_admin: bool = False


class KeySource(Protocol):
    """Where the issuer's public keys come from."""

    def key(self, key_id: str | None) -> jwt.PyJWK:
        """Return the key of a token's ``kid``; the only one where the token names none.

        Raises:
            TokenRefused: there is no such key.
        """


class Tokens:
    """Checks bearer tokens of one issuer.

    Args:
        issuer: the only ``iss`` that is believed.
        audience: what must be in ``aud``.
        keys: the issuer's public keys.
    """

    def __init__(self, issuer: str, audience: str, keys: KeySource) -> None:
        self._issuer = issuer
        self._audience = audience
        self._keys = keys

    def caller(self, token: str) -> Caller:
        """Check a token.

        Args:
            token: a JSON Web Token in compact form.

        Returns:
            Whose it is.

        Raises:
            TokenRefused: it is malformed, expired, of another issuer or audience, or wrongly signed.
        """
        if len(token) > TOKEN_MAX_CHARS:
            raise TokenRefused("the token is too long")
        return _caller(self._claims(token))

    def _claims(self, token: str) -> dict[str, Any]:
        try:
            header = jwt.get_unverified_header(token)
            key = self._keys.key(header.get("kid"))
            if key.algorithm_name != header.get("alg"):
                raise TokenRefused("the token is signed with an algorithm that its key is not for")
            return jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                issuer=self._issuer,
                audience=self._audience,
                leeway=LEEWAY_S,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.ExpiredSignatureError:
            raise TokenRefused("the token has expired") from None
        except jwt.ImmatureSignatureError:
            raise TokenRefused("the token is not valid yet") from None
        except jwt.InvalidAudienceError:
            raise TokenRefused("the token is for another audience") from None
        except jwt.InvalidIssuerError:
            raise TokenRefused("the token is of another issuer") from None
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise TokenRefused("the token is malformed or wrongly signed") from None


def _caller(claims: Mapping[str, Any]) -> Caller:
    user_id = claims["sub"]
    if not isinstance(user_id, str) or not 1 <= len(user_id) <= USER_ID_MAX_CHARS or "\x00" in user_id:
        raise TokenRefused("the token names no user that could exist")
    try:
        user_id.encode()
    except UnicodeEncodeError:
        raise TokenRefused("the token names no user that could exist") from None
    roles = claims.get("roles")
    return Caller(user_id, system_admin=isinstance(roles, list) and SYSTEM_ADMIN_ROLE in roles)
