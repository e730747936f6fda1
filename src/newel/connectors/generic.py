"""Any HTTP interface: a subclass names its routes and writes its operations, nothing else.

    class Badges(HttpApi):
        routes = (FIND, ISSUE)

        @operation(idempotency="natural", natural_key="badge/{person.email}", …)
        async def ensure_badge(self, person: Person) -> Account: …

Client, limits, failure classes, doubt, metadata and faults of simulators are those of the shipped
connectors. What would make a second thing after a lost answer is refused when the class is made.
Source: connectors document, §19.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, Unpack

from newel.base.errors import DefinitionError, Forbidden, InvalidInput, StepError
from newel.base.secrets import SecretRef
from newel.connectors.answers import Answer, Route, judged_by_status
from newel.connectors.auth import BearerCredential
from newel.connectors.base import Check, Connector, Outside
from newel.connectors.contracts.documents import opened
from newel.connectors.contracts.own import absent, beside
from newel.connectors.declaring import Declared, declared
from newel.connectors.gate import Bucket
from newel.connectors.http import Credential
from newel.flow.context import ATTEMPT
from newel.flow.step import Step

__all__ = ["API", "HttpApi"]

API: Final = "http.api"


class HttpApi(Connector):
    """One system with an HTTP interface; subclasses name `routes` and add operations.

    routes: every route that an operation may call. key_header: the system's header that makes a
    repeated request harmless, where it has one. spec_file: the vendor's OpenAPI document in JSON,
    relative to the module of the class; tests hold each request and each answer to it.
    undocumented: answers that the system gives and its document does not name, as operation and
    status.
    """

    title = "HTTP interface"
    routes: ClassVar[tuple[Route, ...]] = ()
    key_header: ClassVar[str] = ""
    spec_file: ClassVar[str] = ""
    undocumented: ClassVar[Collection[tuple[str, int]]] = ()
    buckets: ClassVar = (Bucket(name=API, rate=5, capacity=10),)

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        _in_document(cls)
        for name, step in cls.operations().items():
            findings = list(_findings(cls, declared(step), step))
            if findings:
                raise DefinitionError(
                    f"The operation `{name}` of {cls.__name__} is declared wrongly: "
                    f"{'; '.join(what for what, _ in findings)}.",
                    fix="; ".join(fix for _, fix in findings) + ".",
                    code="F709",
                )

    def __init__(
        self,
        *,
        name: str,
        base_url: str,
        token: SecretRef,
        hosts: Sequence[str] = (),
        probe: Route | None = None,
        credential: Credential | None = None,
        headers: Mapping[str, str] | None = None,
        title: str = "",
        **outside: Unpack[Outside],
    ) -> None:
        """Make it for an address and a bearer token.

        hosts: further hosts of the system; a route with such a `host` lives there, and links to
        pages may lead there. probe: a cheap route that is read while the system is down.
        credential: instead of a bearer token; it reads the same secret.
        """
        super().__init__(
            name=name,
            secret=token,
            credential=credential or BearerCredential(token),
            addresses={"": base_url, **{host: f"https://{host}" for host in hosts}},
            headers=headers,
            request_id=("x-request-id", "x-correlation-id"),
            **outside,
        )
        self.title = title or self.title
        self._probe = probe

    @classmethod
    def specification(cls) -> Path | None:
        """Say where the vendor's document lies: beside the module of the class that names it."""
        if not cls.spec_file:
            return None
        return beside(
            next(each for each in cls.__mro__ if "spec_file" in vars(each)), cls.spec_file
        )

    async def probe(self) -> None:
        """Read the probe route.

        Without one nothing speaks against the system as a whole, so that an incident is about one
        operation, and its own rounds carry on.
        """
        if self._probe is not None:
            await self.http.call(self._probe)

    async def check(self) -> Check:
        """Prove the credential by the probe route; a subclass that can see more says more."""
        if self._probe is None:
            return Check(
                ok=True, identity=self.name, notes=("Nothing was asked: there is no probe.",)
            )
        try:
            await self.http.call(self._probe)
        except Forbidden as refused:
            missing = refused.missing or f"the right to {self._probe.operation}"
            return Check(ok=False, identity=self.name, missing=(missing,))
        return Check(ok=True, identity=self.name)

    def keyed(self) -> dict[str, str]:
        """Give the header that makes this act harmless to repeat, the same in every attempt."""
        attempting = ATTEMPT.get()
        if attempting is None or not self.key_header:
            return {}
        return {self.key_header: attempting.info.idempotency_key}

    @staticmethod
    def judged(answer: Answer) -> StepError | None:
        """Class an answer by its status; a subclass looks at the system's own codes first."""
        return judged_by_status(answer)


def _in_document(owner: type[HttpApi]) -> None:
    """Refuse a class whose document cannot be read, or has not all of its routes."""
    file = owner.specification()
    if file is None:
        return
    try:
        missing = ", ".join(absent(opened(file), owner.routes))
    except InvalidInput as unreadable:
        raise DefinitionError(
            f"The document of {owner.__name__} cannot be read: "
            f"{'; '.join(unreadable.fields.values())}.",
            fix="put the vendor's document there, OpenAPI 3 in JSON, or name no `spec_file`.",
            code="F709",
        ) from None
    if missing:
        raise DefinitionError(
            f"{file.name} has no {missing}, which {owner.__name__} names among its routes.",
            fix="write operation, method and path in `routes` as the document does.",
            code="F709",
        )


def _findings(
    owner: type[HttpApi],
    facts: Declared,
    step: Step[..., Any],  # Any: each has its own signature
) -> list[tuple[str, str]]:
    """Say what an operation of a subclass lacks, with the remedy."""
    known = {route.operation: route for route in owner.routes}
    found: list[tuple[str, str]] = []
    if absent := sorted({*facts.spec, *facts.reads} - known.keys()):
        found.append((f"it calls {', '.join(absent)}, which is no route", "add it to `routes`"))
        return found
    if changing := sorted(name for name in facts.reads if known[name].is_mutating):
        found.append(
            (f"it reads by {', '.join(changing)}, which can change the system", "move it to `spec`")
        )
    adds = any(known[name].method == "POST" and not known[name].reads for name in facts.spec)
    is_told = facts.idempotency == "append" and step.options.in_doubt == "ask"
    is_safe = facts.idempotency in {"key_header", "client_id"}
    if adds and not facts.reads and not is_safe and not is_told:
        found.append(
            (
                "it sends a POST, and nothing can tell whether a lost one arrived",
                '`reads=` with a look-up, or `idempotency="append", unclear="ask"`',
            )
        )
    if facts.idempotency == "key_header" and not owner.key_header:
        found.append(("it relies on a header without naming it", "`key_header` of the class"))
    return found
