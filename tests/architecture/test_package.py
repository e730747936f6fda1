"""The package: what `pip install .` brings is whole, and works without the checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.architecture.reading import ROOT, SOURCE

DATA = (".css", ".html", ".js", ".json", ".py", ".sql", ".svg", ".toml", ".typed", ".woff2")


@pytest.fixture(scope="session")
def wheel(tmp_path_factory) -> Path:
    """Build the wheel once, with the build tool of this environment."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = Path(folder).glob("*.whl")
    return built


def kept(folder: Path) -> set[str]:
    """Return the files below a folder that a reader or the program needs, relative to it."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.suffix in DATA and "__pycache__" not in path.parts
    }


def test_the_wheel_holds_all_of_the_package(wheel):
    """Code, SQL, templates, styles and fonts of the package are in the wheel, and no tests."""
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"newel/{name}" for name in kept(SOURCE)} - names == set()
    assert {name.split("/")[0] for name in names if "dist-info" not in name} == {"newel"}


def test_the_wheel_holds_the_examples(wheel):
    """The examples travel inside the package, so that the demo runs anywhere."""
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"newel/_examples/{name}" for name in kept(ROOT / "examples")} - names == set()


def test_the_installed_command_answers(wheel, tmp_path):
    """`newel --help` works from the wheel alone, far from the checkout."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    code = "import newel.cli, sys; print(newel.cli.__file__); sys.exit(newel.cli.main())"
    done = subprocess.run(
        [sys.executable, "-c", code, "--help"],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(tmp_path))
    assert "Usage" in done.stdout


def test_the_wheel_holds_the_verifier(wheel):
    """The standalone verifier travels inside the package, byte for byte."""
    with zipfile.ZipFile(wheel) as archive:
        packed = archive.read("newel/_verifier/newel_verify.py")
    assert packed == (ROOT / "verifier" / "newel_verify.py").read_bytes()
