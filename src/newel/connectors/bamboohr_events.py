"""What BambooHR tells of: its events, what has changed since a moment, and the key behind both.

Events are hints: after one the record is read. What no event told is found by asking what has
changed since the last time.
Source: connectors document, §17.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, ClassVar, Final, Protocol, Unpack

from newel.base.errors import ContractDrift, Forbidden, StepError
from newel.base.secrets import Secret, SecretRef
from newel.connectors.answers import Answer
from newel.connectors.auth import KeyCredential
from newel.connectors.bamboohr_contract import (
    API,
    CHANGED,
    CHANGES,
    CREATE_WEBHOOK,
    DELETE_WEBHOOK,
    DIRECTORY,
    EMPLOYEE,
    FIELD_LIST,
    FIELDS,
    HOOKS,
    NAMES,
    NEW_HOOK,
    RECORD,
    WEBHOOKS,
    Hook,
    hints_in,
    hints_of,
    judged,
    verified,
)
from newel.connectors.base import Check, Connector, Outside
from newel.connectors.ensure import ensured, removed
from newel.connectors.gate import Bucket
from newel.connectors.hr import Hint
from newel.connectors.looking import report
from newel.connectors.operation import operation
from newel.domain.values import Effect

__all__ = ["BambooHREvents", "Changes", "Shelf", "Subscription", "hints_of_change"]

_OVERLAP: Final = timedelta(minutes=5)
_OWN: Final = "0"  # in place of an id: the employee whom the key belongs to
_EVENTS: Final = ("employee.created", "employee.updated", "employee.deleted")


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Hints that were found by asking; until: where the next question begins."""

    hints: tuple[Hint, ...]
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A subscription to events; its key lies on the shelf under its name."""

    id: str
    name: str
    url: str


class Shelf(Protocol):
    """Where secrets that newel receives are kept, sealed."""

    async def has(self, name: str) -> bool:
        """Say whether there is a secret of this name."""
        ...

    async def put(self, name: str, secret: Secret) -> None:
        """Keep a secret, in place of an older one."""
        ...


class BambooHREvents(Connector):
    """One company at BambooHR, and how it tells that records have changed."""

    title = "BambooHR"
    buckets: ClassVar = (Bucket(name=API, rate=5, capacity=10),)

    def __init__(
        self,
        *,
        company: str,
        key: SecretRef,
        names: Mapping[str, str] = NAMES,
        name: str = "bamboohr",
        base_url: str = "",
        known_employee: str = _OWN,
        **outside: Unpack[Outside],
    ) -> None:
        """Make it for a company's subdomain and an API key.

        names: our names of fields, and BambooHR's; further ones come with the record as `more`.
        known_employee: whose record `check` reads, where the key belongs to nobody.
        """
        super().__init__(
            name=name,
            secret=key,
            credential=KeyCredential(key),
            addresses={"": base_url or f"https://{company}.bamboohr.com"},
            request_id=("x-request-id",),
            **outside,
        )
        self.company = company
        self._names = {**NAMES, **names}
        self._known = known_employee

    async def probe(self) -> None:
        """Ask for the list of fields."""
        await self.http.call(FIELDS)

    async def check(self) -> Check:
        """Prove the key, that the fields exist, and that it may see them."""
        listed = FIELD_LIST.read(await self.http.call(FIELDS))
        exist = {name for field in listed for name in (field.alias, field.name) if name}
        wanted = tuple(self._names.values())
        query = {"fields": ",".join(wanted)}
        answer = await self.http.call(EMPLOYEE, {"id": self._known}, query=query)
        seen = RECORD.read(answer)
        have = tuple(f"field:{name}" for name in wanted if name in seen)
        missing = [f"field:{name}" for name in wanted if name not in seen]
        try:
            await self.http.call(DIRECTORY, expect=(HTTPStatus.NOT_FOUND,))
        except Forbidden:
            missing.append("employee_directory")
        absent = [name for name in wanted if name not in exist]
        notes = tuple(f"The company has no field {name}." for name in absent)
        return Check(
            ok=not missing and not absent,
            identity=self.company,
            have=have,
            missing=tuple(missing),
            notes=notes,
        )

    def verified(self, headers: Mapping[str, str], raw: bytes, key: Secret) -> tuple[Hint, ...]:
        """Give the hints of a message, if it is proven to come from BambooHR.

        headers: names in lower case. raw: the bytes as they came. key: of the subscription.
        Raises SignatureInvalid, InvalidInput.
        """
        verified(headers, raw, key, self.clock.now())
        return hints_of(raw)

    def hints(self, document: object) -> tuple[Hint, ...]:
        """Give the hints of a message that is proven and read already; raises InvalidInput."""
        return hints_in(document)

    # Asking ------------------------------------------------------------------------------------

    @operation(
        idempotency="read",
        natural_key="changed/{since}",
        needs=("employees",),
        reads=(CHANGED.operation,),
        bucket=API,
        title="Ask HR what has changed",
    )
    async def changed(self, since: datetime) -> Changes:
        """Ask whose records have changed since a moment, five minutes before it included."""
        asked = (since - _OVERLAP).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        found = CHANGES.read(await self.http.call(CHANGED, query={"since": asked}))
        hints = tuple(
            hint
            for identity, change in sorted(found.employees.items())
            for hint in hints_of_change(identity, change)
        )
        return Changes(hints=hints, until=max(since, _moment(found.latest)))

    # Subscriptions -----------------------------------------------------------------------------

    @operation(
        natural_key="webhook/{name}",
        idempotency="natural",
        undo="end_subscription",
        reversible="yes",
        bucket=API,
        needs=("webhooks",),
        spec=(CREATE_WEBHOOK.operation, DELETE_WEBHOOK.operation),
        reads=(WEBHOOKS.operation,),
        title="Subscribe to HR events",
    )
    async def subscribe(
        self, name: str, url: str, shelf: Shelf, *, events: Sequence[str] = _EVENTS
    ) -> Subscription:
        """Let BambooHR send its events to an address of ours; the key goes to the shelf at once.

        The key is shown once. A subscription whose key never arrived is of no use: it is ended,
        and another is made.
        """

        async def look() -> Hook | None:
            found = await self._hook(name)
            return found if found and found.url == url and await shelf.has(name) else None

        async def create() -> Hook:
            stale = await self._hook(name)
            if stale is not None:
                await self._end(stale)
            body = {
                "name": name,
                "url": url,
                "format": "json",
                "events": list(events),
                "monitorFields": sorted(set(self._names.values())),
            }
            made = NEW_HOOK.read(await self.http.call(CREATE_WEBHOOK, body=body))
            await shelf.put(name, Secret(made.privateKey))
            return Hook(id=made.id, name=name, url=url)

        reached = await ensured(
            look=look,
            ours=lambda _: "name",
            create=create,
            settling=self.settling(0),
            what="subscription",
        )
        hook = reached.value
        report(Effect(changed=reached.changed, external_id=hook.id, evidence=reached.evidence))
        return Subscription(id=hook.id, name=name, url=url)

    @operation(
        natural_key="webhook/{name}",
        idempotency="natural",
        undo="none: a new subscription has a new key; subscribe again",
        reversible="with_loss",
        bucket=API,
        needs=("webhooks",),
        spec=(DELETE_WEBHOOK.operation,),
        reads=(WEBHOOKS.operation,),
        title="End the subscription to HR events",
    )
    async def end_subscription(self, name: str) -> None:
        """Let BambooHR send no more events."""
        reached = await removed(
            look=lambda: self._hook(name),
            ours=lambda _: "name",
            remove=self._end,
            settling=self.settling(0),
            what="subscription",
        )
        gone = reached.value.id if reached.value else ""
        report(Effect(changed=reached.changed, external_id=gone, evidence=reached.evidence))

    async def _hook(self, name: str) -> Hook | None:
        listed = HOOKS.read(await self.http.call(WEBHOOKS)).webhooks
        return next((hook for hook in listed if hook.name == name), None)

    async def _end(self, hook: Hook) -> None:
        await self.http.call(DELETE_WEBHOOK, {"id": hook.id}, expect=(HTTPStatus.NOT_FOUND,))

    @staticmethod
    def judged(answer: Answer) -> StepError | None:
        """Class an answer of BambooHR."""
        return judged(answer)


def hints_of_change(identity: str, change: Mapping[str, Any]) -> tuple[Hint, ...]:  # Any: JSON
    """Give the hint of one changed record; the same change has the same name each time."""
    kinds = {"Inserted": "created", "Updated": "updated", "Deleted": "deleted"}
    kind = kinds.get(str(change.get("action")))
    if kind is None:
        raise ContractDrift(
            "BambooHR tells of a change of another kind.",
            expected="Inserted, Updated or Deleted",
            seen="something else",
            operation=CHANGED.operation,
        )
    event = f"changed-{identity}-{change.get('lastChanged')}"
    return (Hint(event=event, employee=identity, kind=kind),)  # type: ignore[arg-type]  # one of them


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise ContractDrift(
            "BambooHR writes a moment another way.",
            expected="ISO 8601",
            seen="something else",
            operation=CHANGED.operation,
        ) from None
