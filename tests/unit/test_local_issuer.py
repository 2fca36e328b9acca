"""Development tokens."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import jwt
import pytest

from meter.errors import ConfigurationError
from meter.local.issuer import ISSUER, DevelopmentIssuer

if TYPE_CHECKING:
    from pathlib import Path


def claims_of(token: str, key_set: Path) -> dict[str, object]:
    key = jwt.PyJWK(json.loads(key_set.read_text())["keys"][0])
    return jwt.decode(token, key, algorithms=["EdDSA"], audience="meter", issuer=ISSUER)


def test_a_token_is_good_by_the_published_key(tmp_path: Path) -> None:
    issuer = DevelopmentIssuer(tmp_path / "issuer", "meter")
    issuer.prepare()
    claims = claims_of(issuer.issue("alice", roles=["system_admin"], ttl_seconds=60), issuer.key_set)
    assert claims["sub"] == "alice"
    assert claims["roles"] == ["system_admin"]


def test_a_token_stays_good_over_a_restart(tmp_path: Path) -> None:
    issuer = DevelopmentIssuer(tmp_path / "issuer", "meter")
    issuer.prepare()
    token = issuer.issue("alice")
    DevelopmentIssuer(tmp_path / "issuer", "meter").prepare()
    assert claims_of(token, issuer.key_set)["sub"] == "alice"


def test_the_private_key_is_for_its_owner_only(tmp_path: Path) -> None:
    issuer = DevelopmentIssuer(tmp_path / "issuer", "meter")
    issuer.prepare()
    assert (tmp_path / "issuer" / "key.pem").stat().st_mode & 0o777 == 0o600
    assert "d" not in json.loads(issuer.key_set.read_text())["keys"][0]


def test_without_a_stack_there_is_no_token(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="meter up"):
        DevelopmentIssuer(tmp_path / "issuer", "meter").issue("alice")
