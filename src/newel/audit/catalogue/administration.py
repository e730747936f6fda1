"""Audit events of definitions, persons and keys, of the servers, and of the log itself."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from newel.audit.catalogue.declared import AuditEvent, Digest, Part, Sealed, audit_event, part

__all__ = [
    "AdminConfirmed",
    "AdminHoldReleased",
    "AdminHoldTriggered",
    "AdminKeyCreated",
    "AdminKeyRevoked",
    "AdminOrdered",
    "AdminWebhookConfigured",
    "AdminWebhookDisabled",
    "AdminWebhookEnabled",
    "AdminWebhookRedelivered",
    "AdminWebhookRetired",
    "DataExported",
    "DataJournalsRead",
    "DataRevealed",
    "DataSampleDrawn",
    "ErasedRows",
    "PersonAmended",
    "PersonHoldReleased",
    "PersonHoldSet",
    "PersonKeyCreated",
    "PersonRegistered",
    "ProcessRegistered",
    "SchedulePaused",
    "ScheduleRegistered",
    "ScheduleResumed",
    "ScheduleRetired",
    "ServiceMigrated",
    "ServiceRestoreChecked",
    "ServiceStarted",
    "ServiceStopped",
    "ServiceWorkerLost",
    "SettingChanged",
    "SubjectErased",
    "SubjectErasureOrdered",
]


@audit_event("process.registered", stream="admin", process=True)
class ProcessRegistered(AuditEvent):
    """A version of a process was seen for the first time; `previous` is the one before."""

    source_sha256: Digest
    author: str
    drawing_sha256: Digest | None = None
    previous: int | None = None
    commit: str | None = None


@audit_event("schedule.registered", stream="admin")
class ScheduleRegistered(AuditEvent):
    """A schedule is declared in the code, or declared anew with another timetable."""

    schedule: str
    process: str
    cron: str
    zone: str
    missed: Literal["once", "each", "skip"]


@audit_event("schedule.retired", stream="admin")
class ScheduleRetired(AuditEvent):
    """The code declares the schedule no more: it starts nothing."""

    schedule: str


@audit_event("schedule.paused", stream="admin")
class SchedulePaused(AuditEvent):
    """An operator paused the schedule; what falls into the pause is not started."""

    schedule: str


@audit_event("schedule.resumed", stream="admin")
class ScheduleResumed(AuditEvent):
    """An operator let the schedule go on, from its next moment."""

    schedule: str


@audit_event("person.registered", stream="admin")
class PersonRegistered(AuditEvent):
    """A person is known; who it is stands in the envelope's subject and, sealed, in `name`."""

    kind: str
    name: Sealed


@audit_event("person.amended", stream="admin")
class PersonAmended(AuditEvent):
    """Facts about a person changed; only their names and digests are told."""

    fields: tuple[str, ...]
    before_digest: Digest
    after_digest: Digest


@audit_event("person.key_created", stream="admin")
class PersonKeyCreated(AuditEvent):
    """The person's n-th key was made."""

    n: int


@part
class ErasedRows(Part):
    """How many rows of each table were emptied."""

    run: int
    task: int
    access_grant: int
    inbox: int
    webhook_received: int
    start_request: int
    hr_record: int


@audit_event("subject.erasure_ordered", stream="admin")
class SubjectErasureOrdered(AuditEvent):
    """Somebody wants the envelope's subject erased; somebody else has to confirm it in time."""

    expires_at: datetime


@audit_event("person.hold_set", stream="admin")
class PersonHoldSet(AuditEvent):
    """Nothing of the subject is emptied any more, by time or by erasure, until it is released.

    run: only of this run is nothing emptied.
    """

    run: str | None = None


@audit_event("person.hold_released", stream="admin")
class PersonHoldReleased(AuditEvent):
    """What a hold has kept may be emptied again; hold: the event that set it."""

    hold: str
    run: str | None = None
    second: str | None = None


@audit_event("subject.erased", stream="admin")
class SubjectErased(AuditEvent):
    """The subject's keys were destroyed and what named them was emptied.

    order: the event of the order. second: who confirmed it. Backups that were made before can be
    read with the key-encryption key of that time, until it is destroyed.
    """

    keys: int
    rows: ErasedRows
    order: str
    second: str


@audit_event("admin.key_created", stream="admin")
class AdminKeyCreated(AuditEvent):
    """An API key was made; `key` is its public part."""

    key: str
    scopes: tuple[str, ...]
    expires_at: datetime | None = None


@audit_event("admin.key_revoked", stream="admin")
class AdminKeyRevoked(AuditEvent):
    """An API key no longer opens anything."""

    key: str


