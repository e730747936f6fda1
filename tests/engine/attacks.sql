-- The tamper matrix on a database: what a superuser with all guards off can do to a sealed log of
-- two employments. Each attack says which checks fail and what the report says.
-- Source: our own audit document, §10.

-- attack: T01 a byte of an entry
-- found: V05 V06
-- says: index 12
update newel.event set entry = set_byte(entry, 40, 63) where (stream_id, seq) =
    (select stream_id, seq from newel.audit_leaf where leaf_index = 12);

-- attack: T02 an entry and its hash
-- found: V06 V08
-- says: another root
update newel.event set entry = convert_to(
    replace(convert_from(entry, 'UTF8'), '"via":"worker', '"via":"webhook'), 'UTF8');
update newel.audit_leaf l set leaf_hash = sha256('\x00'::bytea || e.entry) from newel.event e
where (e.stream_id, e.seq) = (l.stream_id, l.seq);

-- attack: T04 a leaf taken out
-- found: V08 V10
-- says: seq
delete from newel.event where (stream_id, seq) =
    (select stream_id, seq from newel.audit_leaf where leaf_index = 12);
delete from newel.audit_leaf where leaf_index = 12;
update newel.audit_leaf set leaf_index = leaf_index + 1000 where leaf_index > 12;
update newel.audit_leaf set leaf_index = leaf_index - 1001 where leaf_index > 1000;
delete from newel.audit_checkpoint where size = (select size from newel.audit_head);
update newel.audit_head set size = size - 1;

-- attack: T04 a leaf taken out and nothing else
-- found: V05
-- says: no event has this place in the log (index 12)
delete from newel.audit_leaf where leaf_index = 12;

-- attack: T05 the tail below what was anchored
-- found: V08
-- says: were anchored
delete from newel.event e using newel.audit_leaf l
where l.leaf_index >= 25 and (e.stream_id, e.seq) = (l.stream_id, l.seq);
delete from newel.audit_leaf where leaf_index >= 25;
delete from newel.audit_checkpoint where size > 25;
update newel.audit_head set size = 25, frontier = '';

-- attack: T06 events that were never sealed
-- found: V14
-- says: the stream has had
delete from newel.event_batch;
delete from newel.event e where not exists
    (select 1 from newel.audit_leaf l where (e.stream_id, e.seq) = (l.stream_id, l.seq));

-- attack: T07 an event in the past
-- found: V05 V06 V10 V12
-- says: index 13
insert into newel.event select stream_id, 900, type, key, occurred_at, entry, payload
from newel.event where (stream_id, seq) =
    (select stream_id, seq from newel.audit_leaf where leaf_index = 12);
update newel.audit_leaf set leaf_index = leaf_index + 1000 where leaf_index > 12;
update newel.audit_leaf set leaf_index = leaf_index - 999 where leaf_index > 1000;
insert into newel.audit_leaf select log_epoch, 13, stream_id, 900, leaf_hash
from newel.audit_leaf where leaf_index = 12;

-- attack: T08 two leaves swapped
-- found: V06 V08
-- says: another root
update newel.audit_leaf set leaf_index = -1 where leaf_index = 12;
update newel.audit_leaf set leaf_index = 12 where leaf_index = 13;
update newel.audit_leaf set leaf_index = 13 where leaf_index = -1;

-- attack: T10 an event beside the queue
-- found: V13
-- says: neither waits to be sealed nor has a place
insert into newel.event select stream_id, 900, type, key, occurred_at, entry
from newel.event where (stream_id, seq) =
    (select stream_id, seq from newel.audit_leaf where leaf_index = 12);

-- attack: T11 the type in its column
-- found: V05
-- says: the column `type` says run.paused, the entry says
update newel.event set type = 'run.paused' where (stream_id, seq) =
    (select stream_id, seq from newel.audit_leaf where leaf_index = 12);

-- attack: T11 the moment in its column
-- found: V05
-- says: the column `occurred_at` says 2020-01-01T00:00:00.000000Z
update newel.event set occurred_at = '2020-01-01Z' where (stream_id, seq) =
    (select stream_id, seq from newel.audit_leaf where leaf_index = 12);

-- attack: T12 the state of a run
-- found: V14
-- says: state is failed, the log leads to waiting
update newel.run set state = 'failed' where finished_at is null;

-- attack: T12 a run that is gone
-- found: V14
-- says: is in the log and not in the state
delete from newel.run where finished_at is not null;

-- attack: T12 a grant
-- found: V14
-- says: is refused, the log leads to
update newel.access_grant set state = 'refused';

-- attack: T12 a grant that is gone
-- found: V14
-- says: is in the log and not in the state
delete from newel.access_grant;

