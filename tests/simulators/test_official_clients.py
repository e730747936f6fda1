"""The vendors' own clients speak with the simulators of Google and Slack, over real sockets.

They were not written by us: what they understand, our connector and our simulator have not merely
agreed on between themselves.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import google_auth_httplib2  # type: ignore[import-untyped]  # comes without types
import httplib2  # type: ignore[import-untyped]  # comes without types
import pytest
from google.oauth2.service_account import Credentials
from googleapiclient.discovery import build_from_document  # type: ignore[import-untyped]  # no types
from googleapiclient.errors import HttpError  # type: ignore[import-untyped]  # comes without types
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.scim.v1.client import SCIMClient

from newel.simulators import GoogleSimulator, SlackSimulator, Throttle
from newel.simulators.google_world import DELEGATED
from newel.simulators.server import serve
from newel.simulators.slack_world import GENERAL
from tests.simulators.contract import HERE

ENGINEERING = "C0ACME00002"
JANE = "jane.doe@acme.example"


class Vendor:
    """Google's libraries, built from the discovery documents and signed in by a service account."""

    def __init__(self, simulator: GoogleSimulator, address: str) -> None:
        info = json.loads(simulator.credentials(address)["GOOGLE_SERVICE_ACCOUNT"])
        admin = simulator.credentials()["GOOGLE_ADMIN"]
        signed = Credentials.from_service_account_info(info, scopes=list(DELEGATED), subject=admin)
        self.http = google_auth_httplib2.AuthorizedHttp(signed, http=httplib2.Http())
        self.directory, self.transfers, self.licences = (
            build_from_document(
                (HERE / f"google-{name}.discovery.json").read_text(encoding="utf-8"),
                http=self.http,
                client_options={"api_endpoint": address},
            )
            for name in ("directory", "datatransfer", "licensing")
        )


@pytest.fixture
async def google() -> AsyncIterator[tuple[Vendor, GoogleSimulator]]:
    """Serve Google, with one account and one group, to Google's own libraries."""
    simulator = GoogleSimulator(page_size=2)
    simulator.add_group("staff@acme.example")
    async with serve([simulator]) as addresses:
        vendor = await asyncio.to_thread(Vendor, simulator, addresses["google"])
        await asyncio.to_thread(_insert, vendor)
        yield vendor, simulator
        vendor.http.close()


def _insert(vendor: Vendor) -> Any:
    body = {
        "primaryEmail": JANE,
        "password": "correct horse battery",
        "name": {"givenName": "Jane", "familyName": "Doe"},
        "externalIds": [{"type": "organization", "value": "4711"}],
    }
    return vendor.directory.users().insert(body=body).execute()


def refused(call: Callable[[], object]) -> tuple[int, str]:
    """Give status and reason with which Google's library raises."""
    with pytest.raises(HttpError) as caught:
        call()
    return caught.value.status_code, caught.value.error_details[0]["reason"]


async def test_googles_library_keeps_accounts(google: tuple[Vendor, GoogleSimulator]):
    """It signs in, reads, is refused a double, lists over pages, suspends, deletes, undeletes."""
    vendor, simulator = google
    users = vendor.directory.users()

    def story() -> list[object]:
        jane = users.get(userKey=JANE).execute()
        double = refused(lambda: _insert(vendor))
        simulator.create_by_hand("joe@acme.example")
        request, found = users.list(customer="my_customer"), []
        while request is not None:
            page = request.execute()
            found += [user["primaryEmail"] for user in page["users"]]
            request = users.list_next(request, page)
        users.update(userKey=JANE, body={"suspended": True}).execute()
        users.signOut(userKey=JANE).execute()
        suspended = users.get(userKey=JANE).execute()["suspended"]
        users.delete(userKey=JANE).execute()
        absent = refused(lambda: users.get(userKey=JANE).execute())
        users.undelete(userKey=jane["id"], body={"orgUnitPath": "/"}).execute()
        back = users.get(userKey=jane["id"]).execute()["primaryEmail"]
        return [double, found, suspended, absent, back]

    assert await asyncio.to_thread(story) == [
        (409, "duplicate"),
        ["admin@acme.example", JANE, "joe@acme.example"],
        True,
        (404, "notFound"),
        JANE,
    ]


