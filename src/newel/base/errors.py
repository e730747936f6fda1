"""Every exception of newel, so that a reader sees from the base class whose problem it is.

    NewelError
        DefinitionError
            DuplicateKey
            NotDurable
            NotDrawable
            NotJournalable
            OutsideRun
            NestedAct
            ActReused
            Refused
        ProcessError
            Overdue
            Rejected
            StepFailed
            ChildFailed
        StepError
            Transient
            Throttled
            NotReady
            OutcomeUnknown
            AlreadyDone
            OwnershipConflict
            Invalid
            Forbidden
            AuthFailed
            NoCapacity
            ContractDrift
            Bug
        RequestError
            InvalidInput
            NotFound
            AlreadyStarted
            NotWaiting
            AlreadyDecided
            NotAllowed
            SelfApproval
            ReasonMissing
            NotSkippable
            NotEnded
            PastNotKept
        StoreError
            SchemaOutdated
            OutcomeUnreadable
            PoolerUnsuitable
        AuditError
            LogInconsistent
            CheckpointInvalid
    Unwind
        Suspended
        Cancelled
        LeaseLost

A `DefinitionError` is for the author of a process, a `ProcessError` may be caught in one, a
`StepError` is raised by the author of a step, a `RequestError` is for a caller, a `StoreError` and
an `AuditError` are for the operator. An `Unwind` is no error but control flow.

Constructors take facts and build the sentence: what is wrong, where, and the next thing to do. The
facts stay attributes, and `facts()` gives them to the log, to problem+json and to the console.
Source: our own style document §7, connectors document §5.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from inspect import getdoc
from types import MappingProxyType
from typing import ClassVar, Literal, Unpack

from newel.base.call_facts import Facts
from newel.base.findings import Finding

__all__ = [
    "ActReused",
    "AlreadyDecided",
    "AlreadyDone",
    "AlreadyStarted",
    "AuditError",
    "AuthFailed",
    "Bug",
    "Cancelled",
    "CheckpointInvalid",
    "ChildFailed",
    "ContractDrift",
    "DefinitionError",
    "DuplicateKey",
    "Forbidden",
    "Invalid",
    "InvalidInput",
    "LeaseLost",
    "LogInconsistent",
    "NestedAct",
    "NewelError",
    "NoCapacity",
    "NotAllowed",
    "NotDrawable",
    "NotDurable",
    "NotEnded",
    "NotFound",
    "NotJournalable",
    "NotReady",
    "NotSkippable",
    "NotWaiting",
    "OutcomeUnknown",
    "OutcomeUnreadable",
    "OutsideRun",
    "Overdue",
    "OwnershipConflict",
    "PastNotKept",
    "PoolerUnsuitable",
    "ProcessError",
    "ReasonMissing",
    "Refused",
    "Rejected",
    "RequestError",
    "SchemaOutdated",
    "SelfApproval",
    "StepError",
    "StepFailed",
    "StoreError",
    "Suspended",
    "Throttled",
    "Transient",
    "Unwind",
    "problem_type",
]


class NewelError(Exception):
    """Everything that newel itself says is wrong."""

    def facts(self) -> dict[str, object]:
        """Give the facts by name, without those that are absent."""
        return {
            name: value
            for name, value in vars(self).items()
            if not name.startswith("_") and value is not None and value not in ("", (), {})
        }


class DefinitionError(NewelError):
    """A process is written wrongly; raised at registration and by `newel check`."""

    def __init__(self, what: str, *, fix: str = "", code: str = "", place: str = "") -> None:
        """Take what is wrong, how to mend it, the finding's code (`F302`) and where it stands."""
        self.what, self.fix, self.code, self.place = what, fix, code, place
        where = f"{place} {code} error" if place and code else place or code
        said = f"{what} Fix: {fix}" if fix else what
        super().__init__(f"{where}: {said}" if where else said)


class DuplicateKey(DefinitionError):
    """Two acts share a key, at registration or at run time; places: `module:line`, in order."""

    def __init__(self, *, key: str, places: Sequence[str] = (), code: str = "F301") -> None:
        self.key, self.places = key, tuple(places)
        at = f" at {' and '.join(dict.fromkeys(self.places))}" if self.places else ""
        why = (
            "the same item twice, or none" if len(set(self.places)) == 1 else "one key, two places"
        )
        super().__init__(
            f"Two acts use the key `{key}` at once{at}: {why}.",
            fix=f'an item for each (`{key}["…"](…)`), or `with section("…"):` around one of them.',
            code=code,
        )


