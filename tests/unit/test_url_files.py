"""Addresses that lie in files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meter.errors import ConfigurationError
from meter.local.services import service_environment
from meter.settings import load_settings
from meter.url_files import UrlFileUnusable

if TYPE_CHECKING:
    from pathlib import Path

URLS = {
    "METER_DATABASE_URL": "postgresql://u:hush@host/meter",
    "METER_READ_DATABASE_URL": "postgresql://u:hush@replica/meter",
    "METER_AMQP_URL": "amqp://u:hush@one/v,amqp://u:hush@two/v",
}


@pytest.mark.parametrize("name", URLS)
def test_an_address_is_read_from_its_file_and_read_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    file = tmp_path / "url"
    file.write_text(f"{URLS[name]}\n")
    monkeypatch.setenv(f"{name}_FILE", str(file))
    settings = load_settings()
    setting = name.removeprefix("METER_").lower()
    assert getattr(settings, setting).get_secret_value() == URLS[name]
    file.write_text(URLS[name].replace("hush", "changed"))
    assert settings.current(setting) == URLS[name].replace("hush", "changed")  # type: ignore[arg-type]
    assert "hush" not in repr(settings)
    file.unlink()
    with pytest.raises(UrlFileUnusable, match=f"^{name}_FILE names .*, which cannot be read: No such file"):
        settings.current(setting)  # type: ignore[arg-type]


def test_an_address_and_a_file_for_it_are_too_much(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("METER_AMQP_URL", URLS["METER_AMQP_URL"])
    monkeypatch.setenv("METER_AMQP_URL_FILE", str(tmp_path / "url"))
    with pytest.raises(
        ConfigurationError, match=r"^METER_AMQP_URL and METER_AMQP_URL_FILE are both set; set one"
    ):
        load_settings()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "METER_AMQP_URL_FILE names .*, which has no address in it"),
        (b"\xff\xfe", "METER_AMQP_URL_FILE names .*, which is not text"),
        (b"amqp://" + b"hush" * 10_000, "METER_AMQP_URL_FILE names .*, which has no address in it"),
        (b"http://u:hush@host", "METER_AMQP_URL cannot be used: .*must look like amqp://"),
    ],
)
def test_a_file_that_holds_no_address_is_named_and_not_repeated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes, complaint: str
) -> None:
    file = tmp_path / "url"
    file.write_bytes(content)
    monkeypatch.setenv("METER_AMQP_URL_FILE", str(file))
    with pytest.raises(ConfigurationError, match=complaint) as refused:
        load_settings()
    assert "hush" not in str(refused.value)


def test_a_process_of_the_stack_is_told_an_address_or_a_file_for_it_never_both(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "url"
    file.write_text(URLS["METER_AMQP_URL"])
    monkeypatch.setenv("METER_AMQP_URL_FILE", str(file))
    assert "METER_AMQP_URL_FILE" not in service_environment({"METER_AMQP_URL": "amqp://u:hush@local"})
    assert service_environment({})["METER_AMQP_URL_FILE"] == str(file)
