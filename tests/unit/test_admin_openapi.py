"""The OpenAPI document of the control plane: current, with every read, and complete for every write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from meter.admin.openapi import main

CHECKED_IN = Path(__file__).parents[2] / "docs" / "openapi" / "admin.json"
DOCUMENT = json.loads(CHECKED_IN.read_text("utf-8"))
OF_READS = json.loads(CHECKED_IN.with_name("api.json").read_text("utf-8"))
WRITES = [
    pytest.param(operation, id=path)
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
    if method != "get"
]


def test_the_document_in_the_repository_is_current() -> None:
    assert main(["--check", str(CHECKED_IN)]) == 0


def test_who_asks_for_nothing_is_told_what_to_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "python -m meter.admin.openapi [--check] FILE" in capsys.readouterr().err


def test_every_read_is_there_as_meter_api_has_it() -> None:
    for path, operations in OF_READS["paths"].items():
        here, there = DOCUMENT["paths"][path], operations["get"]
        refused = here["get"]["responses"].get("405")
        assert here["get"] | {"responses": here["get"]["responses"] | _405(there)} == there
        if refused is not None:
            (example,) = (content["example"] for content in refused["content"].values())
            allowed = ", ".join(method.upper() for method in here).replace("GET", "GET, HEAD")
            assert (example["type"], example["detail"]) == (
                "urn:meter:problem:method-not-allowed",
                f"here is only {allowed}",
            )


def _405(operation: dict[str, Any]) -> dict[str, Any]:
    """The one answer that differs: meter api has no method but GET and HEAD anywhere."""
    return {"405": operation["responses"]["405"]} if "405" in operation["responses"] else {}


@pytest.mark.parametrize("operation", WRITES)
def test_every_write_says_what_it_is_sent_and_how_it_fails(operation: dict[str, Any]) -> None:
    assert operation["summary"]
    assert operation["description"]
    assert operation["security"] == [{"bearer": []}]
    assert {"401", "403", "405", "422", "500", "503", "504"} <= set(operation["responses"])
    if "requestBody" in operation:
        body = operation["requestBody"]["content"]["application/json"]
        jsonschema.validate(body["example"], body["schema"] | {"components": DOCUMENT["components"]})
        assert {"413", "415"} <= set(operation["responses"])
    for status, answer in operation["responses"].items():
        if int(status) < 400:
            continue
        (content,) = answer["content"].values()
        examples = [example["value"] for example in content.get("examples", {}).values()]
        for example in examples or [content["example"]]:
            assert example["status"] == int(status)
            schema = content["schema"] | {"components": DOCUMENT["components"]}
            jsonschema.validate(example, schema)


@pytest.mark.parametrize("operation", WRITES)
def test_a_write_with_a_key_says_so(operation: dict[str, Any]) -> None:
    headers = [given for given in operation.get("parameters", []) if given["in"] == "header"]
    if "credits" in operation["tags"]:
        assert [(given["name"], given["required"]) for given in headers] == [("Idempotency-Key", True)]
        assert {"400", "404", "409"} <= set(operation["responses"])
        assert operation["requestBody"]["required"]
