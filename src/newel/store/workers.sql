-- Workers: leases and epochs. Leases go by the server's own clock, which moving newel.now()
-- does not touch.

-- name: register
-- params: host, pid, version, lease
-- Makes a worker with a fresh lease.
insert into newel.worker (host, pid, version, lease_until)
values ($1, $2, $3, clock_timestamp() + $4)
returning id, epoch

-- name: beat
-- params: worker, epoch, lease
-- Extends the lease, unless somebody has taken over; answers with the database's time.
update newel.worker set lease_until = clock_timestamp() + $3
where id = $1 and epoch = $2 and stopped_at is null
returning newel.now() as as_of

-- name: renew
-- params: worker, lease
-- Registers a worker anew after its lease was lost: with another epoch, so that nothing which it
-- has forgotten can still be written. No row while a batch of the old epoch is under way: that
-- holds the row's key (`commit_batch`), which a change of the epoch alone would not wait for.
update newel.worker
set epoch = epoch + 1, lease_until = clock_timestamp() + $2, stopped_at = null
where id = (select w.id from newel.worker w where w.id = $1 for update skip locked)
returning id, epoch

-- name: lapsed
-- params: none
-- Workers whose lease has run out while they own runs; locked, skipping those being taken over.
select w.id, w.epoch from newel.worker w
where w.lease_until < clock_timestamp()
  and exists (select 1 from newel.run r where r.worker_id = w.id)
for update of w skip locked

-- name: fence
-- params: worker
-- Raises the epoch, which no batch of the old one can pass.
update newel.worker set epoch = epoch + 1 where id = $1

-- name: let_go
-- params: worker
-- Lets go of all runs of a worker, and gives them; they are ready at once. A row that somebody holds is left for
-- the next look: a request that hangs must not hold up a heartbeat.
update newel.run set worker_id = null, worker_epoch = null, wake_at = newel.now()
where id in (select id from newel.run where worker_id = $1 for update skip locked)
returning id

-- name: stop
-- params: worker, epoch
-- Marks a worker as gone for good.
update newel.worker set lease_until = clock_timestamp(), stopped_at = clock_timestamp()
where id = $1 and epoch = $2

-- name: live
-- params: none
-- How many workers hold a lease.
select count(*) from newel.worker where lease_until > clock_timestamp() and stopped_at is null

-- name: announce
-- params: worker, definitions
-- Says which processes a worker knows, with their versions.
update newel.worker set definitions = $2 where id = $1
