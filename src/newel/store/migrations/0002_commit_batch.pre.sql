-- The write door's function: many runs' Changes in one round trip and one transaction.
--
-- Lock order, kept by every statement that takes more than one of them:
--   worker (shared) -> run rows in id order -> rooms -> open acts -> tasks -> people and grants
--   -> incidents -> streams that are no run -> events and who is told of them.
-- It never waits for a run's row: a row that somebody else holds is refused as 'held' and its
-- Change comes again a moment later, so a request that hangs delays one run and not a worker.
-- What nearly every batch carries travels as arrays; what is rare travels as `rest`, one jsonb
-- object of rows by table.

create function newel.commit_rest(rest jsonb) returns void
    language plpgsql set search_path = '' as $$
declare
    next_run uuid;
    expected integer;
    moved    integer;
begin
    if rest ? 'cancelling' then
        update newel.run r set cancelling = true
        where r.id in (select value::uuid from jsonb_array_elements_text(rest -> 'cancelling'));
    end if;
    if rest ? 'moved' then
        update newel.run r set process = u.process, version = u.version
        from jsonb_to_recordset(rest -> 'moved') as u(id uuid, process text, version integer)
        where r.id = u.id;
    end if;
    if rest ? 'mark' then
        update newel.run r
        set paused_at = case when u.mark ? 'paused_at'
                             then (u.mark ->> 'paused_at')::timestamptz else r.paused_at end,
            paused_by = case when u.mark ? 'paused_at' then u.mark ->> 'paused_by'
                             else r.paused_by end,
            acknowledged_at = coalesce((u.mark ->> 'acknowledged_at')::timestamptz,
                                       r.acknowledged_at)
        from (select value as mark from jsonb_array_elements(rest -> 'mark')) u
        where r.id = (u.mark ->> 'id')::uuid;
    end if;
    if rest ? 'overdue' then
        update newel.run r set is_overdue = true
        where r.id in (select (value ->> 'id')::uuid
                       from jsonb_array_elements(rest -> 'overdue'));
    end if;
    if rest ? 'unlimited' then
        update newel.run r set limit_at = null, is_overdue = false
        where r.id in (select (value ->> 'id')::uuid
                       from jsonb_array_elements(rest -> 'unlimited'));
    end if;
    if rest ? 'wake' then
        -- Parents of children that end here. One that is held is not waited for: the Change comes
        -- again.
        perform 1 from newel.run r
        where r.id in (select (value ->> 'id')::uuid from jsonb_array_elements(rest -> 'wake'))
        order by r.id for update skip locked;
        get diagnostics moved = row_count;
        if moved < (select count(distinct value ->> 'id')
                    from jsonb_array_elements(rest -> 'wake')) then
            raise exception 'a parent is held' using errcode = 'NW003';
        end if;
        update newel.run r set wake_at = least(r.wake_at, newel.now())
        where r.finished_at is null
          and r.id in (select (value ->> 'id')::uuid from jsonb_array_elements(rest -> 'wake'));
    end if;
    if rest ? 'open_act' then
        insert into newel.open_act
        select * from jsonb_populate_recordset(null::newel.open_act, rest -> 'open_act')
        on conflict (run_id, key) do update set
            kind = excluded.kind, state = excluded.state, attempt = excluded.attempt,
            next_at = excluded.next_at, due_at = excluded.due_at,
            intended_at = excluded.intended_at, worker_id = excluded.worker_id,
            worker_epoch = excluded.worker_epoch, fingerprint = excluded.fingerprint,
            effect_key = excluded.effect_key, system = excluded.system,
            credential = excluded.credential, incident_id = excluded.incident_id,
            reason = excluded.reason, owner = excluded.owner, task_id = excluded.task_id,
            event = excluded.event, match = excluded.match, detail = excluded.detail;
    end if;
    if rest ? 'unlock' then
        -- The next in order may have the lock, of those who can take it now. Where its row is held right now, the Change comes
        -- again: nobody else would wake it.
        for next_run in
            select w.run_id
            from (select distinct value ->> 'key' as name
                  from jsonb_array_elements(rest -> 'unlock')) u
            cross join lateral (
                select q.run_id from newel.open_act q
                join newel.run r on r.id = q.run_id
                where q.kind = 'lock' and q.state = 'open' and q.match = u.name
                  and r.state <> 'parked' and r.paused_at is null
                order by q.opened_at, q.run_id limit 1) w
        loop
            perform 1 from newel.run r where r.id = next_run for update skip locked;
            if not found then
                raise exception 'the next in order is held' using errcode = 'NW003';
            end if;
            update newel.run r set wake_at = least(r.wake_at, newel.now())
            where r.id = next_run and r.finished_at is null;
        end loop;
    end if;
    if rest ? 'task' then
        insert into newel.task
        select * from jsonb_populate_recordset(null::newel.task, rest -> 'task')
        on conflict (id) do update set
            state = excluded.state, decision = excluded.decision,
            decided_by = excluded.decided_by, decided_at = excluded.decided_at,
            version = newel.task.version + 1;
    end if;
    if rest ? 'task_moved' then
        -- A task that is still open: only what the row names moves.
        update newel.task t
        set owner = coalesce(u.moved ->> 'owner', t.owner),
            assignee = case when u.moved ? 'assignee' then (u.moved ->> 'assignee')::uuid
                            else t.assignee end,
            due_at = case when u.moved ? 'due_at' then (u.moved ->> 'due_at')::timestamptz
                          else t.due_at end,
            reminded_at = coalesce((u.moved ->> 'reminded_at')::timestamptz, t.reminded_at),
            reminders = coalesce((u.moved ->> 'reminders')::integer, t.reminders),
            version = t.version + 1
        from (select value as moved from jsonb_array_elements(rest -> 'task_moved')) u
        where t.id = (u.moved ->> 'id')::uuid and t.state = 'open';
    end if;
    if rest ? 'grant_moved' then
        -- Each was read before: one that somebody has turned since is read and decided anew.
        perform 1 from newel.access_grant g
        where g.id in (select (value ->> 'id')::uuid
                       from jsonb_array_elements(rest -> 'grant_moved'))
        order by g.id for update;
        update newel.access_grant g
        set state = u.state, verified_at = u.verified_at,
            level = coalesce(u.level, g.level),
            account_id = coalesce(u.account_id, g.account_id),
            valid_from = coalesce(g.valid_from, u.valid_from),
            valid_to = coalesce(g.valid_to, u.valid_to),
            ended_run = coalesce(g.ended_run, u.ended_run),
            ended_key = coalesce(g.ended_key, u.ended_key),
            ended_seq = coalesce(g.ended_seq, u.ended_seq),
            removed_at = u.removed_at, removed_run = u.removed_run, removed_key = u.removed_key
        from jsonb_to_recordset(rest -> 'grant_moved') as u(
            id uuid, from_state text, state text, verified_at timestamptz, level text,
            account_id text, valid_from timestamptz, valid_to timestamptz, ended_run uuid,
            ended_key text, ended_seq bigint, removed_at timestamptz, removed_run uuid,
            removed_key text)
        where g.id = u.id and g.state = u.from_state;
        get diagnostics moved = row_count;
        if moved <> jsonb_array_length(rest -> 'grant_moved') then
            raise exception 'somebody else has turned the grant' using errcode = 'NW003';
        end if;
    end if;
    if rest ? 'access_grant' then
        insert into newel.access_grant
        select * from jsonb_populate_recordset(null::newel.access_grant, rest -> 'access_grant');
    end if;
    if rest ? 'incident' then
        insert into newel.incident
        select * from jsonb_populate_recordset(null::newel.incident, rest -> 'incident')
        on conflict (id) do update set
            -- An escalation; scope, probe and lead belong to whoever watches the incident, and
            -- the row that comes here was read before this transaction.
            state = excluded.state, escalated_at = excluded.escalated_at,
            last_error = excluded.last_error, run_id = excluded.run_id
        where newel.incident.state = 'watching';
        get diagnostics moved = row_count;
        if moved <> jsonb_array_length(rest -> 'incident') then
            raise exception 'somebody else has escalated or closed it' using errcode = 'NW003';
        end if;
    end if;
    if rest ? 'ticket' then
        insert into newel.ticket
        select * from jsonb_populate_recordset(null::newel.ticket, rest -> 'ticket')
        on conflict (incident_id, channel) do update set state = excluded.state;
    end if;
    if rest ? 'audit_stream' then
        expected := jsonb_array_length(rest -> 'audit_stream');
        update newel.audit_stream s
        set seq = u.seq, head = u.head, last_at = u.last_at
        from jsonb_to_recordset(rest -> 'audit_stream')
             as u(id uuid, from_seq bigint, seq bigint, head bytea, last_at timestamptz)
        where s.id = u.id and s.seq = u.from_seq;
        get diagnostics moved = row_count;
        if moved <> expected then
            raise exception 'a stream has moved' using errcode = 'NW002';
        end if;
    end if;
