"""What lets somebody in beside the password: sessions, tokens of apps, app passwords, backup codes.

People get them by what they do (`authorize_app`, `make_app_password`, `make_backup_codes`,
`log_in`); callers list and end them.
"""

from __future__ import annotations

from .clock import milliseconds
from .google_refusals import GoogleRefusals
from .google_world import SCOPE, etag_of
from .system import action
from .wire import Answer, Asked, Document, route

ONE = "/admin/directory/v1/users/{key}"
SECURITY = SCOPE + "admin.directory.user.security"


class GoogleSecurity(GoogleRefusals):
    """The routes that end sessions and access of apps."""

    # What people do ------------------------------------------------------------------------------

    @action
    def log_in(self, email: str) -> None:
        """Let a person log in: a session begins, and the password is theirs from now on."""
        user = self._named(email)
        now = milliseconds(self.clock.now())
        changed = {**user, "lastLoginTime": now, "changePasswordAtNextLogin": False}
        self.store.put("users", user["id"], changed)
        self.store.put("sessions", user["id"], {"user": user["id"], "since": now})

    @action
    def authorize_app(self, email: str, app: str) -> Document:
        """Let a person give an app access to their account."""
        user = self._named(email)
        row: Document = {
            "user": user["id"],
            "clientId": f"{self.store.opaque('app', 12)}.apps.googleusercontent.com",
            "displayText": app,
        }
        return self.store.put("app_tokens", f"{user['id']}/{row['clientId']}", row)

    @action
    def make_app_password(self, email: str, name: str) -> Document:
        """Let a person make a password for an app that knows no other way."""
        user = self._named(email)
        row: Document = {
            "user": user["id"],
            "codeId": self.store.number("app password"),
            "name": name,
            "creationTime": str(int(self.clock.now().timestamp() * 1000)),
        }
        return self.store.put("app_passwords", f"{user['id']}/{row['codeId']}", row)

    @action
    def make_backup_codes(self, email: str) -> None:
        """Let a person print codes for the day the telephone is lost."""
        user = self._named(email)
        codes = [self.store.opaque("backup code", 8) for _ in range(3)]
        self.store.put("backup_codes", user["id"], {"user": user["id"], "codes": codes})

    def ways_in(self, email: str) -> set[str]:
        """Name what still lets somebody in: session, app, app password, backup code."""
        identity = self._named(email)["id"]
        tables = {
            "session": "sessions",
            "app": "app_tokens",
            "app password": "app_passwords",
            "backup code": "backup_codes",
        }
        return {
            name
            for name, table in tables.items()
            if self.store.count(table, lambda row: row["user"] == identity)
        }

    # Routes --------------------------------------------------------------------------------------

    @route("POST", ONE + "/signOut", operation="directory.users.signOut", needs=(SECURITY,))
    def sign_out(self, asked: Asked) -> Answer:
        """End all sessions of a user."""
        user = self.user_of(asked)
        asked.concerns(f"sessions/{user['primaryEmail']}")
        self.store.remove("sessions", user["id"])
        return Answer(204)

    @route("GET", ONE + "/tokens", operation="directory.tokens.list", needs=(SECURITY,))
    def tokens(self, asked: Asked) -> Answer:
        """List the apps that have access to a user's account."""
        rows = self._of(asked, "app_tokens")
        items = [
            {
                "kind": "admin#directory#token",
                "etag": etag_of(row),
                "clientId": row["clientId"],
                "displayText": row["displayText"],
                "anonymous": False,
                "nativeApp": False,
                "userKey": row["user"],
                "scopes": [SCOPE + "drive"],
            }
            for row in rows
        ]
        return Answer(200, _listed("admin#directory#tokenList", items))

    @route(
        "DELETE",
        ONE + "/tokens/{client}",
        operation="directory.tokens.delete",
        needs=(SECURITY,),
    )
    def delete_token(self, asked: Asked) -> Answer:
        """End the access of one app."""
        return self._ended(asked, "app_tokens", asked.params["client"], "clientId")

    @route("GET", ONE + "/asps", operation="directory.asps.list", needs=(SECURITY,))
    def app_passwords(self, asked: Asked) -> Answer:
        """List the passwords a user has made for apps; never the passwords themselves."""
        items = [
            {
                "kind": "admin#directory#asp",
                "etag": etag_of(row),
                "codeId": row["codeId"],
                "name": row["name"],
                "creationTime": row["creationTime"],
                "lastTimeUsed": "0",
                "userKey": row["user"],
            }
            for row in self._of(asked, "app_passwords")
        ]
        return Answer(200, _listed("admin#directory#aspList", items))

    @route("DELETE", ONE + "/asps/{code}", operation="directory.asps.delete", needs=(SECURITY,))
    def delete_app_password(self, asked: Asked) -> Answer:
        """End one password of an app."""
        return self._ended(asked, "app_passwords", asked.params["code"], "codeId")

    @route(
        "POST",
        ONE + "/verificationCodes/invalidate",
        operation="directory.verificationCodes.invalidate",
        needs=(SECURITY,),
    )
    def invalidate_codes(self, asked: Asked) -> Answer:
        """Make all backup codes of a user worthless."""
        user = self.user_of(asked)
        asked.concerns(f"codes/{user['primaryEmail']}")
        self.store.remove("backup_codes", user["id"])
        return Answer(204)

    # State ---------------------------------------------------------------------------------------

    def _of(self, asked: Asked, table: str) -> list[Document]:
        user = self.user_of(asked)
        return list(self.store.rows(table, lambda row: row["user"] == user["id"]).values())

    def _ended(self, asked: Asked, table: str, key: str, what: str) -> Answer:
        user = self.user_of(asked)
        asked.concerns(f"{table}/{user['primaryEmail']}/{key}")
        if not self.store.remove(table, f"{user['id']}/{key}"):
            raise self.absent(what)
        return Answer(204)

    def _named(self, email: str) -> Document:
        user = self.find_user(email)
        if user is None:
            message = f"there is no user {email}"
            raise ValueError(message)
        return user


def _listed(kind: str, items: list[Document]) -> Document:
    body: Document = {"kind": kind, "etag": etag_of(items)}
    return {**body, "items": items} if items else body
