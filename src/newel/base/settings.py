"""What a deployment can choose, in one class: names, meanings, defaults.

A setting is read from the environment (`NEWEL_LEASE=15`), else from `newel.toml` in the project's
directory, else from `[tool.newel]` in its `pyproject.toml`, else it has its default. Secrets are
never written here but referred to (`env:NAME`, `file:/path`, `cmd:program argument`); the one
exception is `database_url`, which drivers want whole, and which is therefore never shown.
"""

from __future__ import annotations

import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from newel.base.errors import InvalidInput
from newel.base.secrets import SecretRef

__all__ = ["Settings", "load_settings"]


def _duration(value: object) -> object:
    """Read a length of time from seconds, also where they are written as text."""
    try:
        return timedelta(seconds=float(value)) if isinstance(value, str | int | float) else value
    except ValueError:
        return value


def _reference(value: object) -> object:
    return SecretRef(value) if isinstance(value, str) else value


def _days(value: object) -> object:
    """Read a length of time from days, also where they are written as text."""
    try:
        return timedelta(days=float(value)) if isinstance(value, str | int | float) else value
    except ValueError:
        return value


Days = Annotated[timedelta, BeforeValidator(_days)]
Seconds = Annotated[timedelta, BeforeValidator(_duration)]
Reference = Annotated[SecretRef, BeforeValidator(_reference)]

_KEPT: Final = timedelta(days=400)
"""How long the log is kept at least: twelve months, and room for an audit that comes late."""
_FILES: Final = ("newel.toml", "pyproject.toml")


class Settings(BaseSettings):
    """Everything that can be set; durations are given in seconds."""

    model_config = SettingsConfigDict(
        env_prefix="NEWEL_", extra="forbid", frozen=True, arbitrary_types_allowed=True
    )

    project: Path = Field(
        default=Path(), description="Directory of the company's project; processes are found here."
    )
    data: Path = Field(
        default=Path(".newel"),
        description="Where this deployment keeps its files; relative to the project.",
    )
    database_url: str | None = Field(
        default=None,
        repr=False,
        description="PostgreSQL to use; without it newel brings its own.",
    )
    sealing_url: str | None = Field(
        default=None,
        repr=False,
        description="The same PostgreSQL as the role that seals the log; default: `database_url`.",
    )
    pruning_url: str | None = Field(
        default=None,
        repr=False,
        description="The same PostgreSQL as the role that prunes it; default: `database_url`.",
    )
    processes: tuple[str, ...] = Field(
        default=(), description="Modules with processes (`company.onboarding`), or `module:name`."
    )
    systems: str | None = Field(
        default=None, description="Module with the connector instances (`company.systems`)."
    )
    tickets: str | None = Field(
        default=None,
        description="Where tickets go, the first tracker first: `company.systems:tickets`.",
    )
    teams: dict[str, tuple[str, ...]] = Field(
        default={}, description="Members of the teams, by work address."
    )
    zone: str | None = Field(
        default=None,
        description="Where the company's days begin: `Europe/Berlin`. This machine's without it.",
    )
    holidays: Path | None = Field(
        default=None,
        description="Days on which nobody works, for deadlines in working days: a CSV or ICS file.",
    )
    at_most: dict[str, int] = Field(
        default={}, description="How often systems are called at once, over all workers, by name."
    )
    keep_payloads: Days = Field(
        default=timedelta(days=90),
        description="Days for which inputs and outcomes of ended runs are kept; leaves stay.",
    )
    keep_log: Days | None = Field(
        default=None,
        description="Days after which `newel audit prune` may remove events; for ever without it.",
    )
    keep_log_reason: str = Field(
        default="", description="Why `keep_log` is below 400 days, where it is."
    )
    log_archive: Path = Field(
        default=Path("archive"),
        description="Where the log lies before it is pruned; relative to the data directory.",
    )
    probe_at: str = Field(
        default="0 3 * * *",
        description="When all systems are asked read-only questions: cron, UTC; empty: never.",
    )
    second_person: Literal["asked", "strict"] = Field(
        default="asked",
        description="Whether operators need a second person where asked for, or wherever possible.",
    )
    removals_per_hour: int = Field(
        default=10,
        ge=0,
        description="People who may lose access with one credential in an hour unless released.",
    )
    company_name: str = Field(default="", description="Name shown in the console.")
    host: str = Field(default="127.0.0.1", description="Address the web server listens on.")
    port: int = Field(default=8420, ge=0, le=65_535, description="Its port; 0 takes a free one.")
    console_url: str | None = Field(
        default=None,
        description="Where people open newel; stands in tickets and in links to passwords.",
    )
    api_key: Reference | None = Field(
        default=None,
        description="Key that callers of the API show; without one only loopback is served.",
    )
    metrics_token: Reference | None = Field(
        default=None,
        description="Token that `/metrics` asks for; without one it serves loopback only.",
    )
    key_encryption_key: Reference | None = Field(
        default=None,
        description="Wraps the keys of persons: 32 bytes in base64, never in the database.",
    )
    key_encryption_key_before: Reference | None = Field(
        default=None,
        description="The key before `key_encryption_key`, while one takes the other's place.",
    )
    log_key: Reference | None = Field(
        default=None,
        description="Signs the audit log: 32 bytes in base64; default: a file beside the data.",
    )
    log_key_before: Reference | None = Field(
        default=None,
        description="The key before `log_key`, while one takes the other's place.",
    )
    anchors: tuple[str, ...] = Field(
        default=("directory:anchors",),
        description="Where copies of checkpoints go; relative paths begin at the data directory.",
    )
    lease: Seconds = Field(
        default=timedelta(seconds=15), description="How long a worker owns its runs unheard."
    )
    heartbeat: Seconds = Field(
        default=timedelta(seconds=5), description="How often a worker is heard of."
    )
    attempt_timeout: Seconds = Field(
        default=timedelta(seconds=20), description="How long one attempt of a step may take."
    )
    grace: Seconds = Field(
        default=timedelta(seconds=30), description="How long attempts may end after a stop signal."
    )
    concurrency: int = Field(
        default=256, ge=1, description="Runs that one worker works on at the same time."
    )
    batch_rows: int = Field(default=2_000, ge=1, description="Rows of one commit at most.")
    outcome_bytes: int = Field(
        default=256 * 1024, ge=1_024, description="Size of one outcome at most."
    )
    input_bytes: int = Field(
        default=1024 * 1024, ge=1_024, description="Size of a run's input at most."
    )
    outcomes_per_run: int = Field(default=10_000, ge=1, description="Outcomes of one run at most.")
    threads: int = Field(
        default=16, ge=1, description="Steps that are plain functions, run at once by one worker."
    )
    processes_for_steps: int = Field(
        default=2, ge=1, description='Steps with `pool="process"`, run at once by one worker.'
    )
    transactions: int = Field(
        default=2, ge=1, description="Transactional steps, run at once by one worker."
    )
    transaction_timeout: Seconds = Field(
        default=timedelta(seconds=5),
        description="How long one statement of a transactional step may take.",
    )
    transaction_role: str | None = Field(
        default=None,
        description="Database role of transactional steps; without one, the worker's own.",
    )
    logs: tuple[str, ...] = Field(
        default=("stdout",),
        description="Where log lines go: stdout, `file:`, `syslog:` or `otlp:` with an address.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Lines below this level are not written."
    )

    @model_validator(mode="after")
    def _fit_together(self) -> Settings:
        if self.heartbeat * 2 > self.lease:
            message = "a lease has to last at least two heartbeats"
            raise ValueError(message)
        if self.keep_log is not None and self.keep_log < _KEPT and not self.keep_log_reason.strip():
            message = "keep_log below 400 days needs keep_log_reason"
            raise ValueError(message)
        return self

    @property
    def data_directory(self) -> Path:
        """Give the data directory as an absolute path."""
        return (self.project / self.data).absolute()

    @property
    def archive_directory(self) -> Path:
        """Give the folder with the log as it was before it was pruned."""
        return self.data_directory / self.log_archive

    @property
    def log_directory(self) -> Path:
        """Give the folder in which the signer of the audit log keeps what is its own."""
        return self.data_directory / "log"


