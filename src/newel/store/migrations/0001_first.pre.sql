-- newel's first schema.
--
-- One append-only journal (newel.event) tells what happened; small mutable tables say what is
-- open now. A run (newel.run) is the head of one stream of events: its row carries `seq` and
-- `head` of the stream, its owner, and when somebody must look at it next. What a run waits
-- for stands in newel.open_act, which holds nothing of a finished run. Every change of state
-- goes through newel.commit_batch (changes.sql tells its lock order).
--
-- What stands on the commit path was settled by measurement: docs/decisions/0004.

create schema if not exists newel;
revoke all on schema newel from public;

create table if not exists newel.migration (
    number      integer primary key,
    name        text not null,
    checksum    text not null,
    applied_at  timestamptz not null default clock_timestamp()
);

-- Identity of this database, and its clock. Tests and the demo may move the clock; a
-- production database refuses to.
create table newel.deployment (
    only_row      boolean primary key default true check (only_row),
    id            uuid not null default gen_random_uuid(),
    kind          text not null default 'production' check (kind in ('production', 'test', 'demo')),
    clock_offset  interval not null default interval '0',
    frozen_at     timestamptz,
    second_person text not null default 'asked' check (second_person in ('asked', 'strict')),
    created_at    timestamptz not null default clock_timestamp(),
    constraint only_test_and_demo_move_the_clock
        check (kind in ('test', 'demo') or (clock_offset = interval '0' and frozen_at is null))
);
insert into newel.deployment default values;

-- Time. Due moments are compared with newel.now(), never with now(), so that tests and the
-- demo can move the clock for all workers at once. Leases go by clock_timestamp().
create function newel.now() returns timestamptz
    language sql stable set search_path = ''
    return (select coalesce(frozen_at, clock_timestamp() + clock_offset) from newel.deployment);

-- Workers: a time-limited right to runs. The epoch is the fencing number: whoever takes over
-- raises it, and no batch of the old epoch can pass.
create table newel.worker (
    id           bigint generated always as identity primary key,
    epoch        bigint not null default 1,
    host         text not null,
    pid          integer not null,
    version      text not null,
    started_at   timestamptz not null default clock_timestamp(),
    lease_until  timestamptz not null,
    stopped_at   timestamptz,
    definitions  jsonb not null default '{}'
) with (fillfactor = 50);

-- Versions of processes that ever ran. drawing: as it was read then, canonical JSON; an old run is
-- drawn by its own version, however the code reads now. Null for what could not be drawn.
create table newel.definition (
    process        text not null,
    sha256         text not null,
    version        integer not null,
    source         text not null,
    title          text not null,
    owner          text,
    registered_at  timestamptz not null default clock_timestamp(),
    drawing        text,
    primary key (process, sha256),
    unique (process, version)
);

-- seen: up to which of its events a worker has driven the body; later ones are new to its log.
-- readings: how often an owner has taken note of why the run was due. Who read it before that may
-- not put it back.
create table newel.run (
    id             uuid primary key,
    process        text not null,
    version        integer not null,
    seen_version   integer,
    seen           bigint check (seen >= 1),
    readings       bigint not null default 0 check (readings >= 0),
    state          text not null check (state in
                       ('running', 'waiting', 'parked', 'completed', 'failed', 'cancelled')),
    subject        uuid,
    stint          integer,
    priority       smallint not null default 100 check (priority in (50, 100, 150)),
    room           text collate "C",
    worker_id      bigint,
    worker_epoch   bigint,
    seq            bigint not null check (seq >= 1),
    head           bytea not null check (octet_length(head) = 32),
    last_at        timestamptz not null,
    wake_at        timestamptz,
    parked_reason  text check (parked_reason in
                       ('outage', 'unknown', 'ownership-conflict', 'invalid', 'forbidden',
                        'auth-failed', 'no-capacity', 'contract-drift', 'bug', 'drifted',
                        'blocked', 'nobody', 'held', 'overdue')),
    parked_with    text,
    cancelling     boolean not null default false,
    paused_at      timestamptz,
    paused_by      text,
    acknowledged_at timestamptz,
    limit_at       timestamptz,
    is_overdue     boolean not null default false,
    started_at     timestamptz not null,
    finished_at    timestamptz,
    payload_expired_at timestamptz,
    parent_run     uuid,
    parent_key     text collate "C",
    with_parent    boolean,
    constraint a_child_has_its_parents_key
        check ((parent_run is null) = (parent_key is null)
               and (parent_run is null) = (with_parent is null)),
    constraint finished_iff_final
        check ((finished_at is not null) = (state in ('completed', 'failed', 'cancelled'))),
    constraint owned_only_while_open
        check (worker_id is null or finished_at is null),
    constraint owner_is_worker_and_epoch
        check ((worker_id is null) = (worker_epoch is null)),
    constraint parked_has_reason_and_addressee
        check (state <> 'parked' or (parked_reason is not null and parked_with is not null)),
    constraint paused_by_somebody check ((paused_at is null) = (paused_by is null)),
    constraint only_an_end_is_acknowledged
        check (acknowledged_at is null or finished_at is not null),
    constraint finished_is_never_due
        check (finished_at is null or wake_at is null)
) with (fillfactor = 60);
create index run_ready on newel.run (priority, wake_at)
    where worker_id is null and wake_at is not null and room is null;
