# SPDX-License-Identifier: GPL-2.0-only
"""``python -m benchmarks``: every benchmark of the checker, one after the other; half an hour."""

from __future__ import annotations

from benchmarks import compiling, engines, fairness, large, reductions


def main() -> None:
    """The races, and what each part of the checker takes."""
    for benchmark in (engines.run, reductions.main, fairness.main, large.main, compiling.main):
        benchmark()


if __name__ == "__main__":
    main()
