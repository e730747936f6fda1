-- The counts of the navigation, in one statement.

-- name: overview
-- params: bound
-- How many runs and tasks are open, how many tasks are overdue, how many incidents wait for a
-- person, and what this database is for; nothing is counted further than to the bound.
select newel.now() as as_of,
       (select kind from newel.deployment) as deployment,
       (select count(*) from (
            select from newel.run
            where finished_at is null and process not like 'newel.%' limit $1::bigint) r) as runs,
       (select count(*) from (
            select from newel.task where state = 'open' limit $1::bigint) t) as tasks,
       (select count(*) from (
            select from newel.task
            where state = 'open' and due_at < newel.now() limit $1::bigint) t) as overdue_tasks,
       (select count(*) from (
            select from newel.incident
            where state in ('watching', 'escalated', 'healing') and escalated_at is not null
            limit $1::bigint) i) as incidents