create index run_ready_in_room on newel.run (room, priority, wake_at)
    where worker_id is null and wake_at is not null and room is not null;
create index run_active_in_room on newel.run (room)
    where worker_id is not null and room is not null;
create index run_owned on newel.run (worker_id) where worker_id is not null;
create index run_open on newel.run (id) include (process, subject) where finished_at is null;
create index run_ended on newel.run (id) include (process, subject, state)
    where finished_at is not null;
-- One entry for many rows that are alike: the counts of a process read no more than they count.
create index run_ended_of_process on newel.run (process, state) where finished_at is not null;
create index run_parked on newel.run (id) where state = 'parked';
create index run_of_newel on newel.run (id) where finished_at is null and process like 'newel.%';
create index run_paused on newel.run (id) where paused_at is not null and finished_at is null;
-- Those that are looked for among many that were completed.
create index run_stopped on newel.run (state, id) include (process)
    where state in ('failed', 'cancelled');
-- What was cancelled lately, for access that it has left.
create index run_cancelled on newel.run (finished_at) where state = 'cancelled';
-- What ended and still has its payloads, for retention.
create index run_with_payload on newel.run (finished_at)
    where finished_at is not null and payload_expired_at is null;
create index run_of_subject on newel.run (subject, started_at) where subject is not null;
create index run_blocked on newel.run (process)
    where state = 'parked' and parked_reason in ('bug', 'blocked', 'drifted');
-- The business key: one open run per process, subject and period of employment.
create unique index run_one_open_per_subject on newel.run (process, subject, coalesce(stint, 1))
    where finished_at is null and subject is not null and parent_run is null;
-- A child run has its parent and the key in it: a crash starts it once.
create unique index run_of_parent on newel.run (parent_run, parent_key)
    where parent_run is not null;

-- Where only so many may be active at once: `process/<name>` for runs, `system/<name>` for
-- attempts. A place is not kept anywhere: a run holds one while a worker owns it, an attempt
-- while its intent belongs to a worker whose lease holds. So a place comes back by itself.
create table newel.room (
    name     text collate "C" primary key,
    at_most  integer check (at_most > 0)
);

-- The one journal. The row that records an outcome is the audit event; `entry` holds the leaf
-- bytes exactly as hashed, `payload` the (sealed) input or outcome whose digest is in the leaf.
create table newel.event (
    stream_id    uuid not null,
    seq          bigint not null,
    type         text collate "C" not null,
    key          text collate "C",
    occurred_at  timestamptz not null,
    entry        bytea not null check (octet_length(entry) between 2 and 32768),
    payload      bytea,
    primary key (stream_id, seq)
) partition by range (stream_id);
create table newel.event_default partition of newel.event default;
alter table newel.event alter column entry set storage plain;
alter table newel.event alter column payload set storage external;

-- One row per committed batch, for the log's sequencer: place and leaf hash of each event.
create table newel.event_batch (
    id            bigint generated always as identity primary key,
    worker_id     bigint,
    worker_epoch  bigint,
    recorded_at   timestamptz not null default clock_timestamp(),
    streams       uuid[] not null,
    seqs          bigint[] not null,
    leaf_hashes   bytea not null
);

-- Streams that are no run: system/<name>, admin, service/<server>, log.
create table newel.audit_stream (
    id       uuid primary key,
    name     text collate "C" not null unique,
    seq      bigint not null default 0,
    head     bytea not null default ''::bytea,
    last_at  timestamptz not null default '-infinity'
);

