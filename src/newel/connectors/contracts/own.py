"""The contract of a connector of the company's own, from the document that it names.

What shipped connectors send and read is noted in their tests. Of another's nobody has noted it, so
it is taken from what is certain: of requests, the fields without which the document refuses them;
of answers, the fields of the connector's shapes that the document has at this place.
Source: connectors document, §10 and §19.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from newel.connectors.answers import Route
from newel.connectors.contract import Shape
from newel.connectors.contracts.agreed import Agreed, Contract
from newel.connectors.contracts.documents import Document
from newel.connectors.contracts.schemas import Field

__all__ = ["absent", "beside", "own_contract", "read_by"]


def beside(owner: type, file: str) -> Path:
    """Give the place of a file that a class names: relative to the module of the class."""
    return Path(sys.modules[owner.__module__].__file__ or ".").parent / file


def absent(document: Document, routes: Iterable[Route]) -> list[str]:
    """Name the routes that a document does not have, neither by their id nor by their place.

    Routes of further hosts are not of this document.
    """
    return [
        f"{route.operation} ({route.method} {route.path})"
        for route in routes
        if not route.host and document.operation(route.operation, _agreed(route)) is None
    ]


def read_by(owner: type) -> Mapping[str, Field]:
    """Give the fields of all shapes in the modules of a connector, its own and what it extends."""
    modules = [sys.modules[each.__module__] for each in owner.__mro__ if each is not object]
    shapes = (each for module in modules for each in vars(module).values())
    found: dict[str, Field] = {}
    for shape in shapes:
        if isinstance(shape, Shape):
            found.update(shape.fields())
    return found


def own_contract(
    system: str, document: Document, routes: Iterable[Route], reads: Mapping[str, Field]
) -> Contract:
    """Give what is relied on in a system, as the document has it now."""
    return Contract(system=system, operations=dict(_operations(document, routes, reads)))


def _operations(
    document: Document, routes: Iterable[Route], reads: Mapping[str, Field]
) -> Iterator[tuple[str, Agreed]]:
    for route in routes:
        agreed = replace(_agreed(route), reads=reads)
        described = document.described(route.operation, agreed)
        if route.host or described is None:
            continue
        sent = replace(agreed, sends=dict.fromkeys(described.required, "always"))
        whole = document.described(route.operation, sent)
        yield route.operation, replace(sent, document=document.name, described=whole)


def _agreed(route: Route) -> Agreed:
    return Agreed(method=route.method, path=route.path, sends={}, reads={})
