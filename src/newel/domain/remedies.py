"""What helps when a step is parked: for each reason a sentence and the verb that is offered first.

One table for the console and for the dossier of a process: what is read beforehand is what is
read when it happens. Source: console document, §12; drawing document, §14.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

__all__ = ["OTHERWISE", "REMEDIES", "Remedy"]


@dataclass(frozen=True, slots=True)
class Remedy:
    """What helps. symptom: what is seen, after the system's name; text: `{system}` is its name."""

    symptom: str
    text: str
    verb: str

    def of(self, system: str) -> str:
        """Say it of a system."""
        return self.text.format(system=system)


REMEDIES: Final = MappingProxyType(
    {
        "outage": Remedy(
            "does not answer",
            "newel keeps looking and goes on by itself when {system} answers.",
            "retry",
        ),
        "unknown": Remedy(
            "gave no answer, and it may have happened",
            "Look in {system}, then say what you found.",
            "complete-by-hand",
        ),
        "ownership-conflict": Remedy(
            "has such an account already, and nothing shows whose it is",
            "Same person: say so in its task, or complete by hand. Another: change the name.",
            "complete-by-hand",
        ),
        "invalid": Remedy("refuses the data", "Correct the input.", "skip"),
        "forbidden": Remedy(
            "does not allow it to newel", "Give the permission, then retry.", "retry"
        ),
        "auth-failed": Remedy(
            "does not accept newel's credential", "Renew it, then retry.", "retry"
        ),
        "no-capacity": Remedy("has no free seat", "Buy one or free one, then retry.", "retry"),
        "contract-drift": Remedy(
            "answers in another form",
            "A developer must update the connector. Nothing done so far is lost.",
            "retry",
        ),
        "bug": Remedy(
            "is not at fault: the step's code failed",
            "A developer must fix it. Retry after the deploy.",
            "retry",
        ),
        "drifted": Remedy(
            "is not at fault: the input has changed since the step ran",
            "Keep the result that it gave, or run it again.",
            "keep",
        ),
    }
)

OTHERWISE: Final = Remedy("is parked", "Look at the attempts, then retry.", "retry")
"""For every other reason."""
