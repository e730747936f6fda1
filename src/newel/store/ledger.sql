-- The ledger: reading grants. The rows are written by changes.sql alone.

-- name: of_person
-- params: person
-- Grants of a person with their system, their entitlement and the event that made them.
select g.id, g.system, g.entitlement, g.level, g.account_id, g.state, g.valid_from, g.valid_to,
       g.verified_at, g.route, g.evidence, g.reason_kind, g.made_run, g.made_key, g.made_seq,
       g.ended_run, g.recorded_at, y.title as system_title, n.title as entitlement_title,
       e.entry as made_entry, sha256('\x00'::bytea || e.entry) as made_leaf
from newel.access_grant g
left join newel.system y on y.key = g.system
left join newel.entitlement n on n.key = g.entitlement
left join newel.event e on e.stream_id = g.made_run and e.seq = g.made_seq
where g.person = $1
order by g.system, (g.entitlement like '%:account') desc, g.entitlement, g.recorded_at
