-- Rights of newel's roles, as the server knows them.

-- name: present
-- params: roles
-- The roles that exist.
select rolname from pg_catalog.pg_roles where rolname = any($1::text[])

-- name: privileges
-- params: roles
-- What the roles may do, table by table, then column by column.
select g.rolname as role, c.relname as name, lower(a.privilege_type) as verb, '' as col
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace and n.nspname = 'newel'
cross join lateral aclexplode(c.relacl) a
join pg_catalog.pg_roles g on g.oid = a.grantee
where c.relkind in ('r', 'p', 'v') and g.rolname = any($1::text[])
union all
select g.rolname, c.relname, lower(a.privilege_type), t.attname
from pg_catalog.pg_attribute t
join pg_catalog.pg_class c on c.oid = t.attrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace and n.nspname = 'newel'
cross join lateral aclexplode(t.attacl) a
join pg_catalog.pg_roles g on g.oid = a.grantee
where g.rolname = any($1::text[])
order by 1, 2, 3, 4

-- name: policies
-- params: roles
-- Which rows the roles may read and write, table by table; conditions are told apart from all rows.
select p.rolname as role, c.relname as name,
       case when coalesce(pg_get_expr(y.polqual, y.polrelid), 'true') = 'true'
             and coalesce(pg_get_expr(y.polwithcheck, y.polrelid), 'true') = 'true'
            then 'policy for ' else 'condition for ' end
       || case y.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update'
               when 'd' then 'delete' else 'all' end as verb
from pg_catalog.pg_policy y
join pg_catalog.pg_class c on c.oid = y.polrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace and n.nspname = 'newel'
left join pg_catalog.pg_roles p on p.oid = any(y.polroles)
where p.rolname is null or p.rolname = any($1::text[])
order by 1, 2, 3

-- name: guarded
-- params: none
-- The tables whose rows are asked for one by one.
select c.relname as name from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace and n.nspname = 'newel'
where c.relkind in ('r', 'p') and c.relrowsecurity order by 1

-- name: invokers
-- params: none
-- The views that ask for rows as who reads them, and not as who made them.
select c.relname as name from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace and n.nspname = 'newel'
join lateral pg_options_to_table(c.reloptions) o on o.option_name = 'security_invoker'
where c.relkind = 'v' and o.option_value::boolean order by 1
