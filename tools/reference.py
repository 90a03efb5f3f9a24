# SPDX-License-Identifier: GPL-2.0-only
"""Pages of the reference that are read from the code: what can be named, and the Python API."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping

import pfncache
from pfncache.designs.catalogue import DEFAULT_DESIGNS, DESIGNS
from pfncache.properties import PROPERTIES
from pfncache.scenarios import DEFAULT_SCENARIOS, SCENARIOS
from pfncache.scenarios.space.arrays import covering, factors
from pfncache.scenarios.space.constraints import CONSTRAINTS
from pfncache.scenarios.space.space import DIMENSIONS
from pfncache.selftests import SELFTESTS
from pfncache.selftests.selftest import Selftest

NOTE = "Made from the code when this page is built."


def pages() -> dict[str, str]:
    """Return each page's Markdown by its name."""
    make: dict[str, Callable[[], str]] = {
        "designs": designs, "scenarios": scenarios, "dimensions": dimensions, "properties": properties,
        "selftests": selftests, "api": api,
    }  # fmt: skip
    return {name: page() for name, page in make.items()}


def table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def designs() -> str:
    """Return the page of the designs."""
    rows = ((f"`{name}`", design.title, _code(design.shown_by)) for name, design in DESIGNS.items())
    return (
        f"# Designs\n\n{NOTE} `pfncache list designs` prints the same list, `pfncache verify NAME` checks one.\n"
        f"Without a name, `verify` checks {', '.join(f'`{name}`' for name in DEFAULT_DESIGNS)}.\n\n"
        "A reverted fix names the scenario that shows why the fix was needed; without `-s`, it is searched in that\n"
        "scenario alone.\n\n" + table(("design", "what it is", "shown by"), rows)
    )


def scenarios() -> str:
    """Return the page of the scenarios, one table for each group."""
    groups: dict[str, list[str]] = {}
    for name in DEFAULT_SCENARIOS:
        groups.setdefault(name.split("/")[0], []).append(name)
    more = sum(name.startswith("pairs/") for name in SCENARIOS)
    text = (
        f"# Scenarios\n\n{NOTE} `pfncache list scenarios` prints the same list. These {len(DEFAULT_SCENARIOS)} are\n"
        f"searched by default. `-s pairs/` adds {more} more: each kind of memory with each pair of operations beside\n"
        f"one clock update. `-s space/` adds {len(covering())}, which cover [the space](dimensions.md).\n"
    )
    for group, names in groups.items():
        rows = ((f"`{name}`", SCENARIOS[name].hazard) for name in names)
        text += f"\n## {group}\n\n" + table(("scenario", "what happens"), rows)
    return text


def dimensions() -> str:
    """Return the page of the dimensions of the space of scenarios, with the constraints between them."""
    text = (
        f"# Dimensions\n\n{NOTE} `pfncache list dimensions` prints the same list.\n\n"
        "A scenario of the space has a value of each dimension. Its name leaves out what is the first value here,\n"
        "beside memory, user and operation: `space/anon/clock+munmap/start=page-gone`. Any of them can be named after\n"
        f"`-s`. The array `-s space/` has {len(covering())}, in which each pair of values of two dimensions\n"
        f"occurs that the constraints allow: {len(factors().combinations(2)):,} pairs.\n"
    )
    for dimension in DIMENSIONS:
        rows = ((f"`{value.name}`", value.meaning) for value in dimension.values)
        text += f"\n## {dimension.name}\n\n{dimension.meaning}\n\n" + table(("value", "what it is"), rows)
    limits = ((", ".join(f"`{name}`" for name in rule.dimensions), rule.reason) for rule in CONSTRAINTS)
    return text + "\n## Constraints\n\n" + table(("between", "why some combinations do not exist"), limits)


def properties() -> str:
    """Return the page of the properties."""
    rows = ((f"`{name}`", prop.meaning) for name, prop in PROPERTIES.items())
    return f"# Properties\n\n{NOTE} `pfncache list properties` prints the same list.\n\n" + table(
        ("property", "it is violated when"), rows
    )


def selftests() -> str:
    """Return the page of the selftests, one table for each group."""
    groups: dict[str, list[str]] = {}
    for name, test in SELFTESTS.items():
        groups.setdefault(test.group, []).append(name)
    text = f"# Selftests\n\n{NOTE} `pfncache list selftests` prints the same list of {len(SELFTESTS)} tests.\n"
    for group, names in groups.items():
        rows = ((f"`{name}`", _purpose(SELFTESTS[name]), _code(SELFTESTS[name].watches)) for name in names)
        text += f"\n## {group}\n\n" + table(("test", "purpose", "watches"), rows)
    return text


def api() -> str:
    """Return the page of the public names of the package, documented from their docstrings."""
    lines = ["# The Python API", "", "The names that `import pfncache` offers, from their docstrings."]
    lines += ["[At the Python prompt](../tutorial/prompt.md) shows the machines at work.", "", "```{eval-rst}"]
    for name in sorted(set(dir(pfncache))):
        if name.startswith("_"):
            continue
        value = getattr(pfncache, name)
        if inspect.isclass(value):
            lines += [f".. autoclass:: pfncache.{name}", "   :members:", ""]
        elif callable(value):
            # A package that can be called: its function has the package's name.
            place = f"pfncache.verify.{name}" if inspect.ismodule(value) else "pfncache"
            lines += [f".. autofunction:: {place}.{name}", ""]
        else:
            entries = f"A mapping with {len(value)} entries." if isinstance(value, Mapping) else ""
            doc = (getattr(value, "__doc__", "") or "").strip().splitlines()
            lines += [f".. py:data:: pfncache.{name}", "", f"   {' '.join([*doc[:1], entries])}".rstrip(), ""]
    return "\n".join([*lines, "```", ""])


def _purpose(test: Selftest) -> str:
    opt_in = getattr(test, "opt_in", "")
    return f"{test.purpose} (opt-in on a kernel: {opt_in})" if opt_in else test.purpose


def _code(text: str) -> str:
    return f"`{text}`" if text else ""
