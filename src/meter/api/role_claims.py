"""Which claims of a token carry roles: every issuer has its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class RoleClaims:
    """Where the roles stand, and which of them makes a system admin.

    Attributes:
        paths: claims that are lists of roles, each by its name, or by a path with dots
            (``realm_access.roles``); a claim that has the whole name, dots and all, goes first.
        system_admin: the role.
    """

    paths: tuple[str, ...] = ("roles",)
    system_admin: str = "system_admin"

    def make_system_admin(self, claims: Mapping[str, object]) -> bool:
        """Tell whether the claims of a token make its user a system admin."""
        found = (_claim(claims, path) for path in self.paths)
        return any(isinstance(roles, list) and self.system_admin in roles for roles in found)


DEFAULT_ROLES = RoleClaims()


def _claim(claims: Mapping[str, object], path: str) -> object:
    if path in claims:
        return claims[path]
    found: object = claims
    for name in path.split("."):
        if not isinstance(found, dict):
            return None
        found = found.get(name)
    return found
