"""The audit log for whoever checks it: verified here, or taken along with its verifier."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

from cyclopts import App, Parameter

from newel.cli.archiving import archive, prune
from newel.cli.copies_here import own_copies
from newel.cli.event_exporting import events
from newel.cli.fetching import fetch
from newel.cli.output import say, say_json, say_ordered
from newel.cli.parameters import AsJson, Confirm, NamedActor, Reason
from newel.cli.reconciling import reconcile
from newel.cli.restoring import restore_check
from newel.cli.shipping import ship

if TYPE_CHECKING:
    from newel.audit.leaf import Actor
    from newel.base.settings import Settings
    from newel.engine.log_export import WrittenLog
    from newel.engine.log_keeping import LogKeeping

__all__ = ["COULD_NOT_RUN", "VERIFY", "audit"]

VERIFY: Final = ("audit", "verify")
COULD_NOT_RUN: Final = 3
"""The status of `audit verify` where nothing was verified: others of its statuses are verdicts."""

Done = TypeVar("Done")
_FOR_A_VERIFIER: Final = "the audit log, for a verifier"

audit: Final = App(name="audit", help="Verify the audit log, or take it along with its verifier.")

audit.command(archive)
audit.command(events)
audit.command(fetch)
audit.command(prune)
audit.command(reconcile)
audit.command(restore_check, name="restore-check")
audit.command(ship)


@audit.command
def verify(
    log: Annotated[
        str | None,
        Parameter(help="Export, package, proof or address; without it this deployment's database."),
    ] = None,
    /,
    *,
    policy: Annotated[
        Path | None, Parameter(help="Whom you believe; default: the policy kept beside the key.")
    ] = None,
    vkey: Annotated[tuple[str, ...], Parameter(help="A key you believe; repeatable.")] = (),
    untrusted: Annotated[
        bool, Parameter(negative=(), help="Believe nobody; at best the verdict is incomplete.")
    ] = False,
    anchors: Annotated[
        tuple[Path, ...],
        Parameter(help="Copies of checkpoints kept elsewhere: file or folder; repeatable."),
    ] = (),
    from_size: Annotated[
        int, Parameter(help="Entries before this one were verified earlier; hashes still count.")
    ] = 0,
    as_json: AsJson = False,
) -> int:
    """Say whether anybody has changed, removed, inserted or re-ordered events, or edited state.

    The status is 0 if all is clean, 1 if the evidence contradicts itself, a key or a checkpoint
    kept elsewhere, 2 if nothing contradicts but not all could be decided, 3 if it could not run.
    """
    told = _options(policy, vkey, untrusted=untrusted, anchors=anchors)
    if log is not None:
        from newel.engine.verifying import verifier

        more = ["--from-size", str(from_size), *(["--json"] if as_json else [])]
        status: int = verifier().main([log, *told, *more])
        return status
    report = _of_the_database(policy, vkey, untrusted=untrusted, anchors=anchors, start=from_size)
    if report is None:
        return COULD_NOT_RUN
    if as_json:
        say_json(report.as_json())
    else:
        say(report.as_text())
    found: int = report.code()
    return found


@audit.command
def export(
    directory: Annotated[Path, Parameter(help="Directory to make.")],
    /,
    *,
    reason: Reason = "",
    actor: NamedActor = "",
    as_json: AsJson = False,
) -> None:
    """Write the sealed log into a directory that the verifier and any tile client read."""
    from newel.base.settings import load_settings
    from newel.cli.deployment import carried_out, found_engine
    from newel.engine.archive import Archive
    from newel.engine.exporting import Exports

    there = directory.absolute()

    async def written() -> WrittenLog:
        async with found_engine(new=False) as engine:
            acting = await engine.actor(actor or None, via="cli")
            exports = Exports(engine.database, engine.vault)
            archive = Archive(load_settings().archive_directory)
            why = reason or _FOR_A_VERIFIER
            return await exports.log(there, actor=acting, reason=why, archive=archive)

    done = carried_out(written())
    if as_json:
        return say_json(
            {"directory": str(directory), "entries": done.entries, "checkpoints": done.checkpoints}
        )
    return say(
        f"{done.entries} entries under {done.checkpoints} checkpoints are in {directory}. "
        f"Check them without newel: `newel audit verifier > newel_verify.py`, then "
        f"`python3 newel_verify.py {directory} --policy FILE`."
    )


@audit.command
def verifier() -> None:
    """Print the verifier: one file that needs a Python 3.9 and nothing else."""
    from newel.engine.verifying import verifier_file

    sys.stdout.write(verifier_file().read_text(encoding="utf-8"))


@audit.command
def vkey() -> None:
    """Print whom this deployment believes: the policy that your auditor keeps."""
    from newel.base.errors import StoreError
    from newel.base.settings import load_settings

    policy = _own_policy(load_settings())
    if policy is None:
        raise StoreError("There is no key here yet: a worker makes one when it first seals.")
    sys.stdout.write(policy.read_text(encoding="utf-8"))


@audit.command(name="rotate-key")
def rotate_key(
    *,
    compromised: Annotated[
        bool,
        Parameter(negative=(), help="Somebody else has the old key: refuse what it signs alone."),
    ] = False,
    retire: Annotated[
        bool, Parameter(negative=(), help="Second step: destroy the old key, once that is safe.")
    ] = False,
    reason: Reason = "",
    actor: NamedActor = "",
    confirm: Confirm = False,
) -> None:
    """Let a new key sign the log; both sign until the old one is retired.

    The log itself says that the new key is to be believed; the auditor's policy needs no change.
    """
    if retire:
        size = _kept(lambda keeping, _: keeping.retire(), actor)
        return say(f"The old key is destroyed: a copy elsewhere has both, at {size} entries.")
    vkey = _kept(
        lambda keeping, acting: keeping.rotate(
            actor=acting, reason=reason, is_compromised=compromised, confirms=confirm
        ),
        actor,
    )
    if not isinstance(vkey, str):
        return say_ordered(vkey.expires_at)
    return say(f"{vkey}\nThis key signs from now on; the old one signs along until `--retire`.")


@audit.command(name="adopt-head")
def adopt_head(*, reason: Reason = "", actor: NamedActor = "", confirm: Confirm = False) -> None:
    """Let this machine sign on from the newest checkpoint, although it remembers none itself.

    Compare with a copy that was kept elsewhere first: `newel audit verify --anchors`.
    """
    size = _kept(
        lambda keeping, acting: keeping.adopt(actor=acting, reason=reason, confirms=confirm), actor
    )
    if not isinstance(size, int):
        return say_ordered(size.expires_at)
    return say(f"This machine remembers the head of {size} entries now.")


@audit.command(name="new-epoch")
def new_epoch(*, reason: Reason = "", actor: NamedActor = "", confirm: Confirm = False) -> None:
    """Begin a new log epoch, after the database was restored from an older backup.

    What was lost stays told for ever: the new epoch names the last head of the one before.
    """
    from newel.engine.four_eyes import Ordered

    done = _kept(
        lambda keeping, acting: keeping.begin_anew(actor=acting, reason=reason, confirms=confirm),
        actor,
    )
    if isinstance(done, Ordered):
        return say_ordered(done.expires_at)
    return say(
        f"{done.origin} is begun. The log epoch before keeps {done.kept_size} entries; "
        f"{done.lost_leaves} that were signed are lost."
    )


def _kept(act: Callable[[LogKeeping, Actor], Coroutine[Any, Any, Done]], named: str) -> Done:
    """Do something to the log itself; the worker that seals may have to let go of it first."""
    from newel.base.settings import load_settings
    from newel.cli.deployment import carried_out, found_engine, key_holder
    from newel.engine.log_keeping import LogKeeping

    settings = load_settings()

    async def done() -> Done:
        async with found_engine(new=False) as engine:
            acting = await engine.actor(named or None, via="cli")
            holder, rule = key_holder(settings), settings.second_person
            return await act(LogKeeping(engine.database, engine.vault, holder, rule), acting)

    return carried_out(done())


def _of_the_database(
    policy: Path | None,
    vkeys: tuple[str, ...],
    *,
    untrusted: bool,
    anchors: tuple[Path, ...],
    start: int,
) -> Any:  # Any: the report of a file of its own
    """Verify the database of the current directory; None, and a sentence, where that cannot be."""
    from newel.base.settings import load_settings
    from newel.cli.deployment import carried_out, opened
    from newel.engine.archive import Archive
    from newel.engine.verifying import Trusted, verified
    from newel.engine.verifying import verifier as loaded
    from newel.store.export import snapshot

    settings = load_settings()
    if not untrusted and policy is None and not vkeys:
        policy = _own_policy(settings)
    if not untrusted and policy is None and not vkeys:
        sys.stderr.write(
            "newel: There is no policy beside the key here. Name whom you believe: --policy FILE "
            "or --vkey KEY (or say --untrusted).\n"
        )
        return None
    if untrusted and (policy is not None or vkeys):
        sys.stderr.write("newel: --untrusted believes nobody: leave out --policy and --vkey.\n")
        return None
    trusted = Trusted(
        policy=policy,
        vkeys=vkeys,
        anchors=[*own_copies(settings), *anchors],
        archive=Archive(settings.archive_directory),
    )

    async def judged() -> Any:  # Any: as above
        async with opened(settings, new=False) as deployment, snapshot(deployment.database) as at:
            return await verified(at.connection, trusted, name="the database", start=start)

    try:
        return carried_out(judged())
    except (loaded().Unusable, OSError) as why:
        sys.stderr.write(f"newel: {why}\n")
        return None


def _own_policy(settings: Settings) -> Path | None:
    from newel.engine.key_holder import KeyHolder

    policy = KeyHolder(settings.log_directory).policy
    return policy if policy.is_file() else None


def _options(
    policy: Path | None, vkeys: tuple[str, ...], *, untrusted: bool, anchors: tuple[Path, ...]
) -> list[str]:
    """Write the options as the verifier reads them."""
    told = [] if policy is None else ["--policy", str(policy)]
    told += [part for each in vkeys for part in ("--vkey", each)]
    told += ["--untrusted"] if untrusted else []
    return [*told, *(part for each in anchors for part in ("--anchors", str(each)))]
