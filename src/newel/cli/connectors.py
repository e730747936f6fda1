"""`newel connector new`: a connector with its stand-in and its tests, green as they are written.

The example connector is copied under another name, so that what is tested as the example is what
an engineer starts from. `docs/writing-a-connector.md` goes on from there.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final

from cyclopts import App, Parameter

from newel.base.errors import InvalidInput
from newel.cli.output import say

__all__ = ["connector", "written_connector"]

connector: Final = App(name="connector", help="Begin a connector of your own.")

_NAME: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_LONGEST: Final = 16


@connector.command
def new(
    name: Annotated[str, Parameter(help="The system, as keys will name it, such as `parking`.")],
    /,
) -> None:
    """Write a connector, a stand-in of its system, and tests that hold it to its contract."""
    from newel.base.settings import load_settings

    settings = load_settings()
    package = (settings.systems or "company.systems").rpartition(".")[0] or "company"
    for path in written_connector(settings.project, package, name):
        say(f"  {path.relative_to(settings.project)}")
    say(f"Its tests pass as they are: pytest tests/test_{name}.py (it needs pytest-asyncio).")
    say(
        f"Then make the stand-in answer as the vendor says, and {package}/{name}.py ask as it does."
    )


def written_connector(project: Path, package: str, name: str) -> list[Path]:
    """Write the three files and give them; raises InvalidInput for a name, or a file that is there.

    package: the company's own, such as `company`; it may have dots.
    """
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        why = f"is no name for it: small letters, digits and `_`, at most {_LONGEST} characters"
        raise InvalidInput({name: why})
    from newel.cli.project import example_project

    example, place = example_project() / "connector", project.joinpath(*package.split("."))
    written = {
        place / f"{name}.py": example / "desks.py",
        place / f"{name}_simulator.py": example / "desks_simulator.py",
        project / "tests" / f"test_{name}.py": example / "test_desks.py",
    }
    if taken := [path for path in written if path.exists()]:
        raise InvalidInput({str(path): "is there; nothing is overwritten" for path in taken})
    for path, source in written.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_renamed(source.read_text(encoding="utf-8"), package, name), "utf-8")
    if not (place / "__init__.py").exists():
        (place / "__init__.py").write_text('"""The company\'s own systems."""\n', "utf-8")
    return list(written)


def _renamed(text: str, package: str, name: str) -> str:
    """Give the example's text with another system's name in each of its spellings."""
    words = name.split("_")
    return (
        text.replace("from connector.", f"from {package}.")
        .replace("desks.example", f"{'-'.join(words)}.example")
        .replace("DESKS", name.upper())
        .replace('title = "Desks"', f'title = "{" ".join(words).capitalize()}"')
        .replace("Desks", "".join(word.capitalize() for word in words))
        .replace("desks", name)
    )
