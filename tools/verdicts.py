# SPDX-License-Identifier: GPL-2.0-only
"""The tables of docs/results/designs.md, from the table that the tests hold to searches.

``python -m tools.verdicts`` writes them into the page, between its markers. ``pfncache verify --all`` prints the same
verdicts, after some minutes.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from pfncache.designs.catalogue import DESIGNS

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "tests" / "designs" / "catalogue.json"
PAGE = ROOT / "docs" / "results" / "designs.md"
SERIES = "rfc-v4"

Row = tuple[str, list[str], int, int]
"""Verdict, violated properties, states, transitions."""


def rows() -> dict[str, dict[str, Row]]:
    """Return the outcomes, by design and scenario."""
    found: dict[str, dict[str, Row]] = json.loads(TABLE.read_text())
    return found


def verdicts(table: Mapping[str, Mapping[str, Row]]) -> str:
    """Return a line for each design: how many scenarios hold and break, and by which properties."""
    lines = ["| design | hold | break | what breaks, with the number of scenarios | states |", "|---|---|---|---|---|"]
    for design in DESIGNS:
        found = table[design].values()
        broken = Counter(name for _, properties, *_ in found for name in properties)
        what = ", ".join(f"{name} {count}" for name, count in broken.most_common())
        holds = sum(verdict == "holds" for verdict, *_ in found)
        states = sum(states for *_, states, _ in found)
        lines.append(f"| `{design}` | {holds} | {len(found) - holds} | {what} | {states:,} |")
    return "\n".join(lines)


def breaks(table: Mapping[str, Mapping[str, Row]]) -> str:
    """Return a line for each set of properties that a scenario of the series breaks."""
    by_properties: dict[str, list[str]] = {}
    for name, (_, properties, *_) in table[SERIES].items():
        if properties:
            by_properties.setdefault(", ".join(properties), []).append(f"`{name}`")
    ordered = sorted(by_properties.items(), key=lambda item: (-len(item[1]), item[0]))
    lines = ["| properties | scenarios |", "|---|---|"]
    lines += [f"| {properties} | {len(names)}: {', '.join(names)} |" for properties, names in ordered]
    return "\n".join(lines)


def page() -> str:
    """Return the page with the tables of today."""
    text, found = PAGE.read_text(), rows()
    for name, table in (("verdicts", verdicts(found)), ("breaks", breaks(found))):
        text, count = re.subn(
            rf"(<!-- {name}: [^\n]*-->\n).*?(\n<!-- end -->)", rf"\g<1>{table}\g<2>", text, count=1, flags=re.DOTALL
        )
        if count != 1:
            raise ValueError(f"{PAGE} has no place for the table of {name}")
    return text


if __name__ == "__main__":
    PAGE.write_text(page())