@audit_event("admin.webhook_configured", stream="admin")
class AdminWebhookConfigured(AuditEvent):
    """The code declares an endpoint that is told of events, or declares it otherwise."""

    endpoint: str
    url_host: str
    events: tuple[str, ...]


@audit_event("admin.webhook_retired", stream="admin")
class AdminWebhookRetired(AuditEvent):
    """The code declares the endpoint no more: nothing is sent to it."""

    endpoint: str
    url_host: str


@audit_event("admin.webhook_disabled", stream="admin")
class AdminWebhookDisabled(AuditEvent):
    """Nothing is sent to the endpoint any more: it is gone, or somebody wants it so."""

    endpoint: str
    cause: Literal["gone", "operator"]


@audit_event("admin.webhook_enabled", stream="admin")
class AdminWebhookEnabled(AuditEvent):
    """Somebody let the endpoint be told again, of what it has missed, too."""

    endpoint: str


@audit_event("admin.webhook_redelivered", stream="admin")
class AdminWebhookRedelivered(AuditEvent):
    """Somebody had `n` deliveries sent to the endpoint once more."""

    endpoint: str
    n: int


@audit_event("admin.hold_triggered", stream="admin")
class AdminHoldTriggered(AuditEvent):
    """`n` effects wait for a decision, because more than `limit` came at once; rule: of what."""

    rule: Literal["removals"]
    n: int
    limit: int


@audit_event("admin.hold_released", stream="admin")
class AdminHoldReleased(AuditEvent):
    """Somebody has let `n` of the held effects go, none where all are refused."""

    rule: Literal["removals"]
    n: int
    limit: int


@audit_event("admin.ordered", stream="admin")
class AdminOrdered(AuditEvent):
    """Somebody wants an act done that somebody else has to confirm in time."""

    verb: str
    about: str
    expires_at: datetime


@audit_event("admin.confirmed", stream="admin")
class AdminConfirmed(AuditEvent):
    """A second person has agreed to an act that was ordered; of: the event of the order."""

    of: str
    verb: str


@audit_event("setting.changed", stream="admin")
class SettingChanged(AuditEvent):
    """A setting that says who may do what holds with another value from now on."""

    name: str
    before: str | None = None
    after: str | None = None


@audit_event("data.exported", stream="admin")
class DataExported(AuditEvent):
    """Data left: `rows` of them, chosen by what `filter_digest` is of; sha256: of what was made."""

    kind: Literal["deployment", "journal", "journals", "log", "events", "evidence"]
    rows: int
    filter_digest: Digest
    sha256: Digest | None = None


@audit_event("data.journals_read", stream="admin")
class DataJournalsRead(AuditEvent):
    """Open runs were read, to tell what new code would do to them; definitions: of that code.

    runs: how many were read; of these `runs_now` and `blocked`, the others are unchanged.
    """

    definitions: Digest
    runs: int
    runs_now: int
    blocked: int


@audit_event("data.sample_drawn", stream="admin")
class DataSampleDrawn(AuditEvent):
    """A sample is about to be drawn for evidence: a second draw leaves a second event.

    n: of each population. since, until: the period, days.
    """

    seed: str
    n: int
    since: str
    until: str


@audit_event("data.revealed", stream="admin")
class DataRevealed(AuditEvent):
    """Personal facts were shown, of the envelope's subject; of many people where it has none.

    fields: which facts, not their values.
    """

    fields: tuple[str, ...]
    purpose: str


@audit_event("service.started", stream="service")
class ServiceStarted(AuditEvent):
    """A server of newel began to work."""

    version: str
    role: str
    git_sha: str | None = None


@audit_event("service.stopped", stream="service")
class ServiceStopped(AuditEvent):
    """A server of newel ended orderly."""


@audit_event("service.migrated", stream="service")
class ServiceMigrated(AuditEvent):
    """The schema was taken from one migration to another; `sha256` is of the files applied."""

    from_: str
    to: str
    sha256: Digest


@audit_event("service.restore_checked", stream="service")
class ServiceRestoreChecked(AuditEvent):
    """The database was compared with copies of what was signed, as after a restore.

    compared: log epochs of which a copy was read. missing: entries that were signed and are not
    here; lost: events that a copy has and the database has not, outside: those of them that may
    have left something in a system. other: log epochs of which another tree was signed.
    """

    compared: int
    missing: int
    lost: int
    outside: int
    other: int


@audit_event("service.worker_lost", stream="service")
class ServiceWorkerLost(AuditEvent):
    """A worker's lease ran out; `runs` counts those it held, each told by `run.taken_over`."""

    worker: str
    runs: int