-- attack: T13 a payload
-- found: V14
-- says: the payload has the digest
update newel.event set payload = set_byte(payload, 20, get_byte(payload, 20) # 1)
where type = 'run.started';

-- attack: T16 an older backup of the tree
-- found: V08
-- says: entries were anchored, none is here
delete from newel.event; delete from newel.audit_leaf; delete from newel.audit_checkpoint;
delete from newel.run; delete from newel.access_grant; delete from newel.event_batch;
delete from newel.audit_stream;
update newel.audit_head set size = 0, frontier = '';

-- attack: T17 a head of another tree
-- found: V03
-- says: is wrong
update newel.audit_checkpoint set note = regexp_replace(note, '\n([0-9]+)\n', E'\n1\\1\n');

-- attack: T19 another spelling of an entry
-- found: V04 V05
-- says: canonical
update newel.event set entry = convert_to(
    replace(convert_from(entry, 'UTF8'), ',"seq"', ', "seq"'), 'UTF8')
where (stream_id, seq) = (select stream_id, seq from newel.audit_leaf where leaf_index = 12);

-- attack: T24 no checkpoint is left
-- found: V08
-- says: were anchored
delete from newel.audit_checkpoint;

-- attack: T24 nothing of the tree is left
-- found: V08 V13
-- says: were anchored
delete from newel.audit_checkpoint;
delete from newel.audit_leaf;
delete from newel.audit_head;

-- attack: a key of somebody else
-- found: V03
-- says: a key that the policy does not know
update newel.audit_head set vkey = 'x';

-- attack: a head whose row says something else
-- found: V03
-- says: the row of the checkpoint
update newel.audit_checkpoint set root = sha256('x');

-- attack: an edge that does not follow from the tiles
-- found: V06
-- says: the kept edge
update newel.audit_head set frontier = set_byte(frontier, 3, get_byte(frontier, 3) # 1);

-- attack: a sealed event once more in the queue
-- found: V13
-- says: has the place 3
insert into newel.event_batch (streams, seqs, leaf_hashes)
select array[stream_id], array[seq], leaf_hash from newel.audit_leaf where leaf_index = 3;

-- attack: an entry that waits in the queue
-- found: V05
-- says: its hash waits in the queue
update newel.event e set entry = set_byte(entry, 40, 63) where not exists
    (select 1 from newel.audit_leaf l where (e.stream_id, e.seq) = (l.stream_id, l.seq));

-- attack: the head of a stream that is no run
-- found: V14
-- says: the stream's row stands at
update newel.audit_stream set head = sha256('x') where name = 'admin';

-- attack: T12 who decided
-- found: V14
-- says: by is per_
update newel.task set decided_by = gen_random_uuid() where state = 'decided';

-- attack: T12 a task that nobody was asked
-- found: V14
-- says: the log leads to nothing
insert into newel.task (id, run_id, key, kind, title, owner, opened_at, state)
select gen_random_uuid(), id, 'made-up', 'form', 'x', 'it', now(), 'open'
from newel.run where finished_at is null limit 1;

-- attack: T12 since when it is held
-- found: V14
-- says: valid_from is 2020-01-01T00:00:00.000000Z, the log leads to
update newel.access_grant set valid_from = '2020-01-01Z' where valid_from is not null;

-- attack: T12 the code that ran
-- found: V14
-- says: source_sha256 is
update newel.definition set source = source || ' ';

-- attack: T12 a key that nobody made
-- found: V14
-- says: key nk_x is there, the log leads to nothing
insert into newel.api_key (id, name, sha256, expires_at)
values ('nk_x', 'x', sha256('x'), now() + interval '1 day');

-- attack: T12 a schedule that nobody declared
-- found: V14
-- says: schedule x is there, the log leads to nothing
insert into newel.schedule (name, process, cron, zone, missed, next_at)
values ('x', 'employment', '* * * * *', 'UTC', 'skip', now());

-- attack: T12 an incident that nobody had
-- found: V14
-- says: incident inc_
insert into newel.incident (id, fingerprint, system, class, title, state, lead_run, lead_key,
                            opened_at)
select gen_random_uuid(), 'x', 'wiki', 'bug', 'x', 'watching', id, 'give', now()
from newel.run limit 1;

-- attack: T12 a run that goes by another process
-- found: V14
-- says: process is other, the log leads to employment
update newel.run set process = 'other';

-- attack: T13 the inputs of an attempt
-- found: V14
-- says: the payload has the digest
update newel.event set payload = set_byte(payload, 20, get_byte(payload, 20) # 1)
where type = 'step.started';

-- attack: T13 something beside an event that has nothing beside it
-- found: V14
-- says: that its entry does not seal
update newel.event set payload = 'x' where type = 'task.opened';

-- attack: T12 the drawing of what ran
-- found: V14
-- says: drawing_sha256 is
update newel.definition set drawing = drawing || ' ';