class NotDurable(DefinitionError):
    """An await that is neither step, wait, block, process nor readable helper."""

    def __init__(
        self, *, awaited: str, place: str = "", code: str = "F104", why: str = "", fix: str = ""
    ) -> None:
        self.awaited = awaited
        why = why or "is not durable: it would be called again at every resumption."
        what = f"`{awaited}` {why}"
        super().__init__(what, fix=fix or "move it into a `@step`.", code=code, place=place)


class NotDrawable(DefinitionError):
    """Source that cannot be read as a region."""


class NotJournalable(DefinitionError):
    """A value or annotation the journal cannot carry."""


class OutsideRun(DefinitionError):
    """A durable act was awaited where no run is."""

    def __init__(self, *, act: str, place: str = "") -> None:
        self.act = act
        what = f"`{act}` waits for something outside, and there is no run that could wait."
        fix = "await it in a process, and start that through the engine or `newel.testing`."
        super().__init__(what, fix=fix, place=place)


class NestedAct(DefinitionError):
    """A durable act was awaited inside a step."""

    def __init__(self, *, act: str, step: str, place: str = "") -> None:
        self.act, self.step = act, step
        what = f"`{act}` was awaited inside the step `{step}`: a step cannot hold another act."
        fix = f"`{act}.plain(…)`, the undecorated function, or await it in the process."
        super().__init__(what, fix=fix, place=place)


class ActReused(DefinitionError):
    """One called act was awaited twice."""

    def __init__(self, *, act: str, place: str = "") -> None:
        self.act = act
        what = f"`{act}` was awaited twice: one call is one act."
        fix = "keep the result of the first await, or call it again."
        super().__init__(what, fix=fix, place=place)


