"""`newel new`: the first code of a process, from what somebody who knows the work says of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from newel.base.errors import InvalidInput
from newel.cli.output import say

__all__ = ["new"]

_BLANK: Final = """\
# Say how the work is done today; then: newel new --from {name}.yaml
newel: interview/1
process: {name}
title: {title}
owner: people-ops                  # the team that answers for it
trigger: by hand
input:                             # text, number, yes or no, date, person, list of text, [a, b]
  name: text
  role: [engineer, office]
  manager: person
  starts: date
  repositories: list of text
systems:                           # "?" is an open question
  google: {{owner: it, permission: user administration}}
  github: {{owner: it, permission: "?"}}
steps:
  - ask: manager confirms the hire
    who: manager
    within: 2 days
    otherwise: {{ask: HR lead confirms, who: hr-lead}}
    if no: stop
  - {{do: create account, in: google, gives: account, undo: suspend account}}
  - together:
      - {{by hand: hand over the laptop, who: it, within: 3 days}}
      - when: role is engineer
        then:
          - {{do: invite, in: github, for each: repositories}}
  - {{wait: first day, until: starts at 08:00}}
pains:
  - nobody knows who still lacks an account
"""


def new(
    name: Annotated[str | None, Parameter(help="Of the process, to write its questions.")] = None,
    /,
    *,
    from_: Annotated[
        Path | None, Parameter(name="--from", help="The answers, to write code, tests and papers.")
    ] = None,
) -> None:
    """Write the questions about a process; with --from, its first code from the answers.

    Nothing is overwritten. The code is registered in the project's settings.
    """
    from newel.base.settings import load_settings
    from newel.cli.interview.answers import word

    if (name is None) == (from_ is None):
        raise InvalidInput({"newel new": "takes the name of a process, or --from its answers"})
    if name is not None:
        path = Path(f"{name}.yaml")
        if word(name) != name:
            raise InvalidInput({name: f"is no name for a process: `{word(name)}`"})
        _write({path: _BLANK.format(name=name, title=name.replace("_", " ").capitalize())})
        say(f"The questions are in {path}, answered for an example. Change the answers, then:")
        return say(f"  newel new --from {path}")
    assert from_ is not None, "one of the two is given"
    return _from(from_, load_settings().project)


def _from(answers: Path, project: Path) -> None:
    from newel.cli.interview.answers import interview_of
    from newel.cli.interview.files import files_of
    from newel.cli.interview.skeleton import skeleton_of

    interview = interview_of(answers)
    files = files_of(skeleton_of(interview), _PACKAGE)
    process = interview.process
    _write({project / path: text for path, text in files.items()})
    (project / _PACKAGE / "__init__.py").touch()
    for path in files:
        say(f"  {path}")
    if _registered(project / "pyproject.toml", f"{_PACKAGE}.{process}:{process}"):
        say("It is registered in pyproject.toml.")
    else:
        say(f'Add "{_PACKAGE}.{process}:{process}" to `processes` in the settings.')
    say(f"Next: pytest tests/test_{process}.py, newel draw {process}, newel check {process}")
    say(f"{len(interview.questions)} questions are open: docs/processes/{process}/scope.md")


_PACKAGE: Final = "processes"


def _write(files: dict[Path, str]) -> None:
    """Write all or nothing; raises InvalidInput where something would be overwritten."""
    if taken := [path for path in files if path.exists()]:
        raise InvalidInput({str(path): "is there; nothing is overwritten" for path in taken})
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def _registered(settings: Path, named: str) -> bool:
    """Name the process in the settings, where they are written as `newel init` writes them."""
    text = settings.read_text("utf-8") if settings.exists() else ""
    if "\nprocesses = [" not in text:
        return False
    head, _, rest = text.partition("\nprocesses = [")
    gap = "" if rest.lstrip().startswith("]") else ", "
    settings.write_text(f'{head}\nprocesses = ["{named}"{gap}{rest}', "utf-8")
    return True
