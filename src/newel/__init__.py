"""newel: internal operations you can prove.

What authors of processes import: the words a process is written in, and nothing that opens a
database or a connection. The engine is in `newel.engine`, systems are in `newel.connectors`.
"""

from newel.base.durations import business_days, days, hours, minutes, seconds
from newel.base.errors import (
    AlreadyDone,
    AuthFailed,
    Bug,
    ChildFailed,
    ContractDrift,
    Forbidden,
    Invalid,
    NoCapacity,
    NotReady,
    OutcomeUnknown,
    Overdue,
    OwnershipConflict,
    Rejected,
    StepFailed,
    Throttled,
    Transient,
)
from newel.base.secrets import SecretRef
from newel.domain.people import Person, Team, manager_of, team
from newel.domain.retry import Retry, once, patient, standard, urgent
from newel.domain.values import (
    Absent,
    Account,
    AttemptInfo,
    Decision,
    Found,
    RunInfo,
    Unclear,
)
from newel.flow.ambient import log, new_id, now, this_attempt, this_run
from newel.flow.parallel import parallel
from newel.flow.process import Process, Request, process
from newel.flow.regions import section
from newel.flow.step import Step, step
from newel.flow.waits import Event, approval, timer

__all__ = [
    "Absent",
    "Account",
    "AlreadyDone",
    "AttemptInfo",
    "AuthFailed",
    "Bug",
    "ChildFailed",
    "ContractDrift",
    "Decision",
    "Event",
    "Forbidden",
    "Found",
    "Invalid",
    "NoCapacity",
    "NotReady",
    "OutcomeUnknown",
    "Overdue",
    "OwnershipConflict",
    "Person",
    "Process",
    "Rejected",
    "Request",
    "Retry",
    "RunInfo",
    "SecretRef",
    "Step",
    "StepFailed",
    "Team",
    "Throttled",
    "Transient",
    "Unclear",
    "approval",
    "business_days",
    "days",
    "hours",
    "log",
    "manager_of",
    "minutes",
    "new_id",
    "now",
    "once",
    "parallel",
    "patient",
    "process",
    "seconds",
    "section",
    "standard",
    "step",
    "team",
    "this_attempt",
    "this_run",
    "timer",
    "urgent",
]
