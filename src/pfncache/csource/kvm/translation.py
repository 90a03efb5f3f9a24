# SPDX-License-Identifier: GPL-2.0-only
"""Translates KVM's C files of a kernel tree into functions of the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from inspect import unwrap
from pathlib import Path
from types import FunctionType

from pfncache.csource.kvm.adapter import adapters, unadapted
from pfncache.csource.kvm.joined import ADAPTERS, HELPERS, tables
from pfncache.csource.load import digest, load
from pfncache.csource.members import Structs
from pfncache.csource.renames import Renames
from pfncache.csource.result import CFunction, Refusal
from pfncache.linux.vmlinux import Vmlinux

FILES = (
    "virt/kvm/pfncache.c", "virt/kvm/guest_memfd.c", "virt/kvm/kvm_main.c", "include/linux/kvm_host.h",
    "arch/x86/kvm/x86.c", "arch/x86/kvm/xen.c", "arch/x86/kvm/xen.h",
)  # fmt: skip
"""C files that are translated by default."""


@dataclass(frozen=True, kw_only=True)
class Translation:
    """The functions of a kernel's C files in the model's language.

    ``designs.from_c.patch_of()`` makes a patch of it.
    """

    version: str
    """The kernel's version, for messages."""
    functions: Mapping[str, FunctionType]
    """Functions of the model by name, for the class of a patch: what was translated, and adapters to it."""
    translated: Mapping[str, CFunction]
    """By the name in C."""
    refused: Mapping[str, Refusal]
    """By the name in C: what was not translated, and what calls such a function."""
    outside: frozenset[str]
    """Functions of the files that the model does not have, and that none of those calls that it has."""
    by_hand: Mapping[str, str]
    """Functions of the files for which the model's are used on purpose, with the reason."""
    key: str
    """Digest of all that the translation has read: the files' text, the tables, the versions of the parser."""
    structs: Structs
    """The structures that the files define."""
    renamed: Renames
    """The names that the series changes."""


def translate(
    tree: Path,
    files: Sequence[str] = FILES,
    *,
    version: str,
    before: Translation | None = None,
    renamed: Renames | None = None,
) -> Translation:
    """Translate every function of `files`, paths in the unpacked kernel source `tree`, which may have been patched.

    `before` is the translation of the unpatched tree: members that its structures do not have are new. `renamed` has
    the names that a series changes.
    A function that cannot be translated is refused, and so is each function that calls it. Raises SourceError, one line
    with file:line, for a file that is missing or is no C.
    """
    known = tables()
    loaded = load(tree, files, known, before.structs if before is not None else None, renamed)
    functions = loaded.functions | adapters(ADAPTERS, loaded.functions)
    return Translation(
        version=version,
        functions={**_helpers(functions), **functions},
        translated=loaded.translated,
        refused=loaded.refused | unadapted(Vmlinux, loaded, functions),
        outside=loaded.outside,
        by_hand=loaded.by_hand,
        key=digest(
            loaded.texts, known.description(), str(tree), before.key if before else "", repr(renamed or Renames())
        ),
        structs=loaded.structs,
        renamed=renamed or Renames(),
    )


def _helpers(functions: Mapping[str, FunctionType]) -> dict[str, FunctionType]:
    """Return the helpers that the functions call, directly or through other helpers."""
    known = {name: f for helper in HELPERS for name, f in vars(helper).items() if isinstance(unwrap(f), FunctionType)}
    found: dict[str, FunctionType] = {}
    todo: list[FunctionType] = list(functions.values())
    while todo:
        for name in unwrap(todo.pop()).__code__.co_names:
            if name in known and name not in found:
                found[name] = known[name]
                todo.append(known[name])
    return found
