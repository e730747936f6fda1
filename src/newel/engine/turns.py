"""What a runner knows of systems that are called only so many times at once."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

__all__ = ["Turns"]


class Turns(Protocol):
    """Whose turn it is; see `places`."""

    def has_to_queue(self, run: UUID, system: str | None) -> bool:
        """Whether a step of a run has to wait for its turn."""
        ...

    def is_called(self, run: UUID, system: str | None) -> bool:
        """Whether a step that has waited may try: it was not refused just now."""
        ...

    def is_limited(self, system: str | None) -> bool:
        """Whether only so many attempts are made at a system at once."""
        ...
