"""Secrets by reference: configuration says where a secret lies, never what it is.

A `SecretRef` is read when it is used and kept for at most sixty seconds, so that rotation needs no
restart. What it gives is a `Secret`: it shows itself as `***`, equals no text, and can be neither
pickled nor written as JSON, so that it reaches no log, journal or traceback by accident.
`reveal()` is the one way to its text, and easy to search for. `Secret` is on purpose no `str`: a
`str` subclass would be written out by every JSON encoder.
Source: our own security document §10.
"""

from __future__ import annotations

import hmac
import json
import os
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from newel.base.clock import Clock, SystemClock
from newel.base.errors import AuthFailed

__all__ = ["Secret", "SecretRef"]

_KEPT_FOR_S: Final = 60.0
_COMMAND_MAY_TAKE_S: Final = 10.0
_COMMAND_SEES: Final = ("PATH", "HOME", "LANG")
_SCHEMES: Final = ("env:", "file:", "cmd:")
_HOST: Final = SystemClock()
_kept: Final[dict[str, tuple[float, Secret]]] = {}


class Secret:
    """Text that shows itself as `***`."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Give the text; only where it leaves for the system it belongs to."""
        return self._text

    def __repr__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        """Compare with another secret, in a time that tells nothing; never equal to text."""
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    __hash__ = None  # type: ignore[assignment]  # a hash would survive in sets and dictionaries

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        message = "A secret cannot be pickled or copied."
        raise TypeError(message)


@dataclass(frozen=True, slots=True)
class SecretRef:
    """Where a secret lies: `env:NAME`, `file:/path`, `cmd:program argument` or `cmd:["program"]`.

    A command is started without a shell, with an environment of its own, for ten seconds at most;
    what it prints is the secret. One line end after the text is dropped.
    """

    reference: str

    def __post_init__(self) -> None:
        if not self.reference.startswith(_SCHEMES) or self.reference in _SCHEMES:
            # The text is not quoted: somebody may have put the secret itself here.
            message = "A secret is referred to as env:NAME, file:/path or cmd:program argument."
            raise ValueError(message)

    def __str__(self) -> str:
        return self.reference

    @property
    def scheme(self) -> str:
        """Name the kind of place: `env`, `file` or `cmd`; the only part that is recorded."""
        return self.reference.partition(":")[0]

    def resolve(self, *, clock: Clock = _HOST, fresh: bool = False) -> Secret:
        """Read the secret, or give the one read less than sixty seconds ago.

        fresh: read again, after a system refused it. A command blocks for up to ten seconds.
        errors: AuthFailed, if it is not there.
        """
        now = clock.monotonic()
        kept = _kept.get(self.reference)
        if kept is not None and not fresh and 0 <= now - kept[0] < _KEPT_FOR_S:
            return kept[1]
        secret = Secret(self._read().removesuffix("\n").removesuffix("\r"))
        if not secret.reveal():
            self._fail("it is empty")
        _kept[self.reference] = (now, secret)
        return secret

    def _read(self) -> str:
        place = self.reference.partition(":")[2]
        match self.scheme:
            case "env":
                text = os.environ.get(place)
                return text if text is not None else self._fail("the variable is not set")
            case "file":
                return self._read_file(Path(place))
            case _:
                return self._run(json.loads(place) if place.startswith("[") else shlex.split(place))

    def _read_file(self, path: Path) -> str:
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as cause:
            self._fail(f"the file cannot be read ({type(cause).__name__})")

    def _run(self, arguments: list[str]) -> str:
        environment = {name: os.environ[name] for name in _COMMAND_SEES if name in os.environ}
        try:
            done = subprocess.run(  # noqa: S603  # the operator's own command, without a shell
                arguments,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=_COMMAND_MAY_TAKE_S,
                check=True,
                text=True,
            )
        except (OSError, ValueError, subprocess.SubprocessError) as cause:
            self._fail(f"the command failed ({type(cause).__name__})")
        return done.stdout

    def _fail(self, why: str) -> NoReturn:
        # The cause is not chained: an exception of a command carries what it printed.
        message = f"The secret {self.reference} cannot be used: {why}."
        raise AuthFailed(message) from None
