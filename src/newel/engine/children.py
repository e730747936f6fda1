"""Child runs as the runner sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from newel.domain.acts import OpenAct

if TYPE_CHECKING:
    from newel.engine.runner import Runner


def cancel(run: Runner, act: OpenAct) -> None:
    """Ask for the end of a child whose parent's act is cancelled."""
