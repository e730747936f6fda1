"""Editions of the example company: its package as it is, or with lines of it changed."""

from __future__ import annotations

import importlib
import itertools
import shutil
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from newel import Process, Request
from newel.drawing.plan import Plan, planned

COMPANY = Path(__file__).parents[2] / "examples" / "company"
_NUMBERS = itertools.count(1)


class Edition:
    """The company with some lines changed: each old text must be there exactly once."""

    def __init__(self, place: Path, changes: Mapping[str, Mapping[str, str]] | None = None) -> None:
        self.name = f"company_{next(_NUMBERS)}"
        package = place / self.name
        shutil.copytree(COMPANY, package, ignore=shutil.ignore_patterns("__pycache__"))
        for file in package.glob("*.py"):
            text = file.read_text("utf-8")
            for old, new in (changes or {}).get(file.name, {}).items():
                assert text.count(old) == 1, old
                text = text.replace(old, new)
            text = text.replace("from company.", f"from {self.name}.")
            file.write_text(text, "utf-8")
        sys.path.insert(0, str(place))
        try:
            self.people = importlib.import_module(f"{self.name}.people")
            self.onboarding: Process[..., Any] = importlib.import_module(
                f"{self.name}.onboarding"
            ).onboarding
        finally:
            sys.path.remove(str(place))

    def request(self, job: str) -> Request[Any]:
        """The onboarding of somebody for a job."""
        is_engineer = job == "engineer"
        hire = self.people.NewHire(
            name="Jane Doe",
            email="jane.doe@acme.example",
            manager=self.people.Person(name="Priya Manager", email="priya@acme.example"),
            job=self.people.Job(job),
            team="platform",
            starts_at=datetime(2026, 2, 2, 8, tzinfo=UTC),
            repositories=("acme-example/api", "acme-example/web") if is_engineer else (),
            github_username="jane-doe" if is_engineer else "",
        )
        return self.onboarding.request(hire)

    def plan(self, job: str) -> Plan:
        """What the onboarding of somebody for a job would do."""
        return planned(self.request(job))
