"""The layers: who may import whom, and what importing newel costs."""

import ast
import subprocess
import sys

import pytest

from tests.architecture.reading import ROOT, SOURCE, dotted, modules, shown, tree

HEAVY = ("asyncpg", "fastapi", "httpx2", "jinja2", "sqlite3", "starlette", "uvicorn")


def test_the_import_contracts_hold():
    """Every import contract of pyproject.toml is kept."""
    command = "import sys; from importlinter.cli import lint_imports_command as c; sys.exit(c())"
    done = subprocess.run(
        [sys.executable, "-c", command], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_a_package_without_a_place_breaks_the_contract(tmp_path):
    """A new top-level package that declares no layer is refused."""
    package = tmp_path / "newel"
    for name in ("base", "attic"):
        (package / name).mkdir(parents=True)
        (package / name / "__init__.py").touch()
    (package / "__init__.py").touch()
    (tmp_path / "contract.toml").write_text(_layers(), encoding="utf-8")
    command = "import sys; from importlinter.cli import lint_imports_command as c; sys.exit(c())"
    done = subprocess.run(
        [sys.executable, "-c", command, "--config", "contract.toml"],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(tmp_path), "PATH": ""},
    )
    assert done.returncode == 1
    assert "attic" in done.stdout


def _layers() -> str:
    """Return our own contract of the layers, alone."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    contract = next(part for part in text.split("[[tool.importlinter.") if 'id = "layers"' in part)
    return f'[tool.importlinter]\nroot_package = "newel"\n[[tool.importlinter.{contract}'


def test_what_serves_never_imports_the_test_kit():
    """Neither the web nor any layer below it imports newel.testing."""
    found = [
        shown(path)
        for path in modules()
        if path.relative_to(SOURCE).parts[0] not in {"testing", "cli"}
        for node in ast.walk(tree(path))
        if "newel.testing" in _imported(node)
    ]
    assert found == []


def _imported(node: object) -> str:
    """Return the module an import statement names, or nothing."""
    match node:
        case ast.ImportFrom(module=str(module)):
            return ".".join(module.split(".")[:2])
        case ast.Import(names=names):
            return " ".join(".".join(name.name.split(".")[:2]) for name in names)
        case _:
            return ""


@pytest.mark.parametrize("name", ["newel", "newel.flow", "newel.domain", "newel.audit"])
def test_importing_a_process_is_light(name):
    """What authors import loads no database driver and no web framework."""
    code = f"import sys, {name}; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == []


def test_every_module_says_why_it_exists():
    """Each module of the package opens with a docstring."""
    mute = [dotted(path) for path in modules() if not ast.get_docstring(tree(path))]
    assert mute == []
