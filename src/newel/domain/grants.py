"""The life of a grant: which state may follow which, and what an outcome makes of what is held.

    planned -> approved -> prepared -> active -> suspended -> revoked
       |          |           |          `------------------->'
       `-> refused, waived    `-> revoked (an invitation withdrawn), waived

One grant is one unbroken interval: what was suspended and is given back is a new grant that
continues the old one. The schema refuses what is not drawn here.
Source: product document, §3.4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from newel.audit.catalogue import GrantState
from newel.domain.values import Access

__all__ = ["ENDED", "FOLLOWING", "Held", "Turn", "turn"]

FOLLOWING: Final[Mapping[GrantState, frozenset[GrantState]]] = {
    "planned": frozenset({"approved", "prepared", "active", "refused", "waived"}),
    "approved": frozenset({"prepared", "active", "refused", "waived"}),
    "prepared": frozenset({"active", "revoked", "waived"}),
    "active": frozenset({"suspended", "revoked"}),
    "suspended": frozenset({"revoked"}),
    "revoked": frozenset(),
    "refused": frozenset(),
    "waived": frozenset(),
}
"""The states that may follow each state."""

ENDED: Final[frozenset[str]] = frozenset({"suspended", "revoked"})
"""States of access that has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The grant that a person has of an entitlement: open, or suspended and not given back."""

    id: UUID
    state: GrantState
    level: str | None = None
    valid_from: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What becomes of the ledger: of the grant that is held, and whether another begins.

    becomes: the state that the held grant goes to; None if it stays. begins: the state that a new
    grant begins in, None for none. continues: the new one goes on from the one that is held.
    is_found: access ended, or was suspended, that newel had not given.
    """

    becomes: GrantState | None = None
    begins: GrantState | None = None
    continues: bool = False
    is_found: bool = False


def turn(
    held: Held | None, access: Access, *, level: str | None = None, is_changed: bool = True
) -> Turn:
    """Say what an outcome makes of what is held.

    access: the state of access that the outcome confirms. level: that it gave, if it has one.
    is_changed: whether the outcome's step changed something in the system.
    """
    if held is None:
        return _of_nothing(access, is_changed=is_changed)
    if access in FOLLOWING[held.state]:
        return Turn(becomes=access)
    if access in ENDED:
        return Turn()  # a suspension of what gives no access yet, or no more, ends nothing
    if held.state == "suspended":
        return Turn(begins=access, continues=True)
    if held.state == "active" and (access == "prepared" or level not in {None, held.level}):
        return Turn(becomes="revoked", begins=access)
    return Turn()


def _of_nothing(access: Access, *, is_changed: bool) -> Turn:
    if access not in ENDED:
        return Turn(begins=access)
    return Turn(begins=access, is_found=True) if is_changed else Turn()
