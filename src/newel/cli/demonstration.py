"""`newel demo`: one onboarding through an outage, played on this machine before one's eyes."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from newel.cli.parameters import AsJson

__all__ = ["demo"]


def demo(
    *,
    once: Annotated[
        bool, Parameter(negative=(), help="Play it and end, instead of going on until Ctrl-C.")
    ] = False,
    as_json: AsJson = False,
    port: Annotated[int | None, Parameter(help="Port of the console; 0 takes a free one.")] = None,
) -> None:
    """Watch Jane Doe being onboarded while GitHub is down: real servers, all on this machine."""
    from newel.base.settings import load_settings
    from newel.cli.demo.stage import played
    from newel.cli.deployment import carried_out

    settings = load_settings() if port is None else load_settings(port=port)
    carried_out(played(settings, once=once, as_json=as_json))
