"""The ledger's table refuses a grant that does not walk forward, whoever writes it."""

from __future__ import annotations

from itertools import product
from uuid import uuid4

import asyncpg
import pytest

from newel.domain.grants import ENDED, FOLLOWING

_MADE = """
insert into newel.access_grant (id, person, system, entitlement, state, valid_from, reason_kind,
    made_run, made_key, made_seq, valid_to, ended_run, ended_key, ended_seq)
values ($1, gen_random_uuid(), 'github', 'github:account', $2, now(), 'policy', $3::uuid, 'k', 1,
    case when $4 then now() end, case when $4 then $3::uuid end, case when $4 then 'k' end,
    case when $4 then 1 end)"""
_TURNED = """
update newel.access_grant set state = $2,
    valid_to = case when $3 then now() end, ended_run = case when $3 then made_run end,
    ended_key = case when $3 then 'k' end, ended_seq = case when $3 then 1 end where id = $1"""


async def test_states_follow_each_other_as_they_are_drawn(database):
    """Of all pairs of states the table takes those that the life of a grant has, and no other."""
    taken = set()
    for before, after in product(FOLLOWING, FOLLOWING):
        if before == after:
            continue
        grant, transaction = uuid4(), database.transaction()
        await transaction.start()
        await database.execute(_MADE, grant, before, uuid4(), before in ENDED)
        try:
            await database.execute(_TURNED, grant, after, after in ENDED)
            taken.add((before, after))
        except asyncpg.CheckViolationError:
            pass
        await transaction.rollback()
    assert taken == {(before, after) for before, many in FOLLOWING.items() for after in many}


@pytest.mark.parametrize("column", ["person", "entitlement", "made_run"])
async def test_a_grant_never_changes_whose_it_is(database, column):
    """Another person, another entitlement or another maker is another grant."""
    grant, transaction = uuid4(), database.transaction()
    await transaction.start()
    await database.execute(_MADE, grant, "active", uuid4(), False)
    value = "'x'" if column == "entitlement" else "gen_random_uuid()"
    with pytest.raises(asyncpg.CheckViolationError):
        await database.execute(f"update newel.access_grant set {column} = {value}")
    await transaction.rollback()
