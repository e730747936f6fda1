"""What tests of simulators share: a standing world, and clients that are signed in."""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from newel.simulators import SYSTEMS, Simulator, World
from newel.simulators.google import GRANT
from newel.simulators.google_world import DELEGATED, TOKEN_URI, USER_SCOPE
from newel.simulators.gusto import VERSION
from newel.simulators.salesforce_world import LOGIN_HOSTS
from newel.simulators.signing import private_key
from newel.testing import SimulatorTransport
from tests.simulators import scim_judge

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
DOCUMENT = {
    "type": "doc",
    "version": 1,
    "content": [{"type": "paragraph", "content": [{"type": "text", "text": "GitHub is down."}]}],
}


def signed(claims: dict[str, Any], *, seed: int = 0, header: dict[str, str] | None = None) -> str:
    """Sign claims as an RS256 JWT with the key of a seed."""
    head = header or {"alg": "RS256", "typ": "JWT"}
    parts = [_encoded(json.dumps(each).encode()) for each in (head, claims)]
    text = ".".join(parts)
    signature = private_key(seed).sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{text}.{_encoded(signature)}"


def _encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def google_claims(**changes: Any) -> dict[str, Any]:
    """Give the claims of a good assertion for Google, with changes."""
    now = int(START.timestamp())
    claims = {
        "iss": "newel@acme-newel.iam.gserviceaccount.com",
        "sub": "admin@acme.example",
        "scope": USER_SCOPE,
        "aud": TOKEN_URI,
        "iat": now,
        "exp": now + 3600,
    }
    return {**claims, **changes}


def salesforce_claims(world: World, **changes: Any) -> dict[str, Any]:
    """Give the claims of a good assertion for Salesforce, with changes."""
    settings = world.salesforce.credentials()
    claims = {
        "iss": settings["SALESFORCE_CLIENT_ID"],
        "sub": settings["SALESFORCE_USERNAME"],
        "aud": LOGIN_HOSTS[0],
        "exp": int(START.timestamp()) + 180,
    }
    return {**claims, **changes}


async def exchanged(
    client: httpx2.AsyncClient, path: str, claims: dict[str, Any], *, seed: int = 0
) -> httpx2.Response:
    """Ask a token endpoint for an access token, with an assertion signed by a seed's key."""
    assertion = signed(claims, seed=seed)
    return await client.post(path, data={"grant_type": GRANT, "assertion": assertion})


def plain(simulator: Simulator, **options: Any) -> httpx2.AsyncClient:
    """Give an in-process client without credentials; answers of SCIM are held to the standard."""

    def observe(request: httpx2.Request, response: httpx2.Response) -> None:
        if scim_judge.is_scim(request) and not simulator.calls()[-1].fault:
            scim_judge.judge_answer(request, response)

    transport = SimulatorTransport(simulator, observer=observe)
    return httpx2.AsyncClient(transport=transport, base_url="https://vendor.example", **options)


async def headers_of(system: str, world: World) -> dict[str, str]:
    """Give the headers that sign a client in to a system."""
    settings = world.credentials()
    match system:
        case "github":
            return {"Authorization": f"Bearer {settings['GITHUB_TOKEN']}"}
        case "slack":
            return {"Authorization": f"Bearer {settings['SLACK_TOKEN']}"}
        case "jira":
            pair = f"{settings['JIRA_EMAIL']}:{settings['JIRA_TOKEN']}"
            return {"Authorization": "Basic " + b64encode(pair.encode()).decode()}
        case "gusto":
            token = f"Bearer {settings['GUSTO_TOKEN']}"
            return {"Authorization": token, "X-Gusto-API-Version": VERSION}
        case "google":
            path, claims = "/token", google_claims(scope=" ".join(DELEGATED))
        case _:
            path, claims = "/services/oauth2/token", salesforce_claims(world)
    async with plain(world.simulators[system]) as client:
        answer = await exchanged(client, path, claims, seed=world.seed)
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


@asynccontextmanager
async def signed_in(
    system: str, world: World, *, address: str | None = None
) -> AsyncIterator[httpx2.AsyncClient]:
    """Give a client of one system with good credentials: in process, or at an address."""
    assert system in SYSTEMS
    headers = await headers_of(system, world)
    if address:
        client = httpx2.AsyncClient(base_url=address, headers=headers)
    else:
        client = plain(world.simulators[system], headers=headers)
    async with client:
        yield client
