# SPDX-License-Identifier: GPL-2.0-only
"""The fidelity table, from the docstrings: which function of Linux each function of the model is, what is simplified.

``python -m tools.fidelity`` prints it as Markdown; the documentation site is built with it.
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
from pfncache.lang.part_of import CALLER, is_part, linux_name
from pfncache.lang.records import Record
from pfncache.verify.trace import kernel_path

ENTRY = re.compile(r"^(Linux|Simplified): (.*?)(?=^\w+: |\Z)", re.MULTILINE | re.DOTALL)
MACHINERY = ("include/trace/", "include/uapi/", "include/xen/", "arch/x86/include/")
"""Tracepoints of the model, and headers that have no code."""


@dataclass(frozen=True)
class Entry:
    """A function of the model."""

    file: str
    line: int
    name: str
    """In the model; a method of a record has the record's name before it."""
    linux_function: str
    """The function of Linux that it is, or that it is a part of; empty for a part of each of its callers."""
    is_part: bool
    linux: str
    """Kernel file, function and version; empty when the docstring does not say."""
    simplified: str


def entries() -> list[Entry]:
    """Return every function of the model, in the order of the files; prototypes are entered where they are defined."""
    found = []
    for info in pkgutil.walk_packages(pfncache.linux.__path__, "pfncache.linux."):
        module = importlib.import_module(info.name)
        file = kernel_path(str(module.__file__))
        if file.startswith(MACHINERY):
            continue
        for name, function in _in_module(module):
            if not getattr(function, "__isabstractmethod__", False):
                says = {kind: " ".join(text.split()) for kind, text in ENTRY.findall(inspect.getdoc(function) or "")}
                code = function.__code__
                found.append(
                    Entry(
                        file=file,
                        line=code.co_firstlineno,
                        name=name,
                        linux_function=linux_name(code),
                        is_part=is_part(function),
                        linux=says.get("Linux", ""),
                        simplified=says.get("Simplified", ""),
                    )
                )
    return found


def _in_module(module: Any) -> Iterator[tuple[str, Any]]:
    for name, value in list(vars(module).items()):
        if getattr(value, "__module__", None) != module.__name__:
            continue
        if inspect.isclass(value):
            yield from _functions(value, f"{name}." if issubclass(value, Record) else "")
        elif callable(value) and inspect.isfunction(inspect.unwrap(value)):
            yield name, inspect.unwrap(value)


def _functions(owner: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in vars(owner).items():
        function = inspect.unwrap(value) if callable(value) else value
        if inspect.isfunction(function) and function.__module__ == owner.__module__ and not name.startswith("__"):
            yield f"{prefix}{name}", function


def render(table: list[Entry]) -> str:
    """Return the table as Markdown, one section for each file."""
    lines = [
        "# Fidelity",
        "",
        "Which function of Linux each function of the model is, and what is left out. Generated from the docstrings.",
    ]
    file = ""
    for entry in table:
        if entry.file != file:
            file = entry.file
            lines += [
                "",
                f"## {file}",
                "",
                "| function of Linux | model | where; what is simplified |",
                "|---|---|---|",
            ]
        where = entry.linux.rstrip(".") + (f". **Simplified:** {entry.simplified}" if entry.simplified else "")
        cells = (_linux(entry), f"`{entry.name}()`, line {entry.line}", where)
        lines.append("| " + " | ".join(cell.rstrip(".").replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _linux(entry: Entry) -> str:
    if entry.linux_function == CALLER:
        return "a part of its callers"
    return f"a part of `{entry.linux_function}()`" if entry.is_part else f"`{entry.linux_function}()`"


if __name__ == "__main__":
    sys.stdout.write(render(entries()))
