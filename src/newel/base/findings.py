"""Findings: what is wrong with code as it is written, each with its place and how to mend it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding"]


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class Finding:
    """One thing that cannot work, as it is said: `module:line:col code level: what. Fix: how`."""

    module: str
    line: int
    column: int
    code: str
    what: str
    fix: str
    level: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        at = f"{self.module}:{self.line}:{self.column}"
        return f"{at} {self.code} {self.level}: {self.what} Fix: {self.fix}"
