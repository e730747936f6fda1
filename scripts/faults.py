"""Everything that is done to newel's processes on purpose: `make faults`.

    the tests of faults, with 10,000 waiting runs and 20 restarts
    every test that has a database, through PgBouncer in transaction mode
    seeded schedules: 4 workers and 500 runs each, direct and pooled in turn

With --install it only brings the Debian packages that tests need, where this user may install;
it never fails: without them those tests are skipped with a line that names the package.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIBRARIES = ("/usr/lib", "/usr/local/lib")
POOLED = tuple(
    f"tests/{each}"
    for each in ("acceptance", "cli", "conformance", "docs", "engine", "store", "unit/base", "web")
)
POOLER = ("/usr/sbin/pgbouncer", "/usr/bin/pgbouncer")


def main() -> int:
    """Install, or run all of it; the status of the first part that failed."""
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--install", action="store_true")
    given.add_argument("--schedules", type=int, default=3)
    given.add_argument("--seed", type=int, default=1)
    given.add_argument("--runs", type=int, default=500)
    told = given.parse_args()
    if told.install:
        _install()
        return 0
    tests = [sys.executable, "-m", "pytest", "-q", "-n", "2"]
    far_more = {
        "NEWEL_FAULTS_WAITING": "10000",
        "NEWEL_FAULTS_RESTARTS": "20",
        "NEWEL_FAULTS_RUNS": "200",
    }
    status = _run([*tests, "tests/faults"], **far_more)
    status = _run([*tests, *POOLED], NEWEL_TEST_POOLER="1") or status
    play = [sys.executable, "-m", "tests.faults.schedule", "--runs", str(told.runs)]
    for seed in range(told.seed, told.seed + told.schedules):
        manner = ["--pooled"] if seed % 4 == 0 and _pooler() else []
        status = _run([*play, "--seed", str(seed), *manner]) or status
    return status


def _run(command: list[str], **more: str) -> int:
    path = {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}"}
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **path, **more}, check=False
    ).returncode


def _pooler() -> bool:
    return shutil.which("pgbouncer") is not None or any(Path(p).exists() for p in POOLER)


def _syslog() -> bool:
    return shutil.which("rsyslogd") is not None or Path("/usr/sbin/rsyslogd").exists()


def _clocks() -> bool:
    return any(found for at in LIBRARIES for found in Path(at).glob("**/libfaketimeMT.so.1"))


def _install() -> None:
    there = {"pgbouncer": _pooler(), "libfaketime": _clocks(), "rsyslog": _syslog()}
    missing = [name for name, is_there in there.items() if not is_there]
    if not missing:
        return
    names = " ".join(missing)
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        print(f"Not found: {names}. Their tests will be skipped. (apt-get install {names})")
        return
    print(f"Installing {names} for the tests of faults", flush=True)
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (("update", "-qq"), ("install", "-qq", "--no-install-recommends", *missing)):
        done = subprocess.run(
            ["apt-get", "-y", *command], env=quiet, check=False, stdout=subprocess.DEVNULL
        )
        if done.returncode != 0:
            print(f"{names} could not be installed: their tests will be skipped.")
            return


if __name__ == "__main__":
    sys.exit(main())
