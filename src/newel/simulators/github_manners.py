"""How GitHub is asked and how it refuses: credentials, envelopes, limits, pages."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import ClassVar

from .faults import Throttle
from .github_world import GitHubWorld
from .wire import Answer, Asked, Credential, Document, Refused, Route

DOCUMENTATION = "https://docs.github.com/rest"


class GitHubManners(GitHubWorld):
    """What all routes of GitHub share."""

    # GitHub's primary limit counts requests per credential and hour.
    hourly_limit: ClassVar[int] = 5000

    # How GitHub refuses ------------------------------------------------------------------------

    def authenticated(self, asked: Asked) -> Credential:
        """Find the bearer token; anything else is bad credentials."""
        if not asked.headers.get("user-agent"):
            text = "Request forbidden by administrative rules. Please add a User-Agent header."
            raise Refused(Answer(403, text, media_type="text/plain"))
        kind, _, secret = asked.headers.get("authorization", "").partition(" ")
        if not kind:
            raise Refused(self.message(401, "Requires authentication"))
        found = self.known_credential(secret) if kind.lower() in ("bearer", "token") else None
        if found is None:
            raise Refused(self.error("401", asked=asked))
        return found

    def scope_refusal(self, asked: Asked, route: Route, missing: Sequence[str]) -> Answer:
        """Refuse with 403 and the header that names the permission."""
        del asked, route
        accepted = ", ".join(need.split("|")[0].replace(":", "=") for need in missing)
        text = "Resource not accessible by personal access token"
        return self.message(403, text).with_headers({"X-Accepted-GitHub-Permissions": accepted})

    def error(self, code: str, *, asked: Asked) -> Answer:
        """Give GitHub's envelope for a status."""
        del asked
        texts = {
            "400": "Problems parsing JSON",
            "401": "Bad credentials",
            "403": "Resource not accessible by personal access token",
            "404": "Not Found",
            "422": "Validation Failed",
            "500": "Server Error",
            "502": "Server Error",
            "503": "Service unavailable",
        }
        status = int(code) if code.isdigit() else 422
        return self.message(status, texts.get(code, code))

    def message(self, status: int, text: str, **more: object) -> Answer:
        """Give GitHub's envelope with these words."""
        body = {"message": text, **more, "documentation_url": DOCUMENTATION, "status": str(status)}
        return Answer(status, body)

    def throttled(self, effect: Throttle, *, asked: Asked) -> Answer:
        """Refuse as limited; styles: "" secondary limit 403, "429", "primary" (403, none left)."""
        del asked
        if effect.style == "primary":
            reset = int(self.clock.now().timestamp()) + (effect.retry_after or 3600)
            headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(reset)}
            return self.message(403, "API rate limit exceeded for user ID 1.").with_headers(headers)
        text = "You have exceeded a secondary rate limit. Please wait a few minutes."
        wait = {} if effect.retry_after is None else {"retry-after": str(effect.retry_after)}
        return self.message(429 if effect.style == "429" else 403, text).with_headers(wait)

    def finished(self, asked: Asked, answer: Answer, *, sequence: int) -> Answer:
        """Add request id and the state of the primary limit."""
        hour = self.clock.now().replace(minute=0, second=0, microsecond=0)
        used = self._used(asked.credential.label, hour)
        return answer.with_headers(
            {
                "X-GitHub-Request-Id": f"{self.seed:04X}:{sequence:06X}",
                "X-GitHub-Media-Type": "github.v3; format=json",
                "X-GitHub-Api-Version-Selected": "2022-11-28",
                "x-ratelimit-limit": str(self.hourly_limit),
                "x-ratelimit-used": str(used),
                # Without the quota effect the limit is shown but not enforced: one is always left.
                "x-ratelimit-remaining": str(max(1, self.hourly_limit - used)),
                "x-ratelimit-reset": str(int((hour + timedelta(hours=1)).timestamp())),
                "x-ratelimit-resource": "core",
            }
        )

    def _used(self, label: str, hour: datetime) -> int:
        """Count this credential's calls since the hour began, the present one included."""
        if self._counted.get(label, (hour, 0))[0] != hour:
            self._counted.pop(label)
        count = self._counted.get(label, (hour, 0))[1] + 1
        self._counted[label] = (hour, count)
        return count

    def invalid(
        self,
        name: str,
        code: str,
        text: str | None = None,
        *,
        resource: str = "OrganizationInvitation",
    ) -> Answer:
        """Say which field of what is wrong, in GitHub's envelope."""
        problem = {"resource": resource, "field": name, "code": code}
        if text:
            problem["message"] = text
        return self.message(422, "Validation Failed", errors=[problem])

    # Reading a request -------------------------------------------------------------------------

    def the_org(self, asked: Asked) -> Document:
        """Find the organization of the path."""
        found = self.store.find("orgs", asked.params["org"].lower())
        if found is None:
            raise Refused(self.error("404", asked=asked))
        return found

    def the_team(self, asked: Asked) -> Document:
        """Find the team of the path."""
        org = self.the_org(asked)
        wanted = asked.params["slug"]
        found = self.store.first("teams", lambda row: wanted in (row["slug"], str(row["id"])))
        if found is None or found["org"] != org["login"]:
            raise Refused(self.error("404", asked=asked))
        return found

    def the_repository(self, asked: Asked) -> Document:
        """Find the repository of the path."""
        name = f"{asked.params['owner']}/{asked.params['repo']}".lower()
        found = self.store.find("repositories", name)
        if found is None:
            raise Refused(self.error("404", asked=asked))
        return found

    def the_login(self, asked: Asked) -> str:
        """Give the login of the path, if GitHub could have such a user."""
        login = asked.params["username"]
        if not self.exists(login):
            raise Refused(self.error("404", asked=asked))
        return login

    def listed(self, asked: Asked, rows: list[Document]) -> Answer:
        """Give one page of a listing, with the links GitHub puts into a header."""
        size = self.page(_number(asked.query.get("per_page"), 30), largest=100)
        number = max(1, _number(asked.query.get("page"), 1))
        last = max(1, -(-len(rows) // size))
        links = []
        for name, target in (("prev", number - 1), ("next", number + 1), ("last", last)):
            if 1 <= target <= last and target != number:
                url = f"{asked.base_url}{asked.path}?per_page={size}&page={target}"
                links.append(f'<{url}>; rel="{name}"')
        headers = {"Link": ", ".join(links)} if links else {}
        return Answer(200, rows[(number - 1) * size : number * size], headers)


def _number(text: str | None, default: int) -> int:
    return int(text) if text and text.isdigit() else default
