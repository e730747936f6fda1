"""What is to be known before acts begin on a deploy, and which conditions lead past others.

An act is told by its key with what it does outside: a mail, money, something final. A condition is
told with the way that is taken now and the one that was gone. Source: drawing document, §10.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from newel.domain.patterns import Pattern
from newel.drawing.drawing import Drawing
from newel.drawing.duties import is_irreversible, step_of, writes_mail
from newel.drawing.regions import Act, Choice, Region, acts_of, exits, walk

__all__ = ["effects_of", "flips", "wrapped"]


def effects_of(drawing: Drawing, keys: Iterable[str]) -> tuple[str, ...]:
    """Each key, with what its act does outside: `slack.say (Slack, cannot be taken back)`."""
    return tuple(f"{key}{_outside(_act_of(drawing.tree, key))}" for key in keys)


def _outside(act: Act | None) -> str:
    step = None if act is None else step_of(act)
    if step is None:
        return ""
    title = str(getattr(step.owner, "title", "") or step.options.system or "")
    said = [title] if title else []
    if writes_mail(step):
        said.append("sends e-mail")
    if step.options.facts.get("moves_money"):
        said.append("moves money")
    if is_irreversible(step):
        said.append("cannot be taken back")
    return f" ({', '.join(said)})" if said else ""


def flips(drawing: Drawing, taken: Mapping[str, int], key: str) -> Iterator[str]:
    """The conditions that lead past the act of a key now, outermost first.

    taken: the arm of each choice that is taken as far as that is known.
    """
    for choice in walk(drawing.tree):
        if isinstance(choice, Choice) and (number := taken.get(choice.id)) is not None:
            now = choice.arms[number]
            was = [arm for arm in choice.arms if _act_of(arm.kid, key) is not None]
            asked = f"“{choice.label}” (line {choice.where.line})"
            if was and now is not was[0]:
                yield f"{asked} was “{was[0].label}” and is “{now.label}”."
            elif not was and "next" not in exits(now.kid) and _is_behind(drawing, choice, key):
                yield f"{asked} is “{now.label}”, which goes no further."


def wrapped(drawing: Drawing, key: str) -> Iterator[str]:
    """The section that an act of a key stands in now, and did not before."""
    was = Pattern.parsed(key)
    for act in acts_of(drawing.tree):
        now = act.pattern
        more = len(now.labels) - len(was.labels)
        is_same = (now.name, now.item, now.labels[more:]) == (was.name, was.item, was.labels)
        if more > 0 and is_same:
            yield f'In a section now? `with section("{now.labels[0]}", formerly="")`.'


def _is_behind(drawing: Drawing, choice: Choice, key: str) -> bool:
    act = _act_of(drawing.tree, key)
    return act is not None and (act.where.module, act.where.line) > (
        choice.where.module,
        choice.where.line,
    )


def _act_of(region: Region, key: str) -> Act | None:
    """The act of a key; a key without its counter fits alone."""
    return next(
        (act for act in acts_of(region) if isinstance(act, Act) and act.pattern.matches(key)), None
    )
