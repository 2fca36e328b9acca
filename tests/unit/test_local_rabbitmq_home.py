"""The slimmed home of a RabbitMQ node, on homes made up for the test."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meter.local.rabbitmq_home import make_slim_home

if TYPE_CHECKING:
    from pathlib import Path


def full_home(folder: Path, needs: dict[str, str]) -> Path:
    for application, needed in needs.items():
        ebin = folder / "plugins" / f"{application}-1.2.3" / "ebin"
        ebin.mkdir(parents=True)
        (ebin / f"{application}.app").write_text(
            f'{{application, {application},\n [{{vsn, "1.2.3"}},\n  {{applications, [{needed}]}}]}}.\n'
        )
    (folder / "sbin").mkdir()
    server = folder / "sbin" / "rabbitmq-server"
    server.write_text("#!/bin/sh\n")
    server.chmod(0o755)
    return server


def test_the_home_has_what_the_plugins_need_and_nothing_else(tmp_path: Path) -> None:
    needs = {
        "rabbit": "kernel, stdlib,\n   ra",
        "ra": "kernel,'aten'",
        "aten": "kernel",
        "rabbitmq_prometheus": "rabbit",
        "rabbitmq_mqtt": "rabbit",
    }
    server = full_home(tmp_path / "full", needs)
    slim = make_slim_home(server, ["rabbitmq_prometheus"], tmp_path / "slim")
    assert slim == tmp_path / "slim" / "sbin" / "rabbitmq-server"
    assert slim.stat().st_mode & 0o111
    assert {path.name for path in (tmp_path / "slim" / "plugins").iterdir()} == {
        "rabbit-1.2.3",
        "ra-1.2.3",
        "aten-1.2.3",
        "rabbitmq_prometheus-1.2.3",
    }


def test_a_home_of_unknown_layout_is_used_as_it_is(tmp_path: Path) -> None:
    server = full_home(tmp_path / "full", {"rabbit": "kernel"})
    assert make_slim_home(server, ["rabbitmq_prometheus"], tmp_path / "slim") == server


def test_a_plugin_whose_name_begins_like_another_is_told_apart(tmp_path: Path) -> None:
    needs = {"rabbit": "rabbit_common", "rabbit_common": "", "rabbitmq_mqtt": ""}
    server = full_home(tmp_path / "full", needs)
    make_slim_home(server, [], tmp_path / "slim")
    assert {path.name for path in (tmp_path / "slim" / "plugins").iterdir()} == {
        "rabbit-1.2.3",
        "rabbit_common-1.2.3",
    }
