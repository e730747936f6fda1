-- The log over the journal: the place of each event in a tree, and the signed heads of that tree.
--
-- newel.event_batch is the queue. A sequencer, one at a time, takes whole batches in the order of
-- their ids, gives each event the next free place, and deletes the batch: one transaction, which
-- locks nothing that a writer needs. A batch draws its id while its streams are locked, so within
-- a stream places follow `seq`; a batch that is committed late just gets a later place.
--
-- Nothing of the tree is held twice. Tiles of level 0 are the hashes of newel.audit_leaf, those of
-- each level above the roots in newel.audit_tile of the full tiles below. The heads that were
-- signed stand in newel.audit_checkpoint; what the signer itself remembers lies outside.

-- One tree with one origin. vkey: of the key that signs it, so that no other signs by mistake; a
-- verifier never believes it. frontier: the roots of the complete subtrees, largest first.
create table newel.audit_head (
    log_epoch  integer primary key check (log_epoch >= 1),
    origin     text not null unique,
    vkey       text not null,
    size       bigint not null default 0 check (size >= 0),
    frontier   bytea not null default ''::bytea check (octet_length(frontier) % 32 = 0),
    is_closed  boolean not null default false
);
create unique index audit_head_one_open on newel.audit_head (is_closed) where not is_closed;

create table newel.audit_leaf (
    log_epoch   integer not null,
    leaf_index  bigint not null check (leaf_index >= 0),
    stream_id   uuid not null,
    seq         bigint not null,
    leaf_hash   bytea not null check (octet_length(leaf_hash) = 32),
    primary key (log_epoch, leaf_index),
    unique (log_epoch, stream_id, seq)
);
alter table newel.audit_leaf alter column leaf_hash set storage plain;

create table newel.audit_tile (
    log_epoch  integer not null,
    level      smallint not null check (level between 0 and 7),
    n          bigint not null check (n >= 0),
    root       bytea not null check (octet_length(root) = 32),
    primary key (log_epoch, level, n)
);

create table newel.audit_checkpoint (
    log_epoch   integer not null references newel.audit_head (log_epoch),
    size        bigint not null check (size >= 0),
    root        bytea not null check (octet_length(root) = 32),
    note        text not null,
    created_at  timestamptz not null default clock_timestamp(),
    primary key (log_epoch, size)
);

-- What places outside said when they took a signed head; the copies there are what counts.
create table newel.audit_anchor (
    log_epoch   integer not null,
    size        bigint not null,
    target      text not null,
    receipt     bytea not null,
    created_at  timestamptz not null default clock_timestamp(),
    primary key (log_epoch, size, target),
    foreign key (log_epoch, size) references newel.audit_checkpoint (log_epoch, size)
);

-- The events that have a place, as they lie in the journal; pruned ones are null. is_signed: a
-- signed head covers the place. is_newest: no later log epoch gave the event another one, which
-- alone counts then.
create view newel.sealed_event as
select l.log_epoch, l.leaf_index, l.leaf_hash, l.stream_id, l.seq, e.occurred_at, e.entry,
       l.leaf_index < (select max(c.size) from newel.audit_checkpoint c
                       where c.log_epoch = l.log_epoch) as is_signed,
       not exists (select 1 from newel.audit_leaf n
                   where n.log_epoch > l.log_epoch and n.stream_id = l.stream_id
                     and n.seq = l.seq) as is_newest
from newel.audit_leaf l
left join newel.event e on e.stream_id = l.stream_id and e.seq = l.seq;

-- What stands in the tree is never changed, and never taken out.
create function newel.refuse_resealing() returns trigger
    language plpgsql set search_path = '' as $$
begin
    raise exception 'newel.% is append-only: % refused', tg_table_name, tg_op
        using errcode = '42501';
end $$;
create trigger audit_leaf_is_append_only before update or delete or truncate on newel.audit_leaf
    for each statement execute function newel.refuse_resealing();
create trigger audit_tile_is_append_only before update or delete or truncate on newel.audit_tile
    for each statement execute function newel.refuse_resealing();
create trigger audit_checkpoint_is_append_only
    before update or delete or truncate on newel.audit_checkpoint
    for each statement execute function newel.refuse_resealing();
create trigger audit_anchor_is_append_only
    before update or delete or truncate on newel.audit_anchor
    for each statement execute function newel.refuse_resealing();
create trigger audit_head_is_never_removed before delete or truncate on newel.audit_head
    for each statement execute function newel.refuse_resealing();
alter table newel.audit_leaf enable always trigger audit_leaf_is_append_only;
alter table newel.audit_tile enable always trigger audit_tile_is_append_only;
alter table newel.audit_checkpoint enable always trigger audit_checkpoint_is_append_only;
alter table newel.audit_anchor enable always trigger audit_anchor_is_append_only;
alter table newel.audit_head enable always trigger audit_head_is_never_removed;

-- A tree only grows, under the origin it began with.
create function newel.head_only_grows() returns trigger
    language plpgsql set search_path = '' as $$
begin
    if (new.log_epoch, new.origin) is distinct from (old.log_epoch, old.origin)
       or new.size < old.size or (old.is_closed and not new.is_closed) then
        raise exception 'the log % of % leaves only grows', old.origin, old.size
            using errcode = '42501';
    end if;
    return new;
end $$;
create trigger audit_head_only_grows before update on newel.audit_head
    for each row execute function newel.head_only_grows();
alter table newel.audit_head enable always trigger audit_head_only_grows;

-- A queue: rows come and go, and dead ones must not pile up before the living.
alter table newel.event_batch
    set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
