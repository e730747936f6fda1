"""What was made again in doubt is looked for ten minutes later: a person may have it twice.

An answer was lost, what was asked for was not to be seen at any of the settle times, and so it was
asked for once more. In a system where nothing is unique and nothing can be marked (payroll, HR),
the first one may show up later still. So the outcome of such a step starts a run of
`newel.second-record`, in the same transaction; it rests for ten minutes, asks the system for all
that this person has there, and where that is more than one, puts them before the team that answers
for the system. Nobody is asked about what is there once.

A worker that dies between asking again and writing the outcome has asked again, too, for all that
is known: `Trouble.redone`.
Source: connectors document, §4.2.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from newel.base.ids import reference
from newel.connectors.base import Connector
from newel.domain.acts import OpenAct
from newel.domain.people import Person, Team
from newel.domain.values import Account, Effect
from newel.engine.operating import Operating
from newel.engine.runner import Runner
from newel.engine.starting import ChildOf, Start, born
from newel.flow.act import Act, StepAct
from newel.flow.forms import form
from newel.flow.process import Process, process
from newel.flow.waits import LONGEST_TITLE, timer

__all__ = ["NAME", "Redone", "Sweeping"]

NAME: Final = "newel.second-record"
_SWEEP: Final = timedelta(minutes=10)


@dataclass(frozen=True, kw_only=True)
class Redone:
    """What was made again in doubt, for whom, and how it is looked for.

    look: the operation that finds all of it. made: the id of what was made last; empty where an
    earlier one was found in its place.
    """

    person: Person
    system: str
    look: str
    run: str
    key: str
    made: str


class Sweeping:
    """Starts a run for each step that was made again in doubt, with the step's outcome."""

    def __init__(self, operating: Operating, connectors: Iterable[object]) -> None:
        """Take what seals, numbers and names runs, and the systems that can be asked."""
        known = {each.name: each for each in connectors if isinstance(each, Connector)}
        self.process: Process[[Redone], int] = _second_record(known)
        self._operating = operating

    def after(
        self,
        run: Runner,
        opened: OpenAct,
        act: StepAct[Any],  # Any: each has its own result
        effect: Effect | None,
    ) -> None:
        """Start the run that looks, if the operation says how; it stands or falls with the outcome.

        It is about the run's subject, and sealed under that person's key.
        """
        look = act.step.options.facts.get("doubles")
        given = (*act.args, *act.kwargs.values())
        person = next((each for each in given if isinstance(each, Person)), None)
        if not look or person is None or opened.system is None:
            return
        is_made = effect is not None and effect.changed and "found" not in effect.evidence
        redone = Redone(
            person=person,
            system=opened.system,
            look=str(look),
            run=reference("run", run.id),
            key=opened.key,
            made=effect.external_id if effect is not None and is_made else "",
        )
        id_ = run.host.new_uuid()
        started, _, _, _ = born(
            Start(
                run=id_,
                process=self.process,
                version=self._operating.versions[NAME],
                arguments={"redone": redone},
                subject=run.loaded.subject,
                actor=run.host.actor,
                source="run",
                source_ref=reference("run", run.id),
                at=run.moment,
                sealer=run.sealer.of_run(id_),
                child_of=ChildOf(
                    run=run.id, key=f"{opened.key}/{opened.attempt}/{NAME}", with_parent=False
                ),
            ),
            self._operating.new_event_id,
        )
        run.change.together.append(started)


def _second_record(systems: dict[str, Connector]) -> Process[[Redone], int]:
    def all_of(redone: Redone) -> Act[tuple[Account, ...]]:
        looking: Act[tuple[Account, ...]] = getattr(systems[redone.system], redone.look)(
            redone.person
        )
        return looking

    @process(
        name=NAME,
        title="Look for a second record",
        owner="it",
        subject=lambda redone: redone.person,
    )
    async def second_record(redone: Redone) -> int:
        """Look whether there are two of what was made again in doubt, and ask about them."""
        await timer("settled", after=_SWEEP)
        if redone.system not in systems:
            return 0
        found = await all_of(redone)
        if len(found) > 1:
            system = systems[redone.system]
            await form(
                "two-records",
                by=Team(system.owner),
                title=f"two records of one person in {system.title}"[:LONGEST_TITLE],
                instructions=_instructions(redone, system.title, [each.id for each in found]),
                evidence="note",
            )
        return len(found)

    return second_record


def _instructions(redone: Redone, title: str, ids: list[str]) -> str:
    if redone.made in ids:
        first = " or ".join(each for each in ids if each != redone.made)
        which = f"{redone.made} was made last, so {first} is the oldest: keep that one."
    else:
        which = f"{title} shows which of them was added first: keep that one."
    told = (
        f"The answer to step {redone.key} of {redone.run} was lost. {title} showed nothing of it, "
        "so newel asked once more, and now there is more than one record of this person: "
        f"{', '.join(ids)}."
    )
    lines = [
        told,
        f"1. Open {title}, and compare them: nobody may be paid or counted twice.",
        f"2. {which}",
        "3. Move over what was entered in the other, and delete it, or have the two merged them.",
        "4. Say here which one is left.",
    ]
    return "\n".join(lines)
