"""What Slack's refusals mean: of the Web API by the error, of SCIM by the status; pure.

The lists of the methods leave out the errors that all methods share, so a known error is one of
either. What the method itself understands as done (`already_in_channel`) is `AlreadyDone`.
Source: connectors document, §5 and §12; Slack's method reference.
"""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from typing import Final

from newel.base.errors import (
    AlreadyDone,
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
    facts_of,
    judged_by_status,
    retry_after,
    sanitised,
    unanswered,
)

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
    "no_external_invite_permission",
    "failed_to_validate_caller",
    "unknown_method",
}
_BLOCKED: Final = {
    "restricted_action",
    "restricted_action_non_threadable_channel",
    "restricted_action_read_only_channel",
    "restricted_action_thread_locked",
    "restricted_action_thread_only_channel",
    "not_in_channel",
    "cant_invite",
    "cant_invite_self",
    "cant_kick_self",
    "app_cannot_join_channel",
    "invitee_cant_see_channel",
    "invitor_cannot_see_channel",
    "user_is_restricted",
    "user_disabled",
    "user_is_bot",
    "user_not_visible",
    "org_user_not_in_team",
    "external_channel_migrating",
    "invalid_role_for_user",
    "invited_user_not_reactivated",
    "cannot_modify_primary_owner",
    "cannot_reset_primary_owner",
    "cannot_reset_bot",
    "not_supported",
    "messages_tab_disabled",
    "enterprise_is_restricted",
    "channel_is_limited_access",
    "slack_connect_canvas_sharing_blocked",
    "slack_connect_file_link_sharing_blocked",
    "slack_connect_lists_sharing_blocked",
}
_UNKNOWN_OUTCOME: Final = {"fatal_error", "internal_error"}
_PASSING: Final = {
    "service_unavailable",
    "request_timeout",
    "team_added_to_org",
    "failed_looking_up_user",
    "failed_to_send_invite",
    "failed_to_validate_team",
    "failed_to_remove_user_from_workspace",
    "user_session_reset_failed",
    "invited_user_not_created",
    "fetch_members_failed",
}
_FULL: Final = {"message_limit_exceeded": "messages", "ura_max_channels": "channels of a guest"}
_DONE: Final = {
    "already_in_channel",
    "already_in_team",
    "already_in_team_invited_user",
    "cant_kick_from_general",
    "user_already_deleted",
    "user_already_team_member",
}
_LIMITED: Final = {"ratelimited", "rate_limited"}
_WRONG_DATA: Final = {
    "invalid_arguments",
    "invalid_arg_name",
    "invalid_json",
    "missing_argument",
    "channel_not_found",
    "limit_required",
    "no_user",
    "too_many_users",
    "failed_to_validate_channels",
    "failed_to_validate_custom_message",
    "failed_to_validate_expiration",
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
    if code in _FULL:
        return NoCapacity(f"Slack has used up its {_FULL[code]}.", what=_FULL[code], **facts)
    if code in _DONE:
        return AlreadyDone(message=f"Slack says that it is done: {code}.", **facts)
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
    document = answer.fields
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
