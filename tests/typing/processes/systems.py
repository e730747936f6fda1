"""The company's systems, with the operations that its processes need; what was called is kept."""

from __future__ import annotations

from dataclasses import dataclass, field

from newel import step
from tests.typing.processes.people import Account, Issue, NewHire


@dataclass(eq=False)
class System:
    """One system; called: what its operations were asked for, in order."""

    name: str
    called: list[str] = field(default_factory=list[str])

    def note(self, what: str) -> None:
        """Keep what was asked for."""
        self.called.append(what)


class Google(System):
    """Accounts and files."""

    @step(in_doubt="repeat")
    async def create_user(self, hire: NewHire) -> Account:
        """Create the account."""
        self.note("create_user")
        return Account(hire.email)

    @step(in_doubt="repeat")
    async def suspend(self, email: str) -> None:
        """Suspend the account."""
        self.note("suspend")

    @step(in_doubt="repeat")
    async def restore(self, email: str) -> None:
        """Restore the account."""
        self.note("restore")

    @step(in_doubt="repeat")
    async def transfer_files(self, email: str, *, to: str) -> None:
        """Give the files to somebody else."""
        self.note(f"transfer_files to {to}")


class Slack(System):
    """Messages."""

    @step(in_doubt="repeat")
    async def invite(self, account: Account) -> None:
        """Invite an account."""
        self.note("invite")

    @step(in_doubt="repeat")
    async def say(self, channel: str, text: str) -> None:
        """Say something."""
        self.note(text)


class GitHub(System):
    """Teams and repositories."""

    @step(in_doubt="repeat")
    async def add_to_team(self, account: Account, team: str) -> None:
        """Add an account to a team."""
        self.note(f"add_to_team {team}")

    @step(in_doubt="repeat")
    async def grant(self, account: Account, repository: str) -> None:
        """Grant access to a repository."""
        self.note(f"grant {repository}")

    @step(in_doubt="repeat")
    async def teams_of(self, email: str) -> tuple[str, ...]:
        """Tell the teams that somebody is in."""
        return ("core",)

    @step(in_doubt="repeat")
    async def join_teams(self, email: str, teams: tuple[str, ...]) -> None:
        """Put somebody into teams."""
        self.note("join_teams")

    @step(in_doubt="repeat")
    async def leave_teams(self, email: str) -> None:
        """Take somebody out of all teams."""
        self.note("leave_teams")


class Jira(System):
    """Issues."""

    @step(in_doubt="repeat")
    async def add_user(self, account: Account) -> None:
        """Add an account."""
        self.note("add_user")

    @step(in_doubt="repeat")
    async def create_issue(self, project: str, title: str, text: str) -> Issue:
        """Open an issue."""
        self.note(title)
        return Issue(f"{project}-12")


class Salesforce(System):
    """Customers."""

    @step(in_doubt="repeat")
    async def create_user(self, account: Account) -> None:
        """Create the user."""
        self.note("create_user")


class Gusto(System):
    """Payroll."""

    @step(in_doubt="repeat")
    async def enrol(self, hire: NewHire) -> str:
        """Enrol somebody."""
        self.note("enrol")
        return "p-1"

    @step(in_doubt="repeat")
    async def close(self, email: str) -> None:
        """Close somebody's payroll."""
        self.note("close")


google = Google("google")
slack = Slack("slack")
github = GitHub("github")
jira = Jira("jira")
salesforce = Salesforce("salesforce")
payroll = Gusto("gusto")
