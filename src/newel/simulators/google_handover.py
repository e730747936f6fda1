"""What is handed on when somebody goes: the files of an account, and its licences.

A transfer runs for a while and is over when the world says so (`finish_transfer`,
`fail_transfer`). A user has at most one licence of each product; how many there are to give is the
simulator's number of licences.
"""

from __future__ import annotations

from .clock import milliseconds
from .faults import Licences
from .google_refusals import GoogleRefusals
from .google_world import CUSTOMER, SCOPE, etag_of
from .system import Panel, action
from .wire import Answer, Asked, Document, Refused, route

TRANSFERS = "/admin/datatransfer/v1/transfers"
APPLICATIONS = "/admin/datatransfer/v1/applications"
PRODUCT = "/apps/licensing/v1/product/{product}"
SKU = PRODUCT + "/sku/{sku}/user"
TRANSFER_SCOPE = SCOPE + "admin.datatransfer"
READ_TRANSFERS = f"{TRANSFER_SCOPE}|{TRANSFER_SCOPE}.readonly"
LICENCE_SCOPE = SCOPE + "apps.licensing"
DRIVE, CALENDAR = "55656082996", "435070579839"
NAMES = {DRIVE: "Drive and Docs", CALENDAR: "Calendar"}
# The products that can be licensed here, and the kinds of each.
SKUS = {
    "Google-Apps": {"1010020020": "Google Workspace Enterprise Plus"},
    "101034": {"1010340001": "Google Workspace Enterprise Plus, archived user"},
    "101031": {"1010310008": "Google Workspace for Education Plus"},
}