-- What is open: intents, retries, waits. Deleted with the outcome.
create table newel.open_act (
    run_id        uuid not null,
    key           text collate "C" not null,
    kind          text not null check (kind in ('step', 'timer', 'approval', 'form', 'event',
                                                'child', 'lock')),
    state         text not null check (state in ('attempting', 'retrying', 'parked', 'open',
                                                 'held')),
    attempt       integer not null default 0,
    next_at       timestamptz,
    due_at        timestamptz,
    opened_at     timestamptz not null,
    intended_at   timestamptz,
    worker_id     bigint,
    worker_epoch  bigint,
    fingerprint   bytea,
    effect_key    bytea,
    system        text,
    credential    text,
    incident_id   uuid,
    reason        text,
    owner         text,
    task_id       uuid,
    event         text,
    match         text,
    detail        jsonb,
    primary key (run_id, key),
    constraint intent_has_owner
        check (state <> 'attempting' or (worker_id is not null and intended_at is not null)),
    constraint parked_has_reason_and_owner
        check (state <> 'parked' or (reason is not null and owner is not null)),
    constraint steps_are_not_waits
        check ((kind = 'step') = (state in ('attempting', 'retrying', 'parked'))),
    constraint only_a_lock_is_held
        check (state <> 'held' or (kind = 'lock' and match is not null)),
    constraint a_wait_has_one_of_timer_task_event
        check (kind = 'step'
               or (kind = 'timer' and due_at is not null and task_id is null and match is null)
               or (kind in ('approval', 'form') and task_id is not null)
               or (kind = 'event' and task_id is null and event is not null)
               or (kind in ('child', 'lock') and task_id is null))
) with (fillfactor = 70);
create unique index open_act_effect on newel.open_act (effect_key)
    where effect_key is not null and state = 'attempting';
create index open_act_incident on newel.open_act (incident_id) where incident_id is not null;
-- What is being attempted at one system, for its limit.
create index open_act_at_system on newel.open_act (system)
    where state = 'attempting' and system is not null;
-- Those that the index of effects does not hold; a look-up of effects must not come this way.
create index open_act_attempting on newel.open_act (run_id)
    where state = 'attempting' and effect_key is null;
create index open_act_parked on newel.open_act (run_id) where state = 'parked';
create index open_act_retrying on newel.open_act (run_id) where state = 'retrying';
create index open_act_held_up on newel.open_act (credential)
    where state = 'parked' and reason = 'held';
create index open_act_by_hand on newel.open_act (run_id)
    where state = 'retrying' and reason = 'by-hand';
create index open_act_queued on newel.open_act (system, opened_at)
    where state = 'retrying' and reason = 'place';
create index open_act_event on newel.open_act (event, match) where kind = 'event';
-- A lock that all runs share: one act holds it; the others wait in the order they asked.
create unique index open_act_lock on newel.open_act (match)
    where kind = 'lock' and state = 'held';
create index open_act_lock_queue on newel.open_act (match, opened_at, run_id)
    where kind = 'lock' and state = 'open';

-- Human work.
create table newel.task (
    id             uuid primary key,
    run_id         uuid not null references newel.run (id),
    key            text collate "C" not null,
    kind           text not null check (kind in ('approval', 'form')),
    title          text not null,
    instructions   text,
    form           text,  -- a JSON Schema; jsonb would lose the order of its fields
    evidence       text check (evidence in ('none', 'note', 'file')),
    subject        uuid,
    owner          text not null,
    assignee       uuid,
    excluded       uuid[] not null default '{}',
    four_eyes      text,
    opened_at      timestamptz not null,
    due_at         timestamptz,
    reminded_at    timestamptz,
    reminders      integer,
    state          text not null check (state in ('open', 'decided', 'expired', 'withdrawn')),
    decision       text check (decision in ('approve', 'reject', 'submit')),
    decided_by     uuid,
    decided_at     timestamptz,
    version        integer not null default 1,
    -- What a second person is asked to confirm; without one it is work of the run itself.
    verb           text check (verb in ('skip', 'complete-by-hand', 'cancel', 'amend')),
    constraint decided_by_somebody
        check ((state = 'decided') = (decided_by is not null and decided_at is not null
                                      and decision is not null))
);
create unique index task_one_open_per_key on newel.task (run_id, key) where state = 'open';
create index task_open on newel.task (due_at, opened_at) where state = 'open';
create index task_of_run on newel.task (run_id);
create index task_to_confirm on newel.task (due_at) where state = 'open' and verb is not null;

