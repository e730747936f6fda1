"""`newel init`: a first project that runs as it is, made from the example company.

The company's modules are copied, so that what is tested as the example is what a newcomer
gets; the rest is what a project needs around them: settings, a test, what to ignore.
"""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from newel.base.errors import InvalidInput
from newel.cli.output import say

__all__ = ["init", "written_project"]

_SETTINGS: Final = """\
[project]
name = "company-processes"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["newel"]

# What `newel` needs to find processes and systems; `newel dev` runs them.
[tool.newel]
company_name = "Company"
processes = ["company.onboarding:onboarding"]
systems = "company.systems"
tickets = "company.systems:tickets"

[tool.newel.teams]
hr = ["hr@acme.example"]
it = ["it@acme.example"]

[tool.ruff]
line-length = 100

[tool.pytest.ini_options]
pythonpath = ["."]
testpaths = ["tests"]
"""

_TEST: Final = '''\
"""What onboarding promises, checked without touching any system."""

from datetime import UTC, datetime, timedelta

import pytest
from newel import Person

from company.onboarding import onboarding
from company.people import Job, NewHire

MANAGER = Person(name="Alice Example", email="alice.example@acme.example")
STARTS_AT = datetime(2027, 1, 4, 9, tzinfo=UTC)


def hire(**changed):
    """Make a new hire who is all right, but for what is changed."""
    facts = {
        "name": "Jane Doe",
        "email": "jane.doe@acme.example",
        "manager": MANAGER,
        "job": Job.OFFICE,
        "team": "operations",
        "starts_at": STARTS_AT,
    }
    return NewHire(**(facts | changed))


def test_a_run_is_about_the_new_hire():
    """Whoever looks for Jane Doe finds her onboarding."""
    assert onboarding.subject_of({"hire": hire()}).name == "Jane Doe"


def test_an_engineer_needs_a_github_name():
    """What would fail on the way is refused at the start, by field."""
    with pytest.raises(ValueError, match="github_username"):
        hire(job=Job.ENGINEER)


def test_nobody_leaves_before_they_come():
    """An end before the start is refused."""
    with pytest.raises(ValueError, match="ends_at"):
        hire(ends_at=STARTS_AT - timedelta(days=1))
'''

_README: Final = """\
# Our processes

`company/onboarding.py` is a process: an ordinary Python function that reads like the policy.
`company/people.py` says what it must know of a person, `company/systems.py` which systems there
are. Change them: they are yours.

    newel dev                                     # database, worker and console, all here
    newel start onboarding --input example.json   # in another terminal
    newel status "Jane Doe"
    newel tasks
    newel decide TASK --yes --actor alice.example@acme.example

Systems of which the environment says nothing are played by stand-ins on this machine. To use a
real one, set its variables: `company/systems.py` names them.
"""

_EXAMPLE: Final = """\
{
  "name": "Jane Doe",
  "email": "jane.doe@acme.example",
  "manager": {"name": "Alice Example", "email": "alice.example@acme.example"},
  "job": "engineer",
  "team": "platform",
  "starts_at": "STARTS_AT_MOMENT",
  "repositories": ["acme-example/api"],
  "github_username": "janedoe"
}
"""

_IGNORED: Final = ".newel/\n.venv/\n__pycache__/\n.pytest_cache/\n"

_TEXTS: Final = {
    "pyproject.toml": _SETTINGS,
    "tests/test_onboarding.py": _TEST,
    "README.md": _README,
    "example.json": _EXAMPLE,
    ".gitignore": _IGNORED,
}


_UNTIL_FIRST_DAY: Final = timedelta(days=14)


def init(
    directory: Annotated[Path, Parameter(name="DIR", help="A new or empty directory.")], /
) -> None:
    """Write a first project: settings, people, systems, a process and its test."""
    written_project(directory, now=datetime.now(UTC))
    say(f"A project is in {directory}. Next:")
    say(f"  cd {directory}")
    say("  newel dev")


def written_project(directory: Path, *, now: datetime) -> None:
    """Write the project; raises InvalidInput where something would be overwritten.

    now: the example's first day is two weeks later.
    """
    try:
        if directory.exists() and any(directory.iterdir()):
            raise InvalidInput({str(directory): "is not empty; nothing is overwritten"})
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as cause:
        why = (cause.strerror or "").lower()
        raise InvalidInput({str(directory): f"cannot be a project's directory ({why})"}) from cause
    from newel.cli.project import example_project

    shutil.copytree(
        example_project() / "company",
        directory / "company",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    first_day = (now + _UNTIL_FIRST_DAY).replace(hour=9, minute=0, second=0, microsecond=0)
    starts_at = first_day.isoformat()
    for name, text in _TEXTS.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("STARTS_AT_MOMENT", starts_at), encoding="utf-8")