end $$;

-- Runs whose intents find no place at their system, among those of a batch. Rooms are locked in
-- the order of their names, after the runs. Whoever was called from the queue comes first; whoever
-- comes anew comes after all who wait. One who was called and does not come keeps others out for ten
-- seconds at most, and nobody who was called as well once its run has looked in vain.
create function newel.without_place(
    i_run uuid[], i_key text[], i_system text[], refused uuid[]
) returns uuid[]
    language plpgsql set search_path = '' as $$
declare
    room   record;
    busy   bigint;
    full_up uuid[] := '{}';
begin
    for room in
        select substr(r.name, 8) as system, r.at_most from newel.room r
        where r.at_most is not null
          and r.name in (select 'system/' || u.system from unnest(i_system) as u(system)
                         where u.system is not null)
        order by r.name for update
    loop
        select count(*) into busy
        from newel.open_act a
        join newel.worker w on w.id = a.worker_id and w.epoch = a.worker_epoch
        where a.system = room.system and a.state = 'attempting'
          and w.lease_until > clock_timestamp()
          and not exists (select 1 from unnest(i_run, i_key) as u(run, key)
                          where u.run = a.run_id and u.key = a.key);
        full_up := full_up || array(
            select c.run
            from (select u.run, a.key is not null as is_queued,
                         row_number() over (order by a.opened_at nulls last, u.place) as nth
                  from unnest(i_run, i_key, i_system) with ordinality
                       as u(run, key, system, place)
                  left join newel.open_act a
                    on a.run_id = u.run and a.key = u.key
                   and a.state = 'retrying' and a.reason = 'place'
                  where u.system = room.system and u.run <> all(refused || full_up)) c
            where busy + c.nth > room.at_most - (
                select count(*) from newel.open_act q
                join newel.run o on o.id = q.run_id
                where q.system = room.system and q.state = 'retrying' and q.reason = 'place'
                  and q.next_at > newel.now() - interval '10 seconds'
                  and (not c.is_queued
                       or (q.next_at <= newel.now()
                           and (o.worker_id is not null or o.wake_at <= newel.now())))
                  and not exists (select 1 from unnest(i_run, i_key) as u(run, key)
                                  where u.run = q.run_id and u.key = q.key)));
    end loop;
    return full_up;
