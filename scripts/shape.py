"""Measure the shape of the code: how long its functions and files are, and how much is tested.

The aims are those of our style: functions with a median of 5 to 10 lines, nine of ten within
30, 99 of 100 within 80; files with a median of 140 to 270 lines; tests as long as the code. They
are a shape, not a target to be met by slicing. What is longer than the limits stands in a list
with its reason, and the list only ever shrinks: a function or file that is not in it, and an
entry that is no longer needed, both fail.
"""

import ast
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LONG_FUNCTION = 80
LONG_FILE = 600
EXCEPTIONS = ROOT / "tests" / "architecture" / "long_functions.txt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A function or file: its name as the list of exceptions spells it, and its lines."""

    name: str
    lines: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The measures of a code base."""

    functions: Sequence[Measured]
    files: Sequence[Measured]
    test_lines: int

    def too_long(self) -> set[str]:
        """Name what is over a limit."""
        functions = {one.name for one in self.functions if one.lines > LONG_FUNCTION}
        return functions | {one.name for one in self.files if one.lines > LONG_FILE}


def measured(root: Path = ROOT) -> Shape:
    """Measure src/newel and the tests below a root."""
    source = sorted((root / "src" / "newel").rglob("*.py"))
    functions = [one for path in source for one in _functions(path, root)]
    files = [Measured(name=_named(path, root), lines=_count(path)) for path in source]
    tests = sum(_count(path) for path in (root / "tests").rglob("*.py"))
    return Shape(functions=functions, files=files, test_lines=tests)


def excused(path: Path = EXCEPTIONS) -> dict[str, str]:
    """Read the list of exceptions: one a line, its name, a colon with a space, its reason."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    entries = [line for line in lines if line and not line.startswith("#")]
    return {name: reason for name, _, reason in (line.partition(": ") for line in entries)}


def report(shape: Shape) -> str:
    """Say the measures in four lines."""
    functions = sorted(one.lines for one in shape.functions)
    files = sorted(one.lines for one in shape.files)
    code = sum(files)
    ratio = shape.test_lines / max(code, 1)
    return (
        f"functions  {len(functions)}: median {_at(functions, 50)}, p90 {_at(functions, 90)}, "
        f"p99 {_at(functions, 99)}, longest {max(functions, default=0)}   (5-10, 30, 80)\n"
        f"files      {len(files)}: median {_at(files, 50)}, longest {max(files, default=0)}"
        "   (140-270, 600)\n"
        f"lines      {code} of code, {shape.test_lines} of tests: {ratio:.2f}   (at least 1)"
    )


def main() -> int:
    """Print the report and what breaks the lists."""
    shape = measured()
    print(report(shape))
    long, listed = shape.too_long(), set(excused())
    for name in sorted(long - listed):
        print(f"too long, and not in {EXCEPTIONS.relative_to(ROOT)}: {name}")
    for name in sorted(listed - long):
        print(f"no longer needed in {EXCEPTIONS.relative_to(ROOT)}: {name}")
    return 0 if long == listed else 1


def _functions(path: Path, root: Path) -> Iterator[Measured]:
    """Yield every function of a file; the lines of a nested one count for both."""
    tree = ast.parse(path.read_text(encoding="utf-8"))

    def walked(node: ast.AST, prefix: str) -> Iterator[Measured]:
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield from walked(child, prefix)
                continue
            name = f"{prefix}{child.name}"
            if not isinstance(child, ast.ClassDef):
                lines = (child.end_lineno or child.lineno) - child.lineno + 1
                yield Measured(name=f"{_named(path, root)}:{name}", lines=lines)
            yield from walked(child, f"{name}.")

    yield from walked(tree, "")


def _named(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _count(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def _at(ordered: Sequence[int], percent: int) -> int:
    """Return the value that so many percent of the ordered values do not exceed."""
    assert all(low <= high for low, high in pairwise(ordered))
    return ordered[min(len(ordered) * percent // 100, len(ordered) - 1)] if ordered else 0


if __name__ == "__main__":
    sys.exit(main())
