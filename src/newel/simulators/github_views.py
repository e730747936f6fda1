"""How GitHub shows its things: long documents full of addresses, as its contract requires."""

from __future__ import annotations

from base64 import b64encode

from .wire import Document

_USER_LINKS = {
    "followers_url": "/followers",
    "following_url": "/following{/other_user}",
    "gists_url": "/gists{/gist_id}",
    "starred_url": "/starred{/owner}{/repo}",
    "subscriptions_url": "/subscriptions",
    "organizations_url": "/orgs",
    "repos_url": "/repos",
    "events_url": "/events{/privacy}",
    "received_events_url": "/received_events",
}
_ORG_LINKS = {
    "repos_url": "/repos",
    "events_url": "/events",
    "hooks_url": "/hooks",
    "issues_url": "/issues",
    "members_url": "/members{/member}",
    "public_members_url": "/public_members{/member}",
}
_REPOSITORY_LINKS = {
    "archive_url": "/{archive_format}{/ref}",
    "assignees_url": "/assignees{/user}",
    "blobs_url": "/git/blobs{/sha}",
    "branches_url": "/branches{/branch}",
    "collaborators_url": "/collaborators{/collaborator}",
    "comments_url": "/comments{/number}",
    "commits_url": "/commits{/sha}",
    "compare_url": "/compare/{base}...{head}",
    "contents_url": "/contents/{+path}",
    "contributors_url": "/contributors",
    "deployments_url": "/deployments",
    "downloads_url": "/downloads",
    "events_url": "/events",
    "forks_url": "/forks",
    "git_commits_url": "/git/commits{/sha}",
    "git_refs_url": "/git/refs{/sha}",
    "git_tags_url": "/git/tags{/sha}",
    "hooks_url": "/hooks",
    "issue_comment_url": "/issues/comments{/number}",
    "issue_events_url": "/issues/events{/number}",
    "issues_url": "/issues{/number}",
    "keys_url": "/keys{/key_id}",
    "labels_url": "/labels{/name}",
    "languages_url": "/languages",
    "merges_url": "/merges",
    "milestones_url": "/milestones{/number}",
    "notifications_url": "/notifications{?since,all,participating}",
    "pulls_url": "/pulls{/number}",
    "releases_url": "/releases{/id}",
    "stargazers_url": "/stargazers",
    "statuses_url": "/statuses/{sha}",
    "subscribers_url": "/subscribers",
    "subscription_url": "/subscription",
    "tags_url": "/tags",
    "teams_url": "/teams",
    "trees_url": "/git/trees{/sha}",
}


LONGEST_LABEL = 50


def node_id(kind: str, identity: int) -> str:
    """Give the id of a thing in GitHub's other API."""
    return b64encode(f"{len(kind):02d}:{kind}{identity}".encode()).decode()


def simple_user(login: str, identity: int, base_url: str) -> Document:
    """Show a user as other things refer to them."""
    url = f"{base_url}/users/{login}"
    return {
        "login": login,
        "id": identity,
        "node_id": node_id("User", identity),
        "avatar_url": f"{base_url}/avatars/{identity}",
        "gravatar_id": "",
        "url": url,
        "html_url": f"https://github.com/{login}",
        **{name: url + tail for name, tail in _USER_LINKS.items()},
        "type": "User",
        "site_admin": False,
    }


def public_user(login: str, identity: int, base_url: str) -> Document:
    """Show a user's public profile."""
    empty = ("name", "company", "blog", "location", "email", "hireable", "bio")
    counts = ("public_repos", "public_gists", "followers", "following")
    return {
        **simple_user(login, identity, base_url),
        **dict.fromkeys(empty),
        **dict.fromkeys(counts, 0),
        "user_view_type": "public",
        "created_at": "2016-01-04T09:00:00Z",
        "updated_at": "2016-01-04T09:00:00Z",
    }


def simple_organization(login: str, identity: int, base_url: str) -> Document:
    """Show an organization as other things refer to it."""
    url = f"{base_url}/orgs/{login}"
    return {
        "login": login,
        "id": identity,
        "node_id": node_id("Organization", identity),
        "url": url,
        **{name: url + tail for name, tail in _ORG_LINKS.items()},
        "avatar_url": f"{base_url}/avatars/{identity}",
        "description": None,
    }


