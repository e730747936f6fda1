"""`newel doctor`: what is wrong with a database and its deployment, why it matters, what helps.

Every check reads facts and answers with findings; it changes nothing. A check that is not listed
in `CHECKS` does not exist, and each has a test that makes it speak.
Source: security document, §12.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from newel.base.errors import SchemaOutdated
from newel.base.ids import reference
from newel.store import doctor as facts
from newel.store import invariants, migrate
from newel.store.database import Database, Row

__all__ = ["CHECKS", "Finding", "Level", "examined"]

Level = Literal["error", "warning"]

_OLDEST: Final = 150_000
_LATE: Final = timedelta(minutes=2)
_DAY: Final = timedelta(days=1)
_FAILING: Final = timedelta(hours=1)
_SKEW: Final = (timedelta(seconds=1), timedelta(seconds=30))
_DEAD_ROWS: Final = 10_000
_NEEDED: Final = 20
_SHOWN: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is not as it should be.

    code: for ever the same. what: one sentence. why: why it matters. fix: what to do.
    where: references, names or keys it is about; at most a few.
    """

    code: str
    level: Level
    what: str
    why: str
    fix: str
    where: tuple[str, ...] = field(default=())


async def examined(database: Database) -> list[Finding]:
    """Carry out every check; where the schema is not this version's, only those of the server.

    Raises nothing of its own; a server that cannot be reached raises asyncpg's errors.
    """
    found = judged_server(await facts.server_facts(database))
    outdated = await _schema(database)
    if outdated:
        return found + outdated
    for check in CHECKS.values():
        found += await check(database)
    return found


# --- the server -----------------------------------------------------------------------------


def judged_server(seen: facts.ServerFacts) -> list[Finding]:
    """Judge the server by its facts. Pure."""
    return [
        *_promises(seen),
        *_connection(seen),
        *_clock(seen),
        *_roles(seen),
    ]


def _promises(seen: facts.ServerFacts) -> list[Finding]:
    found: list[Finding] = []
    if seen.version < _OLDEST:
        found.append(
            _error(
                "version",
                f"PostgreSQL {seen.version_text} is too old.",
                "newel is tested from version 15 on.",
                "Upgrade the server to 15 or newer.",
            )
        )
    if not seen.is_synced or not seen.writes_full_pages:
        name = "fsync" if not seen.is_synced else "full_page_writes"
        found.append(
            _error(
                "durability",
                f"`{name}` is off.",
                "A power cut can lose or tear everything that was committed.",
                f"alter system set {name} = on; select pg_reload_conf();",
            )
        )
    if seen.synchronous_commit == "off":
        found.append(
            _error(
                "synchronous-commit",
                "`synchronous_commit` is off.",
                "A crash of the server loses outcomes that were acted on already, and steps run "
                "twice.",
                "alter system set synchronous_commit = on; select pg_reload_conf();",
            )
        )
    if not seen.is_vacuumed:
        found.append(
            _warning(
                "autovacuum",
                "Autovacuum is off.",
                "Tables that change often grow without bound, and claims become slow.",
                "alter system set autovacuum = on; select pg_reload_conf();",
            )
        )
    if seen.is_standby:
        found.append(
            _error(
                "standby",
                "The address leads to a standby.",
                "Nothing can be written there.",
                "Point `database_url` at the primary.",
            )
        )
    return found


def _connection(seen: facts.ServerFacts) -> list[Finding]:
    found: list[Finding] = []
    if seen.is_interchanged and seen.is_cached:
        found.append(
            _error(
                "pooler",
                "A transaction-mode pooler stands before the server, and statements are prepared.",
                "Prepared statements vanish or collide: runs fail at random.",
                "Say that the database is pooled, or use the server's own address.",
            )
        )
    left = seen.max_connections - seen.connections
    if left < _NEEDED:
        found.append(
            _warning(
                "connections",
                f"{left} of {seen.max_connections} connections are left.",
                "A worker needs up to five and a web server six; one that gets none stands still.",
                "Raise `max_connections`, or put a pooler before the server.",
            )
        )
    return found