class GoogleHandover(GoogleRefusals):
    """The routes of data transfers and licences."""

    # What time and people do ---------------------------------------------------------------------

    @action
    def finish_transfer(self, identity: str = "") -> None:
        """Let one transfer, or all that run, come to their end."""
        self._end_transfers(identity, "completed")

    @action
    def fail_transfer(self, identity: str = "") -> None:
        """Let one transfer, or all that run, fail."""
        self._end_transfers(identity, "failed")

    def _end_transfers(self, identity: str, status: str) -> None:
        for key, row in self.store.rows("transfers").items():
            if identity in ("", key) and row["overallTransferStatusCode"] == "inProgress":
                parts = [
                    {**each, "applicationTransferStatus": status}
                    for each in row["applicationDataTransfers"]
                ]
                ended = {"overallTransferStatusCode": status, "applicationDataTransfers": parts}
                self.store.put("transfers", key, {**row, **ended})

    # Transfers -----------------------------------------------------------------------------------

    @route("GET", APPLICATIONS, operation="datatransfer.applications.list", needs=(READ_TRANSFERS,))
    def applications(self, asked: Asked) -> Answer:
        """List the applications whose data can be transferred."""
        self.as_admin(asked)
        rows = [
            {
                "kind": "admin#datatransfer#ApplicationResource",
                "etag": etag_of(identity),
                "id": identity,
                "name": name,
            }
            for identity, name in NAMES.items()
        ]
        kind = "admin#datatransfer#applicationsList"
        return self.listing(asked, kind, "applications", rows, largest=500)

    @route("GET", TRANSFERS, operation="datatransfer.transfers.list", needs=(READ_TRANSFERS,))
    def transfers(self, asked: Asked) -> Answer:
        """List transfers, all or those from and to somebody."""
        self.as_admin(asked)
        wanted = {
            "oldOwnerUserId": asked.query.get("oldOwnerUserId"),
            "newOwnerUserId": asked.query.get("newOwnerUserId"),
            "overallTransferStatusCode": asked.query.get("status"),
        }
        rows = self.store.rows(
            "transfers", lambda row: all(not v or row[n] == v for n, v in wanted.items())
        )
        kind = "admin#datatransfer#dataTransfersList"
        return self.listing(asked, kind, "dataTransfers", list(rows.values()), largest=500)

    @route(
        "GET", TRANSFERS + "/{id}", operation="datatransfer.transfers.get", needs=(READ_TRANSFERS,)
    )
    def transfer(self, asked: Asked) -> Answer:
        """Show how far a transfer is."""
        self.as_admin(asked)
        found = self.store.find("transfers", asked.params["id"])
        if found is None:
            raise self.absent("dataTransferId")
        return Answer(200, found)

    @route("POST", TRANSFERS, operation="datatransfer.transfers.insert", needs=(TRANSFER_SCOPE,))
    def insert_transfer(self, asked: Asked) -> Answer:
        """Begin a transfer from one user to another; both are named by id, not by address."""
        self.as_admin(asked)
        wanted = asked.json()
        self.known_fields(
            wanted, {"oldOwnerUserId", "newOwnerUserId", "applicationDataTransfers", "kind"}
        )
        old, new = str(wanted.get("oldOwnerUserId")), str(wanted.get("newOwnerUserId"))
        asked.concerns(f"transfer/{old}/{new}")
        parts = wanted.get("applicationDataTransfers") or []
        if not parts or any(str(each.get("applicationId")) not in NAMES for each in parts):
            raise self.wrong("Invalid Input: applicationDataTransfers")
        if old == new or any(self.store.find("users", each) is None for each in (old, new)):
            raise self.wrong("Invalid Input: oldOwnerUserId or newOwnerUserId")
        row: Document = {
            "kind": "admin#datatransfer#DataTransfer",
            "id": self.store.opaque("transfer", 24),
            "oldOwnerUserId": old,
            "newOwnerUserId": new,
            "applicationDataTransfers": [
                {
                    "applicationId": str(each["applicationId"]),
                    "applicationTransferParams": each.get("applicationTransferParams") or [],
                    "applicationTransferStatus": "pending",
                }
                for each in parts
            ],
            "overallTransferStatusCode": "inProgress",
            "requestTime": milliseconds(self.clock.now()),
        }
        row = {"etag": etag_of(row), **row}
        return Answer(200, self.store.put("transfers", row["id"], row))

    # Licences ------------------------------------------------------------------------------------

    @route(
        "GET",
        PRODUCT + "/users",
        operation="licensing.licenseAssignments.listForProduct",
        needs=(LICENCE_SCOPE,),
    )
    def licences(self, asked: Asked) -> Answer:
        """List who has a licence of a product."""
        self.as_admin(asked)
        product = asked.params["product"]
        if not asked.query.get("customerId") or product not in SKUS:
            raise self.wrong("Invalid Value")
        rows = self.store.rows("licences", lambda row: row["productId"] == product)
        views = [self._licence_view(asked, row) for row in rows.values()]
        kind = "licensing#licenseAssignmentList"
        return self.listing(asked, kind, "items", views, largest=1000)

    @route(
        "GET",
        SKU + "/{user}",
        operation="licensing.licenseAssignments.get",
        needs=(LICENCE_SCOPE,),
    )
    def licence(self, asked: Asked) -> Answer:
        """Show the licence of a user."""
        row = self._licence(asked, asked.params["user"])
        if row is None:
            text = "User does not have a license assignment for the specified product and SKU."
            raise Refused(self.problem(404, "notFound", text))
        return Answer(200, self._licence_view(asked, row))

    @route("POST", SKU, operation="licensing.licenseAssignments.insert", needs=(LICENCE_SCOPE,))
    def assign_licence(self, asked: Asked) -> Answer:
        """Give a user a licence, if they have none of the product and one is free."""
        wanted = asked.json()
        self.known_fields(wanted, {"userId"})
        key = str(wanted.get("userId") or "")
        row = self._licence(asked, key)
        asked.concerns(f"licence/{asked.params['sku']}/{key}")
        user = self.find_user(key)
        if user is None:
            raise self.absent("userId")
        product, sku = asked.params["product"], asked.params["sku"]
        other = self.store.find("licences", f"{product}/{user['id']}")
        if row is not None or other is not None:
            text = "User already has a license for the specified product and SKU."
            raise Refused(self.problem(412, "conditionNotMet", text))
        used = self.store.count("licences", lambda each: each["productId"] == product)
        if not self.take_seat(used=used, seats=self.seats, bought=(Licences,)):
            text = "There aren't enough available licenses for the specified product-SKU pair."
            raise Refused(self.problem(412, "conditionNotMet", text))
        new: Document = {"productId": product, "skuId": sku, "user": user["id"]}
        self.store.put("licences", f"{product}/{user['id']}", new)
        return Answer(200, self._licence_view(asked, new))

    @route(
        "DELETE",
        SKU + "/{user}",
        operation="licensing.licenseAssignments.delete",
        needs=(LICENCE_SCOPE,),
    )
    def remove_licence(self, asked: Asked) -> Answer:
        """Take a licence back."""
        row = self._licence(asked, asked.params["user"])
        asked.concerns(f"licence/{asked.params['sku']}/{asked.params['user']}")
        if row is None:
            text = "User does not have a license assignment for the specified product and SKU."
            raise Refused(self.problem(404, "notFound", text))
        self.store.remove("licences", f"{row['productId']}/{row['user']}")
        return Answer(200, {})

    def panels(self) -> list[Panel]:
        """Show licences and transfers, beside the rest."""
        users = self.store.rows("users")

        def address(identity: str) -> str:
            return str(users[identity]["primaryEmail"]) if identity in users else identity

        licences = [
            (address(row["user"]), row["productId"], row["skuId"])
            for row in reversed(self.store.rows("licences").values())
        ]
        transfers = [
            (
                address(row["oldOwnerUserId"]),
                address(row["newOwnerUserId"]),
                row["overallTransferStatusCode"],
            )
            for row in reversed(self.store.rows("transfers").values())
        ]
        return [
            *super().panels(),
            Panel(title="Licences", columns=("User", "Product", "Kind"), rows=licences),
            Panel(title="Transfers of files", columns=("From", "To", "State"), rows=transfers),
        ]

    def licences_of(self, email: str) -> list[str]:
        """List the kinds of licences that somebody has."""
        user = self.find_user(email)
        rows = self.store.rows(
            "licences", lambda row: user is not None and row["user"] == user["id"]
        )
        return sorted(row["skuId"] for row in rows.values())

    def _licence(self, asked: Asked, key: str) -> Document | None:
        self.as_admin(asked)
        product, sku = asked.params["product"], asked.params["sku"]
        if sku not in SKUS.get(product, {}):
            raise self.wrong("Invalid Value")
        user = self.find_user(key)
        row = self.store.find("licences", f"{product}/{user['id']}") if user else None
        return row if row is not None and row["skuId"] == sku else None

    def _licence_view(self, asked: Asked, row: Document) -> Document:
        product, sku = row["productId"], row["skuId"]
        user = self.store.find("users", row["user"])
        path = SKU.format(product=product, sku=sku)
        email = user["primaryEmail"] if user else ""
        return {
            "kind": "licensing#licenseAssignment",
            "etags": etag_of(row),
            "productId": product,
            "productName": "Google Workspace",
            "skuId": sku,
            "skuName": SKUS[product][sku],
            "userId": email,
            "selfLink": f"{asked.base_url}{path}/{email}",
        }

    @property
    def customer(self) -> str:
        """The customer's own id."""
        return CUSTOMER
