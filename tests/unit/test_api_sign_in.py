"""The small decisions around signing in: roles, scopes, keys, addresses, settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from meter.api.callers import Scope, Service, User, actor_of
from meter.api.identity import issuer_of
from meter.api.key_fetch import KeyFetch, NotFetched
from meter.api.key_sets import ALGORITHMS
from meter.api.role_claims import RoleClaims
from meter.db.key_secrets import looks_like_a_key, make_key, prefix_of
from meter.errors import ConfigurationError
from meter.settings import Settings, load_settings

if TYPE_CHECKING:
    from pathlib import Path

KEYCLOAK = ("roles", "realm_access.roles")


@pytest.mark.parametrize(
    ("claims", "paths", "expected"),
    [
        ({"roles": ["system_admin"]}, ("roles",), True),
        ({"roles": ["admin"]}, ("roles",), False),
        ({"roles": "system_admin"}, ("roles",), False),
        ({}, KEYCLOAK, False),
        ({"realm_access": {"roles": ["x", "system_admin"]}}, KEYCLOAK, True),
        ({"realm_access": {"roles": ["x", "system_admin"]}}, ("roles",), False),
        ({"realm_access": ["system_admin"]}, KEYCLOAK, False),
        ({"realm_access": {"roles": {"system_admin": 1}}}, KEYCLOAK, False),
        ({"https://acme.test/roles": ["system_admin"]}, ("https://acme.test/roles",), True),
        ({"roles": [["system_admin"], {"system_admin": 1}]}, ("roles",), False),
    ],
)
def test_only_a_list_of_roles_at_the_named_claim_makes_a_system_admin(
    claims: dict[str, Any], paths: tuple[str, ...], expected: bool
) -> None:
    assert RoleClaims(paths).make_system_admin(claims) is expected


def test_the_role_of_system_admins_has_the_name_that_is_set() -> None:
    roles = RoleClaims(("roles",), "billing-operator")
    assert roles.make_system_admin({"roles": ["billing-operator"]})
    assert not roles.make_system_admin({"roles": ["system_admin"]})


def test_books_name_people_by_their_id_and_services_by_their_key() -> None:
    key_id = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
    assert actor_of(User("ann")) == "ann"
    assert actor_of(Service(key_id, "checkout", None, frozenset({Scope.READ}))) == f"key:{key_id}"


def test_a_key_is_of_its_form_and_like_no_other() -> None:
    made = [make_key() for _ in range(100)]
    assert all(looks_like_a_key(key.key) for key in made)
    assert len({key.key for key in made}) == len({key.prefix for key in made}) == 100
    assert {prefix_of(key.key) for key in made} == {key.prefix for key in made}
    assert prefix_of("mk_12345678") == "mk_12345678"
    assert not looks_like_a_key(made[0].key + "\n")
    assert made[0].key not in repr(made[0])


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({}, "METER_TOKEN_ISSUER"),
        ({"token_issuer": "a-name"}, "METER_TOKEN_JWKS_URL"),
        ({"token_jwks_url": "https://issuer.test/jwks"}, "METER_TOKEN_ISSUER"),
        (
            {"token_issuer": "i", "token_jwks_url": "https://issuer.test/jwks", "token_jwks_file": "x"},
            "not both",
        ),
    ],
)
def test_without_an_issuer_nothing_starts(told: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        issuer_of(Settings.model_validate(told))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("METER_TOKEN_ALGORITHMS", "RS256,HS256"),
        ("METER_TOKEN_ALGORITHMS", "none"),
        ("METER_TOKEN_JWKS_URL", "ftp://issuer.test/jwks"),
        ("METER_TOKEN_JWKS_URL", "issuer.test/jwks"),
        ("METER_CORS_ORIGINS", "*"),
        ("METER_CORS_ORIGINS", "https://app.test/path"),
        ("METER_REDIS_URL", "http://127.0.0.1:6379"),
        ("METER_READS_PER_MINUTE", "0"),
    ],
)
def test_a_setting_that_would_let_anyone_in_or_nobody_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=f"^{name}"):
        load_settings()


def test_lists_are_written_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METER_TOKEN_ALGORITHMS", "PS256, ES384")
    monkeypatch.setenv("METER_TOKEN_ROLE_CLAIMS", "roles,realm_access.roles")
    monkeypatch.setenv("METER_CORS_ORIGINS", "https://app.test,http://localhost:3000")
    settings = load_settings()
    assert settings.token_algorithms == ("PS256", "ES384")
    assert settings.token_role_claims == KEYCLOAK
    assert settings.cors_origins == ("https://app.test", "http://localhost:3000")


def test_everyone_may_read_100_times_and_write_20_times_a_minute_by_default() -> None:
    settings = Settings()
    assert (settings.reads_per_minute, settings.writes_per_minute) == (100, 20)


async def test_keys_are_not_fetched_from_what_is_no_address(tmp_path: Path) -> None:
    for address in ("https://[::1", "http://\x00", f"file://{tmp_path}/jwks.json"):
        async with KeyFetch("https://issuer.test", address, ALGORITHMS) as fetch:
            with pytest.raises(NotFetched):
                await fetch.keys()
