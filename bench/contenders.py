"""The programs that take part, each in an environment and a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SIDES = Path(__file__).parent / "sides"


class Absent(Exception):
    """A contender cannot take part; its text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """What a peer needs: packages of PyPI, and the version that took part."""

    name: str
    packages: tuple[str, ...]

    def python(self, place: Path) -> Path:
        """Give the interpreter of its environment, made where it is missing.

        Raises Absent if the packages cannot be had.
        """
        home = place / self.name
        python = home / "bin" / "python"
        if not (home / ".complete").exists():
            venv.create(home, with_pip=True, clear=True)
            pip = [str(python), "-m", "pip", "install", "--quiet", *self.packages]
            done = subprocess.run(pip, check=False, capture_output=True, text=True)
            if done.returncode != 0:
                raise Absent(f"pip cannot install {' '.join(self.packages)}")
            (home / ".complete").touch()
        return python

    def version(self, python: Path) -> str:
        """Say which version was measured."""
        code = f"import importlib.metadata as m; print(m.version({self.packages[0]!r}))"
        return subprocess.check_output([python, "-c", code], text=True).strip()


DBOS = Peer(name="dbos", packages=("dbos",))
ABSURD = Peer(name="absurd", packages=("absurd-sdk", "absurdctl"))


class Side:
    """A contender's process, which does what it is asked."""

    def __init__(self, program: str, *arguments: str, python: Path = Path(sys.executable)) -> None:
        """Start it and wait until it is ready. Raises Absent if it does not get so far."""
        self.name = program
        self._process = subprocess.Popen(
            [python, SIDES / f"{program}_side.py", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._answer()

    def ask(self, do: str, **more: object) -> Any:  # Any: JSON
        """Let it do something; gives its answer."""
        self.tell(do, **more)
        return self.answer()

    def tell(self, do: str, **more: object) -> None:
        """Ask without waiting; `answer` waits."""
        assert self._process.stdin is not None, "it was opened with a pipe"
        self._process.stdin.write(json.dumps({"do": do, **more}) + "\n")
        self._process.stdin.flush()

    def answer(self) -> Any:  # Any: JSON
        """Wait for the answer to what was told last."""
        return self._answer()["answer"]

    def _answer(self) -> Any:  # Any: JSON
        assert self._process.stdout is not None, "it was opened with a pipe"
        line = self._process.stdout.readline()
        if not line:
            raise Absent(f"{self.name} has ended with {self._process.wait()}")
        return json.loads(line)

    def close(self) -> None:
        """Let it end by itself; it is killed if it does not."""
        assert self._process.stdin is not None, "it was opened with a pipe"
        self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
