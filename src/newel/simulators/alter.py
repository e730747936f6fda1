"""Answers bent on purpose: a field dropped, retyped, added or renamed, as drifting vendors do."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

from .faults import AddField, DropField, RenameField, RetypeField
from .wire import Answer

Bend = DropField | RetypeField | AddField | RenameField


def bent(answer: Answer, bend: Bend) -> Answer:
    """Give the answer with the field bent; a path that leads nowhere leaves it as it is."""
    body = copy.deepcopy(answer.body)
    *way, last = bend.path.split(".")
    holder = body
    for name in way:
        holder = _inside(holder, name)
    if isinstance(holder, list) and last.isdigit() and int(last) < len(holder):
        _bend_item(holder, int(last), bend)
    elif isinstance(holder, dict):
        _bend_field(holder, last, bend)
    return replace(answer, body=body)


def _inside(holder: Any, name: str) -> Any:
    if isinstance(holder, dict):
        return holder.get(name)
    if isinstance(holder, list) and name.isdigit() and int(name) < len(holder):
        return holder[int(name)]
    return None


def _bend_field(holder: dict[str, Any], name: str, bend: Bend) -> None:
    match bend:
        case AddField():
            holder[name] = bend.value
        case DropField():
            holder.pop(name, None)
        case RetypeField() if name in holder:
            holder[name] = _retyped(holder[name])
        case RenameField() if name in holder:
            holder[bend.to] = holder.pop(name)
        case _:
            pass


def _bend_item(holder: list[Any], position: int, bend: Bend) -> None:
    match bend:
        case AddField():
            holder.insert(position, bend.value)
        case DropField():
            del holder[position]
        case RetypeField():
            holder[position] = _retyped(holder[position])
        case RenameField():
            pass


def _retyped(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) else [value]
