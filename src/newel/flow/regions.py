"""`section`: a prefix for the keys of everything inside, helpers included."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from newel.base.errors import DefinitionError
from newel.domain.keys import Subscript, encoded
from newel.flow.act import Act
from newel.flow.context import FORMER_SECTIONS, SECTION


@contextmanager
def section(
    label: Subscript, *, formerly: Subscript | tuple[Subscript, ...] = ()
) -> Generator[None]:
    """Put `label/` before all keys inside the block; sections nest.

    formerly: the labels that it had in earlier code, one or several; `""` where the acts inside
    stood in no section here. Raises DefinitionError for the reserved label `undo`.
    """
    prefix = encoded(label)
    if prefix == "undo":
        raise DefinitionError("The label `undo` is reserved for promises. Fix: another label.")
    outer, outer_former = SECTION.get(), FORMER_SECTIONS.get()
    token = SECTION.set(f"{outer}{prefix}/")
    former_token = None
    if outer_former or formerly != ():
        labels = [f"{prefix}/", *_labels(formerly)]
        former = tuple(f"{before}{each}" for each in labels for before in (outer, *outer_former))
        former_token = FORMER_SECTIONS.set(former[1:])
    try:
        yield
    finally:
        SECTION.reset(token)
        if former_token is not None:
            FORMER_SECTIONS.reset(former_token)


def _labels(formerly: Subscript | tuple[Subscript, ...]) -> list[str]:
    known = formerly if isinstance(formerly, tuple) else (formerly,)
    return ["" if label == "" else f"{encoded(label)}/" for label in known]


def former_keys(act: Act[Any], section: str, former_sections: tuple[str, ...]) -> tuple[str, ...]:
    """The keys that an act in a section had, without counters: the likeliest first.

    A former key is looked up where the act stands now, in the sections' former labels, and as it
    is written, from the top.
    """
    if not act.formerly and not former_sections:
        return ()
    names = (act.base, *act.formerly)
    promise = "undo/" if section.startswith("undo/") else ""
    places = (section, *(f"{promise}{each}" for each in former_sections))
    found = [f"{place}{name}" for name in names for place in places]
    if section:
        found += [f"{promise}{name}" for name in act.formerly]
    return tuple(dict.fromkeys(found[1:]))
