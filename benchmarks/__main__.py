# SPDX-License-Identifier: GPL-2.0-only
"""``python -m benchmarks``: every benchmark of the checker; takes half an hour."""

from __future__ import annotations

from benchmarks import compiling, engines, fairness, large, reductions


def main() -> None:
    """Run the comparison with other engines, then the cost of each part of the checker."""
    for benchmark in (engines.run, reductions.main, fairness.main, large.main, compiling.main):
        benchmark()


if __name__ == "__main__":
    main()