-- What a person has attached to a task as evidence: sealed, and emptied with its run's payloads.
create table newel.task_file (
    task_id      uuid primary key references newel.task (id),
    run_id       uuid not null references newel.run (id),
    name         bytea,
    content      bytea,
    size         integer not null check (size between 1 and 10485760),
    sha256       text not null,
    attached_at  timestamptz not null,
    constraint emptied_as_a_whole check ((name is null) = (content is null))
);
create index task_file_of_run on newel.task_file (run_id);

-- People. Personal columns live here and in sealed payloads, nowhere else.
create table newel.person (
    ref           uuid primary key,
    hr_key        text unique,
    display_name  text not null,
    work_email    text unique,
    manager       uuid,
    search_grams  text[] not null default '{}',
    key_state     text not null default 'live' check (key_state in ('live', 'erased')),
    updated_at    timestamptz not null default clock_timestamp()
);
create index person_grams on newel.person using gin (search_grams);
create table newel.person_key (
    person        uuid not null,
    n             integer not null,
    wrapped       bytea,
    kek_id        text not null,
    created_at    timestamptz not null default clock_timestamp(),
    destroyed_at  timestamptz,
    primary key (person, n),
    constraint destroyed_means_gone check ((wrapped is null) = (destroyed_at is not null))
);

-- Work addresses that were given, each to one person for all time: also once that person is erased.
-- Of an address only a digest under the deployment's key is kept, so that nothing is left to erase.
create table newel.given_address (
    digest        bytea primary key check (octet_length(digest) = 32),
    person        uuid not null references newel.person (ref),
    given_at      timestamptz not null,
    reserved_at   timestamptz
);

create table newel.system (
    key         text collate "C" primary key,
    title       text not null,
    connector   text not null,
    owner_team  text,
    credential  text,
    updated_at  timestamptz not null default clock_timestamp()
);
create table newel.entitlement (
    key         text collate "C" primary key,
    system      text collate "C" not null references newel.system (key),
    title       text not null,
    risk        text not null default 'normal' check (risk in ('low', 'normal', 'high')),
    state       text not null default 'declared'
                    check (state in ('declared', 'discovered', 'deprecated', 'retired'))
);

-- Who holds what, since when and why: one row is one unbroken interval.
create table newel.access_grant (
    id            uuid primary key,
    person        uuid not null,
    stint         integer not null default 1,
    system        text collate "C" not null,
    entitlement   text collate "C" not null,
    level         text,
    account_id    text,
    state         text not null check (state in
                      ('planned', 'approved', 'prepared', 'active', 'suspended', 'revoked',
                       'refused', 'waived')),
    intended_at   timestamptz,
    valid_from    timestamptz,
    valid_to      timestamptz,
    verified_at   timestamptz,
    since_unknown boolean not null default false,
    route         text,
    evidence      text,
    reason_kind   text not null,
    reason_ref    text,
    continues     uuid references newel.access_grant (id),
    made_run      uuid not null,
    made_key      text not null,
    made_seq      bigint not null,
    ended_run     uuid,
    ended_key     text,
    ended_seq     bigint,
    removed_at    timestamptz,
    removed_run   uuid,
    removed_key   text,
    recorded_at   timestamptz not null default clock_timestamp(),
    constraint periods_run_forward
        check (valid_to is null or valid_from is null or valid_to >= valid_from),
    constraint active_has_a_start check (state <> 'active' or valid_from is not null),
    constraint an_end_has_its_outcome
        check ((state in ('suspended', 'revoked'))
               = (valid_to is not null and ended_run is not null and ended_key is not null
                  and ended_seq is not null)),
    constraint only_what_was_suspended_is_removed
        check (removed_at is null or (state = 'revoked' and removed_run is not null
                                      and removed_key is not null)),
    foreign key (made_run, made_seq) references newel.event (stream_id, seq)
        deferrable initially deferred,
    foreign key (ended_run, ended_seq) references newel.event (stream_id, seq)
        deferrable initially deferred
);
create unique index access_grant_one_open on newel.access_grant (person, entitlement)
    where state in ('planned', 'approved', 'prepared', 'active');
