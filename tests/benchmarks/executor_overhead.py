"""How much of a run `chex run` spends outside the entry points of its stages: preflight, starting Ray, plans, events.

    python -m tests.benchmarks.executor_overhead [MANIFEST]

Without a manifest it is the quickstart. Goal: below 15 % of the run.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

GOAL = 0.15
QUICKSTART = Path(__file__).parents[2] / "infra" / "samples" / "quickstart.yaml"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("manifest", nargs="?", type=Path, default=QUICKSTART)
    manifest: Path = parser.parse_args().manifest
    with tempfile.TemporaryDirectory() as folder:
        command = ["chex_jobs.cli", "run", str(manifest), "--artifacts", folder, "--json-lines"]
        done = subprocess.run([sys.executable, "-m", *command], check=True, stdout=subprocess.PIPE, text=True)
    ended = json.loads(done.stdout.splitlines()[-1])
    assert ended["event"] == "ended", ended
    total, stages = ended["totalSeconds"], ended["stageSeconds"]
    share = 1 - stages / total
    print(f"{total:.0f} s, {total - stages:.1f} s outside stages: {share:.1%} (goal: below {GOAL:.0%})")


if __name__ == "__main__":
    main()
