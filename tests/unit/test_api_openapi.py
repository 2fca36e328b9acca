"""The OpenAPI document: current, and complete for every operation."""

from __future__ import annotations

from pathlib import Path

import pytest

from meter.api.app import ReadApi
from meter.api.authentication import BASE_PATH
from meter.api.openapi import document, main

CHECKED_IN = Path(__file__).parents[2] / "docs" / "openapi" / "api.json"
OPERATIONS = [
    (path, method, operation)
    for path, operations in ReadApi().openapi()["paths"].items()
    for method, operation in operations.items()
]


def test_the_document_in_the_repository_is_current() -> None:
    assert main(["--check", str(CHECKED_IN)]) == 0


def test_the_check_fails_where_it_is_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "api.json"
    assert main(["--check", str(file)]) == 1
    assert main([str(file)]) == 0
    assert main(["--check", str(file)]) == 0
    file.write_text(document(ReadApi()).replace("acme", "acne", 1))
    assert main(["--check", str(file)]) == 1
    assert "out of date" in capsys.readouterr().err
    assert main([]) == 2


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
            assert answer["content"][media_type]["example"]["status"] == int(status)
            assert answer["content"][media_type]["schema"]
