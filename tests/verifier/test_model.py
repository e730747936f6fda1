"""The verifier's own model of entries, beside the catalogue of the program that writes them."""

import ast
import sys
import typing
from dataclasses import fields
from datetime import datetime

import pytest

from newel.audit.catalogue import TYPES
from newel.audit.catalogue.declared import Part
from tests.verifier.building import VERIFIER, verifier

_MARKED = {"sha256": "h", "sealed": "x"}
_PLAIN = {str: "s", int: "i", bool: "b", datetime: "t"}


def _kind(hint):
    """Give the letter that the verifier's model has for an annotation of the catalogue."""
    if typing.get_origin(hint) is typing.Annotated:
        return _MARKED[typing.get_args(hint)[1]]
    members = [each for each in typing.get_args(hint) if each is not type(None)]
    if type(None) in typing.get_args(hint) and len(members) == 1:
        return _kind(members[0])
    if typing.get_origin(hint) is typing.Literal:
        return "s"
    if typing.get_origin(hint) is tuple:
        return "l" if members[0] is str else "a"
    parts = members or [hint]
    if all(isinstance(each, type) and issubclass(each, Part) for each in parts):
        return "o"
    return _PLAIN[hint]


@pytest.mark.parametrize("name", sorted(TYPES))
def test_the_verifier_knows_each_type_as_the_catalogue_does(name):
    """Stream, marks, members, kinds and which may be absent are the same in both."""
    declared = TYPES[name]
    hints = typing.get_type_hints(declared, include_extras=True)
    known = {each.name.removesuffix("_"): each for each in fields(declared)}  # type: ignore[arg-type]  # made one when declared
    assert verifier.MODELS.get(name) == (
        declared.stream,
        declared.has_process,
        declared.has_step,
        frozenset(member for member, each in known.items() if each.default is not None),
        {member: _kind(hints[each.name]) for member, each in known.items()},
    )


def test_the_verifier_knows_no_other_types():
    """What nobody writes is not in the verifier's model, but for what the log tells of itself."""
    assert {name for name in set(verifier.MODELS) - set(TYPES) if name[:4] != "log."} == set()


def test_the_verifier_is_standard_library_alone():
    """It imports nothing but the standard library, and nothing inside a function."""
    tree = ast.parse(VERIFIER.read_text(encoding="utf-8"))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [each.name for each in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
        )
    }
    assert imported - sys.stdlib_module_names == set()


def test_the_verifier_is_written_in_python_3_9():
    """Its grammar is that of Python 3.9, which many auditors still have."""
    source = VERIFIER.read_text(encoding="utf-8")
    assert ast.parse(source, feature_version=(3, 9)).body