class Refused(DefinitionError):
    """Code that cannot work was declared; findings: all that was found, sorted."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(sorted(set(findings)))
        super().__init__("\n".join(str(each) for each in self.findings))


class ProcessError(NewelError):
    """Happens inside a process; its author may catch it."""


class Overdue(ProcessError):
    """A wait passed its deadline."""

    def __init__(self, key: str, due: datetime | None = None) -> None:
        self.key, self.due = key, due
        when = f" on {due:%d %b %Y, %H:%M} {due.tzname() or ''}".rstrip() if due else ""
        super().__init__(f"`{key}` was due{when} and was not answered.")


class Rejected(ProcessError):
    """A person said no; raised by the process, never by newel."""

    def __init__(self, decision: object = None, *, reason: str = "") -> None:
        self.decision, self.reason = decision, reason
        comment = reason or str(getattr(decision, "comment", "") or "")
        super().__init__(f"Rejected: {comment}" if comment else "Rejected.")


class StepFailed(ProcessError):
    """A step declared to fail instead of parking has used up its rounds; failures: oldest first."""

    def __init__(self, *, key: str, failures: Sequence[object] = ()) -> None:
        self.key, self.failures = key, tuple(failures)
        last = f" The last said: {self.failures[-1]}" if self.failures else ""
        super().__init__(f"The step `{key}` was given up after its last round.{last}")


class ChildFailed(ProcessError):
    """A child run failed."""

    def __init__(self, *, run: str, cause: BaseException | str) -> None:
        self.run, self.cause = run, cause
        super().__init__(f"The run {run} that was started from here failed: {cause}")


class StepError(NewelError):
    """The step failed.

    The class decides what follows. message: one sentence, sanitised; else the docstring's first
    line. elsewhere: system and credential that failed, if not the step's. Other facts: TypeError.
    """

    failure_class: ClassVar[str] = "bug"
    elsewhere: tuple[str, str] | None = None
    status: int | None = None
    code: str | None = None
    request_id: str | None = None
    operation: str | None = None
    retry_at: datetime | None = None

    def __init__(self, message: str = "", **facts: Unpack[Facts]) -> None:
        self.message = message or (getdoc(type(self)) or "").partition("\n")[0]
        for name, value in facts.items():
            if not hasattr(type(self), name):
                refused = f"{type(self).__name__} has no fact {name!r}."
                raise TypeError(refused)
            setattr(self, name, value)
        super().__init__(self.message)


class Transient(StepError):
    """The system did not answer, or answered with a fault of its own."""

    failure_class = "transient"


class Throttled(StepError):
    """The system asks for fewer calls.

    retry_after: the wait it stated. bucket: the rate bucket it speaks of.
    """

    failure_class = "throttled"
    retry_after: timedelta | None = None
    bucket: str | None = None


class NotReady(StepError):
    """What was just made cannot be seen yet."""

    failure_class = "not-ready"


class OutcomeUnknown(StepError):
    """The answer was lost; it may have happened."""

    failure_class = "outcome-unknown"


class AlreadyDone(StepError):
    """It is done already."""

    failure_class = "already-done"  # a success with nothing changed; the step returns `value`

    def __init__(self, value: object = None, *, message: str = "", **facts: Unpack[Facts]) -> None:
        super().__init__(message, **facts)
        self.value = value


class OwnershipConflict(StepError):
    """It exists and may belong to somebody else.

    external_id: the object that was found. evidence: what speaks against adopting it. shown: what
    helps a person to say that it is theirs, nothing personal; None where nobody is asked.
    """

    failure_class = "ownership-conflict"
    external_id: str | None = None
    evidence: str | None = None
    shown: tuple[str, ...] | None = None


class Invalid(StepError):
    """The system refused the data.

    fields: why, by the name of the field. The same data is never sent again.
    """

    failure_class = "invalid"
    fields: Mapping[str, str] = MappingProxyType({})


class Forbidden(StepError):
    """The credential may not do this, or the system refuses it in its present state.

    missing: the scope that is missing. reason: which of the two it is, or `held` back by newel.
    """

    failure_class = "forbidden"
    missing: str | None = None
    reason: Literal["permission", "blocked", "held"] = "permission"


class AuthFailed(StepError):
    """The system refuses the credential."""

    failure_class = "auth-failed"


class NoCapacity(StepError):
    """No seat or licence is free, or a quota is used up.

    what: the thing used up. until: the aware moment at which it comes back, if it is known.
    """

    failure_class = "no-capacity"
    what: str | None = None
    until: datetime | None = None


class ContractDrift(StepError):
    """The system's answer no longer has the agreed shape.

    expected, seen: the two shapes, without values.
    """

    failure_class = "contract-drift"
    expected: str | None = None
    seen: str | None = None


class Bug(StepError):
    """The code of the step is wrong."""

    failure_class = "bug"


class RequestError(NewelError):
    """A caller asked for what cannot be."""


class InvalidInput(RequestError):
    """The input is wrong; `fields` says why, by field (`hire.manager`; "" is the whole input)."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self.fields = dict(fields)
        said = [f"{name}: {why}" if name else why for name, why in self.fields.items()]
        super().__init__(f"The input is not accepted. {'; '.join(said)}")


class NotFound(RequestError):
    """There is no such thing, or it is not visible to the caller."""

    def __init__(self, *, kind: str, reference: str) -> None:
        self.kind, self.reference = kind, reference
        super().__init__(f"There is no {kind} {reference!r}.")


class AlreadyStarted(RequestError):
    """The idempotency key was used for another request, or the subject has an open run already.

    run: the one there is. idempotency_key: empty where the subject is the cause.
    """

    def __init__(self, *, run: str, idempotency_key: str = "") -> None:
        self.run, self.idempotency_key = run, idempotency_key
        if idempotency_key:
            super().__init__(
                f"The idempotency key {idempotency_key!r} started the run {run} with another "
                "input. Use a new key for a new request."
            )
        else:
            super().__init__(
                f"This process runs for this person already: {run}. Open that run, or cancel it."
            )


class NotWaiting(RequestError):
    """What the command is about is not open (any more)."""

    def __init__(self, *, verb: str, what: str, state: str) -> None:
        self.verb, self.what, self.state = verb, what, state
        super().__init__(f"Cannot {verb} {what}: it is {state}.")


class AlreadyDecided(RequestError):
    """Somebody, or the deadline, was first."""

    def __init__(self, *, task: str, by: str, at: datetime | None = None) -> None:
        self.task, self.by, self.at = task, by, at
        when = f" on {at:%d %b %Y, %H:%M} {at.tzname() or ''}".rstrip() if at else ""
        super().__init__(f"The task {task} was decided by {by}{when}.")


class NotAllowed(RequestError):
    """The actor may not do this."""

    def __init__(self, *, actor: str, verb: str, needed: str) -> None:
        self.actor, self.verb, self.needed = actor, verb, needed
        super().__init__(f"{actor} may not {verb}: it needs {needed}.")


