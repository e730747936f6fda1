-- Pruning: old events leave the database, once they lie in an archive that verifies.
--
-- Leaves, tiles and checkpoints stay, so every root and every proof can still be made. What may go
-- is below min_index of its tree, and of a run that is marked; a whole bundle of 256 at a time is
-- given up by the tree, so that what a tile client still asks for is still there.
-- https://c2sp.org/tlog-tiles#pruning
alter table newel.audit_head add column min_index bigint not null default 0;
alter table newel.audit_head add check (min_index % 256 = 0 and min_index between 0 and size);

-- For how many days events were kept when they were pruned last; null for ever.
alter table newel.deployment add column keep_log_days integer;

alter table newel.run add column pruned_at timestamptz;
alter table newel.run add check (pruned_at is null or payload_expired_at is not null);
create index run_prunable on newel.run (finished_at)
    where payload_expired_at is not null and pruned_at is null;

create or replace function newel.head_only_grows() returns trigger
    language plpgsql set search_path = '' as $$
begin
    if (new.log_epoch, new.origin) is distinct from (old.log_epoch, old.origin)
       or new.size < old.size or new.min_index < old.min_index
       or (old.is_closed and not new.is_closed) then
        raise exception 'the log % of % leaves only grows', old.origin, old.size
            using errcode = '42501';
    end if;
    return new;
end $$;

-- Whether the log need not have an event any more: it is below the minimum index of a tree.
create function newel.is_given_up(p_stream uuid, p_seq bigint) returns boolean
    language sql stable set search_path = ''
    return exists (select 1 from newel.audit_head h
                   join newel.audit_leaf l on l.log_epoch = h.log_epoch
                       and l.stream_id = p_stream and l.seq = p_seq
                   where l.leaf_index < h.min_index);

create or replace function newel.refuse_change() returns trigger
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
    -- Pruning removes what the tree has given up, of a run that is marked.
    elsif tg_op = 'DELETE' then
        if exists (select 1 from newel.run r
                   where r.id = old.stream_id and r.pruned_at is not null)
           and newel.is_given_up(old.stream_id, old.seq) then
            return old;
        end if;
    end if;
    raise exception 'newel.event is append-only: % refused', tg_op using errcode = '42501';
end $$;
