"""What is agreed with Slack: routes of the Web API and of SCIM, and what refusals mean.

Every answer of the Web API is HTTP 200; what failed stands in `ok` and `error`. SCIM answers
with statuses. Source: connectors document, §12; Slack's method reference; RFC 7643, RFC 7644.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated, Final

from newel.base.errors import (
    AuthFailed,
    ContractDrift,
    Forbidden,
    Invalid,
    NoCapacity,
    StepError,
    Throttled,
    Transient,
)
from newel.connectors.answers import (
    Answer,
    Known,
    Route,
    facts_of,
    judged_by_status,
    retry_after,
    sanitised,
    unanswered,
)
from newel.connectors.contract import Shape, named

TIER2: Final = "slack.t2"
TIER3: Final = "slack.t3"
POST: Final = "slack.post"
SCIM_READ: Final = "slack.scim.read"
SCIM_USER: Final = "slack.scim.user"
_SCIM: Final = "/scim/v2"

AUTH_TEST: Final = Route("auth.test", "POST", "/api/auth.test", reads=True)
LOOK_UP: Final = Route("users.lookupByEmail", "GET", "/api/users.lookupByEmail", TIER3)
SAY: Final = Route("chat.postMessage", "POST", "/api/chat.postMessage", POST)
HISTORY: Final = Route("conversations.history", "GET", "/api/conversations.history", TIER3)
CHANNELS: Final = Route("conversations.list", "GET", "/api/conversations.list", TIER2)
SCIM_CONFIG: Final = Route(
    "scim/config", "GET", f"{_SCIM}/ServiceProviderConfig", SCIM_READ, "scim"
)
SCIM_FIND: Final = Route("scim/list", "GET", f"{_SCIM}/Users", SCIM_READ, "scim")
SCIM_CREATE: Final = Route("scim/create", "POST", f"{_SCIM}/Users", SCIM_USER, "scim")
SCIM_CHANGE: Final = Route(
    "scim/patch", "PATCH", f"{_SCIM}/Users/{{id}}", SCIM_USER, "scim", repeatable=True
)

USER_SCHEMA: Final = "urn:ietf:params:scim:schemas:core:2.0:User"
PATCH_SCHEMA: Final = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

# What errors mean that any method may answer with, and those of the methods used here.
_NOT_SIGNED_IN: Final = {
    "invalid_auth",
    "not_authed",
    "token_revoked",
    "token_expired",
    "account_inactive",
}
_NOT_PERMITTED: Final = {
    "not_allowed_token_type",
    "access_denied",
    "no_permission",
    "ekm_access_denied",
    "not_an_admin",
    "invalid_permissions",
    "feature_not_enabled",
    "app_access_restricted",
    "send_on_behalf_not_allowed",
    "as_user_not_supported",
    "metadata_must_be_sent_from_app",
    "plan_upgrade_required",
}
_BLOCKED: Final = {
    "restricted_action",
    "restricted_action_non_threadable_channel",
    "restricted_action_read_only_channel",
    "restricted_action_thread_locked",
    "restricted_action_thread_only_channel",
    "not_in_channel",
    "messages_tab_disabled",
    "enterprise_is_restricted",
    "channel_is_limited_access",
    "slack_connect_canvas_sharing_blocked",
    "slack_connect_file_link_sharing_blocked",
    "slack_connect_lists_sharing_blocked",
}
_UNKNOWN_OUTCOME: Final = {"fatal_error", "internal_error"}
_PASSING: Final = {"service_unavailable", "request_timeout", "team_added_to_org"}
_LIMITED: Final = {"ratelimited", "rate_limited"}
_WRONG_DATA: Final = {
    "invalid_arguments",
    "invalid_arg_name",
    "invalid_json",
    "missing_argument",
    "channel_not_found",
    "is_archived",
    "no_text",
    "team_not_found",
    "users_not_found",
    "user_not_found",
    "invalid_email",
    "invalid_blocks",
    "invalid_blocks_format",
    "invalid_cursor",
    "invalid_limit",
    "invalid_types",
    "invalid_metadata_filter_keys",
    "invalid_metadata_format",
    "invalid_metadata_schema",
    "invalid_ts_latest",
    "invalid_ts_oldest",
    "markdown_text_conflict",
    "metadata_too_large",
    "method_not_supported_for_channel_type",
    "missing_file_data",
    "msg_blocks_too_long",
    "too_many_attachments",
    "too_many_contact_cards",
    "attachment_payload_limit_exceeded",
    "cannot_reply_to_message",
    "draft_already_deleted",
    "draft_already_sent",
    "draft_has_conflict",
    "draft_not_found",
    "duplicate_channel_not_found",
    "duplicate_message_not_found",
}
_WITHOUT_HEADER: Final = timedelta(seconds=30)


@dataclass(frozen=True)
class Profile:
    """The part of a member that holds the address."""

    email: str = ""


@dataclass(frozen=True)
class Member:
    """A member of the workspace, as the Web API shows one."""

    id: str
    name: str
    deleted: bool = False
    profile: Profile = Profile()


@dataclass(frozen=True)
class FoundMember:
    """The answer to a look-up by address."""

    user: Member


@dataclass(frozen=True)
class ScimUser:
    """A user, as SCIM shows one."""

    id: str
    user_name: Annotated[str, named("userName")]
    active: bool
    external_id: Annotated[str | None, named("externalId")] = None


@dataclass(frozen=True)
class ScimUsers:
    """One page of users."""

    resources: Annotated[tuple[ScimUser, ...], named("Resources")] = ()


@dataclass(frozen=True)
class Posted:
    """A message that was said: in which channel, and its time, which is its name."""

    channel: str
    ts: str


@dataclass(frozen=True)
class Payload:
    """Our part of a message's metadata."""

    op_key: str = ""


