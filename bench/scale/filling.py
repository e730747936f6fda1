"""Fill a database as if a company had worked with it for years, in minutes.

Real: the schema with all its indexes, constraints and triggers; leaves in canonical JSON with the
chain of hashes of every run; digests that are those of the payloads; names of people and their
trigrams; one batch row for each insert, written by the trigger.
Synthetic: payloads are chance (nobody's key opens them), all finished runs took the same four
steps, grants name the run's first event, waiting runs have one leaf.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias
from uuid import UUID

import asyncpg

from newel.audit import catalogue as facts
from newel.audit.leaf import Actor, Event, ProcessVersion, build
from newel.domain.search import grams

__all__ = ["NAMES", "PROCESSES", "fill"]

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

PROCESSES: Final = ("onboarding", "offboarding", "expense", "access_request", "review")
_STEPS: Final = ("google.ensure_account", "slack.ensure_account", "jira.ensure_account",
                 "github.join_team")  # fmt: skip
EVENTS_PER_RUN: Final = 2 + 2 * len(_STEPS)
_CHUNK: Final = 5_000
_FIRST: Final = ["Ada", "Jane", "Noor", "Lina", "Omar", "Ravi", "Mei", "Hugo", "Ines", "Paul", "Zoe", "Emil", "Nina", "Yusuf", "Klara", "Igor", "Salma", "Theo", "Maja", "Felix"]  # fmt: skip  # noqa: E501
_LAST: Final = ["Park", "Doe", "Haddad", "Novak", "Silva", "Okafor", "Sato", "Berg", "Moreau", "Rossi", "Kaya", "Lind", "Varga", "Popov", "Costa", "Weber", "Duarte", "Nguyen", "Brandt", "Mensah"]  # fmt: skip  # noqa: E501

_ZERO: Final = "00000000-0000-4000-8000-000000000000"
_PREV: Final = "ab" * 32
_DIGEST: Final = "cd" * 32
_STREAM: Final = "run/run_" + "0" * 26
_PERSON: Final = "per_" + "1" * 26
_MOMENT: Final = "2001-01-01T00:00:00.000000Z"


def NAMES(number: int) -> str:  # noqa: N802 - a table, written as a function
    """The name of the n-th person."""
    first = _FIRST[number % len(_FIRST)]
    last = _LAST[number // len(_FIRST) % len(_LAST)]
    return f"{first} {last}{_syllables(number // (len(_FIRST) * len(_LAST)))}"


def _syllables(number: int) -> str:
    text = ""
    while number:
        number, rest = divmod(number, 36)
        text += "bdfklmnrst"[rest % 10] + "aeio"[rest // 10 % 4]
    return text


async def fill(
    connection: Connection,
    *,
    finished: int,
    waiting: int,
    people: int | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Write people, finished runs with ten events each, and waiting runs; then analyse.

    people: how many; None is a tenth of the finished runs.
    """
    people = people or max(min(finished // 10, 100_000), 20)
    await connection.execute(_REFERENCE)
    await _people(connection, people)
    say(f"{people} people")
    await connection.execute(_DEFINITIONS, list(PROCESSES))
    statement = _finished_statement()
    for at in range(0, finished, _CHUNK):
        upto = min(at + _CHUNK, finished)
        await connection.execute(statement, at, upto - 1, people, finished)
        if upto % (_CHUNK * 20) == 0 or upto == finished:
            say(f"{upto} finished runs")
    await connection.execute(_GRANTS, people)
    await connection.execute(_TASKS_DONE, finished // 5)
    await connection.execute(_INBOX, max(finished // 10, 10))
    await connection.execute(_INCIDENTS, max(finished // 1000, 10))
    say("grants, tasks, messages, incidents")
    for at in range(0, waiting, _CHUNK * 2):
        upto = min(at + _CHUNK * 2, waiting)
        await connection.execute(_waiting_statement(), at, upto - 1, people)
    say(f"{waiting} waiting runs")
    await connection.execute("vacuum analyze")


async def _people(connection: Connection, count: int) -> None:
    chance = random.Random(1)
    refs = [UUID(int=chance.getrandbits(128), version=4) for _ in range(count)]
    rows = []
    for number, ref in enumerate(refs):
        name = NAMES(number)
        email = f"p{number}@example.test"
        rows.append((ref, f"E{number}", name, email, refs[number // 10], grams(name, email)))
    await connection.copy_records_to_table(
        "person",
        schema_name="newel",
        records=rows,
        columns=["ref", "hr_key", "display_name", "work_email", "manager", "search_grams"],
    )
    await connection.execute(
        "create unlogged table public.scale_person as "
        "select row_number() over () - 1 as n, ref, public.scale_reference('per', ref) as named "
        "from newel.person;"
        "alter table public.scale_person add primary key (n)"
    )


# --- leaves ---------------------------------------------------------------------------------


def _story() -> list[tuple[Event, str | None]]:
    """The events of one finished run, with the key that each is about."""
    version_less: list[tuple[Event, str | None]] = [
        (
            facts.RunStarted(
                source=facts.Source(type="api"),
                requested_by="svc_hr",
                input_digest=_DIGEST,
                confidential=False,
            ),
            None,
        )
    ]
    for key in _STEPS:
        version_less.append(
            (
                facts.StepStarted(idempotency_key="0" * 32, input_fp="0" * 32, direction="act"),
                key,
            )
        )
        version_less.append(
            (facts.StepSucceeded(outcome_digest=_DIGEST, duration_us=140_000, changed=True), key)
        )
    version_less.append(
        (facts.RunCompleted(outcome_digest=_DIGEST, active_us=600_000, elapsed_us=900_000), None)
    )
    return version_less


def _template(fact: Event, seq: int, key: str | None) -> str:
    """A leaf as an SQL expression over `c`: the columns of the run, and the hash before it."""
    process = ProcessVersion(name="onboarding", version=1, definition_sha256="ef" * 32)
    leaf = build(
        fact,
        id=_ZERO,
        stream=_STREAM,
        seq=seq,
        prev=b"" if seq == 1 else bytes.fromhex(_PREV),
        occurred_at=_MOMENT,
        actor=Actor(type="system", id="newel", via="worker/w_1"),
        subject=_PERSON,
        system=None if key is None else key.partition(".")[0],
        process=process if fact.has_process else None,
        step=None if key is None else {"key": key, "attempt": 1, "round": 1},
    )
    text = leaf.entry.decode().replace("'", "''").replace("%", "%%")
    places = {
        _ZERO: "gen_random_uuid()",
        _STREAM: "c.stream",
        _PERSON: "c.person",
        _MOMENT: f"to_char(c.at + {seq - 1} * interval '1 minute', "
        '\'YYYY-MM-DD"T"HH24:MI:SS.US"Z"\')',
        _PREV: "encode(c.head, 'hex')",
        _DIGEST: f"encode(sha256({_payload(seq)}), 'hex')",
    }
    values = []
    for place, value in sorted(places.items(), key=lambda each: text.find(each[0])):
        if place in text:
            text = text.replace(place, "%s", 1)
            values.append(value)
    return f"convert_to(format('{text}', {', '.join(values)}), 'UTF8')"


def _payload(seq: int) -> str:
    """Two hundred bytes that differ for every run and place."""
    return f"decode(repeat(md5(c.id::text || '{seq}'), 12), 'hex')"


def _finished_statement() -> str:
    """One statement that writes the finished runs from $1 to $2 of $4, about $3 people."""
    story = _story()
    parts = [
        "with c0 as materialized ("  # noqa: ISC004
        " select u.id, 'run/' || public.scale_reference('run', u.id) as stream, p.ref as subject,"
        "        p.named as person, u.n,"
        "        (timestamptz '2023-11-01 08:00Z' + u.n * (interval '1095 days' / $4::bigint))"
        "            at time zone 'utc' as at, ''::bytea as head"
        " from (select n, overlay(overlay(gen_random_uuid()::text placing"
        "         substr(lpad(to_hex((extract(epoch from timestamptz '2023-11-01 08:00Z' + n *"
        "         (interval '1095 days' / $4::bigint)) * 1000)::bigint), 12, '0'), 1, 8) || '-' ||"
        "         substr(lpad(to_hex((extract(epoch from timestamptz '2023-11-01 08:00Z' + n *"
        "         (interval '1095 days' / $4::bigint)) * 1000)::bigint), 12, '0'), 9, 4)"
        "         from 1 for 13) placing '7' from 15 for 1)::uuid as id"
        "       from generate_series($1::bigint, $2::bigint) n) u"
        " join public.scale_person p on p.n = u.n % $3::bigint)"
    ]
    for seq, (fact, key) in enumerate(story, 1):
        parts.append(
            f"e{seq} as materialized (select c.*, {_template(fact, seq, key)} as entry "
            f"from c{seq - 1} c), "
            f"c{seq} as materialized (select id, stream, subject, person, n, at, "
            f"sha256('\\x00'::bytea || entry) as head from e{seq})"
        )
    rows = " union all ".join(
        f"select c.id, {seq}, '{fact.type}', {'null' if key is None else repr(key)}, "
        f"(c.at + {seq - 1} * interval '1 minute') at time zone 'utc', c.entry, "
        f"{_payload(seq) if fact.type != 'step.started' else 'null::bytea'} from e{seq} c"
        for seq, (fact, key) in enumerate(story, 1)
    )
    parts.append(
        "w as (insert into newel.event (stream_id, seq, type, key, occurred_at, entry, payload) "
        f"{rows})"
    )
    return ", ".join(parts) + (
        " insert into newel.run (id, process, version, state, subject, stint, seq, head, last_at,"
        " started_at, finished_at)"
        " select id, (array['" + "','".join(PROCESSES) + "'])[1 + (n % 5)::int], 1, 'completed',"
        f" subject, 1, {EVENTS_PER_RUN}, head,"
        " (at + interval '9 minutes') at time zone 'utc', at at time zone 'utc',"
        f" (at + interval '9 minutes') at time zone 'utc' from c{EVENTS_PER_RUN}"
    )


def _waiting_statement() -> str:
    """One statement that writes the waiting runs from $1 to $2: timers, messages, approvals."""
    started = _template(_story()[0][0], 1, None)
    return (
        "with c as materialized ("
        " select u.id, 'run/' || public.scale_reference('run', u.id) as stream, p.ref as subject,"
        "        p.named as person, u.n,"
        "        now() at time zone 'utc' as at, ''::bytea as head,"
        "        now() + (1 + u.n % 5000) * interval '1 hour' as due"
        " from (select n, overlay(overlay(gen_random_uuid()::text placing"
        "         substr(lpad(to_hex((extract(epoch from now()) * 1000 + n)::bigint), 12, '0'), 1, 8)"  # noqa: E501
        "         || '-' ||"
        "         substr(lpad(to_hex((extract(epoch from now()) * 1000 + n)::bigint), 12, '0'), 9, 4)"  # noqa: E501
        "         from 1 for 13) placing '7' from 15 for 1)::uuid as id"
        "       from generate_series($1::bigint, $2::bigint) n) u"
        " join public.scale_person p on p.n = u.n % $3::bigint), "
        f"e as materialized (select c.*, {started} as entry from c), "
        "w as (insert into newel.event (stream_id, seq, type, key, occurred_at, entry, payload) "
        f"select c.id, 1, 'run.started', null, now(), c.entry, {_payload(1)} from e c), "
        "r as (insert into newel.run (id, process, version, state, subject, stint, seq, head,"
        " last_at, wake_at, started_at)"
        " select id, 'onboarding', 1, 'waiting', subject, 1 + n, 1,"
        " sha256('\\x00'::bytea || entry), now(),"
        " case when n % 10 < 7 then due end, now() from e returning id), "
        "t as (insert into newel.task (id, run_id, key, kind, title, subject, owner, opened_at,"
        " due_at, state)"
        " select c.id, c.id, 'manager-confirms', 'approval', 'confirm the hire', c.subject, 'hr',"
        " now() - c.n * interval '1 second', case when c.n % 20 = 9 then c.due end, 'open'"
        " from c join r on r.id = c.id where c.n % 10 = 9) "
        "insert into newel.open_act (run_id, key, kind, state, opened_at, due_at, task_id, event,"
        " match)"
        " select id, case when n % 10 < 7 then 'first-day' when n % 10 < 9 then 'paid'"
        "            else 'manager-confirms' end,"
        " case when n % 10 < 7 then 'timer' when n % 10 < 9 then 'event' else 'approval' end,"
        " 'open', now(), case when n % 10 < 7 then due end,"
        " case when n % 10 = 9 then id end, case when n % 10 in (7, 8) then 'paid' end,"
        " case when n % 10 in (7, 8) then 'FIN-' || n end from c"
    )


_REFERENCE: Final = """
create function public.scale_reference(prefix text, name uuid) returns text
    language sql immutable parallel safe as $$
    select prefix || '_' || string_agg(
        substr('0123456789abcdefghjkmnpqrstvwxyz',
               (substring(b from 1 + 5 * i for 5))::integer + 1, 1), '' order by i)
    from (select b'00' || ('x' || replace(name::text, '-', ''))::bit(128) as b) x,
         generate_series(0, 25) i
$$"""

_DEFINITIONS: Final = """
insert into newel.definition (process, sha256, version, source, title, owner)
select p, repeat('ef', 32), 1, '', initcap(p), 'hr' from unnest($1::text[]) p
on conflict do nothing"""

_GRANTS: Final = """
insert into newel.access_grant
    (id, person, system, entitlement, level, state, intended_at, valid_from, valid_to, route,
     reason_kind, made_run, made_key, made_seq, ended_run, ended_key, ended_seq)
select gen_random_uuid(), r.subject, e, e || ':account', 'member',
       case when r.n > 1 then 'revoked' else 'active' end,
       r.started_at, r.started_at, case when r.n > 1 then r.finished_at end, 'api',
       'process', r.id, 'google.ensure_account', 3, case when r.n > 1 then r.id end,
       case when r.n > 1 then 'google.ensure_account' end, case when r.n > 1 then 3 end
from (select id, subject, started_at, finished_at,
             row_number() over (partition by subject order by id desc) as n
      from newel.run where finished_at is not null) r,
     unnest(array['google', 'slack', 'jira', 'github']) e
where r.n <= 2 and $1::bigint > 0"""

_TASKS_DONE: Final = """
insert into newel.task (id, run_id, key, kind, title, subject, owner, opened_at, state, decision,
                        decided_by, decided_at)
select gen_random_uuid(), id, 'manager-confirms', 'approval', 'confirm', subject, 'hr', started_at,
       'decided', 'approve', subject, finished_at
from newel.run where finished_at is not null limit $1"""

_INBOX: Final = """
insert into newel.inbox (source, event_id, name, match, payload, digest, taken_by)
select 'bank', n::text, 'paid', 'OLD-' || n, '\\x00', '\\x00', gen_random_uuid()
from generate_series(1, $1::bigint) n"""

_INCIDENTS: Final = """
insert into newel.incident (id, fingerprint, system, class, title, state, lead_run, lead_key,
                            opened_at, closed_at)
select gen_random_uuid(), 'c/' || n, 'github', 'transient', 'GitHub', 'closed', gen_random_uuid(),
       'k', now() - n * interval '1 hour', now() - n * interval '1 hour'
from generate_series(1, $1::bigint) n"""


def moment(days: int) -> datetime:
    """A moment so many days after the first run."""
    return datetime(2023, 11, 1, 8, tzinfo=UTC) + timedelta(days=days)