async def test_googles_library_keeps_groups_and_ways_in(google: tuple[Vendor, GoogleSimulator]):
    """It adds a member once, lists groups of a user, ends tokens and codes, leaves the group."""
    vendor, simulator = google
    members, staff = vendor.directory.members(), "staff@acme.example"
    simulator.authorize_app(JANE, "Notes")
    simulator.make_app_password(JANE, "Telephone")
    simulator.make_backup_codes(JANE)

    def story() -> list[object]:
        identity = vendor.directory.users().get(userKey=JANE).execute()["id"]
        add = members.insert(groupKey=staff, body={"id": identity, "role": "MEMBER"})
        add.execute()
        double = refused(add.execute)
        groups = vendor.directory.groups().list(userKey=identity).execute()["groups"]
        for app in vendor.directory.tokens().list(userKey=JANE).execute()["items"]:
            vendor.directory.tokens().delete(userKey=JANE, clientId=app["clientId"]).execute()
        for code in vendor.directory.asps().list(userKey=JANE).execute()["items"]:
            vendor.directory.asps().delete(userKey=JANE, codeId=code["codeId"]).execute()
        vendor.directory.verificationCodes().invalidate(userKey=JANE).execute()
        members.delete(groupKey=staff, memberKey=identity).execute()
        gone = refused(members.get(groupKey=staff, memberKey=identity).execute)
        return [double, [group["email"] for group in groups], gone]

    assert await asyncio.to_thread(story) == [(409, "duplicate"), [staff], (404, "notFound")]
    assert simulator.ways_in(JANE) == set()


async def test_googles_library_hands_over_files_and_licences(
    google: tuple[Vendor, GoogleSimulator],
):
    """It transfers files by ids, sees them arrive, and gives a licence once and takes it back."""
    vendor, simulator = google
    old = simulator.accounts()[-1]["id"]
    new = simulator.create_by_hand("boss@acme.example")
    licences = vendor.licences.licenseAssignments()
    place = {"productId": "Google-Apps", "skuId": "1010020020"}

    def story() -> list[object]:
        listed = vendor.transfers.applications().list().execute()["applications"]
        body = {
            "oldOwnerUserId": old,
            "newOwnerUserId": new,
            "applicationDataTransfers": [{"applicationId": each["id"]} for each in listed],
        }
        transfers = vendor.transfers.transfers()
        begun = transfers.insert(body=body).execute()
        simulator.finish_transfer()
        ended = transfers.get(dataTransferId=begun["id"]).execute()
        give = licences.insert(**place, body={"userId": JANE})
        give.execute()
        double = refused(give.execute)
        shown = licences.get(**place, userId=JANE).execute()["userId"]
        licences.delete(**place, userId=JANE).execute()
        gone = refused(licences.get(**place, userId=JANE).execute)
        states = [each["overallTransferStatusCode"] for each in (begun, ended)]
        return [states, double, shown, gone]

    assert await asyncio.to_thread(story) == [
        ["inProgress", "completed"],
        (412, "conditionNotMet"),
        JANE,
        (404, "notFound"),
    ]


@pytest.fixture
async def slack() -> AsyncIterator[tuple[WebClient, SCIMClient, SlackSimulator]]:
    """Serve Slack's Enterprise to Slack's own clients of the Web API and of SCIM."""
    simulator = SlackSimulator(plan="enterprise", page_size=2)
    token = simulator.credentials()["SLACK_TOKEN"]
    async with serve([simulator]) as addresses:
        address = addresses["slack"]
        web = WebClient(token=token, base_url=f"{address}/api/")
        yield web, SCIMClient(token, base_url=f"{address}/scim/v2/"), simulator