@dataclass(frozen=True)
class Metadata:
    """The metadata of a message."""

    event_type: str = ""
    event_payload: Payload = Payload()


@dataclass(frozen=True)
class Said:
    """A message in the history of a channel."""

    ts: str
    metadata: Metadata | None = None


@dataclass(frozen=True)
class More:
    """Where the next page begins; empty at the end."""

    next_cursor: str = ""


@dataclass(frozen=True)
class HistoryPage:
    """One page of a channel's history, newest first."""

    messages: tuple[Said, ...]
    more: Annotated[More, named("response_metadata")] = More()


@dataclass(frozen=True)
class Channel:
    """A channel."""

    id: str
    name: str


@dataclass(frozen=True)
class ChannelPage:
    """One page of channels."""

    channels: tuple[Channel, ...]
    more: Annotated[More, named("response_metadata")] = More()


@dataclass(frozen=True)
class Whoami:
    """Whose token it is."""

    team: str
    user: str
    team_id: str


MEMBERS: Final = Shape(FoundMember)
SCIM_USERS: Final = Shape(ScimUsers)
SCIM_ONE: Final = Shape(ScimUser)
POSTED: Final = Shape(Posted)
HISTORIES: Final = Shape(HistoryPage)
CHANNEL_PAGES: Final = Shape(ChannelPage)
WHOAMI: Final = Shape(Whoami)


def judged(answer: Answer) -> StepError | None:
    """Class an answer of Slack: of the Web API by its error, of SCIM by its status."""
    if answer.route.host == "scim":
        return _judged_scim(answer)
    document = answer.document
    if not isinstance(document, dict):
        return judged_by_status(answer)
    if document.get("ok") is True and answer.status < HTTPStatus.MULTIPLE_CHOICES:
        return None
    code = str(document.get("error") or "")
    facts = facts_of(answer, code or None)
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS or code in _LIMITED:
        wait = retry_after(answer) or {"retry_after": _WITHOUT_HEADER}
        return Throttled("Slack asks for fewer calls.", **facts, **wait)
    if answer.status >= HTTPStatus.MULTIPLE_CHOICES and code not in _PASSING:
        return judged_by_status(answer, code=code or None)
    return _judged_error(answer, code, document, facts)


def _judged_error(
    answer: Answer, code: str, document: dict[str, object], facts: Known
) -> StepError:
    if code in _NOT_SIGNED_IN:
        return AuthFailed(f"Slack refuses the token: {code}.", **facts)
    if code == "missing_scope":
        needed = str(document.get("needed") or "") or None
        return Forbidden(f"The token lacks the scope {needed}.", missing=needed, **facts)
    if code in _NOT_PERMITTED:
        return Forbidden(f"The token may not do this: {code}.", **facts)
    if code in _BLOCKED:
        return Forbidden(f"Slack refuses this at present: {code}.", reason="blocked", **facts)
    if code in _UNKNOWN_OUTCOME:
        return unanswered(answer.route, f"Slack failed on the way: {code}", code=code)
    if code in _PASSING:
        return Transient(f"Slack cannot answer now: {code}.", **facts)
    if code == "message_limit_exceeded":
        return NoCapacity("The workspace has used up its messages.", what="messages", **facts)
    if code in _WRONG_DATA:
        return Invalid(f"Slack refuses the data: {code}.", **facts)
    return ContractDrift(
        f"Slack answers {answer.route.operation} with an error nobody agreed on.",
        expected="ok, or a documented error",
        seen=sanitised(code) or "neither ok nor error",
        **facts,
    )


def _judged_scim(answer: Answer) -> StepError | None:
    if answer.status < HTTPStatus.BAD_REQUEST:
        return judged_by_status(answer)
    document = answer.document if isinstance(answer.document, dict) else {}
    detail = str(document.get("detail") or "")
    facts = facts_of(answer, detail if detail.isidentifier() else None)
    said = sanitised(detail)
    match answer.status:
        case 403 if detail == "missing_scope":
            return Forbidden("The token lacks the scope admin.", missing="admin", **facts)
        case 403:
            return Forbidden(f"The token may not do this: {said}", **facts)
        case 409:
            return Invalid(f"Slack has this already: {said}", **facts)
        case 429:
            wait = retry_after(answer) or {"retry_after": _WITHOUT_HEADER}
            return Throttled("Slack asks for fewer calls.", **facts, **wait)
        case _:
            return judged_by_status(answer, code=facts["code"], said=said)
