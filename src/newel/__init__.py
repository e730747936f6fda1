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
    StepError,
    StepFailed,
    Throttled,
    Transient,
)
from newel.base.secrets import SecretRef
from newel.domain.people import Person, Team, manager_of, owner_of, team
from newel.domain.retry import Retry, once, patient, standard, urgent
from newel.domain.values import (
    Absent,
    Account,
    AttemptInfo,
    Decision,
    Done,
    Found,
    RunInfo,
    Unclear,
)
from newel.flow.ambient import log, new_id, now, this_attempt, this_run
from newel.flow.children import Child, spawn
from newel.flow.compensation import Compensation, compensation
from newel.flow.database import Connection
from newel.flow.endpoints import Endpoint, endpoint
from newel.flow.forms import form
from newel.flow.groups import Group, group
from newel.flow.hooks import Delivery, Hook, hook
from newel.flow.locks import Lock, lock
from newel.flow.milestones import Milestone, milestone
from newel.flow.parallel import parallel
from newel.flow.process import Process, Request, process
from newel.flow.races import Reached, Won, first_of, n_of
from newel.flow.regions import section
from newel.flow.schedules import Schedule, every
from newel.flow.scopes import Scope, scope
from newel.flow.step import Step, step
from newel.flow.waits import Event, Sending, approval, timer

__all__ = [
    "Absent",
    "Account",
    "AlreadyDone",
    "AttemptInfo",
    "AuthFailed",
    "Bug",
    "Child",
    "ChildFailed",
    "Compensation",
    "Connection",
    "ContractDrift",
    "Decision",
    "Delivery",
    "Done",
    "Endpoint",
    "Event",
    "Forbidden",
    "Found",
    "Group",
    "Hook",
    "Invalid",
    "Lock",
    "Milestone",
    "NoCapacity",
    "NotReady",
    "OutcomeUnknown",
    "Overdue",
    "OwnershipConflict",
    "Person",
    "Process",
    "Reached",
    "Rejected",
    "Request",
    "Retry",
    "RunInfo",
    "Schedule",
    "Scope",
    "SecretRef",
    "Sending",
    "Step",
    "StepError",
    "StepFailed",
    "Team",
    "Throttled",
    "Transient",
    "Unclear",
    "Won",
    "approval",
    "business_days",
    "compensation",
    "days",
    "endpoint",
    "every",
    "first_of",
    "form",
    "group",
    "hook",
    "hours",
    "lock",
    "log",
    "manager_of",
    "milestone",
    "minutes",
    "n_of",
    "new_id",
    "now",
    "once",
    "owner_of",
    "parallel",
    "patient",
    "process",
    "scope",
    "seconds",
    "section",
    "spawn",
    "standard",
    "step",
    "team",
    "this_attempt",
    "this_run",
    "timer",
    "urgent",
]
