"""The version of newel that runs."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Final


def _version() -> str:
    try:
        return version("newel")
    except PackageNotFoundError:
        return "0+source"


VERSION: Final[str] = _version()
"""As packaged; `0+source` where the package is not installed."""
