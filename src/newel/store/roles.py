"""Database roles: who may do what to which table, as SQL to run and as a list to compare with.

Four roles, besides the one that owns the schema and runs migrations. The application writes the
journal and can neither change nor delete what it wrote; who seals can do little else than seal;
who reads sees the log and no person; who prunes removes events that the log has given up. None of
them owns anything, so none can take away a trigger.
Row level security stands behind the grants: a platform that gives rights to tables that come later
(as Supabase does) gives no row of them. The one thing the application may change in the journal is
to empty a payload, which the journal's trigger allows for runs that say so themselves.
Source: our own security document, §11.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from newel.store.database import Database
from newel.store.migrate import migrations
from newel.store.queries import queries

__all__ = [
    "APP",
    "READER",
    "RETENTION",
    "ROLES",
    "SEQUENCER",
    "Privilege",
    "differences",
    "roles_sql",
]

_SQL: Final = queries("roles")

APP: Final = "newel_app"
SEQUENCER: Final = "newel_sequencer"
READER: Final = "newel_reader"
RETENTION: Final = "newel_retention"
ROLES: Final = (APP, SEQUENCER, RETENTION, READER)

_READ: Final = ("select",)
_APPEND: Final = ("select", "insert")
_WRITE: Final = ("select", "insert", "update")
_QUEUE: Final = ("select", "insert", "delete")
_ALL: Final = ("select", "insert", "update", "delete")
_TABLE: Final = re.compile(r"create table (?:if not exists )?newel\.(\w+) (?:\(|partition of)")
_VIEW: Final = re.compile(r"create view newel\.(\w+) as")

_TREE: Final = ("audit_anchor", "audit_checkpoint", "audit_leaf", "audit_tile")
_SEALED: Final = "sealed_event"
_DELETED_FROM: Final = ("capability", "open_act", "removal", "webhook_delivery")
_EVIDENCE: Final = ("access_grant", "audit_stream", "deployment", "migration", "run")
_DEFINED: Final = ("definition", "schedule")
"""Code and rules of the company: nothing of people."""


def _made(what: re.Pattern[str]) -> Iterator[str]:
    """Name all tables or views; tables that are no state of the application get less below."""
    for each in migrations():
        yield from what.findall(each.text)


_GRANTS: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    APP: {
        **dict.fromkeys(_made(_TABLE), _WRITE),
        **dict.fromkeys(_made(_VIEW), _READ),
        **dict.fromkeys(_DELETED_FROM, _ALL),
        "event": _APPEND,
        "event_default": (),  # reached through its parent alone
        "event_batch": _APPEND,
        "audit_head": _READ,
        "migration": _READ,
        **dict.fromkeys(_TREE, _READ),
    },
    SEQUENCER: {
        "event": _APPEND,
        "event_batch": _QUEUE,
        "audit_head": _WRITE,
        "audit_stream": _WRITE,
        "webhook_delivery": ("insert",),  # who is told of what it writes into the log
        **dict.fromkeys(_TREE, _APPEND),
        **dict.fromkeys(("access_grant", "deployment", "migration", "room", "run", _SEALED), _READ),
    },
    RETENTION: {
        "event": ("select", "insert", "delete"),
        "event_batch": _APPEND,
        "audit_head": _READ,
        "audit_stream": _WRITE,
        "webhook_delivery": ("insert",),  # as above
        **dict.fromkeys(_TREE, _READ),
        **dict.fromkeys(("access_grant", "definition", "deployment", "legal_hold", "room"), _READ),
        **dict.fromkeys(("held_run", "migration", "run"), _READ),
    },
    READER: {
        **dict.fromkeys(
            (*_EVIDENCE, *_DEFINED, *_TREE, _SEALED, "audit_head", "event", "event_batch"), _READ
        )
    },
}
_COMPARED: Final = {
    "api_key": ("id", "expires_at", "revoked_at"),
    "incident": ("id", "class", "state"),
    "task": ("id", "decided_by", "decision", "key", "run_id", "state"),
    "ticket": ("channel", "external_key", "incident_id"),
}
"""What verifying compares with the log, in tables of which the rest is not for whoever reads it."""
_COLUMNS: Final = (
    (APP, "event", "payload", "update"),
    (RETENTION, "audit_head", "min_index", "update"),
    (RETENTION, "deployment", "keep_log_days", "update"),
    (RETENTION, "run", "pruned_at", "update"),
    *((READER, table, column, "select") for table, of in _COMPARED.items() for column in of),
)
_SETTINGS: Final = {
    "statement_timeout": "30s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "15s",
}


_CONDITIONS: Final = {(RETENTION, "event", "delete"): "newel.is_given_up(stream_id, seq)"}
"""Where not every row is meant that the grant allows."""
_ANYBODY: Final = "everybody"
_GUARDED: Final = "row level security"
_INVOKER: Final = "security_invoker"
_UNASKED: Final = """\
do $$ declare p record; begin
    for p in select policyname, tablename from pg_policies where schemaname = 'newel' loop
        execute format('drop policy %I on newel.%I', p.policyname, p.tablename);
    end loop;