def load_settings(project: Path | None = None, **given: object) -> Settings:
    """Read the settings of the project in this directory (default: the current one).

    given: settings that stand above all others, by name. errors: InvalidInput, by setting.
    """
    directory = (project or Path.cwd()).absolute()
    table = _table(directory)

    class Found(Settings):
        """The settings of one project: its table stands below the environment."""

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            """Name the sources, the strongest first; no `.env` file is ever read."""
            del dotenv_settings, file_secret_settings
            return init_settings, env_settings, InitSettingsSource(settings_cls, table)

    try:
        return Found(**{"project": directory, **given})  # type: ignore[arg-type]  # checked by pydantic
    except ValidationError as cause:
        raise InvalidInput(_by_setting(cause)) from None


def _table(directory: Path) -> dict[str, Any]:  # Any: TOML
    """Read the project's own table; empty if it has none."""
    for name in _FILES:
        path = directory / name
        if not path.is_file():
            continue
        try:
            found: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as cause:
            raise InvalidInput({name: f"is no TOML: {cause}"}) from cause
        table = found if name == "newel.toml" else found.get("tool", {}).get("newel")
        if table is not None:
            return dict(table)
    return {}


def _by_setting(cause: ValidationError) -> dict[str, str]:
    """Say what is wrong by setting; values are not quoted, one may be a secret in a wrong place."""
    fields: dict[str, str] = {}
    for error in cause.errors(include_input=False, include_url=False, include_context=False):
        name = ".".join(str(part) for part in error["loc"])
        known = error["type"] != "extra_forbidden"
        text = error["msg"].removeprefix("Value error, ") if known else "is no setting"
        fields.setdefault(name, text[:1].lower() + text[1:])
    return fields
