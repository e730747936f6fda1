"""A user of Google's directory, as it is read: our mark on it, and why it is the subject's.

Google can hold our mark, so a user without it was made by somebody else.
Source: connectors document, §4.3 and §11; discovery document of the Admin SDK Directory API.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from newel.base.errors import OwnershipConflict
from newel.connectors.contract import Shape, named
from newel.connectors.google_contract import NEVER

__all__ = ["MARKER_TYPE", "USERS", "USER_PAGES", "User", "UserPage"]

MARKER_TYPE: Final = "organization"


@dataclass(frozen=True)
class ExternalId:
    """An id of the user in another system; ours has the type `organization`."""

    type: str = ""
    value: str = ""
    custom_type: Annotated[str, named("customType")] = ""


@dataclass(frozen=True)
class User:
    """A user of the directory."""

    id: str
    email: Annotated[str, named("primaryEmail")]
    suspended: bool = False
    external_ids: Annotated[tuple[ExternalId, ...], named("externalIds")] = ()
    last_login: Annotated[str, named("lastLoginTime")] = NEVER
    must_change_password: Annotated[bool, named("changePasswordAtNextLogin")] = False
    customer: Annotated[str, named("customerId")] = ""

    @property
    def has_logged_in(self) -> bool:
        """Whether the person has ever used the account."""
        return self.last_login != NEVER

    @property
    def marker(self) -> str:
        """Our mark on the user; empty if there is none."""
        return next((each.value for each in self.external_ids if each.type == MARKER_TYPE), "")

    def evidence(self, marker: str) -> str:
        """Say why the user is the subject's; raises OwnershipConflict if it is not."""
        marks = [each.value for each in self.external_ids if each.type == MARKER_TYPE]
        if marker in marks:
            return "marker"
        raise OwnershipConflict(
            "An account with this address exists and is not known to be theirs.",
            external_id=self.id,
            evidence="marker of another subject" if marks else "no marker",
        )

    def marked(self, marker: str) -> list[dict[str, str]]:
        """Give the ids of the user in other systems with our mark; an update replaces them all."""
        kept = [
            {"type": each.type, "value": each.value}
            | ({"customType": each.custom_type} if each.custom_type else {})
            for each in self.external_ids
        ]
        return [*kept, {"type": MARKER_TYPE, "value": marker}]


@dataclass(frozen=True)
class UserPage:
    """One page of users."""

    users: tuple[User, ...] = ()
    next: Annotated[str, named("nextPageToken")] = ""


USERS: Final = Shape(User)
USER_PAGES: Final = Shape(UserPage)
