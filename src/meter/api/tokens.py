"""Bearer tokens: who signed them, for whom, until when, and whose they are."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import jwt

from meter.api.callers import User
from meter.api.key_sets import ALGORITHMS, TokenRefused
from meter.api.role_claims import DEFAULT_ROLES, RoleClaims

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Seconds by which clocks may differ.
LEEWAY_S = 10
#: Longer than any sane token; signatures are not computed over megabytes for strangers.
TOKEN_MAX_CHARS = 8_192
#: What the database can hold of a user id.
USER_ID_MAX_CHARS = 255

#: Tokens whose signature is not computed again: that would take about as long as all the rest of answering a
#: balance, and callers send the same token for minutes.
VERIFIED_MAX = 4_096


class KeySource(Protocol):
    """Where the issuer's public keys come from."""

    def key(self, key_id: str | None) -> jwt.PyJWK:
        """Return the key of a token's ``kid``; the only one where the token names none.

        Raises:
            KeyNotKnown: there is no such key.
        """


@dataclass(frozen=True, slots=True)
class _Verified:
    """A token that held when it was last looked at closely."""

    caller: User
    expires_at: int
    key_id: str | None
    key: jwt.PyJWK


class Tokens:
    """Checks bearer tokens of one issuer.

    Args:
        issuer: the only ``iss`` that is believed.
        audience: what must be in ``aud``.
        keys: the issuer's public keys.
        algorithms: what may sign a token; asymmetric only.
        roles: where the roles stand.
        verified_max: how many tokens are remembered whose signature held.
    """

    def __init__(
        self,
        issuer: str,
        audience: str,
        keys: KeySource,
        *,
        algorithms: Sequence[str] = ALGORITHMS,
        roles: RoleClaims = DEFAULT_ROLES,
        verified_max: int = VERIFIED_MAX,
    ) -> None:
        self._issuer = issuer
        self._audience = audience
        self._keys = keys
        self._algorithms = algorithms
        self._roles = roles
        self._verified_max = verified_max
        self._verified: OrderedDict[bytes, _Verified] = OrderedDict()

    def caller(self, token: str) -> User:
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
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        verified = self._verified.get(digest)
        if verified is None or not self._holds(verified):
            verified = self._verify(token)
            self._remember(digest, verified)
        return verified.caller

    def _holds(self, verified: _Verified) -> bool:
        # The same key object: when keys are read again, every signature is checked again.
        return (
            time.time() < verified.expires_at + LEEWAY_S and self._keys.key(verified.key_id) is verified.key
        )

    def _remember(self, digest: bytes, verified: _Verified) -> None:
        self._verified[digest] = verified
        self._verified.move_to_end(digest)
        if len(self._verified) > self._verified_max:
            self._verified.popitem(last=False)

    def _verify(self, token: str) -> _Verified:
        try:
            header = jwt.get_unverified_header(token)
            key_id = header.get("kid")
            key = self._keys.key(key_id)
            if key.algorithm_name != header.get("alg"):
                raise TokenRefused("the token is signed with an algorithm that its key is not for")
            claims = jwt.decode(
                token,
                key,
                algorithms=self._algorithms,
                issuer=self._issuer,
                audience=self._audience,
                leeway=LEEWAY_S,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
            return _Verified(self._user(claims), int(claims["exp"]), key_id, key)
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

    def _user(self, claims: Mapping[str, Any]) -> User:
        return User(_user_id(claims), system_admin=self._roles.make_system_admin(claims))


def _user_id(claims: Mapping[str, Any]) -> str:
    user_id = claims["sub"]
    if not isinstance(user_id, str) or not 1 <= len(user_id) <= USER_ID_MAX_CHARS or "\x00" in user_id:
        raise TokenRefused("the token names no user that could exist")
    try:
        user_id.encode()
    except UnicodeEncodeError:
        raise TokenRefused("the token names no user that could exist") from None
    return user_id
