from datetime import timedelta
from pathlib import Path

import pytest

from newel.base.errors import InvalidInput
from newel.base.secrets import SecretRef
from newel.base.settings import Settings, load_settings


def test_everything_has_a_default(tmp_path):
    """A project that sets nothing works: embedded database, loopback, fifteen seconds' lease."""
    settings = load_settings(tmp_path)
    assert settings.project == tmp_path
    assert settings.data_directory == tmp_path / ".newel"
    assert settings.database_url is None
    assert settings.api_key is None
    assert (settings.host, settings.lease, settings.heartbeat, settings.attempt_timeout) == (
        "127.0.0.1",
        timedelta(seconds=15),
        timedelta(seconds=5),
        timedelta(seconds=20),
    )


def test_every_setting_is_documented():
    """Each setting says in a sentence what it does."""
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_the_project_is_the_current_directory(tmp_path, monkeypatch):
    """Without a directory the current one is read."""
    monkeypatch.chdir(tmp_path)
    assert load_settings().project == tmp_path


def test_environment_stands_above_file_and_call_above_both(tmp_path, monkeypatch):
    """A setting given by the caller wins over the environment, that over the file."""
    (tmp_path / "newel.toml").write_text(
        'company_name = "File"\nport = 1\nlease = 21\nprocesses = ["company.onboarding"]\n'
        '[teams]\nhr = ["ada@example.com"]\n',
        encoding="utf-8",
    )
    monkeypatch.setenv("NEWEL_PORT", "2")
    monkeypatch.setenv("NEWEL_LEASE", "22.5")
    settings = load_settings(tmp_path, lease=23)
    assert (settings.company_name, settings.port, settings.lease) == (
        "File",
        2,
        timedelta(seconds=23),
    )
    assert settings.processes == ("company.onboarding",)
    assert settings.teams == {"hr": ("ada@example.com",)}


def test_the_table_of_pyproject(tmp_path):
    """`[tool.newel]` of pyproject.toml is read where there is no newel.toml."""
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "x"\n[tool.newel]\ncompany_name = "Kestrel"\n', encoding="utf-8"
    )
    assert load_settings(tmp_path).company_name == "Kestrel"


def test_newel_toml_goes_before_pyproject(tmp_path):
    """With both files, newel.toml is the one that counts."""
    (tmp_path / "newel.toml").write_text('company_name = "One"\n', encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(
        '[tool.newel]\ncompany_name = "Two"\n', encoding="utf-8"
    )
    assert load_settings(tmp_path).company_name == "One"


def test_a_pyproject_of_something_else_says_nothing(tmp_path):
    """A pyproject.toml without our table leaves the defaults."""
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\n', encoding="utf-8")
    assert load_settings(tmp_path).company_name == ""


def test_the_data_may_lie_elsewhere(tmp_path, monkeypatch):
    """NEWEL_DATA names the place of the deployment's files."""
    monkeypatch.setenv("NEWEL_DATA", "/somewhere/else")
    assert load_settings(tmp_path).data_directory == Path("/somewhere/else")


def test_secrets_are_references(tmp_path, monkeypatch):
    """A secret's setting says where it lies."""
    monkeypatch.setenv("NEWEL_API_KEY", "file:/run/secrets/key")
    assert load_settings(tmp_path).api_key == SecretRef("file:/run/secrets/key")


def test_the_database_is_never_shown(tmp_path):
    """The address of the database holds a password and is left out of `repr`."""
    settings = load_settings(tmp_path, database_url="postgresql://newel:planted@db/newel")
    assert "planted" not in repr(settings)


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ({"shoe_size": 42}, {"shoe_size": "is no setting"}),
        ({"port": 70_000}, {"port": "input should be less than or equal to 65535"}),
        (
            {"api_key": "planted"},
            {"api_key": "a secret is referred to as env:NAME, file:/path or cmd:program argument."},
        ),
        ({"heartbeat": 9}, {"": "a lease has to last at least two heartbeats"}),
        (
            {"lease": "soon"},
            {"lease": "input should be a valid timedelta, invalid digit in duration"},
        ),
        ({"lease": None}, {"lease": "input should be a valid timedelta"}),
    ],
)
def test_a_wrong_setting_is_named(tmp_path, given, fields):
    """What is wrong is said by setting, without the value."""
    with pytest.raises(InvalidInput) as refused:
        load_settings(tmp_path, **given)
    assert refused.value.fields == fields


def test_a_broken_file_is_named(tmp_path):
    """A file that is no TOML is refused with its name and the place of the mistake."""
    (tmp_path / "newel.toml").write_text("port =\n", encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"newel\.toml: is no TOML: .*line 1"):
        load_settings(tmp_path)
