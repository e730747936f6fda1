"""Edits of a random process that change nothing of the acts that it keeps."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from random import Random

from tests.unit.drawing.generating import Case

__all__ = ["edits"]

NEW = 'await do["new"]("new")'
ASKED = f'if "new flag" in flags:\n    {NEW}'
KNOWN = {"flags", "items"}


def edits(case: Case) -> Iterator[tuple[str, str]]:
    """Each edit that this process has a place for: what is done, and the new text."""
    chance = Random(f"{case.seed} edits")
    yield "comments", _commented(case.text)
    tree = ast.parse(case.text)
    yield "renamed", _renamed(tree)
    for what, statement in (("inserted", NEW), ("asked", ASKED)):
        edited = copy.deepcopy(tree)
        body = chance.choice(list(_bodies(edited)))
        body.insert(chance.randrange(len(body)), _parsed(statement))
        yield what, ast.unparse(edited)
    removed = _removed(tree, chance)
    if removed:
        yield "removed", removed
    extracted = _extracted(tree, case.name)
    if extracted:
        yield "extracted", extracted


def _parsed(statement: str) -> ast.stmt:
    (only,) = ast.parse(statement).body
    return only


def _commented(text: str) -> str:
    """The same on other lines, with remarks."""
    lines = text.split("\n")
    return "\n\n# A remark.\n" + "\n".join(
        f"{each}  # a remark" if each.strip() and '"""' not in each else each for each in lines
    )


def _renamed(tree: ast.Module) -> str:
    edited = copy.deepcopy(tree)
    for node in ast.walk(edited):
        if isinstance(node, ast.Name) and node.id == "item":
            node.id = "thing"
    return ast.unparse(edited)


def _bodies(tree: ast.Module) -> Iterator[list[ast.stmt]]:
    """The places where a statement may be put before another one."""
    for function in _functions(tree):
        for node in ast.walk(function):
            if isinstance(node, ast.If | ast.For | ast.While):
                yield node.body
    for function in _functions(tree):
        yield function.body[1:-1] or function.body  # behind the docstring
        break


def _functions(tree: ast.Module) -> list[ast.AsyncFunctionDef]:
    """The process and its helpers."""
    return [each for each in tree.body if isinstance(each, ast.AsyncFunctionDef)
            and [arg.arg for arg in each.args.args] == ["flags", "items"]]  # fmt: skip


def _removed(tree: ast.Module, chance: Random) -> str:
    """Without one act that is a statement of its own, where others stand beside it."""
    edited = copy.deepcopy(tree)
    found = [
        (body, each)
        for function in _functions(edited)
        if sum(isinstance(each, ast.Await) for each in ast.walk(function)) > 1
        for node in ast.walk(function)
        for body in [getattr(node, "body", [])]
        if isinstance(body, list) and len(body) > 2
        for each in body
        if isinstance(each, ast.Expr) and isinstance(each.value, ast.Await)
        and ast.unparse(each).startswith("await do[")
    ]  # fmt: skip
    if not found:
        return ""
    body, statement = chance.choice(found)
    body.remove(statement)
    return ast.unparse(edited)


def _extracted(tree: ast.Module, name: str) -> str:
    """With one block of the process in a helper of its own."""
    edited = copy.deepcopy(tree)
    process = next(each for each in _functions(edited) if each.name == name)
    for at, statement in enumerate(process.body):
        if isinstance(statement, ast.Expr | ast.Assign | ast.Return | ast.Raise):
            continue
        used = {each.id for each in ast.walk(statement) if isinstance(each, ast.Name)}
        is_ending = any(isinstance(each, ast.Return) for each in ast.walk(statement))
        bound = {target.id for each in process.body[:at] if isinstance(each, ast.Assign)
                 for target in each.targets if isinstance(target, ast.Name)}  # fmt: skip
        if is_ending or used & bound:
            continue
        head = "async def extracted(flags: list[str], items: list[str]) -> None:\n    pass"
        helper = _parsed(head)
        assert isinstance(helper, ast.AsyncFunctionDef)
        helper.body = [statement]
        process.body[at] = _parsed("await extracted(flags, items)")
        edited.body.insert(edited.body.index(process), helper)
        return ast.unparse(edited)
    return ""
