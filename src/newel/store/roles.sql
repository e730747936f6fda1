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
