"""What Google's refusals mean, by their reason first and by their status last; pure.

Google says with one reason, `conditionNotMet`, that an account is not finished, that a licence is
held already and that none is left: there the sentence decides.
Source: connectors document, §5 and §11; https://developers.google.com/admin-sdk/directory/v1/limits.
"""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from typing import Final

from newel.base.errors import (
    Forbidden,
    Invalid,
    NoCapacity,
    NotReady,
    StepError,
    Throttled,
)
from newel.connectors.answers import (
    Answer,
    Known,
    facts_of,
    judged_by_status,
    retry_after,
    sanitised,
)
from newel.connectors.google_contract import (
    INSERT_LICENCE,
    INSERT_MEMBER,
    INSERT_USER,
    SCOPE_OF,
    UNFINISHED,
)

# Google calls it concurrency; in practice it lasts (baton-google-workspace does not retry it).
_LONG_QUOTA: Final = timedelta(minutes=10)
HELD: Final = "already assigned"


def judged(answer: Answer) -> StepError | None:
    """Class an answer of Google."""
    if answer.status < HTTPStatus.BAD_REQUEST:
        return judged_by_status(answer)
    error = answer.fields.get("error")
    details = error if isinstance(error, dict) else {}
    text = str(details.get("message") or "")
    reason, said = _reason(details), sanitised(text)
    facts = facts_of(answer, reason or None)
    match reason:
        case "userRateLimitExceeded" | "rateLimitExceeded":
            return Throttled("Google asks for fewer calls.", **facts, **retry_after(answer))
        case "quotaExceeded" | "dailyLimitExceeded":
            return Throttled("Google's quota is used up.", retry_after=_LONG_QUOTA, **facts)
        case "limitExceeded":
            return NoCapacity("No licence is free.", what="Google Workspace licences", **facts)
        case "insufficientPermissions":
            return _without_scope(answer, facts)
        case "forbidden":
            return Forbidden(f"The credential may not do this: {said}", **facts)
        case _ if UNFINISHED in text.lower():
            return NotReady("Google has not finished creating the account.", **facts)
        case "conditionNotMet" | "notFound" | "invalid":
            return _by_sentence(answer, text.lower(), said, facts)
        case _:
            return judged_by_status(answer, code=reason or None, said=said)


def _without_scope(answer: Answer, facts: Known) -> Forbidden:
    """Name the scope that is missing; Google does not."""
    scope = SCOPE_OF.get(answer.route.operation)
    return Forbidden(f"The token lacks the scope {scope}.", missing=scope, **facts)


def _by_sentence(answer: Answer, text: str, said: str, facts: Known) -> StepError | None:
    if answer.status == HTTPStatus.PRECONDITION_FAILED:
        if answer.route is INSERT_LICENCE and "already has a license" in text:
            facts["code"] = HELD
            return Invalid("The account has a licence of this product already.", **facts)
        return NoCapacity(f"Google has no licence left: {said}", what="Google licences", **facts)
    if answer.route is INSERT_USER and answer.status == HTTPStatus.NOT_FOUND:
        wrong = {"primaryEmail": "its domain is not one of this Google Workspace"}
        return Invalid("Google does not know the domain.", fields=wrong, **facts)
    if answer.route is INSERT_USER and "invalid_ou_id" in text:
        wrong = {"orgUnitPath": "is no organizational unit of this Google Workspace"}
        return Invalid("Google does not know the organizational unit.", fields=wrong, **facts)
    if answer.route is INSERT_MEMBER and answer.status == HTTPStatus.NOT_FOUND:
        who = "group" if "groupkey" in text else "account"
        return NotReady(f"Google does not show the {who} to its groups yet.", **facts)
    if answer.status == HTTPStatus.NOT_FOUND and "{" not in answer.route.path:
        # In Google's own words it is about a customer or an account, not about the route.
        unknown = {"query": "names what Google does not know"}
        return Invalid(f"Google does not know it: {said}", fields=unknown, **facts)
    return judged_by_status(answer, code=facts["code"], said=said)


def _reason(details: dict[str, object]) -> str:
    errors = details.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else {}
    return str(first.get("reason") or "") if isinstance(first, dict) else ""
