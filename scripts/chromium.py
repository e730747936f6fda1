"""Find a Chromium for the tests of pages, or install Debian's where that is possible.

Never fails: without a browser the tests marked `browser` are skipped with a visible line.
The drivers' own browser download is not used, since it needs an address of its own.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def browser() -> str | None:
    """Return the path of an installed Chromium; None where the machine has none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def main() -> int:
    """Install Chromium if tests ask for one, it is missing, and this user may install."""
    if browser() is not None or not _wanted():
        return 0
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        print("No Chromium found: the tests of pages will be skipped. (apt-get install chromium)")
        return 0
    print("Installing Chromium for the tests of pages", flush=True)
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (("update", "-qq"), ("install", "-qq", "--no-install-recommends", "chromium")):
        done = subprocess.run(
            ["apt-get", "-y", *command], env=quiet, check=False, stdout=subprocess.DEVNULL
        )
        if done.returncode != 0:
            print("Chromium could not be installed: the tests of pages will be skipped.")
            return 0
    return 0


def _wanted() -> bool:
    """Say whether any test drives a browser."""
    tests = (ROOT / "tests").rglob("test_*.py")
    return any("playwright" in test.read_text(encoding="utf-8") for test in tests)


if __name__ == "__main__":
    sys.exit(main())
