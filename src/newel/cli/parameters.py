"""Parameters that several commands share, each said once."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from cyclopts import Parameter

__all__ = ["AsJson", "Confirm", "Evidence", "Key", "NamedActor", "Reason", "Run"]

AsJson: TypeAlias = Annotated[
    bool, Parameter(name="--json", negative=(), help="Print JSON instead of text.")
]
NamedActor: TypeAlias = Annotated[
    str, Parameter(name="--actor", help="Who acts: work address, exact name or reference.")
]
Confirm: TypeAlias = Annotated[
    bool, Parameter(name="--confirm", negative=(), help="Agree to what somebody else has ordered.")
]
Reason: TypeAlias = Annotated[str, Parameter(name="--reason", help="Why; kept in the audit log.")]
Evidence: TypeAlias = Annotated[
    str, Parameter(name="--evidence", help="What shows that it was done: text or a link.")
]
Run: TypeAlias = Annotated[str, Parameter(help="Reference of a run: run_….")]
Key: TypeAlias = Annotated[str, Parameter(help="Key of a step, as `newel status RUN` shows it.")]