end $$;

-- Calls the oldest of those who wait for a place at a system, as many as there are places. It
-- waits for no row while it holds the room: a run that somebody writes to is called next time.
create function newel.call_queued(p_system text) returns integer
    language plpgsql set search_path = '' as $$
declare
    places  bigint;
    called  integer := 0;
    waiting record;
begin
    perform 1 from newel.room r where r.name = 'system/' || p_system for update skip locked;
    if not found then
        return 0;
    end if;
    select coalesce(r.at_most, 1000)
           - (select count(*) from newel.open_act a
              join newel.worker w on w.id = a.worker_id and w.epoch = a.worker_epoch
              where a.system = p_system and a.state = 'attempting'
                and w.lease_until > clock_timestamp())
           - (select count(*) from newel.open_act q
              join newel.run c on c.id = q.run_id
              where q.system = p_system and q.state = 'retrying' and q.reason = 'place'
                and q.next_at > newel.now() - interval '10 seconds' and q.next_at <= newel.now()
                -- A run that rests again has looked in vain: it is paused, or was refused.
                and (c.worker_id is not null or c.wake_at <= newel.now()))
    into places from newel.room r where r.name = 'system/' || p_system;
    for waiting in
        select a.run_id, a.key from newel.open_act a
        join newel.run r on r.id = a.run_id
        where a.system = p_system and a.state = 'retrying' and a.reason = 'place'
          -- A run that has looked in vain rests again, and writes nothing of it to its act.
          and (a.next_at > newel.now() or r.wake_at > newel.now()) and places > 0
        order by a.opened_at limit greatest(places, 0)
        for update of r, a skip locked
    loop
        update newel.run set wake_at = newel.now() where id = waiting.run_id;
        update newel.open_act set next_at = newel.now()
        where run_id = waiting.run_id and key = waiting.key;
        called := called + 1;
    end loop;
    return called;
end $$;

-- Claims in rooms: as many due runs as a process has places, the most urgent first. A room that
-- another worker claims in is left out; its places are counted after it was locked.
create function newel.claim_in_rooms(
    p_worker bigint, p_epoch bigint, how_many integer, processes text[], versions integer[]
) returns setof uuid
    language plpgsql set search_path = '' as $$
