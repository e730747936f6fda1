"""What Jira's refusals mean, and how many calls it says are left; pure.

Jira answers 400 both to a lack of seats and to data that it refuses: there the sentence decides.
Source: connectors document, §5 and §13.
"""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from newel.base.errors import Forbidden, Invalid, NoCapacity, StepError, Throttled, Transient
from newel.connectors.answers import (
    Answer,
    Known,
    facts_of,
    judged_by_status,
    retry_after,
    sanitised,
)
from newel.connectors.gate import LimitHeaders
from newel.connectors.jira_contract import (
    CREATE_USER,
    JOIN_GROUP,
    LEAVE_GROUP,
    REMOVE_USER,
    SEATS,
    USER_GROUPS,
)

# Of these a 404 is about the account or the group, which the path does not show.
_NAMED_IN_QUERY: Final = (USER_GROUPS, JOIN_GROUP, LEAVE_GROUP, REMOVE_USER)


def judged(answer: Answer) -> StepError | None:
    """Class an answer of Jira."""
    if answer.status < HTTPStatus.BAD_REQUEST:
        return judged_by_status(answer)
    document = answer.fields
    listed, by_field = document.get("errorMessages"), document.get("errors")
    messages = [str(each) for each in listed] if isinstance(listed, list) else []
    fields = by_field if isinstance(by_field, dict) else {}
    texts = " ".join([*messages, *(str(each) for each in fields.values())])
    said, facts = sanitised(texts), facts_of(answer)
    match answer.status:
        case 400 | 422:
            return _refused(texts.lower(), said, fields, facts)
        case 403:
            return Forbidden(f"The account may not do this: {said}", **facts)
        case 404 if answer.route in _NAMED_IN_QUERY:
            unknown = {"account": "is not known on the site, or the group is not"}
            return Invalid(f"Jira does not know it: {said}", fields=unknown, **facts)
        case 409:
            return Transient("Somebody else updates the same issue at this moment.", **facts)
        case 413:
            return Invalid("The issue has reached a limit of Jira.", **facts)
        case 429:
            return _throttled(answer, facts)
        case _:
            return judged_by_status(answer, said=said)


def _refused(texts: str, said: str, fields: dict[str, object], facts: Known) -> StepError:
    """Tell a lack of seats from wrong data: Jira answers 400 to both."""
    if "license" in texts or "user limit" in texts or "seat" in texts:
        return NoCapacity("No licence is free on the Jira site.", what=SEATS, **facts)
    reasons = {name: sanitised(str(why)) for name, why in fields.items()}
    if "already exists" in texts:
        reasons["products"] = (
            "An account with this address exists without access to the product: give it "
            "access in Jira's administration, then retry."
        )
    elif facts["operation"] == CREATE_USER.operation and not reasons:
        reasons["emailAddress"] = (
            "Jira does not say which: the address is not accepted, or no licence is free."
        )
    return Invalid(f"Jira refuses the data: {said}", fields=reasons, **facts)


def _throttled(answer: Answer, facts: Known) -> Throttled:
    wait = retry_after(answer)
    if not wait and (reset := _reset(answer)) is not None:
        return Throttled("Jira asks for fewer calls.", retry_at=reset, **facts)
    return Throttled("Jira asks for fewer calls.", **facts, **wait)


def _reset(answer: Answer) -> datetime | None:
    try:
        moment = datetime.fromisoformat(answer.headers.get("x-ratelimit-reset", ""))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def limits(answer: Answer) -> LimitHeaders | None:
    """Read how many calls are left, and whether that is few, where Jira says so."""
    remaining = answer.headers.get("x-ratelimit-remaining", "")
    left = int(remaining) if remaining.isdigit() else None
    is_near = answer.headers.get("x-ratelimit-nearlimit", "").lower() == "true"
    if left is None and not is_near:
        return None
    return LimitHeaders(remaining=left, reset_at=_reset(answer), is_near=is_near)
