"""Sentences: every public thing says what it is, and every test says what holds."""

import ast
import re
from pathlib import Path

import pytest

from tests.architecture.reading import ROOT, SOURCE, modules, shown, tree

TESTS = sorted((ROOT / "tests").rglob("test_*.py"))


def mute_tests(module: ast.Module) -> list[str]:
    """Return the tests of a file whose docstring is not one sentence in one paragraph."""
    return [
        node.name
        for node in ast.walk(module)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not is_sentence(ast.get_docstring(node) or "")
    ]


def is_sentence(text: str) -> bool:
    """Say whether a text opens with a paragraph that begins large and ends with a full stop.

    A reason for slowness or a source may follow in a paragraph of its own.
    """
    first = text.split("\n\n", maxsplit=1)[0].strip()
    return bool(re.fullmatch(r"[^a-z\s].*[.]", first, re.DOTALL)) and len(first.split()) >= 3


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("A run is parked.", True),
        ("`retry` asks\nfor an actor.", True),
        ("", False),
        ("tests the run.", False),
        ("A run", False),
        ("Works.", False),
    ],
)
def test_a_sentence_is_told_from_a_label(text, verdict):
    """A sentence begins large, has at least three words and a full stop."""
    assert is_sentence(text) is verdict


@pytest.mark.parametrize("path", TESTS, ids=shown)
def test_every_test_has_a_sentence(path):
    """Each test states in its docstring the behaviour it holds."""
    assert mute_tests(tree(path)) == []


def test_every_public_thing_has_a_docstring():
    """Each public class and function of the package says what it is or does."""
    mute = [f"{shown(path)}: {name}" for path in modules() for name in _mute(tree(path))]
    assert mute == []


def _mute(module: ast.AST, inside: str = "") -> list[str]:
    """Return the public classes and functions without a docstring; overloads need none."""
    found = []
    for node in ast.iter_child_nodes(module):
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        decorators = {ast.unparse(each).split("(")[0] for each in node.decorator_list}
        if node.name.startswith("_") or decorators & {"overload", "override"} or _sets(decorators):
            continue
        if not ast.get_docstring(node):
            found.append(f"{inside}{node.name}")
        if isinstance(node, ast.ClassDef):
            found += _mute(node, f"{inside}{node.name}.")
    return found


def _sets(decorators: set[str]) -> bool:
    """Say whether a function is the second half of a property."""
    return any(name.endswith((".setter", ".deleter")) for name in decorators)


def test_imports_inside_functions_carry_a_reason():
    """Outside the command line an import inside a function says why on its line or above."""
    found = [
        f"{shown(path)}:{node.lineno}"
        for path in modules()
        if path.relative_to(SOURCE).parts[0] != "cli"
        for node in _inner_imports(tree(path))
        if not _explained(path, node.lineno)
    ]
    assert found == []


def _inner_imports(module: ast.Module) -> list[ast.Import | ast.ImportFrom]:
    functions = [
        node
        for node in ast.walk(module)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    return [
        node
        for function in functions
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]


def _explained(path: Path, line: int) -> bool:
    lines = path.read_text(encoding="utf-8").splitlines()
    return "#" in lines[line - 1] or lines[line - 2].lstrip().startswith("#")
