"""The rules of a process body: their codes, their levels, and how a warning is silenced.

What is wrong, with the names of the case, is said where it is found; what every code means is in
`docs/drawing.md`. An error means that the process could not be drawn, found again after a restart,
or understood by whoever answers for it. Source: drawing document, §5.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from newel.base.findings import Finding
from newel.drawing.regions import Where

__all__ = ["RULES", "Allowed", "Level", "allowed_in", "found", "sorted_out"]

Level = Literal["error", "warning"]

RULES: Final[dict[str, tuple[Level, str]]] = {
    "F100": ("error", "newel cannot read this yet"),
    "F101": ("error", "a step or wait is called and never awaited"),
    "F102": ("error", "a key or name is computed"),
    "F103": ("error", "what is awaited cannot be seen"),
    "F104": ("error", "what is awaited is not durable"),
    "F105": ("error", "concurrency or sleep of the standard library"),
    "F106": ("error", "the source is not there"),
    "F107": ("error", "a decorator hides the body"),
    "F108": ("error", "an act stands in a nested function"),
    "F109": ("error", "a generator or `async for`"),
    "F110": ("error", "a foreign block around an act"),
    "F201": ("error", "clock, chance or identity: another answer on replay"),
    "F202": ("error", "input or output in the body"),
    "F203": ("error", "a set is iterated: its order differs between processes"),
    "F204": ("error", "something outside the body is changed"),
    "F205": ("error", "an `except` that would catch the signals of newel"),
    "F206": ("error", "a helper without acts is not pure"),
    "F207": ("error", "dynamic code or threads"),
    "F208": ("warning", "printing or logging repeats at every resumption"),
    "F209": ("error", "a branch changes what another can see"),
    "F301": ("error", "one key at two places"),
    "F302": ("error", "branches beside each other share a key"),
    "F303": ("warning", "a loop over data numbers its acts by position"),
    "F304": ("error", "a key is malformed or too long"),
    "F305": ("warning", "an item comes from a position"),
    "F306": ("warning", "an item looks personal"),
    "F307": ("error", "`formerly=` names a key in use"),
    "F308": ("warning", "a section without acts"),
    "F401": ("error", "an act that runs only sometimes inside an expression"),
    "F402": ("error", "an act in a nested comprehension"),
    "F403": ("error", "an endless loop without a wait"),
    "F404": ("warning", "an act that is never reached"),
    "F405": ("error", "`except` around what raises a group"),
    "F406": ("warning", "a handler that nothing in its block can reach"),
    "F407": ("warning", "a deadline that nobody handles"),
    "F408": ("warning", "a promise after the act that it undoes"),
    "F409": ("error", "too large or too deep"),
    "F410": ("warning", "recursion without a wait or a bound"),
    "F411": ("error", "`return`, `break` or `continue` in a `finally` with acts"),
    "F501": ("error", "a person's act without an owner"),
    "F502": ("warning", "one person is asked without deadline or reminder"),
    "F503": ("warning", "a process without an owner"),
    "F504": ("warning", "a step without system or permission"),
    "F505": ("warning", "a step that can be parked, without a runbook"),
    "F506": ("warning", "something final before what can fail, in one compensation block"),
    "F507": ("warning", "an effect outside that nobody can look for after a lost answer"),
    "F601": ("warning", "access or money without a decision; an error where one is asked for"),
    "F602": ("warning", "a mail, or something final, before anybody is asked"),
    "F603": ("warning", "somebody is asked to decide their own wish"),
}
"""Code: level, and what it is about in a few words."""


def found(  # the facts of a finding, in the order in which they are said
    code: str, where: Where, what: str, fix: str, *, level: Level | None = None
) -> Finding:
    """Make a finding of a rule; `level` where the case decides it."""
    return Finding(
        module=where.module,
        line=where.line,
        column=where.column,
        code=code,
        what=what,
        fix=fix,
        level=level or RULES[code][0],
    )


@dataclass(frozen=True, slots=True, order=True)
class Allowed:
    """A warning that its author has silenced, with the reason that the dossier prints."""

    module: str
    line: int
    code: str
    reason: str


_ALLOW: Final = re.compile(r"newel: allow (F\d{3}) because (\S.*)")


def allowed_in(module: str, comments: dict[int, str]) -> Iterable[Allowed]:
    """The silenced warnings of a file: `# newel: allow F303 because …` on the line itself."""
    for line, text in comments.items():
        if (said := _ALLOW.search(text)) is not None:
            yield Allowed(module, line, said[1], said[2].strip())


def sorted_out(
    findings: Iterable[Finding], allowed: Iterable[Allowed]
) -> tuple[tuple[Finding, ...], tuple[Allowed, ...]]:
    """Findings in order without those that are silenced, and what has silenced some.

    Errors cannot be silenced.
    """
    known = {(each.module, each.line, each.code): each for each in allowed}
    kept: list[Finding] = []
    used: set[Allowed] = set()
    for each in sorted(set(findings)):
        silencer = known.get((each.module, each.line, each.code))
        if silencer is None or each.level == "error":
            kept.append(each)
        else:
            used.add(silencer)
    return tuple(kept), tuple(sorted(used))