declare
    room  record;
    left_over integer := how_many;
    taken integer;
begin
    perform 1 from newel.worker w
    where w.id = p_worker and w.epoch = p_epoch and w.lease_until > clock_timestamp()
    for key share;
    if not found then
        return;
    end if;
    for room in
        select r.name, r.at_most from newel.room r
        where r.name = any(array(select 'process/' || p from unnest(processes) p))
        order by r.name for update skip locked
    loop
        return query
        update newel.run r
        set worker_id = p_worker, worker_epoch = p_epoch, wake_at = null,
            readings = r.readings + 1
        where r.id in (
            select f.id from newel.run f
            where f.room = room.name and f.worker_id is null and f.wake_at is not null
              and f.wake_at <= newel.now() and f.process = any(processes)
              and (f.version <= versions[array_position(processes, f.process)]
                   or not exists (
                       select 1 from newel.worker w
                       where w.stopped_at is null
                         and w.lease_until > clock_timestamp() - interval '30 seconds'
                         and (w.definitions ->> f.process)::integer
                             > versions[array_position(processes, f.process)]))
            order by f.priority, f.wake_at
            limit greatest(least(left_over, room.at_most - (
                select count(*) from newel.run a
                where a.room = room.name and a.worker_id is not null)), 0)
            for update skip locked)
        returning r.id;
        get diagnostics taken = row_count;
        left_over := left_over - taken;
    end loop;
end $$;

-- A session keeps the plans of its first calls, made when the tables may still be empty and their
-- statistics say nothing: then every row of a batch is compared with every open act. Each join
-- here is meant to look its rows up by their primary key, so nothing else may be planned; that
-- halves the server's time for a batch.
create function newel.commit_batch(
    p_worker bigint, p_epoch bigint,
    r_id uuid[], r_from bigint[], r_to bigint[], r_head bytea[], r_last timestamptz[],
    r_state text[], r_wake timestamptz[], r_release boolean[], r_reason text[], r_with text[],
    d_run uuid[], d_key text[],
    i_run uuid[], i_key text[], i_attempt integer[], i_at timestamptz[], i_fingerprint bytea[],
    i_effect bytea[], i_system text[], i_credential text[], i_detail text[],
    e_stream uuid[], e_seq bigint[], e_type text[], e_key text[], e_at timestamptz[],
    e_entry bytea[], e_payload bytea[],
    rest jsonb
) returns table (run_id uuid, reason text)
    language plpgsql set search_path = ''
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    locked   uuid[];
    refused  uuid[] := '{}';
    unborn   uuid[];
    full_up  uuid[];
    born     jsonb := rest -> 'run';
