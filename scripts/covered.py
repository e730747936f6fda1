"""Hold branch coverage: all of what is pure, nearly all of the rest.

Reads the combined measurements of `make coverage`. What stands aside (stand-ins and the embedded
server) runs partly in processes that tests kill on purpose, and is not counted.
"""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COVERAGE = Path(sys.executable).parent / "coverage"
PURE = ("domain", "audit", "flow")
ASIDE = ("embedded", "simulators")
AIM_PURE = 100.0
AIM_REST = 95.0


def main() -> int:
    """Print what is not covered, then judge both groups."""
    subprocess.run([COVERAGE, "report"], check=False, cwd=ROOT)
    facts = json.loads(
        subprocess.run(
            [COVERAGE, "json", "-q", "-o", "-"], check=True, cwd=ROOT, stdout=subprocess.PIPE
        ).stdout
    )
    covered = {"pure": [0, 0], "rest": [0, 0]}
    for path, file in facts["files"].items():
        package = Path(path).parts[2]
        if package in ASIDE:
            continue
        group = covered["pure" if package in PURE else "rest"]
        summary = file["summary"]
        group[0] += summary["covered_lines"] + summary["covered_branches"]
        group[1] += summary["num_statements"] + summary["num_branches"]
    return _judged(covered)


def _judged(covered: dict[str, list[int]]) -> int:
    """Say both figures; 0 if both reach their aim."""
    reached = True
    for group, aim in (("pure", AIM_PURE), ("rest", AIM_REST)):
        done, all_of_it = covered[group]
        percent = 100 * done / max(all_of_it, 1)
        reached = reached and percent >= aim
        print(f"{group}: {percent:.2f} % of lines and branches (aim {aim:g} %)")
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