class SelfApproval(RequestError):
    """The subject or the starter of a run cannot decide its approvals; `because` says which."""

    def __init__(self, *, actor: str, task: str, because: str) -> None:
        self.actor, self.task, self.because = actor, task, because
        super().__init__(
            f"{actor} cannot decide the task {task}: {actor} {because}. Somebody else has to."
        )


class ReasonMissing(RequestError):
    """A command that changes the course of a run came without its reason."""

    def __init__(self, *, verb: str) -> None:
        self.verb = verb
        super().__init__(f"`{verb}` changes the course of a run: give a reason.")


class NotSkippable(RequestError):
    """The process needs the result of the step."""

    def __init__(self, *, key: str, needs: str) -> None:
        self.key, self.needs = key, needs
        super().__init__(
            f"`{key}` cannot be skipped: the process goes on with its result ({needs}). "
            "Use complete-by-hand and give that result."
        )


class NotEnded(RequestError):
    """Something is asked of a finished run, and it is still open."""

    def __init__(self, *, run: str, state: str) -> None:
        self.run, self.state = run, state
        super().__init__(f"The run {run} has not ended: it is {state}.")


class PastNotKept(RequestError):
    """A run's past is asked for, and what it took and gave is not kept any more."""

    def __init__(self, *, run: str) -> None:
        self.run = run
        why = "its time is over, or a person was erased. Its log is still there."
        super().__init__(f"What {run} took and gave is not kept any more: {why}")


class StoreError(NewelError):
    """The database is not as newel needs it."""


class SchemaOutdated(StoreError):
    """The schema and the code do not belong together."""

    def __init__(self, *, found: str, needed: str) -> None:
        self.found, self.needed = found, needed
        super().__init__(
            f"The database is at {found or 'no migration'}, this version of newel needs {needed}. "
            "Run `newel migrate`."
        )


class OutcomeUnreadable(StoreError):
    """A recorded result is of another type than the code now expects."""

    def __init__(self, *, key: str = "", found: str, expected: str) -> None:
        self.key, self.found, self.expected = key, found, expected
        of = f"The recorded result of `{key}`" if key else "A recorded value"
        super().__init__(f"{of} is {found}, the code now expects {expected}.")


class PoolerUnsuitable(StoreError):
    """A connection pooler stands in between that takes away what newel needs."""

    def __init__(self, *, found: str, fix: str) -> None:
        self.found, self.fix = found, fix
        super().__init__(f"{found} Fix: {fix}")


class AuditError(NewelError):
    """The audit log, or evidence made from it, is not what it should be."""


class LogInconsistent(AuditError):
    """The log contradicts itself; `at` is the first place: stream and number, or leaf index."""

    def __init__(self, *, at: str, what: str) -> None:
        self.at, self.what = at, what
        super().__init__(f"The audit log is wrong at {at}: {what}" if at else what)


class CheckpointInvalid(AuditError):
    """A signed head of the log does not verify."""

    def __init__(self, *, origin: str, what: str) -> None:
        self.origin, self.what = origin, what
        super().__init__(f"The checkpoint of {origin} does not verify: {what}")


class Unwind(BaseException):
    """Not an error: control flow that nobody may swallow with `except Exception`."""


class Suspended(Unwind):
    """Nothing is left to do until something outside happens."""


class Cancelled(Unwind):
    """An operator cancelled the run, or a race, scope or group ended this branch.

    seq: the place in the journal of what ended it; 0 for an operator.
    """

    def __init__(
        self,
        *,
        by: Literal["run", "race", "scope", "group"] = "run",
        reason: str = "",
        seq: int = 0,
    ) -> None:
        self.by, self.reason, self.seq = by, reason, seq
        super().__init__(f"Cancelled by the {by}. {reason}".rstrip())


class LeaseLost(Unwind):
    """Another worker owns the run: stop at once, write nothing."""

    def __init__(self, *, worker: str = "", epoch: int = 0) -> None:
        self.worker, self.epoch = worker, epoch
        super().__init__(f"The worker {worker} of epoch {epoch} has lost its lease.")


def problem_type(error: BaseException | type[BaseException]) -> str:
    """Name an error for problem+json: its class in kebab-case (`NotSkippable`: `not-skippable`)."""
    name = error.__name__ if isinstance(error, type) else type(error).__name__
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()
