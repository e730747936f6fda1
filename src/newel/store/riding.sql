-- The transactions of steps that write the company's own tables.

-- name: begin
-- params: statement_timeout, role
-- Limits the transaction to a role and a time for each statement; answers with how many rows of
-- newel's own tables this session has changed so far.
select set_config('statement_timeout', $1, true),
       set_config('role', $2, true),
       (select coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::bigint
        from pg_catalog.pg_stat_xact_user_tables where schemaname = 'newel') as writes

-- name: check
-- params: none
-- Checks now what was to be checked at the commit, so that the step hears of it.
set constraints all immediate

-- name: settle
-- params: none
-- Gives the role back; answers as `begin`.
select set_config('role', 'none', true),
       (select coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::bigint
        from pg_catalog.pg_stat_xact_user_tables where schemaname = 'newel') as writes
