"""How the architecture tests read the repository: its files, its SQL, its public names."""

import ast
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "newel"

_BLOCK = re.compile(r"^-- name: *(?P<name>\S+) *\n", re.MULTILINE)
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One named statement of a `.sql` file, as written."""

    file: Path
    name: str
    params: str | None
    """What `-- params:` says; None where that line is missing."""
    sentence: str
    statement: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A name that a reader of the code meets, and where."""

    place: str
    name: str


def committed(*suffixes: str) -> list[Path]:
    """Return the files of the repository, new ones included, ignored ones not."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    paths = [ROOT / name for name in listed if name]
    return sorted(
        path for path in paths if path.is_file() and (not suffixes or path.suffix in suffixes)
    )


def modules(*inside: str) -> list[Path]:
    """Return the Python files of the package, or of some of its folders."""
    folders = [SOURCE / folder for folder in inside] or [SOURCE]
    return sorted(path for folder in folders for path in folder.rglob("*.py"))


def dotted(path: Path) -> str:
    """Return the name under which a file of the package is imported."""
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def shown(path: Path) -> str:
    """Return a path as a reader of a failure wants it."""
    return path.relative_to(ROOT).as_posix()


@cache
def tree(path: Path) -> ast.Module:
    """Parse a file once."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def blocks(path: Path) -> list[Block]:
    """Read the named statements of a `.sql` file."""
    return list(blocks_in(path, path.read_text(encoding="utf-8")))


def blocks_in(path: Path, text: str) -> Iterator[Block]:
    """Read the named statements of a text."""
    found = list(_BLOCK.finditer(text))
    for this, following in zip(found, [*found[1:], None], strict=True):
        body = text[this.end() : following.start() if following else len(text)]
        lines = body.splitlines()
        params = None
        if lines and lines[0].startswith("-- params:"):
            params = lines.pop(0).removeprefix("-- params:").strip()
        prose = []
        while lines and lines[0].startswith("--"):
            prose.append(lines.pop(0).removeprefix("--").strip())
        yield Block(
            file=path,
            name=this["name"],
            params=params,
            sentence=" ".join(prose),
            statement="\n".join(lines).strip(),
        )


def without_comments(sql: str) -> str:
    """Return what the server reads."""
    return _COMMENT.sub(" ", sql)


def public_names(path: Path) -> Iterator[Named]:
    """Yield the module's name and the names in it that do not begin with an underscore.

    Classes, functions, their parameters, and annotated fields; not local variables.
    """
    place = shown(path)
    yield Named(place=place, name=path.stem)
    yield from _public(tree(path), place)


def _public(node: ast.AST, place: str) -> Iterator[Named]:
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.ClassDef(name=name) if not name.startswith("_"):
                yield Named(place=place, name=name)
                yield from _public(child, place)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                if not name.startswith("_"):
                    yield Named(place=place, name=name)
                    taken = child.args
                    for argument in (*taken.posonlyargs, *taken.args, *taken.kwonlyargs):
                        yield Named(place=place, name=argument.arg)
            case ast.AnnAssign(target=ast.Name(id=name)) if not name.startswith("_"):
                yield Named(place=place, name=name)
            case _:
                pass
