"""How GitHub is signed in to as an App: a signed statement is exchanged for an hour's token.

The answer to the exchange lists the permissions that were granted, so an App, other than a
personal token, can be checked without changing anything.
Source: connectors document, §14; https://docs.github.com/apps (API version 2022-11-28).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from newel.base.errors import AuthFailed
from newel.base.secrets import SecretRef
from newel.connectors.auth import Assertion, FetchedCredential, Token, clock_hints, revealed
from newel.connectors.contract import Shape
from newel.connectors.github_contract import APP_TOKEN

if TYPE_CHECKING:
    from newel.connectors.http import Http

__all__ = ["AppCredential", "GitHubApp"]

# GitHub takes no statement that lasts longer than ten minutes, nor one from its future.
_LASTS: Final = timedelta(minutes=9)
_SKEW: Final = timedelta(seconds=60)
_REFUSED: Final = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, 422)


@dataclass(frozen=True, kw_only=True)
class GitHubApp:
    """An App as it is installed in the organization.

    app_id: number or client id of the App. installation: number of its installation.
    key: its private key in PEM form. permissions: what is asked for; empty for all it has.
    """

    app_id: str
    installation: int
    key: SecretRef
    permissions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Granted:
    token: str
    expires_at: str
    permissions: dict[str, str] = field(default_factory=dict)


_GRANTED: Final = Shape(_Granted)


class AppCredential(FetchedCredential):
    """The token of an installation; `permissions` are those of the token fetched last."""

    def __init__(self, app: GitHubApp) -> None:
        super().__init__(self._exchanged)
        self._app = app
        self._assertion = Assertion()
        self.permissions: Mapping[str, str] = {}

    async def _exchanged(self, http: Http) -> Token:
        """Ask for a token; raises AuthFailed with what to look at."""
        now = http.now()
        claims = {
            "iss": self._app.app_id,
            "iat": int((now - _SKEW).timestamp()),
            "exp": int((now + _LASTS).timestamp()),
        }
        signed = self._assertion.signed(claims, await revealed(self._app.key))
        answer = await http.call(
            APP_TOKEN,
            {"installation_id": self._app.installation},
            body={"permissions": dict(self._app.permissions)} if self._app.permissions else {},
            headers={"Authorization": f"Bearer {signed}"},
            expect=_REFUSED,
            is_signed=False,
        )
        if answer.status in _REFUSED:
            told = " ".join((_advice(answer.status), *clock_hints(answer, now)))
            raise AuthFailed(told, status=answer.status, operation=APP_TOKEN.operation)
        granted = _GRANTED.read(answer)
        self.permissions = granted.permissions
        return Token(granted.token, datetime.fromisoformat(granted.expires_at))


def _advice(status: int) -> str:
    match status:
        case HTTPStatus.UNAUTHORIZED:
            why = "it does not accept the App's signature: compare App id, key and clock."
        case HTTPStatus.NOT_FOUND:
            why = "this App has no such installation in the organization."
        case HTTPStatus.FORBIDDEN:
            why = "the installation is suspended."
        case _:
            why = "the installation was not granted a permission that is asked for."
    return f"GitHub gives no token: {why}"
