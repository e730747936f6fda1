"""`newel simulators`: stand-ins of the systems as servers of this machine, until Ctrl-C."""

from __future__ import annotations

import asyncio
import secrets
import shlex
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from newel.base.errors import InvalidInput, StoreError
from newel.cli.output import columns, say, say_json
from newel.cli.parameters import AsJson

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from newel.simulators.core import Simulator

__all__ = ["simulators"]

Plan = Literal["pro", "business", "enterprise"]


def simulators(
    *,
    only: Annotated[str, Parameter(help="These alone: github,slack. Default: all.")] = "",
    base_port: Annotated[int, Parameter(help="Port of the first; 0 takes free ones.")] = 0,
    seed: Annotated[int, Parameter(help="Decides ids and credentials.")] = 0,
    state: Annotated[Path | None, Parameter(help="Directory that keeps their state.")] = None,
    plan: Annotated[Plan, Parameter(help="Plan of Slack.")] = "business",
    token: Annotated[str, Parameter(help="Opens pages and admin API. Default: drawn.")] = "",
    as_json: AsJson = False,
) -> None:
    """Serve stand-ins of the systems on this machine, each with a page to watch, until Ctrl-C.

    Prints the pages, and the environment that points connectors at them.
    """
    from newel.simulators.world import FURTHER, SYSTEMS, World

    known = (*SYSTEMS, *FURTHER)
    names = only.split(",") if only else list(known)
    if unknown := sorted(set(names) - set(known)):
        said = f"does not know {', '.join(unknown)}; known: {', '.join(known)}"
        raise InvalidInput({"only": said})
    world = World(seed=seed, plan=plan)
    chosen = world.chosen(names)
    if state is not None:
        state.mkdir(parents=True, exist_ok=True)
        for each in chosen:
            each.keep_in(state / f"{each.system}.json")
    try:
        asyncio.run(_served(chosen, base_port, token or secrets.token_urlsafe(18), as_json=as_json))
    except OSError as wrong:
        message = f"The simulators cannot listen: {wrong.strerror or wrong}."
        raise StoreError(message) from None


async def _served(
    chosen: Sequence[Simulator], base_port: int, token: str, *, as_json: bool
) -> None:
    from newel.simulators.server import serve

    async with serve(chosen, base_port=base_port, token=token) as addresses:
        ended = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, ended.set)
        pages = {name: f"{address}/_sim/?token={token}" for name, address in addresses.items()}
        environment = {
            name: value
            for each in chosen
            for name, value in each.credentials(addresses[each.system]).items()
        }
        if as_json:
            say_json({
                "addresses": addresses, "token": token, "pages": pages, "environment": environment
            })  # fmt: skip
        else:
            say(_told(pages, environment))
            sys.stdout.flush()
        await ended.wait()


def _told(pages: Mapping[str, str], environment: Mapping[str, str]) -> str:
    """Write what a person needs: where to look, and what to paste into another shell."""
    lines = [
        columns(("SYSTEM", "PAGE"), sorted(pages.items())),
        "",
        "# For the shell in which newel runs:",
        *(f"export {name}={_quoted(value)}" for name, value in sorted(environment.items())),
        "",
        "# Ctrl-C ends them.",
    ]
    return "\n".join(lines)


def _quoted(value: str) -> str:
    """Quote a value for bash or zsh; a key of many lines stays on one."""
    if "\n" not in value:
        return shlex.quote(value)
    escaped = value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return f"$'{escaped}'"
