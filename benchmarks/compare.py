# SPDX-License-Identifier: GPL-2.0-only
"""``python -m benchmarks.compare BEFORE.json AFTER.json``: what became worse between two files of benchmarks.results.

Exit status 1 if a figure is worse by more than NOISE, or is missing.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

NOISE = 0.15
"""Part of a figure by which two runs of one tree may differ."""


def rows(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, str, bool]]:
    """Yield for each figure its name, a line on it, and whether it is worse."""
    new = after["figures"]
    for name, old in before["figures"].items():
        if name not in new:
            yield name, "missing", True
            continue
        one, two = old["value"], new[name]["value"]
        better = two / one if old["more_is_better"] else one / two
        is_worse = better < 1 / (1 + NOISE)
        word = "worse" if is_worse else "better" if better > 1 + NOISE else "as before"
        yield name, f"{one:.3g} -> {two:.3g} {old['unit']}: {word}", is_worse
    for name in new:
        if name not in before["figures"]:
            yield name, f"{new[name]['value']:.3g} {new[name]['unit']}: new", False


def main(arguments: list[str]) -> int:
    """Print a line for each figure. Returns the exit status."""
    if len(arguments) != 2:  # noqa: PLR2004
        print((__doc__ or "").partition("\n")[0], file=sys.stderr)
        return 2
    before, after = (json.loads(Path(name).read_text()) for name in arguments)
    if before["machine"] != after["machine"]:
        print(f"other machines: {before['machine']}; {after['machine']}")
    worse = 0
    for name, line, is_worse in rows(before, after):
        print(f"{name}: {line}")
        worse += is_worse
    print(f"{before['commit']} -> {after['commit']}: {worse} worse")
    return int(worse > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