create index access_grant_held on newel.access_grant (entitlement, valid_from, valid_to);
create index access_grant_of_system on newel.access_grant (system, entitlement, id);
create index access_grant_of_person on newel.access_grant (person, recorded_at);
create index access_grant_ended on newel.access_grant (valid_to) where ended_run is not null;
create index access_grant_of_run on newel.access_grant (made_run);
create index access_grant_of_account on newel.access_grant (account_id)
    where account_id is not null;
create unique index access_grant_continued_once on newel.access_grant (continues)
    where continues is not null;

-- One cause that holds up one or many steps, and its issue in the tracker.
create table newel.incident (
    id            uuid primary key,
    fingerprint   text not null,
    system        text not null,
    credential    text,
    scope         text not null default 'system' check (scope in ('system', 'operation')),
    class         text not null,
    title         text not null,
    state         text not null check (state in
                      ('watching', 'escalated', 'healing', 'healed', 'closed')),
    lead_run      uuid not null,
    lead_key      text collate "C" not null,
    operation     text,
    is_urgent     boolean not null default false,
    opened_at     timestamptz not null,
    escalated_at  timestamptz,
    healed_at     timestamptz,
    healed_by     text check (healed_by in ('probe', 'schedule', 'person')),
    closed_at     timestamptz,
    probe_at      timestamptz,
    probe_misses  integer not null default 0,
    flaps         integer not null default 0,
    last_error    text,
    run_id        uuid,
    told          text,
    told_at       timestamptz
);
create index incident_closed on newel.incident (fingerprint, closed_at) where state = 'closed';
create index incident_open on newel.incident (opened_at) where state <> 'closed';
create unique index incident_one_open on newel.incident (fingerprint)
    where state in ('watching', 'escalated', 'healing');
create index incident_probe on newel.incident (probe_at)
    where state in ('watching', 'escalated', 'healing');
create table newel.ticket (
    incident_id   uuid not null references newel.incident (id),
    channel       text not null,
    external_key  text not null,
    url           text,
    state         text not null default 'open' check (state in ('open', 'closed')),
    run_id        uuid not null,
    recorded_at   timestamptz not null default clock_timestamp(),
    primary key (incident_id, channel)
);

-- Messages from outside, kept until a wait takes them; `n` is the order in which they came.
-- One that its author does not want kept, and for which nobody waited, is `lost`.
create table newel.inbox (
    id           uuid primary key default gen_random_uuid(),
    n            bigint not null generated always as identity,
    source       text not null,
    event_id     text not null,
    name         text not null,
    match        text,
    to_run       uuid,
    payload      bytea not null,
    digest       bytea not null,
    received_at  timestamptz not null default clock_timestamp(),
    taken_by     uuid,
    taken_at     timestamptz,
    is_lost      boolean not null default false,
    unique (source, event_id),
    constraint lost_is_not_taken check (not is_lost or taken_by is null)
);
create index inbox_kept on newel.inbox (name, match) where taken_by is null and not is_lost;
create index inbox_kept_for_run on newel.inbox (to_run, name)
    where taken_by is null and not is_lost and to_run is not null;

-- Requests that must not be carried out twice, with the run they made.
create table newel.start_request (
    scope       text not null,
    key         text not null,
    digest      bytea not null,
    run_id      uuid not null,
    created_at  timestamptz not null default clock_timestamp(),
    primary key (scope, key)
);

-- What starts by itself. A row is what the code declared last; `next_at` is the planned moment
-- that is decided next, under the row's lock, by whichever worker comes first.
create table newel.schedule (
    name           text collate "C" primary key,
    process        text not null,
    cron           text not null,
    zone           text not null,
    missed         text not null check (missed in ('once', 'each', 'skip')),
    next_at        timestamptz not null,
    registered_at  timestamptz not null default clock_timestamp(),
    paused_at      timestamptz,
    retired_at     timestamptz
);
create index schedule_due on newel.schedule (next_at)
    where paused_at is null and retired_at is null;
-- One row for each planned moment that was decided, and so never a second run for it.
create table newel.occurrence (
    schedule    text collate "C" not null,
    planned_at  timestamptz not null,
    decided_at  timestamptz not null,
    run_id      uuid,
    left_out    integer not null default 0,
    refused     text,
    primary key (schedule, planned_at),
    constraint started_or_refused check (run_id is null or refused is null)
);

-- How fast requests of one credential may leave: a token bucket that all workers share. A level
-- below nought is a queue; `queued_until` is the last moment that a refused request was given.
create table newel.gate (
    credential     text not null,
    bucket         text not null,
    tokens         double precision not null,
    filled_at      timestamptz not null,
    blocked_until  timestamptz,
    queued_until   timestamptz,
    primary key (credential, bucket)
) with (fillfactor = 50);