end $$;"""


class Privilege(NamedTuple):
    """What a role may do to a table, to one column of it, or to its rows."""

    role: str
    table: str
    verb: str
    column: str = ""

    def __str__(self) -> str:
        of = f" ({self.column})" if self.column else ""
        return f"{self.role}: {self.verb}{of} on newel.{self.table}"


def roles_sql() -> str:
    """Write the statements that make the roles and give them exactly their rights.

    To be run by the owner of the schema after each migration; a second time changes nothing. It is
    one transaction: between two policies a running newel would see tables without rows.
    """
    return "\n".join(_lines()) + "\n"


async def differences(database: Database) -> tuple[list[Privilege], list[Privilege]]:
    """Compare the rights that roles have with those they should have: missing, then too many.

    Raises StoreError if a role is not there.
    """
    rows = await database.fetch(_SQL.privileges, list(ROLES))
    found = {Privilege(row["role"], row["name"], row["verb"], row["col"]) for row in rows}
    for row in await database.fetch(_SQL.policies, list(ROLES)):
        found.add(Privilege(row["role"] or _ANYBODY, row["name"], row["verb"]))
    for row in await database.fetch(_SQL.guarded):
        found.add(Privilege(_ANYBODY, row["name"], _GUARDED))
    for row in await database.fetch(_SQL.invokers):
        found.add(Privilege(_ANYBODY, row["name"], _INVOKER))
    expected = {*_expected(), *_guards()}
    return sorted(expected - found), sorted(found - expected)


async def missing_roles(database: Database) -> list[str]:
    """Name the roles that are not there."""
    found = {row["rolname"] for row in await database.fetch(_SQL.present, list(ROLES))}
    return [role for role in ROLES if role not in found]


def _expected() -> Iterator[Privilege]:
    for role, tables in _GRANTS.items():
        for table, verbs in tables.items():
            yield from (Privilege(role, table, verb) for verb in verbs)
    for role, table, column, verb in _COLUMNS:
        yield Privilege(role, table, verb, column)


def _guards() -> Iterator[Privilege]:
    """Name the policies that follow from the grants, and what views are set to."""
    tables = set(_made(_TABLE))
    for role, table, verb in sorted({each[:3] for each in _expected() if each.table in tables}):
        kind = "condition" if (role, table, verb) in _CONDITIONS else "policy"
        yield Privilege(role, table, f"{kind} for {verb}")
    for table in tables:
        yield Privilege(_ANYBODY, table, _GUARDED)
    for view in set(_made(_VIEW)):
        yield Privilege(_ANYBODY, view, _INVOKER)


def _policies() -> Iterator[str]:
    """Write the policies anew: each grant on a table has one, and nothing else has any."""
    yield _UNASKED
    tables = sorted(set(_made(_TABLE)))
    for table in tables:
        yield f"alter table newel.{table} enable row level security;"
    for view in sorted(set(_made(_VIEW))):  # else it asks for the rows of its owner
        yield f"alter view newel.{view} set (security_invoker = true);"
    for role, table, verb in sorted({each[:3] for each in _expected() if each.table in tables}):
        rows = _CONDITIONS.get((role, table, verb), "true")
        using = "" if verb == "insert" else f" using ({rows})"
        check = f" with check ({rows})" if verb in {"insert", "update"} else ""
        name = f"{role}_{verb}"
        yield f"create policy {name} on newel.{table} for {verb} to {role}{using}{check};"


def _lines() -> Iterator[str]:
    yield "-- Roles of newel. Run it as the owner of the schema, after each migration."
    yield "begin;"
    for role in ROLES:
        yield (
            f"do $$ begin create role {role} nologin; "
            "exception when duplicate_object then null; end $$;"
        )
    yield "revoke all on schema newel from public;"
    for role, tables in _GRANTS.items():
        yield f"revoke all on all tables in schema newel from {role};"
        yield f"grant usage on schema newel to {role};"
        for table, verbs in sorted(tables.items()):
            if verbs:
                yield f"grant {', '.join(verbs)} on newel.{table} to {role};"
    for role, table, column, verb in _COLUMNS:
        yield f"grant {verb} ({column}) on newel.{table} to {role};"
    yield from _policies()
    for name, value in _SETTINGS.items():
        yield f"alter role {APP} set {name} = '{value}';"
    yield "commit;"
    yield "-- Each gets its way in from you: alter role newel_app login password '...';"