begin
    if p_worker is not null then
        perform 1 from newel.worker w where w.id = p_worker and w.epoch = p_epoch for key share;
        if not found then
            raise exception 'fenced: worker % of epoch % has lost its lease', p_worker, p_epoch
                using errcode = 'NW001';
        end if;
        perform set_config('newel.worker', p_worker::text, true),
                set_config('newel.epoch', p_epoch::text, true);
    end if;

    if cardinality(r_id) > 0 then
        select array_agg(l.id) into locked from (
            select r.id
            from unnest(r_id, r_from) as u(id, seq)
            join newel.run r on r.id = u.id
            where r.seq = u.seq
              -- Not by the index of a worker's runs: that would read all that it owns.
              and (p_worker is null
                   or (coalesce(r.worker_id, 0) = p_worker and r.worker_epoch = p_epoch))
            order by r.id
            for update of r skip locked) l;
        if coalesce(cardinality(locked), 0) < cardinality(r_id) then
            refused := array(select u.id from unnest(r_id) as u(id)
                             where u.id <> all(coalesce(locked, '{}')));
        end if;
    end if;
    if exists (select 1 from unnest(i_effect) as u(effect) where u.effect is not null) then
        refused := refused || array(
            select distinct u.run
            from unnest(i_run, i_key, i_effect) as u(run, key, effect),
                 lateral (select from newel.open_act a
                          where a.effect_key = u.effect and a.state = 'attempting'
                            and a.run_id <> u.run
                          offset 0) a  -- looked up one by one, never all that is attempted
            where u.run <> all(refused));
    end if;
    if exists (select 1 from newel.room where name like 'system/%')
       and cardinality(i_run) > 0 then
        full_up := newel.without_place(i_run, i_key, i_system, refused);
        refused := refused || full_up;
    end if;
    if born is not null then
        with made as (
            insert into newel.run
            select * from jsonb_populate_recordset(null::newel.run, born)
            on conflict do nothing returning id)
        select coalesce(array_agg((b ->> 'id')::uuid), '{}') into unborn
        from jsonb_array_elements(born) b
        where not exists (select 1 from made where made.id = (b ->> 'id')::uuid);
        refused := refused || unborn;
    end if;

    if cardinality(r_id) > 0 then
        update newel.run r
        set seq = u.seq, head = u.head, last_at = u.last_at, state = u.state,
            -- An owned run is due only where somebody has nudged its owner: that must not be lost.
            wake_at = case when u.state in ('completed', 'failed', 'cancelled') then null
                           when r.worker_id is null then u.wake_at
                           else least(u.wake_at, r.wake_at) end,
            seen = case when p_worker is null then r.seen else u.seq end,
            worker_id = case when u.release then null else r.worker_id end,
            worker_epoch = case when u.release then null else r.worker_epoch end,
            parked_reason = u.reason, parked_with = u.addressee,
            finished_at = case when u.state in ('completed', 'failed', 'cancelled')
                               then coalesce(r.finished_at, u.last_at) end
        from unnest(r_id, r_to, r_head, r_last, r_state, r_wake, r_release, r_reason, r_with)
             as u(id, seq, head, last_at, state, wake_at, release, reason, addressee)
        where r.id = u.id and u.id <> all(refused);
    end if;
    if cardinality(d_run) > 0 then
        delete from newel.open_act a
        using unnest(d_run, d_key) as u(run, key)
        where a.run_id = u.run and a.key = u.key and u.run <> all(refused);
    end if;
    if cardinality(i_run) > 0 then
        insert into newel.open_act
            (run_id, key, kind, state, attempt, opened_at, intended_at, worker_id, worker_epoch,
             fingerprint, effect_key, system, credential, detail)
        select u.run, u.key, 'step', 'attempting', u.attempt, u.at, u.at, p_worker, p_epoch,
               u.fingerprint, u.effect, u.system, u.credential, u.detail::jsonb
        from unnest(i_run, i_key, i_attempt, i_at, i_fingerprint, i_effect, i_system,
                    i_credential, i_detail)
             as u(run, key, attempt, at, fingerprint, effect, system, credential, detail)
        where u.run <> all(refused)
        on conflict on constraint open_act_pkey do update set
            state = 'attempting', attempt = excluded.attempt, next_at = null,
            intended_at = excluded.intended_at, worker_id = excluded.worker_id,
            worker_epoch = excluded.worker_epoch, reason = null, owner = null,
            effect_key = excluded.effect_key, detail = excluded.detail;
    end if;
    if rest is not null then
        if cardinality(refused) > 0 and rest - '{run,webhook_delivery}'::text[] <> '{}' then
            raise exception 'a Change with rare rows was refused' using errcode = 'NW003';
        end if;
        perform newel.commit_rest(rest);
        if rest ? 'webhook_delivery' then
            insert into newel.webhook_delivery
                (endpoint, stream_id, seq, event_id, type, made_at, next_at)
            select u.endpoint, u.stream_id, u.seq, u.event_id, u.type, u.made_at, newel.now()
            from jsonb_to_recordset(rest -> 'webhook_delivery') as u(
                endpoint text, stream_id uuid, seq bigint, event_id uuid, type text,
                made_at timestamptz)
            where u.stream_id <> all(refused);
        end if;
    end if;
    insert into newel.event (stream_id, seq, type, key, occurred_at, entry, payload)
    select u.stream, u.seq, u.type, u.key, u.at, u.entry, u.payload
    from unnest(e_stream, e_seq, e_type, e_key, e_at, e_entry, e_payload)
         as u(stream, seq, type, key, at, entry, payload)
    where u.stream <> all(refused);

    if cardinality(refused) > 0 then
        return query
        select u.id,
               case when r.id is null or r.seq = 0 then 'exists'
                    when p_worker is not null
                         and (r.worker_id, r.worker_epoch) is distinct from (p_worker, p_epoch)
                        then 'owner'
                    when r.seq is distinct from f.seq then 'moved'
                    when u.id = any(coalesce(full_up, '{}')) then 'full'
                    when u.id = any(coalesce(locked, '{}')) then 'effect'
                    else 'held' end
        from unnest(refused) as u(id)
        left join newel.run r on r.id = u.id
        left join unnest(r_id, r_from) as f(id, seq) on f.id = u.id;
    end if;
end $$;
