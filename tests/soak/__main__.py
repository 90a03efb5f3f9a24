# SPDX-License-Identifier: GPL-2.0-only
"""``python -m tests.soak [N] [SEED]``: kill verify and sweep N times; exit status 1 if anything is wrong afterwards."""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path

from tests.soak.soak import Kill, Soak


def main() -> int:
    """Run the soak, with a line for each run."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(10**6)
    print(f"seed {seed}", flush=True)
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        soak = Soak(folder=Path(folder))
        for number in range(1, count + 1):
            kill = Kill.at_random(chance, soak.duration)
            known = len(soak.problems)
            soak.run(kill)
            print(f"{number} {kill}: {'; '.join(soak.problems[known:]) or 'ok'}", flush=True)
    print(f"{count} runs, {len(soak.problems)} problems")
    return 1 if soak.problems else 0


if __name__ == "__main__":
    sys.exit(main())
