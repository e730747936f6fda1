"""Write the lock files: names, versions, markers and hashes, and nothing of this machine.

The address a package came from belongs to the machine, so no index, comment or option may
reach the files; an architecture test matches every line against that grammar.
"""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMPILE = (
    "pip",
    "compile",
    "--quiet",
    "--generate-hashes",
    "--no-header",
    "--no-annotate",
    "--no-emit-index-url",
    "--no-strip-extras",  # pip compares hashes for `name[extra]` only where it stands so
    "--universal",
    "--python-version=3.11",
)


def main() -> int:
    """Resolve what the product needs, then what developers need on top of exactly that."""
    uv = shutil.which("uv") or shutil.which("uv", path=ROOT / ".venv" / "bin")
    if uv is None:
        print("Locking needs uv: pip install uv")
        return 1
    product = ["pyproject.toml", "--output-file=requirements.lock"]
    # The product's own lock is the constraint, so that both files agree in every version.
    tools = ["--group=dev", "--constraint=requirements.lock", "--output-file=requirements-dev.lock"]
    for arguments in (product, tools):
        subprocess.run([uv, *COMPILE, *arguments, *sys.argv[1:]], check=True, cwd=ROOT)
    return 0


if __name__ == "__main__":
    sys.exit(main())
