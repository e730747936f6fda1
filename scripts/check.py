"""Every check that needs no running code, two at a time; all of them, even after a failure.

One list of what is wrong is worth more than the first line of it. Each tool prints only when
it has something to say.
"""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
CODE = tuple(
    name
    for name in ("src", "tests", "scripts", "examples", "bench", "verifier")
    if any((ROOT / name).rglob("*.py"))
)
PROSE = tuple(
    name for name in ("docs", "README.md", "Makefile", "pyproject.toml") if (ROOT / name).exists()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One tool of the environment and what it is told."""

    name: str
    command: tuple[str, ...]
    is_report: bool = False
    """Its words are shown also when all is well."""


# The slow ones first, so that the quick ones fill the gaps.
CHECKS = (
    Check(name="types, second opinion", command=("pyright",)),
    Check(name="types", command=("mypy", "--no-error-summary", *CODE)),
    Check(name="lint", command=("ruff", "check", "--quiet", *CODE)),
    Check(name="format", command=("ruff", "format", "--check", "--quiet", *CODE)),
    Check(name="import contracts", command=("lint-imports",)),
    Check(name="spelling", command=("codespell", *CODE, *PROSE)),
    Check(name="shape", command=("python", "scripts/shape.py"), is_report=True),
)


def main() -> int:
    """Run all checks; 0 if every one of them is content."""
    with ThreadPoolExecutor(max_workers=2) as both:
        results = list(both.map(_checked, CHECKS))
    return 0 if all(results) else 1


def _checked(check: Check) -> bool:
    """Run one check and print its verdict in one piece."""
    began = time.monotonic()
    done = subprocess.run(
        [BIN / check.command[0], *check.command[1:]],
        check=False,
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # pyright would look for a newer version of itself.
        env={**os.environ, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"},
    )
    is_content = done.returncode == 0
    verdict = "ok" if is_content else "FAILED"
    words = done.stdout.rstrip() if check.is_report or not is_content else ""
    print(f"{verdict:6}  {check.name}  ({time.monotonic() - began:.1f} s)", flush=True)
    if words:
        print(words, end="\n\n", flush=True)
    return is_content


if __name__ == "__main__":
    sys.exit(main())
