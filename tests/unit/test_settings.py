"""Settings that cannot be used are refused with their name and without their value."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from meter.errors import ConfigurationError
from meter.settings import load_settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("METER_DATABASE_URL", "mysql://u:hush-hush@host/meter"),
        ("METER_DATABASE_URL", "postgresql://u:hush-hush@host:notaport/meter"),
        ("METER_DATABASE_URL", "hush-hush"),
        ("METER_READ_DATABASE_URL", "postgresql:/u:hush-hush@host"),
        ("METER_AMQP_URL", "postgresql://u:hush-hush@host/"),
        ("METER_AMQP_URL", "amqp://u:hush-hush@host:5672:1/"),
        ("METER_API_PORT", "hush-hush"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_and_not_repeated(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=f"^{name} cannot be used: ") as refusal:
        load_settings()
    assert "hush" not in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("METER_DATABASE_URL", "postgresql://u:p%40ss@one:5432,two:5433/meter?sslmode=require"),
        ("METER_DATABASE_URL", "postgres://u@[::1]:5432/meter"),
        ("METER_DATABASE_URL", "postgresql:///meter?host=/run/postgresql"),
        ("METER_AMQP_URL", "amqps://u:p@broker/%2Fvhost?heartbeat=10"),
    ],
)
def test_every_usual_address_is_taken(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    told = getattr(load_settings(), name.removeprefix("METER_").lower())
    assert isinstance(told, SecretStr)
    assert told.get_secret_value() == value
