"""Forms: typed data that one person fills in, or work that one person does by hand.

A form is a task like an approval. With a schema its value is validated field by field before
anything is recorded, and the body gets that value; without one the body gets a `Done`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, TypeVar, get_args, overload

from newel.base.codec import codec_of
from newel.base.errors import DefinitionError
from newel.domain.keys import Formerly
from newel.domain.values import Done
from newel.flow.act import Act
from newel.flow.waits import DONE, Asked, Evidence, Span, WaitSpec, wait_act

T = TypeVar("T")


@overload
def form(
    key: str,
    schema: type[T],
    *,
    by: Asked,
    within: Span | None = None,
    remind: timedelta | None = None,
    title: str | None = None,
    instructions: str | None = None,
    evidence: Evidence = "none",
    formerly: Formerly = (),
) -> Act[T]: ...
@overload
def form(
    key: str,
    *,
    by: Asked,
    within: Span | None = None,
    remind: timedelta | None = None,
    title: str | None = None,
    instructions: str | None = None,
    evidence: Evidence = "none",
    formerly: Formerly = (),
) -> Act[Done]: ...
def form(
    key: str,
    schema: type[Any] | None = None,  # Any: the overloads say what
    *,
    by: Asked,
    within: Span | None = None,
    remind: timedelta | None = None,
    title: str | None = None,
    instructions: str | None = None,
    evidence: Evidence = "none",
    formerly: Formerly = (),
) -> Act[Any]:
    """Ask one person (or any member of a team) for typed data, or to do something by hand.

    schema: a frozen dataclass or another type that the journal keeps; its JSON Schema makes the
    page and validates API and CLI alike. within, remind: as in `approval`. evidence: `"note"`
    asks for at least ten characters on what shows that it is true or done, `"file"` for a file of
    at most 10 MB. Raises DefinitionError for another kind of evidence.
    """
    if evidence not in get_args(Evidence):
        raise DefinitionError(
            f"form({key!r}) asks for evidence {evidence!r}, which there is not.",
            fix='`evidence="note"` or `evidence="file"`.',
        )
    spec = WaitSpec(
        kind="form",
        result=DONE if schema is None else codec_of(schema),
        by=by,
        within=within,
        remind=remind,
        title=title,
        instructions=instructions,
        schema=schema,
        evidence=evidence,
    )
    return wait_act(key, spec, formerly)