def full_organization(row: Document, *, filled: int, seats: int, base_url: str) -> Document:
    """Show an organization to its owner, with the seats bought; 0: they are not counted."""
    return {
        **simple_organization(row["login"], row["id"], base_url),
        "has_organization_projects": True,
        "has_repository_projects": True,
        "public_repos": 0,
        "public_gists": 0,
        "followers": 0,
        "following": 0,
        "html_url": f"https://github.com/{row['login']}",
        "type": "Organization",
        "created_at": row["created_at"],
        "updated_at": row["created_at"],
        "archived_at": None,
        "plan": {
            "name": "team",
            "space": 976_562_499,
            "private_repos": 9999,
            "filled_seats": filled,
            "seats": seats,
        },
    }


def team(row: Document, base_url: str) -> Document:
    """Show a team in a listing."""
    url = f"{base_url}/organizations/{row['org']}/team/{row['id']}"
    return {
        "id": row["id"],
        "node_id": node_id("Team", row["id"]),
        "name": row["name"],
        "slug": row["slug"],
        "description": None,
        "privacy": "closed",
        "notification_setting": "notifications_enabled",
        "permission": "pull",
        "url": url,
        "html_url": f"https://github.com/orgs/{row['org']}/teams/{row['slug']}",
        "members_url": url + "/members{/member}",
        "repositories_url": url + "/repos",
        "type": "organization",
        "parent": None,
    }


def minimal_repository(row: Document, owner: Document, base_url: str) -> Document:
    """Show a repository as an invitation refers to it."""
    url = f"{base_url}/repos/{row['full_name']}"
    return {
        "id": row["id"],
        "node_id": node_id("Repository", row["id"]),
        "name": row["name"],
        "full_name": row["full_name"],
        "owner": owner,
        "private": True,
        "html_url": f"https://github.com/{row['full_name']}",
        "description": None,
        "fork": False,
        "url": url,
        **{name: url + tail for name, tail in _REPOSITORY_LINKS.items()},
    }


def full_team(row: Document, organization: Document, *, members: int, base_url: str) -> Document:
    """Show one team on its own, with its organization."""
    return {
        **team(row, base_url),
        "created_at": "2019-03-04T09:00:00Z",
        "updated_at": "2019-03-04T09:00:00Z",
        "members_count": members,
        "repos_count": 0,
        "organization": organization,
    }


def collaborator(user: Document, permission: str) -> Document:
    """Show somebody who was given access to a repository."""
    ladder = ("pull", "triage", "push", "maintain", "admin")
    rank = ladder.index(permission)
    return {
        **user,
        "permissions": {each: ladder.index(each) <= rank for each in ladder},
        "role_name": {"pull": "read", "push": "write"}.get(permission, permission),
    }


def issue(row: Document, author: Document, *, comments: int, base_url: str) -> Document:
    """Show an issue."""
    repository = f"{base_url}/repos/{row['repository']}"
    url = f"{repository}/issues/{row['number']}"
    return {
        "id": row["id"],
        "node_id": node_id("Issue", row["id"]),
        "url": url,
        "repository_url": repository,
        "labels_url": url + "/labels{/name}",
        "comments_url": url + "/comments",
        "events_url": url + "/events",
        "html_url": f"https://github.com/{row['repository']}/issues/{row['number']}",
        "number": row["number"],
        "state": row["state"],
        # Left out while there is none: the specification lists the reasons, and null is not one.
        **({"state_reason": row["reason"]} if row["reason"] else {}),
        "title": row["title"],
        "body": row["body"],
        "user": author,
        "labels": [_label(name, base_url) for name in row["labels"]],
        "assignee": None,
        "assignees": [],
        "milestone": None,
        "locked": False,
        "comments": comments,
        "closed_at": row["closed_at"],
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        "author_association": "MEMBER",
    }


def _label(name: str, base_url: str) -> Document:
    return {
        "id": 700_000_000 + sum(name.encode()),
        "node_id": node_id("Label", sum(name.encode())),
        "url": f"{base_url}/labels/{name}",
        "name": name,
        "description": None,
        "color": "ededed",
        "default": False,
    }


def issue_comment(row: Document, comment: Document, author: Document, base_url: str) -> Document:
    """Show a comment of an issue."""
    issue_url = f"{base_url}/repos/{row['repository']}/issues/{row['number']}"
    return {
        "id": comment["id"],
        "node_id": node_id("IssueComment", comment["id"]),
        "url": f"{base_url}/repos/{row['repository']}/issues/comments/{comment['id']}",
        "html_url": f"https://github.com/{row['repository']}/issues/{row['number']}",
        "issue_url": issue_url,
        "body": comment["body"],
        "user": author,
        "created_at": comment["created_at"],
        "updated_at": comment["created_at"],
        "author_association": "MEMBER",
    }
