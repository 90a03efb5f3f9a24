# SPDX-License-Identifier: GPL-2.0-only
"""Translates KVM's C files of a kernel tree into functions of the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType

from pfncache.csource.result import CFunction, Refusal

FILES = ("virt/kvm/pfncache.c",)
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
    key: str
    """Digest of all that the translation has read: the files' text, the tables, the versions of the parser."""


def translate(tree: Path, files: Sequence[str] = FILES, *, version: str) -> Translation:
    """Translate every function of `files`, paths in the unpacked kernel source `tree`, which may have been patched.

    A function that cannot be translated is refused, and so is each function that calls it. Raises SourceError, one line
    with file:line, for a file that is missing or is no C.
    """
    raise NotImplementedError