def _clock(seen: facts.ServerFacts) -> list[Finding]:
    skew = abs(seen.skew)
    if skew <= _SKEW[0]:
        return []
    make = _error if skew > _SKEW[1] else _warning
    return [
        make(
            "clock",
            f"The clocks of this host and of the server differ by {skew.total_seconds():.0f} s.",
            "Due moments go by the server's clock; tokens and log lines of this host are off.",
            "Synchronise both with a time service.",
        )
    ]


def _roles(seen: facts.ServerFacts) -> list[Finding]:
    found: list[Finding] = []
    if seen.is_superuser:
        found.append(
            _warning(
                "superuser",
                "newel connects as a superuser.",
                "The application can change its own record; only anchors protect it.",
                "Connect as a role that owns nothing but the schema `newel`.",
            )
        )
    if seen.is_public:
        found.append(
            _error(
                "public",
                "Everybody on this server may look into the schema `newel`.",
                "Names of people, and what happened to them, are in it.",
                "revoke all on schema newel from public;",
            )
        )
    return found


async def _schema(database: Database) -> list[Finding]:
    try:
        await migrate.check(database.fetch)
    except SchemaOutdated as outdated:
        return [
            _error(
                "schema",
                str(outdated),
                "This version of newel does not start on it.",
                "newel migrate",
            )
        ]
    return []


# --- the schema -----------------------------------------------------------------------------


async def _indexes(database: Database) -> list[Finding]:
    there = {row["name"]: row["is_valid"] for row in await facts.read(database, "indexes")}
    wrong = sorted(name for name in facts.declared_indexes() if not there.get(name, False))
    if not wrong:
        return []
    return [
        _error(
            "indexes",
            f"{len(wrong)} indexes are missing or cannot be used.",
            "What runs all the time reads whole tables, and what must be unique may not be.",
            "Make them as the migrations do; an invalid one: reindex index newel.NAME;",
            wrong,
        )
    ]


async def _guards(database: Database) -> list[Finding]:
    there = {row["name"] for row in await facts.read(database, "guards_there")}
    wrong = sorted(_GUARDS - there)
    wrong += [f"{row['relation']}.{row['name']}" for row in await facts.read(database, "guards")]
    if not wrong:
        return []
    return [
        _error(
            "guards",
            "Triggers that keep the journal as it is do not fire always.",
            "The record of what happened can be changed without a trace in the database.",
            "alter table newel.TABLE enable always trigger NAME; then find out who did this.",
            wrong,
        )
    ]


_GUARDS: Final = frozenset(
    {"event_is_append_only", "event_is_never_truncated", "event_enqueue", "run_state_needs_event"}
    | {f"audit_{name}_is_append_only" for name in ("leaf", "tile", "checkpoint", "anchor")}
    | {"audit_head_is_never_removed", "audit_head_only_grows"}
)


async def _grants(database: Database) -> list[Finding]:
    rows = await facts.read(database, "grants")
    return [
        _error(
            "grants",
            f"Everybody on this server may use `{row['name']}`: {row['what']}.",
            "Names of people, and what happened to them, are in these tables.",
            f"revoke all on newel.{row['name']} from public;",
        )
        for row in rows
    ]


async def _bloat(database: Database) -> list[Finding]:
    return [
        _warning(
            "bloat",
            f"`{row['name']}` has {row['dead']} dead rows and {row['living']} living ones.",
            "Something keeps autovacuum away; what is hot becomes slow.",
            f"vacuum newel.{row['name']}; and end transactions that are open for hours.",
        )
        for row in await facts.read(database, "bloated", _DEAD_ROWS)
    ]


async def _purpose(database: Database) -> list[Finding]:
    (row,) = await facts.read(database, "deployment")
    if row["kind"] == "production":
        return []
    return [
        _warning(
            "purpose",
            f"This database is for a {row['kind']}: its clock may be moved.",
            "Due moments and deadlines of real people must go by real time.",
            "Use a database of its own for real work.",
        )
    ]


# --- the deployment -------------------------------------------------------------------------


