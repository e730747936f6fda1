"""Make the project's environment from the lock files, with nothing but Python and pip.

Runs under whatever Python the machine has, before anything is installed, so it uses the
standard library only. Running it again repairs an environment that was left half made.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ("requirements.lock", "requirements-dev.lock")
QUIET = ("--quiet", "--disable-pip-version-check", "--no-input", "--root-user-action=ignore")


def main(where: str) -> int:
    """Create or complete the environment at the given path; say plainly what is missing."""
    if sys.version_info < (3, 11):  # noqa: UP036 - this file is what tells the reader so
        found = ".".join(map(str, sys.version_info[:3]))
        print(f"newel needs Python 3.11 or newer; {sys.executable} is {found}.")
        print("Name another one: make PYTHON=python3.12 test")
        return 1
    environment = Path(where)
    if not _works(environment):
        print(f"Making {where} (once; about a minute)", flush=True)
        _create(environment)
    pip = _pip(environment)
    locks = [part for lock in LOCKS for part in ("--requirement", str(ROOT / lock))]
    subprocess.run([*pip, "install", *QUIET, "--require-hashes", *locks], check=True)
    editable = ["--no-deps", "--no-build-isolation", "--editable", str(ROOT)]
    subprocess.run([*pip, "install", *QUIET, *editable], check=True)
    return 0


def _python(environment: Path) -> Path:
    return environment / "bin" / "python"


def _works(environment: Path) -> bool:
    """Say whether an environment is there whose Python still starts."""
    python = _python(environment)
    return python.exists() and subprocess.run([python, "-c", ""], check=False).returncode == 0


def _create(environment: Path) -> None:
    """Make the environment; without ensurepip (Debian's split package) the outer pip serves it."""
    made = subprocess.run(
        [sys.executable, "-m", "venv", "--clear", environment], check=False, capture_output=True
    )
    if made.returncode != 0:
        without = [sys.executable, "-m", "venv", "--clear", "--without-pip", str(environment)]
        subprocess.run(without, check=True)


def _pip(environment: Path) -> list[str]:
    """Name the pip that installs into the environment: its own, or the one outside."""
    python = str(_python(environment))
    own = subprocess.run([python, "-m", "pip", "--version"], check=False, capture_output=True)
    if own.returncode == 0:
        return [python, "-m", "pip"]
    return [sys.executable, "-m", "pip", "--python", python]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
