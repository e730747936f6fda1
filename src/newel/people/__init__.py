"""Who holds what, and the sentence that says where a person stands.

Reads through `store` and writes nothing: grants are written with the outcome that made them.
"""

from newel.people.finding import Hit, found
from newel.people.snapshot import Answer, answer, read_snapshot, unplanned
from newel.people.status import Part, Snapshot, Status, status

__all__ = [
    "Answer",
    "Hit",
    "Part",
    "Snapshot",
    "Status",
    "answer",
    "found",
    "read_snapshot",
    "status",
    "unplanned",
]
