-- Erasing a person: what one person has ordered and another has to confirm.
--
-- A row waits until somebody else confirms it, or its time is over. What was erased, by whom and
-- why stands in the log; the person's row stays as a reference without a name, because leaves,
-- grants and runs refer to it.
create table newel.erasure (
    person      uuid primary key references newel.person (ref),
    ordered_by  jsonb not null,
    orderer     uuid not null,
    event_id    uuid not null,
    ordered_at  timestamptz not null,
    expires_at  timestamptz not null check (expires_at > ordered_at),
    ended_at    timestamptz,
    constraint nobody_orders_their_own check (orderer <> person)
);

-- Who was erased has no name, no address and no number left, and cannot come back under this
-- reference.
alter table newel.person add constraint erased_means_gone
    check (key_state = 'live'
           or (display_name = 'Erased person' and work_email is null and hr_key is null
               and manager is null and search_grams = '{}'));

-- Legal hold on a person, with all runs about them, or on one run: while it lasts, nothing of theirs
-- is emptied or removed, by time or by erasure. Why, and who said so, stands in the log, under the
-- event that is named here.
create table newel.legal_hold (
    event_id     uuid primary key,
    person       uuid references newel.person (ref),
    run_id       uuid references newel.run (id),
    set_at       timestamptz not null,
    released_at  timestamptz,
    check (num_nonnulls(person, run_id) = 1)
);
create unique index legal_hold_on_person on newel.legal_hold (person) where released_at is null;
create unique index legal_hold_on_run on newel.legal_hold (run_id) where released_at is null;

-- The runs about a person, or one run, with what these have started about nobody: who is erased or
-- held is so with all of it.
create function newel.line_of(p_whom uuid) returns setof uuid
    language sql stable set search_path = ''
begin atomic
    with recursive line as (
        select id from newel.run where subject = p_whom or id = p_whom
        union
        select r.id from newel.run r join line l on r.parent_run = l.id where r.subject is null)
    select id from line;
end;

create view newel.held_run as
select l.id from newel.legal_hold h
cross join lateral newel.line_of(coalesce(h.person, h.run_id)) as l (id)
where h.released_at is null;

-- Four eyes on acts that are about no run: what one person has ordered and another has to confirm
-- before its time is over. What it is about is written out, so that nothing else is confirmed.
create table newel.confirmation (
    event_id    uuid primary key,
    act         text not null,
    about       text not null,
    ordered_by  jsonb not null,
    orderer     uuid not null,
    expires_at  timestamptz not null,
    ended_at    timestamptz
);
create unique index confirmation_one_open on newel.confirmation (act, about)
    where ended_at is null;