def error_of(call: Callable[..., object], **arguments: Any) -> str:
    """Give the error with which Slack's client raises."""
    with pytest.raises(SlackApiError) as caught:
        call(**arguments)
    return str(caught.value.response["error"])


async def test_slacks_client_talks_and_reads(slack: tuple[WebClient, SCIMClient, SlackSimulator]):
    """It posts with metadata, finds it in the history over pages, and is told to wait."""
    web, _, simulator = slack
    metadata = {"event_type": "newel", "event_payload": {"op_key": "k"}}

    def story() -> list[object]:
        said = web.chat_postMessage(channel=GENERAL, text="Welcome!", metadata=metadata)
        for number in range(3):
            web.chat_postMessage(channel=GENERAL, text=str(number))
        found = [
            message["ts"]
            for page in web.conversations_history(channel=GENERAL, include_all_metadata=True)
            for message in page["messages"]
            if message.get("metadata") == metadata
        ]
        simulator.fail("chat.postMessage", Throttle(30), times=1)
        with pytest.raises(SlackApiError) as limited:
            web.chat_postMessage(channel=GENERAL, text="again")
        wait = limited.value.response
        nobody = error_of(web.users_lookupByEmail, email="nobody@acme.example")
        return [found == [said["ts"]], wait.status_code, wait.headers["Retry-After"], nobody]

    assert await asyncio.to_thread(story) == [True, 429, "30", "users_not_found"]


async def test_slacks_client_invites_and_removes(
    slack: tuple[WebClient, SCIMClient, SlackSimulator],
):
    """It invites a person once, puts them into a channel and out, ends sessions, removes them."""
    web, _, simulator = slack
    team = simulator.credentials()["SLACK_TEAM"]
    invitation: dict[str, Any] = {"team_id": team, "email": JANE, "channel_ids": GENERAL}

    def story() -> list[object]:
        web.admin_users_invite(**invitation)
        double = error_of(web.admin_users_invite, **invitation)
        simulator.accept_in_slack(JANE)
        identity = web.users_lookupByEmail(email=JANE)["user"]["id"]
        web.conversations_invite(channel=ENGINEERING, users=[identity])
        again = error_of(web.conversations_invite, channel=ENGINEERING, users=identity)
        pages = list(web.conversations_members(channel=GENERAL))
        web.conversations_kick(channel=ENGINEERING, user=identity)
        web.admin_users_session_reset(user_id=identity)
        web.admin_users_remove(team_id=team, user_id=identity)
        gone = error_of(web.users_lookupByEmail, email=JANE)
        present = [user for page in pages for user in page["members"]]
        return [double, again, identity in present, gone]

    assert await asyncio.to_thread(story) == [
        "already_in_team_invited_user",
        "already_in_channel",
        True,
        "users_not_found",
    ]


async def test_slacks_scim_client_keeps_accounts(
    slack: tuple[WebClient, SCIMClient, SlackSimulator],
):
    """It creates a user once, finds them by their mark, and deletes by deactivating."""
    _, scim, simulator = slack
    user = {
        "userName": "jane.doe",
        "name": {"givenName": "Jane", "familyName": "Doe"},
        "emails": [{"value": JANE, "primary": True}],
        "externalId": "4711",
    }

    def story() -> list[object]:
        created = scim.create_user(user)
        double = scim.create_user(user).status_code
        found = scim.search_users(count=10, start_index=1, filter='externalId eq "4711"')
        identity = str(created.user.id)
        shown = scim.read_user(identity).user
        scim.delete_user(identity)
        locked = scim.read_user(identity).user
        return [created.status_code, double, len(found.users), shown.active, locked.active]

    assert await asyncio.to_thread(story) == [201, 409, 1, True, False]
    simulator.assert_exactly_once(f"account/{JANE}")
