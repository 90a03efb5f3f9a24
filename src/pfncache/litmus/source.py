# SPDX-License-Identifier: GPL-2.0-only
"""The functions of a kernel tree, with patches applied to a copy of the files that they change."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from pfncache import user_cache
from pfncache.csource.errors import SourceError
from pfncache.csource.kvm.joined import tables
from pfncache.csource.parse import FunctionNode, SourceFile, parse, text_of
from pfncache.kernels.apply import apply
from pfncache.kernels.patch_mail import PatchMail
from pfncache.series.items import tokens


class NoSuchFunction(Exception):
    """A tree without a function that a test abstracts. The message is one line."""


class KernelSource:
    """A kernel tree, and patches of it in a temporary folder; a context manager."""

    def __init__(self, tree: Path, patches: Sequence[PatchMail] = ()) -> None:
        self.tree = tree
        self._patches = patches
        self._files: dict[str, SourceFile] = {}
        self._stack = ExitStack()
        self._patched: Path | None = None

    def __enter__(self) -> KernelSource:
        """Apply the patches. Raises SeriesError for one that does not apply."""
        if self._patches:
            self._patched = self._stack.enter_context(user_cache.scratch())
            apply(self._patches, self.tree, self._patched)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove what was patched."""
        self._stack.close()

    def _text(self, file: str) -> str:
        for folder in (self._patched, self.tree):
            if folder is not None and (folder / file).is_file():
                return (folder / file).read_text()
        raise NoSuchFunction(f"there is no file {file}")

    def changed(self, other: KernelSource, file: str, name: str) -> bool:
        """Whether a function of a file reads differently in another tree, comments and blanks apart."""
        return self._words(file, name) != other._words(file, name)

    def _words(self, file: str, name: str) -> str:
        try:
            return tokens(text_of(self.function(file, name).node))
        except NoSuchFunction as error:
            return str(error)

    def _file(self, file: str) -> SourceFile:
        if file not in self._files:
            known = tables()
            try:
                keep = {*known.calls, *known.each, *known.names}
                self._files[file] = parse(self._text(file), file, known.config, keep)
            except SourceError as error:
                raise NoSuchFunction(f"{file} cannot be read: {error}") from None
        return self._files[file]

    def function_at(self, file: str, line: int) -> FunctionNode:
        """Return the function of a file that has a line. Raises NoSuchFunction if there is none."""
        for found in self._file(file).functions.values():
            if found.line <= line <= found.node.end_point[0] + 1:
                return found
        raise NoSuchFunction(f"there is no function at {file}:{line}")

    def function(self, file: str, name: str) -> FunctionNode:
        """Return a function of a file. Raises NoSuchFunction if it has none of that name, or one that is no C."""
        found = self._file(file)
        if name in found.refused:
            raise NoSuchFunction(f"{file}: {name}() cannot be read: {found.refused[name]}")
        if name not in found.functions:
            raise NoSuchFunction(f"there is no function {name}() in {file}")
        return found.functions[name]
