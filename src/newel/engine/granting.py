"""The ledger's rows of an outcome: written with the outcome that made them, or not at all."""

from __future__ import annotations

import hashlib
from typing import Any, cast
from uuid import UUID

from newel.audit import catalogue as facts
from newel.base.ids import reference
from newel.domain.acts import OpenAct
from newel.domain.values import Call, Effect
from newel.engine.runner import Runner
from newel.flow.act import StepAct


def http_facts(call: Call) -> facts.Http:
    """The call that decided, as an audit leaf may hold it: the path is a template."""
    return facts.Http(
        method=call.method,
        host=call.host,
        path=call.path,
        status=call.status,
        request_id=call.request_id,
    )


def record(
    run: Runner,
    opened: OpenAct,
    act: StepAct[Any],  # Any: each step has its own result
    effect: Effect,
    *,
    seq: int,
    calls: list[Call],
) -> None:
    """Write the grant that a step declared, if it gave or prepared access to the run's subject.

    seq: the place of the outcome that made it.
    """
    template = act.step.options.grants
    if template is None or run.loaded.subject is None or effect.access == "revoked":
        return
    entitlement = act.step.described(template, act.args, act.kwargs)
    if ":" not in entitlement:
        entitlement = f"{opened.system}:{entitlement}"
    grant = _grant_id(run.loaded.subject, entitlement, run.id)
    level = effect.level or act.step.options.level
    _note(run, opened, effect, grant, entitlement, level, calls)
    now = run.moment
    is_active = effect.access == "active"
    run.change.also(
        "access_grant",
        {
            "id": str(grant),
            "person": run.loaded.subject,
            "stint": 1,
            "system": opened.system,
            "entitlement": entitlement,
            "level": level,
            "account_id": effect.external_id or None,
            "state": effect.access,
            "intended_at": opened.intended_at,
            "valid_from": now if is_active else None,
            "verified_at": now,
            "route": effect.path,
            "evidence": effect.evidence or None,
            "reason_kind": "policy",
            "reason_ref": run.process.name,
            "made_run": str(run.id),
            "made_key": opened.key,
            "made_seq": seq,
            "recorded_at": now,
        },
    )


def _note(
    run: Runner,
    opened: OpenAct,
    effect: Effect,
    grant: UUID,
    entitlement: str,
    level: str | None,
    calls: list[Call],
) -> None:
    http = http_facts(calls[-1]) if calls else None
    account = _account_ref(opened.system or "", effect.external_id)
    name = reference("grt", grant)
    fact: facts.AccessGranted | facts.AccessPending
    if effect.access == "active":
        fact = facts.AccessGranted(
            grant=name,
            state="active",
            entitlement=entitlement,
            level=level,
            account_ref=account,
            authority=_authority(run),
            effective_at=run.moment,
            route=cast("facts.Route", effect.path),  # checked by the leaf
            changed=effect.changed,
            adopted=True if effect.adopted else None,
            http=http,
        )
    else:
        fact = facts.AccessPending(
            grant=name, state="prepared", entitlement=entitlement, account_ref=account, http=http
        )
    run.record(
        fact,
        key=opened.key,
        attempt=opened.attempt,
        round_=opened.round,
        system=opened.system,
        process=run.version,
    )


def _authority(run: Runner) -> facts.ApprovalAuthority | facts.PolicyAuthority:
    approval = run.history.approval
    if approval is not None:
        return facts.ApprovalAuthority(
            event=approval.event, leaf_hash=approval.leaf_hash, approver=approval.approver
        )
    return facts.PolicyAuthority(
        policy_id=run.process.name, policy_sha256=run.process.definition_sha256
    )


def _grant_id(person: UUID, entitlement: str, run: UUID) -> UUID:
    """The same for every outcome of one run about one entitlement: prepared, then active."""
    digest = hashlib.sha256(person.bytes + run.bytes + entitlement.encode()).digest()
    return UUID(bytes=digest[:16], version=4)


def _account_ref(system: str, external_id: str) -> str:
    digest = hashlib.sha256(f"{system}\0{external_id}".encode()).digest()
    return reference("acc", UUID(bytes=digest[:16], version=4))
