# SPDX-License-Identifier: GPL-2.0-only
"""The fidelity table, from the docstrings: what each function of the model is in Linux, and what is simplified.

``python -m tools.fidelity > docs/fidelity.md`` writes it.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pfncache.linux
from pfncache.lang.records import Record
from pfncache.verify.trace import kernel_path

ENTRY = re.compile(r"^(Linux|Simplified): (.*?)(?=^\w+: |\Z)", re.MULTILINE | re.DOTALL)
MACHINERY = ("include/trace/", "include/uapi/", "include/xen/", "arch/x86/include/")
"""What is not a part of Linux, but of how the model works."""


@dataclass(frozen=True)
class Entry:
    """A function of the model."""

    file: str
    function: str
    linux: str
    """Kernel file, function and version; empty when the docstring does not say."""
    simplified: str


def _functions(owner: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in vars(owner).items():
        function = inspect.unwrap(value) if callable(value) else value
        if inspect.isfunction(function) and function.__module__ == owner.__module__ and not name.startswith("__"):
            yield f"{prefix}{name}", function


def _in_module(module: Any) -> Iterator[tuple[str, Any]]:
    for name, value in list(vars(module).items()):
        if getattr(value, "__module__", None) != module.__name__:
            continue
        if inspect.isclass(value):
            yield from _functions(value, f"{name}." if issubclass(value, Record) else "")
        elif callable(value) and inspect.isfunction(inspect.unwrap(value)):
            yield name, inspect.unwrap(value)


def entries() -> list[Entry]:
    """Every function of the model, in the order of the files; prototypes are entered where they are implemented."""
    found = []
    for info in pkgutil.walk_packages(pfncache.linux.__path__, "pfncache.linux."):
        module = importlib.import_module(info.name)
        file = kernel_path(str(module.__file__))
        if file.startswith(MACHINERY):
            continue
        for name, function in _in_module(module):
            if not getattr(function, "__isabstractmethod__", False):
                says = {kind: " ".join(text.split()) for kind, text in ENTRY.findall(inspect.getdoc(function) or "")}
                found.append(Entry(file, name, says.get("Linux", ""), says.get("Simplified", "")))
    return found


def render(table: list[Entry]) -> str:
    """The table as Markdown, one section for each file."""
    lines = [
        "# Fidelity",
        "",
        "Which function of Linux each function of the model is, and what is left out. Generated from the docstrings by",
        "`python -m tools.fidelity`; a test compares the two.",
    ]
    file = ""
    for entry in table:
        if entry.file != file:
            file = entry.file
            lines += ["", f"## {file}", "", "| model | Linux | simplified |", "|---|---|---|"]
        cells = (f"`{entry.function}()`", entry.linux.rstrip("."), entry.simplified.rstrip("."))
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(render(entries()))
