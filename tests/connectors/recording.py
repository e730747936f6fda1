"""What connectors send and read in their tests: the source of the contracts, and their proof.

As a plugin (`-p tests.connectors.recording`, as `scripts/contracts.py` calls it) it writes down
what a whole run of tests has seen. In each test by itself it holds what is seen against the
contract, so a contract that is behind its connector fails the test that shows it.
"""

from __future__ import annotations

import json
import os
import pkgutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import newel.connectors
from newel.connectors.answers import Answer, Route
from newel.connectors.contract import Shape
from newel.connectors.contracts.agreed import contract, systems
from newel.connectors.contracts.schemas import Field, joined
from newel.connectors.http import Http
from newel.connectors.looking import WouldChange

WHERE = "CONTRACTS_RECORDED_IN"
_SYSTEM_OF = {"payroll": "gusto", "github_issues": "github"}
# Token endpoints are the vendor's, not an operation's; a webhook is the receiver's, and what stands
# behind a mapping is the company's.
_NOT_OURS = {"auth", "hr_mapped", "outgoing"}
_DEEPEST = 3


@cache
def routes() -> Mapping[Route, str]:
    """Give every route of newel's own connectors, and whose it is."""
    found: dict[Route, str] = {}
    for module in pkgutil.walk_packages(newel.connectors.__path__, "newel.connectors."):
        name = module.name.rpartition(".")[2]
        system = _SYSTEM_OF.get(name) or _SYSTEM_OF.get(name.partition("_")[0])
        for each in vars(import_module(module.name)).values():
            if isinstance(each, Route) and name not in _NOT_OURS:
                found.setdefault(each, system or name.partition("_")[0])
    return found


@dataclass
class Seen:
    """What was seen of one route."""

    always: set[str] | None = None
    ever: set[str] = field(default_factory=set)
    reads: dict[str, Field] = field(default_factory=dict)

    def sent(self, names: set[str]) -> None:
        """Note the fields of one request."""
        self.always = names if self.always is None else self.always & names
        self.ever |= names

    def read(self, fields: Mapping[str, Field]) -> None:
        """Note the fields of one answer."""
        self.reads.update(fields)


@dataclass
class Recorder:
    """What was seen, by route."""

    seen: dict[Route, Seen] = field(default_factory=dict)

    def at(self, route: Route) -> Seen | None:
        """Give the notes on a route; None if it is not of a connector of ours."""
        return self.seen.setdefault(route, Seen()) if route in routes() else None

    def unknown(self) -> list[str]:
        """Say what of it is in no contract, a sentence each."""
        found = []
        for route, seen in self.seen.items():
            system = routes()[route]
            known = contract(system).operations if system in systems() else {}
            agreed = known.get(route.operation)
            if agreed is None:
                found.append(f"{system}: {route.operation} is not in the contract")
                continue
            always = {name for name, often in agreed.sends.items() if often == "always"}
            missing = always - (seen.always if seen.always is not None else always)
            place = f"{system}: {route.operation}"
            found += [f"{place} sends {name}" for name in sorted(seen.ever - set(agreed.sends))]
            found += [f"{place} does not always send {name}" for name in sorted(missing)]
            found += [
                f"{place} reads {name}" for name in sorted(set(seen.reads) - set(agreed.reads))
            ]
        return found

    def notes(self) -> list[dict[str, Any]]:
        """Give everything as JSON data."""
        return [
            {
                "system": routes()[route],
                "operation": route.operation,
                "method": route.method,
                "path": route.path,
                "always": sorted(each.always or ()),
                "is_sent": each.always is not None,
                "ever": sorted(each.ever),
                "reads": {
                    name: {"types": said.types, "values": said.values}
                    for name, said in each.reads.items()
                },
            }
            for route, each in self.seen.items()
        ]


@contextmanager
def recorded(into: Recorder) -> Iterator[None]:
    """Note every request and every answer that is read, until the block ends."""
    call, read = Http.call, Shape.read

    async def noted_call(self: Http, route: Route, *args: Any, **options: Any) -> Answer:
        try:
            answer = await call(self, route, *args, **options)
        except WouldChange:
            raise
        except Exception:
            _note(into, route, options)
            raise
        _note(into, route, options)
        return answer

    def noted_read(self: Shape[Any], answer: Answer) -> Any:
        found = read(self, answer)
        if (seen := into.at(answer.route)) is not None:
            seen.read(self.fields())
        return found

    Http.call, Shape.read = noted_call, noted_read  # type: ignore[method-assign]  # for a test
    try:
        yield
    finally:
        Http.call, Shape.read = call, read  # type: ignore[method-assign]  # as it was


def _note(into: Recorder, route: Route, options: Mapping[str, Any]) -> None:
    if options.get("url") is None and (seen := into.at(route)) is not None:
        names = set(options.get("query") or ()) | set(options.get("form") or ())
        seen.sent(names | set(_names(options.get("body"), "")))


def _names(body: object, path: str, depth: int = 0) -> Iterator[str]:
    inner: list[tuple[str, object]] = []
    if isinstance(body, Mapping):
        inner = [(joined(path, str(name)), each) for name, each in body.items()]
    elif isinstance(body, list | tuple):
        inner = [(joined(path, "[]"), each) for each in body]
    if inner and depth <= _DEEPEST:
        for below, each in inner:
            yield from _names(each, below, depth + 1)
    elif path:
        yield path


_WHOLE_RUN = Recorder()


def pytest_configure(config: Any) -> None:
    """Begin to note, where the plugin is asked for."""
    if os.environ.get(WHERE):
        context = recorded(_WHOLE_RUN)
        context.__enter__()
        config.add_cleanup(lambda: context.__exit__(None, None, None))


def pytest_sessionfinish() -> None:
    """Write down what this process has seen."""
    if (directory := os.environ.get(WHERE)) and _WHOLE_RUN.seen:
        file = Path(directory) / f"{os.getpid()}.json"
        file.write_text(json.dumps(_WHOLE_RUN.notes()), encoding="utf-8")
