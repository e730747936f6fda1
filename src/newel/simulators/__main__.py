"""Run simulators from the command line: `python -m newel.simulators --only github,slack`.

Prints one line of JSON when all of them listen: addresses by system, the token of the admin API,
and the pages. Ends on SIGINT or SIGTERM. Nothing else is written to standard output.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from .clock import SimulatedClock, moment_from
from .server import serve
from .world import FURTHER, SYSTEMS, World


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the arguments, serve until a signal comes, give the exit status."""
    options = _parser().parse_args(arguments)
    unknown = sorted(set(options.only) - {*SYSTEMS, *FURTHER})
    if unknown:
        _say(f"unknown system {', '.join(unknown)}; known: {', '.join((*SYSTEMS, *FURTHER))}")
        return 2
    try:
        asyncio.run(_serve(options))
    except OSError as wrong:
        _say(f"the simulators cannot listen: {wrong.strerror or wrong}")
        return 1
    return 0


def _say(problem: str) -> None:
    sys.stderr.write(problem + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m newel.simulators",
        description="Stand-ins of all systems that newel has connectors for, on loopback.",
    )
    parser.add_argument("--only", type=lambda text: text.split(","), default=[*SYSTEMS, *FURTHER])
    parser.add_argument("--base-port", type=int, default=0, help="first port; 0 takes free ones")
    parser.add_argument("--seed", type=int, default=0, help="decides ids and credentials")
    parser.add_argument("--state", type=Path, help="directory that keeps the state")
    parser.add_argument("--token", help="token of the admin API; made up if not given")
    parser.add_argument("--now", type=moment_from, help="moment the clock starts at (ISO 8601)")
    parser.add_argument("--page-size", type=int, help="longest page of any listing")
    parser.add_argument("--plan", choices=("pro", "business", "enterprise"), default="business")
    return parser


async def _serve(options: argparse.Namespace) -> None:
    clock = SimulatedClock()
    if options.now:
        clock.set(options.now)
    world = World(seed=options.seed, clock=clock, page_size=options.page_size, plan=options.plan)
    chosen = world.chosen(options.only)
    if options.state:
        options.state.mkdir(parents=True, exist_ok=True)
        for simulator in chosen:
            simulator.keep_in(options.state / f"{simulator.system}.json")
    token = options.token or secrets.token_urlsafe(18)
    async with serve(chosen, base_port=options.base_port, token=token) as addresses:
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, ended.set)
        pages = {name: f"{address}/_sim/?token={token}" for name, address in addresses.items()}
        sys.stdout.write(
            json.dumps({"addresses": addresses, "token": token, "pages": pages}) + "\n"
        )
        sys.stdout.flush()
        await ended.wait()


if __name__ == "__main__":
    sys.exit(main())
