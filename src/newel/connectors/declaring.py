"""What an operation says of itself, as data, and what is wrong with what it says.

The engine reads grants and doubt from it, the plan what can be taken back and whose mailbox it
reaches, the inventory which scopes are needed. What is missing or contradicts itself is refused
when the connector is imported, all of it at once.
Source: connectors document, §3.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any, Final, Literal, get_args

from newel.base.errors import DefinitionError
from newel.connectors.capability import ByHand, Chosen, Way
from newel.flow.step import Step, StepOptions
from newel.flow.waits import LONGEST_TITLE

__all__ = ["Declared", "Idempotency", "Mail", "check", "declared"]

Idempotency = Literal["read", "put", "natural", "marker", "client_id", "key_header", "append"]
Mail = Literal["none", "person", "admins"]

_REVERSIBLE: Final = ("yes", "with_loss", "no")
_LONGEST: Final = timedelta(seconds=60)


@dataclass(frozen=True, kw_only=True)
class Declared:
    """What an operation says of itself, beside what every step says.

    idempotency: what makes a repeated call safe; `read` for operations that change nothing.
    Without a natural key what it makes belongs to this one act: (run, key).
    reversible: `yes`, `with_loss`, `no`, or `until:<condition>`. undo: an operation of the
    same connector, or `none: <reason>`. needs: smallest scopes, `a|b` for any one.
    spec, reads: operations of the vendor's specification that it may call.
    settle: seconds at which a negative look-up is repeated before it is believed.
    ways: in order; the first that plan and token allow is taken. by_hand: what stands behind them.
    locks_out: whether it takes access away for a while, though it ends no grant. doubles: the
    operation of the same connector that finds all of what it should have made once, for a person.
    """

    idempotency: Idempotency
    ways: tuple[Way, ...]
    by_hand: ByHand | None
    reversible: str
    undo: str
    sends_email: Mail
    moves_money: bool
    needs: tuple[str, ...]
    spec: tuple[str, ...]
    reads: tuple[str, ...]
    bucket: str
    settle: tuple[float, ...]
    approval: str | None
    locks_out: bool
    doubles: str

    @property
    def has_choice(self) -> bool:
        """Whether plan and token decide how it is done, or whether it is done by hand."""
        return self.by_hand is not None or any(way.capability for way in self.ways)

    def chosen_by(self, connector: Any) -> Chosen:  # Any: one that knows what plan and token can do
        """Give the way that is open now; the only one, where there is no choice."""
        if not self.has_choice:
            return Chosen(path=self.ways[0].path)
        found: Chosen = connector.choose(self)
        return found

    def facts(self) -> Mapping[str, object]:
        """Give the declaration by name, as the step carries it."""
        return {entry.name: getattr(self, entry.name) for entry in fields(self)}


def declared(step: Step[..., Any]) -> Declared:
    """Read the declaration back from an operation's step."""
    return Declared(**step.options.facts)  # type: ignore[arg-type]  # written by `facts`


def check(name: str, facts: Declared, options: StepOptions, *, has_verify: bool) -> None:
    """Refuse a declaration that is incomplete or contradicts itself, all findings at once."""
    findings = list(_findings(facts, options, has_verify=has_verify))
    if findings:
        wrong = "; ".join(what for what, _ in findings)
        raise DefinitionError(
            f"The operation `{name}` is declared wrongly: {wrong}.",
            fix="; ".join(fix for _, fix in findings) + ".",
            code="F709",
        )


def _findings(facts: Declared, options: StepOptions, *, has_verify: bool) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    is_read = facts.idempotency == "read"
    if facts.idempotency not in get_args(Idempotency):
        found.append((f"unknown idempotency {facts.idempotency!r}", "one of the documented words"))
    if not facts.needs:
        found.append(("it names no scope", '`needs=("…",)`, or what the credential must be'))
    if not (facts.spec or facts.reads):
        found.append(("it names no operation of the vendor", "`spec=` and `reads=`"))
    if is_read and (facts.spec or options.revokes or facts.undo or facts.reversible):
        found.append(("a read changes nothing", "drop `spec`, `revokes`, `undo`, `reversible`"))
    if not is_read:
        found += _findings_of_change(facts, options, has_verify=has_verify)
    if options.level and not options.grants:
        found.append(("a level without a grant", "`grants=`"))
    if list(facts.settle) != sorted(set(facts.settle)) or facts.settle[:1] != (0,):
        found.append(("settle times do not ascend from 0", "`settle=(0, …)`"))
    if facts.by_hand is not None:
        found += _findings_by_hand(facts.by_hand)
    if facts.has_choice and has_verify:
        found.append(
            ("its `verify` would not know the way", "drop `verify=`: the look-up is enough")
        )
    if facts.moves_money and facts.approval is None:
        found.append(("it moves money without an approval", "`approval=`"))
    if options.timeout is None or not timedelta(0) < options.timeout <= _LONGEST:
        found.append(("its time-out is not within 60 seconds", "`timeout=seconds(20)`"))
    return found


def _findings_by_hand(by_hand: ByHand) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    if not 0 < len(by_hand.title) <= LONGEST_TITLE or by_hand.title.endswith("."):
        what = f"its work by hand has no title of at most {LONGEST_TITLE} characters"
        found.append((what, '`title="invite them in …"`, without a full stop'))
    if not by_hand.how:
        found.append(("it does not say how it is done by hand", '`how=("…",)`'))
    if any("{person" in each for each in (by_hand.title, *by_hand.how)):
        found.append(("its instructions name a person", "say `them`: the task shows whom"))
    return found


def _findings_of_change(
    facts: Declared, options: StepOptions, *, has_verify: bool
) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    if not facts.spec:
        found.append(("it changes something by no known call", "`spec=`"))
    if options.natural_key is None and facts.idempotency in {"put", "natural"}:
        found.append(("it does not say what it looks up", "`natural_key=`"))
    if facts.reversible not in _REVERSIBLE and not facts.reversible.startswith("until:"):
        found.append(("it does not say whether it can be taken back", "`reversible=`"))
    if facts.doubles and facts.idempotency not in {"append", "marker"}:
        found.append(("nothing can double what it makes", "drop `doubles=`"))
    if not facts.undo:
        found.append(("it has no undo", '`undo="operation"`, or `undo="none: reason"`'))
    if facts.idempotency == "append" and not has_verify and options.natural_key is None:
        found.append(("nothing makes a repeat safe", "`verify=`, or a `natural_key=`"))
    return found
