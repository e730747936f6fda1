"""Exports: what a module offers is what it lists, in one order."""

import ast
import importlib
import types

import pytest

from tests.architecture.reading import ROOT, SOURCE, dotted, modules, tree

LISTED = [
    dotted(path)
    for path in modules()
    if path.name != "__main__.py" and "__all__" in path.read_text(encoding="utf-8")
]
PUBLIC = [
    name
    for name in ("newel", "newel.engine", "newel.testing", "newel.people", "newel.simulators")
    if (SOURCE.parent / name.replace(".", "/") / "__init__.py").exists()
]


def in_order(names: list[str]) -> list[str]:
    """Sort as ruff does: constants, then classes, then the rest."""

    def rank(name: str) -> int:
        return 0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2

    return sorted(names, key=lambda name: (rank(name), name))


def test_the_order_is_constants_classes_functions():
    """The order of exports is the linter's."""
    assert in_order(["act", "T", "Act", "DAY", "zone"]) == ["DAY", "Act", "T", "act", "zone"]


@pytest.mark.parametrize("name", LISTED)
def test_a_list_of_exports_is_sorted_and_true(name):
    """Each name of `__all__` exists, once and in order."""
    module = importlib.import_module(name)
    listed = list(module.__all__)
    assert listed == in_order(list(set(listed)))
    assert [each for each in listed if not hasattr(module, each)] == []


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_package_exports_what_it_lists(name):
    """A public package binds no name of its own without listing it."""
    module = importlib.import_module(name)
    listed = set(module.__all__)
    bound = {
        each
        for each, value in vars(module).items()
        if not each.startswith("_")
        and not isinstance(value, types.ModuleType)
        and getattr(value, "__module__", name).startswith("newel")
        and each != "annotations"
    }
    assert bound - listed == set()


def test_examples_import_public_names_only():
    """An example uses what its reader may use."""
    public = (*PUBLIC, "newel.connectors")
    found = [
        f"{path.relative_to(ROOT)}: {node.module}"
        for path in sorted((ROOT / "examples").rglob("*.py"))
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ImportFrom)
        and node.module is not None
        and node.module.split(".")[0] == "newel"
        and not (node.module in public or node.module.startswith("newel.connectors."))
    ]
    assert found == []
