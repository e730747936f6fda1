"""PATCH of SCIM: add, replace and remove on a resource, by path or by a value object.

Source: RFC 7644, §3.5.2.
"""

from __future__ import annotations

import copy
from typing import Any

from .scim_query import Target, target
from .scim_schema import Attribute, Wrong, attributes_of, fitting
from .wire import Document

PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
OPERATIONS = ("add", "replace", "remove")


def patched(place: str, resource: Document, asked: Document) -> Document:
    """Give the resource after a PATCH. Raises Wrong; then nothing has changed."""
    if PATCH not in (asked.get("schemas") or []):
        text = f"schemas must hold {PATCH}"
        raise Wrong(text, "invalidSyntax")
    steps = asked.get("Operations")
    if not isinstance(steps, list) or not steps:
        message = "Operations must be a list with something in it"
        raise Wrong(message, "invalidSyntax")
    changed = copy.deepcopy(resource)
    attributes = attributes_of(place)
    for step in steps:
        _apply(changed, step, attributes)
    for attribute in attributes:
        if attribute.required and not changed.get(attribute.name):
            text = f"{attribute.name} is required"
            raise Wrong(text)
    return changed


def _apply(resource: Document, step: Document, attributes: tuple[Attribute, ...]) -> None:
    kind = str(step.get("op", "")).lower()
    if kind not in OPERATIONS:
        text = f"op must be one of {', '.join(OPERATIONS)}"
        raise Wrong(text, "invalidSyntax")
    if path := step.get("path"):
        _at(resource, kind, str(path), step.get("value"), attributes)
        return
    value = step.get("value")
    if kind == "remove" or not isinstance(value, dict):
        message = "without a path a value object is needed"
        raise Wrong(message, "noTarget")
    for name, each in value.items():
        _at(resource, kind, name, each, attributes)


def _at(
    resource: Document, kind: str, path: str, value: object, attributes: tuple[Attribute, ...]
) -> None:
    reached = target(path, attributes)
    extension = _extension(path, attributes)
    if extension is not None and reached.attribute is not extension:
        # A path inside an extension: work on the extension's own object.
        inside = resource.setdefault(extension.name, {})
        _change(inside, kind, reached, value)
        if not inside:
            del resource[extension.name]
        return
    if extension is not None and reached.part is not None:
        inside = resource.setdefault(extension.name, {})
        _change(inside, kind, Target(reached.part), value)
        if not inside:
            del resource[extension.name]
        return
    _change(resource, kind, reached, value)


def _extension(path: str, attributes: tuple[Attribute, ...]) -> Attribute | None:
    return next(
        (
            each
            for each in attributes
            if ":" in each.name and path.lower().startswith(each.name.lower())
        ),
        None,
    )


def _change(holder: Document, kind: str, reached: Target, value: object) -> None:
    attribute, last = reached.attribute, reached.part or reached.attribute
    if "readOnly" in (attribute.mutability, last.mutability):
        text = f"{last.name} cannot be written"
        raise Wrong(text, "mutability")
    if reached.where is None and reached.part is None:
        _whole(holder, kind, attribute, value)
    elif attribute.many:
        _some(holder, kind, reached, value)
    else:
        inside = holder.setdefault(attribute.name, {})
        _whole(inside, kind, last, value)
        if not inside:
            del holder[attribute.name]


def _whole(holder: Document, kind: str, attribute: Attribute, value: object) -> None:
    """Change an attribute as a whole."""
    if kind == "remove" and attribute.many and isinstance(value, list) and value:
        # Some directories name the values to remove beside the path.
        gone = [_identity(each) for each in value]
        kept = [each for each in holder.get(attribute.name, []) if _identity(each) not in gone]
        _set(holder, attribute.name, kept)
        return
    if kind == "remove" or value in (None, []):
        holder.pop(attribute.name, None)
        return
    fitted = fitting(attribute, value)
    if attribute.many and kind == "add":
        assert isinstance(fitted, list)
        _set(holder, attribute.name, _merged(holder.get(attribute.name, []), fitted))
    elif isinstance(fitted, dict):
        _set(holder, attribute.name, {**holder.get(attribute.name, {}), **fitted})
    else:
        holder[attribute.name] = fitted


def _some(holder: Document, kind: str, reached: Target, value: object) -> None:
    """Change the values of a list that a filter chooses, or one part of all of them."""
    attribute, values = reached.attribute, list(holder.get(reached.attribute.name, []))
    chosen = [each for each in values if reached.where is None or reached.where(each)]
    if kind == "remove":
        if reached.part is None:
            _set(holder, attribute.name, [each for each in values if each not in chosen])
            return
        for each in chosen:
            each.pop(reached.part.name, None)
        return
    if not chosen:
        text = f"no value of {attribute.name} is chosen by the path"
        raise Wrong(text, "noTarget")
    for each in chosen:
        if reached.part is not None:
            each[reached.part.name] = fitting(reached.part, value)
        else:
            each.update(fitting(attribute, [value])[0])  # type: ignore[index]  # a list of one
    holder[attribute.name] = values


def _merged(values: list[Any], more: list[Any]) -> list[Any]:  # Any: JSON values
    """Add values; one that is there already is not doubled, a new primary one is the only one."""
    known = [_identity(each) for each in values]
    fresh = [each for each in more if _identity(each) not in known]
    if any(isinstance(each, dict) and each.get("primary") for each in fresh):
        values = [{**each, "primary": False} for each in values]
    return [*values, *fresh]


def _identity(value: object) -> object:
    return value.get("value", value) if isinstance(value, dict) else value


def _set(holder: Document, name: str, value: Any) -> None:  # Any: a JSON value
    if value:
        holder[name] = value
    else:
        holder.pop(name, None)


def without(resource: Document, names: list[str], place: str) -> Document:
    """Leave attributes out of an answer; those that are always returned stay."""
    shown = copy.deepcopy(resource)
    for path in names:
        reached = _known(path, place)
        if reached is None or reached.attribute.returned == "always":
            continue
        if reached.part is None:
            shown.pop(reached.attribute.name, None)
        elif isinstance(inside := shown.get(reached.attribute.name), dict):
            inside.pop(reached.part.name, None)
    return shown


def only(resource: Document, names: list[str], place: str) -> Document:
    """Keep only some attributes in an answer, and those that are always returned."""
    chosen = {each.name for each in attributes_of(place) if each.returned == "always"}
    chosen |= {reached.attribute.name for path in names if (reached := _known(path, place))}
    return {name: value for name, value in resource.items() if name in chosen}


def _known(path: str, place: str) -> Target | None:
    """Read a path; None if this kind of resource has no such attribute, as in mixed searches."""
    try:
        return target(path, attributes_of(place))
    except Wrong:
        return None
