"""Checks, without the network, that requirements.lock has what pyproject.toml asks for."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", re.MULTILINE)


def main() -> int:
    """Compare both files; returns 1 when something asked for is missing or pinned to an excluded version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lock = (ROOT / "requirements.lock").read_text()
    pinned = {canonicalize_name(name): version for name, version in PINNED.findall(lock)}
    extras = project["optional-dependencies"].values()
    asked = [Requirement(text) for group in (project["dependencies"], *extras) for text in group]
    problems = [
        problem for requirement in asked if (problem := _problem(requirement, pinned, project["name"]))
    ]
    if "://" in lock:
        problems.append("requirements.lock has download addresses")
    for problem in problems:
        print(problem)
    if problems:
        print("renew it with: make lock")
    return 1 if problems else 0


def _problem(requirement: Requirement, pinned: dict[str, str], own_name: str) -> str | None:
    name = canonicalize_name(requirement.name)
    if name == own_name:
        return None
    if name not in pinned:
        return f"requirements.lock lacks {requirement}"
    if not requirement.specifier.contains(pinned[name], prereleases=True):
        return f"requirements.lock has {name} {pinned[name]}, pyproject.toml asks for {requirement}"
    return None


if __name__ == "__main__":
    sys.exit(main())
