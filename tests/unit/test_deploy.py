"""What is shipped to run meter with says the same as the code."""

from __future__ import annotations

from pathlib import Path

import yaml

from meter.settings import Settings

DEPLOY = Path(__file__).parents[2] / "deploy"


def test_prometheus_scrapes_where_the_processes_listen_by_default() -> None:
    settings = Settings(database_url=None, amqp_url=None)
    configuration = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    targets = {
        job["job_name"]: job["static_configs"][0]["targets"] for job in configuration["scrape_configs"]
    }
    assert targets["meter-worker"] == [f"{settings.worker_host}:{settings.worker_port}"]
    assert targets["meter-api"] == [f"{settings.api_host}:{settings.api_metrics_port}"]
    assert targets["meter-admin"] == [f"{settings.admin_host}:{settings.admin_metrics_port}"]
