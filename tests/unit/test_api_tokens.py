"""Bearer tokens: every way in which one can fail to hold."""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.read_api import AUDIENCE, ISSUER, Issuer

from meter.api import tokens
from meter.api.callers import User
from meter.api.key_file import KeyFile
from meter.api.key_sets import TokenRefused
from meter.api.tokens import LEEWAY_S, Tokens
from meter.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return Issuer(tmp_path / "jwks.json")


def test_a_good_token_names_its_user(issuer: Issuer) -> None:
    assert issuer.tokens().caller(issuer.token("ann@example.com")) == User("ann@example.com")


@pytest.mark.parametrize(
    ("roles", "system_admin"),
    [
        (["system_admin"], True),
        (["other", "system_admin"], True),
        (["other"], False),
        ([], False),
        (None, False),
        ("system_admin", False),
        ({"system_admin": True}, False),
        (7, False),
        ([["system_admin"]], False),
    ],
)
def test_only_a_list_of_roles_makes_a_system_admin(issuer: Issuer, roles: object, system_admin: bool) -> None:
    assert issuer.tokens().caller(issuer.token("ann", roles=roles)).system_admin is system_admin


def test_clocks_may_differ_a_little_and_no_more(issuer: Issuer) -> None:
    now = int(time.time())
    issuer.tokens().caller(issuer.token("ann", exp=now - LEEWAY_S + 5))
    issuer.tokens().caller(issuer.token("ann", nbf=now + LEEWAY_S - 5))
    with pytest.raises(TokenRefused, match="expired"):
        issuer.tokens().caller(issuer.token("ann", exp=now - LEEWAY_S - 5))
    with pytest.raises(TokenRefused, match="not valid yet"):
        issuer.tokens().caller(issuer.token("ann", nbf=now + LEEWAY_S + 5))


def test_a_token_without_a_signature_is_refused(issuer: Issuer) -> None:
    for header in ({"alg": "none"}, {"alg": "none", "kid": issuer.key_id}):
        unsigned = ".".join(
            base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
            for part in (header, issuer.claims("ann"))
        )
        with pytest.raises(TokenRefused):
            issuer.tokens().caller(unsigned + ".")


def test_the_public_key_is_no_shared_secret(issuer: Issuer) -> None:
    public = issuer.private_key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    token = jwt.encode(issuer.claims("ann"), public, "HS256", headers={"kid": issuer.key_id})
    with pytest.raises(TokenRefused):
        issuer.tokens().caller(token)


def test_a_token_of_another_key_with_our_key_id_is_refused(issuer: Issuer) -> None:
    other = ed25519.Ed25519PrivateKey.generate()
    token = jwt.encode(issuer.claims("ann"), other, "EdDSA", headers={"kid": issuer.key_id})
    with pytest.raises(TokenRefused, match="wrongly signed"):
        issuer.tokens().caller(token)


def test_a_changed_claim_breaks_the_signature(issuer: Issuer) -> None:
    header, _, signature = issuer.token("ann").split(".")
    claims = base64.urlsafe_b64encode(json.dumps(issuer.claims("root")).encode()).rstrip(b"=").decode()
    with pytest.raises(TokenRefused):
        issuer.tokens().caller(f"{header}.{claims}.{signature}")


@pytest.mark.parametrize(
    "text", ["", ".", "..", "a.b.c", "é.é.é", "{}", "e30.e30.e30", "W10.W10.W10", "[" * 5_000]
)
def test_what_is_no_token_is_refused(issuer: Issuer, text: str) -> None:
    with pytest.raises(TokenRefused):
        issuer.tokens().caller(text)


@pytest.mark.parametrize("key_id", ["other", 7, ["one"], {"one": 1}])
def test_an_unknown_key_id_is_refused(issuer: Issuer, key_id: object) -> None:
    head = (
        base64.urlsafe_b64encode(json.dumps({"alg": "EdDSA", "kid": key_id}).encode()).rstrip(b"=").decode()
    )
    _, claims, signature = issuer.token("ann").split(".")
    with pytest.raises(TokenRefused):
        issuer.tokens().caller(f"{head}.{claims}.{signature}")


