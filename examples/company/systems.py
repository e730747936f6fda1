"""The company's systems: which there are, where they are, and where their secrets lie.

Addresses come from the environment, so that the same processes run against the simulators.
A secret is never written here: it is in the variable of its name, or in the file that the
variable with `_FILE` behind its name points to.
"""

from __future__ import annotations

import os
from typing import Literal, cast

from newel import SecretRef
from newel.connectors.github import GitHub
from newel.connectors.google import Google
from newel.connectors.jira import Jira
from newel.connectors.payroll import Gusto
from newel.connectors.salesforce import Salesforce
from newel.connectors.slack import Slack
from newel.connectors.trackers.jira import jira_issues


def _setting(name: str, default: str) -> str:
    return os.environ.get(name) or default


def _secret(name: str) -> SecretRef:
    file = os.environ.get(f"{name}_FILE")
    return SecretRef(f"file:{file}" if file else f"env:{name}")


def _runbook(system: str) -> str:
    """Name the page that says what to do when a system fails; tickets and dossiers lead there."""
    return f"{_setting('RUNBOOKS', 'https://wiki.acme.example/runbooks')}/{system}"


google = Google(
    service_account=_secret("GOOGLE_SERVICE_ACCOUNT"),
    admin=_setting("GOOGLE_ADMIN", "admin@acme.example"),
    base_url=_setting("GOOGLE_URL", "https://admin.googleapis.com"),
    licensing_url=_setting("GOOGLE_LICENSING_URL", "https://licensing.googleapis.com"),
    token_url=_setting("GOOGLE_TOKEN_URL", "https://oauth2.googleapis.com/token"),
    runbook=_runbook("google"),
)
slack = Slack(
    token=_secret("SLACK_TOKEN"),
    plan=cast("Literal['pro', 'business', 'enterprise']", _setting("SLACK_PLAN", "business")),
    base_url=_setting("SLACK_URL", "https://slack.com"),
    scim_url=_setting("SLACK_SCIM_URL", "https://api.slack.com"),
    runbook=_runbook("slack"),
)
jira = Jira(
    email=_setting("JIRA_EMAIL", "newel@acme.example"),
    token=_secret("JIRA_TOKEN"),
    base_url=_setting("JIRA_URL", "https://acme-example.atlassian.net"),
    runbook=_runbook("jira"),
)
github = GitHub(
    org=_setting("GITHUB_ORG", "acme-example"),
    token=_secret("GITHUB_TOKEN"),
    base_url=_setting("GITHUB_URL", "https://api.github.com"),
    runbook=_runbook("github"),
)
payroll = Gusto(
    company=_setting("GUSTO_COMPANY", "acme"),
    token=_secret("GUSTO_TOKEN"),
    base_url=_setting("GUSTO_URL", "https://api.gusto.com"),
    runbook=_runbook("payroll"),
)
salesforce = Salesforce(
    client_id=_setting("SALESFORCE_CLIENT_ID", "acme"),
    username=_setting("SALESFORCE_USERNAME", "newel@acme.example"),
    key=_secret("SALESFORCE_KEY"),
    profile_id=_setting("SALESFORCE_PROFILE_ID", "acme"),
    marker_field=_setting("SALESFORCE_MARKER_FIELD", "FederationIdentifier"),
    base_url=_setting("SALESFORCE_URL", "https://login.salesforce.com"),
    runbook=_runbook("salesforce"),
)

tickets = [jira_issues(_setting("JIRA_PROJECT", "OPS"), jira=jira)]
