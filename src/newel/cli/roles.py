"""Database roles: the statements that make them, and whether their rights are as they should be."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from cyclopts import App

from newel.cli.output import say, say_json
from newel.cli.parameters import AsJson

if TYPE_CHECKING:
    from newel.store.roles import Privilege

__all__ = ["db"]

DIFFERS: Final = 1

db: Final = App(name="db", help="Roles of the database: newel cannot change its own record.")


@db.command
def roles() -> None:
    """Print the SQL that makes newel's roles; the owner of the schema runs it."""
    from newel.store.roles import roles_sql

    sys.stdout.write(roles_sql())


@db.command
def check(*, as_json: AsJson = False) -> int:
    """Compare the rights of the roles with those they should have: fewer and more are findings.

    The status is 0 if they are exactly so, 1 if not.
    """
    from newel.cli.deployment import carried_out, found_here
    from newel.store.roles import differences, missing_roles

    async def compared() -> tuple[list[str], list[Privilege], list[Privilege]]:
        async with found_here() as deployment:
            absent = await missing_roles(deployment.database)
            return absent, *await differences(deployment.database)

    absent, missing, extra = carried_out(compared())
    status = DIFFERS if absent or missing or extra else 0
    if as_json:
        say_json(
            {
                "status": status,
                "absent": absent,
                "missing": list(map(str, missing)),
                "extra": list(map(str, extra)),
            }
        )
        return status
    for role in absent:
        say(f"There is no role {role}.")
    for each in missing if not absent else ():
        say(f"Missing: {each}")
    for each in extra:
        say(f"Too much: {each}")
    say("The roles have exactly their rights." if not status else "`newel db roles` mends it.")
    return status
