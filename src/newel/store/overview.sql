-- The counts of the navigation, in one statement.

-- name: overview
-- params: none
-- How many runs and tasks are open, how many tasks are overdue, and what this database is for.
select newel.now() as as_of,
       (select kind from newel.deployment) as deployment,
       (select count(*) from newel.run
        where finished_at is null and process not like 'newel.%') as runs,
       (select count(*) from newel.task where state = 'open') as tasks,
       (select count(*) from newel.task
        where state = 'open' and due_at < newel.now()) as overdue_tasks
