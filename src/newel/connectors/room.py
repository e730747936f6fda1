"""What can be used up at a system: seats, licences and the like, had and in use. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["Room"]

_FEW: Final = 3
_FEW_OF: Final = 1 / 20


@dataclass(frozen=True, kw_only=True)
class Room:
    """Seats or licences of one kind.

    what: as `NoCapacity` names it. which: the product, where there are several of one kind.
    few: the share of all at which it is told that they run out.
    """

    what: str
    most: int
    used: int
    which: str = ""
    few: float = _FEW_OF

    @property
    def left(self) -> int:
        """How many more can be had."""
        return max(0, self.most - self.used)

    @property
    def is_short(self) -> bool:
        """Whether it is time to act: fewer than three are left, or than the share says."""
        return self.left < max(_FEW, self.most * self.few)

    def __str__(self) -> str:
        named = f"{self.what}, {self.which}" if self.which else self.what
        return f"{self.left} of {self.most} free ({named})"
