"""The OpenAPI document: current, and complete for every operation."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import jsonschema
import pytest
from fastapi import FastAPI
from pydantic import BaseModel

from meter.api.authentication import BASE_PATH
from meter.api.examples import example_of
from meter.api.openapi import document, main, write_or_check

CHECKED_IN = Path(__file__).parents[2] / "docs" / "openapi" / "api.json"
DOCUMENT = json.loads(CHECKED_IN.read_text("utf-8"))
OPERATIONS = [
    (path, method, operation)
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
]


def test_the_document_in_the_repository_is_current() -> None:
    assert main(["--check", str(CHECKED_IN)]) == 0


def test_the_check_fails_where_it_is_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, api = tmp_path / "api.json", FastAPI(title="Small")
    assert write_or_check(api, "a.module", ["--check", str(file)]) == 1
    assert write_or_check(api, "a.module", [str(file)]) == 0
    assert write_or_check(api, "a.module", ["--check", str(file)]) == 0
    file.write_text(document(api).replace("Small", "Smell", 1))
    assert write_or_check(api, "a.module", ["--check", str(file)]) == 1
    assert f"out of date; write it with: python -m a.module {file}" in capsys.readouterr().err
    assert write_or_check(api, "a.module", []) == 2


def test_it_only_reads() -> None:
    assert {method for _, method, _ in OPERATIONS} == {"get"}


@pytest.mark.parametrize(("path", "operation"), [(path, operation) for path, _, operation in OPERATIONS])
def test_every_operation_says_what_it_is_and_how_it_fails(path: str, operation: dict[str, object]) -> None:
    assert operation["summary"]
    assert operation["description"]
    responses = operation["responses"]
    assert isinstance(responses, dict)
    if not path.startswith(BASE_PATH):
        assert "security" not in operation
        return
    assert operation["security"] == [{"bearer": []}]
    assert {"200", "401", "405", "500", "503", "504"} <= set(responses)
    for status, answer in responses.items():
        if int(status) >= 400:
            (media_type,) = answer["content"]
            assert media_type == "application/problem+json"
            assert answer["content"][media_type]["schema"]


def test_the_history_has_an_example_in_each_of_its_formats() -> None:
    events = DOCUMENT["paths"][f"{BASE_PATH}/credits/{{org_id}}/events"]["get"]["responses"]["200"]
    assert set(events["content"]) == {"application/json", "text/csv", "application/x-ndjson"}
    jsonschema.validate(
        json.loads(events["content"]["application/x-ndjson"]["example"]),
        {"$ref": "#/components/schemas/UsageEntry", "components": DOCUMENT["components"]},
        format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER,
    )
    rows = list(csv.DictReader(io.StringIO(events["content"]["text/csv"]["example"])))
    assert [row["outcome"] for row in rows] == ["unfunded"]
    assert list(rows[0]) == list(DOCUMENT["components"]["schemas"]["UsageEntry"]["properties"])


def test_an_answer_whose_field_cannot_be_shown_is_a_mistake_of_ours() -> None:
    class Odd(BaseModel):
        anything: complex

    with pytest.raises(KeyError):
        example_of(Odd)