async def _workers(database: Database) -> list[Finding]:
    workers = await facts.read(database, "workers")
    open_runs = {
        row["process"]: row["how_many"] for row in await facts.read(database, "open_processes")
    }
    found: list[Finding] = []
    if not workers and open_runs:
        return [
            _error(
                "workers",
                f"No worker lives, and {sum(open_runs.values())} runs are open.",
                "Nothing moves: no timer fires, no decision is acted on.",
                "newel worker (or newel dev)",
            )
        ]
    versions = sorted({row["version"] for row in workers})
    if len(versions) > 1:
        found.append(
            _warning(
                "versions",
                f"Workers of {len(versions)} versions of newel live.",
                "That is right during a deploy, and at no other time.",
                "Restart the workers of the older version.",
                versions,
            )
        )
    known = {process for row in workers for process in row["definitions"]}
    strangers = sorted(process for process in open_runs if process not in known)
    if workers and strangers:
        count = sum(open_runs[process] for process in strangers)
        found.append(
            _error(
                "unknown-process",
                f"{count} open runs are of processes that no worker knows.",
                "They wait until one does.",
                "Deploy their code; if renamed, with `@process(formerly=…)`. Or cancel the runs.",
                strangers,
            )
        )
    return found


async def _late(database: Database) -> list[Finding]:
    return [
        _error(
            "late",
            f"{row['how_many']} runs of `{row['process']}` are due since "
            f"{row['since']:%d %b %Y, %H:%M} UTC, and nobody has taken them.",
            "Workers are too few, stand still, or do not know the process.",
            "Look at the workers' logs; add workers.",
        )
        for row in await facts.read(database, "late", _LATE)
    ]


async def _schedules(database: Database) -> list[Finding]:
    found = [
        _error(
            "schedule-late",
            f"The schedule `{row['name']}` was due on {row['next_at']:%d %b %Y, %H:%M} UTC.",
            "No worker declares it as it is registered, or none lives.",
            "Restart the workers with the current code.",
        )
        for row in await facts.read(database, "late_schedules", _LATE)
    ]
    since = datetime.now(UTC) - _DAY
    return found + [
        _warning(
            "schedule-refused",
            f"The schedule `{row['schedule']}` could not start {row['how_many']} times in a day: "
            f"{row['refused']}",
            "What it is for did not happen.",
            "newel schedules",
        )
        for row in await facts.read(database, "refused_occurrences", since)
    ]


async def _webhooks(database: Database) -> list[Finding]:
    return [
        finding
        for row in await facts.read(database, "webhook_endpoints", _FAILING)
        for finding in _webhook(row)
    ]


def _webhook(row: Row) -> list[Finding]:
    name, found = row["name"], list[Finding]()
    if row["disabled_at"] is not None:
        who = "it has said that it is gone" if row["disabled_for"] == "gone" else "somebody did so"
        found.append(
            _warning(
                "webhook-disabled",
                f"The endpoint `{name}` is disabled since {row['disabled_at']:%d %b %Y, %H:%M} "
                f"UTC: {who}.",
                "Whoever reads there learns of nothing; what happens waits for thirty days.",
                f"newel webhooks enable {name}, or take it out of the code.",
            )
        )
    elif row["failing_since"] is not None:
        found.append(
            _warning(
                "webhook-failing",
                f"The endpoint `{name}` accepts nothing since "
                f"{row['failing_since']:%d %b %Y, %H:%M} UTC.",
                "Each message is tried ten times in three days, and then given up.",
                f"newel webhooks deliveries {name}",
            )
        )
    if row["dead"]:
        found.append(
            _warning(
                "webhook-dead",
                f"{row['dead']} messages to the endpoint `{name}` were given up.",
                "Whoever reads there does not know of these events.",
                f"newel webhooks redeliver {name}",
            )
        )
    return found


async def _invariants(database: Database) -> list[Finding]:
    broken: dict[str, list[invariants.Broken]] = {}
    for each in await invariants.broken(database, since=datetime.now(UTC) - _DAY):
        broken.setdefault(each.question, []).append(each)
    return [_breach(question, all_of_it) for question, all_of_it in broken.items()]


