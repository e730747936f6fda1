"""What every connector is: a named way to one system, with its credential, limits and probe."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, TypedDict, Unpack

import httpx2

from newel.base.clock import DEPLOYMENT, Clock
from newel.base.errors import (
    AuthFailed,
    DefinitionError,
    Forbidden,
    OwnershipConflict,
    StepError,
)
from newel.base.secrets import SecretRef
from newel.connectors.answers import Answer
from newel.connectors.capable import Capable, Check
from newel.connectors.declaring import declared
from newel.connectors.ensure import Ensured, Settling
from newel.connectors.gate import Bucket, Gate, LimitHeaders, MemoryGate, Pause, real_pause
from newel.connectors.http import Credential, Http, Service, Timeouts
from newel.connectors.looking import looking, report
from newel.connectors.owning import Owning
from newel.connectors.room import Room
from newel.connectors.shadow import SHADOW, Mode
from newel.domain.keys import checked_name
from newel.domain.people import Person
from newel.domain.values import Access, Account, Effect
from newel.flow.step import Step, step

__all__ = [
    "Check",
    "Connector",
    "Examined",
    "Holding",
    "Outside",
    "all_of",
    "marker_of",
    "names_of",
]


@dataclass(frozen=True, kw_only=True)
class Examined:
    """What a system answered to the nightly question; expires_at: when its credential ends."""

    identity: str = ""
    expires_at: datetime | None = None
    notes: tuple[str, ...] = ()
    rooms: tuple[Room, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """An account as its system shows it, with what it gives: what `accounts()` yields.

    entitlements: by their keys, the account's own among them. marker: our mark on it, or empty.
    """

    account: Account
    entitlements: tuple[str, ...] = ()
    marker: str = ""


class Outside(TypedDict, total=False):
    """The arguments of every connector that touch the outside; tests pass their own.

    gate: shared limits; without one, limits in memory. pause: waits for so many seconds.
    runbook: address of the page that says what to do when the system fails; stands in tickets.
    owner: the team that answers for the system, `it` if nothing else is said.
    mode: `shadow` only looks, and notes what would have been asked for; nothing is ever changed.
    timeouts: how long the system may take, where it is slower or faster than others.
    """

    transport: httpx2.AsyncBaseTransport | None
    clock: Clock
    gate: Gate | None
    pause: Pause
    proxy: str | None
    runbook: str | None
    owner: str
    mode: Mode
    timeouts: Timeouts


def marker_of(person: Person) -> str:
    """Give the immutable value that marks what belongs to a person: employee number, else ref.

    Source: connectors document, §4.3.
    """
    marker = person.hr_key or person.ref
    if not marker:
        raise OwnershipConflict(
            "The person has neither an employee number nor a reference: an account made now "
            "could not be attributed to anybody.",
            evidence="no marker",
        )
    return marker


def _answers_of(holding: Holding) -> dict[str, object]:
    """What operations ask for about an account, by the names of their parameters."""
    account = holding.account
    person = Person(name=account.handle, email=account.email, hr_key=holding.marker or None)
    return {"person": person, "username": account.handle}


def _check_doubles(
    cls: type,
    name: str,
    found: Step[..., Any],  # Any: each has its own signature
) -> None:
    """Refuse an operation whose doubles nothing looks for."""
    doubles = declared(found).doubles if found.options.facts else ""
    other = getattr(cls, doubles, None) if doubles else found
    if not isinstance(other, Step) or (doubles and declared(other).idempotency != "read"):
        raise DefinitionError(
            f"The doubles of the operation `{name}` of {cls.__name__} are looked for by "
            f"`{doubles}`, which is no operation of it that only reads.",
            fix="the name of one that gives all accounts of a person.",
            code="F709",
        )


def names_of(person: Person) -> tuple[str, str]:
    """Split a name for systems that insist on two parts; a single word stands for both."""
    given, _, family = person.name.strip().rpartition(" ")
    return (given.strip() or family, family)


class Connector(Capable, Owning):
    """One system as processes see it; subclasses add operations.

    name: first part of keys, entitlements and the credential id. title: the system's own name.
    nightly: operations that only read, asked every night about the first account there is.
    """

    buckets: ClassVar[tuple[Bucket, ...]] = ()
    nightly: ClassVar[tuple[str, ...]] = ("find",)

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for name, found in vars(cls).items():
            if not isinstance(found, Step):
                continue
            _check_doubles(cls, name, found)
            undo = declared(found).undo if found.options.facts else ""
            if (
                undo
                and not undo.startswith("none:")
                and not isinstance(getattr(cls, undo, None), Step)
            ):
                raise DefinitionError(
                    f"The operation `{name}` of {cls.__name__} is undone by `{undo}`, "
                    "which is no operation of it.",
                    fix='the name of one, or `undo="none: reason"`.',
                    code="F709",
                )

    def __init__(
        self,
        *,
        name: str,
        secret: SecretRef,
        credential: Credential,
        addresses: Mapping[str, str],
        headers: Mapping[str, str] | None = None,
        request_id: tuple[str, ...] = (),
        **outside: Unpack[Outside],
    ) -> None:
        super().__init__()
        self.name = checked_name(name)
        self.credential = f"{name}:{hashlib.sha256(str(secret).encode()).hexdigest()[:12]}"
        self.runbook = outside.get("runbook")
        self.owner = outside.get("owner", "it")
        self.mode: Mode = outside.get("mode", "live")
        self._secret = secret
        self.clock = outside.get("clock", DEPLOYMENT)
        self._pause = outside.get("pause", real_pause)
        own = outside.get("gate")
        self._has_own_gate = own is not None
        gate = own or MemoryGate(self.buckets, clock=self.clock, pause=self._pause)
        self.http = Http(
            Service(
                name=name,
                addresses=addresses,
                judged=self.judged,
                headers=headers or {},
                limits=self.limits,
                request_id=request_id,
                proxy=outside.get("proxy"),
                is_shadow=self.mode == SHADOW,
                timeouts=outside.get("timeouts", Timeouts()),
            ),
            credential,
            gate,
            self.clock,
            transport=outside.get("transport"),
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    @property
    def base_entitlement(self) -> str:
        """The entitlement of having an account at all."""
        return f"{self.name}:account"

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts that it speaks to, sorted; with the port, where the address names one."""
        return self.http.hosts

    async def probe(self) -> None:
        """Ask for something cheap; raises the class of the failure while the system is down."""
        raise NotImplementedError

    async def capacity(self) -> tuple[Room, ...]:
        """Read what is left of seats and licences; nothing where the system does not tell."""
        return ()

    @step(in_doubt="repeat", timeout=timedelta(seconds=60), title="Ask whether all is as agreed")
    async def examine(self) -> Examined:
        """Ask what shows whether the contract still holds; nothing but reads leaves.

        Raises what a step of a run would: ContractDrift naming the field, Forbidden naming what
        is missing, AuthFailed.
        """
        with looking():
            found = await self.check()
            self.learn(found)
            if found.missing:
                missing = ", ".join(found.missing)
                raise Forbidden(f"The credential lacks {missing}.", missing=missing)
            if not found.ok:
                raise AuthFailed(" ".join(found.notes) or "The check is not content.")
            await self._look_at_an_account()
            rooms = await self.capacity()
        return Examined(
            identity=found.identity,
            expires_at=found.expires_at,
            notes=found.notes,
            rooms=rooms,
        )

    async def _look_at_an_account(self) -> None:
        """Read the first of the listing, where there is one, and look it up as steps of runs do.

        Whose it is does not matter: what is asked is whether the fields are there that are read.
        """
        listing = getattr(self, "accounts", None)
        if listing is None:
            return
        async with contextlib.aclosing(listing()) as found:
            holding: Holding | None = await anext(found, None)
        if holding is None:
            return
        known = _answers_of(holding)
        for name, question in self.operations().items():
            _, *wanted = inspect.signature(question.function).parameters  # without `self`
            if name in self.nightly and known.keys() >= set(wanted):
                with contextlib.suppress(OwnershipConflict):
                    await getattr(self, name).called(*[known[each] for each in wanted])

    @staticmethod
    def judged(answer: Answer) -> StepError | None:
        """Class an answer; None is a success. Pure."""
        raise NotImplementedError

    @staticmethod
    def limits(answer: Answer) -> LimitHeaders | None:
        """Read what an answer says about the rate limit; None if nothing. Pure."""
        del answer
        return None

    def share(self, gate: Callable[[Any, Pause], Gate]) -> None:  # Any: this very connector
        """Let the deployment's gate stand where only this worker's did; one that was given stays.

        gate: makes it; told how the connector waits.
        """
        if not self._has_own_gate:
            self.http.gate = gate(self, self._pause)

    def forget(self) -> None:
        """Drop what was read and kept for a while; for whoever puts another world behind it."""

    def secret_version(self) -> str:
        """Tell secrets apart without telling them: it changes when the reference's bytes do.

        Raises nothing: what cannot be read has a version of its own.
        """
        try:
            secret = self._secret.resolve().reveal()
        except (StepError, DefinitionError, OSError):
            return "unreadable"
        return hashlib.sha256(secret.encode()).hexdigest()[:12]

    async def aclose(self) -> None:
        """Close connections of this event loop."""
        await self.http.aclose()

    @classmethod
    def operations(cls) -> Mapping[str, Step[..., Any]]:  # Any: each has its own signature
        """Give all operations by name; other steps of the class are none."""
        return {
            name: found
            for name in sorted(dir(cls))
            if isinstance(found := getattr(cls, name), Step) and found.options.facts
        }

    def settling(self, *times: float) -> Settling:
        """Say when this connector may believe that something is absent."""
        return Settling(times or (0,), self.clock, self._pause)

    async def at_address(self, person: Person) -> Holding | None:
        """Look for an account at a person's work address, with its mark; reads only.

        Whoever reserves an address asks it. None also where addresses are nothing to the system.
        """
        del person
        return None

    def absent(self, person: Person, id_: str = "") -> Account:
        """A person's account that is not there (any more); id_: the one it had, if it is known."""
        return Account(
            system=self.name, id=id_, handle=person.email, email=person.email, state="absent"
        )

    def gone(self, account: Account) -> Account:
        """Report that access is not there and nothing was done: it was looked for. Gives it."""
        looked: Ensured[None] = Ensured(None, changed=False, evidence="verified absent")
        return self.reported(looked, account, access="revoked")

    def reported(
        self,
        ensured: Ensured[Any],  # Any: whatever the system shows of the object
        account: Account,
        *,
        access: Access = "active",
        path: str = "admin_api",
        level: str | None = None,
        also: tuple[str, ...] = (),
    ) -> Account:
        """Report the effect of an operation on an account, and give the account.

        Whatever is ensured or removed has been seen in its state (`ensure`).
        """
        report(
            Effect(
                changed=ensured.changed,
                adopted=ensured.adopted,
                access=access,
                path=path,
                external_id=account.id,
                account=account.handle,
                evidence=ensured.evidence,
                level=level,
                also=also,
                is_read=True,
            )
        )
        return account


def all_of(needs: Iterable[str], have: Collection[str]) -> tuple[str, ...]:
    """Give the needs that are not met; `a|b` is met by any one of them."""
    return tuple(need for need in needs if not set(need.split("|")) & set(have))