def test_a_token_without_a_key_id_is_checked_with_the_only_key(issuer: Issuer) -> None:
    token = jwt.encode(issuer.claims("ann"), issuer.private_key, "EdDSA")
    assert issuer.tokens().caller(token) == User("ann")
    second = {**issuer.public_jwk(), "kid": "two"}
    issuer.jwks_file.write_text(json.dumps({"keys": [issuer.public_jwk(), second]}))
    with pytest.raises(TokenRefused):
        issuer.tokens().caller(token)


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "PS256", "RS512"])
def test_only_the_allowed_algorithms_count(issuer: Issuer, algorithm: str) -> None:
    private = (
        ec.generate_private_key(ec.SECP256R1())
        if algorithm == "ES256"
        else rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    )
    public = jwt.get_algorithm_by_name(algorithm).to_jwk(private.public_key(), as_dict=True)
    entry = {key: value for key, value in public.items() if key not in ("key_ops", "alg")}
    issuer.jwks_file.write_text(json.dumps({"keys": [issuer.public_jwk(), {**entry, "kid": "two"}]}))
    token = jwt.encode(issuer.claims("ann"), private, algorithm, headers={"kid": "two"})
    if algorithm in ("RS256", "ES256"):
        assert issuer.tokens().caller(token) == User("ann")
    else:
        with pytest.raises(TokenRefused, match="algorithm"):
            issuer.tokens().caller(token)


def test_changed_keys_count_from_the_next_token_on(issuer: Issuer, tmp_path: Path) -> None:
    tokens = issuer.tokens()
    successor = Issuer(tmp_path / "successor.json", key_id="two")
    with pytest.raises(TokenRefused):
        tokens.caller(successor.token("ann"))
    issuer.jwks_file.write_text(json.dumps({"keys": [issuer.public_jwk(), successor.public_jwk()]}))
    token = issuer.token("ann")
    assert tokens.caller(successor.token("ann")) == tokens.caller(token)
    issuer.jwks_file.write_text(json.dumps({"keys": [successor.public_jwk()]}))
    with pytest.raises(TokenRefused):
        tokens.caller(token)


def test_a_token_that_held_before_is_refused_once_it_expires(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    remembering = issuer.tokens()
    token = issuer.token("ann", exp=int(time.time()) - LEEWAY_S // 2)
    assert remembering.caller(token) == remembering.caller(token) == User("ann")
    # As if the seconds that clocks may differ by had gone by.
    monkeypatch.setattr(tokens, "LEEWAY_S", 0)
    with pytest.raises(TokenRefused, match="expired"):
        remembering.caller(token)


def test_no_more_tokens_are_remembered_than_the_bound(issuer: Issuer) -> None:
    tokens = Tokens(ISSUER, AUDIENCE, KeyFile(issuer.jwks_file), verified_max=20)
    for number in range(30):
        tokens.caller(issuer.token(f"user-{number}"))
    assert len(tokens._verified) == 20


@pytest.mark.parametrize("broken", ["", "{", "[]", '{"keys": []}', '{"keys": [7]}'])
def test_a_broken_key_file_changes_nothing_while_running(issuer: Issuer, broken: str) -> None:
    tokens = issuer.tokens()
    issuer.jwks_file.write_text(broken)
    assert tokens.caller(issuer.token("ann")) == User("ann")
    issuer.jwks_file.unlink()
    assert tokens.caller(issuer.token("ann")) == User("ann")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "not a JWK set"),
        ("[]", "not a JWK set"),
        ('{"keys": 7}', "not a JWK set"),
        ('{"keys": [{"kty": "OKP"}]}', "no key"),
        ('{"keys": []}', "no key"),
        ('{"keys": [{"kty": "oct", "k": "AAAA"}]}', "no key"),
        ('{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "AAAA", "d": "AAAA"}]}', "private key"),
    ],
)
def test_a_key_file_that_cannot_be_used_refuses_the_start(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "jwks.json"
    file.write_text(content)
    with pytest.raises(ConfigurationError, match=said):
        KeyFile(file)


def test_an_absent_key_file_refuses_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        KeyFile(tmp_path / "absent.json")


def test_issuer_and_audience_are_what_the_tests_say(issuer: Issuer) -> None:
    claims = jwt.decode(issuer.token("ann"), options={"verify_signature": False})
    assert (claims["iss"], claims["aud"]) == (ISSUER, AUDIENCE)