def _breach(question: str, broken: list[invariants.Broken]) -> Finding:
    what, why, fix = _BREACHES[question]
    return _error(
        question.replace("_", "-"),
        f"{broken[0].invariant}: {what.format(n=len(broken))}",
        why,
        fix,
        [f"{reference('run', each.run)} ({each.what})" for each in broken],
    )


_REPORT: Final = "Report it with these references; this must not happen."
_BREACHES: Final[Mapping[str, tuple[str, str, str]]] = {
    "stuck": ("{n} open runs wait for nothing and nobody.", "They never go on.", _REPORT),
    "abandoned": (
        "{n} runs belong to workers that are gone.",
        "Living workers take them over within seconds of the lease; none did.",
        "Start a worker.",
    ),
    "forgotten_intents": (
        "{n} attempts have no end, and nobody will look at their runs.",
        "It is not known whether they took effect.",
        _REPORT,
    ),
    "unintended": (
        "{n} results have no record that the attempt was about to be made.",
        "A crash in such an attempt leaves no trace.",
        _REPORT,
    ),
    "doubled": ("{n} steps have two results.", "An effect may have happened twice.", _REPORT),
    "gaps": (
        "{n} runs have a journal with gaps.",
        "What happened cannot be told completely, and the log cannot be proved.",
        "Stop; restore from a backup beside this database and compare.",
    ),
    "misstated": (
        "{n} runs ended otherwise than their last event says.",
        "State and journal were not written together.",
        _REPORT,
    ),
    "orphans": ("{n} acts are open in runs that have ended.", "Lists show them for ever.", _REPORT),
    "orphaned_tasks": (
        "{n} tasks are open that no run waits for.",
        "People are asked for nothing.",
        _REPORT,
    ),
    "doubled_tickets": (
        "{n} issues stand for more than one incident.",
        "Closing one closes the other's.",
        _REPORT,
    ),
}


async def _capabilities(database: Database) -> list[Finding]:
    rows = await facts.read(database, "capabilities")
    return [_lost(row) if row["proved_at"] is not None else _never_proved(row) for row in rows]


def _lost(row: Row) -> Finding:
    return _warning(
        "capability-lost",
        f"`{row['name']}` of {row['system']} was there on {row['proved_at']:%d %b %Y, %H:%M} UTC, "
        f"and was not on {row['checked_at']:%d %b %Y, %H:%M} UTC.",
        "Steps that go this way fail until it is back.",
        "Give the token its scope back; or take it out of the connector's declaration.",
    )


def _never_proved(row: Row) -> Finding:
    return _warning(
        "capability-absent",
        f"`{row['name']}` of {row['system']} is declared, and was not there on "
        f"{row['checked_at']:%d %b %Y, %H:%M} UTC.",
        "Steps go another way, or ask a person.",
        "Take it out of the connector's declaration; or buy the plan, give the token the scope.",
    )


Check = Callable[[Database], Coroutine[Any, Any, list[Finding]]]

CHECKS: Final[Mapping[str, Check]] = {
    "indexes": _indexes,
    "guards": _guards,
    "grants": _grants,
    "bloat": _bloat,
    "purpose": _purpose,
    "workers": _workers,
    "late": _late,
    "schedules": _schedules,
    "webhooks": _webhooks,
    "capabilities": _capabilities,
    "invariants": _invariants,
}
"""What is checked where the schema is this version's."""


def _error(code: str, what: str, why: str, fix: str, where: list[str] | None = None) -> Finding:
    return _found(code, "error", what, why, fix, where)


def _warning(code: str, what: str, why: str, fix: str, where: list[str] | None = None) -> Finding:
    return _found(code, "warning", what, why, fix, where)


def _found(
    code: str, level: Level, what: str, why: str, fix: str, where: list[str] | None
) -> Finding:
    shown = tuple((where or [])[:_SHOWN])
    return Finding(code=code, level=level, what=what, why=why, fix=fix, where=shown)