-- What a system gave for a refresh token that serves once: sealed, null before the first time.
-- Whoever renews holds the row.
create table newel.kept_token (
    id          uuid primary key,
    credential  text not null,
    sealed      bytea,
    kept_at     timestamptz
);

-- From whom access was taken with a credential within the last hour: each person once, from the
-- first removal on. Beyond so many of them nothing more is sent until somebody lets it go.
create table newel.removal (
    credential  text not null,
    whose       bytea not null,
    run_id      uuid not null,
    removed_at  timestamptz not null,
    primary key (credential, whose)
);

-- What checks have found of a credential's plan and token. Proved once and missing now is a broken
-- credential; never proved is a plan that has it not.
create table newel.capability (
    credential  text not null,
    name        text collate "C" not null,
    system      text not null,
    checked_at  timestamptz not null,
    proved_at   timestamptz,
    primary key (credential, name),
    constraint proved_by_a_check check (proved_at <= checked_at)
);

-- Whether one more person may lose access. `p_alone`: only what this very run has taken counts. Who
-- asks queues at the row of a bucket of that name, so that two workers never count past each other.
create function newel.admit_removal(
    p_credential text, p_whose bytea, p_run uuid, p_most integer, p_window interval,
    p_alone boolean, p_released boolean
) returns boolean language plpgsql set search_path = '' as $$
declare
    moment  timestamptz := newel.now();
    taken   bigint;
begin
    insert into newel.gate (credential, bucket, tokens, filled_at)
    values (p_credential, 'removals', 0, moment) on conflict do nothing;
    perform 1 from newel.gate
    where credential = p_credential and bucket = 'removals' for update;
    delete from newel.removal
    where credential = p_credential and removed_at <= moment - p_window;
    if exists (select 1 from newel.removal
               where credential = p_credential and whose = p_whose) then
        return true;
    end if;
    select count(*) into taken from newel.removal
    where credential = p_credential and (not p_alone or run_id = p_run);
    if taken >= p_most and not p_released then
        return false;
    end if;
    insert into newel.removal (credential, whose, run_id, removed_at)
    values (p_credential, p_whose, p_run, moment);
    return true;
end $$;

create function newel.take_tokens(
    p_credential text, p_bucket text, p_rate float8, p_capacity float8, p_floor float8,
    p_cost float8, p_want float8, p_patience float8, p_may_jump boolean,
    out given float8, out wait float8
) language plpgsql set search_path = '' as $$
declare
    g       newel.gate;
    moment  timestamptz := newel.now();
    level   float8;
    turn    timestamptz;
begin
    insert into newel.gate (credential, bucket, tokens, filled_at)
    values (p_credential, p_bucket, p_capacity, moment) on conflict do nothing;
    select * into g from newel.gate
    where credential = p_credential and bucket = p_bucket for update;
    level := least(p_capacity, g.tokens
        + p_rate * greatest(extract(epoch from moment - g.filled_at)::float8, 0));
    wait := coalesce(greatest(extract(epoch from g.blocked_until - moment)::float8, 0), 0);
    if p_rate > 0 then
        wait := greatest(wait, (p_floor + p_cost - level) / p_rate);
    end if;
    turn := moment + make_interval(secs => wait);
    -- Who comes for the first time stands behind those who rest until their turn.
    if g.queued_until > turn and (not p_may_jump or wait > p_patience) then
        turn := g.queued_until;
    end if;
    if extract(epoch from turn - moment)::float8 > p_patience then
        if p_rate > 0 then
            turn := turn + make_interval(secs => p_cost / p_rate);
        end if;
        update newel.gate
        set tokens = level, filled_at = greatest(filled_at, moment), queued_until = turn
        where credential = p_credential and bucket = p_bucket;
        given := 0;
        wait := extract(epoch from turn - moment)::float8;
        return;
    end if;
    given := p_cost;
    if wait <= 0 then
        given := case when p_rate > 0
            then greatest(p_cost, least(p_want, floor(level - p_floor))) else p_want end;
    end if;
    -- Taken before the wait, so that whoever comes next stands behind.
    update newel.gate
    set tokens = case when p_rate > 0 then level - given else 0 end,
        filled_at = greatest(filled_at, moment)
    where credential = p_credential and bucket = p_bucket;
