"""Errors: one tree, drawn where it is defined, and nothing swallowed on the way."""

import ast
import inspect
import re

import pytest

from newel.base import errors as base_errors
from newel.embedded import errors as embedded_errors
from tests.architecture.reading import SOURCE, modules, tree

# The company's own code may raise anything, and a worker or the web must outlive what it meets.
MAY_CATCH_EXCEPTION = re.compile(
    r"engine/(attempts|enduring|hooks|pools|schedules|worker)\.py"
    r"|flow/(compensation|elsewhere|process)\.py"
    r"|web/.*(problems|errors|app)\.py"
)
# A ride undoes the transaction of a step's own code, whatever that raises, and raises on.
MAY_CATCH_EVERYTHING = re.compile(r"(engine|flow|testing)/.*|store/riding\.py")
# Aside of the house: a stand-in undoes its half-made transaction and raises on.
ASIDE = re.compile(r"simulators/.*")


@pytest.mark.parametrize(
    "module", [base_errors, embedded_errors], ids=lambda module: module.__name__
)
def test_the_drawn_tree_equals_the_classes(module):
    """The tree in the docstring of an error module is the tree of its classes."""
    drawn = drawn_tree(module.__doc__ or "")
    classes = {
        name: member
        for name, member in inspect.getmembers(module, inspect.isclass)
        if issubclass(member, BaseException) and member.__module__ == module.__name__
    }
    actual = {
        name: next((base.__name__ for base in member.__bases__ if base.__name__ in classes), None)
        for name, member in classes.items()
    }
    assert drawn == actual


def test_a_drawn_tree_is_read_by_its_indentation():
    """Parents are the nearest lines further left; words after a name are its facts."""
    text = "Head.\n\n    Aa\n        Bb   of one\n            Cc\n        Dd\n    Ee\n\nProse here."
    assert drawn_tree(text) == {"Aa": None, "Bb": "Aa", "Cc": "Bb", "Dd": "Aa", "Ee": None}


def test_exceptions_are_swallowed_nowhere():
    """`except Exception` stands only where a stranger's code is judged; nothing catches bare."""
    found = [
        f"{place}:{line}: {caught}"
        for path in modules()
        for place in [path.relative_to(SOURCE).as_posix()]
        for line, caught in caught_in(tree(path))
        if not _may_catch(place, caught)
    ]
    assert found == []


def test_too_wide_handlers_are_found():
    """The search sees bare, tuple and dotted handlers, and leaves narrow ones alone."""
    code = (
        "try: x()\nexcept ValueError: pass\n"
        "try: x()\nexcept (OSError, Exception): pass\n"
        "try: x()\nexcept builtins.BaseException: pass\n"
        "try: x()\nexcept: pass\n"
    )
    assert list(caught_in(ast.parse(code))) == [
        (4, "Exception"),
        (6, "BaseException"),
        (8, "everything"),
    ]
    assert not _may_catch("store/runs.py", "Exception")
    assert not _may_catch("engine/attempts.py", "everything")


def drawn_tree(text: str) -> dict[str, str | None]:
    """Read lines that begin with a class name; the nearest line further left is the parent."""
    found: dict[str, str | None] = {}
    above: list[tuple[int, str]] = []
    for line in text.splitlines():
        match = re.fullmatch(r"( *)([A-Z]\w+)(\s{2,}.*)?", line)
        if match is None:
            continue
        depth, name = len(match[1]), match[2]
        while above and above[-1][0] >= depth:
            above.pop()
        found[name] = above[-1][1] if above else None
        above.append((depth, name))
    return found


def caught_in(module: ast.Module) -> list[tuple[int, str]]:
    """Return line and name of every handler that catches more than it can name."""
    found = []
    for node in ast.walk(module):
        if not isinstance(node, ast.ExceptHandler):
            continue
        if node.type is None:
            found.append((node.lineno, "everything"))
            continue
        kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        names = {ast.unparse(kind).split(".")[-1] for kind in kinds}
        found += [(node.lineno, name) for name in ("BaseException", "Exception") if name in names]
    return sorted(found)


def _may_catch(place: str, caught: str) -> bool:
    match caught:
        case "Exception":
            return bool(MAY_CATCH_EXCEPTION.fullmatch(place))
        case "BaseException":
            return bool(MAY_CATCH_EVERYTHING.fullmatch(place) or ASIDE.fullmatch(place))
        case _:
            return False