end $$;

create table newel.api_key (
    id            text primary key,
    name          text not null,
    sha256        bytea not null check (octet_length(sha256) = 32),
    created_at    timestamptz not null default clock_timestamp(),
    expires_at    timestamptz not null,
    last_used_at  timestamptz,
    revoked_at    timestamptz
);

-- Guard rails. Grants and triggers keep honest hands honest; the sealed log is the evidence.
create function newel.refuse_change() returns trigger
    language plpgsql set search_path = '' as $$
begin
    -- Retention empties a payload, whose digest stays in the leaf, of a run that says so itself.
    if tg_op = 'UPDATE' then
        if old.payload is not null and new.payload is null
           and (new.stream_id, new.seq, new.type, new.key, new.occurred_at, new.entry)
               is not distinct from
               (old.stream_id, old.seq, old.type, old.key, old.occurred_at, old.entry)
           and exists (select 1 from newel.run r
                       where r.id = old.stream_id and r.payload_expired_at is not null) then
            return new;
        end if;
    end if;
    raise exception 'newel.event is append-only: % refused', tg_op using errcode = '42501';
end $$;
create trigger event_is_append_only before update or delete on newel.event
    for each row execute function newel.refuse_change();
create trigger event_is_never_truncated before truncate on newel.event
    for each statement execute function newel.refuse_change();
alter table newel.event enable always trigger event_is_append_only;
alter table newel.event enable always trigger event_is_never_truncated;
-- A truncate of a partition does not ask its parent: each partition has the trigger itself.
create trigger event_is_never_truncated before truncate on newel.event_default
    for each statement execute function newel.refuse_change();
alter table newel.event_default enable always trigger event_is_never_truncated;

-- No change of state without an event of the same transaction.
create function newel.state_needs_event() returns trigger
    language plpgsql set search_path = '' as $$
begin
    raise exception 'run % changed from % to % without an event', new.id, old.state, new.state
        using errcode = '23514';
end $$;
create trigger run_state_needs_event before update of state on newel.run
    for each row when (old.state is distinct from new.state and new.seq <= old.seq)
    execute function newel.state_needs_event();
alter table newel.run enable always trigger run_state_needs_event;

-- A grant walks forward: planned, approved, prepared, active, suspended, revoked; what has ended
-- is not taken up again, and whose it is and what it is about never changes.
create function newel.grant_walks_forward() returns trigger
    language plpgsql set search_path = '' as $$
begin
    if (new.person, new.entitlement, new.made_run, new.made_seq)
           is distinct from (old.person, old.entitlement, old.made_run, old.made_seq)
       or (new.state is distinct from old.state
           and (old.state, new.state) not in (
               ('planned', 'approved'), ('planned', 'prepared'), ('planned', 'active'),
               ('planned', 'refused'), ('planned', 'waived'),
               ('approved', 'prepared'), ('approved', 'active'),
               ('approved', 'refused'), ('approved', 'waived'),
               ('prepared', 'active'), ('prepared', 'revoked'), ('prepared', 'waived'),
               ('active', 'suspended'), ('active', 'revoked'), ('suspended', 'revoked'))) then
        raise exception 'grant % cannot go from % to %', old.id, old.state, new.state
            using errcode = '23514', constraint = 'grant_walks_forward';
    end if;
    return new;
end $$;
create trigger access_grant_walks_forward before update on newel.access_grant
    for each row execute function newel.grant_walks_forward();
alter table newel.access_grant enable always trigger access_grant_walks_forward;

-- Every insert into the journal leaves one row for the sequencer, whoever wrote it.
create function newel.enqueue_events() returns trigger
    language plpgsql set search_path = '' as $$
begin
    insert into newel.event_batch (worker_id, worker_epoch, streams, seqs, leaf_hashes)
    select nullif(current_setting('newel.worker', true), '')::bigint,
           nullif(current_setting('newel.epoch', true), '')::bigint,
           array_agg(e.stream_id), array_agg(e.seq),
           string_agg(sha256('\x00'::bytea || e.entry), ''::bytea)
    from (select a.stream_id, a.seq, a.entry from added a order by a.stream_id, a.seq) e
    having count(*) > 0;
    return null;
end $$;
create trigger event_enqueue after insert on newel.event
    referencing new table as added
    for each statement execute function newel.enqueue_events();
alter table newel.event enable always trigger event_enqueue;
